/* SPDX-License-Identifier: MIT */
/* kind.c - TLS as a kind of stream for the scenarios of tests/io: two ends that have shaken hands,
 * over TCP. */
#include "tls/tls_support.h"

int tls_kind_open(hank_stream **ret_a, hank_stream **ret_b);

static int open_ends(tls_pair *p)
{
    char byte;
    int rc = tls_pair_open_tcp(p);
    if (rc == 0)
        rc = p->client.result < 0 ? p->client.result : p->server.result;
    if (rc < 0)
        return rc;
    /* What the server says by itself must have been read, or a close would be a reset. */
    rc = hank_write(p->server.stream, "x", 1);
    return rc < 0 ? rc : hank_read_exact(p->client.stream, &byte, 1);
}

int tls_kind_open(hank_stream **ret_a, hank_stream **ret_b)
{
    tls_pair p = {0};
    make_files();
    int rc = open_ends(&p);
    remove_files();
    if (rc < 0) {
        tls_pair_close(&p);
        return rc;
    }
    *ret_a = p.client.stream;
    *ret_b = p.server.stream;
    hank_tls_free(p.client.tls); /* the two have their share */
    hank_tls_free(p.server.tls);
    return 0;
}
