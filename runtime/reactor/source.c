/* SPDX-License-Identifier: MIT */
/* source.c - descriptors that can be waited for: where they live, and the word that says who waits.
 *
 * Memory: a table of chunks, each of CHUNK_SOURCES slots, never given back. An event carries an
 * index and a generation; the index finds a slot without a lock, always a valid one, and the
 * generation tells whether it is still the same descriptor's. That is what makes a late event
 * harmless: one that a helper already holds in its hands while the owner closes, one of a
 * descriptor that was dup()ed or inherited by a child and lives on in the kernel.
 *
 * The direction words (diagram in reactor.h) survive reuse of a slot: their sequence only grows.
 * So whoever read a word before a close cannot change it after:
 *
 *       poller                          closer
 *       read word                       generation + 1
 *       read generation, compare        word: sequence + 1
 *       CAS word                        slot free
 *
 * Read in the opposite order to the writes: if the word was from after the close, so is the
 * generation and the event is dropped; if it was from before, the CAS fails.
 *
 * Source: Go's netpoll (pollDesc); Boehm, "Can seqlocks get along with programming language memory
 * models?", 2012, for the ticket that is read before it is known to be valid. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/fault.h"
#include "reactor/flow.h"
#include "reactor/reactor.h"

enum { CHUNK_SOURCES = 512, CHUNKS_MAX = HK_SOURCES_MAX / CHUNK_SOURCES };

_Static_assert(HK_SOURCES_MAX < (UINT32_MAX), "HK_KEY_WAKE is no source's key");
_Static_assert(sizeof(hk_source) == 2 * HK_CACHE_LINE, "a source is two lines");

/* chunks       published once each, read without the lock
 * chunk_count  of chunks;   free_first: LIFO, so that the slot is warm; both guarded by lock */
static struct {
    HK_ATOMIC(hk_source *) chunks[CHUNKS_MAX];
    hk_lock lock;
    uint32_t chunk_count;
    hk_source *free_first;
} slab;

/* --- the slab ------------------------------------------------------------------------------ */

hk_source *hk_source_at(uint32_t index)
{
    if (index >= HK_SOURCES_MAX)
        return NULL;
    /* [source:chunk] acquire: its slots have their index. */
    hk_source *chunk = hk_load_acquire(&slab.chunks[index / CHUNK_SOURCES]);
    return chunk ? &chunk[index % CHUNK_SOURCES] : NULL;
}

void hk_source_freeze(void)
{
    hk_lock_freeze(&slab.lock);
}

void hk_source_thaw(void)
{
    hk_lock_thaw(&slab.lock);
}

static hk_source *take_slot(void)
{
    hk_lock_take(&slab.lock, HK_RANK_SLAB);
    hk_source *s = slab.free_first;
    if (s)
        slab.free_first = s->next_free;
    hk_lock_drop(&slab.lock);
    return s;
}

/* Add a chunk. Two threads may both find the slab empty and both add one: not worth preventing. */
static bool grow(void)
{
    size_t bytes = CHUNK_SOURCES * sizeof(hk_source);
    hk_source *chunk = hk_alloc_aligned(bytes, HK_CACHE_LINE);
    if (!chunk)
        return false;
    hk_lock_take(&slab.lock, HK_RANK_SLAB);
    bool has_room = slab.chunk_count < CHUNKS_MAX;
    if (has_room) {
        uint32_t first = slab.chunk_count * CHUNK_SOURCES;
        for (uint32_t i = 0; i < CHUNK_SOURCES; i++) {
            chunk[i].index = first + i;
            chunk[i].next_free = i + 1 < CHUNK_SOURCES ? &chunk[i + 1] : slab.free_first;
        }
        slab.free_first = chunk;
        /* [source:chunk] release: the slots are ready. */
        hk_store_release(&slab.chunks[slab.chunk_count++], chunk);
    }
    hk_lock_drop(&slab.lock);
    if (!has_room)
        hk_free_aligned(chunk, bytes, HK_CACHE_LINE);
    return has_room;
}

/* --- words --------------------------------------------------------------------------------- */

enum { IDLE = 0, READY = 1, ARMED = 2, STATE_MASK = 3 };

static unsigned state_of(uint64_t word)
{
    return (unsigned)(word & STATE_MASK);
}

/* The word of the next step: 62 bits of sequence, which may wrap. */
static uint64_t step_to(uint64_t word, unsigned state)
{
    return ((word & ~(uint64_t)STATE_MASK) + STATE_MASK + 1) | state;
}

uint64_t hk_source_key(const hk_source *s)
{
    /* relaxed: only open and close change it, and the caller has the source open */
    return (uint64_t)hk_load_relaxed(&s->generation) << 32 | s->index;
}

/* --- open and close ------------------------------------------------------------------------ */

hk_source *hk_source_open(int fd)
{
    hk_source *s;
    while ((s = take_slot()) == NULL)
        if (!grow())
            return NULL;
    s->fd = fd;
    s->input = HK_INPUT_EVENTS;
    hk_flow_begin(s, hk_load_relaxed(&s->generation)); /* relaxed: nobody else changes it */
    /* Relaxed: whoever else gets to know this source does so through its owner. */
    hk_store_relaxed(&s->reactor, (hk_reactor *)NULL);
    hk_store_relaxed(&s->watched, 0u);
    hk_store_relaxed(&s->user, ~(uintptr_t)s);
    hk_store_relaxed(&s->hung_up, false);
    return s;
}

void hk_source_close(hk_source *s)
{
    hk_reactor *r = hk_load_acquire(&s->reactor); /* [source:attach] acquire: it knows the source */
    if (r)
        r->backend->forget(r, s);

    /* relaxed: ours alone to change; the words below publish it */
    hk_store_relaxed(&s->generation, hk_load_relaxed(&s->generation) + 1);
    for (int d = HK_IN; d <= HK_OUT; d++) {
        uint64_t word = hk_load_relaxed(&s->direction[d].word); /* relaxed: the CAS decides */
        do
            HK_CHECK(state_of(word) != ARMED); /* somebody still waits: it would wait for ever */
        /* [source:generation] release: a poller that sees this word sees the new generation. */
        while (!hk_cas_acqrel(&s->direction[d].word, &word, step_to(word, IDLE)));
    }

    hk_lock_take(&slab.lock, HK_RANK_SLAB);
    s->next_free = slab.free_first;
    slab.free_first = s;
    hk_lock_drop(&slab.lock);
}

/* --- waiting ------------------------------------------------------------------------------- */

/* Most writes never wait, and a descriptor that is watched for them is said to be writable with
 * each of its other events. Who waits to write first wants to read next. */
static int watch_once(hk_source *s, hk_direction d, hk_reactor *r)
{
    if (HK_LIKELY(hk_load_acquire(&s->watched) & HK_WATCH(d))) /* [source:attach] acquire */
        return 0;
    int rc = 0;
    hk_lock_take(&s->attaching, HK_RANK_REACTOR);
    unsigned before = hk_load_relaxed(&s->watched); /* relaxed: written under this lock */
    if (!(before & HK_WATCH(d))) {
        unsigned wanted = before | HK_WATCH(HK_IN) | HK_WATCH(d);
        if (before)
            r = hk_load_relaxed(&s->reactor); /* relaxed: the same */
        rc = r->backend->watch(r, s, before, wanted);
        if (rc == 0) {
            hk_store_release(&s->reactor, r);      /* [source:attach] release: attached */
            hk_store_release(&s->watched, wanted); /* [source:attach] release: the same */
        }
    }
    hk_lock_drop(&s->attaching);
    return rc;
}

/* Attached there first: if that fails, it stays where it is. Nothing is lost in between, as who
 * begins to watch is told of all that is so already. What the old one still tells is taken for
 * news, which costs a call that finds nothing. */
HK_COLD void hk_source_move(hk_source *s, hk_reactor *to)
{
    hk_lock_take(&s->attaching, HK_RANK_REACTOR);
    hk_reactor *from = hk_load_relaxed(&s->reactor); /* relaxed: written under this lock */
    if (to && from && to != from && to->backend == from->backend && to->backend->watch &&
        !hk_load_relaxed(&to->sheds) && /* a hint */
        /* relaxed: written under this lock */
        to->backend->watch(to, s, 0, hk_load_relaxed(&s->watched)) == 0) {
        from->backend->forget(from, s);
        hk_store_release(&s->reactor, to); /* [source:attach] release: attached */
    }
    hk_lock_drop(&s->attaching);
}

/* Have the kernel go on with this direction, unless it does. */
static int arm_again(hk_source *s, hk_direction d, hk_reactor *r)
{
    if (!hk_load_relaxed(&s->reactor))    /* relaxed: any will do, as close asks for the backend */
        hk_store_release(&s->reactor, r); /* [source:attach] release */
    return r->backend->arm(r, s, d);
}

int hk_source_start(hk_source *s, hk_direction d, hk_ticket t, hk_reactor *home)
{
    if (hk_fault_owes(s->fd, d == HK_OUT))
        return HK_RETRY;
    hk_reactor *r = hk_load_acquire(&s->reactor); /* [source:attach] acquire */
    if (!r)
        r = home;
    bool completes = r->backend->arm;
    /* It moves to where it is waited for, as long as that is of the same kind. */
    int rc = completes ? arm_again(s, d, home && home->backend == r->backend ? home : r)
                       : watch_once(s, d, r);
    if (rc != 0)
        return rc;

    hk_channel_word *c = &s->direction[d];
    /* [source:event] acquire: hung_up, and that the last poller has read the old ticket. */
    uint64_t word = hk_load_acquire(&c->word);
    for (;;) {
        HK_CHECK(state_of(word) != ARMED); /* one waiter a direction */
        if (state_of(word) == READY) {
            if (hk_cas_acqrel(&c->word, &word, step_to(word, IDLE)))
                return HK_RETRY;
            continue;
        }
        hk_store_relaxed(&c->ticket_sleeper, t.sleeper); /* relaxed: the CAS publishes them */
        hk_store_relaxed(&c->ticket_turn, t.turn);
        /* [source:armed] release: a poller that sees ARMED sees the ticket. */
        if (hk_cas_acqrel(&c->word, &word, step_to(word, ARMED)))
            return 0;
    }
}

bool hk_source_is_watched(hk_source *s, hk_direction d)
{
    hk_reactor *r = hk_load_acquire(&s->reactor); /* [source:attach] acquire */
    if (!r || !r->backend->arm)
        return hk_load_acquire(&s->watched) & HK_WATCH(d);      /* [source:attach] acquire */
    return hk_load_acquire(&s->flow[d].word) & HK_FLOW_RUNNING; /* [flow:word] acquire */
}

void hk_source_stop(hk_source *s, hk_direction d)
{
    HK_ATOMIC(uint64_t) *at = &s->direction[d].word;
    uint64_t word = hk_load_relaxed(at); /* relaxed: the CAS decides */
    unsigned after;
    do
        /* Not armed any more: handed out to us, who did not use it. Keep it for the next. */
        after = state_of(word) == ARMED ? IDLE : READY;
    while (!hk_cas_acqrel(at, &word, step_to(word, after)));
}

/* --- events -------------------------------------------------------------------------------- */

static void make_ready(hk_source *s, hk_direction d, uint32_t generation, hk_ready *ready, int *n)
{
    hk_channel_word *c = &s->direction[d];
    /* [source:armed] acquire: the ticket. [source:generation] acquire: read after the word. */
    uint64_t word = hk_load_acquire(&c->word);
    for (;;) {
        if (hk_load_relaxed(&s->generation) != generation) /* relaxed: ordered by the word */
            return;
        bool is_armed = state_of(word) == ARMED;
        /* Maybe torn, maybe another's: valid if and only if the word has not moved since. */
        hk_ticket t = {hk_load_relaxed(&c->ticket_sleeper), hk_load_relaxed(&c->ticket_turn)};
        /* [source:event] release: hung_up is set, and the ticket has been read. A word that is
         * READY already moves too: whoever consumed it may have done so before this edge. */
        if (!hk_cas_acqrel(&c->word, &word, step_to(word, is_armed ? IDLE : READY)))
            continue;
        if (is_armed) {
            const char *user = (const char *)~hk_load_relaxed(&s->user); /* only a hint */
            HK_PREFETCH(user);
            HK_PREFETCH(user + HK_CACHE_LINE);
            ready[(*n)++] = (hk_ready){t, HK_RETRY};
        }
        return;
    }
}

void hk_source_expect(uint64_t key)
{
    hk_source *s = hk_source_at((uint32_t)key);
    if (s) {
        HK_PREFETCH(&s->direction);
        HK_PREFETCH(&s->generation);
    }
}

void hk_source_event(uint64_t key, unsigned what, hk_ready *ready, int *n)
{
    uint32_t generation = (uint32_t)(key >> 32);
    hk_source *s = hk_source_at((uint32_t)key);
    if (!s || hk_load_relaxed(&s->generation) != generation) /* relaxed: looked at again below */
        return;
    if (what & HK_EVENT_HUNG_UP)
        hk_store_relaxed(&s->hung_up, true); /* relaxed: the words below publish it */
    if (what & HK_EVENT_IN)
        make_ready(s, HK_IN, generation, ready, n);
    if (what & HK_EVENT_OUT)
        make_ready(s, HK_OUT, generation, ready, n);
}
