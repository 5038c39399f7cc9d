/* SPDX-License-Identifier: MIT */
/* request.h - system calls that the kernel makes while the task waits, where the reactor can have
 * them made. */
#ifndef HK_IO_REQUEST_H
#define HK_IO_REQUEST_H

#include "base/compiler.h"
#include "reactor/reactor.h"

/* Have q's call made and wait for it. 0: it was, and q->result is what it came to, never -EINTR;
 * HK_RETRY: not in this way, so it is one for the pool, and nothing has happened; -ECANCELED,
 * -ETIMEDOUT: nothing has happened either. */
HK_MUST_CHECK int hk_request_make(hk_request *q);

/* The same for the rest of something that has begun: no stop ends it. 0 or HK_RETRY. */
HK_MUST_CHECK int hk_request_go_on(hk_request *q);

#endif
