/* SPDX-License-Identifier: MIT */
/* group.h - what hank_group really is: members, a first failure, and one who waits. */
#ifndef HK_SCHED_GROUP_H
#define HK_SCHED_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include <hank/group.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/waiter.h"
#include "sched/scope.h"

struct hk_task;
struct hk_worker;

/* Everything is guarded by lock, except flags, which the user sets before the first spawn, and
 * scope, which is its task's and a canceller's (scope.h).
 * Equation: count == length of members.
 * closed     it takes nobody from outside any more: its runtime ends
 * body       the task between hank_group_begin() and hank_group_end(), or NULL; scope is its
 * awaited    somebody is in hank_group_wait, parked or between two waits, or is the body
 * waiter     the parked one to wake when count comes to zero; valid while `waiting`
 * The last thing a member does with a group is to drop the lock: then its memory may go. */
typedef struct hk_group {
    unsigned flags;
    hk_lock lock;
    hk_node members;
    hk_ticket waiter;
    uint64_t count;
    struct hk_task *body;
    hk_scope scope;
    int32_t first_failure;
    bool cancelled;
    bool closed;
    bool waiting;
    bool awaited;
} hk_group;

_Static_assert(sizeof(hk_group) <= sizeof(hank_group), "hank_group is too small");

/* A member has ended with t->result: count it down, free its slot, wake who waits. */
void hk_group_member_end(struct hk_worker *w, struct hk_task *t);

/* The part of that which does not touch the slot. True: wake *ret_waiter, once no lock is held. */
bool hk_group_leave(hk_group *g, struct hk_task *t, hk_ticket *ret_waiter);

/* Make `t`, which nobody knows yet, a member from outside; false once the group is closed. */
bool hk_group_admit(hank_group *group, struct hk_task *t);
void hk_group_close(hank_group *group);
/* Whether members are refused now. */
bool hk_group_is_stopping(hank_group *group);

/* Make a child that its parent gives up a member; it may be running or over. */
void hk_group_adopt(struct hk_worker *w, struct hk_task *t, hank_group *group);

#endif
