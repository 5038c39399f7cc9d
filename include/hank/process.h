/* SPDX-License-Identifier: MIT */
/* process.h - other processes, and signals to this one.
 *
 * A signal handler may do next to nothing. Here a signal is something a task waits for:
 *
 *     hank_signal hup;
 *     hank_signal_begin(&hup, SIGHUP);
 *     while (hank_signal_next(&hup) > 0)
 *         reload();
 *     hank_signal_end(&hup);
 *
 * From begin to end the signal does nothing but end such waits, all of them, in any number of
 * tasks and threads; after the last end it does what it did before the first begin. hank itself
 * takes over no signal that the program has not named, and other processes need no SIGCHLD.
 *
 * In a signal handler one call of hank may be made: hank_bell_ring(). That is for a program that
 * has a handler of its own, because it must look at the interrupted code, or because a library has
 * taken the signal; a task waits with hank_bell_next(). */
#ifndef HANK_PROCESS_H
#define HANK_PROCESS_H

#include <hank/base.h>
#include <hank/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One wish to be told of a signal. */
typedef struct hank_signal {
    uint64_t opaque_[12];
} hank_signal;

/* From here on, remember deliveries of `signo` instead of letting them take effect.
 *
 *   s           written, and kept until hank_signal_end(); need not be zeroed
 *   signo       SIGHUP, SIGUSR1, ...
 *   result      0; -EINVAL no such signal, or one that nobody can wait for: SIGKILL, SIGSTOP, and
 *               SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, which stop an instruction; -EAGAIN no
 *               thread to be had; -ENOSYS in a simulation
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        the first in a process starts a thread, which the last hank_signal_end() ends */
HANK_API int hank_signal_begin(hank_signal *s, int signo);

/* Wait for the next delivery; at once if there has been one since the last call, or the begin.
 *
 *   result      how many deliveries, > 0: the system makes one of several that come together;
 *               -EBUSY another task waits with `s`; -ECANCELED; -ETIMEDOUT; -ESHUTDOWN in a child
 *               forked since the begin, which has no more signals to come
 *   waits       while there has been none
 *   if stopped  nothing is lost: a later call tells
 *   threads     any task or thread, one at a time
 *   since       0.1 */
HANK_API int hank_signal_next(hank_signal *s);

/* Forget `s`. The last one to end for a signal gives back what the signal did before, unless
 * somebody has changed that meanwhile.
 *
 *   s           nobody may be waiting with it: that is a panic that names it and the task
 *   result      none
 *   waits       never
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_signal_end(hank_signal *s);

/* Wait for one delivery of `signo`: begin, next and end in one.
 *
 * Before and after the call the signal does what it always did. A loop needs hank_signal_begin().
 *
 *   result      how many deliveries, > 0; -EINVAL; -EAGAIN; -ENOSYS; -ECANCELED; -ETIMEDOUT
 *   waits       for a delivery
 *   if stopped  the signal is as before
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        as hank_signal_begin() and hank_signal_end() */
HANK_API int hank_signal_wait(int signo);

/* --- bells ----------------------------------------------------------------------------------- */

/* Something that a signal handler may ring, and a task hears. */
typedef struct hank_bell {
    uint64_t opaque_[12];
} hank_bell;

/* From here on `b` may be rung.
 *
 *   b           written, and kept until hank_bell_end(); need not be zeroed
 *   result      0; -EAGAIN no thread to be had
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        as hank_signal_begin() */
HANK_API int hank_bell_begin(hank_bell *b);

/* End the wait for `b`, or the next one if there is none. Whoever is told of it sees what was done
 * before.
 *
 *   b           between begin and end
 *   result      none; errno is left alone
 *   waits       never
 *   threads     any task, thread or signal handler, at the same time: async-signal-safe
 *   since       0.1
 *   cost        no lock and no memory; a system call, to wake the thread that hands it on */
HANK_API void hank_bell_ring(hank_bell *b);

/* Wait for the next ring; at once if there has been one since the last call, or the begin.
 *
 *   result      how many rings, > 0: none is lost; -EBUSY another task waits with `b`; -ECANCELED;
 *               -ETIMEDOUT; -ESHUTDOWN in a child forked since the begin, where nobody hears it
 *   waits       while there has been none
 *   if stopped  nothing is lost: a later call tells
 *   threads     any task or thread, one at a time
 *   since       0.1 */
HANK_API int hank_bell_next(hank_bell *b);

/* Forget `b`.
 *
 *   b           nobody may ring it any more: its signal has another handler by now. Nor may anybody
 *               be waiting with it: that is a panic that names it and the task
 *   result      none
 *   waits       never
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_bell_end(hank_bell *b);

/* --- other processes ------------------------------------------------------------------------- */

typedef struct hank_process hank_process;

/* What a child has as its standard input, output or error. */
enum {
    HANK_STDIO_INHERIT = 0, /* what we have */
    HANK_STDIO_PIPE = -1,   /* a pipe; hank_process_take() gives the stream at our end */
    HANK_STDIO_NULL = -2,   /* /dev/null */
    HANK_STDIO_OUT = -3,    /* error only: what the output is */
};

/* For hank_process_spawn(). Zero is the default of each. */
typedef struct hank_process_options {
    const char *const *environment; /* "NAME=value", NULL at the end; NULL: ours */
    const char *directory;          /* to start in; NULL: ours */
    int in;                         /* HANK_STDIO_*, or a descriptor above 0, which stays ours */
    int out;
    int err;
    uint64_t reserved_[4]; /* zero */
} hank_process_options;

/* Start a program.
 *
 * The child has its three standard descriptors and no others, and no signal blocked or ignored.
 *
 *   arguments   the program, looked for in PATH unless its name has a '/', its arguments, NULL
 *   options     NULL: all defaults
 *   ret         the caller's, to be given to hank_process_close()
 *   result      0; -EINVAL; -ENOENT, -EACCES, -ENOEXEC, ... the program cannot be started or the
 *               directory entered; -EBADF a descriptor is not open; -EMFILE; -ENFILE; -EAGAIN too
 *               many processes; -ENOMEM; -ENOSYS no such system call
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        system calls; holds up the worker until the program has been found */
HANK_API int hank_process_spawn(const char *const *arguments, const hank_process_options *options,
                                hank_process **ret);

/* Its number, as in ps(1). The system may use it again after hank_process_close().
 *
 *   result      > 0
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API pid_t hank_process_id(hank_process *p);

/* Our end of one of its pipes, from now on the caller's to close.
 *
 *   which       0, 1, 2: its input (to write to), output, error (to read from)
 *   result      the stream; NULL: it is no pipe, or was taken before
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API hank_stream *hank_process_take(hank_process *p, int which);

/* Wait until it has ended. Pipes may still be open then, in a child of its own.
 *
 *   ret_status  written if the result is 0: what it exited with, 0 to 255; or -N, signal N ended
 *               it. NULL is fine
 *   result      0, also when it was known before; -ECHILD it has ended and nobody knows how: the
 *               program ignores SIGCHLD, or has reaped it by itself; -EMFILE; -ENOMEM;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       until it has ended
 *   if stopped  it runs on
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_process_wait(hank_process *p, int *ret_status);

/* Send it a signal: SIGTERM to ask, SIGKILL to end it. Never hits another process.
 *
 *   signo       0 sends none: the result says whether it has ended
 *   result      0; -ESRCH it has ended; -EINVAL no such signal; -EPERM it is somebody else's now
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_process_signal(hank_process *p, int signo);

/* For hank_process_communicate(). Zeroed but for what is to be sent. */
typedef struct hank_process_talk {
    const void *in; /* to be written to its input */
    size_t in_size;
    size_t max; /* bytes of output, and of error, that are too many; 0: 16 MiB */
    char *out;  /* what it wrote, with a NUL behind it; NULL: no pipe, or taken */
    size_t out_size;
    char *err;
    size_t err_size;
    int status; /* as hank_process_wait() */
} hank_process_talk;

/* Write its input, read its output and its error until they end, all at the same time, and wait
 * for it. A process that does not want its input is no failure.
 *
 *   talk        in, in_size and max are read; the rest is written if the result is 0, and then the
 *               caller's to give to hank_process_talk_done()
 *   result      0; -EMSGSIZE more than `max`; -ENOMEM; -EPERM outside a task; else as
 *               hank_process_wait() and hank_read()
 *   waits       until pipes and process have ended
 *   if stopped  the process runs on, its pipes are closed, and what was read is lost
 *   threads     any task, one at a time
 *   since       0.1
 *   cost        a task a pipe; memory grows with the output */
HANK_API int hank_process_communicate(hank_process *p, hank_process_talk *talk);

/* Give back what hank_process_communicate() has read.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_process_talk_done(hank_process_talk *talk);

/* Close its pipes, and free `p`. If it still runs it is killed, and reaped: nothing is left.
 *
 *   p           taken: nobody may be using it; NULL is fine
 *   result      none
 *   waits       for a process that had to be killed; no stop ends that
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_process_close(hank_process *p);

#ifdef __cplusplus
}
#endif
#endif
