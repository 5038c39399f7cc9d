/* SPDX-License-Identifier: MIT */
/* doors.c - listening at every address of a name. */
#include "io/doors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/layer.h"
#include "io/listener.h"
#include "io/resolve.h"

enum {
    PORT_TRIES = 16,
    NAME_MAX_BYTES = HK_HOST_MAX + 64, /* of "scheme://host:port", with its NUL */
};

/* scheme     another library's, whose strings are as those of TCP; NULL: ours
 * port       the one for all, 0 until there is one */
typedef struct place {
    const hank_scheme *scheme;
    hank_listen_options options;
    unsigned each;
    uint16_t port;
    unsigned n;
    hk_address addresses[HK_ADDRESSES_MAX];
} place;

/* --- which addresses ------------------------------------------------------------------------- */

static bool is_among(const hk_address *list, unsigned n, const hk_address *one)
{
    for (unsigned i = 0; i < n; i++)
        if (hk_address_equal(&list[i], one))
            return true;
    return false;
}

/* Some resolvers say one twice, when it is in two lists. */
static void drop_repeated(place *p, int found)
{
    for (int i = 0; i < found; i++) {
        hk_address one = p->addresses[i];
        if (!is_among(p->addresses, p->n, &one))
            p->addresses[p->n++] = one;
    }
}

/* Its number of addresses; 0: only the scheme knows what `where` means. */
static int find_addresses(place *p, const char *where)
{
    char tcp[NAME_MAX_BYTES];
    int found = hk_resolve_text(where, true, &p->scheme, p->addresses);
    if (found != 0 || !p->scheme->over_tcp)
        return found;
    const hank_scheme *none;
    int length = snprintf(tcp, sizeof tcp, "tcp%s", where + strlen(p->scheme->name));
    return (size_t)length < sizeof tcp ? hk_resolve_text(tcp, true, &none, p->addresses) : -EINVAL;
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_at(const place *p, unsigned i, hank_listener **ret)
{
    char tcp[HK_WHERE_MAX], where[HK_WHERE_MAX + NAME_MAX_BYTES];
    hk_address address = p->addresses[i];
    hk_address_set_port(&address, p->port);
    int rc = hk_where_format(&address, tcp, sizeof tcp);
    if (rc < 0 || !p->scheme)
        return rc < 0 ? rc : hank_listen_opt(tcp, &p->options, ret);
    (void)snprintf(where, sizeof where, "%s%s", p->scheme->name, strstr(tcp, "://")); /* it fits */
    return hank_listen_opt(where, &p->options, ret);
}

static bool is_left_out(int rc)
{
    return rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT;
}

static int open_all(hk_node *doors, place *p)
{
    int rc = 0, absent = 0;
    for (unsigned i = 0; rc == 0 && i < p->n * p->each; i++) {
        hank_listener *l;
        rc = open_at(p, i / p->each, &l);
        if (rc == 0) {
            hk_list_push_back(doors, &l->link);
            p->port = hk_address_port(&l->address);
        } else if (is_left_out(rc)) {
            absent = rc;
            rc = 0;
        }
    }
    rc = rc == 0 && hk_list_empty(doors) ? absent : rc;
    if (rc < 0)
        hk_doors_close(doors);
    return rc;
}

static int open_at_one_port(hk_node *doors, place *p)
{
    uint16_t asked = hk_address_port(&p->addresses[0]);
    int rc = -EADDRINUSE;
    for (int i = 0; rc == -EADDRINUSE && i < (asked == 0 ? PORT_TRIES : 1); i++) {
        p->port = asked;
        rc = open_all(doors, p);
    }
    return rc;
}

int hk_doors_open(hk_node *doors, const char *where, const hank_listen_options *options,
                  unsigned each)
{
    place p = {.options = *options, .each = each};
    int found = find_addresses(&p, where);
    if (found < 0)
        return found;
    if (found == 0) {
        hank_listener *l;
        int rc = p.scheme->listen(where, options, &l);
        if (rc == 0)
            hk_list_push_back(doors, &l->link);
        return rc;
    }
    drop_repeated(&p, found);
    if (p.addresses[0].socket.any.sa_family == AF_UNIX)
        p.each = 1; /* they share no address */
    p.options.reuse_port = p.options.reuse_port || p.each > 1;
    return open_at_one_port(doors, &p);
}

void hk_doors_close(hk_node *doors)
{
    hk_node *at;
    while ((at = hk_list_pop_front(doors)) != NULL)
        hank_listener_close(hk_container_of(at, hank_listener, link));
}
