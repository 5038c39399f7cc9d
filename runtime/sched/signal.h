/* SPDX-License-Identifier: MIT */
/* signal.h - from a signal handler, which may do next to nothing, to code that may do anything.
 *
 * A *watch* is told how far a counter has gone: of the deliveries of one signal, or of somebody
 * else's. A handler counts and rings; a thread, there while there is a watch, hears it and calls
 * the watches. The first watch of a signal takes the signal over, the last one puts back what was
 * there before. */
#ifndef HK_SCHED_SIGNAL_H
#define HK_SCHED_SIGNAL_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"

/* link, told  guarded by the lock of signal.c
 * signo       constant: whose deliveries; 0: what is counted is no signal
 * count       constant from begin to end: handlers add, the thread reads; NULL in a forked child
 * tell        called on the thread for signals, with no lock held and never twice at once: that so
 *             many deliveries have come since the last time. May not end the watch */
typedef struct hk_signal_watch {
    hk_node link;
    int signo;
    uint32_t told;
    HK_ATOMIC(uint32_t) * count;
    void (*tell)(struct hk_signal_watch *w, uint32_t deliveries);
} hk_signal_watch;

/* From here on be told of `signo`. 0; -EINVAL no such signal, or one that cannot be caught or stems
 * from an instruction (SIGSEGV and its like); -EAGAIN no thread to be had. */
HK_MUST_CHECK int hk_signal_watch_begin(hk_signal_watch *w, int signo,
                                        void (*tell)(hk_signal_watch *w, uint32_t deliveries));

/* From here on be told what is added to `count`, by who calls hk_signal_ring() after it. 0; -EAGAIN
 * no thread to be had. */
HK_MUST_CHECK int hk_signal_watch_count(hk_signal_watch *w, HK_ATOMIC(uint32_t) * count,
                                        void (*tell)(hk_signal_watch *w, uint32_t deliveries));

/* Have the thread look at all counters. Async-signal-safe, but for errno. */
void hk_signal_ring(void);

/* Once it returns, `tell` is not running and will not be called. Any thread but the one that
 * tells. */
void hk_signal_watch_end(hk_signal_watch *w);

/* fork.c: before a fork(), after it, and in the child, where all watches are over. */
void hk_signal_freeze(void);
void hk_signal_thaw(void);
void hk_signal_forked(void);

#endif
