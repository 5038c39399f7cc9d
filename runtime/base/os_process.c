/* SPDX-License-Identifier: MIT */
/* os_process.c - the system calls of other processes, and of signals that they send. */
#include "base/os.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os_call.h"

int hk_os_signal_catch(int signo, void (*handler)(int signo), struct sigaction *ret_before)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    return hk_os_signal_action(signo, &action, ret_before);
}

/* --- other processes ------------------------------------------------------------------------- */

enum { FIRST_FREE_FD = 3 };

static int add_actions(posix_spawn_file_actions_t *actions, const hk_os_child *child)
{
    int error = 0;
    for (int i = 0; i < FIRST_FREE_FD && error == 0; i++)
        if (child->fds[i] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, child->fds[i], i);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FREE_FD);
    if (error == 0 && child->directory)
        error = posix_spawn_file_actions_addchdir_np(actions, child->directory);
    return -error;
}

/* No signal blocked or ignored: what the parent does with its signals is its own. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0)
        error =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return -error;
}

int hk_os_spawn(const hk_os_child *child, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = hk_fault_check(HK_FAULT_SPAWN);
    if (rc == 0)
        rc = -posix_spawn_file_actions_init(&actions);
    if (rc < 0)
        return rc;
    rc = -posix_spawnattr_init(&attributes);
    if (rc < 0)
        goto destroy_actions;
    rc = add_actions(&actions, child);
    if (rc == 0)
        rc = set_attributes(&attributes);
    if (rc == 0) {
        char *const *arguments = (char *const *)(uintptr_t)child->arguments;
        char *const *environment = (char *const *)(uintptr_t)child->environment;
        rc = -posix_spawnp(ret_pid, arguments[0], &actions, &attributes, arguments,
                           environment ? environment : environ);
    }
    (void)posix_spawnattr_destroy(&attributes); /* cannot fail, like the next */

destroy_actions:
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int hk_os_pidfd(pid_t pid)
{
    return (int)HK_SYS(HK_FAULT_PIDFD, pidfd_open(pid, 0)); /* is born close-on-exec */
}

int hk_os_pidfd_signal(int pidfd, int signo)
{
    return (int)HK_SYS(HK_FAULT_KILL, pidfd_send_signal(pidfd, signo, NULL, 0));
}

int hk_os_pidfd_reap(int pidfd, int *ret_status)
{
    siginfo_t info = {.si_pid = 0};
    int rc =
        (int)HK_SYS_RETRY(HK_FAULT_WAITID, waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG));
    if (rc < 0)
        return rc;
    if (info.si_pid == 0)
        return -EAGAIN;
    *ret_status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 0;
}

int hk_os_signal_send(pid_t pid, int signo)
{
    return kill(pid, signo) == 0 ? 0 : -errno;
}

int hk_os_reap(pid_t pid)
{
    siginfo_t info;
    int rc;
    do
        rc = waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 ? 0 : -errno;
    while (rc == -EINTR);
    return rc;
}

/* A number above those that a child is given. Takes fd, also when it fails. */
static int move_up(int fd)
{
    if (fd >= FIRST_FREE_FD)
        return fd;
    int copy = hk_os_duplicate(fd);
    (void)hk_os_close(fd);
    return copy;
}

int hk_os_pipe_blocking(int ret_fds[2])
{
    int fds[2];
    int rc = (int)HK_SYS(HK_FAULT_SOCKET, pipe2(fds, O_CLOEXEC));
    if (rc < 0)
        return rc;
    fds[0] = move_up(fds[0]);
    fds[1] = move_up(fds[1]);
    rc = fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : 0;
    for (int i = 0; i < 2; i++) {
        if (rc == 0)
            ret_fds[i] = fds[i];
        else if (fds[i] >= 0)
            (void)hk_os_close(fds[i]);
    }
    return rc;
}
