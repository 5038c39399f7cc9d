/* SPDX-License-Identifier: MIT */
/* look.c - watching children; and the public waits that are nothing but that. */
#include "sched/look.h"

#include <hank/wait.h>

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/fork.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/worker.h"

/* --- the children's side --------------------------------------------------------------------- */

static bool has_failed(int result)
{
    return result < 0 && result != -ECANCELED;
}

/* Called with the lock held. */
static void count_ended(hk_look *l, size_t index, int result)
{
    if (l->watches)
        l->watches[l->ended].nth = (uint32_t)index;
    l->ended++;
    l->failed += has_failed(result);
}

/* Called with the lock held. */
static bool is_there(hk_look *l)
{
    bool all = l->watched == 0;
    switch ((hk_look_until)l->until) {
    case HK_LOOK_ANY: return l->said || l->ended > 0 || all;
    case HK_LOOK_FAILED: return l->failed > 0 || all;
    case HK_LOOK_NEXT: return l->taken < l->ended || all;
    default: return all;
    }
}

void hk_look_tell(hk_look *l)
{
    hk_ticket waiter = l->waiter;
    bool wake = l->waiting && is_there(l);
    if (wake) {
        l->waiting = false;
        wake = hk_ticket_claim(waiter, 0); /* or it was stopped first, and looks by itself */
    }
    hk_lock_drop(&l->lock);
    if (wake)
        hk_wake_claimed(waiter.sleeper);
}

/* Called with the lock held: a child that was watched has ended, or counts as such. */
static void count_watched_ended(hk_look *l, const hk_watch *watch, int result)
{
    count_ended(l, l->watches ? (size_t)(watch - l->watches) : 0, result);
    l->watched--;
}

void hk_look_arrive(hk_watch *watch, int result)
{
    hk_look *l = watch->look;
    hk_lock_take(&l->lock, HK_RANK_SYNC);
    count_watched_ended(l, watch, result);
    hk_look_tell(l);
}

/* --- the owner's side ------------------------------------------------------------------------ */

void hk_look_begin(hk_look *l, hk_watch *watches, size_t n)
{
    const hk_watch watch = {.mode = HK_JOIN_LOOK, .look = l};
    *l = (hk_look){.watches = watches, .shared = watch};
    for (size_t i = 0; i < n; i++)
        watches[i] = watch;
}

static hk_watch *watch_at(hk_look *l, size_t index)
{
    return l->watches ? &l->watches[index] : &l->shared;
}

/* `change` children more, or fewer, that we wait for; those that have ended go to count_ended. */
static void count_watched(hk_look *l, int change)
{
    hk_lock_take(&l->lock, HK_RANK_SYNC);
    l->watched += (size_t)change;
    hk_lock_drop(&l->lock);
}

static struct hk_join *in_word(hk_watch *watch)
{
    return (struct hk_join *)(void *)watch;
}

static void add_ended(hk_look *l, size_t index, int result)
{
    hk_lock_take(&l->lock, HK_RANK_SYNC);
    count_ended(l, index, result);
    hk_lock_drop(&l->lock);
}

int hk_look_add(hk_look *l, hank_task task, size_t index)
{
    int error;
    hk_task *c = hk_task_child(hk_worker_self()->current, task, &error);
    struct hk_join *now = c ? hk_load_acquire(&c->join) : HK_JOIN_NONE; /* [task:done] acquire */
    if (c && now == HK_JOIN_NONE) {
        c->home = HK_HOME_NONE; /* a call would not find us in its join word */
        c->index = index;
        count_watched(l, 1);
        if (hk_cas_acqrel(&c->join, &now, in_word(watch_at(l, index)))) /* [task:join] */
            return 0;
        count_watched(l, -1);
    }
    if (c && now != HK_JOIN_DONE)
        return -EBUSY;
    if (c)
        c->index = index;
    add_ended(l, index, c ? c->result : error);
    return 0;
}

/* Out of c's join word. False: it is not in there, or no more. */
static bool take_out(hk_watch *watch, hk_task *c)
{
    struct hk_join *expected = in_word(watch);
    return hk_cas_acqrel(&c->join, &expected, HK_JOIN_NONE); /* [task:join] */
}

static void leave(hk_look *l, hank_task task, size_t index)
{
    int error;
    hk_task *c = hk_task_child(hk_worker_self()->current, task, &error);
    if (c && take_out(watch_at(l, index), c))
        count_watched(l, -1);
}

void hk_look_end(hk_look *l, const hank_task *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        leave(l, tasks[i], i);
    (void)hk_look_wait(l, HK_LOOK_ALL, HK_WAITING_FIRMLY, HK_FOREVER); /* nothing can stop it */
}

void hk_look_forget(hk_task *c)
{
    struct hk_join *j = hk_load_relaxed(&c->join); /* a look of ours stays one while it is there */
    if (j == HK_JOIN_NONE || j == HK_JOIN_DONE || j == HK_JOIN_CALLED || j == HK_JOIN_DETACHED ||
        j->mode != HK_JOIN_LOOK)
        return;
    hk_watch *watch = hk_watch_of(j);
    hk_look *l = watch->look;
    if (!take_out(watch, c))
        return;
    hk_lock_take(&l->lock, HK_RANK_SYNC);
    count_watched_ended(l, watch, 0);
    hk_lock_drop(&l->lock);
}

int hk_look_wait(hk_look *l, hk_look_until until, unsigned state, int64_t deadline)
{
    for (;;) {
        hk_waiter w;
        hk_lock_take(&l->lock, HK_RANK_SYNC);
        l->until = (uint8_t)until;
        bool there = is_there(l);
        if (!there) {
            hk_park_begin(&w, state);
            l->waiter = w.ticket;
            l->waiting = true;
        }
        hk_lock_drop(&l->lock);
        if (there)
            return 0;
        int rc = hk_park(&w, deadline, "tasks");
        hk_lock_take(&l->lock, HK_RANK_SYNC);
        l->waiting = false;
        hk_lock_drop(&l->lock);
        if (rc != 0)
            return rc;
    }
}

bool hk_look_take(hk_look *l, size_t *ret_index)
{
    hk_lock_take(&l->lock, HK_RANK_SYNC);
    bool there = l->taken < l->ended;
    if (there)
        *ret_index = l->watches[l->taken++].nth;
    hk_lock_drop(&l->lock);
    return there;
}

/* --- wait ------------------------------------------------------------------------------------ */

/* 0, or why the caller may not look at n tasks. */
static int check(size_t n)
{
    hk_worker *w = hk_worker_self();
    if (n == 0)
        return -EINVAL;
    if (n > HK_JOIN_MAX)
        return -E2BIG;
    return w && w->current ? 0 : hk_not_in_a_task();
}

/* Is tasks[i] one that was added already? Its index may be of an earlier look, but is looked up. */
static bool is_again(const hank_task *tasks, size_t i)
{
    int error;
    hk_task *c = hk_task_child(hk_worker_self()->current, tasks[i], &error);
    return c && c->index < i && tasks[c->index].slot_ == c;
}

static int add_all(hk_look *l, const hank_task *tasks, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!is_again(tasks, i))
            rc = hk_look_add(l, tasks[i], i);
    }
    if (rc < 0)
        hk_look_end(l, tasks, n);
    return rc;
}

int hank_wait_n(const hank_task *tasks, size_t n, hank_until until, bool *ret_done)
{
    hk_look l;
    int rc = until >= HANK_FIRST_DONE && until <= HANK_ALL_DONE ? check(n) : -EINVAL;
    if (rc < 0)
        return rc;
    hk_look_begin(&l, NULL, 0);
    rc = add_all(&l, tasks, n);
    if (rc < 0)
        return rc;
    rc = hk_checkpoint();
    if (rc == 0)
        rc = hk_look_wait(&l, (hk_look_until)until, HK_WAITING, HK_FOREVER);
    hk_look_end(&l, tasks, n);
    int done = 0;
    for (size_t i = 0; i < n; i++) {
        int error;
        hk_task *c = hk_task_child(hk_worker_self()->current, tasks[i], &error);
        bool is = !c || hk_task_done(c);
        done += is;
        if (ret_done)
            ret_done[i] = is;
    }
    return rc < 0 ? rc : done;
}

/* --- as completed ---------------------------------------------------------------------------- */

typedef struct completions {
    hank_scope scope; /* first: so that it must end, and in its place */
    hk_look look;
    const hank_task *tasks;
    size_t n;
} completions;

_Static_assert(sizeof(completions) <= sizeof(hank_completions), "hank_completions is too small");

static completions *of(hank_completions *c)
{
    return (completions *)(void *)c;
}

int hank_completions_begin(hank_completions *public, const hank_task *tasks, size_t n)
{
    completions *c = of(public);
    int rc = check(n > 0 ? n : 1); /* of no tasks is fine: it has come to its end */
    if (rc < 0)
        return rc;
    hk_watch *watches = hk_alloc(n * sizeof *watches);
    if (!watches)
        return -ENOMEM;
    hk_look_begin(&c->look, watches, n);
    c->tasks = tasks;
    c->n = n;
    rc = add_all(&c->look, tasks, n);
    if (rc < 0) {
        hk_free(watches, n * sizeof *watches);
        return rc;
    }
    hk_scope_begin_look(&c->scope);
    return 0;
}

ssize_t hank_completions_next(hank_completions *public)
{
    completions *c = of(public);
    size_t index;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    rc = hk_look_wait(&c->look, HK_LOOK_NEXT, HK_WAITING, HK_FOREVER);
    if (rc < 0)
        return rc;
    return hk_look_take(&c->look, &index) ? (ssize_t)index : -ENOENT;
}

void hank_completions_end(hank_completions *public)
{
    completions *c = of(public);
    hk_scope_end_look(&c->scope);
    hk_look_end(&c->look, c->tasks, c->n);
    hk_free(c->look.watches, c->n * sizeof *c->look.watches);
}

/* --- looking without waiting ----------------------------------------------------------------- */

int hank_is_done(hank_task task)
{
    hk_task *t = task.slot_;
    if (!t)
        return task.generation_ ? 1 : -ESTALE;
    bool done = hk_task_done(t);
    /* Read after it, so that what was seen is this task's: a later one has another generation. */
    bool same = HK_GENERATION(hk_load_acquire(&t->control)) == task.generation_; /* [task:turn] */
    return same ? done : -ESTALE;
}

int hank_result(hank_task task, int *ret_result)
{
    hk_worker *w = hk_worker_self();
    int error;
    if (!w || !w->current)
        return hk_not_in_a_task();
    hk_task *c = hk_task_child(w->current, task, &error);
    if (!c && (task.slot_ || task.generation_ == 0))
        return error;
    if (c && !hk_task_done(c))
        return -EINPROGRESS;
    *ret_result = c ? c->result : error;
    return 0;
}
