/* SPDX-License-Identifier: MIT */
/* task.h - what a task is, and who may touch which part of it.
 *
 *   NEW ------first run------> RUNNING --hk_park--> PARKED --hk_wake--> READY --picked--> RUNNING
 *   in a deque or the inbox       |                 its ticket is where       in a ring, a LIFO
 *   (no stack)                    |                 its waker will look       slot or the inbox
 *                              returns
 *                                 v
 *                  ENDING (its children end first) --> DONE --used up by its parent--> free
 *
 * A task that has not started has no stack: the worker's loop calls its function on the stack it is
 * itself running on. Only when the task first waits does that stack become the task's.
 *
 * Nesting. A parent that awaits a child which has not started calls it like a function, on the
 * parent's own stack. The child's `under` is then the parent. If the child waits, both are parked
 * on one fiber: right, because the parent can do nothing before the child ends, and because what
 * stops the parent stops the child (scope.c walks `under`).
 *
 * Field access
 *   next                    whoever took the task from its queue
 *   fn arg name group       written by the spawner before the task is published; then constant, but
 *                           for fn and arg of one that leaves its envelope
 *   traits                  the same, but for PARENT and EXTRA, which are the task's own later
 *   extra                   the spawner before the task is published; then the task itself
 *   parent                  the same, or the parent when it gives the child up; relaxed, as it is
 *                           compared with by tasks whose child this is not; NULL for members
 *   siblings                children: the parent only; members: their group's lock
 *   children                the task itself only
 *   result                  the task; read by others after DONE (acquire)
 *   join                    the finisher (swap), the parent (CAS); see join.h
 *   control                 anyone (CAS): generation and flags
 *   sleeper, fiber          the task, before it is parked; then whoever claimed it
 *   on_stack                1 while its fiber is in use; cleared by whoever runs next there
 *   scopes under joining    the task, or a child nested above it on the same fiber
 *   nested shields          the same; read by cancellers */
#ifndef HK_SCHED_TASK_H
#define HK_SCHED_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hank/group.h>
#include <hank/scope.h>
#include <hank/task.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/slab.h"
#include "base/waiter.h"

struct hk_extra;
struct hk_fiber;
struct hk_join;
struct hk_group;
struct hk_runtime;
struct hk_scope;
struct hk_start;
struct hk_worker;

/* Where a task is in its life, for the owner's shortcuts and for dumps: a hint to all others. */
typedef enum hk_phase {
    HK_PHASE_FREE,
    HK_PHASE_NEW,
    HK_PHASE_STARTED,
    HK_PHASE_DONE,
} hk_phase;

/* control = [ generation : 32 | flags : 32 ] */
#define HK_TASK_CANCELLED UINT64_C(1)
#define HK_TASK_BEGUN     UINT64_C(2) /* of a call; see call.c */
#define HK_TASK_ENDED     UINT64_C(4) /* and of each that leaves its envelope */
#define HK_TASK_ASKED     UINT64_C(8)
#define HK_GENERATION(c)  ((uint32_t)((c) >> 32))

/* join: nobody yet, or the hk_join of who waits, or one of these */
#define HK_JOIN_NONE     ((struct hk_join *)0)
#define HK_JOIN_DONE     ((struct hk_join *)1)
#define HK_JOIN_DETACHED ((struct hk_join *)2)
#define HK_JOIN_CALLED   ((struct hk_join *)3) /* on the parent's stack: it will not arrive */
#define HK_JOIN_GUEST    ((struct hk_join *)4) /* from outside: see guest.h */

/* traits: the size class of its stack in the low bits, and what is not usual about it */
enum {
    HK_TRAIT_CLASS = 0x0f,
    HK_TRAIT_MEMBER = 0x10, /* of a group: its slot goes when it ends */
    HK_TRAIT_NAMED = 0x20,
    HK_TRAIT_EXTRA = 0x40,  /* it has something in t->extra: look when it ends */
    HK_TRAIT_PARENT = 0x80, /* it has had children or a scope: look when it ends */
};

typedef struct hk_task {
    /* All that a task needs which neither waits nor has children: one cache line, so that a million
     * of them are a million lines. */
    hank_fn fn; /* first these two: the slab's links while free */
    void *arg;
    HK_ATOMIC(uint64_t) control;
    HK_ATOMIC(struct hk_task *) parent;
    hk_node siblings;
    HK_ATOMIC(struct hk_join *) join;
    int32_t result;
    HK_ATOMIC(uint8_t) phase;
    HK_ATOMIC(uint8_t) traits;
    uint16_t home; /* the worker whose deque it was pushed to */

    /* The rest is not written when a task is made: whoever changes it changes it back before the
     * slot is free. Zero, or an empty list, but for on_stack, which is 1. */
    struct hk_task *next; /* in the inbox */
    struct hk_task *under;
    struct hk_scope *scopes;
    hk_node children;
    HK_ATOMIC(struct hk_task *) nested;
    struct hk_join *joining;
    union {
        struct hk_group *group; /* of a member */
        size_t index;           /* of a child: where in its parent's last look */
    };

    hk_sleeper sleeper;
    struct hk_fiber *fiber;     /* while parked */
    struct hk_runtime *runtime; /* the same: whom a foreign thread gives it back to */
    HK_ATOMIC(uint8_t) on_stack;
    bool chain_shown;
    bool stop_passed_on;
    HK_ATOMIC(uint32_t) shields;  /* how many of its scopes are one */
    HK_ATOMIC(const char *) name; /* if NAMED */
    struct hk_extra *extra;       /* if EXTRA */
} hk_task;

_Static_assert(offsetof(hk_task, next) == HK_CACHE_LINE, "see the comment");
_Static_assert(sizeof(hk_task) <= 3 * HK_CACHE_LINE, "a parked task costs this and its stack");

extern hk_slab hk_task_slab;

enum { HK_COPY_MAX = 64 * 1024 }; /* bytes of an argument that is copied */

static inline hk_task *hk_task_of(hk_sleeper *s)
{
    return hk_container_of(s, hk_task, sleeper);
}

static inline bool hk_task_cancelled(hk_task *t)
{
    /* seq_cst: see hk_sleeper_begin in base/waiter.h. */
    return (hk_load_seqcst(&t->control) & HK_TASK_CANCELLED) != 0;
}

/* Neither it nor anyone beneath it is inside a scope. */
static inline bool hk_task_is_bare(hk_task *t)
{
    do {
        if (t->scopes != NULL)
            return false;
    } while ((t = t->under) != NULL);
    return true;
}

/* Nothing stops it now, nor those beneath it. False says only that scope.c has to look. */
static inline bool hk_task_goes_on(hk_task *t)
{
    do {
        if (t->scopes != NULL || hk_task_cancelled(t))
            return false;
    } while ((t = t->under) != NULL);
    return true;
}

static inline bool hk_task_done(hk_task *t)
{
    return hk_load_acquire(&t->join) == HK_JOIN_DONE; /* [task:done] acquire: sees the result */
}

/* `t` is going to be woken. Any sleeper's: where no task is there is nothing to have at hand. */
static inline void hk_task_expect(hk_task *t)
{
    HK_PREFETCH(t);
    HK_PREFETCH(&t->next);
    HK_PREFETCH(&t->sleeper);
}

/* The same for what knows its stack, once the above is there. It may have gone on already, with
 * another fiber: unwatched, for a hint. */
HK_UNWATCHED static inline void hk_task_expect_fiber(hk_task *t)
{
    HK_PREFETCH(t->fiber);
}

/* What spawning needs to know beyond fn and arg. */
typedef struct hk_spawn {
    hank_fn fn;
    void *arg;
    const char *name;
    size_t copy;
    size_t stack_size; /* 0: the runtime's; not more than HK_STACK_MAX */
    void (*on_done)(void *arg, int result);
    void *on_done_arg;
    struct hk_start *start; /* who waits for it to have started, or NULL */
    const void *site;       /* where in the program it is spawned */
    bool eager;
    int64_t due; /* of a call */
    bool is_call;
} hk_spawn;

/* What a caller asked for, in those words; `options` may be NULL. 0 or -EINVAL. */
int hk_spawn_read(hk_spawn *ret, hank_fn fn, void *arg, const hank_spawn_options *options);

/* A task in phase NEW, in nobody's queue or list yet. NULL: no memory. */
hk_task *hk_task_new(struct hk_worker *w, const hk_spawn *how, hk_task *parent);

/* A new task becomes its parent's child, with a handle; nobody else can see it yet. */
hank_task hk_task_register(hk_task *t);

/* Give the slot back; handles of it are stale from here on. */
void hk_task_free(struct hk_worker *w, hk_task *t);

/* The same for a task that was made and will not be started after all. */
void hk_task_discard(struct hk_worker *w, hk_task *t);

/* The three for threads that are no workers, and for whoever is not sure to be one: a task of `rt`;
 * giving it back unstarted; giving its slot back. */
hk_task *hk_task_new_outside(struct hk_runtime *rt, const hk_spawn *how);
void hk_task_discard_outside(struct hk_runtime *rt, hk_task *t);
void hk_task_free_shared(hk_task *t);

/* Make the handles of a task that lives stale. A stop that was on its way with one arrives. */
void hk_task_next_generation(hk_task *t);

/* For hk_task_body, in child.h: t was cancelled before it began, and nobody would miss what it was
 * given; t's function has returned, or will not be called, and not all that it began has ended. */
bool hk_task_is_moot(hk_task *t);
void hk_task_settle(hk_task *t, int result);

/* The loop's way to end a task that nobody called: publish the result, wake who waits for it.
 * After this t may be gone. */
void hk_task_finish(struct hk_worker *w, hk_task *t, int result);

/* Make `t` (of that generation) stop. 0, or -ESTALE. Any thread. */
int hk_task_cancel(hk_task *t, uint32_t generation);

/* End the wait that `t` is in, or one that runs above it: something inside t has been stopped that
 * was begun when so many of its shields were up. `t` stays that task meanwhile. */
void hk_task_stop_inside(hk_task *t, uint32_t shields);

/* hk_task_cancel for a call, unless it has begun: then -EALREADY, as when its handle is stale.
 * *ret_claimed: it was waiting for its time, and the caller has to let it end. */
int hk_task_cancel_unbegun(hk_task *t, uint32_t generation, bool *ret_claimed);

/* Relaxed: what is asked was written before the task was published, or by the task itself. */
static inline bool hk_task_has(hk_task *t, unsigned trait)
{
    return (hk_load_relaxed(&t->traits) & trait) != 0;
}

static inline void hk_task_add_trait(hk_task *t, unsigned trait)
{
    hk_store_relaxed(&t->traits, (uint8_t)(hk_load_relaxed(&t->traits) | trait)); /* see above */
}

static inline int hk_task_class(hk_task *t)
{
    return hk_load_relaxed(&t->traits) & HK_TRAIT_CLASS; /* see above */
}

/* Its name, NULL if it was given none. */
static inline const char *hk_task_name(hk_task *t)
{
    return hk_task_has(t, HK_TRAIT_NAMED) ? hk_load_relaxed(&t->name) : NULL; /* see above */
}

/* The address that the calling function will return to. */
#define HK_CALL_SITE() ((const void *)__builtin_return_address(0))

/* Report a failure nobody will see otherwise. */
void hk_task_report(hk_task *t, int result);

/* The calling task's child behind a handle; NULL and *ret_error says why not. */
hk_task *hk_task_child(hk_task *parent, hank_task handle, int *ret_error);

/* Use the handle of an ended child up. */
int hk_task_collect(struct hk_worker *w, hk_task *child);

#endif
