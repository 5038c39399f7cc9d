/* SPDX-License-Identifier: MIT */
/* everywhere_test.c - the walk itself: it finds every wait, and what is wrong after a stop; then
 * the calls of the task's own life under it. */
#include "api/compose_support.h"

/* --- the walk finds what is wrong ------------------------------------------------------------ */

typedef struct walked {
    int waits; /* how many times the body sleeps */
    int done;  /* how many of them were */
    int runs;
    bool careless; /* it keeps what it took when it is stopped */
    int taken;
} walked;

static void begin_anew(void *state)
{
    walked *w = state;
    w->done = w->taken = 0;
    w->runs++;
}

static int sleep_and_take(void *state)
{
    walked *w = state;
    for (int i = 0; i < w->waits; i++) {
        w->taken++;
        int rc = hank_sleep(1);
        if (rc < 0 && w->careless)
            return rc;
        w->taken--;
        if (rc < 0)
            return rc;
        w->done++;
    }
    return 0;
}

static bool nothing_is_taken(void *state, int rc, bool stopped)
{
    walked *w = state;
    if (rc == 0 && w->done != w->waits)
        return false;
    return w->taken == 0 && (rc == 0 || stopped);
}

static int walk_over_waits(void *arg)
{
    (void)arg;
    for (int waits = 0; waits < 5; waits++) {
        walked w = {.waits = waits};
        everywhere_scenario s = {begin_anew, sleep_and_take, NULL, nothing_is_taken, &w};
        MUST(everywhere(&s) == 0);
        MUST(everywhere_stops() >= waits); /* each at least once */
        MUST(waits == 0 || w.runs == everywhere_stops() + (HK_FAULTS ? 3 : 1));
        MUST(waits > 0 || everywhere_stops() == 0);
    }
    return 0;
}

Test(everywhere, stops_a_body_at_each_of_its_waits_and_ends_with_a_run_that_is_not_stopped)
{
    with_each_size(walk_over_waits, NULL);
}

static int walk_over_a_leak(void *arg)
{
    (void)arg;
    walked w = {.waits = 3, .careless = true};
    everywhere_scenario s = {begin_anew, sleep_and_take, NULL, nothing_is_taken, &w};
    CHECK(everywhere(&s) == -EPROTO);
    return 0;
}

Test(everywhere, finds_a_body_that_keeps_something_when_it_is_stopped)
{
    with_each_size(walk_over_a_leak, NULL);
}

/* --- the calls of a task's own life ---------------------------------------------------------- */

typedef struct family {
    HK_ATOMIC(int) alive;
    HK_ATOMIC(int) completed;
} family;

static void no_family(void *state)
{
    *(family *)state = (family){0};
}

static int nap_and_yield(void *state)
{
    family *f = state;
    (void)hk_add_acqrel(&f->alive, 1);
    int rc = hank_sleep(1);
    if (rc == 0)
        rc = hank_yield();
    if (rc == 0)
        (void)hk_add_acqrel(&f->completed, 1);
    (void)hk_sub_acqrel(&f->alive, 1);
    return rc;
}

static int await_gather_and_race(void *state)
{
    int rc = hank_await(hank_spawn(nap_and_yield, state));
    if (rc == 0)
        rc = hank_gather(hank_spawn(nap_and_yield, state), hank_spawn(nap_and_yield, state));
    if (rc == 0) {
        hank_task two[] = {hank_spawn(nap_and_yield, state), hank_spawn(nap_and_yield, state)};
        ssize_t first = hank_race_n(two, 2, &rc);
        rc = first < 0 ? (int)first : rc;
    }
    return rc;
}

static bool family_is_gone(void *state, int rc, bool stopped)
{
    family *f = state;
    int completed = hk_load_acquire(&f->completed);
    if (rc == 0 && completed < 4)
        return false;
    return hk_load_acquire(&f->alive) == 0 && (rc == 0 || stopped) &&
           (rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT);
}

static int walk_over_joins(void *arg)
{
    family f;
    (void)arg;
    everywhere_scenario s = {no_family, await_gather_and_race, NULL, family_is_gone, &f};
    MUST(everywhere(&s) == 0);
    return 0;
}

Test(everywhere, await_gather_and_race_leave_no_child_behind)
{
    with_each_size(walk_over_joins, NULL);
}

static int wait_for_a_group(void *state)
{
    hank_group g = {0};
    for (int i = 0; i < 3; i++)
        (void)hank_group_spawn(&g, nap_and_yield, state);
    int rc = hank_yield();
    if (rc < 0)
        hank_group_cancel(&g);
    int its = hank_group_wait(&g);
    return rc < 0 ? rc : its;
}

static bool group_is_gone(void *state, int rc, bool stopped)
{
    family *f = state;
    if (rc == 0 && hk_load_acquire(&f->completed) != 3)
        return false;
    return hk_load_acquire(&f->alive) == 0 && (rc == 0 || stopped);
}

static int walk_over_a_group(void *arg)
{
    family f;
    (void)arg;
    everywhere_scenario s = {no_family, wait_for_a_group, NULL, group_is_gone, &f};
    MUST(everywhere(&s) == 0);
    return 0;
}

Test(everywhere, a_group_leaves_no_member_behind)
{
    with_each_size(walk_over_a_group, NULL);
}

typedef struct permits {
    hank_sem s;
    int held;
} permits;

static void two_permits(void *state)
{
    *(permits *)state = (permits){.s = {.count = 0}};
}

static int take_two(void *state)
{
    permits *p = state;
    for (int i = 0; i < 2; i++) {
        int rc = hank_sem_acquire(&p->s);
        if (rc < 0)
            return rc;
        p->held++;
    }
    return 0;
}

static int give_two(void *state)
{
    permits *p = state;
    (void)hank_yield();
    (void)hank_sem_release(&p->s); /* cannot fail */
    (void)hank_yield();
    return hank_sem_release(&p->s);
}

static bool held_as_it_says(void *state, int rc, bool stopped)
{
    permits *p = state;
    return rc == 0 ? p->held == 2 : p->held < 2 && stopped;
}

static int walk_with_a_partner(void *arg)
{
    permits p;
    (void)arg;
    everywhere_scenario s = {two_permits, take_two, give_two, held_as_it_says, &p};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}

Test(everywhere, a_partner_helps_the_body_along)
{
    with_each_size(walk_with_a_partner, NULL);
}

/* --- what else can be waited for ------------------------------------------------------------- */

typedef struct bell {
    hank_event rung, answered;
    int heard;
} bell;

static void silent_bell(void *state)
{
    *(bell *)state = (bell){.heard = 0};
}

static int hear_twice(void *state)
{
    bell *b = state;
    for (int i = 0; i < 2; i++) {
        int rc = hank_event_wait(&b->rung);
        if (rc < 0)
            return rc;
        b->heard++;
        hank_event_clear(&b->rung);
        hank_event_set(&b->answered);
    }
    return 0;
}

static int ring_twice(void *state)
{
    bell *b = state;
    for (int i = 0; i < 2; i++) {
        hank_event_set(&b->rung);
        int rc = hank_event_wait(&b->answered);
        if (rc < 0)
            return rc;
        hank_event_clear(&b->answered);
    }
    return 0;
}

static bool nobody_is_at_the_bell(void *state, int rc, bool stopped)
{
    bell *b = state;
    if (waiting_at(&b->rung) != 0 || waiting_at(&b->answered) != 0)
        return false;
    return rc == 0 ? b->heard == 2 : b->heard < 2 && stopped;
}

static int walk_over_events(void *arg)
{
    bell b;
    (void)arg;
    everywhere_scenario s = {silent_bell, hear_twice, ring_twice, nobody_is_at_the_bell, &b};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(everywhere, an_event_keeps_nobody_who_was_stopped, walk_over_events)

static int await_a_guest(void *state)
{
    return hank_await(hank_spawn_into(hank_runtime_current(), nap_and_yield, state, NULL));
}

static bool guest_is_gone(void *state, int rc, bool stopped)
{
    family *f = state;
    bool came = rc != 0 || hk_load_acquire(&f->completed) == 1;
    return hk_load_acquire(&f->alive) == 0 && came && (rc == 0 || stopped);
}

static int walk_over_a_guest(void *arg)
{
    family f;
    (void)arg;
    everywhere_scenario s = {no_family, await_a_guest, NULL, guest_is_gone, &f};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(everywhere, a_task_from_outside_is_cancelled_and_joined, walk_over_a_guest)

typedef struct work {
    hank_chan *c;
    int joined;
} work;

static void three_jobs(void *state)
{
    work *w = state;
    w->c = hank_chan_new(sizeof(int), HANK_UNBOUNDED);
    w->joined = 0;
    for (int i = 0; i < 3; i++)
        CHECK(hank_chan_send(w->c, &i) == 0);
}

static int join_them(void *state)
{
    work *w = state;
    int rc = hank_chan_join(w->c);
    w->joined = rc == 0;
    return rc;
}

static int do_them(void *state)
{
    work *w = state;
    int job;
    while (hank_chan_tryrecv(w->c, &job) == 0) {
        int rc = hank_yield();
        CHECK(hank_chan_task_done(w->c) == 0);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Freeing it while somebody waits would be a panic. */
static bool nobody_joins(void *state, int rc, bool stopped)
{
    work *w = state;
    hank_chan_free(w->c);
    return rc == 0 ? w->joined : stopped;
}

static int walk_over_a_join(void *arg)
{
    work w;
    (void)arg;
    everywhere_scenario s = {three_jobs, join_them, do_them, nobody_joins, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(everywhere, a_join_of_a_channel_may_be_given_up, walk_over_a_join)

/* --- signals and timers ---------------------------------------------------------------------- */

typedef struct watch_post {
    hank_signal s;
    bool raised;
} watch_post;

static void begin_to_watch(void *state)
{
    watch_post *w = state;
    w->raised = false;
    CHECK(hank_signal_begin(&w->s, SIGUSR1) == 0);
}

static int wait_for_signal(void *state)
{
    return hank_signal_next(&((watch_post *)state)->s);
}

static int raise_it(void *state)
{
    ((watch_post *)state)->raised = kill(getpid(), SIGUSR1) == 0;
    return 0;
}

/* One that nobody was told of is told afterwards: it is not lost with who was stopped. */
static bool is_told_once(void *state, int rc, bool stopped)
{
    watch_post *w = state;
    if (rc < 0 && w->raised)
        CHECK(hank_within(HANK_SEC(10), hank_signal_next(&w->s)) == 1);
    hank_signal_end(&w->s);
    return rc < 0 ? stopped : rc == 1 && w->raised;
}

static int walk_over_a_signal(void *arg)
{
    watch_post w;
    (void)arg;
    everywhere_scenario s = {begin_to_watch, wait_for_signal, raise_it, is_told_once, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(everywhere, a_signal_is_told_once_though_who_waits_is_stopped, walk_over_a_signal)

typedef struct long_call {
    hank_timer t;
    hank_event go;
    flag begun, over;
    bool was_over;
} long_call;

static int last_until_told(void *state)
{
    long_call *c = state;
    set(&c->begun);
    CHECK(hank_event_wait(&c->go) == 0); /* a stop of who waits for the call is not the call's */
    set(&c->over);
    return 0;
}

static void begin_call(void *state)
{
    long_call *c = state;
    *c = (long_call){.was_over = false};
    c->t = hank_call_soon(last_until_told, c);
    while (!is_set(&c->begun))
        (void)hank_yield();
}

static int wait_for_call(void *state)
{
    long_call *c = state;
    int rc = hank_timer_cancel_wait(c->t);
    c->was_over = is_set(&c->over);
    return rc == -EALREADY ? 0 : rc;
}

static int let_it_end(void *state)
{
    hank_event_set(&((long_call *)state)->go);
    return 0;
}

static bool call_has_ended(void *state, int rc, bool stopped)
{
    long_call *c = state;
    hank_event_set(&c->go);
    CHECK(hank_timer_cancel_wait(c->t) == -EALREADY && is_set(&c->over));
    return rc == 0 ? c->was_over : stopped;
}

static int walk_over_a_timer(void *arg)
{
    long_call c;
    (void)arg;
    everywhere_scenario s = {begin_call, wait_for_call, let_it_end, call_has_ended, &c};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(everywhere, the_call_of_a_timer_goes_on_though_who_waits_is_stopped, walk_over_a_timer)
