/* SPDX-License-Identifier: MIT */
/* mc_data.c - plain data races, and an allocator that reuses at once.
 *
 * Happens-before is a vector clock per thread (mc_memory.c). Two plain accesses that it does not
 * order are a race in whichever order they ran, so a plain access needs no scheduling point. The
 * same clocks judge memory: an access must be ordered after the allocation of its block, a free
 * after every access; so a pointer published too weakly, or kept too long, is found even when the
 * address has been given out again. Nothing here depends on which of two unordered events ran
 * first, which is why the search need not try both. */
#include "model/mc_core.h"

enum {
    CELLS = 512, /* a power of two */
    BLOCKS_MAX = 48,
    GRAIN = 64, /* blocks start and end on one */
    ARENA_BYTES = 64 * 1024,
    FILL = 0xa5, /* no memory reads as zero by chance */
};

typedef struct cell {
    const void *address;
    long execution;
    const char *write_site;
    uint32_t written[MC_THREADS_MAX];
    uint32_t read[MC_THREADS_MAX];
} cell;

/* used    by thread: its clock at its last access
 * thread  who allocated it, at `born` of its clock; -1: setup */
typedef struct block {
    size_t offset;
    size_t bytes;
    bool freed;
    int thread;
    uint32_t born;
    const char *site;
    uint32_t used[MC_THREADS_MAX];
} block;

static cell cells[CELLS];
static long execution;
static _Alignas(128) char arena[ARENA_BYTES];
static uint8_t block_at[ARENA_BYTES / GRAIN]; /* number of the block + 1 */
static block blocks[BLOCKS_MAX];
static int blocks_n;
static size_t arena_used;

void mc_data_reset(void)
{
    execution++;
    memset(block_at, 0, arena_used / GRAIN);
    blocks_n = 0;
    arena_used = 0;
}

static block *block_of(const void *p)
{
    uintptr_t offset = (uintptr_t)p - (uintptr_t)arena;
    if (offset >= arena_used || block_at[offset / GRAIN] == 0)
        return NULL;
    return &blocks[block_at[offset / GRAIN] - 1];
}

void mc_data_touch(const void *p, const char *site)
{
    block *b = block_of(p);
    if (!b)
        return;
    if (b->freed)
        mc_fail("%s: use after free", site);
    if (mc.alone)
        return;
    const uint32_t *clock = mc_running()->view.clock;
    if (b->thread >= 0 && clock[b->thread] < b->born)
        mc_fail("%s: touches memory whose allocation at %s it has not synchronised with", site,
                b->site);
    b->used[mc.current] = clock[mc.current];
}

static cell *cell_of(const void *p)
{
    unsigned i = (unsigned)((uintptr_t)p >> 2) * 2654435761u >> 20 & (CELLS - 1);
    int probes = 0;
    for (; cells[i].execution == execution; i = (i + 1) & (CELLS - 1)) {
        if (cells[i].address == p)
            return &cells[i];
        if (++probes == CELLS - 1)
            mc_fail("more than %d plain words: a bigger model than CELLS allows", CELLS);
    }
    memset(&cells[i], 0, sizeof cells[i]);
    cells[i].address = p;
    cells[i].execution = execution;
    return &cells[i];
}

void mc_plain(const void *p, bool write, const char *site)
{
    mc_data_touch(p, site);
    if (mc.alone)
        return;
    cell *c = cell_of(p);
    const uint32_t *clock = mc_running()->view.clock;
    for (int i = 0; i < mc.n; i++) {
        if (i == mc.current)
            continue;
        if (clock[i] < c->written[i])
            mc_fail("%s: data race with T%d, which writes at %s", site, i, c->write_site);
        if (write && clock[i] < c->read[i])
            mc_fail("%s: data race with T%d, which reads", site, i);
    }
    if (write) {
        c->written[mc.current] = clock[mc.current];
        c->write_site = site;
    } else {
        c->read[mc.current] = clock[mc.current];
    }
}

/* The allocator. */

static void forget_cells(const char *from, size_t bytes)
{
    for (int i = 0; i < CELLS; i++) {
        const char *address = cells[i].address;
        if (cells[i].execution == execution && address >= from && address < from + bytes) {
            memset(cells[i].written, 0, sizeof cells[i].written);
            memset(cells[i].read, 0, sizeof cells[i].read);
        }
    }
}

static void bear(block *b, const char *site)
{
    b->freed = false;
    b->thread = mc.alone ? -1 : mc.current;
    b->born = mc.alone ? 0 : mc_running()->view.clock[mc.current];
    b->site = site;
    memset(b->used, 0, sizeof b->used);
    memset(arena + b->offset, FILL, b->bytes);
}

static block *new_block(size_t bytes)
{
    size_t whole = (bytes + GRAIN - 1) / GRAIN * GRAIN;
    if (blocks_n == BLOCKS_MAX || arena_used + whole > ARENA_BYTES)
        mc_fail("out of model memory");
    block *b = &blocks[blocks_n++];
    b->offset = arena_used;
    b->bytes = bytes;
    arena_used += whole;
    memset(block_at + b->offset / GRAIN, blocks_n, whole / GRAIN);
    return b;
}

void *mc_data_allocate(size_t bytes, const char *site)
{
    if (!mc.alone)
        mc_announce((mc_operation){MC_OP_ALLOCATE, -1, MC_RELAXED, site, 0});
    block *b = NULL;
    for (int i = blocks_n - 1; i >= 0 && !b; i--)
        if (blocks[i].freed && blocks[i].bytes == bytes)
            b = &blocks[i];
    bool reused = b != NULL;
    if (!b)
        b = new_block(bytes);
    bear(b, site);
    if (reused) {
        mc_memory_forget(arena + b->offset, bytes);
        forget_cells(arena + b->offset, bytes);
    }
    mc_trace(reused ? "allocate again" : "allocate", NULL, b->offset, site);
    return arena + b->offset;
}

void mc_data_free(void *memory, const char *site)
{
    if (!memory)
        return;
    if (!mc.alone)
        mc_announce((mc_operation){MC_OP_FREE, -1, MC_RELAXED, site, 0});
    block *b = block_of(memory);
    if (!b || (char *)memory != arena + b->offset)
        mc_fail("%s: free of what was not allocated", site);
    if (b->freed)
        mc_fail("%s: double free", site);
    mc_data_touch(memory, site);
    for (int i = 0; i < mc.n && !mc.alone; i++)
        if (mc_running()->view.clock[i] < b->used[i])
            mc_fail("%s: free is not ordered after an access by T%d", site, i);
    b->freed = true;
    mc_trace("free", NULL, b->offset, site);
}

void *mc_alloc(size_t bytes)
{
    return mc_data_allocate(bytes, "mc_alloc");
}

void mc_free(void *memory)
{
    mc_data_free(memory, "mc_free");
}

const char *mc_data_leak(void)
{
    for (int i = 0; i < blocks_n; i++)
        if (!blocks[i].freed)
            return blocks[i].site;
    return NULL;
}
