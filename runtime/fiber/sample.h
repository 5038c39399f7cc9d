/* SPDX-License-Identifier: MIT */
/* sample.h - where is another thread at this moment? For who reports what holds it up.
 *
 *   IDLE --hk_sample_take--> ASKED --the thread's handler--> WRITING --> WRITTEN --> IDLE
 *                              +------- no answer in time ------------------------->+ */
#ifndef HK_FIBER_SAMPLE_H
#define HK_FIBER_SAMPLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "fiber/frames.h"

/* One a thread that can be asked, zeroed; one other thread asks.
 *
 * state      above; the asker, and from ASKED to WRITTEN the thread's handler
 * thread, here  guarded by a lock of sample.c
 * n, frames  the handler's, and the asker's once WRITTEN */
typedef struct hk_sample {
    HK_ATOMIC(uint32_t) state;
    bool here;
    pthread_t thread;
    unsigned n;
    void *frames[HK_FRAMES_MAX];
} hk_sample;

/* The calling thread can be asked from now on; until, on the same thread. */
void hk_sample_enter(hk_sample *s);
void hk_sample_leave(hk_sample *s);

/* Install the handler, unless the program uses the signal: then, and on CPUs whose frames are not
 * known, nobody answers. Nests; each is ended once. */
void hk_sample_begin(void);
void hk_sample_end(void);

/* The address where s's thread is and then the return addresses of its callers, as far as they have
 * frame pointers and are on its fiber's stack. How many, in s->frames until the next call; 0: it
 * did not answer within `patience_ns`. */
unsigned hk_sample_take(hk_sample *s, int64_t patience_ns);

/* Keep everyone out, across a fork(), and let them in again; in the child, nobody has begun. */
void hk_sample_freeze(void);
void hk_sample_thaw(void);
void hk_sample_forked(void);

#endif
