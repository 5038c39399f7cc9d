/* SPDX-License-Identifier: MIT */
/* body_test.c - what <hank/group.h> says of the task that is itself a part of a group. */
#include "api/compose_support.h"
#include "last_words.h"

static int fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

static int fail_when_told(void *arg)
{
    YIELD_UNTIL(is_set(arg));
    return -EIO;
}

/* --- a failure stops the body --------------------------------------------------------------- */

static int wait_for_a_failure(void *arg)
{
    hank_group g = {0};
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    CHECK(hank_stopped() == 0);
    CHECK(hank_group_spawn(&g, fail_at_once, NULL) == 0);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    CHECK(hank_sleep(1) == -ECANCELED); /* a level: it stays */
    CHECK(hank_stopped() == -ECANCELED && hank_deadline() < hank_now());
    CHECK(hank_group_spawn(&g, fail_at_once, NULL) == -ECANCELED);
    CHECK(hank_group_end(&g, -ECANCELED) == -EIO);
    CHECK(hank_stopped() == 0 && hank_sleep(1) == 0); /* and leaves nothing behind */
    return 0;
}
EACH(body, is_stopped_when_a_member_fails_and_no_longer, wait_for_a_failure)

static int wait_for_a_lock(void *arg)
{
    hank_mutex m = {0};
    hank_event e = {0};
    (void)arg;
    for (int i = 0; i < 100; i++) {
        hank_group g = {0};
        flag told = 0;
        MUST(hank_group_begin(&g) == 0);
        (void)hank_group_spawn(&g, fail_when_told, &told);
        hank_mutex_lock(&m); /* a wait that no stop ends is none of it */
        set(&told);
        int rc = i % 2 ? hank_event_wait(&e) : hank_sleep(HANK_FOREVER);
        hank_mutex_unlock(&m);
        MUST(rc == -ECANCELED);
        MUST(hank_group_end(&g, rc) == -EIO);
    }
    return 0;
}
EACH(body, is_found_by_the_stop_in_whatever_it_waits, wait_for_a_lock)

typedef struct below {
    flag started;
    flag told;
    int levels;
} below;

static int wait_below(void *arg)
{
    below *b = arg;
    set(&b->started);
    if (b->levels-- > 0)
        return hank_await(hank_spawn(wait_below, b));
    set(&b->told);
    return hank_sleep(HANK_FOREVER);
}

static int await_in_the_body(void *arg)
{
    (void)arg;
    for (int levels = 0; levels < 4; levels++) {
        for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
            hank_group g = {0};
            below b = {.levels = levels};
            MUST(hank_group_begin(&g) == 0);
            hank_task t = hank_spawn(wait_below, &b);
            if (elsewhere)
                YIELD_UNTIL(is_set(&b.started));
            (void)hank_group_spawn(&g, fail_when_told, &b.told);
            MUST(hank_await(t) == -ECANCELED);
            MUST(hank_group_end(&g, -ECANCELED) == -EIO);
            MUST(hank_stopped() == 0);
        }
    }
    return 0;
}
EACH(body, passes_its_stop_on_to_the_tasks_it_waits_for, await_in_the_body)

static int keep_going(void *arg)
{
    hank_group g = {.flags = HANK_KEEP_GOING};
    flag told = 1;
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    (void)hank_group_spawn(&g, fail_when_told, &told);
    CHECK(hank_sleep(HANK_MS(1)) == 0);
    CHECK(hank_group_end(&g, 0) == -EIO);
    return 0;
}
EACH(body, of_a_group_that_keeps_going_does_too, keep_going)

/* --- a cancel of the group ------------------------------------------------------------------- */

static int cancel_the_group(void *arg)
{
    hank_group_cancel(arg);
    return 0;
}

static int be_cancelled_with_the_group(void *arg)
{
    hank_group g = {0};
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    (void)hank_group_spawn(&g, sleep_forever, NULL);
    (void)hank_group_spawn(&g, cancel_the_group, &g);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    CHECK(hank_group_end(&g, -ECANCELED) == 0); /* nobody has failed */
    MUST(hank_group_begin(&g) == 0);            /* like new */
    CHECK(hank_stopped() == 0);
    hank_group_cancel(&g); /* by itself */
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    CHECK(hank_group_end(&g, 7) == 0);
    hank_group_cancel(&g); /* before it has begun */
    MUST(hank_group_begin(&g) == 0);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    CHECK(hank_group_end(&g, -ECANCELED) == 0);
    return 0;
}
EACH(body, is_stopped_by_a_cancel_of_the_group_which_is_no_failure, be_cancelled_with_the_group)

static void *cancel_from_a_thread(void *group)
{
    hank_group_cancel(group);
    return NULL;
}

static int be_cancelled_from_a_thread(void *arg)
{
    hank_group g = {0};
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    pthread_t thread = start_thread(cancel_from_a_thread, &g);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    join_thread(thread);
    CHECK(hank_group_end(&g, -ECANCELED) == 0);
    return 0;
}
EACH(body, is_stopped_by_a_cancel_from_a_thread, be_cancelled_from_a_thread)

/* --- a body that fails, or is stopped from outside ------------------------------------------- */

static int fail_in_the_body(void *arg)
{
    hank_group g = {0};
    flag started = 0;
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    (void)hank_group_spawn(&g, start_and_wait, &started);
    YIELD_UNTIL(is_set(&started));
    CHECK(hank_group_end(&g, -ENOENT) == -ENOENT);
    MUST(hank_group_begin(&g) == 0);
    CHECK(hank_group_end(&g, 5) == 0);
    MUST(hank_group_begin(&g) == 0);
    CHECK(hank_group_end(&g, -ECANCELED) == -ECANCELED); /* nobody asked it to */
    return 0;
}
EACH(body, that_fails_cancels_the_members_and_is_the_failure, fail_in_the_body)

typedef struct outside {
    flag started;
    int member_result;
    int end;
    int after;
} outside;

static int say_when_stopped(void *arg)
{
    outside *o = arg;
    set(&o->started);
    (void)hank_sleep(HANK_FOREVER);
    return o->member_result;
}

static int be_part_of_a_group(void *arg)
{
    outside *o = arg;
    hank_group g = {0};
    MUST(hank_group_begin(&g) == 0);
    (void)hank_group_spawn(&g, say_when_stopped, o);
    YIELD_UNTIL(is_set(&o->started));
    set(&o->started);
    int rc = hank_sleep(HANK_FOREVER);
    CHECK(rc < 0);
    o->end = hank_group_end(&g, rc);
    o->after = hank_sleep(1);
    return o->end;
}

static int stop_from_outside(void *arg)
{
    (void)arg;
    for (int member = 0; member < 2; member++) {
        outside o = {.member_result = member ? -EIO : 0};
        hank_task t = hank_spawn(be_part_of_a_group, &o);
        YIELD_UNTIL(hk_load_acquire(&o.started) == 2);
        MUST(hank_cancel(t) == 0);
        (void)hank_await(t);
        MUST(o.end == -ECANCELED && o.after == -ECANCELED); /* it came before the member's */
    }
    outside o = {.member_result = -ECANCELED};
    hank_scope s;
    hank_timeout_begin(&s, HANK_MS(1));
    (void)be_part_of_a_group(&o);
    MUST(hank_timeout_end(&s));
    MUST(o.end < 0 && o.after == -ETIMEDOUT);
    return 0;
}
EACH(body, that_is_stopped_from_outside_takes_its_members_along, stop_from_outside)

typedef struct lingering {
    flag ending; /* the block is over, and a member is not */
    hank_event go;
    int end, after;
} lingering;

static int linger(void *arg)
{
    lingering *l = arg;
    hank_scope s;
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    set(&l->ending);
    hank_shield_begin(&s);
    CHECK(hank_event_wait(&l->go) == 0);
    hank_shield_end(&s);
    return -ECANCELED;
}

static int end_a_cancelled_group(void *arg)
{
    lingering *l = arg;
    hank_group g = {0};
    MUST(hank_group_begin(&g) == 0);
    (void)hank_group_spawn_with(&g, linger, l, .eager = true);
    hank_group_cancel(&g);
    l->end = hank_group_end(&g, 0);
    l->after = hank_yield();
    return l->end;
}

/* The group's own stop ends with it. One from outside that comes while it ends is not taken for it.
 */
static int stop_while_it_ends(void *arg)
{
    (void)arg;
    for (int from_outside = 0; from_outside < 2; from_outside++) {
        int expected = from_outside ? -ECANCELED : 0;
        lingering l = {.end = 1};
        hank_task t = hank_spawn(end_a_cancelled_group, &l);
        YIELD_UNTIL(is_set(&l.ending) && is_parked(t)); /* at the end of its group */
        MUST(!from_outside || hank_cancel(t) == 0);
        hank_event_set(&l.go);
        MUST(hank_await(t) == expected);
        MUST(l.end == expected && l.after == expected);
    }
    return 0;
}
EACH(body, stopped_from_outside_while_its_cancelled_group_ends_is_stopped, stop_while_it_ends)

/* --- several, and shields -------------------------------------------------------------------- */

static int nest_groups(void *arg)
{
    (void)arg;
    for (int both = 0; both < 2; both++) {
        hank_group outer = {0}, inner = {0};
        flag told = 1;
        MUST(hank_group_begin(&outer) == 0);
        MUST(hank_group_begin(&inner) == 0);
        (void)hank_group_spawn(&inner, fail_when_told, &told);
        CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
        if (both) {
            (void)hank_group_spawn(&outer, fail_at_once, NULL);
            YIELD_UNTIL(hank_group_spawn(&outer, give_back, NULL) == -ECANCELED);
        }
        CHECK(hank_group_end(&inner, -ECANCELED) == -EIO);
        CHECK(hank_stopped() == (both ? -ECANCELED : 0)); /* each its own */
        CHECK(hank_group_end(&outer, 0) == (both ? -EIO : 0));
        CHECK(hank_stopped() == 0);
    }
    return 0;
}
EACH(body, of_one_group_inside_another_is_stopped_by_each_for_itself, nest_groups)

static int shield_inside(void *arg)
{
    hank_group g = {0};
    hank_scope shield;
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    hank_shield_begin(&shield);
    hank_group_cancel(&g);
    CHECK(hank_stopped() == 0 && hank_sleep(HANK_US(100)) == 0);
    hank_shield_end(&shield);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    CHECK(hank_group_end(&g, -ECANCELED) == 0);
    return 0;
}
EACH(body, can_hold_its_stop_off_with_a_shield, shield_inside)

static int be_part_in_a_shield(void *arg)
{
    below *b = arg;
    hank_group first = {0}, second = {0};
    hank_scope shield;
    MUST(hank_group_begin(&first) == 0);
    hank_shield_begin(&shield);
    MUST(hank_group_begin(&second) == 0);
    (void)hank_group_spawn(&second, fail_when_told, &b->told);
    hank_group_cancel(&first); /* held off */
    set(&b->started);
    int rc = b->levels ? hank_await(hank_spawn(sleep_forever, NULL)) : hank_sleep(HANK_FOREVER);
    CHECK(rc == -ECANCELED && is_set(&b->told));
    CHECK(hank_group_end(&second, rc) == -EIO);
    CHECK(hank_stopped() == 0);
    hank_shield_end(&shield);
    CHECK(hank_group_end(&first, hank_stopped()) == 0);
    return 0;
}

static int shield_outside(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        below b = {.levels = i % 2};
        hank_task t = hank_spawn(be_part_in_a_shield, &b);
        YIELD_UNTIL(is_set(&b.started));
        MUST(hank_cancel(t) == 0); /* this is held off */
        if (i / 2)
            YIELD_UNTIL(is_parked(t) || i % 2);
        for (int j = 0; j < 10; j++)
            (void)hank_yield();
        set(&b.told); /* and this is not */
        MUST(hank_await(t) == 0);
    }
    return 0;
}
EACH(body, begun_inside_a_shield_is_stopped_by_its_group_and_by_nothing_else, shield_outside)

static int time_out_inside(void *arg)
{
    hank_group g = {0};
    hank_scope s;
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    hank_timeout_begin(&s, 0);
    CHECK(hank_stopped() == -ETIMEDOUT);
    hank_group_cancel(&g);
    CHECK(hank_stopped() == -ECANCELED); /* cancelling comes first */
    CHECK(hank_timeout_expired(&s) && !hank_timeout_end(&s));
    CHECK(hank_group_end(&g, -ECANCELED) == 0);
    return 0;
}
EACH(body, whose_group_is_cancelled_is_not_out_of_time, time_out_inside)

/* --- at any moment --------------------------------------------------------------------------- */

static int fail_some_time(void *arg)
{
    hank_ns begin = hank_now();
    while (hank_now() - begin < (hank_ns)(intptr_t)arg)
        continue;
    return -EIO;
}

static int stop_at_any_moment(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        hank_group g = {0};
        hank_chan *c = hank_chan_new(sizeof(int), 0);
        MUST(c && hank_group_begin(&g) == 0);
        (void)hank_group_spawn(&g, fail_some_time, number(i % 50 * 100));
        int rc = 0;
        for (int step = 0; rc == 0; step++)
            rc = step % 3 == 0   ? hank_sleep(HANK_US(1))
                 : step % 3 == 1 ? hank_await(hank_spawn(yield_once, number(0)))
                                 : hank_yield();
        MUST(rc == -ECANCELED);
        int n;
        MUST(hank_chan_recv(c, &n) == -ECANCELED);
        MUST(hank_group_end(&g, rc) == -EIO);
        MUST(hank_stopped() == 0 && hank_sleep(1) == 0); /* no stop comes late */
        hank_chan_free(c);
    }
    return 0;
}
EACH(body, may_be_stopped_at_any_moment, stop_at_any_moment)

typedef struct walked {
    HK_ATOMIC(int) alive;
} walked;

static int live_a_little(void *state)
{
    walked *w = state;
    (void)hk_add_acqrel(&w->alive, 1);
    int rc = hank_sleep(1);
    (void)hk_sub_acqrel(&w->alive, 1);
    return rc;
}

static int be_part_of_it(void *state)
{
    hank_group g = {0};
    int rc = hank_group_begin(&g);
    if (rc < 0)
        return rc;
    (void)hank_group_spawn(&g, live_a_little, state);
    (void)hank_group_spawn(&g, live_a_little, state);
    rc = hank_sleep(1);
    if (rc == 0)
        rc = hank_await(hank_spawn(live_a_little, state));
    return hank_group_end(&g, rc);
}

static bool nobody_is_left(void *state, int rc, bool stopped)
{
    walked *w = state;
    return hk_load_acquire(&w->alive) == 0 && (rc == 0 || stopped);
}

static int walk_over_a_body(void *arg)
{
    walked w = {0};
    (void)arg;
    everywhere_scenario s = {NULL, be_part_of_it, NULL, nobody_is_left, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(body, may_be_cancelled_at_each_of_its_waits, walk_over_a_body)

/* --- what is not allowed --------------------------------------------------------------------- */

static int be_part_twice(void *arg)
{
    hank_group g = {0};
    (void)arg;
    MUST(hank_group_begin(&g) == 0);
    CHECK(hank_group_begin(&g) == -EBUSY && hank_group_wait(&g) == -EBUSY);
    CHECK(hank_group_end(&g, 0) == 0);
    CHECK(hank_group_wait(&g) == 0);
    return 0;
}

Test(body, of_a_group_is_one_task_at_a_time_and_only_tasks)
{
    hank_group g = {0};
    with_each_size(be_part_twice, NULL);
    cr_expect_eq(hank_group_begin(&g), -EPERM);
}

static int end_before_the_inner(void *g)
{
    hank_scope s;
    MUST(hank_group_begin(g) == 0);
    hank_timeout_begin(&s, HANK_FOREVER);
    return hank_group_end(g, 0);
}

Test(body, that_is_not_the_innermost_scope_cannot_be_ended)
{
    hank_group g = {0};
    culprit_must_panic(end_before_the_inner, "group", &g);
}

static int return_inside(void *g)
{
    (void)hank_group_begin(g);
    return 0;
}

Test(body, must_be_ended_before_its_task_returns)
{
    hank_group g = {0};
    culprit_must_panic(return_inside, "group", &g);
}
