/* SPDX-License-Identifier: MIT */
/* os_local.c - what concerns nobody but this process: its memory, its signals, errno, words.
 *
 * These are what they are in a simulation too; os.c and runtime/sim/ divide the rest. */
#include "base/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/os_call.h"

/* --- memory -------------------------------------------------------------------------------- */

int hk_os_unmap(void *base, size_t bytes)
{
    return munmap(base, bytes) == 0 ? 0 : -errno;
}

int hk_os_protect_none(void *base, size_t bytes)
{
    return (int)HK_SYS(HK_FAULT_PROTECT, mprotect(base, bytes, PROT_NONE));
}

int hk_os_advise(void *base, size_t bytes, int advice)
{
    return (int)HK_SYS(HK_FAULT_ADVISE, madvise(base, bytes, advice));
}

int hk_os_resident(void *base, size_t bytes, unsigned char *ret_pages)
{
    return (int)HK_SYS(HK_FAULT_ADVISE, mincore(base, bytes, ret_pages));
}

size_t hk_os_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* --- signals ------------------------------------------------------------------------------- */

size_t hk_os_signal_stack_min(void)
{
    long bytes = sysconf(_SC_MINSIGSTKSZ);
    return bytes > 0 ? (size_t)bytes : (size_t)MINSIGSTKSZ;
}

int hk_os_signal_raise(int signo)
{
    return raise(signo) == 0 ? 0 : -errno;
}

int hk_os_signal_action(int signo, const struct sigaction *action, struct sigaction *ret_old)
{
    return sigaction(signo, action, ret_old) == 0 ? 0 : -errno;
}

bool hk_os_signal_place(const void *context, hk_os_place *ret_place)
{
#if defined(__linux__) && defined(__x86_64__)
    const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;
    *ret_place = (hk_os_place){
        .pc = (uintptr_t)r[REG_RIP], .sp = (uintptr_t)r[REG_RSP], .fp = (uintptr_t)r[REG_RBP]};
    return true;
#elif defined(__linux__) && defined(__aarch64__)
    enum { FRAME_POINTER = 29 };
    const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
    *ret_place = (hk_os_place){.pc = m->pc, .sp = m->sp, .fp = m->regs[FRAME_POINTER]};
    return true;
#elif defined(__linux__) && defined(__riscv)
    enum { STACK_POINTER = 2, FRAME_POINTER = 8 };
    const unsigned long *r = ((const ucontext_t *)context)->uc_mcontext.__gregs;
    *ret_place = (hk_os_place){.pc = r[REG_PC], .sp = r[STACK_POINTER], .fp = r[FRAME_POINTER]};
    return true;
#else
    (void)context, (void)ret_place;
    return false;
#endif
}

int hk_os_thread_start_quietly(pthread_t *ret_thread, void *(*body)(void *), void *arg)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)hk_os_signal_mask(SIG_SETMASK, &all, &before); /* valid arguments: cannot fail */
    int rc = hk_os_thread_start(ret_thread, body, arg);
    (void)hk_os_signal_mask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* --- errno and words ----------------------------------------------------------------------- */

HK_THREAD_ACCESSOR int hk_os_errno(void)
{
    return errno;
}

HK_THREAD_ACCESSOR void hk_os_set_errno(int value)
{
    errno = value;
}

const char *hk_os_error_text(int error)
{
#ifdef __GLIBC__
    return strerrordesc_np(error); /* neither locale nor a buffer that threads share */
#else
    return strerror(error);
#endif
}

const char *hk_os_environment(const char *name)
{
    return getenv(name);
}

const char *hk_os_trusted_environment(const char *name)
{
    return secure_getenv(name);
}

size_t hk_os_describe_code(const void *address, char *ret_line, size_t n)
{
    Dl_info info = {0};
    const char *name = "?";
    uintptr_t base = 0;
    if (dladdr(address, &info) != 0 && info.dli_fname) {
        const char *slash = strrchr(info.dli_fname, '/');
        name = slash ? slash + 1 : info.dli_fname;
        base = (uintptr_t)(info.dli_sname ? info.dli_saddr : info.dli_fbase);
    }
    int length = snprintf(ret_line, n, "    %s(%s+0x%" PRIxPTR ") [0x%" PRIxPTR "]\n", name,
                          info.dli_sname ? info.dli_sname : "", (uintptr_t)address - base,
                          (uintptr_t)address);
    if (length < (int)n)
        return length < 0 ? 0 : (size_t)length;
    ret_line[n - 2] = '\n'; /* cut off */
    return n - 1;
}
