/* SPDX-License-Identifier: MIT */
/* done.c - who is to be told that something is over, and in which order.
 *
 *   OPEN --hank_done_call--> CALLING --the last has been called--> OVER
 *
 * Whoever adds a hook while the calls are made puts it behind the others, and the one who makes
 * them comes to it; so they come in order and none is lost between the last look at the list and
 * OVER, both of which are in the lock. Afterwards who adds one calls it. */
#include <hank/coordinate.h>

#include <errno.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "base/lock.h"

enum { OPEN, CALLING, OVER };

/* Guarded by lock. */
typedef struct done {
    hk_lock lock;
    uint32_t state;
    hk_node hooks;
    int32_t result; /* constant from CALLING on */
} done;

/* link, list  guarded by the lock of the list it is in */
typedef struct hook {
    void (*fn)(void *arg, int result);
    void *arg;
    hk_node link;
    done *list; /* NULL: in none */
} hook;

_Static_assert(sizeof(done) <= sizeof(hank_done), "hank_done is too small");
_Static_assert(sizeof(hook) <= sizeof(hank_done_hook), "hank_done_hook is too small");

static done *of(hank_done *d)
{
    return (done *)(void *)d;
}

static hook *hook_of(hank_done_hook *h)
{
    return (hook *)(void *)h;
}

int hank_done_add(hank_done *public, hank_done_hook *public_hook)
{
    done *d = of(public);
    hook *h = hook_of(public_hook);
    if (!h->fn)
        return -EINVAL;
    hk_lock_take(&d->lock, HK_RANK_SYNC);
    bool busy = h->list != NULL;
    bool over = d->state == OVER;
    if (!busy && !over) {
        h->list = d;
        hk_list_push_back(&d->hooks, &h->link);
    }
    hk_lock_drop(&d->lock);
    if (busy)
        return -EBUSY;
    if (over)
        h->fn(h->arg, d->result);
    return over;
}

int hank_done_remove(hank_done *public, hank_done_hook *public_hook)
{
    done *d = of(public);
    hook *h = hook_of(public_hook);
    hk_lock_take(&d->lock, HK_RANK_SYNC);
    bool there = h->list == d;
    if (there) {
        hk_list_remove(&h->link);
        h->list = NULL;
    }
    hk_lock_drop(&d->lock);
    return there ? 0 : -EALREADY;
}

/* The next to call, which then is in no list; its memory may be anybody's once it is called. */
static bool take_next(done *d, hook *ret)
{
    hk_lock_take(&d->lock, HK_RANK_SYNC);
    hk_node *first = d->hooks.next ? hk_list_pop_front(&d->hooks) : NULL;
    if (first) {
        hook *h = hk_container_of(first, hook, link);
        h->list = NULL;
        *ret = *h;
    } else {
        d->state = OVER;
    }
    hk_lock_drop(&d->lock);
    return first != NULL;
}

void hank_done_call(void *public, int result)
{
    done *d = of(public);
    hook next;
    hk_lock_take(&d->lock, HK_RANK_SYNC);
    bool again = d->state != OPEN;
    d->state = CALLING;
    d->result = result;
    hk_lock_drop(&d->lock);
    if (again)
        hk_panic("hank_done %p is called a second time", public);
    while (take_next(d, &next))
        next.fn(next.arg, result);
}
