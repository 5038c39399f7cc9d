/* SPDX-License-Identifier: MIT */
/* os.c - the system calls themselves, each behind the fault check of its kind.
 *
 * errno is read here and in os_local.c, in the same expression as the call: no task switch can come
 * between the two. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/os_call.h"

#ifdef __linux__
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#endif

enum { NS_PER_SECOND = 1000 * 1000 * 1000 };

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND),
                             .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

/* --- time ---------------------------------------------------------------------------------- */

int64_t hk_os_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

void hk_os_sleep(int64_t ns)
{
    struct timespec duration = to_timespec(ns < 0 ? 0 : ns);
    (void)nanosleep(&duration, NULL); /* waking early is harmless to every caller */
}

void hk_os_yield(void)
{
    (void)sched_yield(); /* cannot fail on Linux */
}

/* --- memory -------------------------------------------------------------------------------- */

int hk_os_map(size_t bytes, void **ret_base)
{
    int fault = hk_fault_check(HK_FAULT_MAP);
    if (fault)
        return fault;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    *ret_base = base;
    return 0;
}

ssize_t hk_os_advise_many(const struct iovec *ranges, size_t n, int advice)
{
#ifdef __linux__
    /* pid << 32 | descriptor + 1: one word, so that nobody pairs this process with its parent's
     * descriptor after a fork(). */
    static HK_ATOMIC(uint64_t) self;
    int fault = hk_fault_check(HK_FAULT_ADVISE);
    if (fault)
        return fault;
    uint64_t pid = (uint64_t)getpid();
    uint64_t known = hk_load_relaxed(&self); /* relaxed: the word is all there is to know */
    if (known >> 32 != pid) {
        long opened = syscall(SYS_pidfd_open, (pid_t)pid, 0);
        if (opened < 0)
            return -errno;
        uint64_t ours = pid << 32 | (uint64_t)(opened + 1);
        if (hk_cas_relaxed(&self, &known, ours))
            known = ours;
        else
            (void)close((int)opened); /* another thread was first */
    }
    int fd = (int)(known & UINT32_MAX) - 1;
    ssize_t done = syscall(SYS_process_madvise, fd, ranges, n, advice, 0);
    return done < 0 ? -errno : done;
#else
    (void)ranges, (void)n, (void)advice;
    return -ENOSYS;
#endif
}

/* --- threads ------------------------------------------------------------------------------- */

int hk_os_thread_start(pthread_t *ret_thread, void *(*body)(void *), void *arg)
{
    int fault = hk_fault_check(HK_FAULT_THREAD);
    return fault ? fault : -pthread_create(ret_thread, NULL, body, arg);
}

int hk_os_thread_join(pthread_t thread)
{
    return -pthread_join(thread, NULL);
}

int hk_os_thread_detach(pthread_t thread)
{
    return -pthread_detach(thread);
}

int hk_os_thread_signal(pthread_t thread, int signo)
{
    return -pthread_kill(thread, signo);
}

pthread_t hk_os_thread_self(void)
{
    return pthread_self();
}

int hk_os_thread_key(pthread_key_t *ret_key, void (*at_exit)(void *value))
{
    return -pthread_key_create(ret_key, at_exit);
}

int hk_os_thread_set(pthread_key_t key, void *value)
{
    return -pthread_setspecific(key, value);
}

void hk_os_thread_name(const char *name)
{
#ifdef __linux__
    (void)pthread_setname_np(pthread_self(), name); /* only for people: may fail */
#else
    (void)name;
#endif
}

bool hk_os_thread_is_main(void)
{
#ifdef __linux__
    return getpid() == (pid_t)syscall(SYS_gettid);
#else
    return pthread_main_np() != 0;
#endif
}

int hk_os_at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void))
{
    return -pthread_atfork(before, in_parent, in_child);
}

/* Who asks the kernel for less at a time is served sooner when it wakes, from Linux 6.12 on; older
 * ones have no use for the number. All else stays as the process was started. */
void hk_os_thread_hurry(void)
{
#if defined __linux__ && defined SYS_sched_setattr
    enum { SLICE_NS = 100 * 1000 }; /* the least there is */
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice_ns, deadline, period;
    } wish = {.size = 0}; /* struct sched_attr, as the first kernels had it */
    if (syscall(SYS_sched_getattr, 0, &wish, sizeof wish, 0) < 0 || wish.policy != SCHED_OTHER)
        return;
    wish.slice_ns = SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &wish, 0); /* refused: then not */
#endif
}

int hk_os_thread_pin(unsigned cpu)
{
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
    (void)cpu;
    return -ENOTSUP;
#endif
}

int hk_os_thread_stack(void **ret_low, size_t *ret_bytes)
{
    pthread_attr_t attributes;
    int rc = -pthread_getattr_np(pthread_self(), &attributes);
    if (rc < 0)
        return rc;
    rc = -pthread_attr_getstack(&attributes, ret_low, ret_bytes);
    (void)pthread_attr_destroy(&attributes); /* cannot fail on an initialised one */
    return rc;
}

int hk_os_signal_stack(const stack_t *stack, stack_t *ret_old)
{
    return sigaltstack(stack, ret_old) == 0 ? 0 : -errno;
}

int hk_os_signal_mask(int how, const sigset_t *set, sigset_t *ret_old)
{
    return -pthread_sigmask(how, set, ret_old);
}

#ifdef __linux__
int hk_os_futex_wait(HK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec timeout = to_timespec(timeout_ns < 0 ? 0 : timeout_ns);
    int rc = (int)HK_SYS(HK_FAULT_FUTEX, syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                                                 timeout_ns < 0 ? NULL : &timeout, NULL, 0));
    return rc == -EAGAIN ? 0 : rc;
}

int hk_os_futex_wake(HK_ATOMIC(uint32_t) * word, int n)
{
    long woken = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
    return woken < 0 ? -errno : (int)woken;
}
#endif

/* --- descriptors --------------------------------------------------------------------------- */

int hk_os_close(int fd)
{
    if (close(fd) == 0 || errno == EINTR)
        return hk_fault_check(HK_FAULT_CLOSE);
    return -errno;
}

ssize_t hk_os_read(int fd, void *buffer, size_t n)
{
    return HK_SYS_SHORT(HK_FAULT_READ, n, read(fd, buffer, n));
}

ssize_t hk_os_write(int fd, const void *buffer, size_t n)
{
    return HK_SYS_SHORT(HK_FAULT_WRITE, n, write(fd, buffer, n));
}

ssize_t hk_os_writev(int fd, const struct iovec *parts, int n)
{
    return HK_SYS_RETRY(HK_FAULT_WRITE, writev(fd, parts, n));
}

int hk_os_set_nonblocking(int fd)
{
    int flags = (int)HK_SYS(HK_FAULT_SOCKOPT, fcntl(fd, F_GETFL));
    if (flags < 0)
        return flags;
    return (int)HK_SYS(HK_FAULT_SOCKOPT, fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int hk_os_open(const char *path, int flags)
{
    return (int)HK_SYS_RETRY(HK_FAULT_OPEN, open(path, flags | O_CLOEXEC, 0600));
}

int hk_os_duplicate(int fd)
{
    return (int)HK_SYS(HK_FAULT_OPEN, fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int hk_os_poll(struct pollfd *fds, unsigned n, int64_t timeout_ns)
{
    struct timespec timeout = to_timespec(timeout_ns < 0 ? 0 : timeout_ns);
    return (int)HK_SYS(HK_FAULT_POLL, ppoll(fds, n, timeout_ns < 0 ? NULL : &timeout, NULL));
}

void hk_os_nap(const int *fds, unsigned n, int64_t ns)
{
    struct pollfd each[HK_NAP_FDS_MAX];
    struct timespec timeout = to_timespec(ns);
    for (unsigned i = 0; i < n && i < HK_NAP_FDS_MAX; i++)
        each[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    (void)ppoll(each, n, &timeout, NULL); /* waking early is harmless to every caller */
}

int hk_os_stat(const char *path, struct stat *ret_stat)
{
    return (int)HK_SYS(HK_FAULT_OPEN, lstat(path, ret_stat));
}

int hk_os_unlink(const char *path)
{
    return (int)HK_SYS(HK_FAULT_OPEN, unlink(path));
}

/* --- sockets ------------------------------------------------------------------------------- */

int hk_os_socket(int family, int type, int protocol)
{
    return (int)HK_SYS(HK_FAULT_SOCKET,
                       socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int hk_os_socketpair(int family, int type, int ret_fds[2])
{
    return (int)HK_SYS(HK_FAULT_SOCKET,
                       socketpair(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds));
}

int hk_os_pipe(int ret_fds[2])
{
    return (int)HK_SYS(HK_FAULT_SOCKET, pipe2(ret_fds, O_CLOEXEC | O_NONBLOCK));
}

int hk_os_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)HK_SYS(HK_FAULT_BIND, bind(fd, address, length));
}

int hk_os_listen(int fd, int backlog)
{
    return (int)HK_SYS(HK_FAULT_LISTEN, listen(fd, backlog));
}

int hk_os_accept(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    return (int)HK_SYS_RETRY_AT(HK_FAULT_ACCEPT, fd,
                                accept4(fd, ret_address, length, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* ThreadSanitizer takes every connect for the birth of its descriptor. One to nowhere breaks a
 * connection that others are reading from, whose order is the kernel's business: it does not see
 * that one. */
static int connect_socket(int fd, const struct sockaddr *address, socklen_t length)
{
#if HK_TSAN && defined SYS_connect
    if (address->sa_family == AF_UNSPEC)
        return (int)syscall(SYS_connect, fd, address, length);
#endif
    return connect(fd, address, length);
}

int hk_os_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    /* Not made again: an interrupted connect goes on by itself and is waited for. */
    int rc = (int)HK_SYS(HK_FAULT_CONNECT, connect_socket(fd, address, length));
    return rc == -EINTR ? -EINPROGRESS : rc;
}

/* The sanitizers want to see who writes where. */
#if defined __linux__ && defined SYS_recvfrom && defined SYS_sendto && !HK_ASAN && !HK_TSAN
#define RECEIVE(fd, buffer, n, flags)                                                              \
    hk_kernel_move(SYS_recvfrom, fd, (long)(buffer), (long)(n), flags)
#define SEND(fd, buffer, n, flags) hk_kernel_move(SYS_sendto, fd, (long)(buffer), (long)(n), flags)
#else
#define RECEIVE(fd, buffer, n, flags) HK_SYS_VALUE(recv(fd, buffer, n, flags))
#define SEND(fd, buffer, n, flags)    HK_SYS_VALUE(send(fd, buffer, n, flags))
#endif

ssize_t hk_os_recv(int fd, void *buffer, size_t n, int flags)
{
    return HK_SYS_MOVE(HK_FAULT_RECV, fd, n, RECEIVE(fd, buffer, n, flags));
}

ssize_t hk_os_send(int fd, const void *buffer, size_t n)
{
    return HK_SYS_MOVE(HK_FAULT_SEND, fd, n, SEND(fd, buffer, n, MSG_NOSIGNAL));
}

int hk_os_shutdown(int fd, int how)
{
    return (int)HK_SYS(HK_FAULT_SHUTDOWN, shutdown(fd, how));
}

int hk_os_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    return (int)HK_SYS(HK_FAULT_SOCKOPT, setsockopt(fd, level, name, value, length));
}

int hk_os_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *length)
{
    return (int)HK_SYS(HK_FAULT_SOCKOPT, getsockopt(fd, level, name, ret_value, length));
}

int hk_os_getsockname(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    return (int)HK_SYS(HK_FAULT_SOCKOPT, getsockname(fd, ret_address, length));
}

int hk_os_getpeername(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    return (int)HK_SYS(HK_FAULT_SOCKOPT, getpeername(fd, ret_address, length));
}

int hk_os_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                      struct addrinfo **ret_list)
{
    int fault = hk_fault_check(HK_FAULT_RESOLVE);
    if (fault)
        return fault;
    int code = getaddrinfo(host, service, hints, ret_list);
    return code == EAI_SYSTEM ? -errno : hk_error_of_resolver(code);
}

void hk_os_freeaddrinfo(struct addrinfo *list)
{
    freeaddrinfo(list);
}

int hk_os_getnameinfo(const struct sockaddr *address, socklen_t length, char *ret_host, size_t n)
{
    int fault = hk_fault_check(HK_FAULT_RESOLVE);
    if (fault)
        return fault;
    int code = getnameinfo(address, length, ret_host, (socklen_t)n, NULL, 0, NI_NAMEREQD);
    return code == EAI_SYSTEM ? -errno : hk_error_of_resolver(code);
}

/* --- Linux readiness ----------------------------------------------------------------------- */

#ifdef __linux__
int hk_os_epoll_create(void)
{
    return (int)HK_SYS(HK_FAULT_EPOLL_CREATE, epoll_create1(EPOLL_CLOEXEC));
}

int hk_os_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return (int)HK_SYS(HK_FAULT_EPOLL_CTL, epoll_ctl(epoll, operation, fd, event));
}

/* Rounded up: a wait that ends early would only be made again. */
static int to_milliseconds(int64_t ns)
{
    enum { NS_PER_MS = 1000 * 1000 };
    if (ns < 0)
        return -1;
    int64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

int hk_os_epoll_wait(int epoll, struct epoll_event *ret_events, int max, int64_t timeout_ns)
{
    /* Kernels before 5.11 and emulators know milliseconds only. Relaxed: asking again is harmless.
     * A poll and a wait for ever need no nanoseconds and take the entry everybody knows. */
    static HK_ATOMIC(bool) coarse_only;
    if (timeout_ns > 0 && !hk_load_relaxed(&coarse_only)) {
        struct timespec timeout = to_timespec(timeout_ns);
        int rc =
            (int)HK_SYS(HK_FAULT_EPOLL_WAIT, epoll_pwait2(epoll, ret_events, max, &timeout, NULL));
        if (rc != -ENOSYS)
            return rc;
        hk_store_relaxed(&coarse_only, true);
    }
    return (int)HK_SYS(HK_FAULT_EPOLL_WAIT,
                       epoll_wait(epoll, ret_events, max, to_milliseconds(timeout_ns)));
}

int hk_os_eventfd(void)
{
    return (int)HK_SYS(HK_FAULT_EVENTFD, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}
#endif

/* --- chance -------------------------------------------------------------------------------- */

uint64_t hk_os_random(void)
{
    uint64_t value = 0;
    if (getentropy(&value, sizeof value) != 0)
        value = (uint64_t)hk_os_now() * UINT64_C(0x9e3779b97f4a7c15);
    return value;
}
