/* SPDX-License-Identifier: MIT */
/* net_support.h - the same scenario over every kind of stream: TCP, Unix sockets with and without a
 * file, pairs, pipes, FIFOs and terminals. Over TLS in programs of their own, which link hank_tls
 * (HK_OVER_TLS): there it is the only kind, and what concerns no kind is left to the others.
 *
 * Each kind opens two ends: what is written to `a` is read from `b`, and the other way where a kind
 * goes both ways. A scenario says what it needs, and runs over each kind that has it, with 1, 2 and
 * 8 workers; nothing may be left afterwards. */
#ifndef HK_TESTS_IO_NET_SUPPORT_H
#define HK_TESTS_IO_NET_SUPPORT_H

#include "api/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/os.h"
#include "io/stream.h"

typedef struct ends {
    hank_stream *a;
    hank_stream *b;
    hank_listener *l;
    int other; /* a descriptor to close at the end, or -1 */
} ends;

/* ENDS   a close of one end is an end for the other
 * HALF   so is hank_write_end(), which leaves the other direction
 * PLAIN  what goes through its descriptor is what the program writes */
enum {
    ANY = 0,
    TWO_WAY = 1,
    IS_SOCKET = 2,
    IS_TCP = 4,
    IS_UNIX = 8,
    IS_PIPE = 16,
    ENDS = 32,
    HALF = 64,
    PLAIN = 128
};

static inline int connect_ends(const char *where, ends *e)
{
    char name[200];
    int rc = hank_listen(where, &e->l);
    if (rc == 0)
        rc = hank_listener_name(e->l, name, sizeof name);
    if (rc == 0)
        rc = hank_connect(name, &e->a);
    return rc == 0 ? hank_accept(e->l, &e->b) : rc;
}

static inline int open_tcp(ends *e)
{
    return connect_ends("tcp://127.0.0.1:0", e);
}

static inline int open_tcp6(ends *e)
{
    return connect_ends("tcp://[::1]:0", e);
}

static inline int open_unix(ends *e)
{
    char where[64];
    snprintf(where, sizeof where, "unix:///tmp/hank-kinds-%d", (int)getpid());
    return connect_ends(where, e);
}

static inline int open_abstract(ends *e)
{
    char where[64];
    snprintf(where, sizeof where, "unix://@hank-kinds-%d", (int)getpid());
    return connect_ends(where, e);
}

static inline int open_pair(ends *e)
{
    return hank_stream_pair(&e->a, &e->b);
}

static inline int open_pipe(ends *e)
{
    return hank_pipe(&e->b, &e->a);
}

static inline int open_fifo(ends *e)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/hank-fifo-%d", (int)getpid());
    (void)unlink(path);
    MUST(mkfifo(path, 0600) == 0);
    int in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int out = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    (void)unlink(path);
    MUST(in >= 0 && out >= 0);
    int rc = hank_stream_from_fd(in, 0, &e->b);
    if (rc < 0)
        close(in);
    if (rc == 0)
        rc = hank_stream_from_fd(out, 0, &e->a);
    if (rc < 0)
        close(out);
    return rc;
}

/* A terminal that passes bytes as they are. */
static inline int open_terminal(ends *e)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    char name[64];
    MUST(ptsname_r(master, name, sizeof name) == 0);
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(slave >= 0);
    struct termios raw;
    MUST(tcgetattr(slave, &raw) == 0);
    cfmakeraw(&raw);
    MUST(tcsetattr(slave, TCSANOW, &raw) == 0);
    int rc = hank_stream_from_fd(master, 0, &e->a);
    return rc == 0 ? hank_stream_from_fd(slave, 0, &e->b) : rc;
}

#ifndef HK_OVER_TLS
#define HK_OVER_TLS 0
#endif

#if HK_OVER_TLS
int tls_kind_open(hank_stream **ret_a, hank_stream **ret_b); /* tls/kind.c */

static inline int open_tls(ends *e)
{
    return tls_kind_open(&e->a, &e->b);
}
#endif

static const struct kind {
    const char *name;
    int has;
    int (*open)(ends *e);
} kinds[] = {
#if HK_OVER_TLS
    {"tls", TWO_WAY | ENDS | HALF, open_tls},
#else
    {"tcp", TWO_WAY | IS_SOCKET | IS_TCP | ENDS | HALF | PLAIN, open_tcp},
    {"tcp6", TWO_WAY | IS_SOCKET | IS_TCP | ENDS | HALF | PLAIN, open_tcp6},
    {"unix", TWO_WAY | IS_SOCKET | IS_UNIX | ENDS | HALF | PLAIN, open_unix},
#endif
#if !HK_OVER_TLS && !HK_SIM
    {"abstract", TWO_WAY | IS_SOCKET | IS_UNIX | ENDS | HALF | PLAIN, open_abstract},
    {"pair", TWO_WAY | IS_SOCKET | IS_UNIX | ENDS | HALF | PLAIN, open_pair},
    {"pipe", IS_PIPE | ENDS | PLAIN, open_pipe},
    {"fifo", IS_PIPE | ENDS | PLAIN, open_fifo},
    {"terminal", TWO_WAY | PLAIN, open_terminal},
#endif
};

typedef struct trial {
    const struct kind *kind;
    int (*body)(ends *e);
} trial;

static inline int run_trial(void *arg)
{
    trial *t = arg;
    ends e = {.other = -1};
    int rc = t->kind->open(&e);
    CHECK(rc == 0);
    if (rc == 0)
        rc = t->body(&e);
    hank_close(e.a);
    hank_close(e.b);
    hank_listener_close(e.l);
    if (e.other >= 0)
        close(e.other);
    return rc;
}

/* Two workers that are the first to name this process open a descriptor each: let it be us. */
static inline void warm_up(void)
{
    struct iovec nothing = {0};
    (void)hk_os_advise_many(&nothing, 1, 0);
}

static inline void over_each_kind(int needs, int (*body)(ends *e))
{
    int ran = 0;
    warm_up();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if ((kinds[i].has & needs) != needs)
            continue;
        cr_log_info("over %s", kinds[i].name);
        trial t = {&kinds[i], body};
        with_each_size(run_trial, &t);
        ran++;
    }
    if (HK_OVER_TLS && ran == 0)
        cr_skip_test("TLS is no such kind");
    cr_assert_gt(ran, 0);
}

/* A test whose body is a task with two ends `e`, over each kind that has what it needs. */
#define OVER(suite, needs, name)                                                                   \
    static int suite##_##name(ends *e);                                                            \
    Test(suite, name, .timeout = 170)                                                              \
    {                                                                                              \
        over_each_kind(needs, suite##_##name);                                                     \
    }                                                                                              \
    static int suite##_##name(ends *e)

/* A test whose body is a task, with 1, 2 and 8 workers. */
#define ALONE(suite, name)                                                                         \
    static int suite##_##name(void *arg);                                                          \
    Test(suite, name, .timeout = 170)                                                              \
    {                                                                                              \
        if (HK_OVER_TLS)                                                                           \
            cr_skip_test("it concerns no kind of stream");                                         \
        warm_up();                                                                                 \
        with_each_size(suite##_##name, NULL);                                                      \
    }                                                                                              \
    static int suite##_##name(void *arg)

static inline unsigned char big_byte(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

typedef struct reading {
    hank_stream *s;
    size_t n;
    size_t from; /* which byte of the pattern comes first */
} reading;

/* Read n bytes of the pattern. */
static inline int read_pattern(void *arg)
{
    const reading *r = arg;
    unsigned char buf[7001];
    for (size_t done = 0; done < r->n;) {
        size_t want = r->n - done < sizeof buf ? r->n - done : sizeof buf;
        ssize_t got = hank_read(r->s, buf, want);
        MUST(got > 0);
        for (ssize_t i = 0; i < got; i++, done++)
            MUST(buf[i] == big_byte(r->from + done));
    }
    return 0;
}

/* Fill what the kernel has between the two, behind the stream's back: the bytes it took. It may
 * make room for a little more once it has had time to pass them on. */
static inline size_t stuff(hank_stream *s)
{
    static const char block[4096];
    size_t n = 0;
    for (int refused = 0; refused < 5;) {
        struct iovec part = {(void *)(uintptr_t)block, refused ? 1 : sizeof block};
        ssize_t put = hk_os_write_quietly(s->fd.fd, &part, 1);
        if (put > 0) {
            n += (size_t)put;
        } else {
            refused++;
            (void)hank_sleep(HANK_MS(2));
        }
    }
    return n;
}

/* Read n bytes and forget them. */
static inline int drain(hank_stream *s, size_t n)
{
    char block[4096];
    int rc = 0;
    while (rc == 0 && n > 0) {
        size_t some = n < sizeof block ? n : sizeof block;
        rc = hank_read_exact(s, block, some);
        n -= some;
    }
    return rc;
}

#endif
