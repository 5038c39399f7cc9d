/* SPDX-License-Identifier: MIT */
/* os.h - every system call, clock and random number hank uses.
 *
 * A seam: tests fail the n-th call, the simulator replaces the world, and tests/tidy.py refuses
 * system calls anywhere else. Each function is the call of its name, except that a failure is a
 * negative errno and errno itself is left alone; interrupted calls that may simply be made again
 * are made again. Descriptors are born close-on-exec and, for sockets, non-blocking. */
#ifndef HK_BASE_OS_H
#define HK_BASE_OS_H

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "base/atomic.h"
#include "base/compiler.h"

struct epoll_event;
struct io_uring;
struct io_uring_buf_reg;
struct io_uring_params;
struct io_uring_probe;
struct io_uring_sync_cancel_reg;
struct kevent;
struct addrinfo;
struct pollfd;
struct stat;
struct mmsghdr;

/* Time: nanoseconds on the monotonic clock. */
int64_t hk_os_now(void);
void hk_os_sleep(int64_t ns);
enum { HK_NAP_FDS_MAX = 8 };
void hk_os_nap(const int *fds, unsigned n, int64_t ns); /* or until one of them is readable */
void hk_os_yield(void);                                 /* let another thread have this CPU */

/* Memory. */
int hk_os_map(size_t bytes, void **ret_base); /* private, zeroed, NORESERVE */
int hk_os_unmap(void *base, size_t bytes);
int hk_os_protect_none(void *base, size_t bytes);
int hk_os_advise(void *base, size_t bytes, int advice);
ssize_t hk_os_advise_many(const struct iovec *ranges, size_t n, int advice); /* this process */
int hk_os_resident(void *base, size_t bytes, unsigned char *ret_pages); /* a byte a page: bit 0 */
size_t hk_os_page_bytes(void);

/* Threads. */
int hk_os_thread_start(pthread_t *ret_thread, void *(*body)(void *), void *arg);
/* The same with every signal blocked there: signals are the program's. */
int hk_os_thread_start_quietly(pthread_t *ret_thread, void *(*body)(void *), void *arg);
int hk_os_thread_join(pthread_t thread);
int hk_os_thread_detach(pthread_t thread);
void hk_os_interrupt_threads_prepare(void); /* else the first of the next takes longer */
void hk_os_interrupt_threads(void); /* each of ours on a CPU has been in the kernel, or soon is */
int hk_os_thread_signal(pthread_t thread, int signo); /* a thread that has not been joined */
pthread_t hk_os_thread_self(void); /* of a plain thread: a task may change threads */
bool hk_os_thread_is_main(void);   /* is the caller the thread that the process began with? */
int hk_os_thread_key(pthread_key_t *ret_key, void (*at_exit)(void *value));
int hk_os_thread_set(pthread_key_t key, void *value); /* the caller's own, for the key's at_exit */
void hk_os_thread_name(const char *name);             /* of the caller, 15 bytes kept */
int hk_os_thread_pin(unsigned cpu);                   /* the caller */
void hk_os_thread_hurry(void); /* the caller, who never computes for long: a hint */
int hk_os_thread_stack(void **ret_low, size_t *ret_bytes); /* the caller's own */
int hk_os_at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void));
int hk_os_signal_stack(const stack_t *stack, stack_t *ret_old);
size_t hk_os_signal_stack_min(void); /* what one signal frame can take on this CPU */
int hk_os_signal_raise(int signo);   /* to the caller's thread */
int hk_os_signal_action(int signo, const struct sigaction *action, struct sigaction *ret_old);
/* Where the thread was that a signal has interrupted, from the third argument of its handler;
 * false: that is not known for this CPU. */
typedef struct hk_os_place {
    uintptr_t pc, sp, fp;
} hk_os_place;
bool hk_os_signal_place(const void *context, hk_os_place *ret_place);
int hk_os_signal_mask(int how, const sigset_t *set, sigset_t *ret_old);

/* Sleep while *word == expected. 0: woken or it never was; -ETIMEDOUT; -EINTR is retried by the
 * caller, who re-reads the word anyway. timeout_ns < 0: for ever. */
int hk_os_futex_wait(HK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t timeout_ns);
int hk_os_futex_wake(HK_ATOMIC(uint32_t) * word, int n);

/* Descriptors. */
int hk_os_close(int fd); /* EINTR counts as closed, as on Linux it is */
ssize_t hk_os_read(int fd, void *buffer, size_t n);
ssize_t hk_os_write(int fd, const void *buffer, size_t n);
ssize_t hk_os_writev(int fd, const struct iovec *parts, int n);
int hk_os_set_nonblocking(int fd);
int hk_os_open(const char *path, int flags);
int hk_os_duplicate(int fd);
int hk_os_poll(struct pollfd *fds, unsigned n, int64_t timeout_ns); /* < 0: for ever; may -EINTR */
int hk_os_stat(const char *path, struct stat *ret_stat);            /* of a link itself */
int hk_os_unlink(const char *path);

/* As hk_os_environment(), but NULL in a program that has more rights than whoever started it. */
const char *hk_os_trusted_environment(const char *name);

/* Processes: os_process.c. `fds` are the child's 0, 1 and 2 (-1: as ours), each above 2; it has no
 * others, and every signal is as after a boot. */
typedef struct hk_os_child {
    const char *const *arguments;
    const char *const *environment; /* NULL: ours */
    const char *directory;          /* NULL: ours */
    int fds[3];
} hk_os_child;

int hk_os_spawn(const hk_os_child *child, pid_t *ret_pid); /* PATH is searched; blocks a moment */
int hk_os_pidfd(pid_t pid);
int hk_os_pidfd_signal(int pidfd, int signo);
int hk_os_pidfd_reap(int pidfd, int *ret_status); /* -EAGAIN it runs. Exit status, or -signal */
int hk_os_signal_send(pid_t pid, int signo);      /* to a child that has not been reaped */
/* Have `handler` called, and system calls go on after it. */
int hk_os_signal_catch(int signo, void (*handler)(int signo), struct sigaction *ret_before);
int hk_os_reap(pid_t pid);               /* blocks until that child is gone: after SIGKILL */
int hk_os_pipe_blocking(int ret_fds[2]); /* for a child; each above 2 */

/* Sockets. */
int hk_os_socket(int family, int type, int protocol);
int hk_os_socketpair(int family, int type, int ret_fds[2]);
int hk_os_pipe(int ret_fds[2]);
int hk_os_bind(int fd, const struct sockaddr *address, socklen_t length);
int hk_os_listen(int fd, int backlog);
int hk_os_accept(int fd, struct sockaddr *ret_address, socklen_t *length);
int hk_os_connect(int fd, const struct sockaddr *address, socklen_t length);
ssize_t hk_os_recv(int fd, void *buffer, size_t n, int flags);
ssize_t hk_os_send(int fd, const void *buffer, size_t n); /* MSG_NOSIGNAL */
ssize_t hk_os_sendv(int fd, const struct iovec *parts, int n);
int hk_os_shutdown(int fd, int how);
int hk_os_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int hk_os_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *length);
int hk_os_getsockname(int fd, struct sockaddr *ret_address, socklen_t *length);
int hk_os_getpeername(int fd, struct sockaddr *ret_address, socklen_t *length);

/* os_io.c. A short count can be planned for those that move bytes (base/os_call.h). */
ssize_t hk_os_write_quietly(int fd, const struct iovec *parts, int n); /* n > 0; never SIGPIPE */
ssize_t hk_os_read_stream(int fd, void *buffer, size_t n); /* hk_os_read with faults of its own */
ssize_t hk_os_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t hk_os_sendmsg(int fd, const struct msghdr *message);                 /* MSG_NOSIGNAL */
int hk_os_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags); /* Linux */
int hk_os_sendmmsg(int fd, struct mmsghdr *messages, unsigned n);            /* Linux */
ssize_t hk_os_splice(int from, int to, size_t n); /* one is a pipe; never SIGPIPE */
int hk_os_pipe_with(int ret_fds[2], int bytes);   /* with so much room, or not at all */

/* Of a descriptor somebody else opened. */
int hk_os_reopen(int fd, int flags); /* the same file, with flags of its own; not for sockets, and
                                        -ENOTSUP for the master of a terminal */
int hk_os_access_mode(int fd);       /* O_RDONLY, O_WRONLY, O_RDWR */
int hk_os_set_cloexec(int fd);
bool hk_os_has_positions(int fd); /* no pipe, socket or terminal */

/* Files. These block for as long as disks do: only for threads that may. */
int hk_os_open_mode(const char *path, int flags, unsigned mode);
ssize_t hk_os_pread(int fd, void *buffer, size_t n, int64_t offset);
ssize_t hk_os_pwrite(int fd, const void *buffer, size_t n, int64_t offset);
int hk_os_sync(int fd, bool data_only);
int hk_os_fstat(int fd, struct stat *ret_stat);
int hk_os_stat_target(const char *path, struct stat *ret_stat);     /* what a link leads to */
ssize_t hk_os_sendfile(int to, int from, int64_t offset, size_t n); /* never SIGPIPE */
ssize_t hk_os_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t n);
int hk_os_dir_open(const char *path, DIR **ret_dir);
int hk_os_dir_next(DIR *dir, struct dirent **ret_entry); /* 1; 0 no more */
void hk_os_dir_close(DIR *dir);

int64_t hk_os_process_id(void);

/* Blocks: only for threads of the blocking pool. 0, a negative errno, or a resolver's code as
 * base/error.h has it. */
int hk_os_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                      struct addrinfo **ret_list);
void hk_os_freeaddrinfo(struct addrinfo *list);
int hk_os_getnameinfo(const struct sockaddr *address, socklen_t length, char *ret_host, size_t n);

/* Linux readiness. */
int hk_os_epoll_create(void);
int hk_os_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int hk_os_epoll_wait(int epoll, struct epoll_event *ret_events, int max, int64_t timeout_ns);
int hk_os_eventfd(void);

/* Linux completion: os_uring.c, of a ring of liburing's. `submit` tells how many were. `wait` is
 * until there is a completion, or for timeout_ns (< 0: for ever), which ends with -ETIME; -EINTR: a
 * signal. `look` has the kernel tell what it has put off. What `probe` tells of is zeroed and has
 * room for n operations. `lend` gives the kernel a group of buffers, `take_back` ends that. */
int hk_os_uring_open(unsigned entries, struct io_uring *ret_ring, struct io_uring_params *params);
void hk_os_uring_close(struct io_uring *ring);
int hk_os_uring_submit(struct io_uring *ring);
int hk_os_uring_wait(struct io_uring *ring, int64_t timeout_ns);
int hk_os_uring_look(struct io_uring *ring);
int hk_os_uring_probe(struct io_uring *ring, struct io_uring_probe *ret_answer, unsigned n);
int hk_os_uring_lend(struct io_uring *ring, struct io_uring_buf_reg *buffers);
int hk_os_uring_take_back(struct io_uring *ring, int group);
int hk_os_uring_cancel(struct io_uring *ring, struct io_uring_sync_cancel_reg *what);

/* What a test has planned for a request, of `operation`, which makes some other call: 0, and *n may
 * be less; the error it is to end with; 1: it is not to be taken. */
int hk_os_uring_planned(unsigned operation, uint32_t *n);

/* What the kernel says of a file there, as stat(2) says it. */
void hk_os_uring_stat(const void *answer, struct stat *ret_stat);

/* errno itself, for who must carry it from one thread to another. */
int hk_os_errno(void);
void hk_os_set_errno(int value);

/* BSD readiness: os_kqueue.c, where it is built in. `change` stops at the first change that fails
 * and returns why; `receipts` makes them all (with EV_RECEIPT) and returns one receipt each. */
int hk_os_kqueue(void);
int hk_os_kevent_change(int queue, const struct kevent *changes, int n);
int hk_os_kevent_receipts(int queue, const struct kevent *changes, int n,
                          struct kevent *ret_receipts);
int hk_os_kevent_wait(int queue, struct kevent *ret_events, int max, int64_t timeout_ns);

/* The system's words for an errno: a constant in the C locale; NULL for a stranger. */
const char *hk_os_error_text(int error);

/* A line about the code at `address`: "    module(function+0x12) [0x...]"; without a name, the
 * place in the module. Its length, < n, with the newline. May take locks of the C library. */
size_t hk_os_describe_code(const void *address, char *ret_line, size_t n);

/* A variable of the environment; NULL: there is none. */
const char *hk_os_environment(const char *name);

/* Chance: for seeds and for spreading load; not for secrets. */
uint64_t hk_os_random(void);

#endif
