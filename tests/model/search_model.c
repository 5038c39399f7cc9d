/* SPDX-License-Identifier: MIT */
/* search_model.c - does leaving executions out lose outcomes? The checker against itself.
 *
 * Random small programs are searched twice: exhaustively, which skips what sleep sets call
 * repetition, and with a preemption bound so high that nothing at all is skipped. Both must reach
 * the same outcomes (everything that was read, and what is in memory at the end), and agree on
 * whether the program can get stuck. */
#include <stdio.h>

#include "model/mc.h"

enum { THREADS_MAX = 3, STEPS_MAX = 3, WORDS = 2, SET = 1 << 14, PROGRAMS = 1500 };

typedef enum step_kind {
    LOAD_RELAXED,
    LOAD_ACQUIRE,
    LOAD_SEQCST,
    STORE_RELAXED,
    STORE_RELEASE,
    STORE_SEQCST,
    ADD_RELAXED,
    ADD_ACQREL,
    ADD_SEQCST,
    CAS_ACQREL,
    CAS_SEQCST,
    SPIN,
    SLEEP,
    WAKE,
    KINDS,
} step_kind;

typedef struct step {
    step_kind kind;
    int word;
    int value;
} step;

static step program[THREADS_MAX][STEPS_MAX];
static int steps_n[THREADS_MAX];
static int words[WORDS];
static mc_parker parkers[WORDS];
static int reads[THREADS_MAX][STEPS_MAX];
static uint64_t *outcomes; /* the set being filled: hashes, 0 is a free place */
static uint64_t skipping[SET];
static uint64_t complete[SET];
static uint64_t dice = 0x5eed;
static int stuck;

static unsigned roll(unsigned n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 33) % n;
}

/* Most programs do not wait: those that do are often stuck. */
static void make_program(int threads)
{
    unsigned kinds = roll(4) == 0 ? KINDS : SPIN;
    for (int t = 0; t < threads; t++) {
        steps_n[t] = 1 + (int)roll(STEPS_MAX);
        for (int i = 0; i < steps_n[t]; i++)
            program[t][i] = (step){(step_kind)roll(kinds), (int)roll(WORDS), 1 + (int)roll(2)};
    }
}

static int spin(int *word)
{
    int value;
    while ((value = hk_load_acquire(word)) == 0)
        hk_spin_pause();
    return value;
}

static int cas(int *word, const step *s)
{
    int expected = s->value - 1;
    bool done = s->kind == CAS_ACQREL ? hk_cas_acqrel(word, &expected, s->value)
                                      : hk_cas_seqcst(word, &expected, s->value);
    return done ? 10 : expected;
}

static int perform(const step *s)
{
    int *word = &words[s->word];
    switch (s->kind) {
    case LOAD_RELAXED: return hk_load_relaxed(word);
    case LOAD_ACQUIRE: return hk_load_acquire(word);
    case LOAD_SEQCST: return hk_load_seqcst(word);
    case STORE_RELAXED: hk_store_relaxed(word, s->value); return 0;
    case STORE_RELEASE: hk_store_release(word, s->value); return 0;
    case STORE_SEQCST: hk_store_seqcst(word, s->value); return 0;
    case ADD_RELAXED: return hk_add_relaxed(word, s->value);
    case ADD_ACQREL: return hk_add_acqrel(word, s->value);
    case ADD_SEQCST: return hk_add_seqcst(word, s->value);
    case CAS_ACQREL:
    case CAS_SEQCST: return cas(word, s);
    case SPIN: return spin(word);
    case SLEEP: mc_sleep(&parkers[s->word]); return 0;
    case WAKE: mc_wake(&parkers[s->word]); return 0;
    case KINDS: break;
    }
    return 0;
}

static void thread(void)
{
    int me = mc_self();
    for (int i = 0; i < steps_n[me]; i++)
        reads[me][i] = perform(&program[me][i]);
}

static void clear(void)
{
    memset(words, 0, sizeof words);
    memset(reads, 0, sizeof reads);
}

static void add_outcome(void)
{
    uint64_t hash = 1469598103934665603u;
    for (int t = 0; t < THREADS_MAX; t++)
        for (int i = 0; i < STEPS_MAX; i++)
            hash = (hash ^ (uint64_t)reads[t][i]) * 1099511628211u;
    for (int i = 0; i < WORDS; i++)
        hash = (hash ^ (uint64_t)words[i]) * 1099511628211u;
    uint64_t place = hash >> 20 & (SET - 1);
    while (outcomes[place] != 0 && outcomes[place] != hash)
        place = (place + 1) & (SET - 1);
    outcomes[place] = hash;
}

static int size_of(const uint64_t *set)
{
    int n = 0;
    for (int i = 0; i < SET; i++)
        n += set[i] != 0;
    return n;
}

static bool contains(const uint64_t *set, uint64_t hash)
{
    for (uint64_t place = hash >> 20 & (SET - 1); set[place]; place = (place + 1) & (SET - 1))
        if (set[place] == hash)
            return true;
    return false;
}

static mc_result search(mc_model model, mc_search how, uint64_t *set)
{
    memset(set, 0, sizeof skipping);
    outcomes = set;
    model.search = how;
    model.bound = 1000;
    return mc_run(&model);
}

static void print_program(int threads)
{
    for (int t = 0; t < threads; t++)
        for (int i = 0; i < steps_n[t]; i++)
            printf("    T%d kind %d word %d value %d\n", t, (int)program[t][i].kind,
                   program[t][i].word, program[t][i].value);
}

/* True: both searches agree. */
static bool compare(int threads, bool insert, long executions[2])
{
    mc_model model = {.name = "random program",
                      .setup = clear,
                      .threads = {thread, thread, threads == 3 ? thread : NULL},
                      .check = add_outcome,
                      .insert_stores = insert,
                      .quiet = true};
    mc_result less = search(model, MC_EXHAUSTIVE, skipping);
    mc_result all = search(model, MC_BOUNDED, complete);
    executions[0] += less.executions;
    executions[1] += all.executions;
    stuck += all.failed;
    bool same = less.failed == all.failed;
    if (!all.failed && same) {
        same = size_of(skipping) == size_of(complete);
        for (int i = 0; i < SET && same; i++)
            same = complete[i] == 0 || contains(skipping, complete[i]);
    }
    if (!same) {
        printf("outcomes: %d with skipping, %d without; stuck: %d, %d\n", size_of(skipping),
               size_of(complete), less.failed, all.failed);
        print_program(threads);
    }
    return same;
}

int main(void)
{
    int wrong = 0;
    long executions[2] = {0, 0};
    for (int i = 0; i < PROGRAMS; i++) {
        int threads = i % 3 == 0 ? 3 : 2;
        make_program(threads);
        wrong += !compare(threads, i % 2 == 0, executions);
    }
    printf("search: %d random programs (%d get stuck), %ld executions for %ld: %d differ\n",
           PROGRAMS, stuck, executions[0], executions[1], wrong);
    return wrong != 0 || stuck == PROGRAMS;
}
