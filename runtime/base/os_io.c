/* SPDX-License-Identifier: MIT */
/* os_io.c - the system calls of datagrams, descriptor passing, files and directories; the part of
 * os.c that needs no more of it than os_call.h.
 *
 * Writing to a pipe whose reader is gone raises SIGPIPE, and unlike send(2), write(2) has no flag
 * against it before Linux 6.18. So the signal is blocked around the call and taken back if the
 * call raised it: a library must not change what the program does with its signals. A reader that
 * goes in the middle of a call raises it, too, though the call tells of what was moved before. */
#include "base/os.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os_call.h"
#include "base/parts.h"

#ifdef __linux__
#include <sys/sendfile.h>
#include <sys/syscall.h>
#endif

/* --- without SIGPIPE ------------------------------------------------------------------------- */

/* What the caller's thread had before: hush begins, unhush ends. */
typedef struct hush {
    sigset_t before;
    bool pending; /* somebody else's, to be left alone */
} hush;

static void hush_begin(hush *h)
{
    sigset_t pipe, pending;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    h->pending = sigismember(&pending, SIGPIPE) == 1;
    (void)hk_os_signal_mask(SIG_BLOCK, &pipe, &h->before); /* valid arguments: cannot fail */
}

/* Of `n` bytes. All of them, or none yet: nothing was raised. */
static void hush_end(hush *h, ssize_t result, size_t n)
{
    sigset_t pipe;
    struct timespec now = {0};
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    bool is_cut = result == -EPIPE || (result > 0 && (size_t)result < n);
    if (is_cut && !h->pending)
        (void)sigtimedwait(&pipe, NULL, &now); /* ours: it is directed at this thread */
    (void)hk_os_signal_mask(SIG_SETMASK, &h->before, NULL);
}

#ifdef __linux__
/* -EOPNOTSUPP: this kernel does not know the flag. */
static ssize_t write_unsignalled(int fd, const struct iovec *parts, int n)
{
    enum { NO_SIGNAL = 0x100 };     /* RWF_NOSIGNAL */
    static HK_ATOMIC(bool) unknown; /* relaxed: asking again is harmless */
    if (hk_load_relaxed(&unknown))
        return -EOPNOTSUPP;
    ssize_t put = pwritev2(fd, parts, n, -1, NO_SIGNAL);
    if (put >= 0)
        return put;
    int error = errno;
    if (error != EOPNOTSUPP && error != ENOSYS)
        return -error;
    hk_store_relaxed(&unknown, true);
    return -EOPNOTSUPP;
}
#else
static ssize_t write_unsignalled(int fd, const struct iovec *parts, int n)
{
    (void)fd, (void)parts, (void)n;
    return -EOPNOTSUPP;
}
#endif

/* What a planned short count leaves of the parts: some of the first, of which there is a copy. */
static const struct iovec *shorten(int fault, struct iovec *first, const struct iovec *parts,
                                   int *n)
{
    if (fault <= 0 || (size_t)fault >= first->iov_len)
        return parts;
    first->iov_len = (size_t)fault;
    *n = 1;
    return first;
}

ssize_t hk_os_write_quietly(int fd, const struct iovec *parts, int n)
{
    struct iovec first = parts[0];
    for (;;) {
        int fault = hk_fault_check(HK_FAULT_FILE_WRITE);
        parts = shorten(fault, &first, parts, &n);
        hk_fault_said(HK_FAULT_FILE_WRITE, fd, fault);
        ssize_t put = fault < 0 ? fault : write_unsignalled(fd, parts, n);
        if (put == -EOPNOTSUPP) {
            hush h;
            hush_begin(&h);
            put = writev(fd, parts, n);
            if (put < 0)
                put = -errno;
            hush_end(&h, put, hk_parts_bytes(parts, (size_t)n));
        }
        if (put != -EINTR)
            return put;
    }
}

ssize_t hk_os_read_stream(int fd, void *buffer, size_t n)
{
    return HK_SYS_MOVE(HK_FAULT_FILE_READ, fd, n, HK_SYS_VALUE(read(fd, buffer, n)));
}

/* --- messages -------------------------------------------------------------------------------- */

ssize_t hk_os_sendv(int fd, const struct iovec *parts, int n)
{
    struct iovec first = parts[0];
    ssize_t put;
    do {
        int fault = hk_fault_check(HK_FAULT_SEND);
        parts = shorten(fault, &first, parts, &n);
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                 .msg_iovlen = (size_t)n};
        hk_fault_said(HK_FAULT_SEND, fd, fault);
        put = fault < 0 ? fault : HK_SYS_VALUE(sendmsg(fd, &message, MSG_NOSIGNAL));
    } while (put == -EINTR);
    return put;
}

ssize_t hk_os_recvmsg(int fd, struct msghdr *message, int flags)
{
    return HK_SYS_RETRY_AT(HK_FAULT_RECV, fd, recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC));
}

ssize_t hk_os_sendmsg(int fd, const struct msghdr *message)
{
    return HK_SYS_RETRY_AT(HK_FAULT_SEND, fd, sendmsg(fd, message, MSG_NOSIGNAL));
}

#ifdef __linux__
int hk_os_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    return (int)HK_SYS_MOVE(HK_FAULT_RECV, fd, n,
                            HK_SYS_VALUE(recvmmsg(fd, messages, n, flags, NULL)));
}

int hk_os_sendmmsg(int fd, struct mmsghdr *messages, unsigned n)
{
    return (int)HK_SYS_MOVE(HK_FAULT_SEND, fd, n,
                            HK_SYS_VALUE(sendmmsg(fd, messages, n, MSG_NOSIGNAL)));
}
#endif

/* --- files ----------------------------------------------------------------------------------- */

int hk_os_open_mode(const char *path, int flags, unsigned mode)
{
    return (int)HK_SYS_RETRY(HK_FAULT_OPEN, open(path, flags | O_CLOEXEC, (mode_t)mode));
}

int hk_os_reopen(int fd, int flags)
{
#ifdef TIOCGPTN
    int number;
    if (ioctl(fd, TIOCGPTN, &number) == 0) /* a master, whose file makes new terminals */
        return -ENOTSUP;
#endif
    char path[sizeof "/proc/self/fd/" + 12];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return hk_os_open(path, flags);
}

int hk_os_access_mode(int fd)
{
    int flags = (int)HK_SYS(HK_FAULT_OPEN, fcntl(fd, F_GETFL));
    return flags < 0 ? flags : flags & O_ACCMODE;
}

int hk_os_set_cloexec(int fd)
{
    return (int)HK_SYS(HK_FAULT_OPEN, fcntl(fd, F_SETFD, FD_CLOEXEC));
}

bool hk_os_has_positions(int fd)
{
    return lseek(fd, 0, SEEK_CUR) >= 0;
}

ssize_t hk_os_pread(int fd, void *buffer, size_t n, int64_t offset)
{
    return HK_SYS_SHORT(HK_FAULT_FILE_READ, n, pread(fd, buffer, n, (off_t)offset));
}

ssize_t hk_os_pwrite(int fd, const void *buffer, size_t n, int64_t offset)
{
    return HK_SYS_SHORT(HK_FAULT_FILE_WRITE, n, pwrite(fd, buffer, n, (off_t)offset));
}

int hk_os_sync(int fd, bool data_only)
{
    return (int)HK_SYS_RETRY(HK_FAULT_SYNC, data_only ? fdatasync(fd) : fsync(fd));
}

int hk_os_fstat(int fd, struct stat *ret_stat)
{
    return (int)HK_SYS(HK_FAULT_STAT, fstat(fd, ret_stat));
}

int hk_os_stat_target(const char *path, struct stat *ret_stat)
{
    return (int)HK_SYS(HK_FAULT_STAT, stat(path, ret_stat));
}

/* --- between descriptors --------------------------------------------------------------------- */

#ifdef __linux__
ssize_t hk_os_sendfile(int to, int from, int64_t offset, size_t n)
{
    hush h;
    off_t at = (off_t)offset;
    hush_begin(&h);
    ssize_t done = HK_SYS_SHORT(HK_FAULT_SENDFILE, n, sendfile(to, from, &at, n));
    hush_end(&h, done, n);
    return done;
}

ssize_t hk_os_splice(int from, int to, size_t n)
{
    hush h;
    hush_begin(&h);
    ssize_t done =
        HK_SYS_SHORT(HK_FAULT_SPLICE, n, splice(from, NULL, to, NULL, n, SPLICE_F_NONBLOCK));
    hush_end(&h, done, n);
    return done;
}

int hk_os_pipe_with(int ret_fds[2], int bytes)
{
    int rc = hk_os_pipe(ret_fds);
    if (rc < 0)
        return rc;
    rc = (int)HK_SYS(HK_FAULT_SOCKOPT, fcntl(ret_fds[1], F_SETPIPE_SZ, bytes));
    if (rc < 0) {
        (void)hk_os_close(ret_fds[0]); /* nothing is in it */
        (void)hk_os_close(ret_fds[1]);
    }
    return rc < 0 ? rc : 0;
}

ssize_t hk_os_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t n)
{
    off_t in = (off_t)from_offset, out = (off_t)to_offset;
    return HK_SYS_SHORT(HK_FAULT_COPY_RANGE, n, copy_file_range(from, &in, to, &out, n, 0));
}
#else
ssize_t hk_os_sendfile(int to, int from, int64_t offset, size_t n)
{
    (void)to, (void)from, (void)offset, (void)n;
    return -ENOSYS;
}

ssize_t hk_os_splice(int from, int to, size_t n)
{
    (void)from, (void)to, (void)n;
    return -ENOSYS;
}

int hk_os_pipe_with(int ret_fds[2], int bytes)
{
    (void)ret_fds, (void)bytes;
    return -ENOSYS;
}

ssize_t hk_os_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t n)
{
    (void)from, (void)from_offset, (void)to, (void)to_offset, (void)n;
    return -ENOSYS;
}
#endif

/* --- directories ----------------------------------------------------------------------------- */

int hk_os_dir_open(const char *path, DIR **ret_dir)
{
    int fd = hk_os_open_mode(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int fault = hk_fault_check(HK_FAULT_DIRECTORY);
    DIR *dir = fault ? NULL : fdopendir(fd);
    if (!dir) {
        int error = fault ? fault : -errno;
        (void)close(fd); /* nothing was written to it */
        return error;
    }
    *ret_dir = dir;
    return 0;
}

int hk_os_dir_next(DIR *dir, struct dirent **ret_entry)
{
    int fault = hk_fault_check(HK_FAULT_DIRECTORY);
    if (fault)
        return fault;
    errno = 0;
    struct dirent *entry = readdir(dir); /* each DIR has one user at a time */
    if (!entry)
        return -errno;
    *ret_entry = entry;
    return 1;
}

void hk_os_dir_close(DIR *dir)
{
    (void)closedir(dir); /* it was only read */
}

int64_t hk_os_process_id(void)
{
    return (int64_t)getpid();
}
