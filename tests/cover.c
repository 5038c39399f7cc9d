/* SPDX-License-Identifier: MIT */
/* cover.c - counters of processes that end without a goodbye are kept too: linked into the programs
 * of the coverage preset, in front of _exit, abort and the last word on a fault. */
#include <gcov.h>
#include <signal.h>
#include <stdlib.h>

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
void __real_abort(void) __attribute__((noreturn));
void __wrap_abort(void) __attribute__((noreturn));
int __real_sigaction(int signo, const struct sigaction *action, struct sigaction *ret_old);
int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *ret_old);

void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}

void __wrap_abort(void)
{
    __gcov_dump();
    __real_abort();
}

int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *ret_old)
{
    if (action && action->sa_handler == SIG_DFL && (signo == SIGSEGV || signo == SIGBUS)) {
        __gcov_dump(); /* the fault will come again, and nobody is asked */
        __gcov_reset();
    }
    return __real_sigaction(signo, action, ret_old);
}
