/* SPDX-License-Identifier: MIT */
/* flow.c - see flow.h.
 *
 * Accepted connections are pieces that need no memory of their own: a descriptor is a small number
 * that nobody else has, so one table with a place for each is enough for the whole process, and
 * pieces cannot run out. It is reserved, not used: a page of it serves hundreds. */
#include "reactor/flow.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/os.h"

static HK_ATOMIC(hk_piece *) connections; /* by descriptor; mapped once */

static uint64_t generation_of(uint64_t word)
{
    return word >> HK_FLOW_GENERATION_SHIFT;
}

/* --- the table of connections -------------------------------------------------------------- */

static bool have_connections(void)
{
    if (hk_load_acquire(&connections)) /* [flow:table] acquire: zeroed */
        return true;
    void *table;
    size_t bytes = HK_SOURCES_MAX * sizeof(hk_piece);
    if (hk_os_map(bytes, &table) < 0)
        return false;
    hk_piece *none = NULL;
    if (!hk_cas_acqrel(&connections, &none, (hk_piece *)table)) /* [flow:table] */
        (void)hk_os_unmap(table, bytes);                        /* somebody was faster */
    return true;
}

/* relaxed: see hk_piece */
static uint32_t next_of(hk_piece *piece)
{
    return hk_load_relaxed(&piece->next);
}

/* relaxed: see hk_piece */
static void set_next(hk_piece *piece, uint32_t next)
{
    hk_store_relaxed(&piece->next, next);
}

static hk_piece *pieces_of(const hk_source *s, hk_reactor *r)
{
    /* [flow:table] acquire, though whoever has a piece has met whoever made the table. */
    return s->input == HK_INPUT_CONNECTIONS ? hk_load_acquire(&connections) : r->pieces.list;
}

/* --- the poller ---------------------------------------------------------------------------- */

int hk_flow_arm(hk_source *s, hk_direction d, hk_reactor *r)
{
    hk_flow *flow = &s->flow[d];
    uint64_t word = hk_load_acquire(&flow->word); /* [flow:word] acquire: the last one is over */
    if ((word & (HK_FLOW_PIECES | HK_FLOW_ERROR)) != 0 || (d == HK_IN && s->taken != 0))
        return HK_RETRY;
    if (word & HK_FLOW_RUNNING)
        return HK_FLOW_RUNS;
    if (d == HK_IN && s->input == HK_INPUT_CONNECTIONS && !have_connections())
        return -ENOMEM;
    flow->at = r;
    /* Only we change a word that is not running. [flow:word] release: where its pieces lie. */
    hk_store_release(&flow->word, word | HK_FLOW_RUNNING);
    return 0;
}

/* The word of that generation, or false: it is over. */
static bool look_up(uint64_t key, hk_direction d, hk_source **ret_source, uint64_t *ret_word)
{
    hk_source *s = hk_source_at((uint32_t)key);
    if (!s)
        return false;
    *ret_source = s;
    *ret_word = hk_load_acquire(&s->flow[d].word); /* [flow:word] acquire: what a reader took */
    return generation_of(*ret_word) == key >> 32;
}

bool hk_flow_arrived(uint64_t key, hk_reactor *r, uint32_t piece, bool goes_on, uint32_t *ret_depth)
{
    hk_source *s;
    uint64_t word, after;
    if (!look_up(key, HK_IN, &s, &word))
        return false;
    hk_piece *list = pieces_of(s, r);
    do {
        if (generation_of(word) != key >> 32)
            return false;
        uint32_t newest = (uint32_t)(word & HK_FLOW_PIECES);
        set_next(&list[piece], newest);
        /* Of a piece that is taken meanwhile it may be anything: then the CAS fails. Nobody else
         * puts pieces here, so the same number is the same piece. */
        uint32_t below = newest ? hk_load_relaxed(&list[newest - 1].depth) : 0; /* see hk_piece */
        *ret_depth = below + 1;
        hk_store_relaxed(&list[piece].depth, below + 1);
        after = (word & ~HK_FLOW_PIECES) | (piece + 1);
        if (!goes_on)
            after &= ~HK_FLOW_RUNNING;
        /* [flow:word] release: the piece and what is in it. */
    } while (!hk_cas_acqrel(&s->flow[HK_IN].word, &word, after));
    return true;
}

void hk_flow_ended(uint64_t key, hk_direction d, int error)
{
    hk_source *s;
    uint64_t word, after;
    if (!look_up(key, d, &s, &word))
        return;
    do {
        if (generation_of(word) != key >> 32)
            return;
        after = (word & ~(HK_FLOW_RUNNING | HK_FLOW_ERROR)) |
                ((uint64_t)(unsigned)-error << HK_FLOW_ERROR_SHIFT & HK_FLOW_ERROR);
        /* [flow:word] release: all its pieces are in the chain. */
    } while (!hk_cas_acqrel(&s->flow[d].word, &word, after));
}

/* --- the reader ---------------------------------------------------------------------------- */

static void give_back(hk_pieces *p, uint32_t piece)
{
    uint32_t first = hk_load_relaxed(&p->given_back); /* relaxed: the CAS decides */
    do
        set_next(&p->list[piece], first);
    /* [flow:back] release: we read it no more. */
    while (!hk_cas_release(&p->given_back, &first, piece + 1));
}

uint32_t hk_pieces_take_back(hk_pieces *p)
{
    if (hk_load_relaxed(&p->given_back) == 0) /* relaxed: looked at again when we come again */
        return 0;
    return hk_swap_acquire(&p->given_back, 0u); /* [flow:back] acquire: nobody reads them */
}

/* Take what has arrived, if nothing is left of what was taken before. True: s->taken is a piece. */
static bool take(hk_source *s, uint64_t *ret_word)
{
    hk_flow *flow = &s->flow[HK_IN];
    uint64_t word = hk_load_acquire(&flow->word); /* [flow:word] acquire: the pieces */
    *ret_word = word;
    if (s->taken != 0)
        return true;
    if ((word & HK_FLOW_PIECES) == 0)
        return false;
    while (!hk_cas_acqrel(&flow->word, &word, word & ~HK_FLOW_PIECES)) /* [flow:word] as above */
        continue;
    *ret_word = word;
    hk_piece *list = pieces_of(s, flow->at);
    uint32_t at = (uint32_t)(word & HK_FLOW_PIECES), later = 0;
    while (at != 0) { /* turn it round: the oldest first */
        uint32_t before = next_of(&list[at - 1]);
        set_next(&list[at - 1], later);
        later = at;
        at = before;
    }
    s->taken = later;
    s->taken_bytes = 0;
    return true;
}

/* There is nothing: why? False: nothing is running either, so ask the system. */
static bool explain(hk_source *s, uint64_t word, int *ret_rc)
{
    if (word & HK_FLOW_RUNNING) {
        *ret_rc = -EAGAIN;
        return true;
    }
    int error = (int)((word & HK_FLOW_ERROR) >> HK_FLOW_ERROR_SHIFT);
    if (error == 0)
        return false;
    /* Told once. Only we change a word that is not running: relaxed, nobody else reads it. */
    hk_store_relaxed(&s->flow[HK_IN].word, word & ~HK_FLOW_ERROR);
    *ret_rc = -error;
    return true;
}

bool hk_flow_read(hk_source *s, void *ret_buf, size_t n, ssize_t *ret_n, bool *ret_dry)
{
    uint64_t word;
    int rc;
    if (!take(s, &word)) {
        bool answers = explain(s, word, &rc);
        *ret_n = answers ? rc : 0;
        return answers;
    }
    hk_pieces *p = &s->flow[HK_IN].at->pieces;
    hk_piece *piece = &p->list[s->taken - 1];
    size_t left = piece->bytes - s->taken_bytes;
    size_t count = left < n ? left : n;
    memcpy(ret_buf, p->memory + (size_t)(s->taken - 1) * HK_PIECE_BYTES + s->taken_bytes, count);
    s->taken_bytes += (uint32_t)count;
    if (count == left) {
        uint32_t empty = s->taken - 1;
        s->taken = next_of(piece);
        s->taken_bytes = 0;
        give_back(p, empty);
    }
    *ret_dry = s->taken == 0;
    *ret_n = (ssize_t)count;
    return true;
}

bool hk_flow_accept(hk_source *s, int *ret_fd)
{
    uint64_t word;
    if (!take(s, &word))
        return explain(s, word, ret_fd);
    *ret_fd = (int)s->taken - 1;
    /* [flow:table] acquire: see pieces_of. */
    s->taken = next_of(&hk_load_acquire(&connections)[s->taken - 1]);
    return true;
}

/* --- the end ------------------------------------------------------------------------------- */

static void let_go(hk_source *s, hk_flow *flow, uint32_t first)
{
    while (first != 0) {
        uint32_t piece = first - 1;
        first = next_of(&pieces_of(s, flow->at)[piece]);
        if (s->input == HK_INPUT_CONNECTIONS)
            (void)hk_os_close((int)piece); /* nobody got to know it */
        else
            give_back(&flow->at->pieces, piece);
    }
}

bool hk_flow_close(hk_source *s, hk_direction d)
{
    hk_flow *flow = &s->flow[d];
    uint64_t next = (uint64_t)(hk_load_relaxed(&s->generation) + 1) /* relaxed: ours to change */
                    << HK_FLOW_GENERATION_SHIFT;
    /* [flow:word] acquire: the pieces; and from here on none comes. */
    uint64_t word = hk_swap_acqrel(&flow->word, next);
    if (d == HK_IN) {
        let_go(s, flow, s->taken);
        let_go(s, flow, (uint32_t)(word & HK_FLOW_PIECES));
        s->taken = 0;
    }
    return word & HK_FLOW_RUNNING;
}
