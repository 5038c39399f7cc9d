/* SPDX-License-Identifier: MIT */
/* options.c - limits of a simulation, and options written as text: what is understood, and that
 * what is not ends the program instead of being taken for something else. */
#include <signal.h>

#include "sim/sim.h"
#include "sim/sim_support.h"

enum { NAPS = 20 };

static int nap(void *arg)
{
    (void)arg;
    for (int i = 0; i < NAPS; i++)
        MUST(hank_sleep(HANK_MS(1)) == 0);
    return 0;
}

static int workers(void *arg)
{
    hank_stats stats;
    (void)arg;
    MUST(hank_get_stats(&stats) == 0);
    return (int)stats.workers;
}

static int disk_kib(void *arg)
{
    (void)arg;
    return (int)(hk_sim_options.disk_bytes >> 10);
}

/* `arg` points at one of the above. */
static int program(void *arg)
{
    return hank_run(*(hank_fn *)arg, NULL);
}

static int run(hank_fn fn, hank_sim_options options, hank_sim_report *ret)
{
    options.seed = options.seed ? options.seed : 1;
    return hank_sim_run(program, &fn, &options, ret);
}

static void dies(hank_sim_options options, const char *name)
{
    hank_sim_report r;
    int rc = run(nap, options, &r);
    note(rc == -ENOTRECOVERABLE && r.died_of == SIGABRT, name, "signal",
         (unsigned long long)r.died_of);
}

static void limits(void)
{
    hank_sim_report r;
    EXPECT(run(nap, (hank_sim_options){0}, &r) == 0);
    EXPECT(r.steps > NAPS && r.elapsed >= HANK_MS(NAPS));
    dies((hank_sim_options){.step_limit = NAPS}, "a program of too many steps dies");
    dies((hank_sim_options){.time_limit = HANK_MS(NAPS / 2)}, "a program that is too long dies");
    hank_sim_options enough = {.step_limit = r.steps + 1, .time_limit = r.elapsed + HANK_SEC(1)};
    EXPECT(run(nap, enough, &r) == 0);
}

static void number_of_workers(void)
{
    enum { MOST = 8, SEEDS = 100 };
    unsigned seen[MOST + 1] = {0};
    hank_sim_report r;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int n = run(workers, (hank_sim_options){.seed = seed}, &r);
        EXPECT(n >= 1 && n <= MOST);
        seen[n >= 1 && n <= MOST ? n : 0]++;
        EXPECT(run(workers, (hank_sim_options){.seed = seed, .workers = 5}, &r) == 5);
    }
    for (unsigned n = 1; n <= MOST; n++)
        note(seen[n] > 0, "a number of workers is drawn", "seeds", seen[n]);
}

static const char *const misunderstood[] = {
    "delay_min=3",    "delay_min=ms",
    "delay_min=1 ms", "delay_min=1x",
    "reset",          "reset=",
    "reset=1001",     "reset=-1",
    "workers=3k",     "workers=4294967296",
    "disk_bytes=1kB", "weather=1",
    ",reset=1",       "disk_bytes=9999999999G",
    "seed= 1",        "seed=99999999999999999999",
};

static void understood(void)
{
    hank_sim_options o = {0};
    EXPECT(hk_sim_options_parse("", &o));
    EXPECT(hk_sim_options_parse("delay_min=3us,delay_max=2ms,time_limit=2h,", &o));
    EXPECT(o.delay_min == 3000 && o.delay_max == HANK_MS(2) && o.time_limit == HANK_SEC(7200));
    EXPECT(hk_sim_options_parse("time_limit=90m,delay_max=7s,delay_min=5ns", &o));
    EXPECT(o.time_limit == HANK_SEC(5400) && o.delay_max == HANK_SEC(7) && o.delay_min == 5);
    EXPECT(hk_sim_options_parse("disk_bytes=4k,step_limit=10M,seed=2G", &o));
    EXPECT(o.disk_bytes == 4096 && o.step_limit == 10 << 20 && o.seed == UINT64_C(2) << 30);
    EXPECT(hk_sim_options_parse("workers=3,descriptors=9,disk_bytes=77", &o));
    EXPECT(o.workers == 3 && o.descriptors == 9 && o.disk_bytes == 77);
    EXPECT(hk_sim_options_parse("reset=1000,accept=1,resolve=2,loss=3,duplicate=4", &o));
    EXPECT(o.reset == 1000 && o.accept == 1 && o.resolve == 2 && o.loss == 3 && o.duplicate == 4);
}

static void text(void)
{
    hank_sim_report r;
    understood();
    for (size_t i = 0; i < sizeof misunderstood / sizeof misunderstood[0]; i++) {
        (void)setenv("HANK_SIM", misunderstood[i], 1);
        dies((hank_sim_options){0}, misunderstood[i]);
    }
    (void)setenv("HANK_SIM", "disk_bytes=2k,workers=3", 1);
    EXPECT(run(disk_kib, (hank_sim_options){0}, &r) == 2);
    EXPECT(run(workers, (hank_sim_options){0}, &r) == 3);
    EXPECT(run(disk_kib, (hank_sim_options){.disk_bytes = 7 << 10}, &r) == 7); /* goes before */
    (void)unsetenv("HANK_SIM");
}

int main(void)
{
    (void)unsetenv("HANK_SIM"); /* whoever runs this may have one */
    limits();
    number_of_workers();
    text();
    return failures != 0;
}
