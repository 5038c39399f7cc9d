/* SPDX-License-Identifier: MIT */
/* allocation_test.c - whatever is waited at, waiting, waking, cancelling and timing out take no
 * memory. */
#include "api/allocation_support.h"

#if HK_FAULTS

/* New before each wait. */
typedef struct objects {
    hank_mutex mutex;
    hank_cond cond;
    hank_event event;
    hank_sem sem;
    hank_rwlock rwlock;
    hank_barrier barrier;
    hank_once once;
    hank_limiter limiter;
    hank_promise promise;
    hank_task other; /* one that is in the way of who waits */
    bool ready;
} objects;

/* What is waited at. */
typedef struct ground {
    objects o;
    hank_chan *full, *rendezvous, *empty, *unbounded, *newest, *least;
} ground;

static void clear(void *g)
{
    ((ground *)g)->o = (objects){.ready = false};
}

/* --- locks and conditions --------------------------------------------------------------------- */

static int hold_the_mutex(void *g)
{
    hank_mutex_lock(&((ground *)g)->o.mutex);
    return 0;
}

static int let_the_mutex_go(void *g)
{
    hank_mutex_unlock(&((ground *)g)->o.mutex);
    return 0;
}

static int lock_stoppable(void *g)
{
    int rc = hank_mutex_lock_stoppable(&((ground *)g)->o.mutex);
    return rc == 0 ? let_the_mutex_go(g) : rc;
}

static int lock(void *g)
{
    hank_mutex_lock(&((ground *)g)->o.mutex);
    return let_the_mutex_go(g);
}

static int wait_at_the_cond(void *g)
{
    objects *o = &((ground *)g)->o;
    hank_mutex_lock(&o->mutex);
    int rc = hank_cond_wait(&o->cond, &o->mutex);
    hank_mutex_unlock(&o->mutex);
    return rc;
}

static bool is_ready(void *ready)
{
    return *(bool *)ready;
}

static int wait_at_the_cond_for_it(void *g)
{
    objects *o = &((ground *)g)->o;
    hank_mutex_lock(&o->mutex);
    int rc = hank_cond_wait_for(&o->cond, &o->mutex, is_ready, &o->ready);
    hank_mutex_unlock(&o->mutex);
    return rc;
}

static int signal_the_cond(void *g)
{
    objects *o = &((ground *)g)->o;
    hank_mutex_lock(&o->mutex);
    o->ready = true;
    hank_cond_signal(&o->cond);
    hank_mutex_unlock(&o->mutex);
    return 0;
}

static int tell_all_at_the_cond(void *g)
{
    objects *o = &((ground *)g)->o;
    o->ready = true;
    hank_cond_broadcast(&o->cond);
    return 0;
}

static int write_lock(void *g)
{
    hank_rwlock_wrlock(&((ground *)g)->o.rwlock);
    return 0;
}

static int write_unlock(void *g)
{
    hank_rwlock_wrunlock(&((ground *)g)->o.rwlock);
    return 0;
}

static int read_lock(void *g)
{
    objects *o = &((ground *)g)->o;
    hank_rwlock_rdlock(&o->rwlock);
    hank_rwlock_rdunlock(&o->rwlock);
    return 0;
}

static int write_lock_and_unlock(void *g)
{
    (void)write_lock(g);
    return write_unlock(g);
}

static int read_and_let_go(void *g)
{
    objects *o = &((ground *)g)->o;
    int rc = hank_rwlock_rdlock_stoppable(&o->rwlock);
    if (rc == 0)
        hank_rwlock_rdunlock(&o->rwlock);
    return rc;
}

static int write_and_let_go(void *g)
{
    objects *o = &((ground *)g)->o;
    int rc = hank_rwlock_wrlock_stoppable(&o->rwlock);
    return rc == 0 ? write_unlock(g) : rc;
}

/* --- events, permits, tokens, meetings -------------------------------------------------------- */

static int wait_for_the_event(void *g)
{
    return hank_event_wait(&((ground *)g)->o.event);
}

static int set_the_event(void *g)
{
    hank_event_set(&((ground *)g)->o.event);
    return 0;
}

static int acquire(void *g)
{
    return hank_sem_acquire_n(&((ground *)g)->o.sem, 2);
}

static int release(void *g)
{
    return hank_sem_release_n(&((ground *)g)->o.sem, 2);
}

static int await_the_promise(void *g)
{
    return hank_promise_await(&((ground *)g)->o.promise, NULL);
}

static int keep_the_promise(void *g)
{
    return hank_promise_set(&((ground *)g)->o.promise, NULL);
}

static int two_parties(void *g)
{
    ((ground *)g)->o.barrier.parties = 2;
    return 0;
}

static int meet(void *g)
{
    int rc = hank_barrier_wait(&((ground *)g)->o.barrier);
    return rc < 0 ? rc : 0;
}

static int run_once(void *g)
{
    return hank_once_run(&((ground *)g)->o.once, wait_for_the_event, g);
}

static int somebody_runs_it(void *g)
{
    objects *o = &((ground *)g)->o;
    o->other = hank_spawn(run_once, g);
    let_the_others_run();
    return 0;
}

static int it_has_run(void *g)
{
    (void)set_the_event(g);
    return hank_await(((ground *)g)->o.other);
}

static int take_a_burst(void *g)
{
    return hank_limiter_acquire(&((ground *)g)->o.limiter, 2);
}

/* Two tokens are an hour away, for the one in front; one is there for who comes next. */
static int somebody_is_in_front(void *g)
{
    objects *o = &((ground *)g)->o;
    o->limiter = (hank_limiter){.tokens = 1, .period = HANK_SEC(3600), .burst = 2};
    MUST(hank_limiter_acquire(&o->limiter, 1) == 0);
    o->other = hank_spawn(take_a_burst, g);
    let_the_others_run();
    return 0;
}

static int take_a_token(void *g)
{
    return hank_limiter_acquire(&((ground *)g)->o.limiter, 1);
}

static int cancel_who_is_in_front(void *g)
{
    return hank_cancel(((ground *)g)->o.other);
}

static int nobody_is_in_front(void *g)
{
    objects *o = &((ground *)g)->o;
    (void)hank_cancel(o->other); /* once more if it was woken so */
    return hank_await(o->other) == -ECANCELED ? 0 : -EPROTO;
}

/* --- channels --------------------------------------------------------------------------------- */

static int drain(hank_chan *c)
{
    int element, rc;
    while ((rc = hank_chan_tryrecv(c, &element)) == 0)
        MUST(hank_chan_task_done(c) == 0);
    return rc == -EAGAIN ? 0 : rc;
}

static int put(hank_chan *c)
{
    return hank_chan_trysend(c, &(int){1});
}

static int take(hank_chan *c)
{
    int element;
    int rc = hank_chan_recv(c, &element);
    return rc == 0 ? hank_chan_task_done(c) : rc;
}

#define PUT_AND_TAKE(which)                                                                        \
    static int put_into_##which(void *g)                                                           \
    {                                                                                              \
        return put(((ground *)g)->which);                                                          \
    }                                                                                              \
    static int take_from_##which(void *g)                                                          \
    {                                                                                              \
        return take(((ground *)g)->which);                                                         \
    }
PUT_AND_TAKE(empty)
PUT_AND_TAKE(rendezvous)
PUT_AND_TAKE(unbounded)
PUT_AND_TAKE(newest)
PUT_AND_TAKE(least)
PUT_AND_TAKE(full)

static int drain_full(void *g)
{
    return drain(((ground *)g)->full);
}

static int fill(void *g)
{
    int rc = drain_full(g);
    return rc == 0 ? put_into_full(g) : rc;
}

static int send_to_full(void *g)
{
    return hank_chan_send(((ground *)g)->full, &(int){2});
}

static int send_to_rendezvous(void *g)
{
    return hank_chan_send(((ground *)g)->rendezvous, &(int){2});
}

static int join_full(void *g)
{
    return hank_chan_join(((ground *)g)->full);
}

static int select_of_two(void *g)
{
    ground *all = g;
    int element, other = 2;
    hank_case cases[] = {{.chan = all->empty, .recv = &element},
                         {.chan = all->rendezvous, .send = &other}};
    int rc = hank_select(cases, 2);
    return rc < 0 ? rc : 0;
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* --- what is only tried ----------------------------------------------------------------------- */

static int try_locks(void *g)
{
    objects *o = &((ground *)g)->o;
    MUST(hank_mutex_trylock(&o->mutex) && !hank_mutex_trylock(&o->mutex));
    hank_mutex_unlock(&o->mutex);
    MUST(hank_rwlock_tryrdlock(&o->rwlock) && !hank_rwlock_trywrlock(&o->rwlock));
    hank_rwlock_rdunlock(&o->rwlock);
    MUST(hank_rwlock_trywrlock(&o->rwlock) && !hank_rwlock_tryrdlock(&o->rwlock));
    hank_rwlock_wrunlock(&o->rwlock);
    MUST(hank_sem_release(&o->sem) == 0 && hank_sem_tryacquire(&o->sem) == 0);
    o->limiter = (hank_limiter){.tokens = 1, .period = HANK_SEC(3600)};
    MUST(hank_limiter_tryacquire(&o->limiter, 1) == 0);
    MUST(hank_limiter_tryacquire(&o->limiter, 1) == -EAGAIN);
    hank_barrier_abort(&o->barrier);
    hank_barrier_reset(&o->barrier);
    MUST(hank_promise_fail(&o->promise, -EIO) == 0);
    return 0;
}

static int try_channels(void *g)
{
    ground *all = g;
    hank_chan *each[] = {all->empty, all->unbounded, all->newest, all->least};
    int element = 3;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        hank_case one = {.chan = each[i], .recv = &element};
        MUST(drain(each[i]) == 0 && put(each[i]) == 0 && hank_chan_len(each[i]) == 1);
        MUST(hank_tryselect(&one, 1) == 0 && hank_tryselect(&one, 1) == -EAGAIN);
    }
    return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

static const way ways[] = {
    {.name = "what is tried", .before = try_locks, .waits = sleep_forever},
    {.name = "channels that are tried", .before = try_channels, .waits = sleep_forever},
    {.name = "mutex_lock",
     .before = hold_the_mutex,
     .waits = lock,
     .wakes = let_the_mutex_go,
     .never_stops = true},
    {.name = "mutex_lock_stoppable",
     .before = hold_the_mutex,
     .waits = lock_stoppable,
     .wakes = let_the_mutex_go},
    {.name = "cond_wait", .waits = wait_at_the_cond, .wakes = signal_the_cond},
    {.name = "cond_wait, broadcast", .waits = wait_at_the_cond, .wakes = tell_all_at_the_cond},
    {.name = "cond_wait_for", .waits = wait_at_the_cond_for_it, .wakes = signal_the_cond},
    {.name = "rwlock_rdlock",
     .before = write_lock,
     .waits = read_lock,
     .wakes = write_unlock,
     .never_stops = true},
    {.name = "rwlock_wrlock",
     .before = write_lock,
     .waits = write_lock_and_unlock,
     .wakes = write_unlock,
     .never_stops = true},
    {.name = "rwlock_rdlock_stoppable",
     .before = write_lock,
     .waits = read_and_let_go,
     .wakes = write_unlock},
    {.name = "rwlock_wrlock_stoppable",
     .before = write_lock,
     .waits = write_and_let_go,
     .wakes = write_unlock},
    {.name = "event_wait", .waits = wait_for_the_event, .wakes = set_the_event},
    {.name = "sem_acquire_n", .waits = acquire, .wakes = release},
    {.name = "barrier_wait", .before = two_parties, .waits = meet, .wakes = meet},
    {.name = "once_run",
     .before = somebody_runs_it,
     .waits = run_once,
     .wakes = set_the_event,
     .after = it_has_run},
    {.name = "limiter_acquire",
     .before = somebody_is_in_front,
     .waits = take_a_token,
     .wakes = cancel_who_is_in_front,
     .after = nobody_is_in_front},
    {.name = "promise_await", .waits = await_the_promise, .wakes = keep_the_promise},
    {.name = "chan_recv", .waits = take_from_empty, .wakes = put_into_empty},
    {.name = "chan_recv, rendezvous", .waits = take_from_rendezvous, .wakes = put_into_rendezvous},
    {.name = "chan_recv, unbounded", .waits = take_from_unbounded, .wakes = put_into_unbounded},
    {.name = "chan_recv, LIFO", .waits = take_from_newest, .wakes = put_into_newest},
    {.name = "chan_recv, by priority", .waits = take_from_least, .wakes = put_into_least},
    {.name = "chan_send", .before = fill, .waits = send_to_full, .wakes = take_from_full},
    {.name = "chan_send, rendezvous", .waits = send_to_rendezvous, .wakes = take_from_rendezvous},
    {.name = "chan_join", .before = fill, .waits = join_full, .wakes = drain_full},
    {.name = "select, to receive", .waits = select_of_two, .wakes = put_into_empty},
    {.name = "select, to send", .waits = select_of_two, .wakes = take_from_rendezvous},
};

static int prepare(ground *g)
{
    hank_chan_options lifo = {.order = HANK_LIFO};
    hank_chan_options priority = {.order = HANK_PRIORITY, .compare = compare_ints};
    *g = (ground){.full = hank_chan_new(sizeof(int), 1),
                  .rendezvous = hank_chan_new(sizeof(int), 0),
                  .empty = hank_chan_new(sizeof(int), 4),
                  .unbounded = hank_chan_new(sizeof(int), HANK_UNBOUNDED),
                  .newest = hank_chan_new_opt(sizeof(int), 4, &lifo),
                  .least = hank_chan_new_opt(sizeof(int), 4, &priority)};
    MUST(g->full && g->rendezvous && g->empty && g->unbounded && g->newest && g->least);
    return 0;
}

static void give_all_back(ground *g)
{
    hank_chan *each[] = {g->full, g->rendezvous, g->empty, g->unbounded, g->newest, g->least};
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
        hank_chan_free(each[i]);
}

static int wait_at_everything(void *arg)
{
    ground g;
    way_table table = {ways, sizeof ways / sizeof ways[0], clear, &g};
    (void)arg;
    MUST(prepare(&g) == 0);
    int rc = memory_is_taken_as_documented(&table);
    give_all_back(&g);
    return rc;
}

Test(allocation, is_none_to_wait_wake_cancel_or_time_out_at_anything)
{
    with_workers(1, wait_at_everything, NULL);
}

#endif
