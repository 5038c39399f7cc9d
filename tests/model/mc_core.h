/* SPDX-License-Identifier: MIT */
/* mc_core.h - what the parts of the checker share; models do not include it.
 *
 *   mc_run.c      one execution after the other
 *   mc_search.c   who goes next, what is chosen
 *   mc_memory.c   what a load may return
 *   mc_data.c     plain data and the allocator
 *   mc_wait.c     pause, park, futex
 *   mc_os.c       base/os.h, alloc.h, check.h and lock.h for code under test
 *   mc_trace.c    what happened
 *   mc_main.c     arguments, reports
 *
 * One execution: all threads stand before their next operation (mc_announce). The search picks
 * one; it performs its operation, runs on to its next one and calls the search again, from its own
 * stack. Nothing is undone between executions: fibers are aimed at their start again. */
#ifndef HK_MODEL_MC_CORE_H
#define HK_MODEL_MC_CORE_H

#include "model/mc.h"
#include "model/mc_fiber.h"

enum {
    MC_LOCATIONS_MAX = 64,
    MC_STORES_MAX = 96,     /* to one location */
    MC_MESSAGES_MAX = 2048, /* to all of them */
    MC_STEPS_MAX = 2000,
    MC_CHOICES_MAX = 4096,
    MC_STACK_BYTES = 64 * 1024,
};

/* What a thread, or the reader of a message, must at least have seen.
 *
 * known   entries of `seen` in use; beyond, everything is 0
 * seen    by location: the stamp of a store; older ones may no longer be read
 * clock   by thread: how far along it what we have seen reaches (happens before) */
typedef struct mc_view {
    uint32_t known;
    uint32_t clock[MC_THREADS_MAX];
    uint32_t seen[MC_LOCATIONS_MAX];
} mc_view;

/* One store. `view` is what it publishes: empty unless it releases or continues a release. */
typedef struct mc_message {
    uint32_t stamp;
    bool is_update;   /* by a read-modify-write */
    bool was_updated; /* one read this: nothing may come in between */
    uint64_t value;
    mc_view view;
} mc_message;

/* Equation: stores[0 .. count) is the modification order, by rising stamp; the last is in memory.
 * seqcst is the stamp of the newest seq_cst store; seq_cst loads read nothing older. */
typedef struct mc_location {
    const void *address;
    size_t size;
    int count;
    uint32_t seqcst;
    mc_message *stores[MC_STORES_MAX];
    mc_message *token; /* of a parker */
    bool has_token;
    bool is_reborn; /* allocated again: its first value is not known before its first access */
} mc_location;

typedef enum mc_kind {
    MC_OP_LOAD,
    MC_OP_STORE,
    MC_OP_UPDATE,
    MC_OP_SLEEP,
    MC_OP_WAKE,
    MC_OP_FUTEX_WAIT,
    MC_OP_FUTEX_WAKE,
    MC_OP_FUTEX_BLOCKED, /* runs only if its wait has a timeout: it expires */
    MC_OP_FUTEX_WOKEN,
    MC_OP_PAUSE,
    MC_OP_ALLOCATE,
    MC_OP_FREE,
} mc_kind;

/* watched   of a pause: one bit a location its thread has read since the pause before */
typedef struct mc_operation {
    mc_kind kind;
    int location; /* -1: none */
    mc_order order;
    const char *site;
    uint64_t watched;
} mc_operation;

_Static_assert(MC_LOCATIONS_MAX <= 64, "one bit a location");

/* watched    locations read since its last pause
 * stirred    it paused, and there has been a store to one of those
 * fresh_at   stores made when it was sent to look again because nobody else could run: until
 *            there are more it reads the newest of everything, as time passes for real threads */
typedef struct mc_thread {
    mc_fiber fiber;
    mc_view view;
    mc_operation next;
    bool ended;
    bool timed; /* its futex wait */
    bool stirred;
    uint64_t watched;
    long fresh_at;
    uint64_t priority;
} mc_thread;

typedef struct mc_state {
    const mc_model *model;
    mc_thread threads[MC_THREADS_MAX];
    mc_fiber home; /* whoever called mc_run */
    int n;
    int current;
    bool alone; /* outside an execution, in setup and in check: memory is just memory */
    bool starting;
    bool failed;
    bool pruned;
    long stores;
    int steps; /* of this execution */
    mc_result result;
} mc_state;

extern mc_state mc;

static inline mc_thread *mc_running(void)
{
    return &mc.threads[mc.current];
}

/* mc_search.c. Announce waits until it is this thread's turn to perform the operation. Blocked
 * threads are those whose next operation cannot run. */
void mc_announce(mc_operation operation);
int mc_next_thread(void); /* who takes the next step; -1: nobody, this execution is over */
void mc_end_thread(void) __attribute__((noreturn));
void mc_search_begin(void); /* of a search */
void mc_search_reset(void); /* of an execution */
bool mc_search_advance(void);
void mc_search_end(void);
void mc_note_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* mc_memory.c */
void mc_memory_reset(void);
void mc_memory_forget(const char *from, size_t bytes); /* a new object lives there */
int mc_location_of(const void *p, size_t size);
mc_location *mc_location_at(int index);
mc_location *mc_announce_access(mc_kind kind, const void *p, size_t size, mc_order order,
                                const char *site);
mc_message *mc_message_new(void);
void mc_view_join(mc_view *into, const mc_view *from);
void mc_memory_barrier(void);
uint64_t mc_memory_newest(mc_location *l); /* and the running thread has seen it */

/* mc_data.c */
void mc_data_reset(void);
void mc_data_touch(const void *p, const char *site); /* fails for memory that is not there */
const char *mc_data_leak(void);                      /* NULL, or where it was allocated */
void *mc_data_allocate(size_t bytes, const char *site);
void mc_data_free(void *memory, const char *site);

/* mc_wait.c */
bool mc_can_run(const mc_thread *t);
void mc_wait_stir(int location); /* there has been a store */
bool mc_dependent(const mc_operation *a, const mc_operation *b);
int mc_futex_wait(void *p, uint32_t expected, bool timed, const char *site);
void mc_futex_wake(void *p, int n, const char *site);

/* mc_os.c */
void mc_os_reset(void);

/* mc_trace.c */
void mc_trace_reset(void);
void mc_trace(const char *what, const mc_location *l, uint64_t value, const char *site);
void mc_trace_print(void);

#endif
