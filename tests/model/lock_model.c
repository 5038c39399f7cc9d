/* SPDX-License-Identifier: MIT */
/* lock_model.c - the real hk_lock: one holder at a time, who sees what the last one wrote. */
#include "base/lock.h"
#include "model/mc.h"

static hk_lock lock;
static int guarded; /* plain: two holders at once, or one that does not see the other, is a race */
static int taken;
static hk_lock *shared;
static bool passed[2];

static void begin(void)
{
    memset(&lock, 0, sizeof lock);
    guarded = taken = 0;
    mc_name(&lock.held, "held");
}

static void count_up(void)
{
    MC_WRITE(&guarded, MC_READ(&guarded) + 1);
}

static void take_once(void)
{
    hk_lock_take(&lock, HK_RANK_SYNC);
    count_up();
    hk_lock_drop(&lock);
}

static void take_twice(void)
{
    take_once();
    take_once();
}

static void try_once(void)
{
    if (!hk_lock_try(&lock, HK_RANK_SYNC))
        return;
    count_up();
    hk_lock_drop(&lock);
    (void)hk_add_relaxed(&taken, 1);
}

static void two_held_it(void)
{
    MC_ASSERT(guarded == 2);
    MC_ASSERT(hk_load_relaxed(&lock.held) == 0);
}

static void three_held_it(void)
{
    MC_ASSERT(guarded == 3);
}

static void who_got_it_held_it(void)
{
    MC_ASSERT(guarded == 1 + taken);
}

static void all_tried(void)
{
    MC_ASSERT(guarded == taken && taken >= 1);
}

/* The lock lives in what it guards: the last of two to pass through frees both. Valid because
 * nothing touches a lock after its drop. */
static void begin_shared(void)
{
    shared = mc_alloc(sizeof *shared);
    memset(shared, 0, sizeof *shared);
    passed[0] = passed[1] = false;
}

static void pass_through(void)
{
    int me = mc_self();
    hk_lock_take(shared, HK_RANK_SYNC);
    MC_WRITE(&passed[me], true);
    bool last = MC_READ(&passed[1 - me]);
    hk_lock_drop(shared);
    if (last)
        mc_free(shared);
}

/* Canaries. */

static void take_without_atomicity(void)
{
    while (hk_load_acquire(&lock.held) != 0)
        hk_spin_pause();
    hk_store_relaxed(&lock.held, 1u);
    count_up();
    hk_store_release(&lock.held, 0u);
}

static void take_and_keep(void)
{
    hk_lock_take(&lock, HK_RANK_SYNC);
}

static const mc_model models[] = {
    {.name = "canary: look, then take",
     .setup = begin,
     .threads = {take_without_atomicity, take_without_atomicity},
     .must_fail = true},
    {.name = "canary: a lock nobody drops",
     .setup = begin,
     .threads = {take_and_keep, take_once},
     .must_fail = true},
    {.name = "lock: two take it",
     .setup = begin,
     .threads = {take_once, take_once},
     .check = two_held_it,
     .golden = 10},
    {.name = "lock: one takes it twice, one once",
     .setup = begin,
     .threads = {take_twice, take_once},
     .check = three_held_it,
     .golden = 122},
    {.name = "lock: three take it",
     .setup = begin,
     .threads = {take_once, take_once, take_once},
     .check = three_held_it,
     .golden = 22092},
    {.name = "lock: one takes it, two try",
     .setup = begin,
     .threads = {take_once, try_once, try_once},
     .check = who_got_it_held_it,
     .golden = 2682},
    {.name = "lock: three try, and one of them gets it",
     .setup = begin,
     .threads = {try_once, try_once, try_once},
     .check = all_tried,
     .golden = 2100},
    {.name = "lock: freed by the last to pass through",
     .setup = begin_shared,
     .threads = {pass_through, pass_through},
     .golden = 10},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
