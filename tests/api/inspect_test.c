/* SPDX-License-Identifier: MIT */
/* inspect_test.c - statistics and dumps of a running program, and how quiet an idle one is. The
 * on_error hook is with detaching, in cancel_test.c. */
#include "api/thread_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int count_tasks(void *arg)
{
    (void)arg;
    enum { N = 50 };
    hank_stats before, during, after;
    hank_task tasks[N];
    flag started = 0;
    CHECK(hank_get_stats(&before) == 0);
    for (int i = 0; i < N; i++)
        tasks[i] = hank_spawn(start_and_wait, &started);
    YIELD_UNTIL(hk_load_acquire(&started) == N);
    CHECK(hank_get_stats(&during) == 0);
    CHECK(during.tasks_live == before.tasks_live + N);
    CHECK(during.tasks_spawned == before.tasks_spawned + N);
    CHECK(during.stacks_live >= before.stacks_live + N - 10);
    CHECK(during.switches >= before.switches + N / 2);
    for (int i = 0; i < N; i++)
        CHECK(hank_cancel(tasks[i]) == 0);
    CHECK(hank_gather_n(tasks, N, NULL) == -ECANCELED);
    CHECK(hank_get_stats(&after) == 0);
    CHECK(after.tasks_live == before.tasks_live);
    CHECK(after.tasks_spawned == during.tasks_spawned);
    CHECK(after.stacks_live < during.stacks_live);
    return 0;
}

Test(stats, count_tasks_and_stacks_that_live_and_come_back_to_where_they_were)
{
    with_each_size(count_tasks, NULL);
}

static int count_sleeps(void *arg)
{
    (void)arg;
    hank_stats before, after;
    CHECK(hank_get_stats(&before) == 0);
    for (int i = 0; i < 5; i++)
        CHECK(hank_sleep(HANK_MS(2)) == 0);
    CHECK(hank_get_stats(&after) == 0);
    CHECK(after.polls > before.polls);
    CHECK(after.parks > before.parks);
    CHECK(after.parks >= after.wakes);
    return 0;
}

Test(stats, count_how_often_workers_slept_and_asked_the_kernel)
{
    with_each_size(count_sleeps, NULL);
}

static int sleep_and_say(void *arg)
{
    set(arg);
    return hank_sleep(HANK_FOREVER);
}

static int ask_for_our_own(void *arg)
{
    hank_stats ours, its;
    CHECK(hank_get_stats(&ours) == 0);
    CHECK(hank_runtime_get_stats(hank_runtime_current(), &its) == 0);
    CHECK(its.workers == ours.workers && its.tasks_live == ours.tasks_live);
    CHECK(hank_runtime_get_stats(arg, &its) == 0 && its.workers == 3); /* another's */
    return 0;
}

Test(stats, of_a_runtime_are_for_everybody_until_it_has_ended)
{
    hank_runtime *rt;
    hank_stats before, after = {.workers = 77};
    flag started = 0;
    cr_assert_eq(hank_runtime_start(&(hank_options){.workers = 3}, &rt), 0);
    cr_assert_eq(hank_runtime_get_stats(rt, &before), 0);
    cr_expect_eq(before.workers, 3);
    hank_task t = hank_spawn_into(rt, sleep_and_say, &started, NULL);
    while (!is_set(&started))
        (void)hank_yield();
    cr_assert_eq(hank_runtime_get_stats(rt, &after), 0);
    cr_expect_gt(after.tasks_spawned, before.tasks_spawned);
    cr_expect_geq(after.tasks_live, 1);
    cr_expect_eq(hank_run_with(ask_for_our_own, rt, .workers = 1), 0);
    cr_assert_eq(hank_cancel(t), 0);
    cr_expect_eq(hank_await(t), -ECANCELED);
    cr_assert_eq(hank_runtime_stop(rt), 0);
    cr_assert_eq(hank_runtime_wait(rt), 0);
    after.workers = 77;
    cr_expect_eq(hank_runtime_get_stats(rt, &after), -ESHUTDOWN);
    cr_expect_eq(after.workers, 77);
    cr_expect_eq(hank_runtime_get_stats(NULL, &after), -EINVAL);
    cr_expect_eq(hank_runtime_get_stats(rt, NULL), -EINVAL);
    cr_expect_eq(hank_runtime_free(rt), 0);
}

Test(stats, without_a_runtime_are_for_tasks)
{
    hank_stats stats = {.workers = 77};
    cr_expect_eq(hank_get_stats(&stats), -EPERM);
    cr_expect_eq(stats.workers, 77);
}

static char text[1 << 16];

static void dump_into_text(void)
{
    char path[] = "/tmp/hank-dump-XXXXXX";
    int fd = mkstemp(path);
    (void)unlink(path);
    hank_dump(fd);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)close(fd);
}

/* Is there a line that begins with `name` and has `state` in it? */
static bool has_line(const char *name, const char *state)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *end = strchr(line, '\n'), *found = strstr(line, state);
        if (strncmp(line, name, strlen(name)) == 0 && found && (!end || found < end))
            return true;
        if (!end)
            break;
    }
    return false;
}

static int dump_the_tasks(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task sleeping = hank_spawn_with(start_and_wait, &started, .name = "dormouse");
    hank_task nameless = hank_spawn(start_and_wait, &started);
    YIELD_UNTIL(hk_load_acquire(&started) == 2);
    for (bool seen = false; !seen;) { /* it may not be quite asleep */
        (void)hank_yield();
        dump_into_text();
        seen = has_line("dormouse", "waiting") && has_line("dormouse", "for sleep");
    }
    CHECK(has_line("main", "") && has_line("fn@0x", ""));
    CHECK(!strstr(text, "(cancelled)"));
    CHECK(hank_cancel(sleeping) == 0);
    CHECK(hank_cancel(nameless) == 0);
    CHECK(hank_gather(sleeping, nameless) == -ECANCELED);
    dump_into_text();
    CHECK(!strstr(text, "dormouse"));
    hank_dump(-1); /* what cannot be written is dropped */
    return 0;
}

Test(dump, names_every_task_says_what_it_waits_for_and_forgets_those_that_ended)
{
    with_each_size(dump_the_tasks, NULL);
    dump_into_text();
    cr_expect_str_empty(text, "no program runs");
}

static int64_t cpu_time(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * HANK_SEC(1) +
           (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * HANK_US(1);
}

/* How often the threads of this process, but for the calling one, have gone to sleep so far. */
static long sleeps_of_others(void)
{
    long sleeps = 0;
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *d; threads && (d = readdir(threads)) != NULL;) {
        char path[300], line[128];
        if (d->d_name[0] == '.' || strtol(d->d_name, NULL, 10) == gettid())
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", d->d_name);
        FILE *status = fopen(path, "r");
        while (status && fgets(line, sizeof line, status))
            if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                sleeps += strtol(line + 24, NULL, 10);
        if (status)
            (void)fclose(status);
    }
    if (threads)
        (void)closedir(threads);
    return sleeps;
}

static int stay_for_ever(void *arg)
{
    hank_group g = {0};
    for (int i = 0; i < 100; i++)
        CHECK(hank_group_spawn(&g, start_and_wait, arg) == 0);
    return hank_group_wait(&g);
}

/* Whether nothing of `rt` ran for a second. Whoever sleeps and is not woken, by a timer, by the
 * kernel or by another thread, does not go to sleep once more; whoever never slept used the CPU. */
static bool is_idle(hank_runtime *rt)
{
    hank_stats before, after;
    int64_t used = cpu_time();
    long sleeps = sleeps_of_others();
    cr_assert_eq(hank_runtime_get_stats(rt, &before), 0);
    (void)hank_sleep(HANK_SEC(1)); /* nobody stops a thread */
    cr_assert_eq(hank_runtime_get_stats(rt, &after), 0);
    return sleeps_of_others() == sleeps && after.polls == before.polls &&
           after.parks == before.parks && after.wakes == before.wakes &&
           cpu_time() - used < HANK_MS(10); /* most of it our own, for the reading */
}

/* On a busy machine it may take a while until all have fallen asleep. */
static void does_nothing_for_a_second(hank_runtime *rt)
{
    flag waiting = 0;
    bool idle = false;
    hank_task t = into(rt, stay_for_ever, &waiting);
    THREAD_UNTIL(hk_load_acquire(&waiting) == 100);
    for (int seconds = 0; seconds < 15 && !idle; seconds++)
        idle = is_idle(rt);
    cr_expect(idle, "something ran in each second");
    cr_expect_eq(hank_cancel(t), 0);
    cr_expect_eq(hank_await(t), -ECANCELED);
}

/* ThreadSanitizer has a thread of its own, which looks around ten times a second. */
Test(idle, program_runs_nothing_for_a_second, .disabled = HK_TSAN)
{
    beside_each_size(does_nothing_for_a_second);
}
