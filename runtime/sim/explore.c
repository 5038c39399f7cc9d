/* SPDX-License-Identifier: MIT */
/* explore.c - where a simulation begins: at the start of the process, for one seed or for many, or
 * in a child for each run that a test asks for. And what is said when it ends badly. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "sim/sim.h"

enum { SECONDS_MAX = 150 }; /* that one run may take, of real time, before it is taken to hang */

/* Somebody else tells how this process ends, or has told. */
static bool is_told;

/* --- words --------------------------------------------------------------------------------- */

static void say_how_to_replay(uint64_t seed)
{
    static char command[HK_SIM_TEXT_MAX / 2];
    const char *options = getenv("HANK_SIM");
    (void)hk_sim_host_command(command, sizeof command); /* as much as fits */
    hk_sim_host_say("hank_sim: replay it with: HANK_SEED=%llu%s%s%s %s\n", (unsigned long long)seed,
                    options ? " HANK_SIM='" : "", options ? options : "", options ? "'" : "",
                    command);
}

static void say_end(void)
{
    if (is_told)
        return;
    hk_sim_host_say("hank_sim: seed %llu failed\n", (unsigned long long)hk_sim_options.seed);
    say_how_to_replay(hk_sim_options.seed);
}

static void say_failure(const hank_sim_report *r)
{
    hk_sim_host_say("hank_sim: seed %llu failed: ", (unsigned long long)r->seed);
    if (r->died_of)
        hk_sim_host_say("killed by signal %d\n", r->died_of);
    else
        hk_sim_host_say("result %d\n", r->result);
    say_how_to_replay(r->seed);
}

/* --- one run in a child --------------------------------------------------------------------- */

static void begin(const hank_sim_options *options, uint64_t seed)
{
    hk_sim_options_set(options);
    hk_sim_options.seed = seed;
    hk_sim_options_draw();
    hk_sim_schedule_reset(hk_sim_self());
    hk_sim_trace_reset();
}

HK_NORETURN static void be_child(hank_fn fn, void *arg, hank_sim_report *r)
{
    int64_t start = hk_sim_now();
    int result = fn(arg);
    r->hash = hk_sim_hash();
    r->steps = hk_sim_steps();
    r->elapsed = hk_sim_now() - start;
    r->result = result;
    hk_sim_host_exit(result == 0 ? 0 : 1);
}

/* How the child with that status has ended, beyond what it has written itself. */
static void judge(int status, hank_sim_report *r)
{
    bool reported = r->hash != 0;
    if (status != -1 && WIFEXITED(status) && reported && WEXITSTATUS(status) == (r->result != 0))
        return;
    r->result = -ENOTRECOVERABLE;
    r->hash = 0;
    r->died_of = status == -1 ? SIGKILL : WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int run_seed(hank_fn fn, void *arg, const hank_sim_options *options, hank_sim_report *ret)
{
    hank_sim_report *shared = hk_sim_host_shared(sizeof *shared);
    if (!shared)
        return -EAGAIN;
    int pid = hk_sim_host_fork();
    if (pid == 0) {
        is_told = true; /* by the parent */
        begin(options, ret->seed);
        be_child(fn, arg, shared);
    }
    int status = pid < 0 ? 0 : hk_sim_host_wait(pid, SECONDS_MAX);
    uint64_t seed = ret->seed;
    *ret = *shared;
    ret->seed = seed;
    hk_sim_host_unshare(shared, sizeof *shared);
    if (pid < 0)
        return -EAGAIN;
    judge(status, ret);
    return ret->result;
}

/* The first seed: the caller's, the environment's, or one drawn. */
static uint64_t first_seed(const hank_sim_options *options)
{
    if (options && options->seed)
        return options->seed;
    return hk_sim_seed_of_environment();
}

int hank_sim_run(hank_fn fn, void *arg, const hank_sim_options *options, hank_sim_report *ret)
{
    hank_sim_report report = {.seed = first_seed(options)};
    if (!fn)
        return -EINVAL;
    int rc = run_seed(fn, arg, options, &report);
    if (ret)
        *ret = report;
    return rc;
}

/* --- many ---------------------------------------------------------------------------------- */

int hank_sim_explore(hank_fn fn, void *arg, const hank_sim_options *options, size_t n,
                     hank_sim_report *ret)
{
    hank_sim_report report = {0};
    const char *given = getenv("HANK_SEED");
    int rc = 0;
    if (!fn)
        return -EINVAL;
    uint64_t first = first_seed(options);
    if (given && *given) {
        first = hk_sim_seed_of_environment();
        n = 1;
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        report = (hank_sim_report){.seed = first + i};
        rc = run_seed(fn, arg, options, &report);
    }
    if (rc != 0)
        say_failure(&report);
    if (ret)
        *ret = report;
    return rc;
}

/* --- the process --------------------------------------------------------------------------- */

/* 500, which begins with 1, or 1000-1499. */
static bool seeds_parse(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    *ret_first = 1;
    if (!hk_sim_number(text, &text, ret_last))
        return false;
    if (*text == '-') {
        *ret_first = *ret_last;
        if (!hk_sim_number(text + 1, &text, ret_last))
            return false;
    }
    return *text == '\0' && *ret_first <= *ret_last;
}

/* This whole program once for each of the seeds, each time from its beginning. The children return
 * from here and go on to main. */
static void explore_program(const char *text)
{
    uint64_t first, last;
    is_told = true;
    if (!seeds_parse(text, &first, &last))
        hk_panic("HANK_SEEDS is not understood: %s", text);
    for (uint64_t seed = first; seed <= last; seed++) {
        int pid = hk_sim_host_fork();
        if (pid == 0) {
            begin(NULL, seed);
            return;
        }
        int status = pid < 0 ? -1 : hk_sim_host_wait(pid, SECONDS_MAX);
        if (status == 0)
            continue;
        hank_sim_report r = {.seed = seed,
                             .died_of = status == -1          ? SIGKILL
                                        : WIFSIGNALED(status) ? WTERMSIG(status)
                                                              : 0};
        r.result = r.died_of ? -ENOTRECOVERABLE : WEXITSTATUS(status);
        say_failure(&r);
        hk_sim_host_exit_all(1);
    }
    hk_sim_host_say("hank_sim: %llu seeds passed\n", (unsigned long long)(last - first + 1));
    hk_sim_host_exit_all(0);
}

__attribute__((constructor)) void hk_sim_boot(void)
{
    if (hk_sim_self())
        return;
    hk_sim_host_own_thread();
    hk_sim_threads_init();
    begin(NULL, hk_sim_seed_of_environment());
    hk_sim_host_watch_ends(say_end);
    const char *seeds = getenv("HANK_SEEDS");
    if (seeds && *seeds)
        explore_program(seeds);
}

/* --- for tests ----------------------------------------------------------------------------- */

uint32_t hank_sim_choose(uint32_t n)
{
    return hk_sim_below(n);
}

void hank_sim_point(void)
{
    hk_sim_call();
}

void hank_sim_note(const char *text, int64_t value)
{
    hk_sim_note(text, value, 0);
}
