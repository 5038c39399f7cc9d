/* SPDX-License-Identifier: MIT */
/* interrupt_test.c - a wait ends when somebody wants it to, and only then; one polls at a time. */
#include "reactor_support.h"

/* A thread that waits once, for ever, with nothing to wait for. */
struct waiting {
    hk_reactor *reactor;
    pthread_t thread;
    HK_ATOMIC(bool) is_done;
    int entries;
    hk_ready ready[HK_READY_MAX];
};

static void *wait_once(void *arg)
{
    struct waiting *w = arg;
    w->entries = hk_reactor_wait(w->reactor, INT64_MAX, w->ready);
    hk_store_release(&w->is_done, true); /* [test:done] */
    return NULL;
}

/* Start it and return when it polls, or has polled: a poke that came late for the wait before may
 * have ended this one already. */
static void begin_waiting(struct waiting *w, hk_reactor *r)
{
    w->reactor = r;
    w->entries = -1;
    hk_store_relaxed(&w->is_done, false);
    cr_assert_eq(hk_os_thread_start(&w->thread, wait_once, w), 0);
    while (!hk_load_acquire(&r->polling.held) && !hk_load_acquire(&w->is_done)) /* [test:done] */
        hk_os_yield();
}

/* Calls are counted while there is a plan: one that never comes true. */
static void count_calls(void)
{
    hk_fault_plan(HK_FAULT_CLOSE, UINT64_MAX, -EIO);
}

/* System calls made to interrupt. */
static uint64_t pokes(const hk_backend *backend)
{
    return hk_fault_count(calls_of(backend).poke);
}

ON_EACH_BACKEND(an_interrupt_before_the_wait_makes_it_return_at_once)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_reactor_interrupt(r);
    cr_expect_eq(hk_reactor_wait(r, INT64_MAX, ready), 0);
}

ON_EACH_BACKEND(an_interrupt_ends_the_wait_that_is_under_way)
{
    hk_reactor *r = open_reactor(backend);
    static struct waiting w;
    for (int i = 0; i < 200; i++) {
        begin_waiting(&w, r);
        hk_reactor_interrupt(r);
        cr_assert_eq(hk_os_thread_join(w.thread), 0);
        cr_assert_eq(w.entries, 0);
    }
}

ON_EACH_BACKEND(an_interrupt_is_used_up_by_one_wait)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_reactor_interrupt(r);
    (void)hk_reactor_wait(r, INT64_MAX, ready);
    int64_t deadline = hk_os_now() + 5 * MS;
    cr_expect_eq(hk_reactor_wait(r, deadline, ready), 0);
    cr_expect_geq(hk_os_now(), deadline, "else the idle loop burns a CPU");
}

ON_EACH_BACKEND(a_thousand_interrupts_cost_one_system_call)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    count_calls();
    for (int i = 0; i < 1000; i++)
        hk_reactor_interrupt(r);
    cr_expect_eq(pokes(backend), 1);
    (void)hk_reactor_wait(r, INT64_MAX, ready);
    count_calls();
    hk_reactor_interrupt(r);
    cr_expect_eq(pokes(backend), 1, "the next one after a wait must be made");
}

/* A helper polls for an owner that is busy. Were the interrupt used up by that, the owner's next
 * wait would sleep through it. */
ON_EACH_BACKEND(a_helper_that_looks_does_not_use_the_owners_interrupt_up)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_reactor_interrupt(r);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(hk_reactor_wait(r, 0, ready), 0);
    int64_t begun = hk_os_now();
    cr_expect_eq(hk_reactor_wait(r, begun + 5000 * MS, ready), 0);
    cr_expect_lt(hk_os_now(), begun + 4000 * MS);
}

ON_EACH_BACKEND(while_one_thread_polls_another_gets_nothing_at_once)
{
    hk_reactor *r = open_reactor(backend);
    static struct waiting w;
    hk_ready ready[HK_READY_MAX];
    begin_waiting(&w, r);
    cr_expect_eq(hk_reactor_wait(r, INT64_MAX, ready), 0, "it neither blocks nor spins");
    hk_reactor_interrupt(r);
    (void)hk_os_thread_join(w.thread);
}

ON_EACH_BACKEND(an_event_during_an_interrupted_wait_is_handed_out_with_it_or_after)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    wait_armed(r, p.source, HK_IN, &sleeper);
    hk_reactor_interrupt(r);
    say(p.peer, "x");
    cr_expect(next_ready(r, SOON, &got));
    close_pair(p);
}

/* The owner sleeps until a timer an hour away; another thread adds one that is due at once. */
ON_EACH_BACKEND(an_earlier_timer_from_another_thread_is_not_slept_through)
{
    hk_reactor *r = open_reactor(backend);
    static struct waiting w;
    hk_timer later = {0}, sooner = {0};
    hk_sleeper sleeper = {0};
    (void)hk_timers_add(&r->timers, &later, hk_os_now() + 3600 * 1000 * MS, (hk_ticket){0});
    for (int i = 0; i < 50; i++) {
        begin_waiting(&w, r);
        hk_ticket t = hk_sleeper_begin(&sleeper, HK_WAITING);
        cr_assert(hk_timers_add(&r->timers, &sooner, hk_os_now(), t), "the caller must interrupt");
        hk_reactor_interrupt(r);
        (void)hk_os_thread_join(w.thread);
        if (w.entries == 0) /* interrupted before it was due: the next wait knows of it */
            w.entries = hk_reactor_wait(r, INT64_MAX, w.ready);
        cr_assert_eq(w.entries, 1);
        cr_assert(hk_ticket_claim(w.ready[0].ticket, w.ready[0].result));
    }
    (void)hk_timers_remove(&later);
}

ON_EACH_BACKEND(a_signal_ends_a_wait_without_entries_and_timers_still_fire)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_timer t = {0};
    hk_fault wait_call = calls_of(backend).wait;
    settle(r);
    hk_fault_plan(wait_call, 1, -EINTR);
    cr_expect_eq(hk_reactor_wait(r, INT64_MAX, ready), 0);
    cr_expect(hk_fault_hit());
    hk_fault_plan(wait_call, 1, -EINTR);
    (void)hk_timers_add(&r->timers, &t, 0, (hk_ticket){0});
    cr_expect_eq(hk_reactor_wait(r, INT64_MAX, ready), 1);
}

ON_EACH_BACKEND(a_refusal_of_the_kernel_is_reported)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_fault wait_call = calls_of(backend).wait;
    settle(r);
    hk_fault_plan(wait_call, 1, -ENOMEM);
    cr_expect_eq(hk_reactor_wait(r, hk_os_now() + MS, ready), -ENOMEM);
    cr_expect_eq(hk_reactor_wait(r, hk_os_now() + MS, ready), 0, "and the lock was dropped");
}

ON_EACH_BACKEND(an_interrupted_poke_is_made_again)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_fault_plan(calls_of(backend).poke, 1, -EINTR);
    hk_reactor_interrupt(r);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    int n = r->backend->wait(r, 5000 * MS, ready, HK_READY_MAX); /* the kernel's part alone */
    cr_expect_eq(n, 0);
    (void)hk_reactor_wait(r, INT64_MAX, ready);
}
