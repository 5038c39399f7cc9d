/* SPDX-License-Identifier: MIT */
/* sync_stress.c - everything there is to wait for, by tasks and threads at once, stopped at random.
 *
 *   stress_sync_stress [WORKERS [ROUNDS [SEED]]]       default: 1, 2 and 8 workers in turn
 *
 * A plain main, because Criterion cannot run under ThreadSanitizer. Each visitor goes from one
 * object to the next under a timeout that is sometimes too short; what an object promises is
 * checked where it is used, and at the end of a round that everything was given back. */
#include <hank.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/os.h"

enum { VISITORS = 24, VISITS = 60, THREADS = 2, KINDS = 8 };

static HK_ATOMIC(uint64_t) drawn;
static uint64_t seed;

#define MUST(fact)                                                                                 \
    ((fact) ? (void)0                                                                              \
            : (fprintf(stderr, "%s:%d: not so: %s (seed %llu)\n", __FILE__, __LINE__, #fact,       \
                       (unsigned long long)seed),                                                  \
               abort()))

/* What a round has. counter and pair are plain: their locks order them. */
typedef struct town {
    hank_mutex mutex;
    hank_cond cond;
    hank_rwlock rwlock;
    hank_sem sem;
    hank_barrier barrier;
    hank_once once;
    hank_limiter limiter;
    hank_chan *jobs, *replies;
    long counter, pair[2];
    int initialised;
    HK_ATOMIC(long) sent;
    HK_ATOMIC(long) received;
} town;

/* splitmix64 over a shared counter. */
static unsigned draw(unsigned n)
{
    uint64_t x = seed + hk_add_relaxed(&drawn, UINT64_C(0x9e3779b97f4a7c15)); /* only a number */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((x ^ (x >> 31)) % n);
}

static bool is_fine(int rc)
{
    return rc >= 0 || rc == -ETIMEDOUT || rc == -ECANCELED;
}

static int use_mutex(town *t)
{
    int rc = hank_mutex_lock_stoppable(&t->mutex);
    if (rc < 0)
        return rc;
    t->counter++;
    if (draw(2)) {
        (void)hank_cond_signal_n(&t->cond, draw(3)); /* however many wait */
    } else {
        rc = hank_cond_wait(&t->cond, &t->mutex);
    }
    t->counter--;
    hank_mutex_unlock(&t->mutex);
    return rc;
}

static int use_rwlock(town *t)
{
    int rc;
    if (draw(4) == 0) {
        rc = hank_rwlock_wrlock_stoppable(&t->rwlock);
        if (rc < 0)
            return rc;
        t->pair[0]++;
        (void)hank_yield();
        t->pair[1]++;
        hank_rwlock_wrunlock(&t->rwlock);
        return 0;
    }
    rc = hank_rwlock_rdlock_stoppable(&t->rwlock);
    if (rc < 0)
        return rc;
    MUST(t->pair[0] == t->pair[1]);
    hank_rwlock_rdunlock(&t->rwlock);
    return 0;
}

static int use_sem(town *t)
{
    int64_t n = 1 + draw(3);
    int rc = hank_sem_acquire_n(&t->sem, n);
    if (rc < 0)
        return rc;
    (void)hank_yield();
    MUST(hank_sem_release_n(&t->sem, n) == 0);
    return 0;
}

static int initialise(void *arg)
{
    town *t = arg;
    int rc = hank_yield();
    if (rc < 0 || draw(3) == 0)
        return rc < 0 ? rc : -ETIMEDOUT;
    t->initialised++;
    return 0;
}

static int use_once(town *t)
{
    int rc = hank_once_run(&t->once, initialise, t);
    MUST(rc < 0 || t->initialised == 1);
    return rc;
}

static int use_barrier(town *t)
{
    int rc = hank_barrier_wait(&t->barrier);
    MUST(rc < 3);
    return rc;
}

static int exchange(town *t)
{
    int job = (int)draw(1000), got = -1;
    hank_case cases[] = {{.chan = t->jobs, .send = &job},
                         {.chan = t->replies, .recv = &got},
                         {.chan = t->replies, .send = &job},
                         {.chan = t->jobs, .recv = &got}};
    unsigned first = draw(3);
    int rc = hank_select(cases + first, 2);
    if (rc < 0)
        return rc;
    MUST(cases[first + (unsigned)rc].result == 0);
    (void)hk_add_relaxed(cases[first + (unsigned)rc].send ? &t->sent : &t->received, 1L);
    return 0;
}

static int use_chan(town *t)
{
    int value = 1;
    hank_chan *c = draw(2) ? t->jobs : t->replies;
    bool sends = draw(2);
    int rc = sends ? hank_chan_send(c, &value) : hank_chan_recv(c, &value);
    if (rc == 0)
        (void)hk_add_relaxed(sends ? &t->sent : &t->received, 1L);
    return rc;
}

static int use_limiter(town *t)
{
    return hank_limiter_acquire(&t->limiter, 1 + draw(2));
}

static int visit(void *arg)
{
    static int (*const uses[KINDS])(town *) = {use_mutex,   use_rwlock, use_sem,  use_once,
                                               use_barrier, exchange,   use_chan, use_limiter};
    for (int i = 0; i < VISITS; i++) {
        int rc = hank_within(HANK_US(draw(400)), uses[draw(KINDS)](arg));
        MUST(is_fine(rc));
        if (hank_stopped() < 0)
            return hank_stopped();
    }
    return 0;
}

static void *visit_as_thread(void *arg)
{
    MUST(visit(arg) == 0);
    return NULL;
}

static void all_is_given_back(town *t)
{
    int left;
    long n = 0;
    MUST(hank_mutex_trylock(&t->mutex) && t->counter == 0);
    MUST(hank_rwlock_trywrlock(&t->rwlock) && t->pair[0] == t->pair[1]);
    MUST(hank_sem_tryacquire_n(&t->sem, 4) == 0);
    MUST(hank_barrier_waiting(&t->barrier) == 0);
    while (hank_chan_tryrecv(t->jobs, &left) == 0 || hank_chan_tryrecv(t->replies, &left) == 0)
        n++;
    MUST(hk_load_relaxed(&t->sent) == hk_load_relaxed(&t->received) + n); /* all have ended */
    hank_chan_free(t->jobs);
    hank_chan_free(t->replies);
}

static int one_round(void *arg)
{
    (void)arg;
    town t = {.sem = {.count = 4, .bound = 4},
              .barrier = {.parties = 3},
              .limiter = {.tokens = 100, .period = HANK_MS(1), .burst = 2},
              .jobs = hank_chan_new(sizeof(int), 2),
              .replies = hank_chan_new(sizeof(int), 0)};
    hank_task tasks[VISITORS];
    pthread_t threads[THREADS];
    MUST(t.jobs && t.replies);
    for (int i = 0; i < THREADS; i++)
        MUST(hk_os_thread_start(&threads[i], visit_as_thread, &t) == 0);
    for (int i = 0; i < VISITORS; i++)
        tasks[i] = hank_spawn(visit, &t);
    for (int i = 0; i < VISITORS / 4; i++) {
        (void)hank_sleep(HANK_US(draw(500)));
        (void)hank_cancel(tasks[draw(VISITORS)]); /* once more is no more */
    }
    for (int i = 0; i < VISITORS; i++)
        MUST(is_fine(hank_await(tasks[i])));
    for (int i = 0; i < THREADS; i++)
        MUST(hk_os_thread_join(threads[i]) == 0);
    all_is_given_back(&t);
    return 0;
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {1, 2, 8};
    unsigned only = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 8;
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)hank_now();
    for (int i = 0; i < 3; i++) {
        unsigned workers = only ? only : sizes[i];
        for (long round = 0; round < rounds; round++)
            MUST(hank_run_with(one_round, NULL, .workers = workers) == 0);
        printf("%u workers: %ld rounds, seed %llu\n", workers, rounds, (unsigned long long)seed);
        if (only)
            break;
    }
    return 0;
}
