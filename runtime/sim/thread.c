/* SPDX-License-Identifier: MIT */
/* thread.c - simulated threads: a stack and a turn each. */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/os.h"
#include "sim/sim.h"

/* Room for a blocking pool's job that thinks it has a whole thread's stack; pages are real only
 * once they are touched. */
enum { STACK_BYTES = 2 * 1024 * 1024 };

/* threads   by index; their stacks are kept for the next ones
 * at_exit   of the keys that were made */
static hk_sim_thread **threads;
static size_t threads_n, threads_capacity;
static void (*at_exit[HK_SIM_KEYS])(void *value);
static unsigned keys_n;

static hk_sim_thread *thread_of(pthread_t handle)
{
    size_t index = (size_t)(uintptr_t)handle - 1;
    return index < threads_n && threads[index]->used ? threads[index] : NULL;
}

static pthread_t handle_of(const hk_sim_thread *t)
{
    return (pthread_t)(uintptr_t)(t->index + 1);
}

/* --- life ---------------------------------------------------------------------------------- */

static hk_sim_thread *new_thread(void)
{
    for (size_t i = 0; i < threads_n; i++)
        if (!threads[i]->used)
            return threads[i];
    hk_sim_thread *t = hk_sim_new(sizeof *t);
    threads = hk_sim_grow(threads, &threads_capacity, threads_n, sizeof *threads);
    t->index = (unsigned)threads_n;
    threads[threads_n++] = t;
    return t;
}

void hk_sim_threads_init(void)
{
    hk_sim_thread *t = new_thread();
    t->used = true;
    memcpy(t->name, "main", sizeof "main");
    hk_sim_schedule_reset(t);
}

/* As with real keys, a destructor may set another value: a few rounds. */
static void run_destructors(hk_sim_thread *t)
{
    enum { ROUNDS = 4 };
    for (int round = 0; round < ROUNDS; round++)
        for (unsigned k = 0; k < keys_n; k++) {
            void *value = t->values[k];
            t->values[k] = NULL;
            if (value && at_exit[k])
                at_exit[k](value);
        }
}

/* What is left of a thread whose number may go to another. */
static void forget(hk_sim_thread *t)
{
    t->used = false;
}

static void run_thread(hk_fiber *self)
{
    (void)self;
    hk_sim_thread *t = hk_sim_self();
    (void)t->body(t->arg); /* nobody asks what it returns */
    run_destructors(t);
    hk_sim_note("thread_end", t->index, 0);
    t->ended = true;
    (void)hk_sim_wake(&t->ended, 1);
    if (t->detached)
        forget(t);
    hk_sim_schedule_end();
}

static hk_fiber *top_of(hk_sim_thread *t)
{
    size_t room = (sizeof(hk_fiber) + HK_CACHE_LINE - 1) / HK_CACHE_LINE * HK_CACHE_LINE;
    return (hk_fiber *)(void *)((char *)t->stack + STACK_BYTES - room);
}

static int give_stack(hk_sim_thread *t)
{
    bool first = !t->stack;
    if (first)
        t->stack = hk_sim_host_stack(STACK_BYTES);
    if (!t->stack)
        return -EAGAIN;
    hk_fiber *top = top_of(t);
    if (first) {
        *top = (hk_fiber){.stack_low = (char *)t->stack + hk_os_page_bytes()};
        top->stack_bytes = (size_t)((char *)top - top->stack_low);
        hk_fiber_note_new(top);
        hk_fiber_note_taken(top);
    }
    hk_fiber_make(top, run_thread);
    t->context = top;
    return 0;
}

int hk_os_thread_start(pthread_t *ret_thread, void *(*body)(void *), void *arg)
{
    hk_sim_call();
    hk_sim_thread *t = new_thread();
    int rc = give_stack(t);
    if (rc < 0)
        return rc;
    t->used = true;
    t->ended = t->detached = false;
    t->body = body;
    t->arg = arg;
    t->signal_stack = (stack_t){.ss_flags = SS_DISABLE};
    memcpy(t->name, "thread", sizeof "thread");
    memset(t->values, 0, sizeof t->values);
    *ret_thread = handle_of(t);
    hk_sim_note("thread_start", t->index, 0);
    hk_sim_schedule_add(t);
    hk_sim_call();
    return 0;
}

int hk_os_thread_join(pthread_t thread)
{
    hk_sim_call();
    hk_sim_thread *t = thread_of(thread);
    if (!t || t->detached)
        return -EINVAL;
    while (!t->ended)
        (void)hk_sim_wait(&t->ended, "a thread's end", HK_SIM_NEVER); /* or woken for nothing */
    forget(t);
    return 0;
}

int hk_os_thread_detach(pthread_t thread)
{
    hk_sim_thread *t = thread_of(thread);
    if (!t || t->detached)
        return -EINVAL;
    t->detached = true;
    if (t->ended)
        forget(t);
    return 0;
}

int hank_sim_thread_start(void *(*fn)(void *arg), void *arg, uint64_t *ret_thread)
{
    pthread_t handle;
    if (!fn)
        return -EINVAL;
    int rc = hk_os_thread_start(&handle, fn, arg);
    if (rc == 0)
        *ret_thread = (uint64_t)(uintptr_t)handle;
    return rc;
}

int hank_sim_thread_join(uint64_t thread)
{
    return hk_os_thread_join((pthread_t)(uintptr_t)thread);
}

/* Whoever asks is the only one on a CPU. */
void hk_os_interrupt_threads_prepare(void)
{
}

void hk_os_interrupt_threads(void)
{
    hk_sim_call();
}

/* --- the caller ---------------------------------------------------------------------------- */

pthread_t hk_os_thread_self(void)
{
    return handle_of(hk_sim_self());
}

/* Never: to be the process's first thread is to be told of its signals, and a simulated machine has
 * none. Ctrl-C ends the simulation, not the program in it. */
bool hk_os_thread_is_main(void)
{
    return false;
}

/* A simulated machine has one process, and it does not fork. */
int hk_os_at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void))
{
    (void)before, (void)in_parent, (void)in_child;
    return 0;
}

int hk_os_thread_key(pthread_key_t *ret_key, void (*destructor)(void *value))
{
    if (keys_n == HK_SIM_KEYS)
        return -EAGAIN;
    at_exit[keys_n] = destructor;
    *ret_key = (pthread_key_t)keys_n++;
    return 0;
}

int hk_os_thread_set(pthread_key_t key, void *value)
{
    hk_sim_self()->values[key] = value;
    return 0;
}

void hk_os_thread_hurry(void)
{
}

void hk_os_thread_name(const char *name)
{
    hk_sim_thread *self = hk_sim_self();
    size_t n = strnlen(name, sizeof self->name - 1);
    memcpy(self->name, name, n);
    self->name[n] = '\0';
}

int hk_os_thread_pin(unsigned cpu)
{
    (void)cpu; /* there is only one */
    return 0;
}

int hk_os_thread_stack(void **ret_low, size_t *ret_bytes)
{
    hk_sim_thread *self = hk_sim_self();
    if (!self->stack)
        return hk_sim_host_own_stack(ret_low, ret_bytes);
    *ret_low = (char *)self->stack + hk_os_page_bytes();
    *ret_bytes = (size_t)((char *)top_of(self) - (char *)*ret_low);
    return 0;
}
