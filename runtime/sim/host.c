/* SPDX-License-Identifier: MIT */
/* host.c - the real system beneath the simulated one: the only calls of it that this room makes.
 *
 * What they return decides nothing in a simulation, except where a run begins and how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "sim/sim.h"

#if HK_ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

/* --- words --------------------------------------------------------------------------------- */

void hk_sim_host_write(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, text, n);
        if (put < 0 && errno != EINTR)
            return; /* what cannot be said is not said */
        if (put > 0) {
            text += put;
            n -= (size_t)put;
        }
    }
}

void hk_sim_host_say(const char *format, ...)
{
    static char text[HK_SIM_TEXT_MAX]; /* may be on a small stack; one thread */
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n > 0)
        hk_sim_host_write(2, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

int hk_sim_host_open_trace(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        hk_panic("HANK_TRACE cannot be written: %s", path);
    return fd;
}

uint64_t hk_sim_host_random(void)
{
    uint64_t value = 0;
    if (getentropy(&value, sizeof value) != 0)
        value = (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15);
    return value;
}

/* --- memory -------------------------------------------------------------------------------- */

void *hk_sim_host_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void hk_sim_host_unshare(void *memory, size_t bytes)
{
    (void)munmap(memory, bytes); /* ours: cannot fail */
}

/* Addresses are handed out one after the other and never twice, so that they are the same in every
 * process: how much of a stack is left, for one, depends on where it lies. Where that range of
 * addresses is taken, anything will do. */
static char *next_address = (char *)(uintptr_t)UINT64_C(0x200000000000);

void *hk_sim_host_map(size_t bytes)
{
    enum { PAGE_MAX = 65536 };
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = MAP_FAILED;
#ifdef MAP_FIXED_NOREPLACE
    base = mmap(next_address, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (base != MAP_FAILED && base != next_address) { /* a kernel that does not know the flag */
        (void)munmap(base, bytes);                    /* ours: cannot fail */
        base = MAP_FAILED;
    }
    next_address += (bytes + PAGE_MAX - 1) / PAGE_MAX * PAGE_MAX;
#endif
    if (base == MAP_FAILED)
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

void *hk_sim_host_stack(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *base = hk_sim_host_map(bytes);
    if (base)
        (void)mprotect(base, page, PROT_NONE); /* without it an overflow is not found at once */
    return base;
}

int hk_sim_host_own_stack(void **ret_low, size_t *ret_bytes)
{
    pthread_attr_t attributes;
    int rc = -pthread_getattr_np(pthread_self(), &attributes);
    if (rc < 0)
        return rc;
    rc = -pthread_attr_getstack(&attributes, ret_low, ret_bytes);
    (void)pthread_attr_destroy(&attributes); /* cannot fail on an initialised one */
    return rc;
}

int hk_sim_host_signal_stack(const stack_t *stack, stack_t *ret_old)
{
    return sigaltstack(stack, ret_old) == 0 ? 0 : -errno;
}

int hk_sim_host_probe(const void *word, uint32_t expected)
{
    static const struct timespec no_time;
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &no_time, NULL, 0);
    return rc < 0 && errno == EFAULT ? -EFAULT : 0;
}

/* --- processes ----------------------------------------------------------------------------- */

/* The words of the command line, as a shell would want them. */
size_t hk_sim_host_command(char *ret_text, size_t n)
{
    static char raw[HK_SIM_TEXT_MAX]; /* may be on a small stack; one thread */
    size_t used = 0;
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, raw, sizeof raw);
    if (fd >= 0)
        (void)close(fd); /* it was only read */
    for (ssize_t at = 0; at < length;) {
        size_t word = strnlen(raw + at, (size_t)(length - at));
        bool plain =
            word > 0 && strspn(raw + at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                                         "XYZ0123456789/._-=+:,@%") >= word;
        int put = snprintf(ret_text + used, n - used, plain ? "%s%.*s" : "%s'%.*s'",
                           at > 0 ? " " : "", (int)word, raw + at);
        if (put < 0 || (size_t)put >= n - used)
            break;
        used += (size_t)put;
        at += (ssize_t)word + 1;
    }
    ret_text[used] = '\0';
    return used;
}

int hk_sim_host_fork(void)
{
    (void)fflush(NULL); /* else the child would write it a second time */
    int pid = fork();
    return pid < 0 ? -errno : pid;
}

/* Until the child has ended, or so long. Kernels before 5.3 do not tell: then without a limit. */
static bool await_end(int pid, unsigned seconds)
{
    enum { MS_PER_SECOND = 1000 };
    struct pollfd child = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    if (child.fd < 0)
        return true;
    int rc;
    do
        rc = poll(&child, 1, (int)seconds * MS_PER_SECOND);
    while (rc < 0 && errno == EINTR);
    (void)close(child.fd); /* it was only to wait */
    return rc != 0;
}

int hk_sim_host_wait(int pid, unsigned seconds)
{
    int status;
    bool ended = await_end(pid, seconds);
    if (!ended)
        (void)kill(pid, SIGKILL); /* it hangs */
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return ended ? status : -1;
}

void hk_sim_host_exit(int status)
{
    (void)fflush(NULL); /* what the program printed */
#if HK_ASAN && !defined(__clang__)
    if (__lsan_do_recoverable_leak_check() != 0 && status == 0)
        status = 23; /* what the tool itself exits with */
#endif
    _exit(status);
}

void hk_sim_host_exit_all(int status)
{
    exit(status);
}

/* --- bad ends ------------------------------------------------------------------------------ */

static void (*say_end)(void);

static void on_abort(int signo)
{
    (void)signo; /* SIGABRT, which goes on to kill the process */
    if (say_end)
        say_end();
}

#ifdef __GLIBC__
static void on_failure(int status, void *context)
{
    (void)context;
    if (status != 0 && say_end)
        say_end();
}
#endif

void hk_sim_host_watch_ends(void (*say)(void))
{
    bool first = !say_end;
    say_end = say;
    struct sigaction old;
    if (!first || sigaction(SIGABRT, NULL, &old) != 0 || old.sa_handler != SIG_DFL)
        return;
    struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGABRT, &action, NULL); /* valid: cannot fail */
#ifdef __GLIBC__
    (void)on_exit(on_failure, NULL); /* no memory: the seed is not told */
#endif
}

/* --- the one thread ------------------------------------------------------------------------ */

static _Thread_local bool is_ours;
static bool is_owned;

void hk_sim_host_own_thread(void)
{
    if (is_ours)
        return;
    if (is_owned)
        hk_panic("a second real thread calls hank: in a simulation threads come from "
                 "hank_sim_thread_start()");
    is_owned = is_ours = true;
}
