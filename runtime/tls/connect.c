/* SPDX-License-Identifier: MIT */
/* connect.c - from "tls://host:port" to a stream, and the other way.
 *
 * The rest of the string is hank's: what it says of "tcp://host:port" holds here too. */
#include "tls/tls.h"

#include <errno.h>
#include <string.h>

#include <hank/layer.h>

enum { PREFIX = sizeof "tls://" - 1 };

int hk_tls_as_tcp(const char *where, char ret_where[HK_TLS_WHERE_MAX],
                  char ret_host[HK_TLS_WHERE_MAX])
{
    if (!where || strncmp(where, "tls://", PREFIX) != 0)
        return where && strstr(where, "://") ? -EPROTONOSUPPORT : -EINVAL;
    size_t length = strlen(where);
    if (length >= HK_TLS_WHERE_MAX)
        return -EINVAL;
    memcpy(ret_where, where, length + 1);
    memcpy(ret_where, "tcp", 3);
    const char *host = where + PREFIX;
    const char *end = host[0] == '[' ? strchr(host, ']') : strrchr(host, ':');
    if (host[0] == '[')
        host++;
    if (!end)
        return -EINVAL;
    size_t host_length = (size_t)(end - host);
    if (host_length > 0 && host[host_length - 1] == '.') /* is for the resolver, not for names */
        host_length--;
    memcpy(ret_host, host, host_length);
    ret_host[host_length] = '\0';
    return 0;
}

static int begin(hank_tls *tls, hank_stream *under, const char *name, bool server,
                 hank_stream **ret)
{
    if (!tls || !under)
        return -EINVAL;
    hank_stream *s;
    int rc = hk_tls_open(tls, under, name, server, &s);
    if (rc == 0)
        *ret = s;
    return rc;
}

/* With the handshake. If anything fails, `under` is closed. */
static int begin_and_shake(hank_tls *tls, hank_stream *under, const char *name, bool server,
                           hank_stream **ret)
{
    hank_stream *s = NULL;
    int rc = begin(tls, under, name, server, &s);
    if (rc < 0) {
        hank_close(under);
        return rc;
    }
    rc = hank_tls_handshake(s);
    if (rc == 0)
        *ret = s;
    else
        hank_close(s);
    return rc;
}

int hank_tls_client(hank_tls *tls, hank_stream *under, const char *server_name, hank_stream **ret)
{
    if (tls && !server_name && tls->server_name[0])
        server_name = tls->server_name;
    return begin_and_shake(tls, under, server_name, false, ret);
}

int hank_tls_server(hank_tls *tls, hank_stream *under, hank_stream **ret)
{
    return begin_and_shake(tls, under, NULL, true, ret);
}

static int connect_opt(hank_tls *tls, const char *where, const hank_connect_options *options,
                       hank_stream **ret)
{
    char tcp[HK_TLS_WHERE_MAX], host[HK_TLS_WHERE_MAX];
    if (!tls)
        return -EINVAL;
    int rc = hk_tls_as_tcp(where, tcp, host);
    if (rc < 0)
        return rc;
    hank_stream *under;
    rc = hank_connect_opt(tcp, options, &under);
    if (rc < 0)
        return rc;
    return hank_tls_client(tls, under, tls->server_name[0] ? tls->server_name : host, ret);
}

int hank_tls_connect(hank_tls *tls, const char *where, hank_stream **ret)
{
    return connect_opt(tls, where, NULL, ret);
}

/* --- listening ------------------------------------------------------------------------------- */

static int wrap(void *arg, hank_stream *under, hank_stream **ret)
{
    return begin(arg, under, NULL, true, ret);
}

static void release(void *arg)
{
    hank_tls_free(arg);
}

int hank_tls_listen(hank_tls *tls, const char *where, const hank_listen_options *options,
                    hank_listener **ret)
{
    char tcp[HK_TLS_WHERE_MAX], host[HK_TLS_WHERE_MAX];
    if (!tls)
        return -EINVAL;
    if (!tls->has_certificate)
        return HANK_TLS_NO_CERTIFICATE;
    int rc = hk_tls_as_tcp(where, tcp, host);
    hank_listener *l;
    if (rc == 0)
        rc = hank_listen_opt(tcp, options, &l);
    if (rc < 0)
        return rc;
    static const hank_wrapper wrapper = {.scheme = "tls", .wrap = wrap, .release = release};
    rc = hank_listener_wrap(l, &wrapper, hk_tls_share(tls));
    if (rc < 0) {
        hank_tls_free(tls);
        hank_listener_close(l);
        return rc;
    }
    *ret = l;
    return 0;
}

/* --- "tls://" for everybody ------------------------------------------------------------------ */

static HK_ATOMIC(hank_tls *) enabled; /* set once */

static int connect_enabled(const char *where, const hank_connect_options *options,
                           hank_stream **ret)
{
    return connect_opt(hk_load_acquire(&enabled), where, options, ret); /* [tls:enabled] acquire */
}

static int listen_enabled(const char *where, const hank_listen_options *options,
                          hank_listener **ret)
{
    hank_tls *tls = hk_load_acquire(&enabled); /* [tls:enabled] acquire */
    return hank_tls_listen(tls, where, options, ret);
}

int hank_tls_enable(hank_tls *tls)
{
    static const hank_scheme scheme = {
        .name = "tls", .connect = connect_enabled, .listen = listen_enabled, .over_tcp = true};
    if (!tls)
        return -EINVAL;
    hank_tls *before = NULL;
    hk_tls_share(tls);
    /* [tls:enabled] release: set before anybody can find the scheme. */
    if (!hk_cas_acqrel(&enabled, &before, tls)) {
        hank_tls_free(tls);
        return -EALREADY;
    }
    int rc = hank_scheme_add(&scheme);
    if (rc < 0) {
        hk_store_relaxed(&enabled, NULL); /* nobody was led to it, for there is no scheme */
        hank_tls_free(tls);
    }
    return rc;
}
