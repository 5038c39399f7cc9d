/* SPDX-License-Identifier: MIT */
/* errnos_test.c - codes of the headers that need a cause of their own: another user, a limit of the
 * process, a device that fails. Where no such cause can be had without one, the injector is it. */
#include "io/datagram_support.h"
#include "io/process_support.h"

#include <hank/file.h>
#include <hank/layer.h>
#include <hank/lines.h>
#include <hank/unix.h>

#include <sys/resource.h>

#include "become.h"
#include "io/listener.h"
#include "is_parked.h"

/* What the limit was. */
static struct rlimit limit_descriptors(rlim_t now)
{
    struct rlimit before;
    (void)getrlimit(RLIMIT_NOFILE, &before);
    (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){now, before.rlim_max});
    return before;
}

static struct rlimit limit_file_size(rlim_t now)
{
    struct rlimit before;
    (void)getrlimit(RLIMIT_FSIZE, &before);
    (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){now, before.rlim_max});
    return before;
}

/* --- EPERM ----------------------------------------------------------------------------------- */

static int signal_of_others(void *arg)
{
    hank_process *p;
    int status;
    (void)arg;
    START(&p, "read x", .in = HANK_STDIO_PIPE);
    MUST(become(somebody_else()) == 0);
    int rc = hank_process_signal(p, SIGTERM);
    MUST(become(0) == 0);
    MUST(rc == -EPERM);
    MUST(hank_process_signal(p, SIGTERM) == 0); /* it was not reached, and can be */
    MUST(hank_process_wait(p, &status) == 0 && status == -SIGTERM);
    hank_process_close(p);
    return 0;
}

Test(errnos, a_process_of_somebody_else_is_not_signalled, .timeout = 60)
{
    need_root();
    warm_up();
    with_each_size(signal_of_others, NULL);
}

/* --- EACCES ---------------------------------------------------------------------------------- */

enum { DOORS = 8 };

/* In a directory of somebody else's, which has a FIFO that is open already, and a listener. */
static void try_each_door(const char *directory, int fifo, int ret_rc[DOORS])
{
    char path[80], where[96];
    hank_file *f;
    hank_dir *d;
    struct stat about;
    hank_stream *s;
    hank_listener *l;
    hank_endpoint *e;
    hank_process *p;
    (void)snprintf(path, sizeof path, "%s/thing", directory);
    (void)snprintf(where, sizeof where, "unix://%s", path);
    const char *const program[] = {path, NULL};
    ret_rc[0] = hank_file_open(path, O_RDONLY, 0, &f);
    ret_rc[1] = hank_stat(path, &about);
    ret_rc[2] = hank_dir_open(directory, &d);
    ret_rc[3] = hank_connect(where, &s);
    ret_rc[4] = hank_listen(where, &l);
    ret_rc[5] = hank_endpoint_open(where, NULL, NULL, &e);
    ret_rc[6] = hank_stream_from_fd(fifo, HANK_KEEP_FD, &s);
    /* An emulator forks for vfork, and what fails in the child stays there. */
    ret_rc[7] = HK_EMULATED ? -EACCES : hank_process_spawn(program, NULL, &p);
}

static int doors_of_others(void *arg)
{
    char directory[64], path[80];
    int rc[DOORS];
    (void)arg;
    (void)snprintf(directory, sizeof directory, "/tmp/hank-errnos-%d", (int)getpid());
    (void)snprintf(path, sizeof path, "%s/fifo", directory);
    MUST(mkdir(directory, 0700) == 0 && mkfifo(path, 0600) == 0);
    int fifo = open(path, O_RDWR | O_CLOEXEC);
    MUST(fifo >= 0 && become(somebody_else()) == 0);
    try_each_door(directory, fifo, rc);
    MUST(become(0) == 0);
    MUST(close(fifo) == 0 && unlink(path) == 0 && rmdir(directory) == 0); /* nothing was made */
    for (int i = 0; i < DOORS; i++)
        if (rc[i] != -EACCES) {
            cr_log_error("%d: %s", i, hank_strerror(rc[i]));
            return -EPROTO;
        }
    return 0;
}

Test(errnos, what_is_somebody_elses_cannot_be_had, .timeout = 60)
{
    need_root();
    warm_up();
    with_each_size(doors_of_others, NULL);
}

/* The first port that anybody may listen at. */
static int first_free_port(void)
{
    int port = 1024;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
    if (file) {
        (void)!fscanf(file, "%d", &port);
        (void)fclose(file);
    }
    return port;
}

static int low_ports(void *arg)
{
    hank_listener *l;
    hank_endpoint *e;
    (void)arg;
    MUST(become(somebody_else()) == 0);
    int listened = hank_listen("tcp://127.0.0.1:1", &l);
    int opened = hank_endpoint_open("udp://127.0.0.1:1", NULL, NULL, &e);
    MUST(become(0) == 0);
    MUST(listened == -EACCES && opened == -EACCES);
    return 0;
}

Test(errnos, a_low_port_is_for_root, .timeout = 60)
{
    need_root();
    if (first_free_port() <= 1)
        cr_skip_test("here it is for anybody");
    warm_up();
    with_each_size(low_ports, NULL);
}

/* --- EBADF, EBUSY: what does not wait ----------------------------------------------------------
 */

static ssize_t read_nothing(void *self, void *ret_buf, size_t n)
{
    (void)self, (void)ret_buf, (void)n;
    return 0;
}

static ssize_t write_nowhere(void *self, const void *buf, size_t n)
{
    (void)self, (void)buf;
    return (ssize_t)n;
}

/* While somebody is still inside. */
OVER(errnos, IS_UNIX, of_calls_on_a_stream_that_was_closed_meanwhile)
{
    static const hank_layer layer = {.read = read_nothing, .write = write_nowhere};
    hank_stream *s = e->a, *over;
    hank_credentials who;
    char byte, *buf = &byte;
    int got[1];
    size_t count = 1;
    MUST(hk_fd_hold(&s->fd) == 0);
    hank_close(s);
    e->a = NULL;
    MUST(hank_read(s, buf, 1) == -EBADF && hank_peek(s, buf, 1) == -EBADF);
    MUST(hank_write(s, "x", 1) == -EBADF && hank_write_some(s, "x", 1) == -EBADF);
    MUST(hank_trywrite(s, "x", 1) == -EBADF && hank_write_end(s) == -EBADF);
    MUST(hank_cork(s, 0, 0) == -EBADF && hank_stream_held(s) == -EBADF);
    MUST(hank_flush(s) == -EBADF && hank_uncork(s) == -EBADF);
    MUST(hank_stream_set_limit(s, 10) == -EBADF && hank_stream_unread(s) == -EBADF);
    MUST(hank_stream_set_options(s, NULL) == -EBADF && hank_stream_fd(s) == -EBADF);
    MUST(hank_send_fds(s, "x", 1, (int[1]){0}, 1) == -EBADF);
    MUST(hank_recv_fds(s, buf, 1, got, &count) == -EBADF);
    MUST(hank_peer_credentials(s, &who) == -EBADF);
    MUST(hank_layer_open(&layer, NULL, s, &over) == -EBADF);
    hk_fd_release(&s->fd);
    return 0;
}

static int accept_one(void *l)
{
    hank_stream *s;
    return hank_accept(l, &s);
}

static int wrap_nothing(void *arg, hank_stream *under, hank_stream **ret)
{
    (void)arg;
    *ret = under;
    return 0;
}

ALONE(errnos, of_calls_on_a_listener_that_is_in_use_or_was_closed_meanwhile)
{
    static const hank_wrapper wrapper = {.scheme = "x", .wrap = wrap_nothing};
    hank_listener *l;
    hank_stream *s;
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    hank_task t = hank_spawn(accept_one, l);
    YIELD_UNTIL(is_parked(t));
    MUST(hank_listener_wrap(l, &wrapper, NULL) == -EBUSY && hank_accept(l, &s) == -EBUSY);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    MUST(hank_listener_wrap(l, &wrapper, NULL) == 0);
    MUST(hank_listener_wrap(l, &wrapper, NULL) == -EALREADY);
    MUST(hk_fd_hold(&l->fd) == 0);
    hank_listener_close(l);
    MUST(hank_listener_wrap(l, &wrapper, NULL) == -EBADF && hank_accept(l, &s) == -EBADF);
    MUST(hank_listener_fd(l) == -EBADF);
    hk_fd_release(&l->fd);
    return 0;
}

/* --- ENOEXEC --------------------------------------------------------------------------------- */

ALONE(errnos, a_file_that_is_no_program_cannot_be_started)
{
    char path[64];
    const char *const arguments[] = {path, NULL};
    hank_process *p;
    (void)arg;
    if (HK_EMULATED)
        return 0; /* an emulator forks for vfork, and what fails in the child stays there */
    (void)snprintf(path, sizeof path, "/tmp/hank-errnos-%d", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    MUST(fd >= 0 && write(fd, "\0\1\2\3", 4) == 4 && close(fd) == 0);
    int rc = hank_process_spawn(arguments, NULL, &p);
    MUST(unlink(path) == 0);
    MUST(rc == -ENOEXEC);
    return 0;
}

/* --- ETOOMANYREFS ----------------------------------------------------------------------------- */

enum { IN_FLIGHT_MAX = 100, AT_ONCE = 60 };

typedef int send_zeros(void *to, const int *fds, size_t count);

static int by_stream(void *to, const int *fds, size_t count)
{
    return hank_send_fds(to, "x", 1, fds, count);
}

static int by_datagram(void *to, const int *fds, size_t count)
{
    return hank_endpoint_send_fds(to, &(hank_datagram){.data = (void *)"x", .size = 1}, fds, count);
}

/* As a user whom the limit concerns: how many messages went, and why no more. */
static int send_until_refused(send_zeros *send, void *to, int *ret_rc)
{
    static const int zeros[AT_ONCE];
    int sent = 0, rc = 0;
    struct rlimit before = limit_descriptors(IN_FLIGHT_MAX);
    MUST(become(somebody_else()) == 0);
    while (sent < 5 && rc == 0) {
        rc = send(to, zeros, AT_ONCE);
        sent += rc == 0;
    }
    MUST(become(0) == 0);
    (void)setrlimit(RLIMIT_NOFILE, &before);
    *ret_rc = rc;
    return sent;
}

static int too_many_by_stream(void *arg)
{
    hank_stream *a, *b;
    int rc, got[AT_ONCE];
    size_t count;
    char byte;
    (void)arg;
    MUST(hank_stream_pair(&a, &b) == 0);
    int sent = send_until_refused(by_stream, a, &rc);
    MUST(rc == -ETOOMANYREFS && sent > 0);
    for (int i = 0; i <= sent; i++) {
        if (i == sent) /* nothing was sent, so the stream is good */
            MUST(hank_send_fds(a, "x", 1, (int[1]){0}, 1) == 0);
        count = AT_ONCE;
        MUST(hank_recv_fds(b, &byte, 1, got, &count) == 1);
        MUST(count == (i == sent ? 1 : AT_ONCE));
        for (size_t k = 0; k < count; k++)
            close(got[k]);
    }
    hank_close(a);
    hank_close(b);
    return 0;
}

Test(errnos, too_many_descriptors_on_their_way_in_a_stream_are_refused, .timeout = 60)
{
    need_root();
    warm_up();
    with_each_size(too_many_by_stream, NULL);
}

static int too_many_by_datagram(void *arg)
{
    two t = {0};
    int rc, got[AT_ONCE];
    char byte;
    (void)arg;
    MUST(open_two(locals[2], &t) == 0);
    int sent = send_until_refused(by_datagram, t.a, &rc);
    MUST(rc == -ETOOMANYREFS && sent > 0);
    for (int i = 0; i < sent; i++) {
        size_t count = AT_ONCE;
        hank_datagram in = {.data = &byte, .size = 1};
        MUST(hank_endpoint_recv_fds(t.b, &in, got, &count) == 0 && count == AT_ONCE);
        for (size_t k = 0; k < count; k++)
            close(got[k]);
    }
    hank_endpoint_close(t.a);
    hank_endpoint_close(t.b);
    return 0;
}

Test(errnos, too_many_descriptors_on_their_way_in_datagrams_are_refused, .timeout = 60)
{
    need_root();
    warm_up();
    with_each_size(too_many_by_datagram, NULL);
}

/* --- EFBIG ------------------------------------------------------------------------------------ */

static int open_file(hank_file **ret)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/hank-errnos-%d", (int)getpid());
    int rc = hank_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, ret);
    (void)unlink(path);
    return rc;
}

ALONE(errnos, a_file_over_the_limit_is_efbig_and_a_part_may_have_been_written)
{
    hank_file *f;
    char buf[16];
    struct sigaction ignored = {.sa_handler = SIG_IGN}, handled;
    (void)arg;
    MUST(open_file(&f) == 0);
    (void)sigaction(SIGXFSZ, &ignored, &handled);
    struct rlimit before = limit_file_size(10);
    int rc = hank_pwrite(f, "0123456789abc", 13, 0);
    int again = hank_pwrite(f, "x", 1, 10);
    (void)setrlimit(RLIMIT_FSIZE, &before);
    (void)sigaction(SIGXFSZ, &handled, NULL);
    MUST(rc == -EFBIG && again == -EFBIG);
    MUST(hank_pread(f, buf, sizeof buf, 0) == 10 && memcmp(buf, "0123456789", 10) == 0);
    hank_file_close(f);
    return 0;
}

/* --- what needs a device that fails ----------------------------------------------------------- */

#if HK_FAULTS

/* A full or broken disk that says so late, as file systems over a network do. */
ALONE(errnos, what_the_disk_says_late_fsync_tells)
{
    static const int errors[] = {-EIO, -ENOSPC, -EDQUOT};
    hank_file *f;
    (void)arg;
    MUST(open_file(&f) == 0 && hank_pwrite(f, "x", 1, 0) == 0);
    for (int i = 0; i < 6; i++) {
        hk_fault_plan(HK_FAULT_SYNC, 1, errors[i / 2]);
        int rc = hank_fsync(f, i % 2);
        hk_fault_clear();
        MUST(rc == errors[i / 2]);
        MUST(hank_fsync(f, i % 2) == 0);
    }
    hank_file_close(f);
    return 0;
}

/* The queue of a network device that is full, of which Linux tells only who has asked to be told
 * (IP_RECVERR). */
static int send_one(hank_endpoint *e, int how)
{
    hank_datagram d = {.data = (void *)"x", .size = 1};
    if (how == 0)
        return hank_endpoint_send(e, "x", 1);
    ssize_t sent = hank_endpoint_send_batch(e, &d, 1);
    return sent == 1 ? 0 : (int)sent;
}

ALONE(errnos, a_device_without_room_is_enobufs_and_nothing_was_sent)
{
    two t = {0};
    char buf[4];
    (void)arg;
    MUST(open_two(locals[0], &t) == 0);
    for (int how = 0; how < 2; how++) {
        hk_fault_plan(HK_FAULT_SEND, 1, -ENOBUFS);
        int rc = send_one(t.a, how);
        hk_fault_clear();
        MUST(rc == -ENOBUFS);
        MUST(send_one(t.a, how) == 0);
        MUST(hank_endpoint_recv(t.b, buf, sizeof buf, NULL) == 1);
        MUST(hank_within(HANK_MS(2), hank_endpoint_recv(t.b, buf, 4, NULL)) == -ETIMEDOUT);
    }
    hank_endpoint_close(t.a);
    hank_endpoint_close(t.b);
    return 0;
}

ALONE(errnos, of_accept_leave_the_connection_in_line)
{
    static const int shortages[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    hank_listener *l;
    hank_stream *a, *b;
    char name[64];
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    for (int i = 0; i < 4; i++) {
        MUST(hank_connect(name, &a) == 0);
        hk_fault_plan(HK_FAULT_ACCEPT, 1, shortages[i]);
        int rc = hank_accept(l, &b);
        bool hit = hk_fault_hit(); /* not where the ring accepts by itself */
        hk_fault_clear();
        MUST(rc == (hit ? shortages[i] : 0));
        if (rc < 0)
            MUST(hank_accept(l, &b) == 0);
        hank_close(a);
        hank_close(b);
    }
    hank_listener_close(l);
    return 0;
}

#endif
