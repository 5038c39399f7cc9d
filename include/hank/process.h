/* SPDX-License-Identifier: MIT */
/* process.h - signals to this process.
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
 * takes over no signal that the program has not named. */
#ifndef HANK_PROCESS_H
#define HANK_PROCESS_H

#include <hank/base.h>

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
 *               thread to be had
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        the first in a process starts a thread, which the last hank_signal_end() ends */
HANK_API int hank_signal_begin(hank_signal *s, int signo);

/* Wait for the next delivery; at once if there has been one since the last call, or the begin.
 *
 *   result      how many deliveries, > 0: the system makes one of several that come together;
 *               -EBUSY another task waits with `s`; -ECANCELED; -ETIMEDOUT
 *   waits       while there has been none
 *   if stopped  nothing is lost: a later call tells
 *   threads     any task or thread, one at a time
 *   since       0.1 */
HANK_API int hank_signal_next(hank_signal *s);

/* Forget `s`. The last one to end for a signal gives back what the signal did before, unless
 * somebody has changed that meanwhile.
 *
 *   s           nobody may be waiting with it: that is a panic
 *   result      none
 *   waits       never
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_signal_end(hank_signal *s);

/* Wait for one delivery of `signo`: begin, next and end in one.
 *
 * Before and after the call the signal does what it always did. A loop needs hank_signal_begin().
 *
 *   result      how many deliveries, > 0; -EINVAL; -EAGAIN; -ECANCELED; -ETIMEDOUT
 *   waits       for a delivery
 *   if stopped  the signal is as before
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        as hank_signal_begin() and hank_signal_end() */
HANK_API int hank_signal_wait(int signo);

#ifdef __cplusplus
}
#endif
#endif
