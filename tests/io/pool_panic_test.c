/* SPDX-License-Identifier: MIT */
/* pool_panic_test.c - a pool that is freed under those who wait for it says so, and who did it.
 *
 * They would wait for memory that is gone, or be told that their call was dropped while they count
 * on it. What nobody waits for, posted and abandoned calls, is no reason: see pool_test.c. */
#include "io/io_support.h"
#include "last_words.h"

#include <semaphore.h>

#include "base/atomic.h"
#include "base/os.h"

/* A pool of one thread, which is held up; `call` waits for it in one way or another. It is made by
 * `how`'s process, whose it then is, and which says where it is. */
typedef struct full_pool {
    hank_pool *pool;
    hank_fn how;
    sem_t never;
    HK_ATOMIC(int) begun;
    hank_fn call;
    unsigned waiting; /* once `call` waits */
} full_pool;

static int wait_for_ever(void *arg)
{
    full_pool *f = arg;
    hk_store_release(&f->begun, 1);
    while (sem_wait(&f->never) != 0)
        continue;
    return 0;
}

static int call_borrowed(void *f)
{
    return hank_pool_call(((full_pool *)f)->pool, wait_for_ever, f);
}

static int call_that_may_be_abandoned(void *f)
{
    return hank_pool_call_with(((full_pool *)f)->pool, wait_for_ever, f, .abandon = true);
}

static int wait_as_posted(void *letter)
{
    return wait_for_ever(*(full_pool **)letter);
}

static int post_one(void *arg)
{
    full_pool *f = arg;
    return hank_pool_post(f->pool, wait_as_posted, &f, sizeof f);
}

static int post_until_the_door(void *f)
{
    int rc = post_one(f);
    return rc < 0 ? rc : post_one(f);
}

static void *call_from_a_thread(void *f)
{
    (void)call_borrowed(f);
    return NULL;
}

static int call_on_a_thread(void *f)
{
    pthread_t thread;
    return hk_os_thread_start(&thread, call_from_a_thread, f);
}

static unsigned waiting_in(hank_pool *p)
{
    hank_pool_stats stats = {0};
    (void)hank_pool_get_stats(p, &stats);
    return (unsigned)stats.queued;
}

static int free_it(void *f)
{
    hank_pool_free(((full_pool *)f)->pool);
    return 0;
}

static int free_under_it(void *arg)
{
    full_pool *f = arg;
    hank_task t = hank_spawn(f->call, f);
    YIELD_UNTIL(hk_load_acquire(&f->begun) && waiting_in(f->pool) == f->waiting);
    (void)by_culprit(free_it, f);
    return hank_await(t);
}

/* The thread is held up by nobody's call first: then `call` waits in the queue or at the door. */
static int free_behind_another(void *arg)
{
    full_pool *f = arg;
    MUST(post_one(f) == 0);
    YIELD_UNTIL(hk_load_acquire(&f->begun));
    return free_under_it(f);
}

static int make_and_free(void *arg)
{
    full_pool *f = arg;
    MUST(hank_pool_new(&(hank_pool_options){.threads = 1, .queue = 1}, &f->pool) == 0);
    (void)fprintf(stderr, "made pool %p\n", (void *)f->pool);
    return f->how(f);
}

static void freeing_must_panic(hank_fn how, hank_fn call, unsigned waiting)
{
    full_pool f = {.how = how, .call = call, .waiting = waiting};
    char words[4096], name[80];
    void *pool;
    cr_assert_eq(sem_init(&f.never, 0, 0), 0);
    read_last_words(make_and_free, &f, words, sizeof words);
    cr_assert_eq(sscanf(words, "made pool %p", &pool), 1, "%s", words);
    (void)snprintf(name, sizeof name, "hank: pool %p is freed", pool);
    cr_expect(strstr(words, name), "%s is not in: %s", name, words);
    cr_expect(strstr(words, "in task culprit"), "no culprit in: %s", words);
}

Test(pool_panic, freeing_it_under_a_call_that_runs_names_pool_and_task)
{
    freeing_must_panic(free_under_it, call_borrowed, 0);
    freeing_must_panic(free_under_it, call_that_may_be_abandoned, 0);
}

Test(pool_panic, freeing_it_under_a_call_in_its_queue_names_pool_and_task)
{
    freeing_must_panic(free_behind_another, call_borrowed, 1);
    freeing_must_panic(free_behind_another, call_that_may_be_abandoned, 1);
}

Test(pool_panic, freeing_it_under_who_posts_at_its_door_names_pool_and_task)
{
    freeing_must_panic(free_behind_another, post_until_the_door, 2);
}

Test(pool_panic, freeing_it_under_a_thread_that_waits_names_pool_and_task)
{
    freeing_must_panic(free_under_it, call_on_a_thread, 0);
}
