/* SPDX-License-Identifier: MIT */
/* trace.c - what happened, as a text for people and a hash for machines.
 *
 * An event is a word and two numbers, never an address. HANK_TRACE names a file to write them to;
 * the hash is always kept, over the same things. Source of the hash: FNV-1a, taken a word at a
 * time. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/sim.h"

enum { UNKNOWN = -2, NONE = -1 };

static const uint64_t PRIME = UINT64_C(0x100000001b3);

static uint64_t hash = UINT64_C(0xcbf29ce484222325);
static uint64_t steps;
static int trace_fd = UNKNOWN;

static void mix(uint64_t word)
{
    hash = (hash ^ word) * PRIME;
    hash ^= hash >> 29;
}

static void write_line(const char *what, int64_t a, int64_t b)
{
    char line[160];
    int n = snprintf(line, sizeof line, "%lld t%u %s %lld %lld\n", (long long)hk_sim_now(),
                     hk_sim_self()->index, what, (long long)a, (long long)b);
    hk_sim_host_write(trace_fd, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void hk_sim_note(const char *what, int64_t a, int64_t b)
{
    steps++;
    mix((uint64_t)hk_sim_now());
    mix(hk_sim_self()->index);
    for (const char *at = what; *at; at++)
        mix((unsigned char)*at);
    mix((uint64_t)a);
    mix((uint64_t)b);
    if (trace_fd == UNKNOWN) {
        const char *path = getenv("HANK_TRACE");
        trace_fd = path && *path ? hk_sim_host_open_trace(path) : NONE;
    }
    if (trace_fd >= 0)
        write_line(what, a, b);
}

uint64_t hk_sim_hash(void)
{
    return hash;
}

uint64_t hk_sim_steps(void)
{
    return steps;
}

void hk_sim_trace_reset(void)
{
    hash = UINT64_C(0xcbf29ce484222325);
    steps = 0;
}
