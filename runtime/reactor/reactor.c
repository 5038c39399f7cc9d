/* SPDX-License-Identifier: MIT */
/* reactor.c - waiting, and being interrupted while waiting.
 *
 * Interrupts are coalesced: between two waits only the first costs a system call.
 *
 *       interrupter                          waiter
 *       publish work                         wake_pending?  then do not block
 *       swap wake_pending = true             block in the kernel
 *       was it false? then poke the kernel   swap wake_pending = false
 *                                            look for work
 *
 * Invariant: while wake_pending is true, the kernel has been or is about to be poked, or the next
 * wait does not block. An interrupter that finds it true may leave: either the waiter has yet to
 * swap it, and then sees the work published before, or it is about to be poked by someone else.
 *
 * Only a wait that may block clears it. A helper that polls for a busy owner may swallow the poke
 * in the kernel, but not the flag, so the owner's next wait still does not block.
 *
 * A source's event or a due timer never starves the other: each has its part of the list. */
#include "reactor/reactor.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/os.h"

/* Those of this system, the one to use when nobody cares first. */
static const hk_backend *const backends[] = {
#ifdef __linux__
#if HK_URING
    &hk_backend_beside,
    &hk_backend_uring,
#endif
    &hk_backend_epoll,
#else
    &hk_backend_kqueue,
#endif
};

enum { BACKENDS = sizeof backends / sizeof *backends };

enum { TIMERS_ROOM = 32 }; /* of HK_READY_MAX: kept for timers when descriptors fill the list */

const hk_backend *hk_reactor_backend(const char *name)
{
    if (!*name)
        return backends[0];
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

int hk_reactor_open(hk_reactor *r, const hk_backend *backend)
{
    memset(r, 0, sizeof *r); /* a compound literal of this size would be built on the stack */
    r->backend = backend ? backend : backends[0];
    r->backend_fd = r->wake_fd = -1;
    hk_timers_init(&r->timers);
    return r->backend->open(r);
}

void hk_reactor_close(hk_reactor *r)
{
    r->backend->close(r);
}

void hk_reactor_own(hk_reactor *r)
{
    hk_store_relaxed(&r->owner, (uintptr_t)hk_os_thread_self()); /* whoever else asks is not it */
}

/* How long to wait: 0 not at all, negative for ever. */
static int64_t timeout_until(hk_reactor *r, int64_t deadline)
{
    if (hk_load_acquire(&r->wake_pending)) /* [reactor:wake] acquire: what it was about */
        return 0;
    /* Relaxed: whoever makes it earlier from now on interrupts, and we have not blocked yet. */
    int64_t earliest = hk_load_relaxed(&r->timers.earliest);
    int64_t until = earliest < deadline ? earliest : deadline;
    if (until == INT64_MAX)
        return -1;
    int64_t now = hk_os_now();
    return until > now ? until - now : 0;
}

int hk_reactor_wait(hk_reactor *r, int64_t deadline, hk_ready *ready)
{
    /* Held while blocked, which is why it is never taken otherwise than by trying. */
    if (!hk_lock_try(&r->polling, HK_RANK_REACTOR))
        return 0;
    bool may_block = deadline != 0;
    int64_t timeout_ns = may_block ? timeout_until(r, deadline) : 0;
    int rc = r->backend->wait(r, timeout_ns, ready, HK_READY_MAX - TIMERS_ROOM);
    if (may_block && hk_load_relaxed(&r->wake_pending)) /* relaxed: if late, then next time */
        (void)hk_swap_acqrel(&r->wake_pending, false);  /* [reactor:wake] acquire */

    int n = rc < 0 ? 0 : rc;
    if (hk_load_relaxed(&r->timers.earliest) != INT64_MAX) /* relaxed: asked again under its lock */
        hk_timers_expire(&r->timers, hk_os_now(), ready, &n, HK_READY_MAX);
    hk_lock_drop(&r->polling);
    return rc < 0 && rc != -EINTR && n == 0 ? rc : n;
}

int hk_reactor_help(hk_reactor *r, hk_ready *ready)
{
    if (r->backend->nudge)
        r->backend->nudge(r);
    return hk_reactor_wait(r, 0, ready);
}

void hk_reactor_interrupt(hk_reactor *r)
{
    /* [reactor:wake] release: the waiter sees what the caller wrote before. */
    if (!hk_swap_acqrel(&r->wake_pending, true))
        r->backend->interrupt(r);
}
