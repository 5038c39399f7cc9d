/* SPDX-License-Identifier: MIT */
/* mc_wait.c - threads that wait: spinning, sleeping, in a futex; and what commutes with what.
 *
 * Spinning. A loop that waits for a store says so (hk_spin_pause); its thread stands aside until
 * there has been a store to something it has read since it paused last. What is left when everybody
 * stands aside is a thread that read an old value and would read the new one in time: it is sent
 * once more, reading the newest of everything. If it pauses again without a store in between, it
 * spins for ever: a livelock.
 *
 * Sleeping for ever is a lost wake-up. The search reports both when nobody can run. */
#include "model/mc_core.h"

bool mc_can_run(const mc_thread *t)
{
    if (t->ended)
        return false;
    switch (t->next.kind) {
    case MC_OP_PAUSE: return t->stirred;
    case MC_OP_SLEEP: return mc_location_at(t->next.location)->has_token;
    case MC_OP_FUTEX_BLOCKED: return t->timed;
    default: return true;
    }
}

void mc_wait_stir(int location)
{
    for (int i = 0; i < mc.n; i++) {
        mc_thread *t = &mc.threads[i];
        if (t->next.kind == MC_OP_PAUSE && t->next.watched >> location & 1)
            t->stirred = true;
    }
}

void mc_pause(const char *site)
{
    if (mc.alone)
        mc_fail("%s: waits where nobody else runs", site);
    mc_thread *t = mc_running();
    t->stirred = false;
    mc_announce((mc_operation){MC_OP_PAUSE, -1, MC_RELAXED, site, t->watched});
    t->watched = 0;
    mc_trace("pause ends", NULL, 0, site);
}

void mc_wake_at(mc_parker *p, const char *site)
{
    if (mc.alone) {
        mc_location_at(mc_location_of(&p->token, sizeof p->token))->has_token = true;
        return;
    }
    mc_location *l = mc_announce_access(MC_OP_WAKE, &p->token, sizeof p->token, MC_ACQREL, site);
    if (!l->token)
        l->token = mc_message_new();
    mc_view *mine = &mc_running()->view;
    mc_view_join(&l->token->view, mine);
    mine->clock[mc.current]++;
    l->has_token = true;
    mc_trace("wake", l, 1, site);
}

void mc_sleep_at(mc_parker *p, const char *site)
{
    if (mc.alone)
        mc_fail("%s: sleeps where nobody else runs", site);
    mc_location *l = mc_announce_access(MC_OP_SLEEP, &p->token, sizeof p->token, MC_ACQREL, site);
    l->has_token = false;
    if (l->token)
        mc_view_join(&mc_running()->view, &l->token->view);
    mc_trace("sleep ends", l, 0, site);
}

/* The kernel compares under its lock, between two full barriers, with the newest value. 0: not
 * equal, or woken; 1: the time is up. */
int mc_futex_wait(void *p, uint32_t expected, bool timed, const char *site)
{
    if (mc.alone)
        mc_fail("%s: sleeps where nobody else runs", site);
    mc_location *l = mc_announce_access(MC_OP_FUTEX_WAIT, p, sizeof(uint32_t), MC_SEQCST, site);
    mc_memory_barrier();
    uint64_t value = mc_memory_newest(l);
    mc_trace("futex wait", l, value, site);
    if (value != expected)
        return 0;
    mc_thread *t = mc_running();
    t->timed = timed;
    mc_announce((mc_operation){MC_OP_FUTEX_BLOCKED, mc_location_of(p, sizeof(uint32_t)), MC_SEQCST,
                               site, 0});
    bool expired = t->next.kind == MC_OP_FUTEX_BLOCKED;
    mc_memory_barrier();
    mc_trace(expired ? "futex expires" : "futex woken", l, 0, site);
    return expired;
}

void mc_futex_wake(void *p, int n, const char *site)
{
    if (mc.alone)
        return;
    int location = mc_location_of(p, sizeof(uint32_t));
    mc_announce((mc_operation){MC_OP_FUTEX_WAKE, location, MC_SEQCST, site, 0});
    mc_memory_barrier();
    mc_thread *blocked[MC_THREADS_MAX];
    int count = 0;
    for (int i = 0; i < mc.n; i++) {
        mc_thread *t = &mc.threads[i];
        if (!t->ended && t->next.kind == MC_OP_FUTEX_BLOCKED && t->next.location == location)
            blocked[count++] = t;
    }
    mc_trace("futex wake", mc_location_at(location), (uint64_t)count, site);
    for (; n > 0 && count > 0; n--) {
        int i = n < count ? mc_choose(count) : 0;
        blocked[i]->next.kind = MC_OP_FUTEX_WOKEN;
        blocked[i] = blocked[--count];
    }
}

/* Two operations that do not touch each other give the same in both orders, and enable the same;
 * the search tries one of them. When in doubt: dependent. */

static bool is_futex(mc_kind kind)
{
    return kind >= MC_OP_FUTEX_WAIT && kind <= MC_OP_FUTEX_WOKEN;
}

static bool is_memory(mc_kind kind)
{
    return kind == MC_OP_ALLOCATE || kind == MC_OP_FREE;
}

static bool stirs(const mc_operation *store, const mc_operation *pause)
{
    return (store->kind == MC_OP_STORE || store->kind == MC_OP_UPDATE) &&
           pause->watched >> store->location & 1;
}

bool mc_dependent(const mc_operation *a, const mc_operation *b)
{
    if (a->kind == MC_OP_PAUSE || b->kind == MC_OP_PAUSE)
        return a->kind == b->kind || stirs(a, b) || stirs(b, a);
    if (is_memory(a->kind) || is_memory(b->kind))
        return is_memory(a->kind) && is_memory(b->kind);
    if (is_futex(a->kind) && is_futex(b->kind))
        return true;
    if (is_futex(a->kind) || is_futex(b->kind)) {
        if (a->order == MC_SEQCST && b->order == MC_SEQCST)
            return true;
    }
    return a->location == b->location && !(a->kind == MC_OP_LOAD && b->kind == MC_OP_LOAD);
}
