/* SPDX-License-Identifier: MIT */
/* sample.c - a signal asks a thread where it is, and its handler writes that down.
 *
 * The signal is SIGURG: ignored by default, so that one which arrives when nobody wants it any more
 * does nothing, and used by hardly any program. It is taken only where it is at its default.
 *
 * The handler follows frame pointers and reads nothing but the stack of the fiber that it has
 * interrupted, between the stack pointer and the stack's upper end: memory that is there whatever
 * the frame pointer may hold. So it cannot fault, whereas an unwinder that reads tables would trust
 * whatever code was interrupted, and may take locks. The price: callers compiled without frame
 * pointers are missing; where the thread stands is always right. See docs/decisions/0013.
 *
 * All that the handler does is async-signal-safe: no allocation, no lock, no stdio. */
#include "fiber/sample.h"

#include <errno.h>
#include <signal.h>

#include "base/lock.h"
#include "base/os.h"
#include "fiber/stack.h"

enum { IDLE, ASKED, WRITING, WRITTEN };
enum { SIGNAL = SIGURG };

/* users, installed, before  guarded by lock: who wants the handler, whether ours is there, and what
 * was there */
static struct {
    hk_lock lock;
    unsigned users;
    bool installed;
    struct sigaction before;
} sampling;

static HK_THREAD_LOCAL hk_sample *mine; /* of the calling thread; NULL: it cannot be asked */

/* --- the thread that is asked -------------------------------------------------------------- */

static void on_sample(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info;
    int error = hk_os_errno();
    hk_sample *s = mine;
    uint32_t asked = ASKED;
    hk_os_place place;
    bool is_guard;
    /* [sample:state] acquire: the last asker has read what it wanted. */
    if (s && hk_cas_acqrel(&s->state, &asked, (uint32_t)WRITING)) {
        s->n = 0;
        if (hk_os_signal_place(context, &place)) {
            hk_fiber *f = hk_stack_find((void *)place.sp, &is_guard);
            uintptr_t high = f ? (uintptr_t)f->stack_low + f->stack_bytes : place.sp;
            s->n = hk_frames_walk(&place, high, s->frames);
        }
        hk_store_release(&s->state, (uint32_t)WRITTEN); /* [sample:state] release: the frames */
        (void)hk_os_futex_wake(&s->state, 1);
    }
    hk_os_set_errno(error);
}

void hk_sample_enter(hk_sample *s)
{
    mine = s;
    hk_lock_take(&sampling.lock, HK_RANK_SIGNAL);
    s->thread = hk_os_thread_self();
    s->here = true;
    hk_lock_drop(&sampling.lock);
}

void hk_sample_leave(hk_sample *s)
{
    hk_lock_take(&sampling.lock, HK_RANK_SIGNAL);
    s->here = false; /* from here on nobody sends a signal to a thread that may be gone */
    hk_lock_drop(&sampling.lock);
    mine = NULL;
}

/* --- the thread that asks ------------------------------------------------------------------ */

static bool send_signal(hk_sample *s)
{
    hk_lock_take(&sampling.lock, HK_RANK_SIGNAL);
    bool sent = s->here && sampling.installed;
    if (sent) {
        hk_store_release(&s->state, (uint32_t)ASKED); /* [sample:state] */
        sent = hk_os_thread_signal(s->thread, SIGNAL) == 0;
    }
    hk_lock_drop(&sampling.lock);
    return sent;
}

unsigned hk_sample_take(hk_sample *s, int64_t patience_ns)
{
    if (!send_signal(s)) {
        hk_store_relaxed(&s->state, (uint32_t)IDLE); /* no signal is on its way to a handler */
        return 0;
    }
    int64_t deadline = hk_os_now() + patience_ns;
    uint32_t state;
    /* [sample:state] acquire: the frames are there. */
    while ((state = hk_load_acquire(&s->state)) != WRITTEN) {
        int64_t left = deadline - hk_os_now();
        if (state == ASKED && left <= 0) {
            if (hk_cas_acqrel(&s->state, &state, (uint32_t)IDLE)) /* [sample:state] too late now */
                return 0;
            continue;
        }
        /* A handler that has begun also ends. */
        (void)hk_os_futex_wait(&s->state, state, state == ASKED ? left : -1);
    }
    hk_store_relaxed(&s->state, (uint32_t)IDLE); /* we alone ask */
    return s->n;
}

/* --- the handler --------------------------------------------------------------------------- */

void hk_sample_begin(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    action.sa_sigaction = on_sample;
    (void)sigfillset(&action.sa_mask);
    hk_lock_take(&sampling.lock, HK_RANK_SIGNAL);
    if (sampling.users++ == 0 && hk_os_signal_action(SIGNAL, NULL, &sampling.before) == 0) {
        bool free =
            !(sampling.before.sa_flags & SA_SIGINFO) && sampling.before.sa_handler == SIG_DFL;
        sampling.installed = free && hk_os_signal_action(SIGNAL, &action, NULL) == 0;
    }
    hk_lock_drop(&sampling.lock);
}

/* What the program has installed meanwhile stays. The lock is held, or nobody else is there. */
static void restore(void)
{
    struct sigaction now;
    if (sampling.installed && hk_os_signal_action(SIGNAL, NULL, &now) == 0 &&
        (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sample)
        (void)hk_os_signal_action(SIGNAL, &sampling.before, NULL); /* a valid signal: cannot fail */
    sampling.installed = false;
}

void hk_sample_end(void)
{
    hk_lock_take(&sampling.lock, HK_RANK_SIGNAL);
    if (--sampling.users == 0)
        restore();
    hk_lock_drop(&sampling.lock);
}

void hk_sample_freeze(void)
{
    hk_lock_freeze(&sampling.lock);
}

void hk_sample_thaw(void)
{
    hk_lock_thaw(&sampling.lock);
}

void hk_sample_forked(void)
{
    sampling.users = 0;
    restore();
}
