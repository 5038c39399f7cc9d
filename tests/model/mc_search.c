/* SPDX-License-Identifier: MIT */
/* mc_search.c - every choice, in every execution, until none is left.
 *
 * An execution is the list of its choices: who performs the next operation, and which of n answers
 * the memory (or the model) gets. A depth-first search keeps that list as a stack, runs, advances
 * the last choice that has another answer, and runs again.
 *
 *   exhaustive   with sleep sets: a thread whose next operation has been tried here is not tried
 *                again until something it depends on has happened. An execution in which all who
 *                could run sleep would only repeat another and is given up (pruned).
 *   bounded      at most `bound` times is one interrupted that could go on. Two find most bugs.
 *   random       PCT: random priorities, and `bound` - 1 places where the running thread gets the
 *                lowest. Finds a bug of that depth with known probability per run.
 *
 * Source: Godefroid, "Partial-order methods for the verification of concurrent systems", 1996;
 * Musuvathi and Qadeer, "Iterative context bounding", PLDI 2007; Burckhardt et al., "A randomized
 * scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010. */
#include "model/mc_core.h"

#include <stdarg.h>
#include <stdio.h>

/* offered  answers there are
 * count    answers worth trying
 * taken    which of those this execution has
 * asleep   threads that need not be tried at this place
 * thread   who the answers are, for a choice of threads */
typedef struct choice {
    uint8_t offered;
    uint8_t count;
    uint8_t taken;
    uint8_t thread[MC_THREADS_MAX];
    uint32_t asleep;
} choice;

enum { CHANGES_MAX = 8 };

mc_state mc = {.alone = true};

static choice choices[MC_CHOICES_MAX];
static int choices_n;
static int position;    /* in `choices`, in this execution */
static uint32_t asleep; /* threads, before the next step */
static int last;        /* who ran the last step; -1 at first */
static int preemptions;
static int recorded;     /* characters in mc.result.choices */
static const char *told; /* the rest of the choices to replay */
static uint64_t dice;
static long changes[CHANGES_MAX]; /* steps at which PCT lowers a priority */
static int steps_before;          /* of the last execution */

/* Failure. */

void mc_note_failure(const char *format, ...)
{
    if (mc.failed)
        return;
    mc.failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(mc.result.why, sizeof mc.result.why, format, arguments);
    va_end(arguments);
}

/* The fiber is left where it is and never continued. */
void mc_fail(const char *format, ...)
{
    char why[sizeof mc.result.why];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    mc_note_failure("%s", why);
    mc_fiber nowhere = {0};
    mc_fiber_switch(&nowhere, &mc.home);
    __builtin_unreachable();
}

static void report_stuck(void)
{
    char who[160] = "";
    bool spins = false;
    for (int i = 0; i < mc.n; i++) {
        mc_thread *t = &mc.threads[i];
        size_t used = strlen(who);
        if (t->ended)
            continue;
        spins = spins || t->next.kind == MC_OP_PAUSE;
        snprintf(who + used, sizeof who - used, " T%d at %s", i, t->next.site);
    }
    mc_note_failure("%s:%s", spins ? "livelock" : "deadlock or lost wake-up", who);
}

/* Choices. */

static uint64_t roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

static void record(int first, int answer)
{
    if (recorded < (int)sizeof mc.result.choices - 1)
        mc.result.choices[recorded++] = (char)(first + answer);
}

static int replayed(int first, int n)
{
    int answer = *told ? *told++ - first : 0;
    return answer >= 0 && answer < n ? answer : 0;
}

/* The choice of one in n at this place: made before, or a new one with its first answer. */
static choice *next_choice(int n, bool *ret_new)
{
    choice *c = &choices[position++];
    *ret_new = position > choices_n;
    if (*ret_new) {
        if (position > MC_CHOICES_MAX)
            mc_fail("more than %d choices: a smaller model, please", MC_CHOICES_MAX);
        choices_n++;
        c->taken = 0;
        c->offered = (uint8_t)n;
        c->count = (uint8_t)n;
    }
    if (c->offered != n)
        mc_fail("the model does not repeat itself: %d choices where there were %d", n, c->offered);
    return c;
}

int mc_choose(int n)
{
    int answer = 0;
    if (n <= 1 || mc.alone)
        return 0;
    if (mc.model->replay) {
        answer = replayed('a', n);
    } else if (mc.model->search == MC_RANDOM) {
        answer = roll() % 3 ? 0 : (int)(roll() % (unsigned)n);
    } else {
        bool new;
        answer = next_choice(n, &new)->taken;
    }
    record('a', answer);
    return answer;
}

/* Threads. */

/* Those who can take a step. Nobody: those who spin may look once more (mc_wait.c). */
static int collect_able(uint8_t able[MC_THREADS_MAX])
{
    int n = 0;
    for (int i = 0; i < mc.n; i++)
        if (mc_can_run(&mc.threads[i]))
            able[n++] = (uint8_t)i;
    if (n > 0)
        return n;
    for (int i = 0; i < mc.n; i++) {
        mc_thread *t = &mc.threads[i];
        if (t->ended || t->next.kind != MC_OP_PAUSE || t->fresh_at == mc.stores)
            continue;
        able[n++] = (uint8_t)i;
    }
    return n;
}

/* Who ran last comes first, so that the first execution is the one without preemptions. */
static bool put_last_first(uint8_t *able, int n)
{
    for (int i = 0; i < n; i++) {
        if (able[i] != last)
            continue;
        able[i] = able[0];
        able[0] = (uint8_t)last;
        return true;
    }
    return false;
}

static int pick_exhaustive(uint8_t *able, int n)
{
    bool new;
    choice *c = next_choice(n, &new);
    if (new) {
        put_last_first(able, n);
        c->count = 0;
        c->asleep = asleep;
        for (int i = 0; i < n; i++)
            if (!(asleep >> able[i] & 1))
                c->thread[c->count++] = able[i];
        if (c->count == 0)
            return -1;
    }
    int picked = c->thread[c->taken];
    uint32_t tried = c->asleep;
    for (int i = 0; i < c->taken; i++)
        tried |= 1u << c->thread[i];
    asleep = 0;
    for (int i = 0; i < mc.n; i++)
        if (tried >> i & 1 && !mc_dependent(&mc.threads[i].next, &mc.threads[picked].next))
            asleep |= 1u << i;
    return picked;
}

static int pick_bounded(uint8_t *able, int n)
{
    bool new;
    bool can_go_on = put_last_first(able, n);
    if (can_go_on && preemptions == mc.model->bound)
        return last;
    int picked = able[next_choice(n, &new)->taken];
    preemptions += can_go_on && picked != last;
    return picked;
}

static int pick_random(const uint8_t *able, int n)
{
    for (int i = 0; i + 1 < mc.model->bound && i < CHANGES_MAX; i++)
        if (mc.steps == changes[i] && last >= 0)
            mc.threads[last].priority = (uint64_t)i;
    int picked = able[0];
    for (int i = 1; i < n; i++)
        if (mc.threads[able[i]].priority > mc.threads[picked].priority)
            picked = able[i];
    return picked;
}

static int pick_replayed(const uint8_t *able, int n)
{
    int picked = replayed('0', mc.n);
    for (int i = 0; i < n; i++)
        if (able[i] == picked)
            return picked;
    return able[0];
}

/* Who takes the next step; -1: nobody, this execution is over. */
int mc_next_thread(void)
{
    uint8_t able[MC_THREADS_MAX];
    int n = collect_able(able);
    int picked = -1;
    if (n == 0) {
        for (int i = 0; i < mc.n; i++)
            if (!mc.threads[i].ended)
                report_stuck();
        return -1;
    }
    if (++mc.steps == MC_STEPS_MAX) {
        mc_note_failure("more than %d steps: a loop without a pause?", MC_STEPS_MAX);
        return -1;
    }
    if (mc.model->replay)
        picked = pick_replayed(able, n);
    else if (mc.model->search == MC_RANDOM)
        picked = pick_random(able, n);
    else if (mc.model->search == MC_BOUNDED)
        picked = pick_bounded(able, n);
    else
        picked = pick_exhaustive(able, n);
    mc.pruned = picked < 0;
    if (picked < 0)
        return -1;
    record('0', picked);
    mc_thread *t = &mc.threads[picked];
    if (t->next.kind == MC_OP_PAUSE && !t->stirred)
        t->fresh_at = mc.stores;
    last = picked;
    return picked;
}

static void hand_over(mc_fiber *from)
{
    int next = mc.starting ? -1 : mc_next_thread();
    if (next == mc.current)
        return;
    if (next >= 0)
        mc.current = next;
    mc_fiber_switch(from, next < 0 ? &mc.home : &mc.threads[next].fiber);
}

void mc_announce(mc_operation operation)
{
    mc_thread *t = mc_running();
    t->next = operation;
    hand_over(&t->fiber);
}

void mc_end_thread(void)
{
    mc_thread *t = mc_running();
    t->ended = true;
    hand_over(&t->fiber);
    __builtin_unreachable();
}

/* Executions. */

void mc_search_begin(void)
{
    choices_n = 0;
    steps_before = 60; /* a guess, for the first random execution */
    dice = (mc.model->seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

void mc_search_reset(void)
{
    position = preemptions = recorded = 0;
    asleep = 0;
    last = -1;
    told = mc.model->replay;
    if (mc.model->search != MC_RANDOM)
        return;
    for (int i = 0; i < CHANGES_MAX; i++)
        changes[i] = 1 + (long)(roll() % (unsigned)(steps_before + 1));
    for (int i = 0; i < MC_THREADS_MAX; i++)
        mc.threads[i].priority = roll() | UINT64_C(1) << 63;
}

/* The next execution's choices: the last that has another answer takes it. False: none has. */
bool mc_search_advance(void)
{
    steps_before = mc.steps;
    if (mc.model->search == MC_RANDOM)
        return true;
    for (; choices_n > 0; choices_n--) {
        choice *c = &choices[choices_n - 1];
        if (++c->taken < c->count)
            return true;
    }
    return false;
}

void mc_search_end(void)
{
    mc.result.choices[recorded] = '\0';
}
