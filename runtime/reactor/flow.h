/* SPDX-License-Identifier: MIT */
/* flow.h - what a completion backend took out of a descriptor, until somebody reads it.
 *
 * One word for each direction of a source:
 *
 *     word = [ generation : 32 | error : 8 | running : 1 | newest : 23 ]
 *
 *       arm            nothing there and not running --> running
 *       piece arrived  newest = its number + 1, chained to the one before; not running any more if
 *                      it was the last
 *       ended          not running; an error that the system will not tell again is kept
 *       read           newest = 0: the whole chain is the reader's
 *       close          the next generation: whoever comes late with a piece is told to throw it
 * away
 *
 * So who reads never makes the system call while the kernel may be about to put earlier bytes into
 * the flow, and a piece is never lost: one that arrives while its operation is being cancelled lies
 * here for the next read.
 *
 * Order of bytes: the poller is alone (hk_reactor.polling) and the reader is alone (io/fd.h). */
#ifndef HK_REACTOR_FLOW_H
#define HK_REACTOR_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "reactor/reactor.h"

enum {
    HK_PIECE_BYTES = 2048, /* of a buffer: most messages fit; a bulk reader reads by itself */
    HK_PIECES_MAX = 16,    /* unread in one flow before it is stopped, so that no slow reader owns
                              everybody's buffers */
};

enum { HK_FLOW_RUNS = HK_RETRY + 1 };

#define HK_FLOW_PIECES           UINT64_C(0x7fffff)
#define HK_FLOW_RUNNING          UINT64_C(0x800000)
#define HK_FLOW_ERROR_SHIFT      24
#define HK_FLOW_ERROR            (UINT64_C(0xff) << HK_FLOW_ERROR_SHIFT)
#define HK_FLOW_GENERATION_SHIFT 32

_Static_assert(HK_SOURCES_MAX < (int)HK_FLOW_PIECES, "a descriptor is a piece's number");

/* --- for io: instead of the system call ---------------------------------------------------- */

/* Is there, or will there be, anything in the flow? Then these answer; else, and when they return
 * false, the system does: always, where what runs only says when to ask it. Called by the user of
 * the direction. */
static inline bool hk_flow_answers(hk_source *s)
{
    if (s->input == HK_INPUT_EVENTS)
        return false;
    /* [flow:word] acquire: not running any more, so what it took has been counted. */
    return s->taken != 0 || (uint32_t)hk_load_acquire(&s->flow[HK_IN].word) != 0;
}

/* 1..n bytes, -EAGAIN nothing yet, or the error that ended it. *ret_dry: that was all for now. */
bool hk_flow_read(hk_source *s, void *ret_buf, size_t n, ssize_t *ret_n, bool *ret_dry);

/* A connection's descriptor, which is the caller's now, or as above. */
bool hk_flow_accept(hk_source *s, int *ret_fd);

/* --- for source.c and the backend ---------------------------------------------------------- */

/* Begin a generation: nothing there, nothing running. */
static inline void hk_flow_begin(hk_source *s, uint32_t generation)
{
    for (int d = HK_IN; d <= HK_OUT; d++) /* relaxed: whoever else is told is told by arm */
        hk_store_relaxed(&s->flow[d].word, (uint64_t)generation << HK_FLOW_GENERATION_SHIFT);
    s->taken = s->taken_bytes = 0;
}

/* Say that `r` is being asked. 0: do it; HK_FLOW_RUNS: no need to; HK_RETRY: there is something;
 * -ENOMEM. */
int hk_flow_arm(hk_source *s, hk_direction d, hk_reactor *r);

/* A piece has arrived. False: that generation is over, and the piece is still the caller's.
 * *ret_depth: pieces that lie there now. */
bool hk_flow_arrived(uint64_t key, hk_reactor *r, uint32_t piece, bool goes_on,
                     uint32_t *ret_depth);

/* The operation is over. `error`: 0, or a negative errno that nobody will be told again. */
void hk_flow_ended(uint64_t key, hk_direction d, int error);

/* Nobody uses s any more: move on to the next generation, and let go of all that lies there.
 * True: it was running, and must be cancelled. */
bool hk_flow_close(hk_source *s, hk_direction d);

/* Buffers that readers have given back: the number + 1 of the first, chained by next; 0: none. */
uint32_t hk_pieces_take_back(hk_pieces *p);

#endif
