/* SPDX-License-Identifier: MIT */
/* done_test.c - many hooks for the end of one task: asyncio's add_done_callback. */
#include "api/compose_support.h"
#include "last_words.h"

enum { HOOKS = 5, THREADS = 4, MANY = 200 };

/* --- in order, each once --------------------------------------------------------------------- */

typedef struct notebook {
    HK_ATOMIC(int) n;
    int who[3 * HOOKS];
    int results[3 * HOOKS];
} notebook;

typedef struct noter {
    hank_done_hook hook;
    notebook *notes;
    int who;
} noter;

static void note(void *arg, int result)
{
    noter *me = arg;
    int i = hk_add_acqrel(&me->notes->n, 1);
    me->notes->who[i] = me->who;
    me->notes->results[i] = result;
}

static void make_noters(noter *noters, notebook *notes)
{
    for (int i = 0; i < HOOKS; i++)
        noters[i] = (noter){{.fn = note, .arg = &noters[i]}, notes, i};
}

static hank_task spawn_with(hank_done *d, hank_fn fn, void *arg)
{
    return hank_spawn_with(fn, arg, .on_done = hank_done_call, .on_done_arg = d);
}

static int wait_until_told(void *arg)
{
    YIELD_UNTIL(is_set(arg));
    return 7;
}

static int call_them_in_order(void *arg)
{
    hank_done d = {0};
    notebook notes = {0};
    noter noters[HOOKS];
    flag told = 0;
    (void)arg;
    make_noters(noters, &notes);
    hank_task t = spawn_with(&d, wait_until_told, &told);
    for (int i = 0; i < HOOKS; i++)
        MUST(hank_done_add(&d, &noters[i].hook) == 0);
    set(&told);
    MUST(hank_await(t) == 7);
    MUST(hk_load_acquire(&notes.n) == HOOKS); /* whoever awaits finds that they have been called */
    for (int i = 0; i < HOOKS; i++)
        MUST(notes.who[i] == i && notes.results[i] == 7);
    return 0;
}
EACH(done, calls_its_hooks_in_the_order_in_which_they_were_added, call_them_in_order)

static int add_afterwards(void *arg)
{
    hank_done d = {0};
    notebook notes = {0};
    noter noters[HOOKS];
    (void)arg;
    make_noters(noters, &notes);
    MUST(hank_await(spawn_with(&d, give_back, number(-EIO))) == -EIO);
    for (int i = 0; i < HOOKS; i++) {
        MUST(hank_done_add(&d, &noters[i].hook) == 1);
        MUST(hk_load_acquire(&notes.n) == i + 1 && notes.results[i] == -EIO);
    }
    MUST(hank_done_remove(&d, &noters[0].hook) == -EALREADY);
    return 0;
}
EACH(done, calls_what_is_added_afterwards_at_once, add_afterwards)

static int cancel_before_it_begins(void *arg)
{
    hank_done d = {0};
    notebook notes = {0};
    noter noters[HOOKS];
    (void)arg;
    make_noters(noters, &notes);
    hank_task t = spawn_with(&d, sleep_forever, NULL);
    MUST(hank_done_add(&d, &noters[0].hook) == 0);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    MUST(hk_load_acquire(&notes.n) == 1 && notes.results[0] == -ECANCELED);
    return 0;
}
EACH(done, calls_them_for_a_task_that_was_cancelled, cancel_before_it_begins)

static int remove_some(void *arg)
{
    hank_done d = {0};
    notebook notes = {0};
    noter noters[HOOKS];
    flag told = 0;
    (void)arg;
    make_noters(noters, &notes);
    hank_task t = spawn_with(&d, wait_until_told, &told);
    MUST(hank_done_remove(&d, &noters[0].hook) == -EALREADY); /* never was */
    for (int i = 0; i < HOOKS; i++)
        MUST(hank_done_add(&d, &noters[i].hook) == 0);
    MUST(hank_done_add(&d, &noters[2].hook) == -EBUSY);
    MUST(hank_done_remove(&d, &noters[0].hook) == 0);
    MUST(hank_done_remove(&d, &noters[3].hook) == 0);
    MUST(hank_done_remove(&d, &noters[3].hook) == -EALREADY);
    MUST(hank_done_add(&d, &noters[0].hook) == 0); /* at the end, now */
    set(&told);
    MUST(hank_await(t) == 7 && hk_load_acquire(&notes.n) == 4);
    static const int expected[] = {1, 2, 4, 0};
    for (int i = 0; i < 4; i++)
        MUST(notes.who[i] == expected[i]);
    return 0;
}
EACH(done, does_not_call_what_was_removed, remove_some)

/* --- from inside a hook ---------------------------------------------------------------------- */

typedef struct meddler {
    hank_done_hook hook;
    hank_done *d;
    noter *noters;
} meddler;

static void add_and_remove(void *arg, int result)
{
    meddler *m = arg;
    (void)result;
    CHECK(hank_done_remove(m->d, &m->hook) == -EALREADY); /* it is this one */
    CHECK(hank_done_remove(m->d, &m->noters[0].hook) == 0);
    CHECK(hank_done_add(m->d, &m->noters[2].hook) == 0); /* behind the others */
    m->hook = (hank_done_hook){.fn = NULL};              /* ours again */
    CHECK(hank_done_add(m->d, &m->hook) == -EINVAL);
}

static int meddle(void *arg)
{
    hank_done d = {0};
    notebook notes = {0};
    noter noters[HOOKS];
    flag told = 0;
    (void)arg;
    make_noters(noters, &notes);
    meddler m = {{.fn = add_and_remove, .arg = &m}, &d, noters};
    hank_task t = spawn_with(&d, wait_until_told, &told);
    MUST(hank_done_add(&d, &m.hook) == 0);
    MUST(hank_done_add(&d, &noters[0].hook) == 0);
    MUST(hank_done_add(&d, &noters[1].hook) == 0);
    set(&told);
    MUST(hank_await(t) == 7 && hk_load_acquire(&notes.n) == 2);
    MUST(notes.who[0] == 1 && notes.who[1] == 2);
    return 0;
}
EACH(done, lets_a_hook_add_and_remove_others, meddle)

/* --- at the same time ------------------------------------------------------------------------ */

typedef struct crowd {
    hank_done d;
    HK_ATOMIC(int) called;
    HK_ATOMIC(int) removed;
    hank_done_hook hooks[THREADS][MANY];
    HK_ATOMIC(int) next;
} crowd;

static void count_it(void *arg, int result)
{
    crowd *c = arg;
    if (result == 3)
        (void)hk_add_acqrel(&c->called, 1);
}

static int add_many(void *arg)
{
    crowd *c = arg;
    hank_done_hook *mine = c->hooks[hk_add_acqrel(&c->next, 1)];
    for (int i = 0; i < MANY; i++) {
        mine[i] = (hank_done_hook){.fn = count_it, .arg = c};
        CHECK(hank_done_add(&c->d, &mine[i]) >= 0);
        if (i % 4 == 3 && hank_done_remove(&c->d, &mine[i - 1]) == 0)
            (void)hk_add_acqrel(&c->removed, 1);
    }
    return 0;
}

static int end_meanwhile(void *arg)
{
    (void)arg;
    static crowd c;
    for (int round = 0; round < 20; round++) {
        c = (crowd){.called = 0};
        hank_group g = {0};
        for (int i = 0; i < THREADS; i++)
            (void)hank_group_spawn(&g, add_many, &c);
        hank_task t = spawn_with(&c.d, yield_once, number(3));
        MUST(hank_await(t) == 3 && hank_group_wait(&g) == 0);
        MUST(hk_load_acquire(&c.called) + hk_load_acquire(&c.removed) == THREADS * MANY);
    }
    return 0;
}
EACH(done, loses_none_that_is_added_while_it_ends, end_meanwhile)

static void *add_from_a_thread(void *arg)
{
    (void)add_many(arg);
    return NULL;
}

Test(done, is_for_threads_and_for_what_is_no_task)
{
    static crowd c;
    pthread_t thread = start_thread(add_from_a_thread, &c);
    hank_done_call(&c.d, 3);
    join_thread(thread);
    cr_expect_eq(hk_load_acquire(&c.called) + hk_load_acquire(&c.removed), MANY);
}

static int call_twice(void *d)
{
    hank_done_call(d, 0);
    hank_done_call(d, 0);
    return 0;
}

Test(done, that_is_called_twice_is_a_panic)
{
    hank_done d = {{0}};
    culprit_must_panic(call_twice, "hank_done", &d);
}
