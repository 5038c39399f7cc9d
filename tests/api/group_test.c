/* SPDX-License-Identifier: MIT */
/* group_test.c - what <hank/group.h> says of any number of children, one sentence a test. */
#include "api/support.h"

#include "sched/group.h"

typedef struct counted {
    hank_group *g;
    flag started;
    flag ended;
} counted;

static int count_me(void *arg)
{
    counted *c = arg;
    set(&c->started);
    (void)hank_yield();
    set(&c->ended);
    return 0;
}

static int wait_for_members(void *arg)
{
    (void)arg;
    hank_group g = {0};
    counted c = {.g = &g};
    CHECK(hank_group_wait(&g) == 0);          /* of nobody */
    for (int round = 0; round < 3; round++) { /* afterwards it is like new */
        for (int i = 0; i < 100; i++)
            CHECK(hank_group_spawn(&g, count_me, &c) == 0);
        CHECK(hank_group_wait(&g) == 0);
        CHECK(hk_load_acquire(&c.ended) == 100 * (round + 1));
    }
    return 0;
}

Test(group, is_waited_for_until_every_member_has_ended_and_is_then_like_new)
{
    with_each_size(wait_for_members, NULL);
}

static int give_back_hand_over(void *arg)
{
    counted *c = *(counted **)arg;
    set(&c->started);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    set(&c->ended);
    return -ECANCELED;
}

/* The members of a group that is cancelled before they can begin: all run if it starts always,
 * and what they were handed is not lost. */
static int cancel_before_they_begin(void *arg)
{
    const unsigned flags = *(const unsigned *)arg;
    hank_group g = {.flags = flags};
    counted c = {.g = &g};
    counted *handed_over = &c;
    int members = 0;
    while (members < 50 &&
           hank_group_spawn_copy(&g, give_back_hand_over, &handed_over, sizeof handed_over) == 0)
        members++;
    CHECK(members == 50);
    hank_group_cancel(&g);
    CHECK(hank_group_wait(&g) == 0);
    int started = hk_load_acquire(&c.started);
    CHECK(hk_load_acquire(&c.ended) == started);
    CHECK(!(flags & HANK_ALWAYS_START) || started == members);
    return started;
}

static int cancel_owners_before_they_begin(void *arg)
{
    unsigned flags = HANK_ALWAYS_START;
    (void)arg;
    return cancel_before_they_begin(&flags) == 50 ? 0 : -EPROTO;
}

static int cancel_others_before_they_begin(void *arg)
{
    unsigned flags = 0;
    (void)arg;
    return cancel_before_they_begin(&flags) == 0 ? 0 : -EPROTO;
}

Test(group, that_starts_always_runs_members_cancelled_before_they_began)
{
    with_each_size(cancel_owners_before_they_begin, NULL);
}

Test(group, does_not_run_members_cancelled_before_they_began)
{
    with_workers(1, cancel_others_before_they_begin, NULL);
}

static int spawn_another(void *arg)
{
    counted *c = arg;
    int n = hk_add_acqrel(&c->started, 1);
    (void)hank_yield();
    if (n < 50)
        CHECK(hank_group_spawn(c->g, spawn_another, c) == 0);
    set(&c->ended);
    return 0;
}

static int wait_for_a_growing_group(void *arg)
{
    (void)arg;
    hank_group g = {0};
    counted c = {.g = &g};
    CHECK(hank_group_spawn(&g, spawn_another, &c) == 0);
    CHECK(hank_group_wait(&g) == 0);
    CHECK(hk_load_acquire(&c.ended) == hk_load_acquire(&c.started));
    CHECK(hk_load_acquire(&c.ended) == 51);
    return 0;
}

Test(group, waits_for_members_that_are_added_meanwhile)
{
    with_each_size(wait_for_a_growing_group, NULL);
}

static int wait_then_fail(void *arg)
{
    counted *c = arg;
    YIELD_UNTIL(hk_load_acquire(&c->started) >= 4);
    return -EIO;
}

static int wait_to_be_stopped(void *arg)
{
    counted *c = arg;
    set(&c->started);
    int rc = hank_sleep(HANK_FOREVER);
    CHECK(rc == -ECANCELED);
    CHECK(hank_stopped() == -ECANCELED);
    set(&c->ended);
    return -EPIPE; /* a later failure */
}

static int fail_fast(void *arg)
{
    (void)arg;
    for (int round = 0; round < 2; round++) {
        hank_group g = {0};
        counted c = {.g = &g};
        for (int i = 0; i < 4; i++)
            CHECK(hank_group_spawn(&g, wait_to_be_stopped, &c) == 0);
        CHECK(hank_group_spawn(&g, wait_then_fail, &c) == 0);
        CHECK(hank_group_wait(&g) == -EIO); /* the first in time */
        CHECK(hk_load_acquire(&c.ended) == 4);
        CHECK(hank_group_spawn(&g, count_me, &c) == 0); /* like new */
        CHECK(hank_group_wait(&g) == 0);
    }
    return 0;
}

Test(group, cancels_the_others_when_one_fails_and_gives_the_first_failure)
{
    with_each_size(fail_fast, NULL);
}

static int keep_going(void *arg)
{
    (void)arg;
    hank_group g = {.flags = HANK_KEEP_GOING};
    counted c = {.g = &g};
    CHECK(hank_group_spawn(&g, give_back, number(-EIO)) == 0);
    for (int i = 0; i < 50; i++)
        CHECK(hank_group_spawn(&g, count_me, &c) == 0);
    CHECK(hank_group_wait(&g) == -EIO);
    CHECK(hk_load_acquire(&c.ended) == 50);
    return 0;
}

Test(group, that_is_to_keep_going_does)
{
    with_each_size(keep_going, NULL);
}

static int add_to_a_stopping_group(void *arg)
{
    (void)arg;
    hank_group g = {0};
    counted c = {.g = &g};
    CHECK(hank_group_spawn(&g, wait_to_be_stopped, &c) == 0);
    YIELD_UNTIL(is_set(&c.started));
    hank_group_cancel(&g);
    hank_group_cancel(&g); /* again */
    flag ran = 0;
    CHECK(hank_group_spawn(&g, count_me, &ran) == -ECANCELED);
    CHECK(hank_group_spawn_copy(&g, count_me, &c, sizeof c) == -ECANCELED);
    CHECK(!is_set(&ran));
    CHECK(hank_group_wait(&g) == -EPIPE);           /* it failed in its own way */
    CHECK(hank_group_spawn(&g, count_me, &c) == 0); /* until it has been waited for */
    CHECK(hank_group_wait(&g) == 0);
    return 0;
}

Test(group, that_is_stopping_takes_no_members_until_it_has_been_waited_for)
{
    with_each_size(add_to_a_stopping_group, NULL);
}

static int cancel_quiet_members(void *arg)
{
    (void)arg;
    hank_group g = {0};
    for (int i = 0; i < 30; i++)
        CHECK(hank_group_spawn(&g, sleep_forever, NULL) == 0);
    hank_group_cancel(&g);
    CHECK(hank_group_wait(&g) == 0); /* they have not failed */
    return 0;
}

Test(group, that_was_cancelled_has_not_failed)
{
    with_each_size(cancel_quiet_members, NULL);
}

static int say_cancelled(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

static int fail_with_ECANCELED(void *arg)
{
    (void)arg;
    hank_group g = {0};
    CHECK(hank_group_spawn(&g, sleep_forever, NULL) == 0);
    CHECK(hank_group_spawn(&g, say_cancelled, NULL) == 0);
    CHECK(hank_group_wait(&g) == -ECANCELED);
    return 0;
}

Test(group, takes_ECANCELED_for_a_failure_when_nobody_cancelled_it)
{
    with_each_size(fail_with_ECANCELED, NULL);
}

static int sum_the_copy(void *arg)
{
    const unsigned char *bytes = arg;
    (void)hank_yield();
    return bytes[0] == bytes[999] ? 0 : -EPROTO;
}

static int copy_arguments(void *arg)
{
    (void)arg;
    static unsigned char too_much[64 * 1024 + 1];
    hank_group g = {0};
    for (int i = 0; i < 100; i++) {
        unsigned char bytes[1000];
        memset(bytes, i, sizeof bytes);
        CHECK(hank_group_spawn_copy(&g, sum_the_copy, bytes, sizeof bytes) == 0);
    }
    CHECK(hank_group_spawn_copy(&g, sum_the_copy, too_much, 64 * 1024) == 0);
    CHECK(hank_group_wait(&g) == 0);
    CHECK(hank_group_spawn_copy(&g, give_back, NULL, 0) == 0);
    CHECK(hank_group_wait(&g) == 0);
    CHECK(hank_group_spawn_copy(&g, sum_the_copy, too_much, sizeof too_much) == -EINVAL);
    CHECK(hank_group_wait(&g) == -EINVAL);
    return 0;
}

Test(group, can_copy_the_argument_which_lives_as_long_as_the_member)
{
    with_each_size(copy_arguments, NULL);
}

static int count_what_could_not_start(void *arg)
{
    (void)arg;
    hank_group g = {0};
    CHECK(hank_group_spawn(&g, sleep_forever, NULL) == 0);
    CHECK(hank_group_spawn(&g, NULL, NULL) == -EINVAL);
    CHECK(hank_group_wait(&g) == -EINVAL); /* and the sleeper was cancelled */
    CHECK(hank_group_wait(&g) == 0);
    return 0;
}

Test(group, counts_a_member_that_could_not_be_started_as_failed)
{
    with_each_size(count_what_could_not_start, NULL);
}

Test(group, is_for_tasks)
{
    hank_group g = {0};
    cr_expect_eq(hank_group_spawn(&g, give_back, NULL), -EPERM);
    cr_expect_eq(hank_group_spawn_copy(&g, give_back, &g, 1), -EPERM);
    cr_expect_eq(hank_group_wait(&g), -EPERM);
    hank_group_cancel(&g); /* any thread may */
}

static int wait_in_the_group(void *arg)
{
    counted *c = arg;
    set(&c->started);
    return hank_group_wait(c->g);
}

static int wait_twice(void *arg)
{
    (void)arg;
    hank_group g = {0};
    counted c = {.g = &g};
    CHECK(hank_group_spawn(&g, sleep_forever, NULL) == 0);
    hank_task first = hank_spawn(wait_in_the_group, &c);
    YIELD_UNTIL(is_set(&c.started));
    for (int i = 0; i < 10; i++)
        (void)hank_yield();
    /* Of two that wait at once one is refused, whichever comes later. */
    hank_scope s;
    hank_timeout_begin(&s, HANK_MS(20));
    int mine = hank_group_wait(&g);
    (void)hank_timeout_end(&s);
    hank_group_cancel(&g);
    int its = hank_await(first);
    CHECK(mine == -EBUSY ? its == 0 : its == -EBUSY || its == 0);
    CHECK(hank_group_wait(&g) == 0);
    return 0;
}

Test(group, is_waited_for_by_one_task_at_a_time)
{
    with_each_size(wait_twice, NULL);
}

static int wait_for_sleepers(void *arg)
{
    counted *c = arg;
    hank_group g = {0};
    for (int i = 0; i < 5; i++)
        CHECK(hank_group_spawn(&g, wait_to_be_stopped, c) == 0);
    int rc = hank_group_wait(&g);
    CHECK(hk_load_acquire(&c->ended) <= 5); /* those that had started */
    CHECK(hk_load_acquire(&c->ended) == hk_load_acquire(&c->started));
    return rc;
}

static int stop_the_one_who_waits(void *arg)
{
    (void)arg;
    counted c = {0};
    hank_task t = hank_spawn(wait_for_sleepers, &c);
    YIELD_UNTIL(hk_load_acquire(&c.started) == 5);
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    counted other = {0};
    CHECK(hank_within(HANK_MS(1), wait_for_sleepers(&other)) == -ETIMEDOUT);
    CHECK(hank_stopped() == 0);
    return 0;
}

Test(group, passes_a_stop_of_the_one_who_waits_on_to_its_members_and_says_so)
{
    with_each_size(stop_the_one_who_waits, NULL);
}

/* Statistics count a task as ended before its group knows. */
static uint64_t members_of(hank_group *public)
{
    hk_group *g = (hk_group *)(void *)public;
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    uint64_t n = g->count;
    hk_lock_drop(&g->lock);
    return n;
}

static int fail_then_be_stopped(void *arg)
{
    counted *c = arg;
    hank_group g = {.flags = HANK_KEEP_GOING};
    c->g = &g;
    CHECK(hank_group_spawn(&g, give_back, number(-EIO)) == 0);
    CHECK(hank_group_spawn(&g, wait_to_be_stopped, c) == 0);
    YIELD_UNTIL(is_set(&c->started));
    return hank_group_wait(&g);
}

static int stop_after_a_failure(void *arg)
{
    (void)arg;
    counted c = {0};
    hank_task t = hank_spawn(fail_then_be_stopped, &c);
    YIELD_UNTIL(is_set(&c.started));
    YIELD_UNTIL(members_of(c.g) == 1); /* the sleeper */
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -EIO);
    return 0;
}

Test(group, that_had_failed_before_a_stop_says_with_what)
{
    with_each_size(stop_after_a_failure, NULL);
}

static int add_from_everywhere(void *arg)
{
    counted *c = arg;
    for (int i = 0; i < 50; i++)
        (void)hank_group_spawn(c->g, count_me, c);
    return 0;
}

static int hammer_one_group(void *arg)
{
    (void)arg;
    for (int round = 0; round < 10; round++) {
        hank_group g = {0};
        counted c = {.g = &g};
        for (int i = 0; i < 20; i++)
            CHECK(hank_group_spawn(&g, add_from_everywhere, &c) == 0);
        if (round % 2)
            hank_group_cancel(&g);
        CHECK(hank_group_wait(&g) == 0);
        CHECK(round % 2 || hk_load_acquire(&c.ended) == 1000);
        CHECK(hk_load_acquire(&c.ended) == hk_load_acquire(&c.started));
    }
    return 0;
}

Test(group, may_be_added_to_by_any_task_at_the_same_time)
{
    with_each_size(hammer_one_group, NULL);
}
