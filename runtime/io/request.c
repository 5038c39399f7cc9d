/* SPDX-License-Identifier: MIT */
/* request.c - to wait for a call that the kernel makes.
 *
 * It has the caller's memory until it is done, so a stop does not end the wait: it takes back a
 * call that has not begun, asks the kernel to end one that has, and waits on. Most are done by
 * then, or cannot be ended; then the caller is told how it went, as if no stop had come. The pool
 * treats a call no other way (io/lane.c). */
#include "io/request.h"

#include <errno.h>

#include "base/check.h"
#include "sched/park.h"
#include "sched/runtime.h"

static bool is_possible(void)
{
    const hk_reactor *r = hk_runtime_reactor();
    return r && r->backend->request;
}

/* The wait was stopped. 0: it was made after all. */
static int after_stop(hk_reactor *r, hk_request *q, int stop)
{
    if (r->backend->recall(r, q))
        return stop;
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING_FIRMLY); /* the kernel may have our memory */
    if (hk_request_move(q, w.ticket)) {
        (void)hk_park(&w, HK_FOREVER, "file"); /* the result is in q */
    } else {
        bool over = hk_park_abandon(&w);
        HK_CHECK(over); /* nobody knew the ticket */
    }
    return q->result == -ECANCELED || q->result == -EINTR ? stop : 0;
}

static int make_once(hk_request *q, unsigned state)
{
    hk_reactor *r = hk_runtime_reactor();
    hk_waiter w = {0};
    hk_park_begin(&w, state);
    hk_request_begin(q, w.ticket);
    if (!r->backend->request(r, q)) {
        hk_park_give_up(&w);
        return HK_RETRY;
    }
    int stop = hk_park(&w, HK_FOREVER, "file");
    return stop < 0 ? after_stop(r, q, stop) : 0;
}

/* The kernel had no thread for it; or it may not wait for this file and would have to. */
static bool is_undone(const hk_request *q)
{
    return q->planned == 0 && (q->result == -ECANCELED || q->result == -EAGAIN);
}

static int make(hk_request *q, unsigned state)
{
    int rc;
    do
        rc = make_once(q, state);
    while (rc == 0 && q->result == -EINTR);
    return rc == 0 && is_undone(q) ? HK_RETRY : rc;
}

int hk_request_make(hk_request *q)
{
    if (!is_possible())
        return HK_RETRY;
    int rc = hk_checkpoint();
    return rc < 0 ? rc : make(q, HK_WAITING);
}

int hk_request_go_on(hk_request *q)
{
    return make(q, HK_WAITING_FIRMLY);
}
