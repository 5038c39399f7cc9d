/* SPDX-License-Identifier: MIT */
/* call.h - the beginning and the end of a call that was asked for with a timer. */
#ifndef HK_SCHED_CALL_H
#define HK_SCHED_CALL_H

#include <stdbool.h>

struct hk_task;

/* The task, which is running now, is about to make its call. False: it was taken back. */
bool hk_call_begin(struct hk_task *t);

/* It is over, or never was: tell who waits for that. */
void hk_call_end(struct hk_task *t);

#endif
