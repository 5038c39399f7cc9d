/* SPDX-License-Identifier: MIT */
/* refused.c - what the simulated machine does not have: directories, other processes and their
 * signals, moving bytes inside the kernel, and rings of operations. Each call says so, and
 * docs/simulation.md does; tests/sim/seam_test.py counts them. For the last two hank has a way of
 * its own. */
#include <errno.h>

#include "base/os.h"

int hk_os_dir_open(const char *path, DIR **ret_dir)
{
    (void)path, (void)ret_dir;
    return -ENOSYS;
}

int hk_os_dir_next(DIR *dir, struct dirent **ret_entry)
{
    (void)dir, (void)ret_entry;
    return -ENOSYS;
}

void hk_os_dir_close(DIR *dir)
{
    (void)dir; /* there is none */
}

int hk_os_spawn(const hk_os_child *child, pid_t *ret_pid)
{
    (void)child, (void)ret_pid;
    return -ENOSYS;
}

int hk_os_pidfd(pid_t pid)
{
    (void)pid;
    return -ENOSYS;
}

int hk_os_pidfd_signal(int pidfd, int signo)
{
    (void)pidfd, (void)signo;
    return -ENOSYS;
}

int hk_os_pidfd_reap(int pidfd, int *ret_status)
{
    (void)pidfd, (void)ret_status;
    return -ENOSYS;
}

int hk_os_thread_signal(pthread_t thread, int signo)
{
    (void)thread, (void)signo;
    return -ENOSYS;
}

int hk_os_signal_send(pid_t pid, int signo)
{
    (void)pid, (void)signo;
    return -ENOSYS;
}

int hk_os_signal_catch(int signo, void (*handler)(int signo), struct sigaction *ret_before)
{
    (void)signo, (void)handler, (void)ret_before;
    return -ENOSYS;
}

int hk_os_reap(pid_t pid)
{
    (void)pid;
    return -ENOSYS;
}

int hk_os_pipe_blocking(int ret_fds[2])
{
    (void)ret_fds;
    return -ENOSYS;
}

ssize_t hk_os_sendfile(int to, int from, int64_t offset, size_t n)
{
    (void)to, (void)from, (void)offset, (void)n;
    return -ENOSYS;
}

int hk_os_pipe_with(int ret_fds[2], int bytes)
{
    (void)ret_fds, (void)bytes;
    return -ENOSYS;
}

ssize_t hk_os_splice(int from, int to, size_t n)
{
    (void)from, (void)to, (void)n;
    return -ENOSYS;
}

ssize_t hk_os_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t n)
{
    (void)from, (void)from_offset, (void)to, (void)to_offset, (void)n;
    return -ENOSYS;
}

int hk_os_uring_open(unsigned entries, struct io_uring *ret_ring, struct io_uring_params *params)
{
    (void)entries, (void)ret_ring, (void)params;
    return -ENOSYS;
}

void hk_os_uring_close(struct io_uring *ring)
{
    (void)ring;
}

int hk_os_uring_submit(struct io_uring *ring)
{
    (void)ring;
    return -ENOSYS;
}

int hk_os_uring_wait(struct io_uring *ring, int64_t timeout_ns)
{
    (void)ring, (void)timeout_ns;
    return -ENOSYS;
}

int hk_os_uring_look(struct io_uring *ring)
{
    (void)ring;
    return -ENOSYS;
}

int hk_os_uring_probe(struct io_uring *ring, struct io_uring_probe *ret_answer, unsigned n)
{
    (void)ring, (void)ret_answer, (void)n;
    return -ENOSYS;
}

int hk_os_uring_lend(struct io_uring *ring, struct io_uring_buf_reg *buffers)
{
    (void)ring, (void)buffers;
    return -ENOSYS;
}

int hk_os_uring_take_back(struct io_uring *ring, int group)
{
    (void)ring, (void)group;
    return -ENOSYS;
}

int hk_os_uring_cancel(struct io_uring *ring, struct io_uring_sync_cancel_reg *what)
{
    (void)ring, (void)what;
    return -ENOSYS;
}

int hk_os_uring_planned(unsigned operation, uint32_t *n)
{
    (void)operation, (void)n;
    return 1;
}

void hk_os_uring_stat(const void *answer, struct stat *ret_stat)
{
    (void)answer, (void)ret_stat;
}
