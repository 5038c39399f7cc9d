/* SPDX-License-Identifier: MIT */
/* mutex.h - what the condition has to know of the mutex. */
#ifndef HK_SYNC_MUTEX_H
#define HK_SYNC_MUTEX_H

#include <stdbool.h>

#include <hank/sync.h>

/* Whether the calling task or thread holds `m`. */
bool hk_mutex_is_mine(hank_mutex *m);

#endif
