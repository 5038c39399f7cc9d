/* SPDX-License-Identifier: MIT */
/* mistakes_test.c - what other runtimes learned from their users, where no other test looks:
 * docs/known-mistakes.md says where each was met. */
#include "api/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* --- runtimes --------------------------------------------------------------------------------- */

static int some_life(void *arg)
{
    hank_task tasks[8];
    for (int i = 0; i < 8; i++)
        tasks[i] = hank_spawn(yield_once, arg);
    return hank_gather_n(tasks, 8, NULL);
}

static void *run_often(void *arg)
{
    for (int i = 0; i < 50; i++)
        cr_expect_eq(hank_run_with(some_life, NULL, .workers = (unsigned)(intptr_t)arg), 0);
    return NULL;
}

Test(mistakes, two_runtimes_at_once_do_not_know_each_other, .timeout = 60)
{
    pthread_t threads[3];
    for (intptr_t i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, run_often, number(i + 1)), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_expect_eq(stacks_in_use(), 0);
}

/* Its last task ends while the other workers are on their way to sleep. */
Test(mistakes, stopping_while_workers_fall_asleep_never_hangs, .timeout = 120)
{
    for (int i = 0; i < 500; i++) {
        int rc = hank_run_with(i % 2 ? some_life : give_back, NULL, .workers = 2 + (unsigned)i % 3);
        cr_assert_eq(rc, 0);
    }
}

/* --- more than fits ----------------------------------------------------------------------------
 */

enum { CROWD = 3000 };

static hank_event gun;
static HK_ATOMIC(int) lined_up;
static HK_ATOMIC(int) ran;

static int run_at_the_gun(void *arg)
{
    (void)hk_add_relaxed(&lined_up, 1);
    int rc = hank_event_wait(&gun);
    (void)hk_add_relaxed(&ran, 1);
    return rc < 0 ? rc : give_back(arg);
}

/* A ring has 1024 places; the rest has to go elsewhere, and nobody is lost. */
static int wake_a_crowd(void *arg)
{
    (void)arg;
    static hank_task tasks[CROWD];
    gun = (hank_event){0};
    hk_store_relaxed(&ran, 0);
    hk_store_relaxed(&lined_up, 0);
    for (intptr_t i = 0; i < CROWD; i++)
        tasks[i] = hank_spawn(run_at_the_gun, NULL);
    YIELD_UNTIL(hk_load_relaxed(&lined_up) == CROWD);
    hank_event_set(&gun);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    MUST(hk_load_relaxed(&ran) == CROWD);
    return 0;
}

Test(mistakes, more_woken_at_once_than_a_queue_holds_are_all_run, .timeout = 60)
{
    with_each_size(wake_a_crowd, NULL);
}

/* --- dumps ------------------------------------------------------------------------------------ */

static int end_soon(void *arg)
{
    (void)hank_sleep(HANK_US((intptr_t)arg % 50));
    return 0;
}

static int dump_meanwhile(void *arg)
{
    (void)arg;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0);
    for (int round = 0; round < 20; round++) {
        hank_group g = {0};
        for (intptr_t i = 0; i < 200; i++)
            MUST(hank_group_spawn(&g, end_soon, number(i)) == 0);
        for (int i = 0; i < 10; i++)
            hank_dump(fd);
        MUST(hank_group_wait(&g) == 0);
    }
    close(fd);
    return 0;
}

Test(mistakes, a_dump_while_tasks_begin_and_end_neither_hangs_nor_trips, .timeout = 120)
{
    with_each_size(dump_meanwhile, NULL);
}

/* --- fork ------------------------------------------------------------------------------------- */

static int echo_bytes(void *arg)
{
    char byte;
    while (hank_read(arg, &byte, 1) == 1)
        if (hank_write(arg, &byte, 1) < 0)
            break;
    hank_close(arg);
    return 0;
}

/* The child has everything of the parent's open, its epoll too, and closes it by ending. */
static int fork_between_words(void *arg)
{
    (void)arg;
    char name[64];
    hank_listener *l;
    hank_stream *client, *server;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(hank_connect(name, &client) == 0);
    MUST(hank_accept(l, &server) == 0);
    hank_task echo = hank_spawn(echo_bytes, server);
    for (int i = 0; i < 10; i++) {
        char byte = (char)('a' + i), answer = 0;
        pid_t child = i % 3 ? -1 : fork();
        if (child == 0)
            _exit(0);
        MUST(hank_write(client, &byte, 1) == 0);
        MUST(hank_within(HANK_SEC(10), hank_read(client, &answer, 1)) == 1 && answer == byte);
        MUST(hank_sleep(HANK_US(100)) == 0);
        if (child > 0)
            MUST(waitpid(child, NULL, 0) == child);
    }
    hank_close(client);
    hank_listener_close(l);
    return hank_await(echo);
}

Test(mistakes, a_forked_child_that_ends_disturbs_nobody, .timeout = 60)
{
    with_each_size(fork_between_words, NULL);
}

/* --- starvation ------------------------------------------------------------------------------- */

static flag over;

static int ping_pong(void *arg)
{
    hank_chan **pair = arg;
    int ball = 0;
    while (!is_set(&over)) {
        if (hank_chan_send(pair[0], &ball) < 0 || hank_chan_recv(pair[1], &ball) < 0)
            break;
    }
    hank_chan_close(pair[0]);
    hank_chan_close(pair[1]);
    return 0;
}

/* Two who wake each other for ever hold up neither a timer, nor a socket, nor a new child. */
static int beside_a_pair(void *arg)
{
    (void)arg;
    hk_store_relaxed(&over, 0);
    hank_chan *there = hank_chan_new(sizeof(int), 1), *back = hank_chan_new(sizeof(int), 1);
    hank_chan *one[] = {there, back}, *other[] = {back, there};
    hank_task a = hank_spawn(ping_pong, one), b = hank_spawn(ping_pong, other);
    for (int i = 0; i < 5; i++)
        MUST(hank_sleep(HANK_MS(2)) == 0);
    MUST(fork_between_words(NULL) == 0);
    MUST(hank_await(hank_spawn(give_back, number(3))) == 3);
    set(&over);
    MUST(hank_await(a) == 0 && hank_await(b) == 0);
    hank_chan_free(there);
    hank_chan_free(back);
    return 0;
}

Test(mistakes, two_that_wake_each_other_for_ever_starve_nobody, .timeout = 60)
{
    with_each_size(beside_a_pair, NULL);
}

/* --- nearby ----------------------------------------------------------------------------------- */

typedef struct house {
    hank_listener *l;
    char where[80];
    flag computing;
    flag over;
} house;

static int open_house(house *h, const char *name)
{
    char bound[64];
    *h = (house){.l = NULL};
    MUST(hank_listen("tcp://127.0.0.1:0", &h->l) == 0);
    MUST(hank_listener_name(h->l, bound, sizeof bound) == 0);
    snprintf(h->where, sizeof h->where, "tcp://%s%s", name, strrchr(bound, ':'));
    return 0;
}

static int answer_the_door(void *arg)
{
    house *h = arg;
    hank_stream *s;
    int rc;
    while ((rc = hank_accept(h->l, &s)) == 0) {
        char byte;
        if (hank_read(s, &byte, 1) == 1)
            (void)hank_write(s, &byte, 1);
        hank_close(s);
    }
    return rc == -EBADF || rc == -ECANCELED ? 0 : rc;
}

static int compute(void *arg)
{
    house *h = arg;
    set(&h->computing);
    while (!is_set(&h->over))
        continue;
    return 0;
}

static int by_length(const void *a, const void *b)
{
    hank_ns x = *(const hank_ns *)a, y = *(const hank_ns *)b;
    return (x > y) - (x < y);
}

enum { TRIPS = 40 };

/* Beside one who keeps a worker busy. Where only a monitor looked now and then, nearly all trips
 * would take until it comes by; we look at a quarter, as the machine may have others to serve. */
static int ring_the_bell(void *arg)
{
    house h;
    hank_ns took[TRIPS];
    (void)arg;
    MUST(open_house(&h, "127.0.0.1") == 0);
    hank_task door = hank_spawn(answer_the_door, &h), busy = hank_spawn(compute, &h);
    YIELD_UNTIL(is_set(&h.computing));
    for (int i = 0; i < TRIPS; i++) {
        hank_stream *s;
        char byte = 'x';
        took[i] = hank_now();
        MUST(hank_connect(h.where, &s) == 0);
        MUST(hank_write(s, &byte, 1) == 0 && hank_read(s, &byte, 1) == 1);
        took[i] = hank_now() - took[i];
        hank_close(s);
    }
    set(&h.over);
    MUST(hank_await(busy) == 0 && hank_cancel(door) == 0);
    (void)hank_await(door);
    hank_listener_close(h.l);
    qsort(took, TRIPS, sizeof took[0], by_length);
    CHECK(took[TRIPS / 4] < HANK_MS(HK_EMULATED ? 100 : 4));
    return 0;
}

Test(mistakes, a_connection_to_oneself_does_not_wait_for_the_next_look, .timeout = 60)
{
    with_workers(2, ring_the_bell, NULL);
}

/* --- numbers that are used again -------------------------------------------------------------- */

static int look_up_and_give_up(void *arg)
{
    house *h = arg;
    for (int i = 0; i < 60; i++) {
        hank_stream *s;
        if (hank_within(HANK_US(i % 10 * 60), hank_connect(h->where, &s)) == 0)
            hank_close(s);
    }
    return 0;
}

static int talk_to_oneself(void *arg)
{
    house *h = arg;
    for (uint64_t i = 0; !is_set(&h->over); i++) {
        uint64_t said = i << 16 | (uintptr_t)&said >> 4, heard = 0;
        hank_stream *from, *to;
        MUST(hank_pipe(&from, &to) == 0);
        MUST(hank_write(to, &said, sizeof said) == 0);
        hank_close(to);
        MUST(hank_read_exact(from, &heard, sizeof heard) == 0 && heard == said);
        MUST(hank_read(from, &heard, 1) == 0); /* and nothing that was not for us */
        hank_close(from);
    }
    return 0;
}

static int look_up_beside_pipes(void *arg)
{
    enum { EACH = 4 };
    house h;
    hank_task lookups[EACH], talks[EACH];
    (void)arg;
    MUST(open_house(&h, "localhost") == 0);
    hank_task door = hank_spawn(answer_the_door, &h);
    for (int i = 0; i < EACH; i++) {
        lookups[i] = hank_spawn(look_up_and_give_up, &h);
        talks[i] = hank_spawn(talk_to_oneself, &h);
    }
    MUST(hank_gather_n(lookups, EACH, NULL) == 0);
    set(&h.over);
    MUST(hank_gather_n(talks, EACH, NULL) == 0);
    (void)hank_cancel(door);
    (void)hank_await(door);
    hank_listener_close(h.l);
    return 0;
}

Test(mistakes, lookups_that_are_given_up_leave_the_descriptors_of_others_alone, .timeout = 120)
{
    for (EACH_SIZE(i))
        cr_assert_eq(hank_run_with(look_up_beside_pipes, NULL, .workers = sizes[i]), 0);
    cr_expect_eq(hk_load_acquire(&failed_checks), 0);
}
