/* SPDX-License-Identifier: MIT */
/* flow_model.c - the real flow.c: what a completion backend took out of a descriptor reaches its
 * reader whole and in order, before he asks the system; and each piece has one owner, also if the
 * descriptor is closed or used anew while it arrives.
 *
 * What is in a piece is plain data, and so is what its next user puts there: flow.c has to order
 * the two. A piece that is counted and never read leaves the reader spinning for ever. */
#include "base/os.h"
#include "model/mc.h"
#include "reactor/flow.h"

#include <errno.h>

enum { FIRST = 0, SECOND = 1, PIECES = 2, SOURCES = 2, LOST = 3, GONE = -ECONNRESET };

static hk_source sources[SOURCES];
static hk_reactor home;
static hk_piece list[PIECES];
static char memory[PIECES * HK_PIECE_BYTES]; /* of each piece the first two bytes: its number */
static int filled[PIECES];                   /* plain: by whom */
static int asked;                            /* the kernel knows of the operation */
static int refused[PIECES], back[PIECES];    /* pieces that are the poller's again */

/* --- stand-ins ------------------------------------------------------------------------------- */

hk_source *hk_source_at(uint32_t index)
{
    MC_ASSERT(index < SOURCES);
    return &sources[index];
}

uint64_t hk_source_key(const hk_source *s)
{
    return (uint64_t)hk_load_relaxed(&((hk_source *)(uintptr_t)s)->generation) << 32 | s->index;
}

/* Of connections, by descriptor; what was there before is not what is mapped. */
static hk_piece table[PIECES];
static int closed_fds;

int hk_os_map(size_t bytes, void **ret_base)
{
    (void)bytes;
    *ret_base = table;
    return 0;
}

int hk_os_unmap(void *base, size_t bytes)
{
    (void)base, (void)bytes;
    mc_fail("the table was made twice by one thread");
}

int hk_os_close(int fd)
{
    closed_fds |= 1 << fd;
    return 0;
}

/* --- before ---------------------------------------------------------------------------------- */

static void open_source(hk_source *s, hk_input input)
{
    s->input = (uint8_t)input;
    hk_flow_begin(s, hk_load_relaxed(&s->generation));
}

static void begin_with(hk_input input)
{
    memset(sources, 0, sizeof sources);
    memset(&home, 0, sizeof home);
    memset(list, 0, sizeof list);
    memset(table, 0, sizeof table);
    memset(filled, 0, sizeof filled);
    memset(refused, 0, sizeof refused);
    memset(back, 0, sizeof back);
    asked = closed_fds = 0;
    home.pieces = (hk_pieces){.list = list, .memory = memory};
    for (int i = 0; i < PIECES; i++) {
        list[i].bytes = 2;
        memset(&memory[i * HK_PIECE_BYTES], i, 2);
    }
    for (unsigned i = 0; i < SOURCES; i++) {
        sources[i].index = i;
        hk_store_relaxed(&sources[i].generation, 1u);
        open_source(&sources[i], input);
        mc_name(&sources[i].flow[HK_IN].word, i == 0 ? "word" : "other word");
    }
    mc_name(&home.pieces.given_back, "given_back");
    mc_name(&list[FIRST].next, "next of the first");
    mc_name(&list[SECOND].next, "next of the second");
}

static void begin(void)
{
    begin_with(HK_INPUT_BYTES);
}

static void begin_running(void)
{
    begin();
    MC_ASSERT(hk_flow_arm(&sources[0], HK_IN, &home) == 0);
}

static void begin_accepting(void)
{
    begin_with(HK_INPUT_CONNECTIONS);
    MC_ASSERT(hk_flow_arm(&sources[0], HK_IN, &home) == 0);
}

/* --- the poller ------------------------------------------------------------------------------ */

static bool deliver(uint64_t key, uint32_t piece, bool goes_on)
{
    uint32_t depth = 0;
    MC_WRITE(&filled[piece], 1);
    bool taken = hk_flow_arrived(key, &home, piece, goes_on, &depth);
    MC_ASSERT(!taken || (depth >= 1 && depth <= piece + 1));
    refused[piece] = !taken;
    return taken;
}

/* Of the operation that the reader asks for, as the kernel hands it to him. */
static void wait_until_asked(void)
{
    while (hk_load_acquire(&asked) == 0)
        hk_spin_pause();
}

static void deliver_both(void)
{
    wait_until_asked();
    MC_ASSERT(deliver(hk_source_key(&sources[0]), FIRST, true));
    MC_ASSERT(deliver(hk_source_key(&sources[0]), SECOND, false));
}

static void deliver_one_and_break(void)
{
    uint64_t key = hk_source_key(&sources[0]);
    MC_ASSERT(deliver(key, FIRST, true));
    hk_flow_ended(key, HK_IN, GONE);
}

/* As one who has the key of a generation that may be over. */
static void deliver_to_whom_it_may_concern(void)
{
    uint64_t key = UINT64_C(1) << 32;
    (void)deliver(key, FIRST, true);
    (void)deliver(key, SECOND, true);
    hk_flow_ended(key, HK_IN, GONE);
}

static void take_back(void)
{
    uint32_t next = hk_pieces_take_back(&home.pieces);
    while (next != 0) {
        MC_ASSERT(back[next - 1]++ == 0);
        MC_WRITE(&filled[next - 1], 2);               /* the next one's */
        next = hk_load_relaxed(&list[next - 1].next); /* ours: nobody else has it */
    }
}

static void deliver_and_take_back(void)
{
    deliver_to_whom_it_may_concern();
    take_back();
}

/* --- the reader ------------------------------------------------------------------------------ */

/* As io/fd.c: false, it asks the system. */
static bool read_some(hk_source *s, char *ret_byte, ssize_t *ret_n, bool *ret_dry)
{
    return hk_flow_answers(s) && hk_flow_read(s, ret_byte, 1, ret_n, ret_dry);
}

/* The next piece, a byte at a time; -1: the flow has nothing to say any more; or why it ended. */
static int read_piece(hk_source *s)
{
    char byte = LOST;
    ssize_t n;
    bool dry;
    do {
        if (!read_some(s, &byte, &n, &dry))
            return -1;
        if (n == -EAGAIN)
            hk_spin_pause();
    } while (n == -EAGAIN);
    if (n < 0)
        return (int)n;
    MC_ASSERT(n == 1 && !dry);
    MC_ASSERT(MC_READ(&filled[(int)byte]) == 1);
    char again = LOST;
    MC_ASSERT(read_some(s, &again, &n, &dry) && n == 1 && again == byte);
    return byte;
}

static void ask(hk_source *s)
{
    MC_ASSERT(hk_flow_arm(s, HK_IN, &home) == 0);
    hk_store_release(&asked, 1);
}

static void ask_and_read_both(void)
{
    ask(&sources[0]);
    MC_ASSERT(read_piece(&sources[0]) == FIRST);
    MC_ASSERT(read_piece(&sources[0]) == SECOND);
    MC_ASSERT(read_piece(&sources[0]) == -1);
}

/* What arrives goes before asking for more of it. */
static void ask_for_more_and_read_both(void)
{
    int rc;
    hk_store_release(&asked, 1);
    while ((rc = hk_flow_arm(&sources[0], HK_IN, &home)) == HK_FLOW_RUNS)
        hk_spin_pause();
    MC_ASSERT(rc == HK_RETRY);
    MC_ASSERT(read_piece(&sources[0]) == FIRST);
    MC_ASSERT(read_piece(&sources[0]) == SECOND);
}

static void read_until_it_breaks(void)
{
    MC_ASSERT(read_piece(&sources[0]) == FIRST);
    MC_ASSERT(read_piece(&sources[0]) == GONE);
    MC_ASSERT(read_piece(&sources[0]) == -1); /* it is told once */
}

/* --- the closer ------------------------------------------------------------------------------ */

static void close_source(hk_source *s)
{
    (void)hk_flow_close(s, HK_IN);
    hk_store_relaxed(&s->generation, hk_load_relaxed(&s->generation) + 1);
}

static void close_first(void)
{
    close_source(&sources[0]);
}

/* With one piece in the hand, maybe, and others behind it. */
static void read_half_and_close(void)
{
    char byte = LOST;
    ssize_t n = 0;
    bool dry;
    if (read_some(&sources[0], &byte, &n, &dry) && n == 1)
        MC_ASSERT(byte == FIRST && MC_READ(&filled[FIRST]) == 1);
    close_source(&sources[0]);
}

/* It is somebody else's at once, who asks, and is told nothing that is not his. */
static void close_and_use_anew(void)
{
    ssize_t n;
    char byte;
    bool dry;
    close_source(&sources[0]);
    open_source(&sources[0], HK_INPUT_BYTES);
    MC_ASSERT(!hk_flow_answers(&sources[0]));
    MC_ASSERT(hk_flow_arm(&sources[0], HK_IN, &home) == 0);
    MC_ASSERT(read_some(&sources[0], &byte, &n, &dry) && n == -EAGAIN);
}

/* What was taken was given back, or is still the poller's: each piece once. */
static void each_has_one_owner(void)
{
    take_back();
    for (int i = 0; i < PIECES; i++)
        MC_ASSERT(refused[i] + back[i] == 1);
}

/* --- connections ----------------------------------------------------------------------------- */

static void accept_two_connections(void)
{
    uint32_t depth;
    uint64_t key = UINT64_C(1) << 32;
    for (uint32_t fd = FIRST; fd <= SECOND; fd++)
        refused[fd] = !hk_flow_arrived(key, &home, fd, fd == FIRST, &depth);
}

static void take_both_in_order(void)
{
    for (int wanted = FIRST; wanted <= SECOND; wanted++) {
        int fd = -EAGAIN;
        while (hk_flow_answers(&sources[0]) && hk_flow_accept(&sources[0], &fd) && fd == -EAGAIN)
            hk_spin_pause();
        MC_ASSERT(fd == wanted);
    }
    MC_ASSERT(!hk_flow_answers(&sources[0]));
}

static void each_is_closed_once(void)
{
    for (int fd = FIRST; fd <= SECOND; fd++)
        MC_ASSERT(refused[fd] + (closed_fds >> fd & 1) == 1);
}

/* --- two readers of one reactor's pieces ----------------------------------------------------- */

static void begin_with_one_each(void)
{
    begin();
    for (uint32_t i = 0; i < SOURCES; i++) {
        MC_ASSERT(hk_flow_arm(&sources[i], HK_IN, &home) == 0);
        MC_ASSERT(deliver(hk_source_key(&sources[i]), i, false));
    }
}

static void read_first(void)
{
    MC_ASSERT(read_piece(&sources[0]) == FIRST);
}

static void read_second(void)
{
    MC_ASSERT(read_piece(&sources[1]) == SECOND);
}

static void take_back_twice(void)
{
    take_back();
    take_back();
}

static const mc_model models[] = {
    {.name = "flow: two pieces are asked for, arrive and are read",
     .setup = begin,
     .threads = {deliver_both, ask_and_read_both},
     .golden = 1432},
    {.name = "flow: more is asked for while pieces arrive",
     .setup = begin_running,
     .threads = {deliver_both, ask_for_more_and_read_both},
     .golden = 702},
    {.name = "flow: one piece arrives, and then no more",
     .setup = begin_running,
     .threads = {deliver_one_and_break, read_until_it_breaks},
     .golden = 394},
    {.name = "flow: closed while pieces arrive",
     .setup = begin_running,
     .threads = {deliver_and_take_back, close_first},
     .check = each_has_one_owner,
     .golden = 48},
    {.name = "flow: read in part and closed while pieces arrive",
     .setup = begin_running,
     .threads = {deliver_and_take_back, read_half_and_close},
     .check = each_has_one_owner,
     .golden = 3396},
    {.name = "flow: closed and used anew while pieces arrive",
     .setup = begin_running,
     .threads = {deliver_and_take_back, close_and_use_anew},
     .check = each_has_one_owner,
     .golden = 870},
    {.name = "flow: two readers give back, the poller takes",
     .setup = begin_with_one_each,
     .threads = {read_first, read_second, take_back_twice},
     .check = each_has_one_owner,
     .golden = 300},
    {.name = "flow: two connections arrive and are taken",
     .setup = begin_accepting,
     .threads = {accept_two_connections, take_both_in_order},
     .golden = 254},
    {.name = "flow: closed while connections arrive",
     .setup = begin_accepting,
     .threads = {accept_two_connections, close_first},
     .check = each_is_closed_once,
     .golden = 7},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
