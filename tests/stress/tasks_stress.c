/* SPDX-License-Identifier: MIT */
/* tasks_stress.c - everything that tasks do to each other, at once, from a seed.
 *
 *   stress_tasks_stress [WORKERS [ROUNDS [SEED]]]      default: 1, 2, 8 and 64 workers in turn
 *
 * A plain main, because Criterion cannot run under ThreadSanitizer. Each task of a crowd draws one
 * of a dozen small dramas; what must hold is checked where it happens, and at the end of a round
 * that nothing is left. The seed decides what is drawn, not who runs when. */
#include <hank.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/os.h"
#include "stress/stress_support.h"

enum { CROWD = 150, LOCKERS = 6, TURNS = 40, SENDERS = 4, RECEIVERS = 3, ITEMS = 500 };

static hank_mutex mutex;
static long counter; /* guarded by mutex */
static hank_sem permits = {.count = 3};
static hank_event event;

static int nap(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_US(draw(300)));
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_FOREVER);
}

static int fail_after_nap(void *arg)
{
    (void)arg;
    int rc = nap(NULL);
    return rc < 0 ? rc : -EIO;
}

static int wait_for_event(void *arg)
{
    (void)arg;
    return hank_event_wait(&event);
}

static int count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < TURNS; i++) {
        hank_mutex_lock(&mutex);
        long before = counter;
        if (draw(4) == 0)
            hank_yield();
        counter = before + 1;
        hank_mutex_unlock(&mutex);
    }
    return 0;
}

static int tree(void *arg)
{
    long depth = (long)(intptr_t)arg;
    if (depth == 0)
        return draw(3) == 0 ? nap(NULL) : 1;
    void *below = (void *)(intptr_t)(depth - 1);
    hank_task a = hank_spawn(tree, below), b = hank_spawn(tree, below);
    if (draw(2) == 0)
        return hank_gather(a, b);
    int x = hank_await(a), y = hank_await(b);
    return x < 0 ? x : y < 0 ? y : 0;
}

/* --- the dramas: each may be stopped at any point ------------------------------------------- */

static int take_permits(void)
{
    for (int i = 0; i < 4; i++) {
        int rc = hank_sem_acquire(&permits);
        if (rc < 0)
            return rc;
        rc = nap(NULL);
        MUST(hank_sem_release(&permits) == 0);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int await_in_time(void)
{
    int rc = hank_within(HANK_US(draw(500)), hank_await(hank_spawn(wait_for_event, NULL)));
    MUST(rc == 0 || is_stop(rc));
    return 0;
}

static int gather_with_a_failure(void)
{
    int results[3];
    hank_task tasks[3] = {hank_spawn(fail_after_nap, NULL), hank_spawn(wait_for_ever, NULL),
                          hank_spawn(nap, NULL)};
    int rc = hank_gather_n(tasks, 3, results);
    MUST(rc == -EIO || is_stop(rc));
    MUST(results[1] == -ECANCELED);
    MUST(hank_await(tasks[0]) == -ESTALE);
    return 0;
}

static int race_a_nap(void)
{
    hank_task tasks[3] = {hank_spawn(wait_for_ever, NULL), hank_spawn(nap, NULL),
                          hank_spawn(wait_for_ever, NULL)};
    ssize_t winner = hank_race_n(tasks, 3, NULL);
    MUST(winner == 1 || hank_stopped());
    return 0;
}

static int group_with_a_failure(void)
{
    hank_group g = {.flags = draw(2) ? HANK_KEEP_GOING : 0};
    for (int i = 0; i < 8; i++)
        (void)hank_group_spawn(&g, i == 4 ? fail_after_nap : nap, NULL); /* the wait reports it */
    int rc = hank_group_wait(&g);
    MUST(rc == -EIO || is_stop(rc));
    return 0;
}

static int cancel_a_child(void)
{
    hank_task t = hank_spawn(wait_for_ever, NULL);
    (void)hank_yield(); /* a stop shows in what follows */
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    return 0;
}

static int leave_children(void)
{
    hank_task left = hank_spawn(nap, NULL); /* waited for at our end */
    (void)left;
    MUST(hank_detach(hank_spawn(nap, NULL)) == 0);
    return 0;
}

static int shielded_words(void)
{
    hank_scope s;
    hank_shield_begin(&s);
    int rc = hank_await(hank_spawn(nap, NULL));
    hank_shield_end(&s);
    MUST(rc == 0);
    return 0;
}

static int drama(void *arg)
{
    (void)arg;
    int (*const dramas[])(void) = {take_permits,   await_in_time,        gather_with_a_failure,
                                   race_a_nap,     group_with_a_failure, cancel_a_child,
                                   leave_children, shielded_words};
    unsigned n = draw(10);
    if (n == 8)
        return count_up(NULL);
    return n == 9 ? tree((void *)4) : dramas[n]();
}

/* --- a pipe that loses nothing -------------------------------------------------------------- */

static int send_all(void *arg)
{
    for (long i = 0; i < ITEMS; i++)
        MUST(hank_chan_send(arg, &i) == 0);
    return 0;
}

static int receive_all(void *arg)
{
    long item;
    int n = 0;
    while (hank_chan_recv(arg, &item) == 0)
        n++;
    return n;
}

static void pipe_items(void)
{
    hank_chan *c = hank_chan_new(sizeof(long), draw(5));
    hank_task senders[SENDERS], receivers[RECEIVERS];
    MUST(c != NULL);
    for (int i = 0; i < SENDERS; i++)
        senders[i] = hank_spawn(send_all, c);
    for (int i = 0; i < RECEIVERS; i++)
        receivers[i] = hank_spawn(receive_all, c);
    MUST(hank_gather_n(senders, SENDERS, NULL) == 0);
    hank_chan_close(c);
    int received = 0;
    for (int i = 0; i < RECEIVERS; i++)
        received += hank_await(receivers[i]);
    MUST(received == SENDERS * ITEMS);
    hank_chan_free(c);
}

static void one_round(void)
{
    hank_task crowd[CROWD], lockers[LOCKERS];
    hank_event_clear(&event);
    counter = 0;
    for (int i = 0; i < LOCKERS; i++)
        lockers[i] = hank_spawn(count_up, NULL);
    MUST(hank_gather_n(lockers, LOCKERS, NULL) == 0);
    MUST(counter == LOCKERS * TURNS);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = hank_spawn(drama, NULL);
    (void)nap(NULL); /* nothing stops us */
    hank_event_set(&event);
    for (int i = 0; i < CROWD; i++) {
        if (draw(8) == 0)
            MUST(hank_cancel(crowd[i]) == 0);
        int rc = hank_await(crowd[i]);
        MUST(rc >= 0 || is_stop(rc));
    }
    pipe_items();
    hank_scope s;
    hank_timeout_begin(&s, HANK_MS(2));
    int rc = tree((void *)7);
    bool expired = hank_timeout_end(&s);
    MUST(rc >= 0 || (expired && is_stop(rc)));
}

static int rounds(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        one_round();
    return 0;
}

int main(int argc, char **argv)
{
    static const unsigned usual[] = {1, 2, 8, 64};
    unsigned workers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : HK_TSAN ? 3 : 25;
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : hk_os_random();
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        unsigned w = workers ? workers : usual[i];
        printf("%u workers, %d rounds, seed %llu\n", w, n, (unsigned long long)seed);
        (void)fflush(stdout);
        MUST(hank_run_with(rounds, &n, .workers = w) == 0);
        if (workers)
            break;
    }
    return 0;
}
