/* SPDX-License-Identifier: MIT */
/* tasks.c - the floor of operations on tasks: what is left of each on one thread when there are no
 * tasks. Nobody can stop, await, steal, list or name anything here; nothing is counted, and what is
 * left neither yields nor allocates.
 *
 *   bare BENCH WORKERS [ROUNDS]
 *
 * switch     two stacks, and a function that saves what a callee must and goes to the other
 * fib        a child is two words on a stack of those that have not begun, and then a call
 * mutex      a word is exchanged twice
 * chan_1p1c  a ring under a spin lock, a thousand in, a thousand out */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SWITCHES = 4000000, LOCKS = 1000000, ITEMS = 1000000, RING = 1024, FIB = 32 };

static const long fib_value = 2178309, fib_spawned = 3524577;

#define NOINLINE __attribute__((noinline))

/* --- switch ---------------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* void bare_switch(void **from, void *to): the six registers that belong to the caller. */
__asm__(".text\n"
        ".globl bare_switch\n"
        ".type bare_switch, @function\n"
        "bare_switch:\n"
        "    push %rbp\n    push %rbx\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbx\n    pop %rbp\n"
        "    ret\n"
        ".size bare_switch, . - bare_switch\n");
void bare_switch(void **from, void *to);

static void *here, *there;

static void other(void)
{
    for (;;)
        bare_switch(&there, here);
}

static double switches(void)
{
    enum { WORDS = 8192 };
    static _Alignas(16) uint64_t stack[WORDS];
    uint64_t *top = &stack[WORDS - 2];
    top[0] = (uint64_t)(uintptr_t)other; /* where the first switch returns to */
    memset(top - 6, 0, 6 * sizeof *top);
    there = top - 6;
    for (long i = 0; i < SWITCHES / 2; i++)
        bare_switch(&here, there);
    return SWITCHES;
}
#define HAS_SWITCH true
#else
static double switches(void)
{
    return 0;
}
#define HAS_SWITCH false
#endif

/* --- fib ------------------------------------------------------------------------------------- */

struct fib {
    long n, value;
};

struct child {
    void (*fn)(void *arg);
    void *arg;
};

static struct child waiting[FIB + 1], *newest = waiting;

static NOINLINE void spawn(void (*fn)(void *arg), void *arg)
{
    *newest++ = (struct child){fn, arg};
}

static NOINLINE void await(void)
{
    struct child *c = --newest;
    c->fn(c->arg);
}

static void fib(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->value = f->n;
        return;
    }
    struct fib child = {.n = f->n - 1}, rest = {.n = f->n - 2};
    spawn(fib, &child);
    fib(&rest);
    await();
    f->value = child.value + rest.value;
}

static double fibs(void)
{
    struct fib root = {.n = FIB};
    fib(&root);
    if (root.value != fib_value)
        abort();
    return (double)fib_spawned;
}

/* --- mutex, channel -------------------------------------------------------------------------- */

static atomic_int word;

static NOINLINE void lock(void)
{
    while (atomic_exchange_explicit(&word, 1, memory_order_acquire) != 0)
        continue;
}

static NOINLINE bool unlock(void) /* tells whether somebody has left word that he waits */
{
    return atomic_exchange_explicit(&word, 0, memory_order_release) != 1;
}

static double locks(void)
{
    static volatile long count;
    for (long i = 0; i < LOCKS; i++) {
        lock();
        count++;
        if (unlock())
            abort();
    }
    return LOCKS;
}

static struct {
    unsigned long in, out;
    long slots[RING];
} ring;

static NOINLINE void send(const long *item)
{
    lock();
    memcpy(&ring.slots[ring.in++ % RING], item, sizeof *item);
    atomic_store_explicit(&word, 0, memory_order_release);
}

static NOINLINE void receive(long *ret_item)
{
    lock();
    memcpy(ret_item, &ring.slots[ring.out++ % RING], sizeof *ret_item);
    atomic_store_explicit(&word, 0, memory_order_release);
}

static double items(void)
{
    for (long i = 0; i < ITEMS; i += RING) {
        for (long k = 0, item; k < RING; k++) {
            item = i + k;
            send(&item);
        }
        for (long k = 0, item; k < RING; k++) {
            receive(&item);
            if (item != i + k)
                abort();
        }
    }
    return (double)((ITEMS + RING - 1) / RING * RING);
}

/* --------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    double (*round)(void); /* how many there were */
    bool here;             /* on this machine */
} benches[] = {{"switch", switches, HAS_SWITCH},
               {"fib", fibs, true},
               {"mutex", locks, true},
               {"chan_1p1c", items, true}};

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 3;
    for (size_t i = 0; argc > 1 && i < sizeof benches / sizeof benches[0]; i++) {
        if (strcmp(argv[1], benches[i].name) != 0 || !benches[i].here)
            continue;
        for (long round = -1; round < rounds; round++) {
            double start = now_ns();
            double n = benches[i].round();
            double value = (now_ns() - start) / n;
            if (round >= 0)
                printf("R %s bare 1 %ld %.2f ns\n", benches[i].name, round, value);
            (void)fflush(stdout);
        }
        return 0;
    }
    fprintf(stderr, "usage: bare switch|fib|mutex|chan_1p1c 1 [ROUNDS]\n");
    return 2;
}
