/* SPDX-License-Identifier: MIT */
/* eyeballs.c - a race with a staggered start, so that an address that does not answer costs a
 * quarter of a second and not minutes.
 *
 * Each attempt is a task. The racing task starts them, by the clock or when one has failed, and
 * cancels and joins the rest when one has won: on return nobody is left.
 *
 * Source: RFC 8305, sections 4 and 5. Names are looked up in one piece, so its section 3, about
 * families that are answered one after the other, is left out. */
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

/* failed, winner, error  guarded by lock
 * news                   set when one of them has changed */
typedef struct race {
    hank_mutex lock;
    hank_event news;
    int failed;
    hank_stream *winner;
    int error;
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

/* Families in turn, beginning with that of the first; within one the order stays. */
static void interleave(const hk_address *list, int n, const hk_address *ret_order[HK_ADDRESSES_MAX])
{
    bool used[HK_ADDRESSES_MAX] = {false};
    bool first = true; /* whether the family of list[0] is next */
    for (int placed = 0; placed < n; placed++) {
        int pick = -1, other = -1;
        for (int i = n - 1; i >= 0; i--) {
            if (used[i])
                continue;
            bool same = list[i].socket.any.sa_family == list[0].socket.any.sa_family;
            *(same == first ? &pick : &other) = i;
        }
        int at = pick >= 0 ? pick : other;
        used[at] = true;
        ret_order[placed] = &list[at];
        first = !first;
    }
}

/* Until there are news, or, if `limited`, the next one is due. 0, 1: it is due; or a stop. */
static int wait_for_news(race *r, bool limited)
{
    int rc = limited ? hank_within(DELAY_NS, hank_event_wait(&r->news)) : hank_event_wait(&r->news);
    hank_event_clear(&r->news); /* what it told of is looked at after this */
    int stop = hk_stop_reason();
    return stop < 0 ? stop : rc == -ETIMEDOUT;
}

static void start(race *r, attempt *a)
{
    a->task = hank_spawn(try_one, a);
    if (a->task.error_ == 0)
        return;
    a->result = a->task.error_;
    hank_mutex_lock(&r->lock); /* it could not be made, so nobody will tell */
    r->failed++;
    r->error = a->task.error_;
    hank_mutex_unlock(&r->lock);
}

static int run(race *r, attempt *attempts, int n, int *ret_started)
{
    int started = 0, failed_before = 0, rc = 1;
    while (rc >= 0) {
        hank_mutex_lock(&r->lock);
        int failed = r->failed;
        bool over = r->winner || failed == n;
        hank_mutex_unlock(&r->lock);
        if (over)
            break;
        bool is_due = rc == 1 || failed > failed_before;
        failed_before = failed;
        rc = 0;
        if (started < n && is_due)
            start(r, &attempts[started++]);
        else
            rc = wait_for_news(r, started < n);
    }
    *ret_started = started;
    return rc < 0 ? rc : 0;
}

static int race_all(const hk_address *list, int n, race *r)
{
    const hk_address *order[HK_ADDRESSES_MAX];
    attempt attempts[HK_ADDRESSES_MAX];
    interleave(list, n, order);
    for (int i = 0; i < n; i++)
        attempts[i] = (attempt){.race = r, .address = order[i], .result = -ECANCELED};
    int started;
    int rc = run(r, attempts, n, &started);
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

int hk_connect_any(const hk_address *list, int n, hk_connect_one *connect_one,
                   const hank_connect_options *options, hank_stream **ret)
{
    HK_DCHECK(n >= 1 && n <= HK_ADDRESSES_MAX);
    if (n == 1 || !hk_runtime_reactor())
        return one_by_one(list, n, connect_one, options, ret);
    race r = {.connect_one = connect_one, .options = options};
    int rc = race_all(list, n, &r);
    if (r.winner) { /* it did take effect, whatever came then */
        *ret = r.winner;
        return 0;
    }
    return rc < 0 ? rc : r.error;
}
