/* SPDX-License-Identifier: MIT */
/* waiting_program.c - tasks that wait, for a debugger to look at (gdb_test.sh). */
#include <hank.h>

#include "base/atomic.h"

void stop_here(void);

static HK_ATOMIC(int) started;

__attribute__((noinline)) void stop_here(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static int wait_inside(void)
{
    int rc = hank_sleep(HANK_FOREVER);
    __asm__ volatile("" ::: "memory"); /* not a jump, here and below */
    return rc;
}

static int sleeper(void *arg)
{
    (void)arg;
    (void)hk_add_acqrel(&started, 1);
    int rc = wait_inside();
    __asm__ volatile("" ::: "memory");
    return rc;
}

static int locker(void *mutex)
{
    (void)hk_add_acqrel(&started, 1);
    hank_mutex_lock(mutex);
    hank_mutex_unlock(mutex);
    return 0;
}

static int app(void *arg)
{
    hank_mutex m = {0};
    (void)arg;
    hank_mutex_lock(&m);
    hank_task tasks[2] = {hank_spawn_with(sleeper, NULL, .name = "dormouse"),
                          hank_spawn(locker, &m)};
    while (hk_load_acquire(&started) < 2)
        (void)hank_yield();
    (void)hank_sleep(HANK_MS(1)); /* one worker: both wait by now */
    stop_here();
    hank_mutex_unlock(&m);
    (void)hank_cancel(tasks[0]);
    return hank_gather_n(tasks, 2, NULL) == -ECANCELED ? 0 : 1;
}

int main(void)
{
    return hank_run_with(app, NULL, .workers = 1);
}
