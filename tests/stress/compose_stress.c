/* SPDX-License-Identifier: MIT */
/* compose_stress.c - looks, completions, staggered races, started members, promises and locals, all
 * at once on many workers, with stops that come at any time. A plain program: it also runs under
 * ThreadSanitizer. */
#include <hank.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomic.h"

enum { ROUNDS = 60, CREWS = 6, MANY = 12 };

static HK_ATOMIC(int) wrong;
static const hank_local crew_number = {.initial = NULL};

#define EXPECT(condition)                                                                          \
    ((void)((condition) ||                                                                         \
            (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition),               \
             hk_add_acqrel(&wrong, 1), false)))

static bool is_stop(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

/* A few turns, then a number; plain words that its parent reads. */
typedef struct job {
    intptr_t crew;
    int turns;
    int result;
    int written;
} job;

static int work(void *arg)
{
    job *j = arg;
    EXPECT((intptr_t)hank_local_get(&crew_number) == j->crew);
    for (int i = 0; i < j->turns; i++) {
        int rc = i % 3 == 2 ? hank_sleep(HANK_US(20)) : hank_yield();
        if (rc < 0)
            return rc;
    }
    j->written = j->result;
    return j->result;
}

static void look_at_them(intptr_t crew, unsigned *dice)
{
    job jobs[MANY];
    hank_task tasks[MANY];
    bool done[MANY];
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (job){crew, (int)(rand_r(dice) % 6), i, -1};
        tasks[i] = hank_spawn_with(work, &jobs[i], .eager = i % 4 == 0);
    }
    for (int until = HANK_FIRST_DONE; until <= HANK_ALL_DONE; until++) {
        int n = hank_wait_n(tasks, MANY, (hank_until)until, done);
        EXPECT(n > 0 || is_stop(n));
        for (int i = 0; i < MANY; i++)
            EXPECT(!done[i] || jobs[i].written == i || hank_stopped() < 0);
    }
    hank_completions c;
    int seen = 0;
    if (hank_completions_begin(&c, tasks, MANY) == 0) {
        ssize_t i;
        while ((i = hank_completions_next(&c)) >= 0) {
            int rc = hank_await(tasks[i]);
            EXPECT(rc == i || is_stop(rc));
            seen++;
        }
        EXPECT(i == -ENOENT ? seen == MANY : is_stop((int)i));
        hank_completions_end(&c);
    }
    (void)hank_gather_n(tasks, MANY, NULL); /* what a stop left: it uses our jobs */
}

static void start_others(intptr_t crew, unsigned *dice)
{
    job jobs[MANY];
    hank_task tasks[MANY];
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (job){crew, (int)(rand_r(dice) % 2), i, -1};
        tasks[i] = hank_spawn(work, &jobs[i]);
    }
    (void)hank_wait_n(tasks, MANY, HANK_FIRST_DONE, NULL); /* with other indices than before */
    (void)hank_gather_n(tasks, MANY, NULL);
}

static void watch_them_run(intptr_t crew, unsigned *dice)
{
    job jobs[MANY];
    hank_task tasks[MANY];
    hank_completions c;
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (job){crew, (int)(rand_r(dice) % 6), i, -1};
        tasks[i] = hank_spawn(work, &jobs[i]);
    }
    EXPECT(hank_completions_begin(&c, tasks, MANY) == 0);
    ssize_t i = 0;
    unsigned told = 0;
    for (int n = 0; n < MANY / 2 && i >= 0; n++) {
        i = hank_completions_next(&c);
        EXPECT(i >= 0 ? !(told >> i & 1) : is_stop((int)i));
        told |= i >= 0 ? 1U << i : 0;
    }
    if (rand_r(dice) % 2) {
        (void)hank_gather_n(tasks, MANY, NULL); /* out of the look, some of them */
        start_others(crew, dice);               /* in their slots */
        while ((i = hank_completions_next(&c)) >= 0) {
            EXPECT(!(told >> i & 1));
            told |= 1U << i;
        }
        EXPECT(i == -ENOENT ? told == (1U << MANY) - 1 : is_stop((int)i));
    }
    hank_completions_end(&c);
    (void)hank_gather_n(tasks, MANY, NULL);
}

static HK_ATOMIC(int) disposed;

static void dispose(void *arg, int result)
{
    EXPECT(((job *)arg)->result == result);
    (void)hk_add_acqrel(&disposed, 1);
}

static void race_them(intptr_t crew, unsigned *dice)
{
    job jobs[4];
    hank_attempt attempts[4];
    int results[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){crew, (int)(rand_r(dice) % 8), rand_r(dice) % 3 ? i : -EIO, -1};
        attempts[i] = (hank_attempt){work, &jobs[i]};
    }
    hank_stagger how = {.delay = rand_r(dice) % 3 * HANK_US(30), .dispose = dispose};
    ssize_t winner = hank_race_staggered(attempts, 4, &how, results);
    EXPECT(winner >= 0 ? results[winner] == jobs[winner].result
                       : winner == -EIO || is_stop((int)winner));
}

typedef struct served {
    hank_promise ready;
    hank_event go;
    int turns;
} served;

static int serve(void *arg)
{
    served *s = arg;
    for (int i = 0; i < s->turns; i++)
        if (hank_yield() < 0)
            return -ECANCELED;
    int rc = hank_started(s);
    EXPECT(rc == 0 || rc == -ECANCELED);
    (void)hank_promise_set(&s->ready, s); /* nobody else does */
    rc = hank_event_wait(&s->go);
    return rc;
}

static int await_ready(void *arg)
{
    served *s = arg;
    void *value = NULL;
    int rc = hank_promise_await(&s->ready, &value);
    EXPECT(rc == 0 ? value == s : is_stop(rc));
    return rc;
}

static void start_them(unsigned *dice)
{
    hank_group g = {0};
    served s[3];
    hank_task readers[3];
    for (int i = 0; i < 3; i++)
        s[i] = (served){.turns = (int)(rand_r(dice) % 4)};
    for (int i = 0; i < 3; i++) {
        void *value = NULL;
        readers[i] = hank_spawn(await_ready, &s[i]);
        int rc = hank_group_start(&g, serve, &s[i], NULL, &value);
        EXPECT(rc == 0 ? value == &s[i] : is_stop(rc));
        if (rc < 0)
            (void)hank_promise_fail(&s[i].ready, rc);
    }
    for (int i = 0; i < 3; i++)
        hank_event_set(&s[i].go);
    for (int i = 0; i < 3; i++)
        (void)hank_await(readers[i]);
    int rc = hank_group_wait(&g);
    EXPECT(rc == 0 || is_stop(rc));
}

static HK_ATOMIC(int) crews_done;

static void count_done(void *arg, int result)
{
    (void)arg;
    (void)result;
    (void)hk_add_acqrel(&crews_done, 1);
}

static int crew(void *arg)
{
    intptr_t me = (intptr_t)arg;
    unsigned dice = (unsigned)me * 7919;
    hank_local_scope local;
    hank_local_begin(&local, &crew_number, arg);
    for (int round = 0; round < ROUNDS && hank_stopped() == 0; round++) {
        hank_scope s;
        hank_timeout_begin(&s, rand_r(&dice) % 3 ? HANK_SEC(100) : HANK_US(rand_r(&dice) % 200));
        look_at_them(me, &dice);
        watch_them_run(me, &dice);
        race_them(me, &dice);
        start_them(&dice);
        (void)hank_timeout_end(&s);
    }
    hank_local_end(&local);
    return 0;
}

static int app(void *arg)
{
    hank_task crews[CREWS];
    unsigned dice = 1;
    (void)arg;
    for (intptr_t i = 0; i < CREWS; i++)
        crews[i] = hank_spawn_with(crew, (void *)(i + 1), .on_done = count_done);
    for (int i = 0; i < CREWS; i++) {
        if (i == CREWS / 2)
            (void)hank_cancel(crews[rand_r(&dice) % CREWS]);
        (void)hank_await(crews[i]);
    }
    return 0;
}

int main(void)
{
    static const unsigned sizes[] = {1, 2, 8};
    for (int i = 0; i < 3; i++) {
        hk_store_release(&crews_done, 0);
        int rc = hank_run_with(app, NULL, .workers = sizes[i]);
        EXPECT(rc == 0 && hk_load_acquire(&crews_done) == CREWS);
    }
    printf(
        "compose_stress: %d crews of %d rounds on 1, 2 and 8 workers, %d late winners, %d wrong\n",
        CREWS, ROUNDS, hk_load_acquire(&disposed), hk_load_acquire(&wrong));
    return hk_load_acquire(&wrong) != 0;
}
