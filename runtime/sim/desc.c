/* SPDX-License-Identifier: MIT */
/* desc.c - the numbers by which simulated files are called, and what works with any of them.
 *
 * The lowest free number is taken, as by a real system, so that whoever uses one after it was
 * closed meets a stranger. They begin far above real ones: only stdout and stderr are real, and
 * only for writing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "base/os.h"
#include "base/parts.h"
#include "sim/sim.h"

enum { FIRST = 1000, STDOUT = 1, STDERR = 2 };

static hk_sim_file **files;
static size_t files_n, files_capacity, open_n;
static char polling; /* what all who poll wait for: its address */

/* --- numbers ------------------------------------------------------------------------------- */

hk_sim_file *hk_sim_file_of(int fd)
{
    size_t i = (size_t)fd - FIRST;
    return fd >= FIRST && i < files_n ? files[i] : NULL;
}

int hk_sim_install(hk_sim_file *f)
{
    if (open_n >= hk_sim_options.descriptors)
        return -EMFILE;
    size_t i = 0;
    while (i < files_n && files[i])
        i++;
    if (i == files_n) {
        files = hk_sim_grow(files, &files_capacity, files_n, sizeof *files);
        files_n++;
    }
    files[i] = f;
    f->uses++;
    open_n++;
    return FIRST + (int)i;
}

size_t hk_sim_open_count(void)
{
    return open_n;
}

int hk_os_close(int fd)
{
    hk_sim_call();
    hk_sim_file *f = hk_sim_file_of(fd);
    hk_sim_note("close", fd, f != NULL);
    if (!f)
        return -EBADF;
    files[fd - FIRST] = NULL;
    open_n--;
    if (--f->uses > 0)
        return 0;
    hk_sim_watches_drop(f);
    f->kind->gone(f);
    return 0;
}

int hk_os_duplicate(int fd)
{
    hk_sim_call();
    hk_sim_file *f = hk_sim_file_of(fd);
    int rc = f ? hk_sim_install(f) : -EBADF;
    hk_sim_note("dup", fd, rc);
    return rc;
}

int hk_os_set_nonblocking(int fd)
{
    return hk_sim_file_of(fd) ? 0 : -EBADF; /* they all are */
}

int hk_os_set_cloexec(int fd)
{
    return hk_sim_file_of(fd) ? 0 : -EBADF; /* nothing is ever executed */
}

/* --- reading and writing -------------------------------------------------------------------- */

/* Why `f` is not read, or not written; NULL is no descriptor. */
static int no_way(const hk_sim_file *f)
{
    return f && !hk_sim_is_pipe(f) ? -EINVAL : -EBADF;
}

ssize_t hk_os_read(int fd, void *buffer, size_t n)
{
    hk_sim_call();
    hk_sim_file *f = hk_sim_file_of(fd);
    ssize_t rc = f && f->kind->read ? f->kind->read(f, buffer, n) : no_way(f);
    hk_sim_note("read", fd, rc);
    return rc;
}

/* Real ones are for what the program says; that is no event. */
ssize_t hk_os_write(int fd, const void *buffer, size_t n)
{
    if (fd == STDOUT || fd == STDERR) {
        hk_sim_host_write(fd, buffer, n);
        return (ssize_t)n;
    }
    hk_sim_call();
    hk_sim_file *f = hk_sim_file_of(fd);
    ssize_t rc = f && f->kind->write ? f->kind->write(f, buffer, n) : no_way(f);
    hk_sim_note("write", fd, rc);
    return rc;
}

/* The parts as one, of which as much as happens to go is written. */
ssize_t hk_os_writev(int fd, const struct iovec *parts, int n)
{
    size_t bytes = hk_parts_bytes(parts, (size_t)n);
    if (bytes == 0)
        return hk_os_write(fd, "", 0);
    char *joined = hk_sim_new(bytes);
    hk_parts_join(parts, (size_t)n, joined);
    ssize_t rc = hk_os_write(fd, joined, bytes);
    hk_sim_free(joined, bytes);
    return rc;
}

/* --- readiness ----------------------------------------------------------------------------- */

void hk_sim_changed(hk_sim_file *f, unsigned bits)
{
    hk_sim_watches_tell(f, bits);
    (void)hk_sim_wake(&polling, INT_MAX); /* each looks for itself */
}

static int look(struct pollfd *fds, unsigned n)
{
    int ready_n = 0;
    for (unsigned i = 0; i < n; i++) {
        hk_sim_file *f = hk_sim_file_of(fds[i].fd);
        unsigned ready = !f ? (unsigned)POLLNVAL : f->kind->ready ? f->kind->ready(f) : 0;
        unsigned always = POLLERR | POLLHUP | POLLNVAL;
        fds[i].revents = (short)(ready & ((unsigned)(unsigned short)fds[i].events | always));
        if (fds[i].fd < 0)
            fds[i].revents = 0;
        ready_n += fds[i].revents != 0;
    }
    return ready_n;
}

int hk_os_poll(struct pollfd *fds, unsigned n, int64_t timeout_ns)
{
    hk_sim_call();
    int64_t until = HK_SIM_NEVER;
    if (timeout_ns >= 0)
        until = hk_sim_now() + timeout_ns + hk_sim_between(0, hk_sim_temper_now.late_max);
    int rc = look(fds, n);
    if (rc == 0 && timeout_ns != 0 && hk_sim_chance(hk_sim_temper_now.interrupts))
        rc = -EINTR;
    while (rc == 0 && timeout_ns != 0) {
        bool woken = hk_sim_wait(&polling, "poll", until);
        rc = look(fds, n);
        if (!woken)
            break;
    }
    hk_sim_note("poll", n > 0 ? fds[0].fd : -1, rc);
    return rc;
}

/* --- eventfd ------------------------------------------------------------------------------- */

typedef struct counter {
    hk_sim_file file;
    uint64_t count;
} counter;

static ssize_t counter_read(hk_sim_file *f, void *buffer, size_t n)
{
    counter *c = (counter *)f;
    if (n < sizeof c->count)
        return -EINVAL;
    if (c->count == 0)
        return -EAGAIN;
    memcpy(buffer, &c->count, sizeof c->count);
    c->count = 0;
    hk_sim_changed(f, POLLOUT);
    return sizeof c->count;
}

static ssize_t counter_write(hk_sim_file *f, const void *buffer, size_t n)
{
    counter *c = (counter *)f;
    uint64_t add;
    if (n < sizeof add)
        return -EINVAL;
    memcpy(&add, buffer, sizeof add);
    if (add == UINT64_MAX)
        return -EINVAL;
    if (add > UINT64_MAX - 1 - c->count)
        return -EAGAIN;
    c->count += add;
    hk_sim_changed(f, POLLIN);
    return sizeof add;
}

static unsigned counter_ready(hk_sim_file *f)
{
    uint64_t count = ((counter *)f)->count;
    return (count > 0 ? POLLIN : 0u) | (count < UINT64_MAX - 1 ? POLLOUT : 0u);
}

static void counter_gone(hk_sim_file *f)
{
    hk_sim_free(f, sizeof(counter));
}

static const hk_sim_kind counters = {counter_read, counter_write, counter_ready, counter_gone};

int hk_os_eventfd(void)
{
    hk_sim_call();
    counter *c = hk_sim_new(sizeof *c);
    c->file.kind = &counters;
    int fd = hk_sim_install(&c->file);
    if (fd < 0)
        hk_sim_free(c, sizeof *c);
    hk_sim_note("eventfd", fd, 0);
    return fd;
}
