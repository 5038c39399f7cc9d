/* SPDX-License-Identifier: MIT */
/* scope.h - why a wait may end early: cancellation, deadlines, shields. */
#ifndef HK_SCHED_SCOPE_H
#define HK_SCHED_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include <hank/scope.h>

#include "base/atomic.h"
#include "base/fault.h"
#include "base/waiter.h"

struct hk_task;

/* What hank_scope really is; on the stack of its task, linked from the innermost outwards.
 * fired    set by the owner when this scope has stopped one of its waits
 * stopped  of a group's body: set by whoever cancels the group; in the group's lock
 * shields  of a group's body: how many shields were up in its task when it began */
typedef struct hk_scope {
    struct hk_scope *outer;
    int64_t deadline; /* INT64_MAX for all but timeouts */
    uint8_t kind;
    bool fired;
    HK_ATOMIC(uint8_t) stopped;
    uint32_t shields;
} hk_scope;

enum { HK_SCOPE_TIMEOUT = 1, HK_SCOPE_SHIELD = 2, HK_SCOPE_LOOK = 3, HK_SCOPE_BODY = 4 };

/* For what must end in the reverse order and before its task returns, and stops nothing. */
void hk_scope_begin_look(hank_scope *s);
void hk_scope_end_look(hank_scope *s);

/* The body of a group, in the calling task: stopped once the group is cancelled. */
void hk_scope_begin_body(hk_scope *s);
void hk_scope_end_body(hk_scope *s);

/* The group of the body `s`, which `t` is in and stays in meanwhile, has been cancelled. */
void hk_scope_stop_body(hk_scope *s, struct hk_task *t);

/* Panic: the calling task returns, and `s` is its innermost scope. */
HK_NORETURN HK_COLD void hk_scope_left_open(const hk_scope *s);

/* The innermost scope of the calling task or thread. */
hk_scope **hk_scope_place(void);

/* The earliest deadline that would stop a wait of `s` now, INT64_MAX if none. */
int64_t hk_scope_deadline(hk_sleeper *s);

/* 0, or why waits of `s` (the calling task or thread) fail now. Marks the scopes that did it.
 * `as_of` is the time to judge deadlines by, HK_NOW to read the clock. */
enum { HK_NOW = 0 };
int hk_scope_stop_reason(hk_sleeper *s, int64_t as_of);

#if HK_FAULTS
/* Tests: called with who asks for its stop reason, before the answer is made up. */
typedef void hk_stop_question(hk_sleeper *s);
void hk_scope_watch(hk_stop_question *ask); /* NULL: no more */
#endif

/* The state in which a wait of `s` that may be stopped begins, given the shields that are up. */
unsigned hk_scope_wait_state(hk_sleeper *s);

/* Make sure that whoever cancels a task below `s` on the same stack finds s: called before s
 * parks for the first time while nested. */
void hk_scope_show_chain(hk_sleeper *s);

#endif
