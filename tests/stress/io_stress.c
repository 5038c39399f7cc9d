/* SPDX-License-Identifier: MIT */
/* io_stress.c - streams under everything at once: clients that ask, give up and hang up under their
 * own readers, while blocking calls come and go and files are written and read by whoever is not
 * stopped.
 *
 * What is checked: an answer is always to one's own question, what a file holds was written by one
 * call and is there when it was said to be, nothing hangs, nothing leaks. Run it
 * under a sanitizer for the rest. `io_stress SEED` repeats the choices, not the schedule. */
#include <hank.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/os.h"

enum { CLIENTS = 16, ROUNDS = 40, PART = 3000 };

static char where[64];
static HK_ATOMIC(int) wrong;
static HK_ATOMIC(int) answered;
static HK_ATOMIC(int) clients_so_far;
static hank_file *file;

static uint64_t roll(uint64_t *dice)
{
    *dice = *dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *dice >> 33;
}

static int work(void *arg)
{
    unsigned *n = arg;
    return (int)(++*n & 1);
}

/* Answer each line with itself; now and then only after a blocking call. */
static int answer(hank_stream *s, void *arg)
{
    char line[64];
    unsigned calls = 0;
    ssize_t n;
    (void)arg;
    while ((n = hank_read_line(s, line, sizeof line)) > 0) {
        if (line[0] % 8 == 0)
            (void)hank_blocking(work, &calls);
        if (hank_write(s, line, (size_t)n) < 0)
            break;
    }
    return 0;
}

static int serve(void *arg)
{
    return hank_serve(arg, answer, NULL);
}

static int read_to_end(void *arg)
{
    char buf[64];
    ssize_t n;
    while ((n = hank_read(arg, buf, sizeof buf)) > 0 || n == -EBUSY) /* who looks after us is in */
        (void)hank_yield();
    return (int)n;
}

static void ask(hank_stream *s, uint64_t *dice)
{
    char question[64], line[64];
    int n = snprintf(question, sizeof question, "%llu question\n",
                     (unsigned long long)(roll(dice) % 1000000));
    if (hank_write(s, question, (size_t)n) < 0)
        return;
    ssize_t got = hank_within(HANK_SEC(30), hank_read_line(s, line, sizeof line));
    if (got != n || memcmp(line, question, (size_t)n) != 0)
        (void)hk_add_relaxed(&wrong, 1);
    (void)hk_add_relaxed(&answered, 1);
}

/* Somebody else reads while we hang up, or cancel him. */
static void interrupt_reader(hank_stream *s, uint64_t *dice)
{
    hank_task reader = hank_spawn(read_to_end, s);
    for (uint64_t i = roll(dice) % 4; i > 0; i--)
        (void)hank_yield();
    if (roll(dice) % 2) {
        hank_cancel(reader);
        if (hank_await(reader) != -ECANCELED)
            (void)hk_add_relaxed(&wrong, 1);
        hank_close(s);
    } else {
        /* The stream goes with its last user: the reader must be in before we close. */
        char buf[1];
        while (hank_read(s, buf, 0) != -EBUSY)
            (void)hank_yield();
        hank_close(s);
        if (hank_await(reader) != -EBADF)
            (void)hk_add_relaxed(&wrong, 1);
    }
}

/* Fill one's own part of the file with a letter, if time allows, and see what is there. */
static void use_file(int64_t at, char *last, uint64_t *dice)
{
    char bytes[PART], letter = (char)('a' + roll(dice) % 26);
    memset(bytes, letter, PART);
    int rc =
        hank_within(HANK_US(1) * (hank_ns)(roll(dice) % 300), hank_pwrite(file, bytes, PART, at));
    bool well = rc == 0 || rc == -ETIMEDOUT;
    *last = rc == 0 ? letter : *last;
    ssize_t n =
        hank_within(HANK_US(1) * (hank_ns)(roll(dice) % 300), hank_pread(file, bytes, PART, at));
    if (n == PART)
        for (int i = 0; i < PART; i++)
            well = well && bytes[i] == *last;
    if (!well || (n != PART && n != -ETIMEDOUT))
        (void)hk_add_relaxed(&wrong, 1);
}

static int client(void *arg)
{
    uint64_t *dice = arg;
    int64_t at = (int64_t)hk_add_relaxed(&clients_so_far, 1) * PART; /* only a number */
    char last = 'a', begin[PART];
    memset(begin, last, PART);
    if (hank_pwrite(file, begin, PART, at) < 0)
        return -EIO;
    for (int round = 0; round < ROUNDS; round++) {
        hank_stream *s;
        int rc = hank_connect(where, &s);
        if (rc < 0)
            return rc;
        char buf[8];
        for (uint64_t i = roll(dice) % 4; i > 0; i--)
            ask(s, dice);
        if (roll(dice) % 4 == 0 &&
            hank_within(HANK_US(50), hank_read(s, buf, sizeof buf)) != -ETIMEDOUT)
            (void)hk_add_relaxed(&wrong, 1);
        if (roll(dice) % 2)
            ask(s, dice);
        use_file(at, &last, dice);
        if (roll(dice) % 2)
            interrupt_reader(s, dice);
        else
            hank_close(s);
    }
    return 0;
}

static int open_file(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/hank-io-stress-%llu", (unsigned long long)hk_os_random());
    int rc = hank_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, &file);
    (void)hk_os_unlink(path);
    return rc;
}

static int app(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    uint64_t dice[CLIENTS];
    hank_listener *l;
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc == 0)
        rc = hank_listener_name(l, where, sizeof where);
    if (rc < 0)
        return rc;
    rc = open_file();
    if (rc < 0)
        return rc;
    hank_task server = hank_spawn(serve, l);
    hank_group clients = {0};
    for (int i = 0; i < CLIENTS; i++) {
        dice[i] = seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
        (void)hank_group_spawn(&clients, client, &dice[i]);
    }
    rc = hank_within(HANK_SEC(200), hank_group_wait(&clients));
    hank_cancel(server);
    int ended = hank_await(server);
    hank_listener_close(l);
    hank_file_close(file);
    return rc < 0 ? rc : ended == -ECANCELED ? 0 : -EPROTO;
}

/* True: what had to be so was. */
static bool run_once(hank_reactor reactor, const char *name, unsigned workers, uint64_t seed)
{
    hk_store_relaxed(&answered, 0);
    int rc = hank_run_with(app, &seed, .workers = workers, .reactor = reactor);
    if (reactor == HANK_URING && (rc == -ENOSYS || rc == -EPERM)) {
        printf("%s, %u workers: skipped, %s\n", name, workers, hank_strerror(rc));
        return true;
    }
    printf("%s, %u workers: %s, %d answered, %d wrong\n", name, workers, hank_strerror(rc),
           hk_load_relaxed(&answered), hk_load_relaxed(&wrong));
    return rc == 0 && hk_load_relaxed(&wrong) == 0;
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {1, 2, 8, 64};
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : hk_os_random();
    printf("seed %llu\n", (unsigned long long)seed);
    bool well = true;
    for (int i = 0; i < 4 && well; i++)
        well = run_once(HANK_EPOLL, "epoll", sizes[i], seed) &&
               run_once(HANK_URING, "uring", sizes[i], seed);
    return !well;
}
