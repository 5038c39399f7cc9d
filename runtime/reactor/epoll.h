/* SPDX-License-Identifier: MIT */
/* epoll.h - readiness on Linux, in parts, for a backend that has more to look at. */
#ifndef HK_REACTOR_EPOLL_H
#define HK_REACTOR_EPOLL_H

#include "reactor/reactor.h"

/* For hk_backend. */
int hk_epoll_open(hk_reactor *r);
void hk_epoll_close(hk_reactor *r);
int hk_epoll_watch(hk_reactor *r, hk_source *s, unsigned before, unsigned wanted);
void hk_epoll_forget(hk_reactor *r, hk_source *s);
int hk_epoll_wait(hk_reactor *r, int64_t timeout_ns, hk_ready *ready, int max);

/* End a wait when there is something in this descriptor that is not so far: an edge, as for
 * sources. Nobody is told of it. */
HK_MUST_CHECK int hk_epoll_end_waits(hk_reactor *r, int fd);

#endif
