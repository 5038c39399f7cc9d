/* SPDX-License-Identifier: MIT */
/* fault_test.c - whatever call of the system fails, and whichever time: a whole program with tasks,
 * sleepers, groups and copies either runs or says why not, hangs never, and leaves nothing. */
#include "api/fault_support.h"

#include <hank/pool.h>

#include <fcntl.h>

#if HK_FAULTS

static bool is_clear(int rc, int injected)
{
    (void)injected;
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

static int run(unsigned workers)
{
    return hank_run_with(live, NULL, .workers = workers);
}

static void walk(unsigned workers, hk_fault kind, int error)
{
    (void)walk_victim(&(victim){.run = run, .is_clear = is_clear, .workers = workers}, kind, error);
}

Test(fault, of_any_allocation_is_survived)
{
    walk(1, HK_FAULT_ALLOC, -ENOMEM);
    walk(2, HK_FAULT_ALLOC, -ENOMEM);
}

Test(fault, of_any_mapping_is_survived)
{
    walk(1, HK_FAULT_MAP, -ENOMEM);
    walk(2, HK_FAULT_MAP, -ENOMEM);
    walk(8, HK_FAULT_MAP, -ENOMEM);
}

Test(fault, of_any_guard_or_advice_is_survived)
{
    walk(2, HK_FAULT_ADVISE, -EINVAL);
    walk(2, HK_FAULT_PROTECT, -ENOMEM);
}

Test(fault, of_any_thread_is_survived)
{
    walk(1, HK_FAULT_THREAD, -EAGAIN);
    walk(2, HK_FAULT_THREAD, -EAGAIN);
    walk(8, HK_FAULT_THREAD, -EAGAIN);
}

Test(fault, of_any_descriptor_is_survived)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        walk(workers, HK_FAULT_EPOLL_CREATE, -EMFILE);
        walk(workers, HK_FAULT_EVENTFD, -EMFILE);
        walk(workers, HK_FAULT_EPOLL_CTL, -ENOMEM);
        walk(workers, HK_FAULT_URING_SETUP, -EMFILE);
        walk(workers, HK_FAULT_URING_REGISTER, -ENOMEM);
    }
}

Test(fault, of_any_wait_for_events_is_survived)
{
    walk(1, HK_FAULT_EPOLL_WAIT, -EINTR);
    walk(2, HK_FAULT_EPOLL_WAIT, -EINTR);
    walk(1, HK_FAULT_URING_ENTER, -EINTR);
    walk(2, HK_FAULT_URING_ENTER, -EAGAIN);
}

/* --- from a thread that is no task ----------------------------------------------------------- */

static int null_fd;

static int dump_all(void *arg)
{
    hank_dump_tree(null_fd);
    return give_back(arg);
}

static int visit_background(unsigned workers)
{
    hank_runtime *rt;
    hank_options options = {.workers = workers};
    int rc = hank_runtime_start(&options, &rt);
    if (rc < 0)
        return rc;
    hank_task asleep = hank_spawn_into(rt, sleep_forever, NULL, NULL);
    hank_task t = hank_spawn_into(rt, dump_all, number(7), &(hank_spawn_options){.name = "dumps"});
    rc = hank_await(t);
    hank_dump_tree(null_fd);
    (void)hank_detach(asleep);               /* it ends with its runtime */
    while (hank_runtime_free(rt) == -ENOMEM) /* nothing has happened then */
        rc = rc < 0 ? rc : -ENOMEM;
    return rc == 7 ? 0 : rc;
}

static int add_up(void *arg)
{
    (void)hk_add_relaxed(*(HK_ATOMIC(int) **)arg, 1);
    return 0;
}

static int use_pool(unsigned workers)
{
    hank_pool *p;
    HK_ATOMIC(int) sum = 0, *where = &sum;
    int posted = 0;
    int rc = hank_pool_new(&(hank_pool_options){.threads = workers}, &p);
    if (rc < 0)
        return rc;
    rc = hank_pool_call(p, give_back, number(7));
    for (int i = 0; i < 5; i++)
        posted += hank_pool_post(p, add_up, &where, sizeof where) == 0;
    hank_pool_free(p);
    if (hk_load_relaxed(&sum) != posted)
        return -EPROTO;
    return rc < 0 ? rc : rc != 7 ? -EPROTO : posted == 5 ? 0 : -ENOMEM;
}

static int use_pool_in_tasks(void *arg)
{
    unsigned workers = (unsigned)(uintptr_t)arg;
    return use_pool(workers);
}

static int use_pool_inside(unsigned workers)
{
    return hank_run_with(use_pool_in_tasks, number((intptr_t)workers), .workers = workers);
}

static void walk_memory(int (*run_it)(unsigned workers), hk_fault kind, int error)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        victim v = {.run = run_it, .is_clear = is_clear, .workers = workers};
        cr_assert(walk_victim(&v, kind, error) > 0);
    }
}

Test(fault, of_memory_in_the_background_is_survived)
{
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    walk_memory(visit_background, HK_FAULT_ALLOC, -ENOMEM);
    walk_memory(visit_background, HK_FAULT_MAP, -ENOMEM);
    walk_memory(visit_background, HK_FAULT_THREAD, -EAGAIN);
}

Test(fault, of_memory_and_threads_of_a_pool_is_survived)
{
    walk_memory(use_pool, HK_FAULT_ALLOC, -ENOMEM);
    walk_memory(use_pool, HK_FAULT_THREAD, -EAGAIN);
    walk_memory(use_pool_inside, HK_FAULT_ALLOC, -ENOMEM);
    walk_memory(use_pool_inside, HK_FAULT_MAP, -ENOMEM);
    walk_memory(use_pool_inside, HK_FAULT_THREAD, -EAGAIN);
}

#endif
