/* SPDX-License-Identifier: MIT */
/* os_fault_test.c - each function of base/os.h that makes a system call, when the call fails: as a
 * plan has it, for its arguments, or because the kernel refuses it. house.faults compares what is
 * here with the functions that there are. */
#include "base/fault.h"
#include "base/os.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PLANNED = -ENOTRECOVERABLE }; /* no call here fails with that by itself */

/* `call` fails if its first, or `nth`, call of `kind` does. */
#define FAILS_NTH(kind, nth, call)                                                                 \
    do {                                                                                           \
        hk_fault_plan_here(kind, nth, PLANNED);                                                    \
        cr_expect_eq((call), PLANNED, #call);                                                      \
        cr_expect(hk_fault_hit(), #call);                                                          \
        hk_fault_clear();                                                                          \
    } while (false)
#define FAILS(kind, call) FAILS_NTH(kind, 1, call)

static void *return_at_once(void *arg)
{
    return arg;
}

Test(os_fault, of_memory_threads_and_waiting)
{
    void *place = NULL;
    unsigned char page;
    char bytes[1];
    struct iovec range = {bytes, sizeof bytes};
    pthread_t thread;
    HK_ATOMIC(uint32_t) word = 0;
    struct pollfd nothing = {.fd = -1};
    FAILS(HK_FAULT_MAP, hk_os_map(1, &place));
    FAILS(HK_FAULT_PROTECT, hk_os_protect_none(place, 0));
    FAILS(HK_FAULT_ADVISE, hk_os_advise(place, 0, MADV_NORMAL));
    FAILS(HK_FAULT_ADVISE, hk_os_advise_many(&range, 1, MADV_COLD));
    FAILS(HK_FAULT_ADVISE, hk_os_resident(place, 0, &page));
    FAILS(HK_FAULT_THREAD, hk_os_thread_start(&thread, return_at_once, NULL));
    FAILS(HK_FAULT_THREAD, hk_os_thread_start_quietly(&thread, return_at_once, NULL));
    FAILS(HK_FAULT_FUTEX, hk_os_futex_wait(&word, 0, 0));
    FAILS(HK_FAULT_POLL, hk_os_poll(&nothing, 1, 0));
    cr_expect_null(place);
}

Test(os_fault, of_descriptors)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct stat about;
    int ends[2];
    cr_assert_eq(hk_os_pipe(ends), 0);
    FAILS(HK_FAULT_READ, hk_os_read(ends[0], &byte, 1));
    FAILS(HK_FAULT_WRITE, hk_os_write(ends[1], &byte, 1));
    FAILS(HK_FAULT_WRITE, hk_os_writev(ends[1], &part, 1));
    FAILS(HK_FAULT_FILE_READ, hk_os_read_stream(ends[0], &byte, 1));
    FAILS(HK_FAULT_FILE_WRITE, hk_os_write_quietly(ends[1], &part, 1));
    FAILS_NTH(HK_FAULT_SOCKOPT, 1, hk_os_set_nonblocking(ends[0]));
    FAILS_NTH(HK_FAULT_SOCKOPT, 2, hk_os_set_nonblocking(ends[0]));
    FAILS(HK_FAULT_OPEN, hk_os_duplicate(ends[0]));
    FAILS(HK_FAULT_OPEN, hk_os_reopen(ends[0], O_RDONLY));
    FAILS(HK_FAULT_OPEN, hk_os_access_mode(ends[0]));
    FAILS(HK_FAULT_OPEN, hk_os_set_cloexec(ends[0]));
    FAILS(HK_FAULT_OPEN, hk_os_open("/", O_RDONLY));
    FAILS(HK_FAULT_OPEN, hk_os_stat("/", &about));
    FAILS(HK_FAULT_OPEN, hk_os_unlink("/"));
    FAILS(HK_FAULT_SPLICE, hk_os_splice(ends[0], ends[1], 1));
    cr_expect_not(hk_os_has_positions(ends[0]), "a pipe has none");
    FAILS(HK_FAULT_CLOSE, hk_os_close(ends[0]));
    FAILS(HK_FAULT_CLOSE, hk_os_close(ends[1]));
    cr_expect_eq(hk_os_close(ends[1]), -EBADF, "it is closed, whatever the call said");
}

Test(os_fault, of_sockets)
{
    int fds[2];
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct mmsghdr messages = {.msg_hdr = message};
    struct sockaddr_storage place = {.ss_family = AF_UNIX};
    struct sockaddr *address = (struct sockaddr *)&place;
    struct addrinfo *list;
    socklen_t length = sizeof place;
    FAILS(HK_FAULT_SOCKET, hk_os_socket(AF_UNIX, SOCK_STREAM, 0));
    FAILS(HK_FAULT_SOCKET, hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds));
    FAILS(HK_FAULT_SOCKET, hk_os_pipe(fds));
    FAILS(HK_FAULT_SOCKET, hk_os_pipe_with(fds, 1));
    FAILS(HK_FAULT_SOCKOPT, hk_os_pipe_with(fds, 1));
    FAILS(HK_FAULT_SOCKET, hk_os_pipe_blocking(fds));
    FAILS(HK_FAULT_BIND, hk_os_bind(-1, address, length));
    FAILS(HK_FAULT_LISTEN, hk_os_listen(-1, 1));
    FAILS(HK_FAULT_ACCEPT, hk_os_accept(-1, address, &length));
    FAILS(HK_FAULT_CONNECT, hk_os_connect(-1, address, length));
    FAILS(HK_FAULT_RECV, hk_os_recv(-1, &byte, 1, 0));
    FAILS(HK_FAULT_RECV, hk_os_recvmsg(-1, &message, 0));
    FAILS(HK_FAULT_RECV, hk_os_recvmmsg(-1, &messages, 1, 0));
    FAILS(HK_FAULT_SEND, hk_os_send(-1, &byte, 1));
    FAILS(HK_FAULT_SEND, hk_os_sendv(-1, &part, 1));
    FAILS(HK_FAULT_SEND, hk_os_sendmsg(-1, &message));
    FAILS(HK_FAULT_SEND, hk_os_sendmmsg(-1, &messages, 1));
    FAILS(HK_FAULT_SHUTDOWN, hk_os_shutdown(-1, SHUT_WR));
    FAILS(HK_FAULT_SOCKOPT, hk_os_setsockopt(-1, 0, 0, &byte, 1));
    FAILS(HK_FAULT_SOCKOPT, hk_os_getsockopt(-1, 0, 0, &byte, &length));
    FAILS(HK_FAULT_SOCKOPT, hk_os_getsockname(-1, address, &length));
    FAILS(HK_FAULT_SOCKOPT, hk_os_getpeername(-1, address, &length));
    FAILS(HK_FAULT_RESOLVE, hk_os_getaddrinfo("localhost", NULL, NULL, &list));
    FAILS(HK_FAULT_RESOLVE, hk_os_getnameinfo(address, length, &byte, 1));
}

Test(os_fault, of_files)
{
    char byte = 0;
    struct stat about;
    DIR *dir;
    struct dirent *entry;
    FAILS(HK_FAULT_OPEN, hk_os_open_mode("/", O_RDONLY, 0));
    FAILS(HK_FAULT_FILE_READ, hk_os_pread(-1, &byte, 1, 0));
    FAILS(HK_FAULT_FILE_WRITE, hk_os_pwrite(-1, &byte, 1, 0));
    FAILS(HK_FAULT_SYNC, hk_os_sync(-1, true));
    FAILS(HK_FAULT_SYNC, hk_os_sync(-1, false));
    FAILS(HK_FAULT_STAT, hk_os_fstat(-1, &about));
    FAILS(HK_FAULT_STAT, hk_os_stat_target("/", &about));
    FAILS(HK_FAULT_SENDFILE, hk_os_sendfile(-1, -1, 0, 1));
    FAILS(HK_FAULT_COPY_RANGE, hk_os_copy_range(-1, 0, -1, 0, 1));
    FAILS(HK_FAULT_OPEN, hk_os_dir_open("/", &dir));
    FAILS(HK_FAULT_DIRECTORY, hk_os_dir_open("/", &dir));
    cr_assert_eq(hk_os_dir_open("/", &dir), 0);
    FAILS(HK_FAULT_DIRECTORY, hk_os_dir_next(dir, &entry));
    cr_expect_eq(hk_os_dir_next(dir, &entry), 1, "and goes on");
    hk_os_dir_close(dir);
}

Test(os_fault, of_processes)
{
    const char *const arguments[] = {"true", NULL};
    hk_os_child child = {.arguments = arguments, .fds = {-1, -1, -1}};
    pid_t pid;
    int status;
    FAILS(HK_FAULT_SPAWN, hk_os_spawn(&child, &pid));
    FAILS(HK_FAULT_PIDFD, hk_os_pidfd(getpid()));
    FAILS(HK_FAULT_KILL, hk_os_pidfd_signal(-1, 0));
    FAILS(HK_FAULT_WAITID, hk_os_pidfd_reap(-1, &status));
    cr_expect_eq(hk_os_reap(getpid()), -ECHILD);
    cr_expect_eq(hk_os_signal_send(INT_MAX, 0), -ESRCH);
}

/* Both ends are above those that a child is given, or there is no pipe. */
Test(os_fault, a_pipe_for_a_child_whose_end_cannot_be_moved_is_none)
{
    int fds[2];
    int next = hk_os_duplicate(STDERR_FILENO);
    cr_assert_geq(next, 0);
    (void)close(next);
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    FAILS_NTH(HK_FAULT_OPEN, 1, hk_os_pipe_blocking(fds));
    FAILS_NTH(HK_FAULT_OPEN, 2, hk_os_pipe_blocking(fds));
    cr_expect_eq(hk_os_duplicate(STDERR_FILENO), next, "none is left");
}

Test(os_fault, of_reactors)
{
    struct epoll_event event;
    FAILS(HK_FAULT_EPOLL_CREATE, hk_os_epoll_create());
    FAILS(HK_FAULT_EPOLL_CTL, hk_os_epoll_ctl(-1, EPOLL_CTL_ADD, -1, &event));
    FAILS(HK_FAULT_EPOLL_WAIT, hk_os_epoll_wait(-1, &event, 1, 0));
    FAILS(HK_FAULT_EPOLL_WAIT, hk_os_epoll_wait(-1, &event, 1, 1));
    FAILS(HK_FAULT_EVENTFD, hk_os_eventfd());
    FAILS(HK_FAULT_KQUEUE, hk_os_kqueue());
    FAILS(HK_FAULT_KEVENT, hk_os_kevent_change(-1, NULL, 0));
    FAILS(HK_FAULT_KEVENT, hk_os_kevent_receipts(-1, NULL, 0, NULL));
    FAILS(HK_FAULT_KEVENT, hk_os_kevent_wait(-1, NULL, 0, 0));
#if HK_URING
    uint32_t n = 1;
    FAILS(HK_FAULT_URING_SETUP, hk_os_uring_open(1, NULL, NULL));
    FAILS(HK_FAULT_MAP, hk_os_uring_open(1, NULL, NULL));
    FAILS(HK_FAULT_URING_ENTER, hk_os_uring_submit(NULL));
    FAILS(HK_FAULT_URING_ENTER, hk_os_uring_wait(NULL, 0));
    FAILS(HK_FAULT_URING_ENTER, hk_os_uring_look(NULL));
    FAILS(HK_FAULT_URING_REGISTER, hk_os_uring_probe(NULL, NULL, 0));
    FAILS(HK_FAULT_URING_REGISTER, hk_os_uring_lend(NULL, NULL));
    FAILS(HK_FAULT_URING_REGISTER, hk_os_uring_take_back(NULL, 0));
    FAILS(HK_FAULT_URING_REGISTER, hk_os_uring_cancel(NULL, NULL));
    FAILS(HK_FAULT_STAT, hk_os_uring_planned(UINT_MAX, &n));
    hk_fault_plan_here(HK_FAULT_URING_REQUEST, 1, PLANNED);
    cr_expect_eq(hk_os_uring_planned(0, &n), 1, "it is not to be taken");
    hk_fault_clear();
#endif
}

/* No plan can have them fail, but who calls them wrongly. */
Test(os_fault, for_arguments_that_cannot_be)
{
    enum { NO_SIGNAL = 4242, NO_WAY = 4242, NO_KEY = 1 << 20 };
    char small[16];
    stack_t stack = {.ss_sp = small, .ss_size = sizeof small};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    uint32_t words[2] = {0};
    if (HK_EMULATED)
        cr_skip_test("what an emulator makes of them is its own business");
    (void)sigemptyset(&none);
    cr_expect_eq(hk_os_unmap((void *)(uintptr_t)1, 1), -EINVAL);
    cr_expect_eq(hk_os_thread_pin(CPU_SETSIZE - 1), -EINVAL, "there are not so many CPUs");
    if (!HK_TSAN) /* which ends the process at the sight of it */
        cr_expect_eq(hk_os_thread_join(pthread_self()), -EDEADLK);
    cr_expect_eq(hk_os_thread_signal(pthread_self(), NO_SIGNAL), -EINVAL);
    cr_expect_eq(hk_os_thread_set(NO_KEY, NULL), -EINVAL);
    cr_expect_eq(hk_os_signal_stack(&stack, NULL), -ENOMEM);
    cr_expect_eq(hk_os_signal_raise(NO_SIGNAL), -EINVAL);
    cr_expect_eq(hk_os_signal_action(SIGKILL, &action, NULL), -EINVAL);
    cr_expect_eq(hk_os_signal_catch(SIGKILL, SIG_DFL, NULL), -EINVAL);
    cr_expect_eq(hk_os_signal_mask(NO_WAY, &none, NULL), -EINVAL);
    cr_expect_eq(hk_os_futex_wake((void *)((char *)words + 1), 1), -EINVAL, "half a word");
}

static HK_ATOMIC(uint32_t) is_detached;
static int detached_again;

static void *detach_twice(void *arg)
{
    (void)hk_os_thread_detach(pthread_self());
    detached_again = hk_os_thread_detach(pthread_self());
    hk_store_release(&is_detached, 1u); /* [test:detached] release */
    (void)hk_os_futex_wake(&is_detached, 1);
    return arg;
}

Test(os_fault, of_a_thread_that_has_been_given_up_already)
{
    pthread_t thread;
    if (HK_TSAN)
        cr_skip_test("ThreadSanitizer ends the process at the sight of it");
    cr_assert_eq(hk_os_thread_start(&thread, detach_twice, NULL), 0);
    while (hk_load_acquire(&is_detached) == 0) /* [test:detached] acquire */
        (void)hk_os_futex_wait(&is_detached, 0, -1);
    cr_expect_eq(detached_again, -EINVAL);
}

Test(os_fault, of_one_key_too_many)
{
    pthread_key_t key;
    int rc = 0;
    for (int i = 0; i <= PTHREAD_KEYS_MAX && rc == 0; i++)
        rc = hk_os_thread_key(&key, NULL);
    cr_expect_eq(rc, -EAGAIN);
}

/* --- what the kernel refuses ----------------------------------------------------------------- */

/* From here on the calls of that number fail with EPERM, in this test's process. */
static void refuse(long number)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    if (HK_EMULATED || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        cr_skip_test("nobody here can be refused a call");
}

Test(os_fault, without_a_handle_of_itself_a_process_cannot_advise_many_ranges)
{
    char bytes[1];
    struct iovec range = {bytes, sizeof bytes};
    refuse(SYS_pidfd_open);
    cr_expect_eq(hk_os_advise_many(&range, 1, MADV_COLD), -EPERM);
}

Test(os_fault, many_ranges_may_be_refused_advice)
{
    char bytes[1];
    struct iovec range = {bytes, sizeof bytes};
    refuse(SYS_process_madvise);
    cr_expect_eq(hk_os_advise_many(&range, 1, MADV_COLD), -EPERM);
}

Test(os_fault, without_random_numbers_of_the_kernel_the_clock_makes_some)
{
    refuse(SYS_getrandom);
    uint64_t one = hk_os_random(), other = hk_os_random();
    cr_expect_neq(one, 0);
    cr_expect_neq(one, other);
}

Test(os_fault, where_its_map_cannot_be_read_a_thread_does_not_know_its_stack)
{
    void *low = NULL;
    size_t bytes = 0;
    refuse(SYS_openat);
    cr_expect_eq(hk_os_thread_stack(&low, &bytes), -EPERM, "that of the main thread");
}

/* Nobody hears of these: they are favours, and all goes on without. */
Test(os_fault, who_is_refused_a_favour_goes_on)
{
    static const long favours[] = {SYS_prctl, SYS_sched_setattr, SYS_membarrier, SYS_sched_yield,
                                   SYS_ppoll};
    int nobody = -1;
    for (size_t i = 1; i < sizeof favours / sizeof *favours; i++)
        refuse(favours[i]);
    refuse(favours[0]); /* the last: it is how one refuses */
    hk_os_thread_name("renamed");
    hk_os_thread_hurry();
    hk_os_interrupt_threads_prepare();
    hk_os_interrupt_threads();
    hk_os_yield();
    hk_os_nap(&nobody, 1, INT64_MAX);
    char name[16] = "";
    int comm = hk_os_open("/proc/self/comm", O_RDONLY);
    cr_expect_gt(hk_os_read(comm, name, sizeof name - 1), 0);
    cr_expect_neq(strcmp(name, "renamed\n"), 0);
    (void)hk_os_close(comm);
}
