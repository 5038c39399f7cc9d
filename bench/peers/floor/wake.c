/* SPDX-License-Identifier: MIT */
/* wake.c - the floor of bench/wake.c: a thread writes to an eventfd, another sleeps in epoll_wait.
 *
 *   wake wake WORKERS [ROUNDS [N]] */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct bell {
    int ring, answered;
    long n;
    int64_t rung;
};

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *caller(void *arg)
{
    struct bell *b = arg;
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t one = 1;
    for (long i = 0; i < b->n; i++) {
        (void)nanosleep(&pause, NULL);
        b->rung = now_ns();
        if (write(b->ring, &one, sizeof one) < 0 || read(b->answered, &one, sizeof one) < 0)
            break;
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure(struct bell *b, int epoll, int64_t *delays)
{
    struct epoll_event event;
    for (long i = 0; i < b->n; i++) {
        uint64_t count = 1;
        while (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        delays[i] = now_ns() - b->rung;
        if (read(b->ring, &count, sizeof count) < 0 || write(b->answered, &count, sizeof count) < 0)
            break;
    }
    qsort(delays, (size_t)b->n, sizeof *delays, by_value);
}

int main(int argc, char **argv)
{
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 3;
    struct bell b = {.n = argc > 4 ? strtol(argv[4], NULL, 10) : 500};
    int64_t *delays = calloc((size_t)b.n, sizeof *delays);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    b.ring = eventfd(0, EFD_CLOEXEC);
    b.answered = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (!delays || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, b.ring, &event) < 0)
        return 1;
    for (long round = -1; round < rounds; round++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, caller, &b) != 0)
            return 1;
        measure(&b, epoll, delays);
        (void)pthread_join(thread, NULL);
        if (round >= 0)
            printf("R wake epoll 1 %ld %.3f us\n", round, (double)delays[b.n / 2] / 1e3);
    }
    free(delays);
    return 0;
}
