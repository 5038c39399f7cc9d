/* SPDX-License-Identifier: MIT */
/* request_model.c - the real request.c: whatever comes first, the end of a call or the stop of who
 * waits for it, the task goes on once, and not before the call has ended.
 *
 * What the kernel does with the caller's memory is plain data, which the task uses anew as soon as
 * it goes on. A ticket that is lost leaves the task asleep for ever. */
#include "model/mc.h"
#include "reactor/reactor.h"

#include <errno.h>

enum { RESULT = 5 };

static hk_request request;
static hk_sleeper sleeper;
static mc_parker parker;
static hk_ticket first;
static int memory; /* plain: the kernel's until the end */
static int note;   /* plain: what the task leaves for who hands out its second ticket */

static void begin(void)
{
    memset(&request, 0, sizeof request);
    memset(&sleeper, 0, sizeof sleeper);
    memset(&parker, 0, sizeof parker);
    memory = note = 0;
    first = hk_sleeper_begin(&sleeper, HK_WAITING);
    hk_request_begin(&request, first);
    mc_name(&sleeper.word, "word");
    mc_name(&request.state, "state");
}

/* --- the task, as io/request.c --------------------------------------------------------------- */

static int park(void)
{
    mc_sleep(&parker);
    return hk_sleeper_result(&sleeper);
}

static void wait_again(void)
{
    hk_ticket second = hk_sleeper_begin(&sleeper, HK_WAITING_FIRMLY);
    MC_WRITE(&note, 1);
    if (hk_request_move(&request, second))
        MC_ASSERT(park() == 0);
    else
        MC_ASSERT(hk_ticket_claim(second, 0)); /* nobody knew it */
}

static void wait_for_it(void)
{
    if (park() == -ECANCELED)
        wait_again();
    MC_ASSERT(request.result == RESULT);
    MC_ASSERT(MC_READ(&memory) == 1);
    MC_WRITE(&memory, 2);
}

/* --- the others ------------------------------------------------------------------------------ */

static void end(void)
{
    MC_WRITE(&memory, 1);
    hk_ticket t = hk_request_end(&request, RESULT);
    MC_ASSERT(t.sleeper == &sleeper); /* not torn */
    MC_ASSERT(t.turn == first.turn || (t.turn == first.turn + 1 && MC_READ(&note) == 1));
    if (hk_ticket_claim(t, 0))
        mc_wake(&parker);
}

static void stop(void)
{
    if (hk_ticket_claim(first, -ECANCELED))
        mc_wake(&parker);
}

static const mc_model models[] = {
    {.name = "request: it ends", .setup = begin, .threads = {wait_for_it, end}, .golden = 1},
    {.name = "request: it ends and is stopped",
     .setup = begin,
     .threads = {wait_for_it, end, stop},
     .golden = 13},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
