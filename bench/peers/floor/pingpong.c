/* SPDX-License-Identifier: MIT */
/* pingpong.c - the floor of bench/pingpong_cross.c: two threads take turns, on a futex each.
 *
 *   futex pingpong_cross WORKERS [ROUNDS] */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TRIPS = 100000 };

static _Alignas(128) _Atomic uint32_t there;
static _Alignas(128) _Atomic uint32_t back;

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void say(_Atomic uint32_t *word, uint32_t turn)
{
    atomic_store(word, turn);
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void hear(_Atomic uint32_t *word, uint32_t turn)
{
    uint32_t seen;
    while ((seen = atomic_load(word)) != turn)
        (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void *pong(void *arg)
{
    uint32_t first = *(uint32_t *)arg;
    for (uint32_t i = 1; i <= TRIPS; i++) {
        hear(&there, first + i);
        say(&back, first + i);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 3;
    uint32_t turn = 0;
    for (long round = -1; round < rounds; round++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, pong, &turn) != 0)
            return 1;
        int64_t start = now_ns();
        uint32_t first = turn;
        for (uint32_t i = 1; i <= TRIPS; i++) {
            say(&there, first + i);
            hear(&back, first + i);
        }
        double value = (double)(now_ns() - start) / TRIPS;
        (void)pthread_join(thread, NULL);
        turn = first + TRIPS;
        if (round >= 0)
            printf("R pingpong_cross futex 2 %ld %.1f ns\n", round, value);
        (void)fflush(stdout);
    }
    return 0;
}
