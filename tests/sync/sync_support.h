/* SPDX-License-Identifier: MIT */
/* sync_support.h - what tests of things to wait for share: a look at who waits, threads, and the
 * last words of a program that had to die.
 *
 * A look at the queue takes the object's own lock, so that nobody is counted before he can be
 * served: that is how a test knows, without letting time pass, that somebody waits. */
#ifndef HK_TESTS_SYNC_SUPPORT_H
#define HK_TESTS_SYNC_SUPPORT_H

#include "api/support.h"

#include <string.h>
#include <sys/wait.h>

#include "base/os.h"
#include "sync/chan.h"

/* One behaviour, a test and the task that shows it: BEHAVIOUR(lock, is_free_when_zeroed) { ...
 * return 0; } */
#define BEHAVIOUR(suite, sentence)                                                                 \
    static int sentence(void *arg);                                                                \
    Test(suite, sentence)                                                                          \
    {                                                                                              \
        with_each_size(sentence, NULL);                                                            \
    }                                                                                              \
    static int sentence(__attribute__((unused)) void *arg)

/* How many wait in `q`, which is guarded by the lock of `guard`. */
static inline int count_waiting(hk_waitq *guard, hk_waitq *q)
{
    int n = 0;
    hk_waitq_lock(guard);
    if (q->waiters.next)
        for (hk_node *node = q->waiters.next; node != &q->waiters; node = node->next)
            n++;
    hk_waitq_unlock(guard);
    return n;
}

/* For the mutex, the condition and the event, whose queue comes first. */
static inline int waiting_at(void *object)
{
    return count_waiting(object, object);
}

static inline int waiting_at_sem(hank_sem *s)
{
    hk_waitq *q = (hk_waitq *)(void *)s->opaque_;
    return count_waiting(q, q);
}

static inline int waiting_to_recv(hank_chan *c)
{
    return count_waiting((hk_waitq *)(void *)c, (hk_waitq *)(void *)c);
}

static inline int waiting_to_send(hank_chan *c)
{
    return count_waiting((hk_waitq *)(void *)c, (hk_waitq *)(void *)c + 1);
}

static inline int waiting_to_join(hank_chan *c)
{
    return count_waiting(&c->receivers, &c->joiners);
}

static inline int waiting_at_limiter(hank_limiter *l)
{
    hk_waitq *q = (hk_waitq *)(void *)l->opaque_;
    return count_waiting(q, q);
}

/* In the order in which they got what they waited for; written under what the test is about. */
typedef struct turn_order {
    int of[16];
    int n;
} turn_order;

static inline void note_turn(turn_order *o, int number)
{
    o->of[o->n++] = number;
}

static inline bool is_order(const turn_order *o, const int *expected, int n)
{
    bool same = o->n == n;
    for (int i = 0; same && i < n; i++)
        same = o->of[i] == expected[i];
    return same;
}

#define IS_ORDER(o, ...)                                                                           \
    is_order((o), (const int[]){__VA_ARGS__}, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)))

/* --- threads ------------------------------------------------------------------------------- */

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    int rc = hk_os_thread_start(&thread, body, arg);
    if (rc < 0)
        (void)hk_os_write(2, "no thread\n", 10);
    cr_expect_eq(rc, 0);
    return thread;
}

static inline void join_thread(pthread_t thread)
{
    cr_expect_eq(hk_os_thread_join(thread), 0);
}

/* --- last words ------------------------------------------------------------------------------ */

/* Run fn(arg) in a process of its own, which must die of a panic; what it wrote to stderr. */
static inline void last_words(hank_fn fn, void *arg, char *ret_words, size_t size)
{
    int fds[2], status = 0;
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        (void)dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        (void)hank_run_with(fn, arg, .workers = 2);
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    ssize_t got;
    while (n < size - 1 && (got = read(fds[0], ret_words + n, size - 1 - n)) > 0)
        n += (size_t)got;
    ret_words[n] = '\0';
    close(fds[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "it lived: %x", (unsigned)status);
}

/* Its last words must name the object and the task called "culprit". */
static inline void must_panic(hank_fn fn, void *object)
{
    char words[4096], name[40];
    snprintf(name, sizeof name, "%p", object);
    last_words(fn, object, words, sizeof words);
    cr_expect(strstr(words, name) != NULL, "%s is not in: %s", name, words);
    cr_expect(strstr(words, "in task culprit") != NULL, "no culprit in: %s", words);
}

#endif
