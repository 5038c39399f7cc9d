/* SPDX-License-Identifier: MIT */
/* reactor_stress.c - the reactor's races, by real threads; a plain main, for ThreadSanitizer.
 *
 *     reactor_stress [rounds [seed]]
 *
 * Timers: users add timers that lie in their own frames to other threads' heaps and take them back
 * while those expire. Each ends exactly once, and its frame is overwritten at once, so a late touch
 * breaks a heap. Readiness: readers wait, give up, close and open again, while an owner waits and a
 * helper looks; every byte arrives. Interrupts: whoever posts work and interrupts sees it taken.
 * What is lost shows as a wait that does not end, and is reported after PATIENCE. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/os.h"
#include "reactor/reactor.h"

enum { USERS = 3, HEAPS = 2, READERS = 2, POSTERS = 2, AHEAD_MAX = 64 };
#define PATIENCE (INT64_C(60) * 1000 * 1000 * 1000)

static uint64_t rounds = 20000, seed;
static HK_ATOMIC(bool) is_over;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One turn of waiting for another thread; what has been lost ends here. */
static void patiently(int64_t since, const char *what)
{
    hk_os_yield();
    if (hk_os_now() - since > PATIENCE)
        hk_panic("lost: %s (seed %llu)", what, (unsigned long long)seed);
}

static void await_claim(hk_ticket t, const char *what)
{
    int64_t since = hk_os_now();
    while (hk_word_state(hk_load_seqcst(&t.sleeper->word)) != HK_AWAKE)
        patiently(since, what);
}

static void start_all(pthread_t *threads, int n, void *(*body)(void *), void *args, size_t size)
{
    for (int i = 0; i < n; i++)
        HK_CHECK(hk_os_thread_start(&threads[i], body,
                                    args ? (char *)args + (size_t)i * size : NULL) == 0);
}

static void join_all(pthread_t *threads, int n)
{
    for (int i = 0; i < n; i++)
        HK_CHECK(hk_os_thread_join(threads[i]) == 0);
}

/* --- timers -------------------------------------------------------------------------------- */

static hk_timers heaps[HEAPS];
static HK_ATOMIC(uint64_t) added, removed, expired;

struct user {
    uint64_t random;
    hk_sleeper sleeper;
};

static void *expire_all(void *unused)
{
    (void)unused;
    hk_ready ready[16];
    while (!hk_load_acquire(&is_over)) { /* [stress:over] */
        for (int h = 0; h < HEAPS; h++) {
            int n = 0;
            hk_timers_expire(&heaps[h], hk_os_now(), ready, &n, 16);
            hk_add_relaxed(&expired, (uint64_t)n);
            for (int i = 0; i < n; i++)
                (void)hk_ticket_claim(ready[i].ticket, ready[i].result);
        }
        hk_os_yield();
    }
    return NULL;
}

static void use_one_timer(struct user *u)
{
    hk_timer timer = {0};
    uint64_t dice = next_random(&u->random);
    hk_timers *h = &heaps[dice % HEAPS];
    hk_ticket t = hk_sleeper_begin(&u->sleeper, HK_WAITING);
    (void)hk_timers_add(h, &timer, hk_os_now() + (int64_t)(dice >> 8 & 0x3fff), t);
    hk_add_relaxed(&added, (uint64_t)1);
    bool is_patient = dice >> 32 & 1;
    if (is_patient) {
        await_claim(t, "a timer");
        HK_CHECK(hk_sleeper_result(&u->sleeper) == -ETIMEDOUT);
    }
    bool was_armed = hk_timers_remove(&timer);
    HK_CHECK(!is_patient || !was_armed);
    if (was_armed)
        hk_add_relaxed(&removed, (uint64_t)1);
    memset(&timer, 0xa5, sizeof timer); /* the frame is gone */
    __asm__ volatile("" ::"r"(&timer) : "memory");
    if (!is_patient)
        (void)hk_ticket_claim(t, 0);
}

static void *use_timers(void *arg)
{
    struct user *u = arg;
    for (uint64_t i = 0; i < rounds; i++)
        use_one_timer(u);
    return NULL;
}

static void stress_timers(void)
{
    static struct user users[USERS];
    pthread_t threads[USERS], expirers[2];
    for (int i = 0; i < HEAPS; i++)
        hk_timers_init(&heaps[i]);
    for (int i = 0; i < USERS; i++)
        users[i].random = seed + (uint64_t)i + 1;
    hk_store_release(&is_over, false);
    start_all(expirers, 2, expire_all, NULL, 0);
    start_all(threads, USERS, use_timers, users, sizeof *users);
    join_all(threads, USERS);
    hk_store_release(&is_over, true); /* [stress:over] */
    join_all(expirers, 2);
    for (int i = 0; i < HEAPS; i++) {
        hk_timers_check(&heaps[i]);
        HK_CHECK(heaps[i].root == NULL);
    }
    uint64_t a = hk_load_relaxed(&added), r = hk_load_relaxed(&removed),
             e = hk_load_relaxed(&expired);
    HK_CHECK(a == r + e);
    printf("timers: %llu added = %llu removed + %llu expired\n", (unsigned long long)a,
           (unsigned long long)r, (unsigned long long)e);
}

/* --- readiness and interrupts -------------------------------------------------------------- */

static hk_reactor reactor;

/* written, read  by the writer and the reader;  posted, seen  by the poster and the owner */
struct reader {
    uint64_t random;
    int fd, peer;
    hk_sleeper sleeper;
    HK_ATOMIC(uint64_t) written, read;
};

struct poster {
    HK_ATOMIC(uint64_t) posted, seen;
};

static struct reader readers[READERS];
static struct poster posters[POSTERS];

static void take_work(void)
{
    for (int i = 0; i < POSTERS; i++)
        hk_store_release(&posters[i].seen, hk_load_acquire(&posters[i].posted)); /* [stress:post] */
}

static void *own(void *unused)
{
    (void)unused;
    hk_ready ready[HK_READY_MAX];
    while (!hk_load_acquire(&is_over)) { /* [stress:over] */
        int n = hk_reactor_wait(&reactor, INT64_MAX, ready);
        take_work();
        for (int i = 0; i < n; i++)
            (void)hk_ticket_claim(ready[i].ticket, ready[i].result);
    }
    return NULL;
}

static void *look(void *unused)
{
    (void)unused;
    hk_ready ready[HK_READY_MAX];
    while (!hk_load_acquire(&is_over)) { /* [stress:over] */
        int n = hk_reactor_wait(&reactor, 0, ready);
        for (int i = 0; i < n; i++)
            (void)hk_ticket_claim(ready[i].ticket, ready[i].result);
        hk_os_yield();
    }
    return NULL;
}

static void *post(void *arg)
{
    struct poster *p = arg;
    for (uint64_t i = 1; i <= rounds / 4; i++) {
        hk_store_release(&p->posted, i); /* [stress:post] */
        hk_reactor_interrupt(&reactor);
        int64_t since = hk_os_now();
        while (hk_load_acquire(&p->seen) != i)
            patiently(since, "an interrupt");
    }
    return NULL;
}

static void *write_to_all(void *arg)
{
    struct reader *all = arg;
    for (uint64_t i = 0; i < rounds; i++) {
        for (int k = 0; k < READERS; k++) {
            int64_t since = hk_os_now();
            while (hk_load_acquire(&all[k].read) + AHEAD_MAX < i)
                patiently(since, "the edge of a descriptor");
            HK_CHECK(hk_os_send(all[k].peer, "x", 1) == 1);
        }
    }
    return NULL;
}

/* Wait as io does, except that one in four gives up, as if it had been stopped. */
static void wait_for_input(struct reader *r, hk_source *s)
{
    hk_ticket t = hk_sleeper_begin(&r->sleeper, HK_WAITING);
    int rc = hk_source_start(s, HK_IN, t, &reactor);
    HK_CHECK(rc >= 0);
    if (rc == HK_RETRY) {
        (void)hk_ticket_claim(t, 0);
        return;
    }
    if (next_random(&r->random) % 4 == 0 && hk_ticket_claim(t, -ECANCELED)) {
        hk_source_stop(s, HK_IN);
        return;
    }
    await_claim(t, "readiness");
}

static void *read_all(void *arg)
{
    struct reader *r = arg;
    hk_source *s = hk_source_open(r->fd);
    char buffer[16];
    for (uint64_t sum = 0; sum < rounds;) {
        ssize_t n = hk_os_read(r->fd, buffer, sizeof buffer);
        if (n == -EAGAIN) {
            wait_for_input(r, s);
        } else {
            HK_CHECK(n > 0);
            sum += (uint64_t)n;
            hk_store_release(&r->read, sum);
        }
        if (next_random(&r->random) % 16 == 0) { /* events of the old one may be in other hands */
            hk_source_close(s);
            s = hk_source_open(r->fd);
        }
    }
    hk_source_close(s);
    return NULL;
}

static void stress_reactor(const hk_backend *backend)
{
    pthread_t owner, helper, writer, reading[READERS], posting[POSTERS];
    int rc = backend ? hk_reactor_open(&reactor, backend) : -ENOSYS;
    if (rc == -ENOSYS || rc == -EPERM) {
        puts("io_uring: skipped, not to be had here");
        return;
    }
    HK_CHECK(rc == 0);
    hk_store_release(&is_over, false);
    for (int i = 0; i < READERS; i++) {
        int fds[2];
        HK_CHECK(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds) == 0);
        readers[i] =
            (struct reader){.random = seed + 77 + (uint64_t)i, .fd = fds[0], .peer = fds[1]};
    }
    memset(posters, 0, sizeof posters);
    start_all(&owner, 1, own, NULL, 0);
    start_all(&helper, 1, look, NULL, 0);
    start_all(reading, READERS, read_all, readers, sizeof *readers);
    start_all(posting, POSTERS, post, posters, sizeof *posters);
    start_all(&writer, 1, write_to_all, readers, 0);
    join_all(&writer, 1);
    join_all(reading, READERS);
    join_all(posting, POSTERS);
    hk_store_release(&is_over, true); /* [stress:over] */
    hk_reactor_interrupt(&reactor);
    join_all(&owner, 1);
    join_all(&helper, 1);
    hk_reactor_close(&reactor);
    for (int i = 0; i < READERS; i++) {
        (void)hk_os_close(readers[i].fd);
        (void)hk_os_close(readers[i].peer);
    }
    printf("%s: %llu bytes to each of %d readers, %llu interrupts from each of %d posters\n",
           backend->name, (unsigned long long)rounds, READERS, (unsigned long long)rounds / 4,
           POSTERS);
}

int main(int argc, char **argv)
{
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : hk_os_random() >> 8;
    if (argc > 1)
        rounds = strtoull(argv[1], NULL, 0);
    printf("reactor_stress %llu %llu\n", (unsigned long long)rounds, (unsigned long long)seed);
    fflush(stdout);
    stress_timers();
    stress_reactor(&hk_backend_epoll);
    stress_reactor(&hk_backend_kqueue);
    stress_reactor(hk_reactor_backend("uring"));
    puts("4 passed, 0 failed");
    return 0;
}
