/* SPDX-License-Identifier: MIT */
/* fdword_model.c - the real source.c: an edge after the last read that found nothing is never lost,
 * a ticket is handed out once a turn, and an event of the last owner touches nothing of the next.
 *
 * The socket is a number of bytes. A poller adds one and reports the edge; the reader reads until
 * there is nothing, and then waits, as io/fd.c does. A lost edge leaves it asleep for ever.
 *
 * The slab of sources lives on from one execution to the next. An execution may be given up
 * anywhere, also inside the slab's lock: hk_lock_slowly below takes it over. */
#include "model/mc.h"
#include "reactor/reactor.h"

#include <errno.h>

enum { FD = 7, TURNS_MAX = 4 };

static hk_source *source;
static uint64_t key; /* what the kernel knows of it */
static hk_reactor home;
static hk_sleeper sleeper;
static mc_parker parker;
static int bytes; /* in the socket */
static int read_n;
static int handed_out[TURNS_MAX]; /* by turn */
static bool starting;

/* Where it is attached: `told` is what the kernel knows, by direction; `made` is what is inside the
 * reactors, written by the thread that has them. All of it plain: source.c has to order it. */
static hk_reactor reactors[2];
static hk_sleeper waiters[2];
static int told[2];
static int made[2];

/* --- stand-ins ------------------------------------------------------------------------------- */

static int watch(hk_reactor *r, hk_source *s, unsigned before, unsigned wanted)
{
    (void)r;
    (void)s;
    for (int d = HK_IN; d <= HK_OUT; d++)
        if (wanted & ~before & HK_WATCH(d))
            MC_WRITE(&told[d], 1);
    return 0;
}

static int arm(hk_reactor *r, hk_source *s, hk_direction d)
{
    (void)s;
    (void)d;
    MC_ASSERT(MC_READ(&made[r - reactors]) == 1);
    return 0;
}

static void forget(hk_reactor *r, hk_source *s)
{
    (void)r;
    (void)s; /* an event that has been fetched may still come */
}

static const hk_backend backend = {.name = "model", .watch = watch, .forget = forget};
static const hk_backend completing = {.name = "completing", .arm = arm, .forget = forget};
static const hk_backend another = {.name = "another", .arm = arm, .forget = forget};

void hk_lock_slowly(hk_lock *l)
{
    while (!starting && hk_swap_acquire(&l->held, 1u) != 0)
        hk_spin_pause();
}

/* --- before ---------------------------------------------------------------------------------- */

static void forget_the_past(hk_source *s)
{
    memset(s->direction, 0, sizeof s->direction);
    memset(&s->attaching, 0, sizeof s->attaching);
    hk_store_relaxed(&s->generation, 1u);
    hk_store_relaxed(&s->hung_up, false);
    hk_store_relaxed(&s->reactor, &home);
    hk_store_relaxed(&s->watched, HK_WATCH(HK_IN) | HK_WATCH(HK_OUT));
}

static void begin(void)
{
    starting = true;
    hk_source *s = hk_source_open(FD);
    MC_ASSERT(s);
    if (source && s != source) /* ours was not closed, or not to the end */
        hk_source_close(s);
    else
        source = s;
    starting = false;
    home.backend = &backend;
    forget_the_past(source);
    key = hk_source_key(source);
    memset(&sleeper, 0, sizeof sleeper);
    memset(&parker, 0, sizeof parker);
    memset(handed_out, 0, sizeof handed_out);
    bytes = read_n = 0;
    mc_name(&source->direction[HK_IN].word, "in");
    mc_name(&source->direction[HK_IN].ticket_turn, "in turn");
    mc_name(&source->generation, "generation");
    mc_name(&bytes, "bytes");
}

/* --- the reader ------------------------------------------------------------------------------ */

static bool read_byte(void)
{
    int n = hk_load_relaxed(&bytes); /* the kernel's own: seen in its CAS */
    do
        if (n == 0)
            return false;
    while (!hk_cas_acqrel(&bytes, &n, n - 1));
    read_n++;
    return true;
}

static int park(hk_ticket t)
{
    mc_sleep(&parker);
    MC_ASSERT(hk_word_turn(hk_load_relaxed(&sleeper.word)) == t.turn);
    return hk_sleeper_result(&sleeper);
}

/* Until n bytes have been read: read, and if there is nothing, wait. A read that found nothing is
 * the kernel's own order: it comes after the edge or before. */
static void read_bytes(int n)
{
    while (read_n < n) {
        if (read_byte())
            continue;
        hk_ticket t = hk_sleeper_begin(&sleeper, HK_WAITING);
        int rc = hk_source_start(source, HK_IN, t, &home);
        if (rc == HK_RETRY)
            continue; /* its turn is begun again, never claimed */
        MC_ASSERT(rc == 0);
        MC_ASSERT(park(t) == HK_RETRY);
    }
}

static void read_1(void)
{
    read_bytes(1);
}

static void read_2(void)
{
    read_bytes(2);
}

static bool wait_at_once(int stopped_with)
{
    hk_ticket t = hk_sleeper_begin(&sleeper, HK_WAITING);
    int rc = hk_source_start(source, HK_IN, t, &home);
    if (rc == 0 && (stopped_with == 0 || !hk_ticket_claim(t, stopped_with)))
        rc = park(t); /* or handed out in that moment */
    return rc == HK_RETRY;
}

/* The first wait is given up, as after a stop. What was handed out to it is kept for the next, who
 * waits without a look: its last read was a short one. */
static void give_up_then_read_1(void)
{
    (void)wait_at_once(-ECANCELED);
    hk_source_stop(source, HK_IN);
    MC_ASSERT(wait_at_once(0));
    read_bytes(1);
}

/* --- pollers --------------------------------------------------------------------------------- */

static void claim(const hk_ready *ready, int n)
{
    for (int i = 0; i < n; i++) {
        MC_ASSERT(ready[i].ticket.sleeper == &sleeper); /* not torn */
        MC_ASSERT(ready[i].ticket.turn > 0 && ready[i].ticket.turn < TURNS_MAX);
        MC_ASSERT(hk_add_relaxed(&handed_out[ready[i].ticket.turn], 1) == 0);
        if (hk_ticket_claim(ready[i].ticket, ready[i].result))
            mc_wake(&parker);
    }
}

static void report(uint64_t whose)
{
    hk_ready ready[2];
    int n = 0;
    hk_source_event(whose, HK_EVENT_IN, ready, &n);
    claim(ready, n);
}

static void edge(void)
{
    (void)hk_add_acqrel(&bytes, 1);
    report(key);
}

static void two_edges(void)
{
    edge();
    edge();
}

static void event_for_nothing(void)
{
    report(key);
}

/* --- the next owner -------------------------------------------------------------------------- */

/* Closes it, opens the slot again, and waits there: only the second poller knows the new key. */
static uint64_t next_key;

static void begin_reuse(void)
{
    begin();
    next_key = 0;
    mc_name(&next_key, "next key");
}

static void close_and_wait_again(void)
{
    hk_source_close(source);
    hk_source *s = hk_source_open(FD + 1);
    MC_ASSERT(s == source);
    hk_store_relaxed(&s->reactor, &home);
    hk_store_relaxed(&s->watched, HK_WATCH(HK_IN) | HK_WATCH(HK_OUT));
    hk_ticket t = hk_sleeper_begin(&sleeper, HK_WAITING);
    MC_ASSERT(hk_source_start(s, HK_IN, t, &home) == 0); /* nothing was left by the last owner */
    hk_store_release(&next_key, hk_source_key(s));
    MC_ASSERT(park(t) == HK_RETRY);
    MC_ASSERT(hk_load_relaxed(&bytes) == 1); /* by an edge, not by the event of another */
}

static void edge_for_the_next(void)
{
    uint64_t its;
    while ((its = hk_load_acquire(&next_key)) == 0)
        hk_spin_pause();
    (void)hk_add_acqrel(&bytes, 1);
    report(its);
}

/* --- attaching ------------------------------------------------------------------------------- */

static void begin_unattached(void)
{
    begin();
    memset(waiters, 0, sizeof waiters);
    memset(told, 0, sizeof told);
    memset(made, 0, sizeof made);
    reactors[0].backend = &completing;
    reactors[1].backend = &another;
    hk_store_relaxed(&source->reactor, (hk_reactor *)NULL);
    hk_store_relaxed(&source->watched, 0u);
    mc_name(&source->reactor, "reactor");
    mc_name(&source->watched, "watched");
}

static void begin_wait(hk_direction d, hk_reactor *r)
{
    hk_ticket t = hk_sleeper_begin(&waiters[d], HK_WAITING);
    MC_ASSERT(hk_source_start(source, d, t, r) == 0);
}

/* Who sleeps relies on the kernel's having been told, be it by the other. */

static void wait_for_input(void)
{
    begin_wait(HK_IN, &home);
    MC_ASSERT(MC_READ(&told[HK_IN]) == 1);
}

static void wait_for_room(void)
{
    begin_wait(HK_OUT, &home);
    MC_ASSERT(MC_READ(&told[HK_OUT]) == 1);
}

/* Each has a reactor of its own kind, and the later one uses the other's. */

static void make_one_and_wait_for_input(void)
{
    MC_WRITE(&made[0], 1);
    begin_wait(HK_IN, &reactors[0]);
}

static void make_another_and_wait_for_room(void)
{
    MC_WRITE(&made[1], 1);
    begin_wait(HK_OUT, &reactors[1]);
}

static void all_was_read(void)
{
    MC_ASSERT(bytes == 0);
}

static const mc_model models[] = {
    {.name = "fdword: one edge",
     .setup = begin,
     .threads = {read_1, edge},
     .check = all_was_read,
     .golden = 51},
    {.name = "fdword: two edges, one after the other",
     .setup = begin,
     .threads = {read_2, two_edges},
     .check = all_was_read,
     .golden = 20694},
    {.name = "fdword: two edges from two pollers",
     .setup = begin,
     .threads = {read_2, edge, edge},
     .check = all_was_read,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 537314},
    {.name = "fdword: one edge and an event for nothing",
     .setup = begin,
     .threads = {read_1, edge, event_for_nothing},
     .check = all_was_read,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 655167},
    {.name = "fdword: a wait given up keeps what it was given",
     .setup = begin,
     .threads = {give_up_then_read_1, edge},
     .check = all_was_read,
     .golden = 11628},
    {.name = "fdword: the last owner's event comes to the next",
     .setup = begin_reuse,
     .threads = {close_and_wait_again, event_for_nothing, edge_for_the_next},
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 1050050},
    {.name = "fdword: two begin to wait, in a direction each",
     .setup = begin_unattached,
     .threads = {wait_for_input, wait_for_room},
     .golden = 60},
    {.name = "fdword: two begin to wait, with reactors of two kinds",
     .setup = begin_unattached,
     .threads = {make_one_and_wait_for_input, make_another_and_wait_for_room},
     .golden = 12},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
