/* SPDX-License-Identifier: MIT */
/* tree.c - parents above their children, from a list of all tasks that is taken without stopping
 * any.
 *
 * Each task gives its line and the address of who it is below: its parent, or the group it is a
 * member of. By the time the last one is read the first may have gone, or its slot may hold
 * another task; so whoever's parent is not in the list is a root, and what is in a circle is
 * written once all else has been. */
#include "sched/tree.h"

#include <hank/inspect.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "sched/inspect.h"
#include "sched/task.h"

enum { DEPTH_MAX = 64, INDENT = 2, FIRST_ROOM = 256 };

typedef struct entry {
    const void *self;
    const void *above; /* a task or a group; NULL: nobody */
    bool is_member, is_written;
    char line[HK_LINE_BYTES];
} entry;

typedef struct census {
    entry *entries;
    size_t n, room;
    bool has_no_memory;
} census;

static bool has_room(census *c)
{
    if (c->n < c->room)
        return true;
    size_t room = c->room ? 2 * c->room : FIRST_ROOM;
    entry *entries = hk_alloc(room * sizeof *entries);
    if (!entries)
        return false;
    if (c->n > 0)
        memcpy(entries, c->entries, c->n * sizeof *entries);
    hk_free(c->entries, c->room * sizeof *entries);
    c->entries = entries;
    c->room = room;
    return true;
}

static int count_one(void *slot, void *context)
{
    hk_task *t = slot;
    census *c = context;
    if (!has_room(c)) {
        c->has_no_memory = true;
        return 0;
    }
    entry *e = &c->entries[c->n];
    *e = (entry){.self = t};
    if (hk_inspect_line(t, e->line) == 0)
        return 1;
    e->is_member = hk_task_has(t, HK_TRAIT_MEMBER);
    e->above = hk_inspect_above(t);
    c->n++;
    return 1;
}

static int by_above(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const entry *)a)->above, y = (uintptr_t)((const entry *)b)->above;
    return (x > y) - (x < y);
}

static void write_indented(int fd, int depth, const char *text)
{
    char line[INDENT * DEPTH_MAX + HK_LINE_BYTES];
    int n = snprintf(line, sizeof line, "%*s%s", INDENT * depth, "", text);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    (void)hk_os_write(fd, line, length); /* what cannot be written is dropped */
}

/* The first entry below `above`, or n: the entries are sorted by it. */
static size_t first_below(const census *c, const void *above)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)c->entries[middle].above < (uintptr_t)above)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void write_below(census *c, int fd, const void *above, int depth)
{
    if (depth >= DEPTH_MAX)
        return;
    for (size_t i = first_below(c, above); i < c->n && c->entries[i].above == above; i++) {
        entry *e = &c->entries[i];
        if (e->is_written)
            continue;
        e->is_written = true;
        write_indented(fd, depth, e->line);
        write_below(c, fd, e->self, depth + 1);
    }
}

static bool is_listed(const census *c, const void *task)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->entries[i].self == task)
            return true;
    return false;
}

static void write_rest(census *c, int fd)
{
    const void *last = NULL;
    for (size_t i = 0; i < c->n; i++) {
        entry *e = &c->entries[i];
        if (e->is_written || e->above == last || (!e->is_member && is_listed(c, e->above)))
            continue;
        last = e->above;
        char head[HK_NAME_BUFFER];
        (void)snprintf(head, sizeof head, "%s %p\n", e->is_member ? "group" : "children of",
                       (void *)(uintptr_t)e->above); /* fits */
        write_indented(fd, 0, head);
        write_below(c, fd, e->above, 1);
    }
    for (size_t i = 0; i < c->n; i++) /* circles */
        if (!c->entries[i].is_written)
            write_indented(fd, 0, c->entries[i].line);
}

void hk_tree_dump(int fd)
{
    census c = {0};
    hk_slab_each(&hk_task_slab, count_one, &c);
    if (c.has_no_memory) {
        hank_dump(fd);
    } else if (c.n > 0) {
        qsort(c.entries, c.n, sizeof *c.entries, by_above);
        write_below(&c, fd, NULL, 0);
        write_rest(&c, fd);
    }
    hk_free(c.entries, c.room * sizeof *c.entries);
}

void hank_dump_tree(int fd)
{
    hk_tree_dump(fd);
}
