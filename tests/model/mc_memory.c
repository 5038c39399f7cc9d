/* SPDX-License-Identifier: MIT */
/* mc_memory.c - C11 memory: what a load may return, and what it then knows.
 *
 * Each location keeps all its stores, oldest first. A thread's view says for each location how old
 * a store it may still read; a load picks any from there on, newest first, and the search tries
 * them all. A releasing store carries the view of its thread, an acquiring load takes it over.
 *
 *   coherence          a load or store moves the thread's own view of that location up
 *   release sequence   an update passes on the view of the store it read
 *   atomicity          an update reads the newest store (or, with insert_stores, one that no other
 *                      update has read) and nothing comes in between
 *   seq_cst            the order in which the search performs them is *the* order; a seq_cst load
 *                      reads nothing older than the last seq_cst store of its location (C++20)
 *
 * Not explored: loads that return stores which are made later (load buffering). An order that only
 * forbids those survives its mutation; mutations.txt lists such orders with their reason.
 *
 * Source: Kang et al., "A promising semantics for relaxed-memory concurrency", POPL 2017, without
 * the promises; Lahav et al., "Repairing sequential consistency in C/C++11", PLDI 2017. */
#include "model/mc_core.h"

enum {
    SLOTS = 256,    /* of the table from address to location; a power of two */
    GAP = 1u << 16, /* between two stamps, for stores inserted later */
};

static mc_location locations[MC_LOCATIONS_MAX];
static int locations_n;
static mc_message messages[MC_MESSAGES_MAX];
static int messages_n;
static struct {
    const void *address;
    int location;
    long execution;
} table[SLOTS];
static long execution;

static bool acquires(mc_order order)
{
    return order == MC_ACQUIRE || order == MC_ACQREL || order == MC_SEQCST;
}

static bool releases(mc_order order)
{
    return order == MC_RELEASE || order == MC_ACQREL || order == MC_SEQCST;
}

static uint64_t bits_at(const void *p, size_t size)
{
    uint64_t bits = 0;
    memcpy(&bits, p, size);
    return bits;
}

static uint64_t low_bits(uint64_t value, size_t size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

/* Views. */

static uint32_t seen(const mc_view *v, int location)
{
    return (uint32_t)location < v->known ? v->seen[location] : 0;
}

static void see(mc_view *v, int location, uint32_t stamp)
{
    while (v->known <= (uint32_t)location)
        v->seen[v->known++] = 0;
    if (v->seen[location] < stamp)
        v->seen[location] = stamp;
}

void mc_view_join(mc_view *into, const mc_view *from)
{
    for (int i = 0; i < mc.n; i++)
        if (into->clock[i] < from->clock[i])
            into->clock[i] = from->clock[i];
    while (into->known < from->known)
        into->seen[into->known++] = 0;
    for (uint32_t i = 0; i < from->known; i++)
        if (into->seen[i] < from->seen[i])
            into->seen[i] = from->seen[i];
}

/* Locations. */

mc_message *mc_message_new(void)
{
    if (messages_n == MC_MESSAGES_MAX)
        mc_fail("more than %d stores: a bigger model than MC_MESSAGES_MAX allows", messages_n);
    mc_message *m = &messages[messages_n++];
    m->is_update = m->was_updated = false;
    m->view.known = 0;
    memset(m->view.clock, 0, sizeof m->view.clock);
    return m;
}

/* The first store is whatever is in memory, made before everything. */
static void begin_history(mc_location *l, uint32_t stamp)
{
    mc_message *m = mc_message_new();
    m->stamp = stamp;
    m->value = bits_at(l->address, l->size);
    l->stores[0] = m;
    l->count = 1;
    l->seqcst = 0;
    l->token = NULL;
    l->has_token = l->is_reborn = false;
}

void mc_memory_reset(void)
{
    execution++;
    locations_n = messages_n = 0;
}

void mc_memory_forget(const char *from, size_t bytes)
{
    for (int i = 0; i < locations_n; i++) {
        mc_location *l = &locations[i];
        const char *address = l->address;
        if (address >= from && address < from + bytes) {
            begin_history(l, l->stores[l->count - 1]->stamp + GAP);
            l->is_reborn = true;
        }
    }
}

int mc_location_of(const void *p, size_t size)
{
    unsigned i = (unsigned)((uintptr_t)p >> 2) * 2654435761u >> 24 & (SLOTS - 1);
    for (; table[i].execution == execution; i = (i + 1) & (SLOTS - 1)) {
        if (table[i].address != p)
            continue;
        mc_location *l = &locations[table[i].location];
        if (l->size != size)
            mc_fail("one address, two sizes: %p", p);
        if (l->is_reborn) /* whoever allocated it has given it its first value since, plainly */
            l->stores[0]->value = bits_at(p, size);
        l->is_reborn = false;
        return table[i].location;
    }
    if (locations_n == MC_LOCATIONS_MAX)
        mc_fail("more than %d shared words: a bigger model than MC_LOCATIONS_MAX", locations_n);
    table[i].address = p;
    table[i].location = locations_n;
    table[i].execution = execution;
    locations[locations_n].address = p;
    locations[locations_n].size = size;
    begin_history(&locations[locations_n], GAP);
    return locations_n++;
}

mc_location *mc_location_at(int index)
{
    return &locations[index];
}

/* Checked again after the wait: someone may have freed it meanwhile. */
mc_location *mc_announce_access(mc_kind kind, const void *p, size_t size, mc_order order,
                                const char *site)
{
    mc_data_touch(p, site);
    int location = mc_location_of(p, size);
    mc_announce((mc_operation){kind, location, order, site, 0});
    mc_data_touch(p, site);
    return &locations[location];
}

/* Reading. */

static int index_of(const mc_location *l)
{
    return (int)(l - locations);
}

/* The place in l->stores of the oldest store the running thread may read. */
static int oldest_readable(const mc_location *l, mc_order order)
{
    const mc_thread *t = mc_running();
    uint32_t floor = seen(&t->view, index_of(l));
    if (order == MC_SEQCST && floor < l->seqcst)
        floor = l->seqcst;
    int i = l->count - 1;
    if (t->fresh_at == mc.stores)
        return i;
    while (i > 0 && l->stores[i - 1]->stamp >= floor)
        i--;
    return i;
}

static void observe(const mc_location *l, const mc_message *m, mc_order order)
{
    mc_thread *t = mc_running();
    t->watched |= UINT64_C(1) << index_of(l);
    see(&t->view, index_of(l), m->stamp);
    if (acquires(order))
        mc_view_join(&t->view, &m->view);
}

uint64_t mc_load(const void *p, size_t size, mc_order order, const char *site)
{
    if (mc.alone)
        return bits_at(p, size);
    mc_location *l = mc_announce_access(MC_OP_LOAD, p, size, order, site);
    int newest = l->count - 1;
    mc_message *m = l->stores[newest - mc_choose(newest - oldest_readable(l, order) + 1)];
    observe(l, m, order);
    mc_trace(m == l->stores[newest] ? "load" : "load old", l, m->value, site);
    return m->value;
}

uint64_t mc_memory_newest(mc_location *l)
{
    observe(l, l->stores[l->count - 1], MC_RELAXED);
    return l->stores[l->count - 1]->value;
}

/* Writing. */

static uint32_t stamp_at(const mc_location *l, int place)
{
    uint32_t before = l->stores[place - 1]->stamp;
    if (place == l->count)
        return before + GAP;
    uint32_t between = before + (l->stores[place]->stamp - before) / 2;
    if (between == before)
        mc_fail("too many stores inserted at one place");
    return between;
}

/* Where in the modification order a store that is no update goes: last, or anywhere the thread has
 * not seen beyond. */
static int place_for_store(const mc_location *l, mc_order order)
{
    if (!mc.model->insert_stores)
        return l->count;
    uint32_t floor = seen(&mc_running()->view, index_of(l));
    if (order == MC_SEQCST && floor < l->seqcst)
        floor = l->seqcst;
    int places[MC_STORES_MAX + 1];
    int n = 0;
    for (int i = l->count; i >= 1 && l->stores[i - 1]->stamp >= floor; i--)
        if (i == l->count || !l->stores[i]->is_update)
            places[n++] = i;
    return places[mc_choose(n)];
}

/* A new store at `place`; `read` is the store an update read. */
static void insert(mc_location *l, int place, uint64_t value, mc_order order, mc_message *read)
{
    if (l->count == MC_STORES_MAX)
        mc_fail("more than %d stores to one word", l->count);
    mc_thread *t = mc_running();
    mc_message *m = mc_message_new();
    m->stamp = stamp_at(l, place);
    m->value = value;
    for (int i = l->count; i > place; i--)
        l->stores[i] = l->stores[i - 1];
    l->stores[place] = m;
    l->count++;
    see(&t->view, index_of(l), m->stamp);
    if (releases(order)) {
        m->view.known = t->view.known;
        memcpy(m->view.clock, t->view.clock, sizeof m->view.clock);
        memcpy(m->view.seen, t->view.seen, t->view.known * sizeof m->view.seen[0]);
        t->view.clock[mc.current]++;
    }
    if (read) {
        m->is_update = read->was_updated = true;
        mc_view_join(&m->view, &read->view);
    }
    if (order == MC_SEQCST && l->seqcst < m->stamp)
        l->seqcst = m->stamp;
    if (place == l->count - 1)
        memcpy((void *)(uintptr_t)l->address, &value, l->size);
    mc.stores++;
    mc_wait_stir(index_of(l));
}

void mc_store(void *p, size_t size, uint64_t value, mc_order order, const char *site)
{
    if (mc.alone) {
        memcpy(p, &value, size);
        return;
    }
    mc_location *l = mc_announce_access(MC_OP_STORE, p, size, order, site);
    insert(l, place_for_store(l, order), value, order, NULL);
    mc_trace("store", l, value, site);
}

/* Updates. */

static uint64_t updated(mc_rmw what, uint64_t old, uint64_t operand)
{
    switch (what) {
    case MC_SWAP: return operand;
    case MC_ADD: return old + operand;
    case MC_SUB: return old - operand;
    case MC_OR: return old | operand;
    case MC_AND: return old & operand;
    }
    return 0;
}

/* Candidates of an update, newest first: any an update may read, and, for a compare-and-swap, any
 * that makes it fail. */
static int place_to_update(const mc_location *l, mc_order order, const uint64_t *expected)
{
    int places[MC_STORES_MAX];
    int n = 0;
    for (int i = l->count - 1, oldest = oldest_readable(l, order); i >= oldest; i--) {
        bool last = i == l->count - 1;
        bool fails = expected && l->stores[i]->value != *expected;
        bool usable = last || (mc.model->insert_stores && !l->stores[i]->was_updated);
        if (fails || usable)
            places[n++] = i;
    }
    return places[mc_choose(n)];
}

uint64_t mc_update(void *p, size_t size, mc_rmw what, uint64_t operand, mc_order order,
                   const char *site)
{
    if (mc.alone) {
        uint64_t old = bits_at(p, size);
        uint64_t new = updated(what, old, operand);
        memcpy(p, &new, size);
        return old;
    }
    mc_location *l = mc_announce_access(MC_OP_UPDATE, p, size, order, site);
    int place = place_to_update(l, order, NULL);
    mc_message *m = l->stores[place];
    uint64_t value = low_bits(updated(what, m->value, operand), size);
    observe(l, m, order);
    insert(l, place + 1, value, order, m);
    mc_trace("update", l, value, site);
    return m->value;
}

bool mc_cas(void *p, size_t size, void *expected, uint64_t value, const mc_order orders[2],
            const char *site)
{
    uint64_t wanted = bits_at(expected, size);
    if (mc.alone) {
        bool equal = bits_at(p, size) == wanted;
        memcpy(equal ? p : expected, equal ? (void *)&value : p, size);
        return equal;
    }
    mc_location *l = mc_announce_access(MC_OP_UPDATE, p, size, orders[0], site);
    int place = place_to_update(l, orders[0], &wanted);
    mc_message *m = l->stores[place];
    if (m->value != wanted) {
        observe(l, m, orders[1]);
        memcpy(expected, &m->value, size);
        mc_trace("cas fails", l, m->value, site);
        return false;
    }
    observe(l, m, orders[0]);
    insert(l, place + 1, value, orders[0], m);
    mc_trace("cas", l, value, site);
    return true;
}

/* What a futex call does besides: a full barrier. It orders memory, but publishes nothing that
 * could hide a data race. */
void mc_memory_barrier(void)
{
    mc_view *v = &mc_running()->view;
    for (int i = 0; i < locations_n; i++) {
        if (locations[i].seqcst < seen(v, i))
            locations[i].seqcst = seen(v, i);
        see(v, i, locations[i].seqcst);
    }
}
