/* SPDX-License-Identifier: MIT */
/* storm.c - interrupts each thread of the process a thousand times a second, from its first
 * instruction to its last, if the environment says so: a part of every program of stress/. What is
 * true of the program without must be true of it then.
 *
 * With a handler that has system calls end with EINTR instead of going on. Threads that hank keeps
 * for itself have all signals blocked and are left in peace; what runs tasks has not. */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"

enum { SIGNO = SIGUSR2, PAUSE_MS = 1 };

static HK_ATOMIC(long) heard;

static void hear(int signo)
{
    (void)signo;
    (void)hk_add_relaxed(&heard, 1L);
}

static void interrupt_all(DIR *threads, long self)
{
    struct dirent *entry;
    rewinddir(threads);
    while ((entry = readdir(threads)) != NULL) {
        long thread = strtol(entry->d_name, NULL, 10);
        if (thread > 0 && thread != self)
            (void)syscall(SYS_tgkill, getpid(), thread, SIGNO); /* unless it has just ended */
    }
}

static void *storm(void *threads)
{
    long self = syscall(SYS_gettid);
    for (;;) {
        interrupt_all(threads, self);
        (void)poll(NULL, 0, PAUSE_MS);
    }
    return threads;
}

/* A storm that nobody has noticed shows nothing. */
static void tell(void)
{
    printf("%ld interruptions\n", hk_load_relaxed(&heard));
    if (hk_load_relaxed(&heard) == 0)
        _exit(1);
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_handler = hear};
    sigset_t all, before;
    pthread_t thread;
    if (!getenv("HANK_TEST_STORM"))
        return;
    (void)sigemptyset(&action.sa_mask);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    DIR *threads = opendir("/proc/self/task"); /* for good: programs count their descriptors */
    bool begun = threads && sigaction(SIGNO, &action, NULL) == 0 && atexit(tell) == 0 &&
                 pthread_create(&thread, NULL, storm, threads) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!begun)
        abort();
}
