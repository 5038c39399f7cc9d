/* SPDX-License-Identifier: MIT */
/* process.c - other processes: started by posix_spawn, watched through a descriptor.
 *
 * A pidfd names one process for good, is readable once it has ended, and needs no SIGCHLD, which
 * stays the program's. Whoever finds it readable reaps, under a lock; the others read the status
 * that the first has left. So a number is never signalled after the system may have used it again.
 *
 * Rejected: SIGCHLD (one handler for a process that is not ours, and statuses that go to whoever
 * calls wait first), a thread a child (memory), waiting for the pipes to end (a grandchild keeps
 * them open). */
#include <hank/process.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include <hank/group.h>
#include <hank/scope.h>
#include <hank/system.h>
#include <hank/unix.h>

#include "base/alloc.h"
#include "base/lock.h"
#include "base/os.h"
#include "sched/park.h"

enum { STDIO = 3, OUTPUT_MAX = 16 * 1024 * 1024, OUTPUT_MIN = 4096 };

/* pid, pidfd  constant
 * the rest    guarded by lock. ended: 0 not that we know; 1 with status; or why it is not known */
struct hank_process {
    pid_t pid;
    int pidfd;
    hk_lock lock;
    int ended;
    int status;
    hank_stream *pipes[STDIO];
};

static void take_lock(hank_process *p)
{
    hk_lock_take(&p->lock, HK_RANK_SYNC);
}

/* --- starting ------------------------------------------------------------------------------- */

/* Both ends of a pipe for the child's descriptor i: ours becomes a stream. */
static int make_pipe(hank_process *p, int i, int *ret_child)
{
    int fds[2];
    int rc = hk_os_pipe_blocking(fds);
    if (rc < 0)
        return rc;
    int theirs = i == 0 ? 0 : 1;
    rc = hank_stream_from_fd(fds[1 - theirs], 0, &p->pipes[i]);
    if (rc < 0) {
        (void)hk_os_close(fds[0]);
        (void)hk_os_close(fds[1]);
        return rc;
    }
    *ret_child = fds[theirs];
    return 0;
}

/* /dev/null, at a number above those of the child. */
static int open_null(int i)
{
    int fd = hk_os_open("/dev/null", i == 0 ? O_RDONLY : O_WRONLY);
    if (fd < 0 || fd >= STDIO)
        return fd;
    int copy = hk_os_duplicate(fd);
    (void)hk_os_close(fd);
    return copy;
}

/* What the child is to have as its descriptor i: a descriptor for it alone, or -1: as ours. */
static int prepare(hank_process *p, int i, int wish, const int made[STDIO], int *ret_child)
{
    int fd = -1;
    *ret_child = -1;
    switch (wish) {
    case HANK_STDIO_INHERIT: return 0;
    case HANK_STDIO_PIPE: return make_pipe(p, i, ret_child);
    case HANK_STDIO_NULL: fd = open_null(i); break;
    case HANK_STDIO_OUT: fd = i == 2 ? hk_os_duplicate(made[1] >= 0 ? made[1] : 1) : -EINVAL; break;
    default: fd = wish > 0 ? hk_os_duplicate(wish) : -EINVAL;
    }
    *ret_child = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* The child runs, or nothing does. */
static int start(hank_process *p, const hk_os_child *child)
{
    int rc = hk_os_spawn(child, &p->pid);
    if (rc < 0)
        return rc;
    p->pidfd = hk_os_pidfd(p->pid);
    if (p->pidfd >= 0)
        return 0;
    if (p->pidfd == -ESRCH) { /* it has ended, and the system did not keep it for us */
        p->ended = -ECHILD;
        return 0;
    }
    (void)hk_os_signal_send(p->pid, SIGKILL); /* not reaped yet: it is still this one */
    (void)hk_os_reap(p->pid);
    return p->pidfd;
}

static void free_process(hank_process *p)
{
    for (int i = 0; i < STDIO; i++)
        hank_close(p->pipes[i]);
    hk_free(p, sizeof *p);
}

static bool are_valid(const hank_process_options *o)
{
    for (int i = 0; i < 4; i++)
        if (o->reserved_[i] != 0)
            return false;
    return true;
}

int hank_process_spawn(const char *const *arguments, const hank_process_options *options,
                       hank_process **ret)
{
    static const hank_process_options defaults;
    const hank_process_options *o = options ? options : &defaults;
    if (!arguments || !arguments[0] || !are_valid(o))
        return -EINVAL;
    hank_process *p = hk_alloc_zeroed(sizeof *p);
    if (!p)
        return -ENOMEM;
    hk_os_child child = {.arguments = arguments,
                         .environment = o->environment,
                         .directory = o->directory,
                         .fds = {-1, -1, -1}};
    const int wishes[STDIO] = {o->in, o->out, o->err};
    int rc = 0;
    for (int i = 0; i < STDIO && rc == 0; i++)
        rc = prepare(p, i, wishes[i], child.fds, &child.fds[i]);
    if (rc == 0)
        rc = start(p, &child);
    for (int i = 0; i < STDIO; i++)
        if (child.fds[i] >= 0)
            (void)hk_os_close(child.fds[i]); /* the child has its own */
    if (rc < 0) {
        free_process(p);
        return rc;
    }
    *ret = p;
    return 0;
}

/* --- asking --------------------------------------------------------------------------------- */

pid_t hank_process_id(hank_process *p)
{
    return p->pid;
}

hank_stream *hank_process_take(hank_process *p, int which)
{
    if (which < 0 || which >= STDIO)
        return NULL;
    take_lock(p);
    hank_stream *s = p->pipes[which];
    p->pipes[which] = NULL;
    hk_lock_drop(&p->lock);
    return s;
}

/* --- waiting -------------------------------------------------------------------------------- */

/* -EAGAIN while it runs; 0 and the status; or why nobody knows. */
static int reap(hank_process *p, int *ret_status)
{
    take_lock(p);
    if (p->ended == 0) {
        int rc = hk_os_pidfd_reap(p->pidfd, &p->status);
        p->ended = rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;
    }
    int ended = p->ended;
    if (ended > 0 && ret_status)
        *ret_status = p->status;
    hk_lock_drop(&p->lock);
    return ended > 0 ? 0 : ended == 0 ? -EAGAIN : ended;
}

int hank_process_signal(hank_process *p, int signo)
{
    return reap(p, NULL) == -EAGAIN ? hk_os_pidfd_signal(p->pidfd, signo) : -ESRCH;
}

int hank_process_wait(hank_process *p, int *ret_status)
{
    int rc = hk_checkpoint();
    while (rc == 0) {
        rc = reap(p, ret_status);
        if (rc != -EAGAIN)
            return rc;
        rc = hank_fd_wait(p->pidfd, HANK_READABLE);
        rc = rc > 0 ? 0 : rc;
    }
    return rc;
}

void hank_process_close(hank_process *p)
{
    if (!p)
        return;
    if (reap(p, NULL) == -EAGAIN) {
        hank_scope shield;
        (void)hank_process_signal(p, SIGKILL);
        hank_shield_begin(&shield);
        if (hank_process_wait(p, NULL) < 0)
            (void)hk_os_reap(p->pid); /* no memory or descriptor to wait politely: it dies anyway */
        hank_shield_end(&shield);
    }
    if (p->pidfd >= 0)
        (void)hk_os_close(p->pidfd);
    free_process(p);
}

/* --- communicating --------------------------------------------------------------------------- */

/* One pipe's share. Taken from the process; closed at the end. */
typedef struct channel {
    hank_stream *stream;
    const void *in;
    size_t max;
    char *bytes;
    size_t size; /* in: to write. out: read */
    size_t room;
} channel;

static int feed(void *arg)
{
    channel *c = arg;
    int rc = c->size > 0 ? hank_write(c->stream, c->in, c->size) : 0;
    hank_close(c->stream);
    c->stream = NULL;
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc; /* it wants no more */
}

/* Room for more, and for a NUL. */
static int grow(channel *c)
{
    size_t room = c->room ? c->room * 2 : OUTPUT_MIN;
    if (room > c->max + 1)
        room = c->max + 1;
    char *bytes = hk_alloc(room);
    if (!bytes)
        return -ENOMEM;
    if (c->size > 0)
        memcpy(bytes, c->bytes, c->size);
    hk_free(c->bytes, c->room);
    c->bytes = bytes;
    c->room = room;
    return 0;
}

static int drain(void *arg)
{
    channel *c = arg;
    char beyond;
    for (;;) {
        bool is_full = c->size == c->max;
        int rc = !is_full && c->size + 1 >= c->room ? grow(c) : 0;
        if (rc < 0)
            return rc;
        ssize_t n = is_full ? hank_read(c->stream, &beyond, 1)
                            : hank_read(c->stream, c->bytes + c->size, c->room - 1 - c->size);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        if (is_full)
            return -EMSGSIZE;
        c->size += (size_t)n;
    }
    c->bytes[c->size] = '\0';
    return 0;
}

/* Memory of its exact size, so that who frees it need not know how it grew. */
static int trim(channel *c)
{
    char *bytes = hk_alloc(c->size + 1);
    if (!bytes)
        return -ENOMEM;
    memcpy(bytes, c->bytes, c->size + 1);
    hk_free(c->bytes, c->room);
    c->bytes = bytes;
    c->room = c->size + 1;
    return 0;
}

static int talk_over_pipes(channel c[STDIO])
{
    hank_group g = {0};
    int rc = 0;
    for (int i = 0; i < STDIO && rc == 0; i++)
        if (c[i].stream)
            rc = hank_group_spawn(&g, i == 0 ? feed : drain, &c[i]);
    if (rc < 0)
        hank_group_cancel(&g);
    int its = hank_group_wait(&g);
    rc = rc < 0 ? rc : its;
    for (int i = 1; i < STDIO && rc == 0; i++)
        if (c[i].bytes)
            rc = trim(&c[i]);
    return rc;
}

int hank_process_communicate(hank_process *p, hank_process_talk *talk)
{
    size_t max = talk->max ? talk->max : OUTPUT_MAX;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    channel c[STDIO] = {{.in = talk->in, .size = talk->in_size}, {.max = max}, {.max = max}};
    for (int i = 0; i < STDIO; i++)
        c[i].stream = hank_process_take(p, i);
    int status = 0;
    rc = talk_over_pipes(c);
    if (rc == 0)
        rc = hank_process_wait(p, &status);
    for (int i = 0; i < STDIO; i++) {
        hank_close(c[i].stream);
        if (rc < 0)
            hk_free(c[i].bytes, c[i].room);
    }
    if (rc < 0)
        return rc;
    talk->out = c[1].bytes;
    talk->out_size = c[1].size;
    talk->err = c[2].bytes;
    talk->err_size = c[2].size;
    talk->status = status;
    return 0;
}

void hank_process_talk_done(hank_process_talk *talk)
{
    hk_free(talk->out, talk->out_size + 1);
    hk_free(talk->err, talk->err_size + 1);
    talk->out = talk->err = NULL;
    talk->out_size = talk->err_size = 0;
}
