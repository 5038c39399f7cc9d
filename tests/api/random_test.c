/* SPDX-License-Identifier: MIT */
/* random_test.c - numbers that just work, and numbers that repeat. */
#include "api/thread_support.h"

#include <string.h>
#include <sys/wait.h>

enum { DRAWS = 1000 };

static int different(void *arg)
{
    (void)arg;
    uint64_t seen[DRAWS], ones = 0;
    for (int i = 0; i < DRAWS; i++) {
        seen[i] = hank_random();
        ones += (uint64_t)__builtin_popcountll(seen[i]);
        for (int j = 0; j < i; j++)
            CHECK(seen[j] != seen[i]);
    }
    CHECK(ones > DRAWS * 31 && ones < DRAWS * 33); /* 7 standard deviations are 0.8 bits */
    return 0;
}

Test(random, gives_other_numbers_each_time_in_tasks_and_threads)
{
    with_each_size(different, NULL);
    cr_expect_eq(different(NULL), 0);
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

static int below(void *arg)
{
    (void)arg;
    int counts[10] = {0};
    for (int i = 0; i < 20000; i++)
        counts[hank_random_below(10)]++;
    for (int i = 0; i < 10; i++)
        CHECK(counts[i] > 1600 && counts[i] < 2400); /* 9 standard deviations */
    for (int i = 0; i < 1000; i++) {
        uint64_t high = (UINT64_C(1) << 63) + 12345; /* nearly half of all draws are repeated */
        CHECK(hank_random_below(high) < high);
        CHECK(hank_random_below(1) == 0);
    }
    CHECK(hank_random_below(0) == 0);
    return 0;
}

Test(random_below, stays_below_and_is_even)
{
    with_each_size(below, NULL);
}

static int between(void *arg)
{
    (void)arg;
    int low = 0, high = 0;
    for (int i = 0; i < 10000; i++) {
        int64_t x = hank_random_between(-3, 3);
        CHECK(x >= -3 && x <= 3);
        low += x == -3;
        high += x == 3;
        CHECK(hank_random_between(INT64_MAX - 1, INT64_MAX) >= INT64_MAX - 1);
    }
    CHECK(low > 1000 && high > 1000);
    CHECK(hank_random_between(5, 5) == 5);
    CHECK(hank_random_between(5, 4) == 5);
    int negative = 0;
    for (int i = 0; i < 1000; i++)
        negative += hank_random_between(INT64_MIN, INT64_MAX) < 0;
    CHECK(negative > 350 && negative < 650);
    return 0;
}

Test(random_between, has_both_ends_and_the_whole_range)
{
    with_each_size(between, NULL);
}

static int doubles(void *arg)
{
    (void)arg;
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double x = hank_random_double();
        CHECK(x >= 0 && x < 1);
        sum += x;
    }
    CHECK(sum > 4700 && sum < 5300);
    return 0;
}

Test(random_double, is_at_least_zero_and_less_than_one)
{
    with_each_size(doubles, NULL);
}

/* --- runs that repeat ---------------------------------------------------------------------- */

typedef struct branch {
    int depth;
    uint64_t sum;
} branch;

/* A tree of tasks that wait here and there: each draws, and its place decides what. */
static int grow(void *arg)
{
    branch *b = arg;
    b->sum = hank_random();
    if (b->depth == 0)
        return 0;
    branch below[3];
    hank_task tasks[3];
    for (int i = 0; i < 3; i++) {
        below[i].depth = b->depth - 1;
        tasks[i] = hank_spawn(grow, &below[i]);
        (void)hank_yield();
        b->sum = b->sum * 31 + hank_random();
    }
    CHECK(hank_gather_n(tasks, 3, NULL) == 0);
    for (int i = 0; i < 3; i++)
        b->sum = b->sum * 31 + below[i].sum;
    return 0;
}

static uint64_t draw_tree(uint64_t seed, unsigned workers)
{
    branch root = {.depth = 5};
    cr_assert_eq(hank_run_with(grow, &root, .workers = workers, .seed = seed), 0);
    return root.sum;
}

Test(seed, makes_a_tree_of_tasks_draw_the_same_numbers_on_any_number_of_workers)
{
    uint64_t first = draw_tree(42, 1);
    for (EACH_SIZE(i))
        for (int again = 0; again < 3; again++)
            cr_expect_eq(draw_tree(42, sizes[i]), first);
    cr_expect_neq(draw_tree(43, 2), first);
    cr_expect_neq(draw_tree(0, 2), draw_tree(0, 2), "no seed: chance");
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

typedef struct draws {
    HK_ATOMIC(int) n;
    uint64_t drawn[16];
} draws;

static int draw_one(void *arg)
{
    draws *d = arg;
    d->drawn[hk_add_acqrel(&d->n, 1)] = hank_random();
    return 0;
}

static int draw_in_kinds(void *arg)
{
    draws *d = arg;
    hank_group g = {0};
    CHECK(hank_group_spawn(&g, draw_one, d) == 0);
    CHECK(hank_group_wait(&g) == 0);
    (void)hank_call_soon(draw_one, d);
    YIELD_UNTIL(hk_load_acquire(&d->n) == 2);
    CHECK(hank_detach(hank_spawn(draw_one, d)) == 0);
    YIELD_UNTIL(hk_load_acquire(&d->n) == 3);
    CHECK(hank_await(hank_spawn_with(draw_one, d, .name = "x", .stack_size = 1 << 17)) == 0);
    CHECK(hank_await(hank_spawn_into(hank_runtime_current(), draw_one, d, NULL)) == 0);
    return draw_one(d);
}

Test(seed, reaches_members_calls_detached_tasks_and_those_from_outside)
{
    draws first = {0};
    for (EACH_SIZE(i)) {
        draws d = {0};
        cr_expect_eq(hank_run_with(draw_in_kinds, &d, .workers = sizes[i], .seed = 7), 0);
        cr_expect_eq(hk_load_relaxed(&d.n), 6);
        for (int j = 0; j < 6; j++)
            for (int k = 0; k < j; k++)
                cr_expect_neq(d.drawn[j], d.drawn[k]);
        if (i == 0)
            first = d;
        cr_expect_eq(memcmp(d.drawn, first.drawn, sizeof d.drawn), 0);
    }
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

static void *draw_in_thread(void *arg)
{
    *(uint64_t *)arg = hank_random();
    return NULL;
}

Test(random, differs_between_threads)
{
    uint64_t drawn[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        on_thread(draw_in_thread, &drawn[i], &threads[i]);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++)
            cr_expect_neq(drawn[i], drawn[j]);
}

Test(random, differs_between_a_process_and_its_forked_child)
{
    int pipes[2];
    uint64_t childs = 0;
    (void)hank_random();
    cr_assert_eq(hank_run(give_back, NULL), 0);
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        uint64_t mine = hank_random();
        _exit(write(pipes[1], &mine, sizeof mine) != sizeof mine);
    }
    uint64_t ours = hank_random();
    cr_expect_eq(read(pipes[0], &childs, sizeof childs), sizeof childs);
    cr_expect_neq(childs, ours);
    cr_expect_eq(waitpid(child, NULL, 0), child);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}
