/* SPDX-License-Identifier: MIT */
/* faults_test.c - whatever call of the system fails, and whichever time: streams, datagrams,
 * servers and files give a code of their documentation, or carry on; nothing hangs, nothing is
 * left. */
#include "io/net_support.h"

#include <hank/datagram.h>
#include <hank/file.h>
#include <hank/server.h>

#include "api/fault_support.h"

#if HK_FAULTS

/* What the headers say that calls may fail with here: what was injected, or what follows from it
 * at the other end. */
static bool is_documented(int rc, int injected)
{
    return rc == injected || rc == -EPIPE || rc == -ECONNRESET || rc == -ENOMEM ||
           rc == -ECONNREFUSED || rc == -EMFILE || rc == -EPROTOTYPE || rc == -ENOTSUP ||
           rc == -ETIMEDOUT;
}

enum { BULK_BYTES = 160000 };

/* --- the scenarios --------------------------------------------------------------------------- */

static int talk_over(const struct kind *kind)
{
    ends e = {.other = -1};
    char buf[64];
    struct iovec parts[] = {{(void *)"line\n", 5}, {(void *)"message;", 8}};
    int rc = kind->open(&e);
    if (rc == 0)
        rc = hank_writev(e.a, parts, 2);
    if (rc == 0)
        rc = hank_cork(e.a, 64, 0);
    if (rc == 0)
        rc = hank_write(e.a, "rest", 4);
    if (rc == 0)
        rc = hank_uncork(e.a);
    ssize_t n = rc < 0 ? rc : hank_read_line(e.b, buf, sizeof buf);
    if (n == 5 && memcmp(buf, "line\n", 5) == 0)
        n = hank_read_until(e.b, buf, sizeof buf, ";");
    if (n == 8 && memcmp(buf, "message;", 8) == 0)
        n = hank_peek(e.b, buf, 4);
    if (n > 0)
        n = hank_read_exact(e.b, buf, 4);
    if (n == 0 && memcmp(buf, "rest", 4) != 0)
        n = -EPROTO;
    if (n == 0 && kind->has & IS_SOCKET)
        n = hank_stream_set_options(e.a, NULL);
    if (n == 0 && kind->has & IS_SOCKET)
        n = hank_write_end(e.a);
    hank_close(e.a);
    hank_close(e.b);
    hank_listener_close(e.l);
    return (int)n;
}

static int talk(void *arg)
{
    int rc = 0;
    (void)arg;
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof kinds[0] - 1; i++)
        rc = talk_over(&kinds[i]); /* all but the terminal, whose opening is not hank's */
    return rc;
}

/* In parts, held back, and as a whole: more than fits between the two. */
static int write_bulk(void *arg)
{
    static char bytes[BULK_BYTES];
    enum { SOME = BULK_BYTES / 4 };
    hank_stream *s = arg;
    struct iovec parts[] = {{bytes, 1}, {bytes + 1, SOME - 1}, {bytes + SOME, SOME}};
    for (size_t i = 0; i < BULK_BYTES; i++)
        bytes[i] = (char)big_byte(i);
    int rc = hank_writev(s, parts, 3);
    if (rc == 0)
        rc = hank_cork(s, SOME / 3, 100);
    for (size_t at = 2 * SOME; rc == 0 && at < 3 * SOME; at += SOME / 10)
        rc = hank_write(s, bytes + at, SOME / 10);
    if (rc == 0)
        rc = hank_uncork(s);
    if (rc == 0)
        rc = hank_write(s, bytes + 3 * SOME, SOME);
    return rc == 0 ? hank_write_end(s) : rc;
}

static int read_bulk(void *arg)
{
    unsigned char buf[7001];
    size_t done = 0;
    ssize_t n;
    while ((n = hank_read(arg, buf, sizeof buf)) > 0)
        for (ssize_t i = 0; i < n; i++, done++)
            if (buf[i] != big_byte(done))
                return -EPROTO;
    return n < 0 ? (int)n : done == BULK_BYTES ? 0 : -EPROTO;
}

/* Whoever fails first has the other one stopped. */
static int bulk(void *arg)
{
    ends e = {.other = -1};
    (void)arg;
    int rc = open_tcp(&e);
    if (rc == 0)
        rc = hank_stream_set_options(e.a, &(hank_socket_options){.send_buffer = 5000});
    if (rc == 0)
        rc = hank_gather(hank_spawn(write_bulk, e.a), hank_spawn(read_bulk, e.b));
    hank_close(e.a);
    hank_close(e.b);
    hank_listener_close(e.l);
    return rc;
}

static int send_datagrams(hank_endpoint *a, hank_endpoint *b)
{
    char buf[16];
    hank_address from;
    hank_datagram list[3] = {{.data = (void *)"a", .size = 1},
                             {.data = (void *)"bb", .size = 2, .segment = 1},
                             {.data = (void *)"c", .size = 1}};
    hank_datagram in = {.data = buf, .size = sizeof buf, .address = &from};
    int rc = hank_endpoint_send(a, "hello", 5);
    ssize_t n = rc < 0 ? rc : hank_within(HANK_SEC(2), hank_endpoint_recv(b, buf, 16, &from));
    if (n == 5)
        n = hank_endpoint_send_to(b, "back", 4, &from);
    if (n == 0)
        n = hank_within(HANK_SEC(2), hank_endpoint_recv(a, buf, 16, NULL));
    if (n == 4)
        n = hank_endpoint_send_batch(a, list, 3);
    if (n > 0)
        n = hank_within(HANK_SEC(2), hank_endpoint_recv_batch(b, &in, 1));
    return n < 0 ? (int)n : 0;
}

static int datagrams(void *arg)
{
    hank_endpoint *a = NULL, *b = NULL;
    char name[64];
    (void)arg;
    int rc = hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &b);
    if (rc == 0)
        rc = hank_endpoint_name(b, name, sizeof name);
    if (rc == 0)
        rc = hank_endpoint_open("udp://127.0.0.1:0", name,
                                &(hank_endpoint_options){.coalesce = true}, &a);
    if (rc == 0)
        rc = send_datagrams(a, b);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return rc;
}

static int use_files(hank_file *f, hank_file *g)
{
    hank_stream *out, *in;
    struct stat about;
    char buf[16];
    int rc = hank_pwrite(f, "0123456789", 10, 0);
    ssize_t n = rc < 0 ? rc : hank_pread(f, buf, 10, 0);
    if (n == 10)
        n = hank_copy_range(f, 0, g, 0, 10);
    if (n == 10)
        n = hank_fsync(g, true);
    if (n == 0)
        n = hank_file_stat(g, &about);
    if (n < 0 || (n = hank_pipe(&out, &in)) < 0)
        return (int)n;
    n = hank_sendfile(in, f, 0, 10);
    if (n == 10)
        n = hank_splice(out, in, 4);
    if (n == 4)
        n = hank_read_exact(out, buf, 10);
    hank_close(out);
    hank_close(in);
    return (int)n;
}

static int list_directory(void)
{
    hank_dir *d;
    hank_entry entry;
    int rc = hank_dir_open("/proc/self/fdinfo", &d);
    if (rc < 0)
        return rc;
    do
        rc = hank_dir_next(d, &entry);
    while (rc == 1);
    hank_dir_close(d);
    return rc;
}

static int files(void *arg)
{
    hank_file *f = NULL, *g = NULL;
    char path[64];
    struct stat about;
    (void)arg;
    snprintf(path, sizeof path, "/tmp/hank-faults-%d", (int)getpid());
    int rc = hank_file_open(path, O_RDWR | O_CREAT, 0600, &f);
    if (rc == 0)
        rc = hank_stat(path, &about);
    (void)unlink(path);
    if (rc == 0)
        rc = hank_file_open(path, O_RDWR | O_CREAT, 0600, &g);
    (void)unlink(path);
    if (rc == 0)
        rc = use_files(f, g);
    if (rc == 0)
        rc = list_directory();
    hank_file_close(f);
    hank_file_close(g);
    return rc;
}

static int pass_descriptors(void *arg)
{
    hank_stream *a, *b, *s = NULL;
    int fd = 0, got[1] = {-1};
    size_t count = 1;
    char byte;
    (void)arg;
    int rc = hank_stream_pair(&a, &b);
    if (rc < 0)
        return rc;
    rc = hank_send_fds(a, "x", 1, &fd, 1);
    ssize_t n = rc < 0 ? rc : hank_recv_fds(b, &byte, 1, got, &count);
    if (n == 1 && count == 1)
        close(got[0]);
    hank_credentials who;
    if (n == 1)
        n = hank_peer_credentials(a, &who);
    int null = n == 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (null >= 0)
        n = hank_stream_from_fd(null, HANK_KEEP_FD, &s);
    if (null >= 0)
        close(null);
    hank_close(s);
    hank_close(a);
    hank_close(b);
    return (int)n;
}

static int pass_descriptors_with_datagrams(void *arg)
{
    hank_endpoint *a = NULL, *b = NULL;
    int fd = 0, got[1] = {-1};
    size_t count = 1;
    char byte, where[64];
    (void)arg;
    snprintf(where, sizeof where, "unix://@hank-fault-dg-%d", (int)getpid());
    hank_datagram d = {.data = &byte, .size = 1};
    int rc = hank_endpoint_open(where, NULL, NULL, &b);
    if (rc == 0)
        rc = hank_endpoint_open(NULL, where, NULL, &a);
    if (rc == 0)
        rc = hank_endpoint_send_fds(a, &(hank_datagram){.data = "x", .size = 1}, &fd, 1);
    if (rc == 0)
        rc = hank_endpoint_recv_fds(b, &d, got, &count);
    if (rc == 0 && count == 1)
        close(got[0]);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return rc;
}

static int answer(hank_stream *s, void *arg)
{
    char line[16];
    ssize_t n;
    (void)arg;
    while ((n = hank_read_line(s, line, sizeof line)) > 0 && hank_write(s, line, (size_t)n) == 0)
        continue;
    return 0;
}

static int run_server(void *v)
{
    return hank_server_run(v, answer, NULL);
}

static int ask(const char *name)
{
    hank_stream *s;
    char line[16];
    int rc = hank_connect(name, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "hello\n", 6);
    ssize_t n = rc < 0 ? rc : hank_within(HANK_SEC(2), hank_read_line(s, line, sizeof line));
    hank_close(s);
    return n == 6 ? 0 : n == 0 ? -EPIPE : (int)n;
}

static int server(void *arg)
{
    hank_server *v;
    char name[64];
    (void)arg;
    hank_server_options o = {.connections_max = 2,
                             .acceptors = 2,
                             .idle_timeout = HANK_SEC(5),
                             .socket = {.keep_alive = true}};
    int rc = hank_server_open("tcp://127.0.0.1:0", &o, &v);
    if (rc < 0)
        return rc;
    rc = hank_server_name(v, name, sizeof name);
    hank_task task = hank_spawn(run_server, v);
    for (int i = 0; rc == 0 && i < 3; i++)
        rc = ask(name);
    int stopped = hank_server_stop(v, 0);
    int ran = hank_await(task);
    hank_server_free(v);
    return rc < 0 ? rc : stopped < 0 ? stopped : ran;
}

/* --- the walk -------------------------------------------------------------------------------- */

#define WALK(scenario)                                                                             \
    static int live_##scenario(unsigned workers)                                                   \
    {                                                                                              \
        return hank_run_with(scenario, NULL, .workers = workers);                                  \
    }                                                                                              \
    Test(faults, in_##scenario##_are_survived, .timeout = 900)                                     \
    {                                                                                              \
        walk_io(&(victim){.run = live_##scenario, .is_clear = is_documented, .workers = 2});       \
    }

WALK(talk)
WALK(bulk)
WALK(datagrams)
WALK(files)
WALK(pass_descriptors)
WALK(pass_descriptors_with_datagrams)
WALK(server)

#endif
