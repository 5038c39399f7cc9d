/* SPDX-License-Identifier: MIT */
/* completed_test.c - hank_completions: tasks in the order in which they end, asyncio's
 * as_completed. */
#include "api/compose_support.h"
#include "last_words.h"

enum { MANY = 6, CROWD = 2000 };

static int wait_at(void *gate)
{
    return hank_event_wait(gate);
}

typedef struct gates {
    hank_event gate[MANY];
    hank_task tasks[MANY];
} gates;

static void spawn_all(gates *g)
{
    *g = (gates){0};
    for (int i = 0; i < MANY; i++)
        g->tasks[i] = hank_spawn(wait_at, &g->gate[i]);
}

static int await_all(gates *g)
{
    for (int i = 0; i < MANY; i++)
        hank_event_set(&g->gate[i]);
    for (int i = 0; i < MANY; i++)
        (void)hank_await(g->tasks[i]); /* used up or not */
    return 0;
}

static int in_the_order_of_ending(void *arg)
{
    static const int order[MANY] = {3, 0, 5, 1, 4, 2};
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    for (int i = 0; i < MANY; i++) {
        hank_event_set(&g.gate[order[i]]);
        MUST(hank_completions_next(&c) == order[i]);
        MUST(hank_await(g.tasks[order[i]]) == 0);
    }
    MUST(hank_completions_next(&c) == -ENOENT);
    hank_completions_end(&c);
    return 0;
}
EACH(completions, come_in_the_order_in_which_tasks_end, in_the_order_of_ending)

/* In the order of ending, if one worker ends them all; else each was seen to have ended before the
 * next could, but may be a moment late to say so. */
static int queued_up(void *arg)
{
    static const int order[3] = {4, 1, 2};
    gates g;
    hank_completions c;
    hank_stats stats;
    unsigned came = 0;
    (void)arg;
    MUST(hank_get_stats(&stats) == 0);
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    for (int i = 0; i < 3; i++) {
        hank_event_set(&g.gate[order[i]]);
        YIELD_UNTIL(hank_is_done(g.tasks[order[i]]) == 1);
    }
    for (int i = 0; i < 3; i++) {
        ssize_t next = hank_completions_next(&c);
        MUST(next == order[i] || (next > 0 && stats.workers > 1));
        came |= 1u << next;
    }
    MUST(came == (1u << 4 | 1u << 1 | 1u << 2));
    hank_completions_end(&c);
    return await_all(&g);
}
EACH(completions, that_nobody_asked_for_yet_keep_their_order, queued_up)

static int ended_before(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    for (int i = 0; i < MANY; i++)
        hank_event_set(&g.gate[i]);
    MUST(hank_wait_n(g.tasks, MANY, HANK_ALL_DONE, NULL) == MANY);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    for (int i = 0; i < MANY; i++)
        MUST(hank_completions_next(&c) == i);
    MUST(hank_completions_next(&c) == -ENOENT && hank_completions_next(&c) == -ENOENT);
    hank_completions_end(&c);
    return await_all(&g);
}
EACH(completions, of_tasks_that_ended_before_come_in_the_order_given, ended_before)

static int of_nothing(void *arg)
{
    hank_completions c;
    (void)arg;
    MUST(hank_completions_begin(&c, NULL, 0) == 0);
    MUST(hank_completions_next(&c) == -ENOENT);
    hank_completions_end(&c);
    return 0;
}
EACH(completions, of_no_tasks_are_none, of_nothing)

static int with_failures(void *arg)
{
    hank_completions c;
    hank_task tasks[] = {hank_spawn(yield_once, number(-EIO)), hank_spawn(sleep_forever, NULL),
                         hank_spawn(NULL, NULL)};
    int results[3] = {1, 1, 1};
    ssize_t i;
    (void)arg;
    MUST(hank_cancel(tasks[1]) == 0);
    MUST(hank_completions_begin(&c, tasks, 3) == 0);
    while ((i = hank_completions_next(&c)) >= 0)
        results[i] = hank_await(tasks[i]);
    hank_completions_end(&c);
    MUST(i == -ENOENT && results[0] == -EIO && results[1] == -ECANCELED && results[2] == -EINVAL);
    return 0;
}
EACH(completions, include_those_that_failed_were_cancelled_or_never_made, with_failures)

static int the_same_twice(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    hank_task twice[] = {g.tasks[0], g.tasks[1], g.tasks[0], g.tasks[1]};
    hank_event_set(&g.gate[1]);
    YIELD_UNTIL(hank_is_done(g.tasks[1]) == 1); /* one has ended, one runs */
    MUST(hank_completions_begin(&c, twice, 4) == 0);
    MUST(hank_completions_next(&c) == 1);
    hank_event_set(&g.gate[0]);
    MUST(hank_completions_next(&c) == 0);
    MUST(hank_completions_next(&c) == -ENOENT);
    hank_completions_end(&c);
    return await_all(&g);
}
EACH(completions, give_each_task_once_however_often_it_is_named, the_same_twice)

static int stop_early(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    hank_event_set(&g.gate[2]);
    MUST(hank_completions_next(&c) == 2);
    hank_completions_end(&c);
    for (int i = 0; i < MANY; i++)
        MUST(hank_is_done(g.tasks[i]) == (i == 2));
    for (int i = 0; i < MANY; i++)
        hank_event_set(&g.gate[i]);
    MUST(hank_gather_n(g.tasks, MANY, NULL) == 0); /* nobody was cancelled */
    return 0;
}
EACH(completions, may_be_left_before_all_have_ended, stop_early)

static int pause_and_resume(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    MUST(hank_within(HANK_MS(1), hank_completions_next(&c)) == -ETIMEDOUT);
    hank_event_set(&g.gate[0]);
    MUST(hank_completions_next(&c) == 0); /* the timeout took nothing */
    MUST(hank_within(0, hank_completions_next(&c)) == -ETIMEDOUT);
    hank_event_set(&g.gate[5]);
    MUST(hank_completions_next(&c) == 5);
    hank_completions_end(&c);
    return await_all(&g);
}
EACH(completions, go_on_after_a_timeout_and_nothing_was_taken, pause_and_resume)

static int next_of(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    int rc = (int)hank_completions_next(&c);
    hank_completions_end(&c);
    for (int i = 0; i < MANY; i++)
        MUST(hank_is_done(g.tasks[i]) == 0);
    hank_scope s;
    hank_shield_begin(&s);
    (void)await_all(&g);
    hank_shield_end(&s);
    return rc;
}

static int cancel_next(void *arg)
{
    hank_task t = hank_spawn(next_of, arg);
    YIELD_UNTIL(is_parked(t));
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    return 0;
}
EACH(completions, whose_reader_is_cancelled_cancel_nobody, cancel_next)

static int await_one_beforehand(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    hank_event_set(&g.gate[3]);
    MUST(hank_await(g.tasks[3]) == 0); /* while it was watched */
    MUST(hank_completions_next(&c) == 3);
    MUST(hank_await(g.tasks[3]) == -ESTALE);
    hank_event_set(&g.gate[0]);
    MUST(hank_completions_next(&c) == 0);
    hank_completions_end(&c);
    return await_all(&g);
}
EACH(completions, give_a_task_that_was_awaited_meanwhile_as_used_up, await_one_beforehand)

static int gather_meanwhile(void *arg)
{
    gates g;
    hank_completions c;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&c, g.tasks, MANY) == 0);
    for (int i = 0; i < MANY; i++)
        hank_event_set(&g.gate[i]);
    MUST(hank_gather_n(g.tasks, 3, NULL) == 0);
    bool seen[MANY] = {false};
    for (int i = 0; i < MANY; i++) {
        ssize_t n = hank_completions_next(&c);
        MUST(n >= 0 && !seen[n]);
        seen[n] = true;
    }
    MUST(hank_completions_next(&c) == -ENOENT);
    hank_completions_end(&c);
    return await_all(&g);
}
EACH(completions, stand_a_gather_of_the_same_tasks, gather_meanwhile)

static int detach_meanwhile(void *arg)
{
    static hank_event gate;
    hank_completions c;
    (void)arg;
    gate = (hank_event){0};
    hank_task t = hank_spawn(wait_at, &gate);
    MUST(hank_completions_begin(&c, &t, 1) == 0);
    MUST(hank_detach(t) == 0);
    MUST(hank_completions_next(&c) == 0); /* it is nobody's to wait for any more */
    hank_completions_end(&c);
    hank_event_set(&gate);
    return 0;
}

Test(completions, give_a_task_that_was_detached_meanwhile_as_used_up)
{
    for (EACH_SIZE(i))
        with_workers(sizes[i], detach_meanwhile, NULL);
}

static int two_at_once(void *arg)
{
    gates g;
    hank_completions a, b;
    (void)arg;
    spawn_all(&g);
    MUST(hank_completions_begin(&a, g.tasks, 3) == 0);
    MUST(hank_completions_begin(&b, g.tasks + 2, 2) == -EBUSY); /* one of them is in a */
    MUST(hank_wait_n(g.tasks, 1, HANK_FIRST_DONE, NULL) == -EBUSY);
    MUST(hank_completions_begin(&b, g.tasks + 3, 3) == 0);
    hank_event_set(&g.gate[4]);
    MUST(hank_completions_next(&b) == 1); /* its own counting */
    hank_event_set(&g.gate[1]);
    MUST(hank_completions_next(&a) == 1);
    hank_completions_end(&b);
    hank_completions_end(&a);
    return await_all(&g);
}
EACH(completions, of_other_tasks_may_be_open_at_the_same_time, two_at_once)

static int leave_it_open(void *c)
{
    static hank_task t;
    t = hank_spawn(give_back, NULL);
    (void)hank_completions_begin(c, &t, 1);
    return 0;
}

Test(completions, that_a_task_returned_inside_of_are_a_panic)
{
    hank_completions c;
    culprit_must_panic(leave_it_open, "completions", &c);
}

static int end_a_shield_inside(void *c)
{
    hank_scope s;
    hank_task t = hank_spawn(give_back, NULL);
    hank_shield_begin(&s);
    (void)hank_completions_begin(c, &t, 1);
    hank_shield_end(&s);
    return 0;
}

static int end_them_inside_a_shield(void *c)
{
    hank_scope s;
    hank_task t = hank_spawn(give_back, NULL);
    (void)hank_completions_begin(c, &t, 1);
    hank_shield_begin(&s);
    hank_completions_end(c);
    return 0;
}

Test(completions, that_cross_another_scope_are_a_panic)
{
    hank_completions c;
    culprit_must_panic(end_a_shield_inside, "completions", &c);
    culprit_must_panic(end_them_inside_a_shield, "completions", &c);
}

Test(completions, are_for_tasks)
{
    hank_completions c;
    hank_task t = {0};
    cr_assert_eq(hank_completions_begin(&c, &t, 1), -EPERM);
    cr_assert_eq(hank_completions_begin(&c, &t, 0), -EPERM);
}

static int too_many(void *arg)
{
    hank_completions c;
    hank_task t = hank_spawn(give_back, arg);
    MUST(hank_completions_begin(&c, &t, 1000 * 1000 + 1) == -E2BIG);
    return hank_await(t);
}
EACH(completions, of_more_than_a_million_are_refused, too_many)

typedef struct walked {
    hank_task tasks[MANY];
    int seen;
} walked;

static void anew(void *state)
{
    *(walked *)state = (walked){0};
}

static int iterate(void *state)
{
    walked *w = state;
    hank_completions c;
    for (int i = 0; i < MANY; i++)
        w->tasks[i] = hank_spawn(yield_once, number(i));
    int rc = hank_completions_begin(&c, w->tasks, MANY);
    if (rc < 0)
        return rc;
    ssize_t i;
    while ((i = hank_completions_next(&c)) >= 0) {
        w->seen++;
        if (hank_await(w->tasks[i]) != i) { /* it has ended: no stop can change that */
            hank_completions_end(&c);
            return -EPROTO;
        }
    }
    hank_completions_end(&c);
    return i == -ENOENT ? 0 : (int)i;
}

static bool has_seen_all(void *state, int rc, bool stopped)
{
    walked *w = state;
    return rc == 0 ? w->seen == MANY : stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
}

static int walk(void *arg)
{
    walked w;
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){anew, iterate, NULL, has_seen_all, &w}) == 0);
    return 0;
}
EACH(completions, can_be_stopped_at_any_point, walk)

static int crowd(void *arg)
{
    static hank_task tasks[CROWD];
    static bool seen[CROWD];
    hank_completions c;
    ssize_t i;
    (void)arg;
    for (int n = 0; n < CROWD; n++) {
        tasks[n] = hank_spawn(n % 3 ? yield_once : give_back, number(n));
        seen[n] = false;
    }
    MUST(hank_completions_begin(&c, tasks, CROWD) == 0);
    int count = 0;
    while ((i = hank_completions_next(&c)) >= 0) {
        MUST(!seen[i] && hank_await(tasks[i]) == i);
        seen[i] = true;
        count++;
    }
    hank_completions_end(&c);
    MUST(count == CROWD);
    return 0;
}
EACH(completions, of_thousands_give_each_once, crowd)
