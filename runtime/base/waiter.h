/* SPDX-License-Identifier: MIT */
/* waiter.h - who waits, and the one word that decides who wakes it.
 *
 * A *sleeper* is anything that can wait: a task or a thread. It lives in type-stable memory (a slab
 * slot that is never returned while anyone can look), so a waker that is late reads a valid word.
 * Each wait is a *turn*; turns only grow, so the word tells a late waker that its turn is over:
 *
 *     word = [ turn : 40 | state : 8 | result : 16 ]
 *
 *       AWAKE --begin (turn + 1)--> WAITING or WAITING_FIRMLY --claim(result)--> AWAKE, result
 *
 * Completion, cancellation and deadline all claim the same turn by one CAS; exactly one wins and
 * says with what result the wait ends. The winner alone makes the sleeper run again.
 *
 * 40 bits: a waker would have to stall between two instructions while the same sleeper waits 10^12
 * times, half a day of nothing but waiting, before an old turn could be taken for a new one. */
#ifndef HK_BASE_WAITER_H
#define HK_BASE_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"

/* Results of a wait beside 0 and negative errnos. */
enum {
    HK_RETRY = 1,   /* it is the waiter's turn to try, or to do it, itself */
    HK_EXPIRED = 2, /* the caller's own deadline has passed (not a scope's: that is -ETIMEDOUT) */
};

enum {
    HK_AWAKE = 0,
    HK_WAITING = 1,        /* a stop may end this wait */
    HK_WAITING_SELF = 2,   /* only a stop aimed at this very sleeper: whoever it runs under has a
                              shield up */
    HK_WAITING_FIRMLY = 3, /* no stop may: shielded, or a call that must complete */
    HK_WAITING_BODY = 4,   /* only a stop aimed at a group's body that is inside the shield */
};

typedef enum hk_sleeper_kind { HK_SLEEPER_TASK, HK_SLEEPER_THREAD } hk_sleeper_kind;

/* word    claimed by anyone (CAS); begun by the sleeper itself
 * kind    constant
 * why     written by the sleeper before it begins, read by dumps (a string constant)
 * refused, refused_of  the sleeper itself: how many of its waits a stop has refused, and in which
 *         life of its slot (park.c) */
typedef struct hk_sleeper {
    HK_ATOMIC(uint64_t) word;
    HK_ATOMIC(const char *) why;
    uint8_t kind;
    uint16_t refused;
    uint32_t refused_of;
} hk_sleeper;

/* The right to try to wake one turn of one sleeper: plain data, copied freely, never dangling. */
typedef struct hk_ticket {
    hk_sleeper *sleeper;
    uint64_t turn;
} hk_ticket;

/* A place in somebody's queue; on the stack of whoever waits. */
typedef struct hk_waiter {
    hk_node link;     /* guarded by the queue's lock */
    hk_ticket ticket; /* constant while linked */
    void *payload;    /* what the queue's owner wants to know: an element, a count */
    unsigned asked;   /* HK_WAITING or HK_WAITING_FIRMLY, as the waiter asked for it */
} hk_waiter;

#define HK_TURN_SHIFT  24
#define HK_STATE_SHIFT 16
#define HK_TURN_MASK   ((UINT64_C(1) << 40) - 1)

static inline uint64_t hk_sleeper_pack(uint64_t turn, unsigned state, int result)
{
    return turn << HK_TURN_SHIFT | (uint64_t)state << HK_STATE_SHIFT | (uint16_t)result;
}

static inline uint64_t hk_word_turn(uint64_t word)
{
    return word >> HK_TURN_SHIFT;
}

static inline unsigned hk_word_state(uint64_t word)
{
    return (unsigned)(word >> HK_STATE_SHIFT) & 0xff;
}

static inline int hk_word_result(uint64_t word)
{
    return (int16_t)(word & 0xffff);
}

/* Begin a turn. seq_cst, because a stop must not slip between "I wait" and "am I stopped?": the
 * canceller sets its flag and then looks at this word, we write this word and then look at the
 * flag; one of the two sees the other. */
static inline hk_ticket hk_sleeper_begin(hk_sleeper *s, unsigned state)
{
    uint64_t word = hk_load_relaxed(&s->word); /* awake: nobody else writes */
    uint64_t turn = (hk_word_turn(word) + 1) & HK_TURN_MASK;
    hk_store_seqcst(&s->word, hk_sleeper_pack(turn, state, 0));
    return (hk_ticket){s, turn};
}

/* Decide how this turn ends. True: the caller did, and must now let the sleeper run. */
static inline bool hk_ticket_claim(hk_ticket t, int result)
{
    uint64_t word = hk_load_seqcst(&t.sleeper->word);
    if (hk_word_turn(word) != t.turn || hk_word_state(word) == HK_AWAKE)
        return false;
    /* [waiter:claim] the sleeper sees what the winner wrote before. One try is enough: within a
     * turn the word changes once. */
    return hk_cas_seqcst(&t.sleeper->word, &word, hk_sleeper_pack(t.turn, HK_AWAKE, result));
}

/* The same for a stop, which leaves firm waits alone. `word` was read from s: its turn is the one
 * meant. `direct`: the stop is aimed at s and not at one it runs under, or from inside the shield
 * that is up. */
static inline bool hk_sleeper_claim_stop(hk_sleeper *s, uint64_t word, bool direct, int result)
{
    unsigned state = hk_word_state(word);
    bool open = state == HK_WAITING_SELF || state == HK_WAITING_BODY;
    /* [waiter:claim] the sleeper sees what the canceller wrote before. */
    return (state == HK_WAITING || (direct && open)) &&
           hk_cas_seqcst(&s->word, &word, hk_sleeper_pack(hk_word_turn(word), HK_AWAKE, result));
}

/* How the turn ended, read by the sleeper once it runs again. */
static inline int hk_sleeper_result(hk_sleeper *s)
{
    return hk_word_result(hk_load_seqcst(&s->word)); /* [waiter:claim] pairs with the claim */
}

#endif
