/* SPDX-License-Identifier: MIT */
/* fault_test.c - whatever call of the system fails, and whichever time: a whole program with tasks,
 * sleepers, groups and copies either runs or says why not, hangs never, and leaves nothing.
 *
 * Each run is a process of its own, since what was mapped once is kept; its alarm is the judge of
 * a hang. The parent counts what the child tells it by its exit. */
#include "base/fault.h"

#include "api/support.h"

#include <sys/wait.h>

#if HK_FAULTS

enum { WELL_AND_HIT = 10, WELL_AND_OVER = 11, REFUSED = 12, LEFT_SOMETHING = 13, ODD_RESULT = 14 };

static bool is_clear(int rc)
{
    return rc == -ENOMEM || rc == -EAGAIN || rc == -EMFILE || rc == -ECANCELED;
}

static int nap_and_spawn(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    int rc = hank_sleep(HANK_US(20));
    if (rc < 0 || depth == 0)
        return rc;
    return hank_gather(hank_spawn(nap_and_spawn, number(depth - 1)), hank_spawn(give_back, NULL));
}

static int read_the_copy(void *arg)
{
    (void)hank_yield();
    return ((char *)arg)[0] == 'c' ? 0 : -EPROTO;
}

static int live(void *arg)
{
    char bytes[300] = "copied";
    hank_group g = {0};
    hank_task tasks[] = {hank_spawn(nap_and_spawn, number(3)),
                         hank_spawn_with(read_the_copy, bytes, .copy = sizeof bytes),
                         hank_spawn_with(nap_and_spawn, number(1), .stack_size = 256 << 10)};
    int rc = hank_gather_n(tasks, 3, NULL);
    for (int i = 0; i < 300; i++) /* more than a deque is made for */
        (void)hank_group_spawn(&g, i % 50 ? give_back : nap_and_spawn, NULL);
    (void)hank_group_spawn_copy(&g, read_the_copy, bytes, sizeof bytes);
    int its = hank_group_wait(&g);
    (void)hank_detach(hank_spawn(yield_once, arg));
    return rc < 0 ? rc : its;
}

/* In a process of its own. */
static int run_one(unsigned workers, hk_fault kind, uint64_t nth, int error)
{
    (void)alarm(10);
    int fds = open_fds();
    hk_fault_plan(kind, nth, error);
    int rc = hank_run_with(live, NULL, .workers = workers);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    if (rc < 0 && !is_clear(rc))
        return ODD_RESULT;
    if (stacks_in_use() != 0)
        return LEFT_SOMETHING;
    int after = open_fds();
    if (after > fds + 1) /* the handle of the process itself, kept */
        return LEFT_SOMETHING;
    if (hank_run_with(live, NULL, .workers = workers) != 0) /* and it runs again */
        return ODD_RESULT;
    if (open_fds() > fds + 1 || stacks_in_use() != 0)
        return LEFT_SOMETHING;
    return rc < 0 ? REFUSED : hit ? WELL_AND_HIT : WELL_AND_OVER;
}

static int run_apart(unsigned workers, hk_fault kind, uint64_t nth, int error)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(run_one(workers, kind, nth, error));
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Every occurrence one by one, up to `most`; with one worker it ends when nothing is left to hit.
 */
static void walk(unsigned workers, hk_fault kind, int error, uint64_t most)
{
    for (uint64_t nth = 1; nth <= most; nth++) {
        int verdict = run_apart(workers, kind, nth, error);
        cr_assert(verdict == WELL_AND_HIT || verdict == WELL_AND_OVER || verdict == REFUSED,
                  "kind %d, call %lu, %u workers: %d", (int)kind, (unsigned long)nth, workers,
                  verdict);
        if (verdict == WELL_AND_OVER)
            return;
    }
}

Test(fault, of_any_allocation_is_survived)
{
    walk(1, HK_FAULT_ALLOC, -ENOMEM, 60);
    walk(2, HK_FAULT_ALLOC, -ENOMEM, 60);
}

Test(fault, of_any_mapping_is_survived)
{
    walk(1, HK_FAULT_MAP, -ENOMEM, 40);
    walk(2, HK_FAULT_MAP, -ENOMEM, 40);
    walk(8, HK_FAULT_MAP, -ENOMEM, 40);
}

Test(fault, of_any_guard_or_advice_is_survived)
{
    walk(2, HK_FAULT_ADVISE, -EINVAL, 30);
    walk(2, HK_FAULT_PROTECT, -ENOMEM, 30);
}

Test(fault, of_any_thread_is_survived)
{
    walk(1, HK_FAULT_THREAD, -EAGAIN, 10);
    walk(2, HK_FAULT_THREAD, -EAGAIN, 10);
    walk(8, HK_FAULT_THREAD, -EAGAIN, 20);
}

Test(fault, of_any_descriptor_is_survived)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        walk(workers, HK_FAULT_EPOLL_CREATE, -EMFILE, 10);
        walk(workers, HK_FAULT_EVENTFD, -EMFILE, 10);
        walk(workers, HK_FAULT_EPOLL_CTL, -ENOMEM, 10);
        walk(workers, HK_FAULT_URING_SETUP, -EMFILE, 10);
        walk(workers, HK_FAULT_URING_REGISTER, -ENOMEM, 10);
    }
}

Test(fault, of_any_wait_for_events_is_survived)
{
    walk(1, HK_FAULT_EPOLL_WAIT, -EINTR, 15);
    walk(2, HK_FAULT_EPOLL_WAIT, -EINTR, 15);
    walk(1, HK_FAULT_URING_ENTER, -EINTR, 15);
    walk(2, HK_FAULT_URING_ENTER, -EAGAIN, 15);
}

#endif
