/* SPDX-License-Identifier: MIT */
/* sim_support.h - what the simulator's tests share: programs that must pass from every seed, and
 * programs in which a bug must be found, and found again.
 *
 * Plain mains: a run is a process of its own, which is more than Criterion could add. */
#ifndef HK_TESTS_SIM_SIM_SUPPORT_H
#define HK_TESTS_SIM_SIM_SUPPORT_H

#include <hank.h>
#include <hank/sim.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static inline void note(bool ok, const char *name, const char *what, unsigned long long n)
{
    failures += !ok;
    printf("%s: %s (%s %llu)\n", ok ? "ok" : "FAILED", name, what, n);
    (void)fflush(stdout);
}

#define EXPECT(condition)                                                                          \
    ((condition) ? (void)0 : note(false, #condition, __FILE__ ", line", __LINE__))

/* In a task or a program: what is not so is its result. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            return -EPROTO;                                                                        \
        }                                                                                          \
    } while (0)

/* With each of n seeds the program returns 0. */
static inline void passes(const char *name, hank_fn program, void *arg,
                          const hank_sim_options *options, size_t n)
{
    hank_sim_report r;
    int rc = hank_sim_explore(program, arg, options, n, &r);
    note(rc == 0, name, "seeds", rc == 0 ? n : r.seed);
}

/* One of at most n seeds shows the bug, and that seed shows it again in the same way. */
static inline void is_found(const char *name, hank_fn program, void *arg,
                            const hank_sim_options *options, size_t n)
{
    hank_sim_report first, again;
    int rc = hank_sim_explore(program, arg, options, n, &first);
    if (rc == 0) {
        note(false, name, "not found in seeds", n);
        return;
    }
    hank_sim_options same = options ? *options : (hank_sim_options){0};
    same.seed = first.seed;
    bool replayed = hank_sim_run(program, arg, &same, &again) == rc && again.hash == first.hash &&
                    again.died_of == first.died_of;
    note(replayed, name, "found and replayed with seed", first.seed);
}

#endif
