/* SPDX-License-Identifier: MIT */
/* reactor_test.c - waiting for descriptors, timers and interrupts, with a real kernel.
 *
 * Each test runs on every backend that was built, so that they cannot come apart. What is one
 * kernel interface's own is in backend_test.c. */
#include "reactor_support.h"

#include <netinet/in.h>

#include "reactor/flow.h"

/* Loopback TCP, because only it can be reset. */
static pair open_tcp_pair(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct sockaddr *generic = (struct sockaddr *)&address;
    int listener = hk_os_socket(AF_INET, SOCK_STREAM, 0),
        peer = hk_os_socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(hk_os_bind(listener, generic, length), 0);
    cr_assert_eq(hk_os_listen(listener, 1), 0);
    cr_assert_eq(hk_os_getsockname(listener, generic, &length), 0);
    int rc = hk_os_connect(peer, generic, length);
    cr_assert(rc == 0 || rc == -EINPROGRESS);
    pair p = {.peer = peer};
    while ((p.fd = hk_os_accept(listener, NULL, NULL)) == -EAGAIN)
        hk_os_yield();
    cr_assert_geq(p.fd, 0);
    (void)hk_os_close(listener);
    p.source = hk_source_open(p.fd);
    return p;
}

/* --- time ---------------------------------------------------------------------------------- */

ON_EACH_BACKEND(looking_returns_at_once)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    cr_expect_eq(hk_reactor_wait(r, 0, ready), 0);
    cr_expect_eq(hk_reactor_wait(r, 1, ready), 0, "a deadline long past");
    cr_expect_eq(hk_reactor_wait(r, INT64_MIN, ready), 0);
}

ON_EACH_BACKEND(a_wait_is_never_shorter_than_its_deadline)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    static const int64_t timeouts[] = {1, 999, 100 * 1000, 1000001, 2999999};
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
        int64_t deadline = hk_os_now() + timeouts[i];
        cr_expect_eq(hk_reactor_wait(r, deadline, ready), 0);
        cr_expect_geq(hk_os_now(), deadline);
    }
}

ON_EACH_BACKEND(a_due_timer_is_handed_out_and_not_before)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_sleeper s = {0};
    hk_timer t = {0};
    int64_t deadline = hk_os_now() + 2 * MS;
    cr_expect(hk_timers_add(&r->timers, &t, deadline, hk_sleeper_begin(&s, HK_WAITING)));
    cr_assert_eq(hk_reactor_wait(r, INT64_MAX, ready), 1);
    cr_expect_geq(hk_os_now(), deadline);
    cr_expect_eq(ready[0].result, -ETIMEDOUT);
    cr_expect(hk_ticket_claim(ready[0].ticket, ready[0].result));
    cr_expect_eq(hk_sleeper_result(&s), -ETIMEDOUT);
}

ON_EACH_BACKEND(a_timer_for_ever_disturbs_nothing)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_timer t = {0};
    (void)hk_timers_add(&r->timers, &t, INT64_MAX, (hk_ticket){0});
    int64_t deadline = hk_os_now() + MS;
    cr_expect_eq(hk_reactor_wait(r, deadline, ready), 0);
    cr_expect_geq(hk_os_now(), deadline);
    cr_expect(hk_timers_remove(&t));
}

ON_EACH_BACKEND(looking_hands_out_due_timers_too)
{
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    hk_timer t = {0};
    (void)hk_timers_add(&r->timers, &t, 0, (hk_ticket){0});
    cr_expect_eq(hk_reactor_wait(r, 0, ready), 1);
}

/* --- descriptors --------------------------------------------------------------------------- */

ON_EACH_BACKEND(data_wakes_its_reader)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    cr_assert_eq(start(r, p.source, HK_IN, &sleeper), 0);
    cr_expect_not(next_ready(r, 0, &got), "an output event at the start is not for the reader");
    say(p.peer, "x");
    cr_assert(next_ready(r, SOON, &got));
    cr_expect(hk_ticket_claim(got.ticket, got.result));
    cr_expect_eq(hk_sleeper_result(&sleeper), HK_RETRY);
    cr_expect_eq(drain(p.fd), 1);
    close_pair(p);
}

ON_EACH_BACKEND(data_that_was_there_before_the_first_wait_is_not_missed)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    say(p.peer, "x");
    wait_until_readable(r, p.source);
    close_pair(p);
}

ON_EACH_BACKEND(an_edge_between_eagain_and_the_wait_is_not_lost)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_ready ready[HK_READY_MAX];
    say(p.peer, "x");
    wait_until_readable(r, p.source);
    for (int i = 0; i < 100; i++) {
        drain(p.fd); /* EAGAIN */
        say(p.peer, "x");
        if (i % 2 == 0) /* seen by a poll that finds nobody waiting */
            cr_assert_eq(hk_reactor_wait(r, 0, ready), 0);
        wait_until_readable(r, p.source);
    }
    close_pair(p);
}

ON_EACH_BACKEND(after_a_partial_read_new_data_is_an_event_again)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    char byte;
    say(p.peer, "xyz");
    wait_until_readable(r, p.source);
    cr_assert_eq(hk_os_read(p.fd, &byte, 1), 1);
    say(p.peer, "x");
    wait_until_readable(r, p.source);
    cr_expect_eq(drain(p.fd), 3);
    close_pair(p);
}

/* Says OUT once for nothing (it is writable), then waits for real. */
ON_EACH_BACKEND(room_in_a_full_buffer_wakes_its_writer)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    fill(p.fd);
    int spurious = 0;
    while (start(r, p.source, HK_OUT, &sleeper) == HK_RETRY)
        spurious++;
    cr_expect_leq(spurious, 1);
    cr_assert_not(next_ready(r, 0, &got), "still full");
    drain(p.peer);
    cr_assert(next_ready(r, SOON, &got));
    cr_expect_eq(got.ticket.sleeper, &sleeper);
    close_pair(p);
}

ON_EACH_BACKEND(reader_and_writer_of_one_descriptor_are_woken_apart)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper reader = {0}, writer = {0};
    hk_ready got = {0};
    fill(p.fd);
    wait_armed(r, p.source, HK_OUT, &writer);
    wait_armed(r, p.source, HK_IN, &reader);
    say(p.peer, "x");
    cr_assert(next_ready(r, SOON, &got));
    cr_expect_eq(got.ticket.sleeper, &reader);
    cr_expect_not(next_ready(r, 0, &got), "nobody has read from the full buffer");
    drain(p.peer);
    cr_assert(next_ready(r, SOON, &got));
    cr_expect_eq(got.ticket.sleeper, &writer);
    close_pair(p);
}

/* --- hanging up ---------------------------------------------------------------------------- */

ON_EACH_BACKEND(a_peer_that_sends_no_more_is_known_to_have_hung_up_with_its_last_data)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    wait_armed(r, p.source, HK_IN, &sleeper);
    cr_expect_not(hk_load_relaxed(&p.source->hung_up));
    say(p.peer, "bye");
    cr_assert_eq(hk_os_shutdown(p.peer, SHUT_WR), 0);
    cr_assert(next_ready(r, SOON, &got));
    cr_expect(hk_load_relaxed(&p.source->hung_up), "a short read does not prove the buffer empty");
    close_pair(p);
}

ON_EACH_BACKEND(a_peer_that_closes_wakes_a_reader)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    wait_armed(r, p.source, HK_IN, &sleeper);
    close_peer(&p);
    cr_assert(next_ready(r, SOON, &got));
    cr_expect_eq(got.ticket.sleeper, &sleeper);
    cr_expect_eq(hk_load_relaxed(&p.source->hung_up), true);
    close_pair(p);
}

ON_EACH_BACKEND(a_peer_that_closes_wakes_who_waits_for_output_only)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    fill(p.fd);
    wait_armed(r, p.source, HK_OUT, &sleeper);
    close_peer(&p);
    cr_assert(next_ready(r, SOON, &got));
    cr_expect_eq(got.ticket.sleeper, &sleeper);
    close_pair(p);
}

ON_EACH_BACKEND(a_reset_wakes_both_directions)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_tcp_pair();
    hk_sleeper reader = {0}, writer = {0};
    hk_ready got[2] = {0};
    fill(p.fd);
    wait_armed(r, p.source, HK_OUT, &writer);
    wait_armed(r, p.source, HK_IN, &reader);
    struct linger abort_it = {.l_onoff = 1, .l_linger = 0};
    cr_assert_eq(hk_os_setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it), 0);
    close_peer(&p);
    cr_assert(next_ready(r, SOON, &got[0]));
    cr_assert(next_ready(r, SOON, &got[1]));
    cr_expect_neq(got[0].ticket.sleeper, got[1].ticket.sleeper);
    cr_expect(hk_load_relaxed(&p.source->hung_up));
    close_pair(p);
}

ON_EACH_BACKEND(a_descriptor_that_hung_up_is_told_once_and_does_not_spin)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_ready ready[HK_READY_MAX];
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    wait_armed(r, p.source, HK_IN, &sleeper);
    close_peer(&p);
    cr_assert(next_ready(r, SOON, &got));
    int waits = 0;
    for (int64_t until = hk_os_now() + 5 * MS; hk_os_now() < until; waits++)
        (void)hk_reactor_wait(r, until, ready);
    cr_expect_leq(waits, 3);
    close_pair(p);
}

/* --- the same number, another connection --------------------------------------------------- */

ON_EACH_BACKEND(a_number_that_is_reused_gets_no_event_of_the_connection_before)
{
    enum { ROUNDS = 100 * 1000 };
    hk_reactor *r = open_reactor(backend);
    hk_sleeper sleeper = {0};
    hk_ready ready[HK_READY_MAX], got = {0};
    int number = -1;
    for (int i = 0; i < ROUNDS; i++) {
        pair p = open_pair();
        cr_assert(number < 0 || p.fd == number, "the kernel gives the lowest free one");
        number = p.fd;
        wait_armed(r, p.source, HK_IN, &sleeper);
        say(p.peer, "x"); /* in flight when we close */
        if (i % 1000 == 0)
            cr_assert(next_ready(r, SOON, &got));
        uint64_t key = hk_source_key(p.source);
        hk_source_stop(p.source, HK_IN);
        close_pair(p);

        int n = 0; /* and one that a helper had already fetched */
        hk_source_event(key, HK_EVENT_BROKEN, ready, &n);
        cr_assert_eq(n, 0);
    }
    cr_expect_eq(hk_reactor_wait(r, 0, ready), 0);
}

/* The user closes the descriptor himself, and a duplicate keeps the file and with it the kernel's
 * registration: its events still carry the old key. */
ON_EACH_BACKEND(a_duplicate_keeps_the_registration_but_the_generation_drops_its_events)
{
    hk_reactor *r = open_reactor(backend);
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    pair old = open_pair();
    wait_armed(r, old.source, HK_IN, &sleeper);
    int duplicate = dup(old.fd);
    cr_assert_geq(duplicate, 0);
    hk_source_stop(old.source, HK_IN);
    (void)hk_os_close(old.fd);
    hk_source_close(old.source);

    int fds[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    cr_assert_eq(fds[0], old.fd);
    pair new = {fds[0], fds[1], hk_source_open(fds[0])};
    cr_assert_eq(new.source, old.source, "the same slot too");
    wait_armed(r, new.source, HK_IN, &sleeper);
    say(old.peer, "for the old one");
    cr_expect_not(next_ready(r, 0, &got));
    say(new.peer, "x");
    cr_expect(next_ready(r, SOON, &got));
    (void)hk_os_close(duplicate);
    (void)hk_os_close(old.peer);
    close_pair(new);
}

ON_EACH_BACKEND(the_last_generation_before_the_wrap_works)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_store_relaxed(&p.source->generation, UINT32_MAX);
    hk_flow_begin(p.source, UINT32_MAX);
    say(p.peer, "x");
    wait_until_readable(r, p.source);
    close_pair(p);
}

/* --- many ---------------------------------------------------------------------------------- */

ON_EACH_BACKEND(more_than_one_list_full_is_handed_out_over_several_waits_each_once)
{
    enum { PAIRS = 200 };
    static pair p[PAIRS];
    static hk_sleeper sleepers[PAIRS];
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    for (int i = 0; i < PAIRS; i++) {
        p[i] = open_pair();
        wait_armed(r, p[i].source, HK_IN, &sleepers[i]);
        say(p[i].peer, "x");
    }
    int claimed = 0;
    for (int n; (n = hk_reactor_wait(r, 0, ready)) > 0;)
        for (int i = 0; i < n; i++)
            claimed += hk_ticket_claim(ready[i].ticket, ready[i].result);
    cr_expect_eq(claimed, PAIRS);
    for (int i = 0; i < PAIRS; i++)
        close_pair(p[i]);
}

/* Each descriptor wakes a reader and a writer, so that they alone could fill the list. */
ON_EACH_BACKEND(due_timers_and_ready_descriptors_do_not_starve_each_other)
{
    enum { COUNT = HK_READY_MAX };
    static pair p[COUNT];
    static hk_sleeper readers[COUNT], writers[COUNT];
    static hk_timer timers[2 * COUNT];
    hk_reactor *r = open_reactor(backend);
    hk_ready ready[HK_READY_MAX];
    for (int i = 0; i < COUNT; i++) {
        p[i] = open_pair();
        fill(p[i].fd);
        wait_armed(r, p[i].source, HK_OUT, &writers[i]);
        wait_armed(r, p[i].source, HK_IN, &readers[i]);
        close_peer(&p[i]);
    }
    for (int i = 0; i < 2 * COUNT; i++)
        (void)hk_timers_add(&r->timers, &timers[i], 0, (hk_ticket){0});
    int n = hk_reactor_wait(r, INT64_MAX, ready), from_timers = 0;
    for (int i = 0; i < n; i++)
        from_timers += ready[i].result == -ETIMEDOUT;
    cr_expect_gt(from_timers, 0);
    cr_expect_gt(n - from_timers, 0);
    for (int i = 0; i < 2 * COUNT; i++)
        (void)hk_timers_remove(&timers[i]);
    for (int i = 0; i < COUNT; i++) {
        hk_source_stop(p[i].source, HK_IN);
        hk_source_stop(p[i].source, HK_OUT);
        close_pair(p[i]);
    }
}

ON_EACH_BACKEND(a_timer_that_is_always_due_again_leaves_sockets_their_turn)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_ready ready[HK_READY_MAX];
    hk_sleeper sleeper = {0};
    hk_timer timer = {0};
    wait_armed(r, p.source, HK_IN, &sleeper);
    bool was_read = false;
    for (int round = 0; round < 10 && !was_read; round++) {
        (void)hk_timers_add(&r->timers, &timer, 0, (hk_ticket){0});
        say(p.peer, "x");
        int n = hk_reactor_wait(r, INT64_MAX, ready);
        for (int i = 0; i < n; i++)
            was_read |= ready[i].result == HK_RETRY;
        (void)hk_timers_remove(&timer);
    }
    cr_expect(was_read);
    close_pair(p);
}
