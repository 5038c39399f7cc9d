/* SPDX-License-Identifier: MIT */
/* soak.c - everything at once for a long time, and nothing may be left of it.
 *
 *   stress_soak [SECONDS [SEED]]          default 20; ./dev soak MINUTES
 *
 * Round after round a runtime with another number of workers runs a crowd that serves, asks, hangs
 * up with a reset, computes without waiting, blocks, sends, locks, sleeps, and is cancelled or
 * timed out in the middle of it. Meanwhile the timers of all workers are walked again and again.
 * After each round tasks, timers, stacks and descriptors must be back at their start; after the
 * first few, resident memory must not grow with the number of rounds. */
#include <hank.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "fiber/stack.h"
#include "io/stream.h"
#include "leftovers.h"
#include "sched/runtime.h"
#include "sched/worker.h"
#include "say_back.h"
#include "stress/stress_support.h"

enum { CROWD = 40, WARM_UP = 8, GROWTH_PAGES = 4096, ROUND_MS = 400, CHECKED_MS = 20 };
enum { ROUNDS_OF_A_SLOPE = 500 }; /* fewer say more about the dice than about memory */

static HK_ATOMIC(long) done[8];
static char where[64];
static hank_ns round_end;
static hank_mutex mutex;
static hank_sem permits;
static hank_chan *channel;

/* --- dramas: 0, or a stop, or what a peer that hangs up makes of it --------------------------- */

static int ask(void)
{
    hank_stream *s;
    char line[64], answer[64];
    int rc = hank_connect(where, &s);
    if (rc < 0)
        return rc;
    for (unsigned i = draw(6); i > 0 && rc == 0; i--) {
        int n = snprintf(line, sizeof line, "%u\n", draw(1000000));
        rc = hank_write(s, line, (size_t)n);
        ssize_t got = rc < 0 ? rc : hank_read_line(s, answer, sizeof answer);
        MUST(got < 0 || got == 0 || (got == n && memcmp(line, answer, (size_t)n) == 0));
        rc = got < 0 ? (int)got : got == 0 ? -EPIPE : 0;
    }
    if (draw(3) == 0) { /* a reset for the other side, in the middle of whatever it does */
        struct linger hard = {.l_onoff = 1};
        (void)setsockopt(s->fd.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    hank_close(s);
    return rc;
}

static int hog(void)
{
    hank_ns until = hank_now() + HANK_US(200 + draw(5000));
    while (hank_now() < until)
        continue;
    return 0;
}

static int block_for_a_while(void *arg)
{
    (void)arg;
    hk_os_sleep(HANK_US(draw(2000)));
    return 0;
}

static int pass(void)
{
    uint64_t item = draw(1000);
    if (draw(2))
        return hank_chan_send(channel, &item);
    int rc = hank_chan_recv(channel, &item);
    MUST(rc < 0 || item < 1000);
    return rc;
}

static int lock_and_wait(void)
{
    int rc = hank_sem_acquire(&permits);
    if (rc < 0)
        return rc;
    hank_mutex_lock(&mutex);
    rc = draw(4) ? 0 : hank_sleep(HANK_US(draw(200)));
    hank_mutex_unlock(&mutex);
    hank_sem_release(&permits);
    return rc;
}

static int one(void *arg);

static int have_children(void)
{
    if (draw(3) == 0)
        return hank_gather(hank_spawn(one, NULL), hank_spawn(one, NULL));
    hank_task t = hank_spawn(one, NULL);
    if (draw(2))
        hank_cancel(t);
    return hank_await(t);
}

static int one(void *arg)
{
    (void)arg;
    unsigned which = draw(8);
    int rc = 0;
    switch (which) {
    case 0: rc = ask(); break;
    case 1: rc = draw(8) ? 0 : hog(); break;
    case 2: rc = hank_blocking(block_for_a_while, NULL); break;
    case 3: rc = pass(); break;
    case 4: rc = lock_and_wait(); break;
    case 5: rc = have_children(); break;
    case 6: rc = hank_sleep(HANK_US(draw(3000))); break;
    default: rc = ask(); break;
    }
    (void)hk_add_relaxed(&done[which], 1L);
    return rc;
}

/* --- a round ---------------------------------------------------------------------------------- */

static int act(void *arg)
{
    (void)arg;
    while (hank_now() < round_end) {
        hank_task t = hank_spawn(one, NULL);
        int rc;
        if (draw(3) == 0) {
            rc = hank_within(HANK_US(draw(4000)), hank_await(t));
        } else {
            for (unsigned i = draw(4); i > 0; i--)
                (void)hank_yield();
            if (draw(3) == 0)
                hank_cancel(t);
            rc = hank_within(HANK_MS(200), hank_await(t)); /* a channel may have no other side */
        }
        MUST(rc >= 0 || is_stop(rc) || rc == -EPIPE || rc == -ECONNRESET || rc == -EMFILE);
        if (hank_stopped() < 0)
            return -ECANCELED;
    }
    return 0;
}

static int serve(void *arg)
{
    return hank_serve(arg, say_back, NULL);
}

/* What the workers' timers say about themselves holds at any moment. Returns how many there are. */
static size_t check_timers(void)
{
    hk_runtime *rt = hk_worker_self()->runtime;
    size_t n = 0;
    for (unsigned i = 0; i < rt->n; i++) {
        hk_timers *timers = &rt->workers[i].reactor.timers;
        hk_timers_check(timers);
        hk_lock_take(&timers->lock, HK_RANK_TIMERS);
        n += timers->heap_count;
        for (unsigned level = 0; level < HK_TIMER_LEVELS; level++)
            n += timers->used[level] != 0;
        hk_lock_drop(&timers->lock);
    }
    return n;
}

static int check_all_along(void *arg)
{
    (void)arg;
    while (hank_sleep(HANK_MS(CHECKED_MS)) == 0)
        (void)check_timers(); /* how many is chance */
    return 0;
}

static int round_of(void *arg)
{
    (void)arg;
    hank_listener *l;
    hank_group crowd = {.flags = HANK_KEEP_GOING};
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, where, sizeof where) == 0);
    MUST((channel = hank_chan_new(sizeof(uint64_t), draw(3))) != NULL);
    mutex = (hank_mutex){0};
    permits = (hank_sem){.count = 3};
    round_end = hank_now() + HANK_MS(ROUND_MS);
    hank_task server = hank_spawn(serve, l), checker = hank_spawn(check_all_along, NULL);
    for (int i = 0; i < CROWD; i++)
        MUST(hank_group_spawn(&crowd, act, NULL) == 0);
    if (draw(4) == 0) { /* now and then they are all stopped before their time */
        (void)hank_sleep(HANK_MS(draw(ROUND_MS)));
        hank_group_cancel(&crowd);
    }
    (void)hank_group_wait(&crowd); /* what failed was looked at in place */
    hank_cancel(server);
    MUST(hank_await(server) == -ECANCELED);
    hank_cancel(checker);
    (void)hank_await(checker); /* it has no opinion of its own */
    hank_listener_close(l);
    hank_chan_free(channel);
    hank_stats stats;
    MUST(hank_get_stats(&stats) == 0);
    MUST(stats.tasks_live <= 2); /* the runtime's first, and we */
    MUST(check_timers() == 0);
    return 0;
}

static long resident_pages(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        (void)fclose(f);
    return pages;
}

/* Least squares over rounds, in pages a round. */
typedef struct slope {
    double n, x, y, xx, xy;
} slope;

static void slope_add(slope *s, double x, double y)
{
    s->n++;
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->xy += x * y;
}

static double slope_of(const slope *s)
{
    double spread = s->n * s->xx - s->x * s->x;
    return spread > 0 ? (s->n * s->xy - s->x * s->y) / spread : 0;
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {1, 2, 3, 8, 16};
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 20;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : hk_os_random();
    printf("seed %llu\n", (unsigned long long)seed);
    (void)fflush(stdout);
    hank_ns end = hank_now() + (hank_ns)(seconds * 1e9);
    int fds = open_fds();
    long rounds = 0, warm = 0, pages = 0, most = 0;
    slope growth = {0};
    for (; hank_now() < end || rounds <= WARM_UP; rounds++) {
        (void)alarm(120);
        MUST(hank_run_with(round_of, NULL, .workers = sizes[draw(5)]) == 0);
        hk_stack_stats stacks;
        hk_stack_get_stats(&stacks);
        MUST(stacks.live == 0);
        MUST(open_fds() <= fds + 2); /* handles of the process itself, kept */
        pages = resident_pages();
        if (rounds < WARM_UP && pages > warm)
            warm = pages;
        if (rounds >= WARM_UP)
            slope_add(&growth, (double)rounds, (double)pages);
        most = pages > most ? pages : most;
    }
    long total = 0;
    for (int i = 0; i < 8; i++)
        total += hk_load_relaxed(&done[i]);
    printf("%ld rounds, %ld tasks; pages after %d rounds %ld, at the end %ld, at most %ld; %+.2f a "
           "round\n",
           rounds, total, WARM_UP, warm, pages, most, slope_of(&growth));
    if (!HK_ASAN && !HK_TSAN) { /* which keep memory of their own */
        MUST(pages < warm + GROWTH_PAGES);
        MUST(rounds < ROUNDS_OF_A_SLOPE || slope_of(&growth) < 1);
    }
    return 0;
}
