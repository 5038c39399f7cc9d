/* SPDX-License-Identifier: MIT */
/* join.h - waiting for children: a counter on the stack of whoever waits.
 *
 * A child that runs as a call never comes here. For the others the parent leaves a pointer to its
 * hk_join in each child (CAS), and a child that ends finds it there (swap with DONE) and counts
 * down:
 *
 *     word = [ turn : 40 | left : 24 ]
 *
 * The turn says under which ticket the parent is parked right now (0: it is not). It shares the
 * word with the count, so the child that brings the count to zero learns in that same operation
 * whom to wake: neither a parent that was stopped in between and parked again, nor a parent that
 * has already seen zero and gone, can be missed or touched. After its countdown a child touches
 * nothing of the parent's.
 *
 * The first child to fail (or, in a race, to end) cancels the others itself, before it counts down:
 * the parent may be stuck beneath one of them on the same stack and could not. */
#ifndef HK_SCHED_JOIN_H
#define HK_SCHED_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <hank/task.h>

#include "base/atomic.h"
#include "base/waiter.h"

struct hk_task;
struct hk_worker;

typedef enum hk_join_mode {
    HK_JOIN_ALL,       /* wait for all, whatever they return */
    HK_JOIN_FAIL_FAST, /* the first failure cancels the others */
    HK_JOIN_FIRST,     /* the first end cancels the others */
    HK_JOIN_SETTLE,    /* wait for all; nobody will: their failures are reported as they end */
    HK_JOIN_LOOK,      /* not a join at all: look.h */
} hk_join_mode;

enum { HK_JOIN_MAX = 1000 * 1000 }; /* children in one join; `left` has room for 16 million */

/* mode    constant, and first: what stands in a join word may be an hk_watch instead, which begins
 *         with it too (look.h)
 * sleeper, tasks, n  constant
 * word    parent and children, RMW
 * first   children, CAS: the first that decided the join; its result is in first_result
 * rest    the parent: tasks from here on were called, and need nothing more
 * stop    the parent: the first stop that came before the join was decided
 * shown   the parent, or a child nested above it: are we in every child's join yet? */
typedef struct hk_join {
    uint8_t mode;
    bool shown;
    int first_result;
    HK_ATOMIC(uint64_t) word;
    hk_sleeper *sleeper;
    const hank_task *tasks;
    size_t n;
    size_t rest;
    HK_ATOMIC(struct hk_task *) first;
    int stop;
} hk_join;

/* Wait until all n children in j->tasks have ended; children that have not started and are at hand
 * are called. Stops of the caller are passed on to them. Handles that are not the caller's or used
 * up count as ended. 0, or the stop that came before anything decided the join (the children have
 * ended all the same). */
int hk_join_wait(hk_join *j);

/* Leave j in every child that has not ended: called at the latest when the parent cannot act
 * any more, because it parks or because a child nested above it does. */
void hk_join_show(hk_join *j);

/* Cancel every child of j but `except`; what is no child of the caller's is left alone. */
void hk_join_cancel(hk_join *j, struct hk_task *except);

/* Has a child decided the join? And in a race, which: after hk_join_wait, handles not used up. */
bool hk_join_decided(hk_join *j);
ssize_t hk_join_winner(hk_join *j);

/* For a child that ends with j in its join word. */
void hk_join_arrive(hk_join *j, struct hk_task *child, int result);

#endif
