/* SPDX-License-Identifier: MIT */
/* schedule.c - who goes on, when time jumps, and when nothing can ever run again.
 *
 * One thread runs at a time, until it waits or its countdown is over: each access of a shared word
 * takes one off (base/atomic.h), a system call some more. Then time goes by a little, what was
 * planned for that time happens, and somebody is chosen among those that can run: any of them, or
 * in half of all seeds the one with the highest of priorities that change now and then (so that
 * one thread may stay away for very long, which chance alone hardly ever does).
 *
 * When nobody can run, time jumps to the next event. When there is no event either, nothing can
 * ever happen again: that is a deadlock, and a panic.
 *
 * Source: Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
 * bugs", ASPLOS 2010, doi:10.1145/1736020.1736040, for the priorities. */
#include <string.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/check.h"
#include "sim/sim.h"

enum {
    ACCESS_NS = 5,     /* what an access of a shared word costs */
    CALL_MIN_NS = 100, /* and a system call */
    CALL_MAX_NS = 2000,
    CALL_ACCESSES = 8, /* a call counts as that many accesses for the countdown */
    STALL_MIN_NS = 10 * 1000,
    STALL_MAX_NS = 20 * 1000 * 1000,
    PRIORITY_CHANGE = 20, /* of 1000 points */
};

/* The section of all thread-locals (compiler.h); the linker names its ends. */
extern char hk_sim_locals_begin[] __asm__("__start_hk_thread")
    __attribute__((visibility("hidden")));
extern char hk_sim_locals_end[] __asm__("__stop_hk_thread") __attribute__((visibility("hidden")));

int hk_sim_countdown;

static struct {
    int64_t now;
    int countdown_from;
    unsigned holds;
    hk_sim_thread *self;
    hk_sim_thread **ready; /* those that can run, the running one included */
    size_t ready_n, ready_capacity;
    hk_sim_thread **waiting; /* those that wait, in no order that matters */
    size_t waiting_n, waiting_capacity;
    hk_sim_event **heap;
    size_t heap_n, heap_capacity;
    uint64_t lowest; /* priority ever given */
} machine = {.now = 1};

/* --- memory -------------------------------------------------------------------------------- */

void *hk_sim_new(size_t bytes)
{
    machine.holds++;
    void *memory = hk_alloc_zeroed(bytes);
    machine.holds--;
    if (!memory)
        hk_panic("no memory for the simulation");
    return memory;
}

void hk_sim_free(void *memory, size_t bytes)
{
    machine.holds++;
    hk_free(memory, bytes);
    machine.holds--;
}

void *hk_sim_grow(void *array, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return array;
    size_t more = *capacity ? *capacity * 2 : 16;
    void *grown = hk_sim_new(more * size);
    if (n > 0)
        memcpy(grown, array, n * size);
    hk_sim_free(array, *capacity * size);
    *capacity = more;
    return grown;
}

/* --- events: a binary heap ------------------------------------------------------------------ */

static bool is_before(const hk_sim_event *a, const hk_sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

static void put(size_t i, hk_sim_event *e)
{
    machine.heap[i] = e;
    e->place = i + 1;
}

static void sift_up(size_t i, hk_sim_event *e)
{
    for (; i > 0 && is_before(e, machine.heap[(i - 1) / 2]); i = (i - 1) / 2)
        put(i, machine.heap[(i - 1) / 2]);
    put(i, e);
}

static void sift_down(size_t i, hk_sim_event *e)
{
    for (size_t child; (child = 2 * i + 1) < machine.heap_n; i = child) {
        if (child + 1 < machine.heap_n && is_before(machine.heap[child + 1], machine.heap[child]))
            child++;
        if (!is_before(machine.heap[child], e))
            break;
        put(i, machine.heap[child]);
    }
    put(i, e);
}

void hk_sim_unplan(hk_sim_event *e)
{
    if (e->place == 0)
        return;
    size_t i = e->place - 1;
    hk_sim_event *last = machine.heap[--machine.heap_n];
    e->place = 0;
    if (last == e)
        return;
    if (i > 0 && is_before(last, machine.heap[(i - 1) / 2]))
        sift_up(i, last);
    else
        sift_down(i, last);
}

void hk_sim_plan(hk_sim_event *e, int64_t at, void (*happen)(hk_sim_event *e))
{
    hk_sim_unplan(e);
    machine.heap =
        hk_sim_grow(machine.heap, &machine.heap_capacity, machine.heap_n, sizeof *machine.heap);
    e->at = at;
    e->tie = hk_sim_draw();
    e->happen = happen;
    sift_up(machine.heap_n++, e);
}

static void happen_first(void)
{
    hk_sim_event *e = machine.heap[0];
    if (e->at > machine.now)
        machine.now = e->at;
    hk_sim_unplan(e);
    e->happen(e);
}

/* --- time ---------------------------------------------------------------------------------- */

int64_t hk_sim_now(void)
{
    return machine.now;
}

void hk_sim_pass(int64_t ns)
{
    int64_t until = machine.now + ns;
    while (machine.heap_n > 0 && machine.heap[0]->at <= until)
        happen_first();
    if (machine.now < until)
        machine.now = until;
}

static void check_limits(void)
{
    bool late = hk_sim_options.time_limit > 0 && machine.now > hk_sim_options.time_limit;
    bool long_winded = hk_sim_options.step_limit > 0 && hk_sim_steps() > hk_sim_options.step_limit;
    if (!late && !long_winded)
        return;
    /* The panic lists the tasks, and that takes time and steps. */
    hk_sim_options.time_limit = 0;
    hk_sim_options.step_limit = 0;
    if (late)
        hk_panic("simulated for %lld ns, which is the limit", (long long)machine.now);
    hk_panic("simulated for %llu steps, which is the limit", (unsigned long long)hk_sim_steps());
}

/* --- turns --------------------------------------------------------------------------------- */

hk_sim_thread *hk_sim_self(void)
{
    return machine.self;
}

void hk_sim_hold(void)
{
    machine.holds++;
}

void hk_sim_release(void)
{
    machine.holds--;
}

static void wind_up(void)
{
    int64_t n = hk_sim_between(0, 2 * hk_sim_temper_now.point_mean);
    machine.countdown_from = hk_sim_countdown = (int)n;
}

static void make_ready(hk_sim_thread *t)
{
    machine.ready =
        hk_sim_grow(machine.ready, &machine.ready_capacity, machine.ready_n, sizeof *machine.ready);
    machine.ready[machine.ready_n++] = t;
    t->place = machine.ready_n;
    t->waits_for = NULL;
}

static void remove_from(hk_sim_thread **list, size_t *n, hk_sim_thread *t)
{
    hk_sim_thread *last = list[--*n];
    list[t->place - 1] = last;
    last->place = t->place;
    t->place = 0;
}

static void make_waiting(hk_sim_thread *t)
{
    remove_from(machine.ready, &machine.ready_n, t);
    machine.waiting = hk_sim_grow(machine.waiting, &machine.waiting_capacity, machine.waiting_n,
                                  sizeof *machine.waiting);
    machine.waiting[machine.waiting_n++] = t;
    t->place = machine.waiting_n;
}

static hk_sim_thread *choose(void)
{
    if (!hk_sim_temper_now.by_priority)
        return machine.ready[hk_sim_below((uint32_t)machine.ready_n)];
    hk_sim_thread *best = machine.ready[0];
    for (size_t i = 1; i < machine.ready_n; i++)
        if (machine.ready[i]->priority > best->priority)
            best = machine.ready[i];
    return best;
}

static void become(hk_sim_thread *t)
{
    size_t bytes = (size_t)(hk_sim_locals_end - hk_sim_locals_begin);
    memcpy(machine.self->locals, hk_sim_locals_begin, bytes);
    memcpy(hk_sim_locals_begin, t->locals, bytes);
    machine.self = t;
    hk_sim_note("runs", t->index, 0);
}

static void turn_to(hk_sim_thread *t)
{
    hk_sim_thread *from = machine.self;
    if (t == from)
        return;
    hk_fiber *to = t->context;
    from->context = &from->saved;
    become(t);
    hk_fiber_switch_threads(&from->saved, to);
}

static void tell_waiting(void)
{
    for (size_t i = 0; i < machine.waiting_n; i++)
        hk_sim_host_say("hank_sim: thread %u (%s) waits: %s\n", machine.waiting[i]->index,
                        machine.waiting[i]->name, machine.waiting[i]->why);
}

static void end_wait(hk_sim_thread *t, bool woken)
{
    t->woken = woken;
    hk_sim_unplan(&t->alarm);
    remove_from(machine.waiting, &machine.waiting_n, t);
    make_ready(t);
}

/* The running thread is not ready: somebody else, as soon as there is anybody. */
static hk_sim_thread *next_thread(void)
{
    while (machine.ready_n == 0) {
        if (machine.heap_n == 0) {
            tell_waiting();
            if (machine.self->waits_for) /* it runs on: to tell of the tasks */
                end_wait(machine.self, false);
            else
                make_ready(machine.self);
            hk_panic("deadlock: no thread can run, and nothing is going to happen");
        }
        happen_first();
        check_limits();
    }
    return choose();
}

static void lower_priority(hk_sim_thread *t)
{
    t->priority = --machine.lowest;
}

static void stall(void)
{
    hk_sim_note("stall", 0, 0);
    int64_t until = machine.now + hk_sim_skewed(STALL_MIN_NS, STALL_MAX_NS);
    (void)hk_sim_wait(&machine, "the CPU", until);
}

void hk_sim_preempt(void)
{
    if (machine.holds > 0) {
        hk_sim_countdown = 0;
        return;
    }
    if (!machine.self) /* a constructor that runs before explore.c's */
        hk_sim_boot();
    hk_sim_pass((int64_t)machine.countdown_from * ACCESS_NS);
    check_limits();
    wind_up();
    if (hk_sim_chance(hk_sim_temper_now.stall)) {
        stall();
        return;
    }
    if (hk_sim_temper_now.by_priority && hk_sim_chance(PRIORITY_CHANGE))
        lower_priority(machine.self);
    turn_to(choose());
}

void hk_sim_call(void)
{
    if (machine.holds > 0)
        return;
    hk_sim_pass(hk_sim_between(CALL_MIN_NS, CALL_MAX_NS));
    hk_sim_countdown -= CALL_ACCESSES;
    if (hk_sim_countdown < 0)
        hk_sim_preempt();
}

void hk_sim_give_way(void)
{
    if (machine.holds > 0)
        return;
    hk_sim_pass(CALL_MIN_NS);
    check_limits();
    lower_priority(machine.self);
    if (machine.ready_n == 1 && machine.heap_n > 0)
        happen_first(); /* whoever it is that we wait for needs the time */
    turn_to(choose());
}

void hk_sim_spin(void)
{
    hk_sim_give_way();
}

/* --- waiting ------------------------------------------------------------------------------- */

static void ring(hk_sim_event *e)
{
    end_wait(hk_container_of(e, hk_sim_thread, alarm), false);
}

bool hk_sim_wait(const void *what, const char *why, int64_t deadline)
{
    hk_sim_thread *t = machine.self;
    HK_CHECK(machine.holds == 0);
    t->waits_for = what;
    t->why = why;
    make_waiting(t);
    if (deadline != HK_SIM_NEVER)
        hk_sim_plan(&t->alarm, deadline, ring);
    turn_to(next_thread());
    return t->woken;
}

int hk_sim_wake(const void *what, int n)
{
    int woken = 0;
    for (; woken < n; woken++) {
        hk_sim_thread *one = NULL;
        uint32_t candidates = 0;
        for (size_t i = 0; i < machine.waiting_n; i++)
            if (machine.waiting[i]->waits_for == what && hk_sim_below(++candidates) == 0)
                one = machine.waiting[i];
        if (!one)
            break;
        end_wait(one, true);
    }
    return woken;
}

/* --- coming and going ---------------------------------------------------------------------- */

static void give_priority(hk_sim_thread *t)
{
    t->priority = hk_sim_draw() >> 1 | UINT64_C(1) << 63; /* above all that were ever lowered */
}

void hk_sim_schedule_add(hk_sim_thread *t)
{
    size_t bytes = (size_t)(hk_sim_locals_end - hk_sim_locals_begin);
    if (!t->locals)
        t->locals = hk_sim_new(bytes);
    memset(t->locals, 0, bytes);
    give_priority(t);
    make_ready(t);
}

void hk_sim_schedule_end(void)
{
    hk_sim_thread *t = machine.self;
    remove_from(machine.ready, &machine.ready_n, t);
    hk_sim_thread *next = next_thread();
    hk_fiber *to = next->context;
    become(next);
    hk_fiber_leave(&t->saved, to);
}

void hk_sim_schedule_reset(hk_sim_thread *only)
{
    if (!machine.self) {
        machine.self = only;
        hk_sim_schedule_add(only);
    }
    HK_CHECK(machine.self == only && machine.ready_n == 1 && machine.waiting_n == 0);
    machine.now = 1;
    machine.lowest = UINT64_C(1) << 62;
    give_priority(only);
    wind_up();
}
