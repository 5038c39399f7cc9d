/* SPDX-License-Identifier: MIT */
/* mc.h - the model checker, as someone who writes a model sees it.
 *
 * A model is two to six small threads that run the real code of runtime/. The checker runs them
 * again and again, each time with another interleaving and another choice of what a weak load may
 * return, until there is none left (or the budget is used up). README.md shows how to add one. */
#ifndef HK_MODEL_MC_H
#define HK_MODEL_MC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

enum { MC_THREADS_MAX = 6 };

typedef enum mc_search {
    MC_EXHAUSTIVE, /* every execution, up to the order of steps that do not touch each other */
    MC_BOUNDED,    /* every execution with at most `bound` preemptions */
    MC_RANDOM,     /* executions_max random ones, of depth `bound` (PCT) from `seed` */
} mc_search;

/* setup and check run alone, before and after the threads. Zeroed fields have a meaning. */
typedef struct mc_model {
    const char *name;
    void (*setup)(void);
    void (*threads[MC_THREADS_MAX])(void);
    void (*check)(void);
    mc_search search;
    int bound;
    uint64_t seed;
    long executions_max;   /* 0: MC_EXECUTIONS_MAX */
    long golden;           /* a completed search has exactly so many executions */
    bool uncounted;        /* not the whole search, for mc_main: nothing to compare */
    bool insert_stores;    /* a store may become older than one already made (2+2W) */
    bool allocations_fail; /* hk_alloc may return NULL, both ways are tried */
    bool must_fail;        /* a canary: the checker is broken if it finds nothing */
    const char *replay;    /* the choices of one execution, as printed with a failure */
    bool quiet;            /* no trace */
} mc_model;

enum { MC_EXECUTIONS_MAX = 50 * 1000 * 1000 };

typedef struct mc_result {
    bool failed;
    bool complete;
    long executions; /* that ran to their end */
    long pruned;     /* given up because they would only repeat another */
    long steps;
    double seconds;
    char why[256];
    char choices[4096]; /* of the failing execution */
} mc_result;

mc_result mc_run(const mc_model *model);

/* The main function of a model program: runs each, prints a line for each, compares the golden
 * counts. Arguments: --mutant (stop at the first violation, compare no counts), --list, NAME,
 * --replay CHOICES, --random SEED. 0; 1 a violation; 2 the wrong number of executions. */
int mc_main(int argc, char **argv, const mc_model *models, size_t n);
bool mc_report(const mc_model *model, const mc_result *result);

/* The number of the calling thread, its place in `threads`. */
int mc_self(void);

/* What the world decides: 0 .. n - 1, all of them tried. */
int mc_choose(int n);

/* True in every execution, or the execution is printed. */
#define MC_ASSERT(fact) ((fact) ? (void)0 : mc_fail("%s: not so: %s", MC_SITE, #fact))
void mc_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Plain data that must be ordered by the code under test: two accesses, one of them a write, that
 * nothing orders are a data race, whichever way round they ran. */
#define MC_READ(p)     (mc_plain((p), false, MC_SITE), *(p))
#define MC_WRITE(p, v) (mc_plain((p), true, MC_SITE), *(p) = (v))
void mc_plain(const void *p, bool write, const char *site);

/* Memory that is given out again as soon as it is freed. Each access is checked: not freed, and
 * ordered after its allocation. hk_alloc and hk_free end here too. */
void *mc_alloc(size_t bytes);
void mc_free(void *memory);

/* Sleep and wake: a token that orders what was before the wake before what is after the sleep. A
 * thread that sleeps for ever is a lost wake-up and a failure. Zeroed is a parker without token. */
typedef struct mc_parker {
    uint32_t token;
} mc_parker;

#define mc_sleep(p) mc_sleep_at((p), MC_SITE)
#define mc_wake(p)  mc_wake_at((p), MC_SITE)
void mc_sleep_at(mc_parker *p, const char *site);
void mc_wake_at(mc_parker *p, const char *site);

/* What traces call this word. */
void mc_name(const void *p, const char *name);

#endif
