/* SPDX-License-Identifier: MIT */
/* overflow.c - say whose stack it was that overflowed, before the process dies of it.
 *
 * A stack that has overflowed cannot run a handler, so each thread that runs fibers has another
 * one: with 64 KiB and a guard of its own, because what we chain to may be somebody's unwinder
 * that needs as much.
 *
 * We only add words. What happens to the signal is decided by whoever was there before us; by
 * default, the faulting instruction is run again and kills the process where it stands.
 *
 * All here is async-signal-safe: no allocation, no lock, no stdio. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "base/os.h"
#include "fiber/arena.h"
#include "fiber/stack.h"

enum { ALTERNATE_BYTES = 64 * 1024, ALTERNATE_SPARE = 32 * 1024 };
enum { STDERR = 2 };

typedef void describe_function(hk_fiber *f, int fd);

/* previous_*   written once, before our handler is installed
 * describe     swapped at any time */
static HK_ATOMIC(describe_function *) describe;
static hk_lock watch_lock;
static bool watching HK_GUARDED_BY(watch_lock);
static struct sigaction previous_segv, previous_bus;

/* The calling thread's alternate stack. Entering nests; `map` is NULL where somebody else's was
 * big enough. */
static HK_THREAD_LOCAL struct {
    void *map;
    size_t bytes;
    stack_t old;
    unsigned depth;
} alternate;

void hk_overflow_freeze(void)
{
    hk_lock_freeze(&watch_lock);
}

void hk_overflow_thaw(void)
{
    hk_lock_thaw(&watch_lock);
}

/* --- the message --------------------------------------------------------------------------- */

typedef struct line {
    char text[160];
    size_t length;
} line;

static void add_text(line *l, const char *text)
{
    size_t n = strlen(text);
    if (n > sizeof l->text - l->length)
        n = sizeof l->text - l->length;
    memcpy(l->text + l->length, text, n);
    l->length += n;
}

static void add_number(line *l, uintptr_t value, unsigned base)
{
    char digits[24];
    size_t i = sizeof digits;
    digits[--i] = '\0';
    do
        digits[--i] = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    add_text(l, digits + i);
}

static void report(hk_fiber *f, const void *address)
{
    line l = {.length = 0};
    add_text(&l, "hank: stack overflow: 0x");
    add_number(&l, (uintptr_t)address, 16);
    add_text(&l, " is in the guard of the stack of ");
    add_number(&l, f->stack_bytes, 10);
    add_text(&l, " bytes at 0x");
    add_number(&l, (uintptr_t)f->stack_low, 16);
    add_text(&l, "\n");
    (void)hk_os_write(STDERR, l.text, l.length); /* nothing is left to do if stderr is gone */
    describe_function *say = hk_load_acquire(&describe); /* [overflow:describe] its code is ready */
    if (say)
        say(f, STDERR);
}

/* --- the signal ---------------------------------------------------------------------------- */

static void chain(int signo, siginfo_t *info, void *context)
{
    const struct sigaction *previous = signo == SIGBUS ? &previous_bus : &previous_segv;
    bool is_sent = info->si_code <= 0; /* by kill(2), not by an instruction */
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(signo, info, context);
        return;
    }
    if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(signo);
        return;
    }
    if (is_sent && previous->sa_handler == SIG_IGN)
        return;
    /* The instruction will be run again, and nobody will be in its way. */
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    (void)hk_os_signal_action(signo, &by_default, NULL); /* cannot fail for these signals */
    if (is_sent)
        (void)hk_os_signal_raise(signo); /* there is no instruction: delivered when we return */
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    int error = hk_os_errno();
    bool is_guard = false;
    hk_fiber *f = info->si_code > 0 ? hk_stack_find(info->si_addr, &is_guard) : NULL;
    if (f && is_guard)
        report(f, info->si_addr);
    chain(signo, info, context);
    hk_os_set_errno(error);
}

static int install(int signo, struct sigaction *previous)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = on_fault;
    int rc = hk_os_signal_action(signo, NULL, previous);
    if (rc < 0)
        return rc;
    return hk_os_signal_action(signo, &action, NULL);
}

int hk_stack_watch_overflow(void (*say)(hk_fiber *f, int fd))
{
    int rc = hk_stack_thread_enter();
    if (rc < 0)
        return rc;
    hk_store_release(&describe, say); /* [overflow:describe] release: pairs with report */
    hk_lock_take(&watch_lock, HK_RANK_STACK);
    if (!watching)
        rc = install(SIGSEGV, &previous_segv);
    if (!watching && rc == 0)
        rc = install(SIGBUS, &previous_bus);
    watching = watching || rc == 0;
    hk_lock_drop(&watch_lock);
    if (rc < 0)
        hk_stack_thread_leave();
    return rc;
}

/* --- the stack to say it on ---------------------------------------------------------------- */

static size_t alternate_bytes(size_t page)
{
    size_t bytes = hk_os_signal_stack_min() + ALTERNATE_SPARE;
    if (bytes < ALTERNATE_BYTES)
        bytes = ALTERNATE_BYTES;
    return (bytes + page - 1) / page * page;
}

static int map_alternate(void)
{
    size_t page = hk_os_page_bytes();
    size_t bytes = alternate_bytes(page);
    void *map;
    int rc = hk_os_map(page + bytes, &map);
    if (rc < 0)
        return rc;
    rc = hk_os_protect_none(map, page);
    if (rc < 0)
        goto unmap;
    stack_t stack = {.ss_sp = (char *)map + page, .ss_size = bytes};
    rc = hk_os_signal_stack(&stack, NULL);
    if (rc < 0)
        goto unmap;
    alternate.map = map;
    alternate.bytes = page + bytes;
    return 0;
unmap:
    (void)hk_os_unmap(map, page + bytes); /* the first error is the one to tell */
    return rc;
}

int hk_stack_thread_enter(void)
{
    if (alternate.depth++ > 0)
        return 0;
    int rc = hk_os_signal_stack(NULL, &alternate.old);
    bool is_enough =
        !(alternate.old.ss_flags & SS_DISABLE) && alternate.old.ss_size >= ALTERNATE_BYTES;
    if (rc == 0 && !is_enough)
        rc = map_alternate();
    if (rc < 0)
        alternate.depth--;
    return rc;
}

void hk_stack_thread_leave(void)
{
    if (alternate.depth == 0 || --alternate.depth > 0 || !alternate.map)
        return;
    (void)hk_os_signal_stack(&alternate.old, NULL);    /* it was in place before: cannot fail */
    (void)hk_os_unmap(alternate.map, alternate.bytes); /* ours: cannot fail */
    alternate.map = NULL;
}
