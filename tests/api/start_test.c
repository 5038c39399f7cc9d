/* SPDX-License-Identifier: MIT */
/* start_test.c - members that say when they are ready (Trio's nursery.start), members with options,
 * and members added while the group is waited for. */
#include "api/compose_support.h"

enum { MANY = 5, ROUNDS = 100 };

typedef struct server {
    hank_event go; /* what it does between its start and its end */
    int before;    /* < 0: fails before it has started */
    int after;     /* its result later */
    int said;      /* what hank_started said */
    flag ended;
} server;

static int serve(void *arg)
{
    server *s = arg;
    int rc = hank_yield();
    if (rc == 0 && s->before == 0) {
        s->said = hank_started(s);
        rc = hank_event_wait(&s->go);
    }
    set(&s->ended);
    return s->before < 0 ? s->before : rc < 0 ? rc : s->after;
}

static int start_and_end(void *arg)
{
    hank_group g = {0};
    server s = {.said = 1};
    void *value = NULL;
    (void)arg;
    MUST(hank_group_start(&g, serve, &s, NULL, &value) == 0);
    MUST(value == &s && s.said == 0 && !is_set(&s.ended));
    hank_event_set(&s.go);
    MUST(hank_group_wait(&g) == 0 && is_set(&s.ended));
    return 0;
}
EACH(start, returns_when_the_member_says_it_is_ready_and_gives_its_value, start_and_end)

static int fail_before(void *arg)
{
    hank_group g = {0};
    server s = {.before = -EADDRINUSE};
    void *value = arg;
    MUST(hank_group_start(&g, serve, &s, NULL, &value) == -EADDRINUSE);
    MUST(value == arg && is_set(&s.ended));
    MUST(hank_group_spawn(&g, give_back, NULL) == 0); /* it is not the group's failure */
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(start, gives_the_failure_of_a_member_before_it_was_one, fail_before)

static int fail_after(void *arg)
{
    hank_group g = {0};
    server s = {.after = -EIO}, other = {.after = 0};
    (void)arg;
    MUST(hank_group_start(&g, serve, &s, NULL, NULL) == 0);
    MUST(hank_group_start(&g, serve, &other, NULL, NULL) == 0);
    hank_event_set(&s.go);
    MUST(hank_group_wait(&g) == -EIO); /* and the other was cancelled */
    MUST(is_set(&other.ended));
    return 0;
}
EACH(start, leaves_a_failure_after_it_to_the_group, fail_after)

static int never_say_so(void *arg)
{
    hank_group g = {0};
    (void)arg;
    MUST(hank_group_start(&g, give_back, number(5), NULL, NULL) == -EPROTO);
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(start, of_one_that_ends_well_without_saying_so_is_an_error, never_say_so)

static int say_it_twice(void *arg)
{
    HK_ATOMIC(int) *second = arg;
    int rc = hank_started(NULL);
    if (rc == 0)
        hk_store_release(second, hank_started(NULL));
    return rc;
}

static int started_twice(void *arg)
{
    hank_group g = {0};
    HK_ATOMIC(int) second = 0;
    (void)arg;
    MUST(hank_group_start(&g, say_it_twice, &second, NULL, NULL) == 0);
    MUST(hank_group_wait(&g) == 0);
    MUST(hk_load_acquire(&second) == -EALREADY);
    return 0;
}
EACH(start, is_said_once, started_twice)

static int say_it_unasked(void *arg)
{
    (void)arg;
    return hank_started(NULL);
}

static int started_by_others(void *arg)
{
    hank_group g = {.flags = HANK_KEEP_GOING};
    (void)arg;
    MUST(hank_started(NULL) == -EPERM);
    MUST(hank_await(hank_spawn(say_it_unasked, NULL)) == -EPERM);
    MUST(hank_group_spawn(&g, say_it_unasked, NULL) == 0);
    MUST(hank_group_wait(&g) == -EPERM);
    return 0;
}
EACH(start, can_be_said_only_by_who_was_started_so, started_by_others)

Test(start, is_for_tasks)
{
    hank_group g = {0};
    cr_assert_eq(hank_group_start(&g, serve, NULL, NULL, NULL), -EPERM);
    cr_assert_eq(hank_started(NULL), -EPERM);
}

static int bad_starts(void *arg)
{
    hank_group g = {0};
    hank_spawn_options too_much = {.copy = 1 << 20};
    (void)arg;
    MUST(hank_group_start(NULL, serve, NULL, NULL, NULL) == -EINVAL);
    MUST(hank_group_start(&g, NULL, NULL, NULL, NULL) == -EINVAL);
    MUST(hank_group_start(&g, serve, &g, &too_much, NULL) == -EINVAL);
    MUST(hank_group_wait(&g) == 0); /* the caller's mistakes, not the group's */
    return 0;
}
EACH(start, refuses_what_spawn_refuses, bad_starts)

static int into_a_stopping_group(void *arg)
{
    hank_group g = {0};
    server s = {.before = 0};
    (void)arg;
    hank_group_cancel(&g);
    MUST(hank_group_start(&g, serve, &s, NULL, NULL) == -ECANCELED);
    MUST(!is_set(&s.ended));
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(start, into_a_group_that_is_stopping_starts_nothing, into_a_stopping_group)

/* --- stops ----------------------------------------------------------------------------------- */

typedef struct slow_start {
    hank_group g;
    flag begun, ended;
    int said;
} slow_start;

/* Waits for ever before it would say so, and says so after all when it is stopped. */
static int start_slowly(void *arg)
{
    slow_start *s = arg;
    set(&s->begun);
    int rc = hank_sleep(HANK_FOREVER);
    s->said = hank_started(s);
    set(&s->ended);
    return rc;
}

static int wait_for_a_slow_start(void *arg)
{
    slow_start *s = arg;
    return hank_group_start(&s->g, start_slowly, s, NULL, NULL);
}

static int cancel_the_starter(void *arg)
{
    slow_start s = {.said = 1};
    (void)arg;
    hank_task t = hank_spawn(wait_for_a_slow_start, &s);
    YIELD_UNTIL(is_set(&s.begun));
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    MUST(is_set(&s.ended) && s.said == -ECANCELED); /* joined; nobody was there to hear it */
    MUST(hank_group_wait(&s.g) == 0);
    return 0;
}
EACH(start, whose_starter_is_cancelled_cancels_and_joins_what_has_not_started, cancel_the_starter)

static int start_in_time(void *arg)
{
    slow_start s = {.said = 1};
    (void)arg;
    MUST(hank_within(HANK_MS(2), wait_for_a_slow_start(&s)) == -ETIMEDOUT);
    MUST(!is_set(&s.begun) || is_set(&s.ended));
    MUST(hank_group_wait(&s.g) == 0);
    return 0;
}
EACH(start, can_be_given_a_timeout, start_in_time)

static int outlive_the_starters_timeout(void *arg)
{
    hank_group g = {0};
    server s = {.after = 0};
    hank_scope t;
    (void)arg;
    hank_timeout_begin(&t, HANK_SEC(30));
    MUST(hank_group_start(&g, serve, &s, NULL, NULL) == 0);
    MUST(hank_timeout_end(&t) == false);
    MUST(!is_set(&s.ended)); /* it runs on: it is the group's now */
    hank_group_cancel(&g);
    MUST(hank_group_wait(&g) == 0 && is_set(&s.ended));
    return 0;
}
EACH(start, makes_a_member_that_the_group_can_cancel, outlive_the_starters_timeout)

typedef struct walked {
    hank_group g;
    server s;
} walked;

static void anew(void *state)
{
    *(walked *)state = (walked){.s = {.said = 1}};
}

static int start_then_wait(void *state)
{
    walked *w = state;
    int rc = hank_group_start(&w->g, serve, &w->s, NULL, NULL);
    hank_event_set(&w->s.go);
    int its = hank_group_wait(&w->g);
    return rc < 0 ? rc : its;
}

static bool server_is_gone(void *state, int rc, bool stopped)
{
    walked *w = state;
    if (rc == 0)
        return w->s.said == 0 && is_set(&w->s.ended);
    return stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
}

static int walk(void *arg)
{
    walked w;
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){anew, start_then_wait, NULL, server_is_gone, &w}) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(start, can_be_stopped_at_any_point, walk)

static int race_of_start_and_cancel(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        walked w;
        anew(&w);
        hank_task t = hank_spawn(start_then_wait, &w);
        for (int i = 0; i < round % 5; i++)
            (void)hank_yield();
        MUST(hank_cancel(t) == 0);
        int rc = hank_await(t);
        MUST(rc == 0 || rc == -ECANCELED);
        MUST(rc != 0 || w.s.said == 0);
    }
    return 0;
}
EACH(start, that_races_with_a_cancel_has_happened_or_not, race_of_start_and_cancel)

/* --- members with options -------------------------------------------------------------------- */

static int copied(void *arg)
{
    int *mine = arg;
    return mine[0] == 1 && mine[99] == 99 ? 0 : -EPROTO;
}

static int members_with_options(void *arg)
{
    hank_group g = {0};
    int big[100] = {1};
    (void)arg;
    big[99] = 99;
    MUST(hank_group_spawn_with(&g, copied, big, .copy = sizeof big, .name = "copied") == 0);
    big[0] = big[99] = 0;
    MUST(hank_group_spawn_with(&g, give_back, NULL, .stack_size = 1 << 20) == 0);
    MUST(hank_group_wait(&g) == 0);
    MUST(hank_group_spawn_with(&g, give_back, NULL, .stack_size = SIZE_MAX) == -EINVAL);
    MUST(hank_group_wait(&g) == -EINVAL); /* it counts as one that failed */
    return 0;
}
EACH(group, members_take_the_options_of_tasks, members_with_options)

static int eager_member(void *arg)
{
    hank_group g = {0};
    flag ran = 0;
    (void)arg;
    MUST(hank_group_spawn_with(&g, start_and_wait, &ran, .eager = true) == 0);
    MUST(is_set(&ran));
    hank_group_cancel(&g);
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(group, an_eager_member_has_begun_when_its_spawn_returns, eager_member)

static int cancel_the_group(void *arg)
{
    hank_group_cancel(arg);
    return hank_sleep(HANK_FOREVER) == -ECANCELED && hank_stopped() == -ECANCELED ? 0 : -EPROTO;
}

/* The spawn has not returned yet, but it is a member: the cancel is for it, too. */
static int eager_member_cancels(void *arg)
{
    (void)arg;
    hank_group g = {0};
    MUST(hank_group_spawn_with(&g, cancel_the_group, &g, .eager = true) == 0);
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(group, an_eager_member_that_cancels_it_at_once_is_cancelled_itself, eager_member_cancels)

/* --- while it is waited for ------------------------------------------------------------------ */

typedef struct family {
    hank_group g;
    HK_ATOMIC(int) born, fail_at;
} family;

typedef struct generation {
    family *f;
    int left;
} generation;

static int have_children(void *arg)
{
    generation *me = arg;
    (void)hk_add_acqrel(&me->f->born, 1);
    (void)hank_yield();
    if (me->left == hk_load_acquire(&me->f->fail_at))
        return -EIO;
    for (int i = 0; i < 2 && me->left > 0; i++) {
        generation child = {me->f, me->left - 1};
        int rc = hank_group_spawn_copy(&me->f->g, have_children, &child, sizeof child);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int grow_while_waited_for(void *arg)
{
    family f = {.fail_at = -1};
    generation first = {&f, MANY};
    (void)arg;
    MUST(hank_group_spawn(&f.g, have_children, &first) == 0);
    MUST(hank_group_wait(&f.g) == 0);
    MUST(hk_load_acquire(&f.born) == (1 << (MANY + 1)) - 1);
    return 0;
}
EACH(group, members_spawn_members_while_it_is_waited_for, grow_while_waited_for)

static int fail_while_growing(void *arg)
{
    family f = {.fail_at = 1};
    generation first = {&f, MANY};
    (void)arg;
    MUST(hank_group_spawn(&f.g, have_children, &first) == 0);
    MUST(hank_group_wait(&f.g) == -EIO);
    hk_store_release(&f.fail_at, -1);
    MUST(hank_group_spawn(&f.g, have_children, &first) == 0); /* it is like new */
    MUST(hank_group_wait(&f.g) == 0);
    return 0;
}
EACH(group, a_failure_stops_its_growth_and_afterwards_it_is_like_new, fail_while_growing)
