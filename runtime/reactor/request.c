/* SPDX-License-Identifier: MIT */
/* request.c - who is told that a request has ended: the wait it was made for, or the one after it.
 *
 * The first wait may be stopped at any moment, also while the poller is at its end:
 *
 *       poller                            task, stopped
 *       read first                        write second
 *       write result                      PENDING -> MOVED, or it was ENDED: go on
 *       swap ENDED; was it MOVED?         wait for second, firmly
 *         then read second
 *
 * So exactly one ticket is handed out that somebody waits for, and after the swap the poller
 * touches a request only if its task cannot go on without it. */
#include "base/check.h"
#include "reactor/reactor.h"

enum { PENDING = 0, MOVED = 1, ENDED = 2 };

void hk_request_begin(hk_request *q, hk_ticket first)
{
    q->first = first;
    q->planned = 0;
    hk_store_relaxed(&q->state, (uint32_t)PENDING); /* relaxed: published with the entry */
}

bool hk_request_move(hk_request *q, hk_ticket second)
{
    uint32_t state = PENDING;
    q->second = second;
    /* [request:state] release: second. Acquire, if it has ended: its result. */
    return hk_cas_acqrel(&q->state, &state, (uint32_t)MOVED);
}

hk_ticket hk_request_end(hk_request *q, int result)
{
    hk_ticket first = q->first;
    q->result = result;
    /* [request:state] release: the result. Acquire, if it was moved: second. */
    uint32_t before = hk_swap_acqrel(&q->state, (uint32_t)ENDED);
    HK_DCHECK(before != ENDED);
    return before == MOVED ? q->second : first;
}
