/* SPDX-License-Identifier: MIT */
/* eyeballs.c - a race with a staggered start, so that an address that does not answer costs a
 * quarter of a second and not minutes.
 *
 * Each attempt is a task. The racing task starts them, by the clock or when one has failed, and
 * cancels and joins the rest when one has won: on return nobody is left.
 *
 * A family of addresses that the name servers are late with joins the race when it comes; another
 * task waits for it. It is asked for in dns.c.
 *
 * Source: RFC 8305, sections 3 to 5. */
#include "io/eyeballs.h"

#include <errno.h>

#include <hank/scope.h>
#include <hank/sync.h>
#include <hank/task.h>

#include "base/check.h"
#include "io/address.h"
#include "io/resolve.h"
#include "sched/park.h"
#include "sched/runtime.h"

static const int64_t DELAY_NS = INT64_C(250) * 1000 * 1000;

/* failed, winner, error, late, searching  guarded by lock
 * unbegun, unsearched  tasks for which there was no stack; told by nobody but their end, where no
 *         lock can be waited for
 * news    set when one of these has changed
 * taken   a bit for each address that was tried, known ones before late ones; with last, the one
 *         tried last, the racing task's own */
typedef struct race {
    hank_mutex lock;
    hank_event news;
    int failed;
    hank_stream *winner;
    int error;
    HK_ATOMIC(int) unbegun;
    HK_ATOMIC(bool) unsearched;
    bool searching;
    int late_n;
    hk_address late[HK_ADDRESSES_MAX];
    unsigned taken;
    const hk_address *last;
    const hk_candidates *known;
    hk_connect_one *connect_one;
    const hank_connect_options *options;
} race;

/* result  the attempt's own, read when its task has ended */
typedef struct attempt {
    race *race;
    const hk_address *address;
    hank_task task;
    int result;
} attempt;

/* For who wants to know of each. */
static void note(const hank_connect_options *options, const hk_address *address, int result)
{
    hank_connect_attempts *all = options ? options->attempts : NULL;
    if (!all)
        return;
    HK_DCHECK(all->n < HANK_RESOLVE_MAX);
    hk_address_set(&all->list[all->n].address, address, HK_TCP);
    all->list[all->n++].result = result;
}

static int try_one(void *arg)
{
    attempt *a = arg;
    race *r = a->race;
    hank_stream *s = NULL;
    int rc = r->connect_one(a->address, r->options, &s);
    hank_mutex_lock(&r->lock);
    bool won = rc == 0 && !r->winner;
    if (won)
        r->winner = s;
    if (rc < 0) {
        r->failed++;
        r->error = rc;
    }
    hank_mutex_unlock(&r->lock);
    if (rc == 0 && !won)
        hank_close(s);
    a->result = rc < 0 || won ? rc : -ECANCELED;
    hank_event_set(&r->news);
    return 0;
}

/* The ends of both. Who has begun at all has returned 0. */
static void end_attempt(void *arg, int result)
{
    attempt *a = arg;
    if (result == 0)
        return;
    a->result = result;
    (void)hk_add_relaxed(&a->race->unbegun, 1); /* before the event, whose lock orders */
    hank_event_set(&a->race->news);
}

static void end_search(void *arg, int result)
{
    race *r = arg;
    if (result == 0)
        return;
    hk_store_relaxed(&r->unsearched, true); /* the same */
    hank_event_set(&r->news);
}

static const hk_address *address_at(const race *r, int i)
{
    return i < r->known->n ? &r->known->list[i] : &r->late[i - r->known->n];
}

static int search(void *arg)
{
    race *r = arg;
    hk_address list[HK_ADDRESSES_MAX];
    int n = r->known->more(r->known->arg, list);
    hank_mutex_lock(&r->lock);
    for (int i = 0; i < n; i++) /* none if it has failed: then these are all */
        r->late[r->late_n++] = list[i];
    r->searching = false;
    hank_mutex_unlock(&r->lock);
    hank_event_set(&r->news);
    return 0;
}

static bool is_of_family(const hk_address *a, const hk_address *b)
{
    return a->socket.any.sa_family == b->socket.any.sa_family;
}

static bool is_searching(const race *r)
{
    return r->searching && !hk_load_relaxed(&r->unsearched); /* looked at after the event */
}

/* How many may be tried: those who may still come have their part of it. */
static int tries_max(const race *r)
{
    return is_searching(r) ? HK_ADDRESSES_MAX / 2 : HK_ADDRESSES_MAX;
}

/* The next to try: families in turn, beginning with that of the first; within one the order stays.
 * -1: there is none, or enough were tried. */
static int pick(const race *r, int started)
{
    int other = -1;
    for (int i = 0; i < r->known->n + r->late_n && started < tries_max(r); i++) {
        if (r->taken & 1u << i)
            continue;
        if (!r->last || !is_of_family(address_at(r, i), r->last))
            return i;
        if (other < 0)
            other = i;
    }
    return other;
}

/* Until there are news, or until `when`. 0, or a stop. */
static int wait_for_news(race *r, int64_t when)
{
    (void)hank_within(when - hank_now(), hank_event_wait(&r->news)); /* both are a reason to look */
    hank_event_clear(&r->news); /* what it told of is looked at after this */
    return hk_stop_reason();
}

static void start(race *r, attempt *a, int i)
{
    r->taken |= 1u << i;
    r->last = a->address = address_at(r, i);
    a->task = hank_spawn_with(try_one, a, .on_done = end_attempt, .on_done_arg = a);
    if (a->task.error_ == 0)
        return;
    a->result = a->task.error_;
    hank_mutex_lock(&r->lock); /* it could not be made, so nobody will tell */
    r->failed++;
    r->error = a->task.error_;
    hank_mutex_unlock(&r->lock);
}

static int run(race *r, attempt *attempts, int *ret_started)
{
    int started = 0, failed_before = 0, rc = 0;
    int64_t due = 0; /* when the next one is */
    while (rc == 0) {
        hank_mutex_lock(&r->lock);
        int next = pick(r, started);
        int failed = r->failed + hk_load_relaxed(&r->unbegun); /* as in is_searching */
        bool more = next >= 0 || is_searching(r);
        bool over = r->winner || (failed == started && !more);
        hank_mutex_unlock(&r->lock);
        if (over)
            break;
        if (failed > failed_before)
            due = 0;
        failed_before = failed;
        if (next >= 0 && hank_now() >= due) {
            start(r, &attempts[started++], next);
            due = hank_now() + DELAY_NS;
        } else {
            rc = wait_for_news(r, next >= 0 ? due : HANK_FOREVER);
        }
    }
    *ret_started = started;
    return rc;
}

/* For more addresses, if there may be any. One that cannot be begun finds none. */
static hank_task begin_search(race *r)
{
    r->searching = r->known->more != NULL;
    if (!r->searching)
        return (hank_task){.error_ = -ENOENT};
    hank_task t = hank_spawn_with(search, r, .on_done = end_search, .on_done_arg = r);
    if (t.error_ < 0)
        r->searching = false;
    return t;
}

static int race_all(race *r)
{
    attempt attempts[HK_ADDRESSES_MAX];
    for (int i = 0; i < HK_ADDRESSES_MAX; i++)
        attempts[i] = (attempt){.race = r, .result = -ECANCELED};
    hank_task searcher = begin_search(r);
    int started;
    int rc = run(r, attempts, &started);
    (void)hank_cancel(searcher);
    (void)hank_await(searcher); /* whatever it has found, the race is over */
    for (int i = 0; i < started; i++)
        (void)hank_cancel(attempts[i].task);
    for (int i = 0; i < started; i++)
        (void)hank_await(attempts[i].task); /* what it failed with is in r->error */
    for (int i = 0; i < started; i++)
        note(r->options, attempts[i].address, attempts[i].result);
    return rc;
}

static int one_by_one(const hk_address *list, int n, hk_connect_one *connect_one,
                      const hank_connect_options *options, hank_stream **ret)
{
    int rc = -EADDRNOTAVAIL;
    for (int i = 0; i < n; i++) {
        rc = connect_one(&list[i], options, ret);
        int stop = rc < 0 ? hk_stop_reason() : 0;
        note(options, &list[i], stop < 0 ? -ECANCELED : rc);
        if (rc == 0 || stop < 0)
            return rc == 0 ? 0 : stop;
    }
    return rc;
}

int hk_connect_any(const hk_candidates *all, hk_connect_one *connect_one,
                   const hank_connect_options *options, hank_stream **ret)
{
    HK_DCHECK(all->n >= 1 && all->n <= HK_ADDRESSES_MAX);
    if ((all->n == 1 && !all->more) || !hk_runtime_reactor())
        return one_by_one(all->list, all->n, connect_one, options, ret);
    race r = {.known = all, .connect_one = connect_one, .options = options};
    int rc = race_all(&r);
    if (r.winner) { /* it did take effect, whatever came then */
        *ret = r.winner;
        return 0;
    }
    return rc < 0 ? rc : r.error < 0 ? r.error : -ENOMEM; /* none has begun */
}
