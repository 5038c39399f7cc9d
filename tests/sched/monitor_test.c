/* SPDX-License-Identifier: MIT */
/* monitor_test.c - one long computation holds up nobody else.
 *
 * A victim waits on some worker for something that only that worker would come to see: its
 * descriptor, its timer, its LIFO slot. Then a hog takes that very worker and computes until the
 * victim has gone on. Without help it would compute until its patience ends, and the test fails. */
#include <criterion/criterion.h>

#include <hank.h>

#include <errno.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "io/stream.h"
#include "sched/idle.h"
#include "sched/runtime.h"
#include "sched/worker.h"

enum { PATIENCE_MS = 5000 };

/* home  the worker the victim waits on; written by it before `waiting`
 * poke  makes what the victim waits for happen, once the hog has its worker */
typedef struct scene {
    hank_fn victim;
    void (*poke)(struct scene *s);
    int pipe[2];
    hank_event event;
    HK_ATOMIC(unsigned) home;
    HK_ATOMIC(bool) waiting;
    HK_ATOMIC(bool) went_on;
    HK_ATOMIC(bool) hogged;
} scene;

static int victim(void *arg)
{
    scene *s = arg;
    hk_store_release(&s->home, hk_worker_self()->index);
    hk_store_release(&s->waiting, true);
    int rc = s->victim(s);
    hk_store_release(&s->went_on, true);
    return rc;
}

/* Computes on the victim's worker until the victim has gone on; on another worker it is over. */
static int hog(void *arg)
{
    scene *s = arg;
    if (hk_worker_self()->index != hk_load_acquire(&s->home))
        return 0;
    hk_store_release(&s->hogged, true);
    if (s->poke)
        s->poke(s);
    hank_ns until = hank_now() + HANK_MS(PATIENCE_MS);
    while (!hk_load_acquire(&s->went_on) && hank_now() < until)
        continue;
    return hk_load_acquire(&s->went_on) ? 0 : -ETIME;
}

static int play(void *arg)
{
    scene *s = arg;
    hank_task v = hank_spawn(victim, s);
    while (!hk_load_acquire(&s->waiting))
        hank_yield();
    int rc = 0;
    while (rc == 0 && !hk_load_acquire(&s->hogged)) {
        rc = hank_await(hank_spawn(hog, s)); /* called: it is on our worker */
        hank_sleep(HANK_US(200));            /* and then we may be on another one */
    }
    int victims = hank_await(v);
    return rc < 0 ? rc : victims;
}

static int wait_for_byte(void *arg)
{
    return hank_fd_wait(((scene *)arg)->pipe[0], HANK_READABLE) < 0 ? -EIO : 0;
}

static void write_byte(scene *s)
{
    cr_assert_eq(hk_os_write(s->pipe[1], "x", 1), 1);
}

static int wait_for_timer(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_MS(20));
}

static int wait_for_event(void *arg)
{
    return hank_event_wait(&((scene *)arg)->event);
}

static void set_event(scene *s)
{
    hank_event_set(&s->event);
}

Test(monitor, a_descriptor_of_a_worker_that_is_held_up_is_served_by_another)
{
    scene s = {.victim = wait_for_byte, .poke = write_byte};
    cr_assert_eq(hk_os_pipe(s.pipe), 0);
    cr_expect_eq(hank_run_with(play, &s, .workers = 2), 0);
    (void)hk_os_close(s.pipe[0]);
    (void)hk_os_close(s.pipe[1]);
}

Test(monitor, a_timer_of_a_worker_that_is_held_up_fires)
{
    scene s = {.victim = wait_for_timer};
    cr_expect_eq(hank_run_with(play, &s, .workers = 2), 0);
}

Test(monitor, a_task_woken_by_the_one_that_holds_its_worker_up_runs_elsewhere)
{
    scene s = {.victim = wait_for_event, .poke = set_event};
    cr_expect_eq(hank_run_with(play, &s, .workers = 2), 0);
}

/* The pipe of a scene as a stream of hank's: what it waits for belongs to a reactor. */
static int read_twice(void *arg)
{
    scene *s = arg;
    hank_stream *in;
    char byte;
    int rc = hank_stream_from_fd(s->pipe[0], 0, &in);
    if (rc < 0)
        return rc;
    hk_reactor *home = &hk_worker_self()->reactor;
    rc = hank_read(in, &byte, 1) == 1 ? 0 : -EIO;
    hk_reactor *now = home;
    hank_ns give_up = hank_now() + HANK_MS(PATIENCE_MS / 2);
    while (now == home && hank_now() < give_up) { /* beside the hog; who serves may be busy, too */
        (void)hank_within(HANK_MS(1), hank_read(in, &byte, 1));
        now = hk_load_relaxed(&in->fd.source->reactor);
    }
    hank_close(in);
    return rc < 0 ? rc : now != home ? 0 : -EXDEV;
}

Test(monitor, what_a_worker_that_is_held_up_would_tell_of_goes_to_who_served_it)
{
    scene s = {.victim = read_twice, .poke = write_byte};
    cr_assert_eq(hk_os_pipe(s.pipe), 0);
    cr_expect_eq(hank_run_with(play, &s, .workers = 2), 0);
    (void)hk_os_close(s.pipe[1]);
}

static int note_it(void *arg)
{
    hk_store_release((HK_ATOMIC(bool) *)arg, true);
    return 0;
}

static bool patient_until(hk_runtime *rt, HK_ATOMIC(bool) * done)
{
    hank_ns until = hank_now() + HANK_MS(PATIENCE_MS);
    while (hank_now() < until)
        if (done ? hk_load_acquire(done) : hk_idle_sleeping(hk_load_seqcst(&rt->idle.word)) == 1)
            return true;
    return false;
}

/* As if this worker, which spawns, and the other, which goes to sleep, had missed each other: the
 * task is taken out of the queue, and put in again when the other one sleeps, with nobody told. */
static int queue_in_silence(void *arg)
{
    hk_worker *w = hk_worker_self();
    HK_ATOMIC(bool) done = false;
    (void)arg;
    hank_task handle;
    struct hk_task *t = NULL;
    while (!t) {
        handle = hank_spawn(note_it, (void *)&done);
        t = hk_worker_pop_new(w);
        if (!t) { /* the other one was awake */
            (void)hank_await(handle);
            w = hk_worker_self();
            hk_store_release(&done, false);
        }
    }
    cr_expect(patient_until(w->runtime, NULL), "the other worker never slept");
    cr_assert_eq(hk_deque_push(&w->deque, t), 0);
    cr_expect(patient_until(w->runtime, &done), "the task was forgotten");
    return hank_await(handle);
}

Test(monitor, a_new_task_that_nobody_was_told_of_is_not_forgotten_while_a_worker_sleeps)
{
    cr_expect_eq(hank_run_with(queue_in_silence, NULL, .workers = 2), 0);
}
