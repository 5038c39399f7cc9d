/* SPDX-License-Identifier: MIT */
/* fiber_migration.c - fibers handed from thread to thread through one locked queue, for ever and
 * a day; a plain main, because it also runs where the test framework cannot: under
 * ThreadSanitizer and on emulated CPUs.
 *
 *     fiber_migration [fibers [switches of each]]
 *
 * Each fiber checks on every return that its locals, its errno and its rounding mode came along.
 * What orders one thread's use of a fiber before another's is the queue's lock alone; what orders
 * a fiber before the thread it switches to is is_done. */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/os.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"

enum { THREADS = 3 };

/* link      queue_lock              fiber     set before it is queued
 * left      the fiber's alone       is_done   the fiber writes, whom it switches to reads */
typedef struct walker {
    hk_node link;
    hk_fiber *fiber;
    long left;
    HK_ATOMIC(bool) is_done;
} walker;

/* What the thread that currently runs a walker lends it. */
typedef struct home {
    hk_fiber fiber;
    hk_stack_cache cache;
    long switches;
} home;

static hk_lock queue_lock;
static hk_node queue;
static HK_ATOMIC(long) alive;
static HK_ATOMIC(long) failures;
static _Thread_local home *current_home;

static HK_THREAD_ACCESSOR home *get_home(void)
{
    __asm__ volatile("" ::: "memory");
    return current_home;
}

static HK_THREAD_ACCESSOR void set_home(home *h)
{
    current_home = h;
}

static HK_THREAD_ACCESSOR int get_errno(void)
{
    __asm__ volatile("" ::: "memory");
    return errno;
}

static HK_THREAD_ACCESSOR void put_errno(int value)
{
    errno = value;
}

static void push(walker *w)
{
    hk_lock_take(&queue_lock, HK_RANK_INBOX);
    hk_list_push_back(&queue, &w->link);
    hk_lock_drop(&queue_lock);
}

static walker *pop(void)
{
    hk_lock_take(&queue_lock, HK_RANK_INBOX);
    hk_node *link = hk_list_pop_front(&queue);
    hk_lock_drop(&queue_lock);
    return link ? hk_container_of(link, walker, link) : NULL;
}

static void walk(hk_fiber *self)
{
    walker *me = self->owner;
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    int mode = modes[me->left % 4];
    (void)fesetround(mode);
    uint64_t a = (uintptr_t)me, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13;
    double x = (double)a / 3, y = x / 7;
    for (; me->left > 0; me->left--) {
        int error = (int)(me->left % 100) + 1;
        put_errno(error);
        hk_fiber_switch(self, &get_home()->fiber);
        bool same = b == a * 3 && c == a * 5 && d == a * 7 && e == a * 11 && f == a * 13;
        same = same && x == y * 7 ? same : same && y > 0;
        if (!same || get_errno() != error || fegetround() != mode)
            hk_add_relaxed(&failures, 1L);
    }
    hk_store_release(&me->is_done, true); /* [walk:done] release: nothing is left to do here */
    hk_fiber_leave(self, &get_home()->fiber);
}

static void *run(void *arg)
{
    home *h = arg;
    set_home(h);
    hk_fiber_adopt_thread(&h->fiber);
    while (hk_load_relaxed(&alive) > 0) {
        walker *w = pop();
        if (!w) {
            hk_os_yield();
            continue;
        }
        hk_fiber_switch(&h->fiber, w->fiber);
        h->switches++;
        /* [walk:done] acquire: what the walker did is over. */
        if (!hk_load_acquire(&w->is_done)) {
            push(w);
            continue;
        }
        hk_stack_give(&h->cache, w->fiber);
        hk_sub_relaxed(&alive, 1L);
    }
    hk_stack_cache_drain(&h->cache);
    hk_fiber_forget_thread(&h->fiber);
    return NULL;
}

static void start_walker(walker *w, long switches)
{
    HK_CHECK(hk_stack_take(NULL, hk_stack_class(HK_STACK_DEFAULT), &w->fiber) == 0);
    w->left = switches;
    w->fiber->owner = w;
    hk_fiber_make(w->fiber, walk);
    push(w);
}

int main(int argc, char **argv)
{
    static home homes[THREADS];
    pthread_t threads[THREADS];
    long fibers = argc > 1 ? strtol(argv[1], NULL, 10) : 64;
    long switches = argc > 2 ? strtol(argv[2], NULL, 10) : 2000;
    walker *walkers = calloc((size_t)fibers, sizeof *walkers);
    HK_CHECK(walkers != NULL);

    for (int round = 0; round < 3; round++) {
        hk_store_relaxed(&alive, fibers);
        for (long i = 0; i < fibers; i++) {
            walkers[i] = (walker){.left = 0};
            start_walker(&walkers[i], switches + i % 4);
        }
        for (int i = 0; i < THREADS; i++)
            HK_CHECK(hk_os_thread_start(&threads[i], run, &homes[i]) == 0);
        for (int i = 0; i < THREADS; i++)
            HK_CHECK(hk_os_thread_join(threads[i]) == 0);
    }
    long total = 0;
    for (int i = 0; i < THREADS; i++)
        total += homes[i].switches;
    hk_stack_stats stats;
    hk_stack_get_stats(&stats);
    printf("%ld switches to %ld fibers on %d threads, %ld failures, %lu stacks left\n", total,
           fibers, THREADS, hk_load_relaxed(&failures), (unsigned long)stats.live);
    free(walkers);
    return hk_load_relaxed(&failures) != 0 || stats.live != 0;
}
