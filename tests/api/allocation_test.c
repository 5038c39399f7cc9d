/* SPDX-License-Identifier: MIT */
/* allocation_test.c - whatever a task does with tasks, timers and the world outside, waiting,
 * waking, cancelling and timing out take no memory. */
#include "api/allocation_support.h"

#include <fcntl.h>

#if HK_FAULTS

enum { SIGNAL = SIGUSR1 };

typedef struct ground {
    hank_event event; /* what the tasks are waiting for; new before each wait */
    hank_timer timer; /* the latest */
    bool ready;
    hank_bell bell;
    int fds[2];
} ground;

static void clear(void *g)
{
    ((ground *)g)->event = (hank_event){0};
}

static int wait_for_the_event(void *g)
{
    return hank_event_wait(&((ground *)g)->event);
}

static int set_the_event(void *g)
{
    hank_event_set(&((ground *)g)->event);
    return 0;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static int await_a_child(void *g)
{
    return hank_await(hank_spawn(wait_for_the_event, g));
}

static int gather_two(void *g)
{
    return hank_gather(hank_spawn(wait_for_the_event, g), hank_spawn(wait_for_the_event, g));
}

static int race_two(void *g)
{
    hank_task two[] = {hank_spawn(wait_for_the_event, g), hank_spawn(wait_for_the_event, g)};
    ssize_t winner = hank_race_n(two, 2, NULL);
    return winner < 0 ? (int)winner : 0;
}

static int wait_for_two(void *g)
{
    hank_task two[] = {hank_spawn(wait_for_the_event, g), hank_spawn(wait_for_the_event, g)};
    int done = hank_wait_n(two, 2, HANK_ALL_DONE, NULL);
    if (done < 0)
        (void)(hank_cancel(two[0]), hank_cancel(two[1]));
    (void)(hank_await(two[0]), hank_await(two[1])); /* wait_n has said it all */
    return done < 0 ? done : 0;
}

static int wait_for_a_group(void *g)
{
    hank_group group = {0};
    (void)hank_group_spawn(&group, wait_for_the_event, g);
    (void)hank_group_spawn_copy(&group, sleep_forever, &(int){0}, sizeof(int));
    (void)hank_group_spawn(&group, wait_for_the_event, g);
    int rc = hank_event_wait(&((ground *)g)->event);
    hank_group_cancel(&group);
    int its = hank_group_wait(&group);
    return rc < 0 ? rc : its;
}

static int be_a_part_of_a_group(void *g)
{
    hank_group group = {0};
    MUST(hank_group_begin(&group) == 0);
    (void)hank_group_spawn(&group, wait_for_the_event, g);
    return hank_group_end(&group, wait_for_the_event(g));
}

static int start_when_told(void *g)
{
    int rc = wait_for_the_event(g);
    return rc < 0 ? rc : hank_started(NULL);
}

static int start_a_member(void *g)
{
    hank_group group = {0};
    int rc = hank_group_start(&group, start_when_told, g, NULL, NULL);
    int its = hank_group_wait(&group);
    return rc < 0 ? rc : its;
}

static int complete_one(void *g)
{
    hank_completions c;
    hank_task one = hank_spawn(wait_for_the_event, g);
    MUST(hank_completions_begin(&c, &one, 1) == 0);
    ssize_t i = hank_completions_next(&c);
    hank_completions_end(&c);
    if (i < 0)
        (void)hank_cancel(one); /* ours */
    (void)hank_await(one);      /* what it says is known */
    return i < 0 ? (int)i : 0;
}

static int call_one_that_waits(void *g)
{
    ground *o = g;
    o->timer = hank_call_soon(wait_for_the_event, g);
    let_the_others_run();
    return 0;
}

static int wait_for_the_call(void *g)
{
    int rc = hank_timer_cancel_wait(((ground *)g)->timer);
    return rc == -EALREADY ? 0 : rc;
}

static int the_call_is_over(void *g)
{
    (void)set_the_event(g);
    return wait_for_the_call(g);
}

/* --- what comes from outside ------------------------------------------------------------------ */

static int hear_the_bell(void *g)
{
    return hank_bell_next(&((ground *)g)->bell);
}

static int ring_the_bell(void *g)
{
    hank_bell_ring(&((ground *)g)->bell);
    return 0;
}

static int wait_for_a_signal(void *g)
{
    (void)g;
    return hank_signal_wait(SIGNAL);
}

static int send_a_signal(void *g)
{
    (void)g;
    return kill(getpid(), SIGNAL);
}

static int wait_for_a_byte(void *g)
{
    return hank_fd_wait(((ground *)g)->fds[0], HANK_READABLE);
}

static int write_a_byte(void *g)
{
    return write(((ground *)g)->fds[1], "x", 1) == 1 ? 0 : -EPROTO;
}

static int read_what_there_is(void *g)
{
    char bytes[16];
    while (read(((ground *)g)->fds[0], bytes, sizeof bytes) > 0)
        continue;
    return 0;
}

/* --- what does not wait ----------------------------------------------------------------------- */

static int call_later_and_take_it_back(void *g)
{
    hank_timer in_an_hour = hank_call_later(HANK_SEC(3600), wait_for_the_event, g);
    hank_timer at_once = hank_call_at(hank_now(), give_back, NULL);
    MUST(hank_timer_when(in_an_hour) > hank_now() && hank_timer_cancel(in_an_hour) == 0);
    let_the_others_run();
    MUST(hank_timer_cancel_wait(at_once) == -EALREADY);
    return 0;
}

static int go_through_scopes(void *g)
{
    static const hank_local key;
    hank_scope timeout, shield;
    hank_local_scope local;
    hank_timeout_begin(&timeout, HANK_SEC(3600));
    hank_shield_begin(&shield);
    hank_local_begin(&local, &key, g);
    MUST(hank_timeout_reschedule(&timeout, hank_now() + HANK_SEC(60)) == 0);
    MUST(hank_local_get(&key) == g && hank_yield() == 0 && hank_stopped() == 0);
    hank_local_end(&local);
    hank_shield_end(&shield);
    MUST(!hank_timeout_end(&timeout));
    return 0;
}

static void say_done(void *arg, int result)
{
    *(bool *)arg = result == 0;
}

static int call_when_done(void *g)
{
    ground *o = g;
    hank_done done = {0};
    hank_done_hook hook = {.fn = say_done, .arg = &o->ready}, removed = hook;
    MUST(hank_done_add(&done, &hook) == 0 && hank_done_add(&done, &removed) == 0);
    MUST(hank_done_remove(&done, &removed) == 0);
    MUST(hank_await(hank_spawn_with(give_back, NULL, .on_done = hank_done_call,
                                    .on_done_arg = &done)) == 0);
    MUST(o->ready);
    return 0;
}

static int detach_one(void *g)
{
    ground *o = g;
    MUST(hank_detach(hank_spawn(set_the_event, g)) == 0);
    return hank_event_wait(&o->event);
}

static const way ways[] = {
    {.name = "timers", .before = call_later_and_take_it_back, .waits = sleep_forever},
    {.name = "scopes", .before = go_through_scopes, .waits = sleep_forever},
    {.name = "done hooks", .before = call_when_done, .waits = sleep_forever, .allocations = 1},
    {.name = "detach", .before = detach_one, .waits = sleep_forever},
    {.name = "sleep", .waits = sleep_forever},
    {.name = "await", .waits = await_a_child, .wakes = set_the_event},
    {.name = "gather", .waits = gather_two, .wakes = set_the_event},
    {.name = "race", .waits = race_two, .wakes = set_the_event},
    {.name = "wait_n", .waits = wait_for_two, .wakes = set_the_event},
    {.name = "completions_next", .waits = complete_one, .wakes = set_the_event, .allocations = 1},
    {.name = "group_wait", .waits = wait_for_a_group, .wakes = set_the_event, .allocations = 1},
    {.name = "group_end", .waits = be_a_part_of_a_group, .wakes = set_the_event},
    {.name = "group_start", .waits = start_a_member, .wakes = set_the_event, .allocations = 1},
    {.name = "timer_cancel_wait",
     .before = call_one_that_waits,
     .waits = wait_for_the_call,
     .wakes = set_the_event,
     .after = the_call_is_over},
    {.name = "bell_next", .waits = hear_the_bell, .wakes = ring_the_bell},
    {.name = "signal_wait", .waits = wait_for_a_signal, .wakes = send_a_signal},
    {.name = "fd_wait",
     .before = read_what_there_is,
     .waits = wait_for_a_byte,
     .wakes = write_a_byte},
};

static int wait_for_everything(void *arg)
{
    ground g = {.ready = false};
    way_table table = {ways, sizeof ways / sizeof ways[0], clear, &g};
    (void)arg;
    MUST(pipe2(g.fds, O_NONBLOCK | O_CLOEXEC) == 0 && hank_bell_begin(&g.bell) == 0);
    int rc = memory_is_taken_as_documented(&table);
    hank_bell_end(&g.bell);
    MUST(close(g.fds[0]) == 0 && close(g.fds[1]) == 0);
    return rc;
}

Test(allocation, is_none_to_wait_wake_cancel_or_time_out_for_anything)
{
    with_workers(1, wait_for_everything, NULL);
}

#endif
