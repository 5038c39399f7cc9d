/* SPDX-License-Identifier: MIT */
/* mc_trace.c - what happened in this execution, printed only if it failed. */
#include "model/mc_core.h"

#include <stdio.h>

enum { NAMES_MAX = 64 };

typedef struct event {
    int thread;
    int location;
    const void *address;
    const char *what;
    const char *site;
    uint64_t value;
} event;

static event events[MC_STEPS_MAX + 64];
static size_t events_n;
static struct {
    const void *address;
    const char *name;
} names[NAMES_MAX];
static int names_n;

void mc_trace_reset(void)
{
    events_n = 0;
    names_n = 0;
}

void mc_name(const void *p, const char *name)
{
    if (names_n == NAMES_MAX)
        return; /* a nameless word is printed by its number */
    names[names_n].address = p;
    names[names_n++].name = name;
}

void mc_trace(const char *what, const mc_location *l, uint64_t value, const char *site)
{
    if (events_n == sizeof events / sizeof events[0])
        return; /* the step limit is about to end this execution */
    event *e = &events[events_n++];
    e->thread = mc.alone ? -1 : mc.current;
    e->location = l ? (int)(l - mc_location_at(0)) : -1;
    e->address = l ? l->address : NULL;
    e->what = what;
    e->site = site;
    e->value = value;
}

static const char *short_site(const char *site)
{
    const char *slash = strrchr(site, '/');
    return slash ? slash + 1 : site;
}

static void print_where(const event *e)
{
    char number[16];
    const char *name = "";
    if (e->location >= 0) {
        snprintf(number, sizeof number, "word %d", e->location);
        name = number;
    }
    for (int i = 0; i < names_n; i++)
        if (e->address && names[i].address == e->address)
            name = names[i].name;
    printf(" %-12s", name);
}

void mc_trace_print(void)
{
    for (size_t i = 0; i < events_n; i++) {
        const event *e = &events[i];
        if (e->thread < 0)
            continue;
        printf("    %*sT%d %-14s", 2 * e->thread, "", e->thread, e->what);
        print_where(e);
        printf(" %#-20llx %s\n", (unsigned long long)e->value, short_site(e->site));
    }
}
