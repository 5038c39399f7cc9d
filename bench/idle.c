/* SPDX-License-Identifier: MIT */
/* idle.c - how much CPU does a runtime use that has nothing to do?
 *
 * A hundred tasks wait for an event and a hundred more for an hour to pass, while the root sleeps
 * n milliseconds. The figure is CPU microseconds of the whole process in that time: fewer than
 * ten thousand is no clock tick, and a runtime that is really asleep needs well under a hundred. */
#include "bench.h"

#include <hank.h>

enum { WAITING = 100 };

static int wait_for_event(void *arg)
{
    return hank_event_wait(arg);
}

static int wait_for_hour(void *arg)
{
    (void)arg;
    int rc = hank_sleep(HANK_SEC(3600));
    return rc == -ECANCELED ? 0 : rc;
}

static double idle(long n)
{
    hank_event never = {0};
    hank_group patient = {0};
    for (int i = 0; i < WAITING; i++) {
        (void)hank_group_spawn(&patient, wait_for_event, &never); /* the wait below reports it */
        (void)hank_group_spawn(&patient, wait_for_hour, NULL);
    }
    hank_sleep(HANK_MS(100)); /* let them all start and the workers fall asleep */

    int64_t before = bench_cpu();
    int rc = hank_sleep(HANK_MS((double)n));
    int64_t used = bench_cpu() - before;

    hank_group_cancel(&patient);
    (void)hank_group_wait(&patient); /* -ECANCELED: we asked for it */
    return rc < 0 ? rc : (double)used / 1e3;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "idle", .unit = "us", .n = 2000, .round = idle};
    return bench_main(argc, argv, &bench);
}
