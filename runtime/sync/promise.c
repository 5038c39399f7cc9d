/* SPDX-License-Identifier: MIT */
/* promise.c - an event that is set once and carries something. */
#include <hank/promise.h>

#include <errno.h>
#include <stdint.h>

#include "sched/park.h"
#include "sync/waitq.h"

/* decided  zero until it is kept or broken; guarded by q.lock, which is taken even to read: whoever
 * has waited may free the promise, and the one who decides must be out of it by then value   the
 * same; it is constant once result is 0 */
typedef struct hk_promise {
    hk_waitq q;
    void *value;
    int32_t decided; /* whether result counts: zeroed is undecided */
    int32_t result;
} hk_promise;

_Static_assert(sizeof(hk_promise) <= sizeof(hank_promise), "hank_promise is too small");

static hk_promise *of(hank_promise *p)
{
    return (hk_promise *)(void *)p;
}

static int decide(hank_promise *public, int result, void *value)
{
    hk_promise *p = of(public);
    hk_node claimed;
    hk_list_init(&claimed);
    hk_waitq_lock(&p->q);
    bool late = p->decided != 0;
    if (!late) {
        p->decided = 1;
        p->result = result;
        p->value = value;
        (void)hk_waitq_claim_n(&p->q, 0, SIZE_MAX, &claimed); /* all of them */
    }
    hk_waitq_unlock(&p->q);
    hk_waitq_run_all(&claimed);
    return late ? -EALREADY : 0;
}

int hank_promise_set(hank_promise *p, void *value)
{
    return decide(p, 0, value);
}

int hank_promise_fail(hank_promise *p, int error)
{
    return error < 0 ? decide(p, error, NULL) : -EINVAL;
}

/* Called with the lock held, and drops it. */
static int read_and_unlock(hk_promise *p, void **ret_value)
{
    int result = p->decided ? p->result : -EINPROGRESS;
    if (result == 0 && ret_value)
        *ret_value = p->value;
    hk_waitq_unlock(&p->q);
    return result;
}

int hank_promise_await(hank_promise *public, void **ret_value)
{
    hk_promise *p = of(public);
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_waitq_lock(&p->q);
    if (!p->decided) {
        rc = hk_waitq_wait(&p->q, NULL, HK_WAITING, "promise");
        if (rc < 0)
            return rc;
        hk_waitq_lock(&p->q);
    }
    return read_and_unlock(p, ret_value);
}

int hank_promise_result(hank_promise *public, void **ret_value)
{
    hk_promise *p = of(public);
    hk_waitq_lock(&p->q);
    return read_and_unlock(p, ret_value);
}
