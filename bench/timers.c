/* SPDX-License-Identifier: MIT */
/* timers.c - what a deadline costs when a million of them are armed.
 *
 *     timers [count]
 *
 * One thread, no contention; each timer on lines of its own, as in the frame of whoever waits.
 * Prints nanoseconds of the thread's CPU time for one timer, so that other processes do not count,
 * and the longest that the lock was held (for removals: the longest BATCH of them). The figures and
 * what they decided: docs/decisions/0002-timers.md. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "reactor/reactor.h"
#include "reactor/timers.h"

#define MINUTE (UINT64_C(60) * SECOND)

enum { FRAME_BYTES = 256, SECOND = 1000 * 1000 * 1000, BATCH = HK_READY_MAX };

typedef struct frame {
    _Alignas(FRAME_BYTES) hk_timer timer;
} frame;

static hk_timers heap;
static frame *frames;
static uint32_t *order; /* a random permutation */
static uint32_t count = 1000 * 1000;
static int64_t now; /* virtual: moved by whoever expires */
static uint64_t random_state = 88172645463325252u;

static int64_t cpu_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void add(uint32_t i, int64_t deadline)
{
    (void)hk_timers_add(&heap, &frames[i].timer, deadline, (hk_ticket){NULL, i});
}

static void report(const char *what, int64_t begun, uint64_t n, int64_t longest)
{
    printf("%-58s %8.1f ns", what, (double)(cpu_now() - begun) / (double)n);
    if (longest)
        printf("   longest call %10.3f ms", (double)longest / 1e6);
    putchar('\n');
}

static void fill_random(void)
{
    for (uint32_t i = 0; i < count; i++)
        add(i, now + (int64_t)(next_random() % MINUTE));
}

/* Take everything out by expiry, BATCH at a time, in steps of the clock. */
static void expire_everything(const char *what, int64_t step)
{
    hk_ready ready[BATCH];
    int64_t begun = cpu_now(), longest = 0;
    uint64_t sum = 0;
    while (sum < count) {
        int n = 0;
        if (hk_load_relaxed(&heap.earliest) > now)
            now += step;
        int64_t call = cpu_now();
        hk_timers_expire(&heap, now, ready, &n, BATCH);
        call = cpu_now() - call;
        longest = call > longest ? call : longest;
        sum += (uint64_t)n;
    }
    report(what, begun, sum, longest);
}

/* The usual timer: armed for one wait, taken back when that is over. */
static void measure_one_timeout(const char *what, int64_t deadline)
{
    enum { PAIRS = 1000 * 1000 };
    static frame own;
    int64_t begun = cpu_now();
    for (int i = 0; i < PAIRS; i++) {
        (void)hk_timers_add(&heap, &own.timer, deadline + i, (hk_ticket){0});
        (void)hk_timers_remove(&own.timer);
    }
    report(what, begun, PAIRS, 0);
}

/* A million connections: each request takes the timeout of one back and arms it anew. */
static void measure_rearming(const char *what)
{
    int64_t begun = cpu_now();
    for (uint32_t i = 0; i < count; i++) {
        (void)hk_timers_remove(&frames[order[i]].timer);
        add(order[i], now + (int64_t)MINUTE + i);
    }
    report(what, begun, count, 0);
}

/* A million sleepers: what is due sleeps again for up to a minute. */
static void measure_sleepers(const char *what)
{
    hk_ready ready[BATCH];
    int64_t begun = cpu_now(), longest = 0;
    uint64_t sum = 0;
    while (sum < count) {
        int n = 0;
        if (hk_load_relaxed(&heap.earliest) > now)
            now = hk_load_relaxed(&heap.earliest);
        int64_t call = cpu_now();
        hk_timers_expire(&heap, now, ready, &n, BATCH);
        for (int i = 0; i < n; i++)
            add((uint32_t)ready[i].ticket.turn, now + (int64_t)(next_random() % MINUTE));
        call = cpu_now() - call;
        longest = call > longest ? call : longest;
        sum += (uint64_t)n;
    }
    report(what, begun, sum, longest);
}

static void measure_removing(const char *what)
{
    int64_t begun = cpu_now(), longest = 0;
    for (uint32_t i = 0; i < count;) {
        int64_t call = cpu_now();
        for (uint32_t end = i + BATCH; i < end && i < count; i++)
            (void)hk_timers_remove(&frames[order[i]].timer);
        call = cpu_now() - call;
        longest = call > longest ? call : longest;
    }
    report(what, begun, count, longest);
}

static void shuffle(void)
{
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(next_random() % (i + 1)), k = order[i];
        order[i] = order[j];
        order[j] = k;
    }
}

static void fill_in_order(void)
{
    int64_t begun = cpu_now(), step = (int64_t)MINUTE / count;
    for (uint32_t i = 0; i < count; i++)
        add(i, now + step * i);
    report("add, increasing deadlines", begun, count, 0);
}

static void measure_all(void)
{
    int64_t begun = cpu_now();
    fill_random();
    report("add, random deadlines", begun, count, 0);
    measure_one_timeout("add + remove of one timeout, later than all", now + 2 * (int64_t)MINUTE);
    measure_one_timeout("add + remove of one timeout, in the middle", now + (int64_t)MINUTE / 2);
    measure_one_timeout("add + remove of one timeout, earlier than all", now - 2 * (int64_t)SECOND);
    expire_everything("expire all, random order, clock steps 1 ms", 1000 * 1000);
    fill_random();
    expire_everything("expire all, random order, all due at once", (int64_t)MINUTE);
    fill_random();
    measure_rearming("take back and arm anew, each connection once");
    measure_rearming("the same again");
    measure_removing("remove all, random order");
    fill_random();
    measure_sleepers("expire and sleep again, first million");
    measure_sleepers("the same again");
    measure_one_timeout("add + remove of one timeout among sleepers", now + (int64_t)MINUTE / 2);
    measure_removing("remove all, random order, after expiries");
    fill_in_order();
    expire_everything("expire all, increasing order, clock steps 1 ms", 1000 * 1000);
    fill_in_order();
    expire_everything("expire all, increasing order, all due at once", (int64_t)MINUTE);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        count = (uint32_t)strtoul(argv[1], NULL, 0);
    frames = aligned_alloc(FRAME_BYTES, count * sizeof *frames);
    order = calloc(count, sizeof *order);
    HK_CHECK(count > 0 && frames && order);
    for (uint32_t i = 0; i < count; i++)
        frames[i] = (frame){0};
    hk_timers_init(&heap);
    shuffle();
    measure_all();
    return 0;
}
