/* SPDX-License-Identifier: MIT */
/* options.c - how hostile the world is: from a struct, from HANK_SIM, and from the seed.
 *
 * HANK_SIM="reset=20,delay_max=5ms": the names are those of hank_sim_options, times have a unit
 * (ns, us, ms, s, m, h), sizes may have k, M or G. What a caller's struct says goes before what the
 * environment says, and that before the defaults.
 *
 * Beyond that each seed has a temper of its own: an interleaving that one way of choosing almost
 * never finds is what another begins with. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sim/sim.h"

hank_sim_options hk_sim_options;
hk_sim_temper hk_sim_temper_now;
static unsigned drawn_workers;

typedef enum value_kind { COUNT, CHANCE, NUMBER, TIME } value_kind;

#define OPTION(name, kind)                                                                         \
    {                                                                                              \
#name, offsetof(hank_sim_options, name), kind                                              \
    }

static const struct {
    const char *name;
    size_t offset;
    value_kind kind;
} known[] = {
    OPTION(seed, NUMBER),       OPTION(workers, COUNT),     OPTION(reset, CHANCE),
    OPTION(accept, CHANCE),     OPTION(resolve, CHANCE),    OPTION(loss, CHANCE),
    OPTION(duplicate, CHANCE),  OPTION(descriptors, COUNT), OPTION(delay_min, TIME),
    OPTION(delay_max, TIME),    OPTION(disk_bytes, NUMBER), OPTION(time_limit, TIME),
    OPTION(step_limit, NUMBER),
};

enum { KNOWN = sizeof known / sizeof known[0], DRAWN_WORKERS_MAX = 8 };

/* --- text ---------------------------------------------------------------------------------- */

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* The factor of a unit; 0: there is no such unit. */
static uint64_t factor(const char *unit, size_t length, value_kind kind)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } times[] = {{"ns", 1},
                 {"us", 1000},
                 {"ms", 1000 * 1000},
                 {"s", 1000 * 1000 * 1000},
                 {"m", UINT64_C(60) * 1000 * 1000 * 1000},
                 {"h", UINT64_C(3600) * 1000 * 1000 * 1000}},
      sizes[] = {{"", 1}, {"k", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}};
    for (size_t i = 0; kind == TIME && i < sizeof times / sizeof times[0]; i++)
        if (is_word(unit, length, times[i].unit))
            return times[i].factor;
    for (size_t i = 0; kind == NUMBER && i < sizeof sizes / sizeof sizes[0]; i++)
        if (is_word(unit, length, sizes[i].unit))
            return sizes[i].factor;
    return kind != TIME && kind != NUMBER && length == 0;
}

bool hk_sim_number(const char *text, const char **ret_end, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) { /* strtoull would take blanks and signs */
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_end = at;
    *ret_number = number;
    return at > text;
}

static bool set_one(size_t which, const char *value, size_t length, hank_sim_options *options)
{
    const char *end;
    uint64_t number;
    if (!hk_sim_number(value, &end, &number))
        return false;
    value_kind kind = known[which].kind;
    uint64_t unit = factor(end, (size_t)(value + length - end), kind);
    if (unit == 0 || number > INT64_MAX / unit)
        return false;
    number *= unit;
    if ((kind == CHANCE && number > 1000) || (kind == COUNT && number > UINT32_MAX))
        return false;
    void *field = (char *)options + known[which].offset;
    if (kind == CHANCE || kind == COUNT)
        *(unsigned *)field = (unsigned)number;
    else
        *(uint64_t *)field = number;
    return true;
}

bool hk_sim_options_parse(const char *text, hank_sim_options *options)
{
    while (*text) {
        size_t length = strcspn(text, ",");
        const char *equals = memchr(text, '=', length);
        size_t which = 0;
        while (equals && which < KNOWN &&
               !is_word(text, (size_t)(equals - text), known[which].name))
            which++;
        if (!equals || which == KNOWN ||
            !set_one(which, equals + 1, (size_t)(text + length - equals - 1), options))
            return false;
        text += length + (text[length] == ',');
    }
    return true;
}

/* --- setting ------------------------------------------------------------------------------- */

static bool is_wide(size_t which)
{
    return known[which].kind == NUMBER || known[which].kind == TIME;
}

/* Every field of `over` that is not zero. */
static void overlay(hank_sim_options *options, const hank_sim_options *over)
{
    for (size_t i = 0; i < KNOWN; i++) {
        char *to = (char *)options + known[i].offset;
        const char *from = (const char *)over + known[i].offset;
        if (is_wide(i) && *(const uint64_t *)(const void *)from != 0)
            memcpy(to, from, sizeof(uint64_t));
        else if (!is_wide(i) && *(const unsigned *)(const void *)from != 0)
            memcpy(to, from, sizeof(unsigned));
    }
}

/* Drawn once, and for the processes that this one starts as well: a test's runner has each test in
 * a process of its own, and tells how to see again what failed there. */
static uint64_t drawn_seed(void)
{
    static const char name[] = "HANK_SEED_DRAWN";
    static uint64_t drawn;
    char text[24];
    const char *inherited = getenv(name), *end;
    if (drawn == 0 && !(inherited && hk_sim_number(inherited, &end, &drawn))) {
        drawn = hk_sim_host_random() >> 32 | 1; /* short enough to be typed */
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)drawn);
        (void)setenv(name, text, 1); /* no memory: they draw their own */
    }
    return drawn;
}

uint64_t hk_sim_seed_of_environment(void)
{
    const char *text = getenv("HANK_SEED"), *end;
    uint64_t seed;
    if (!text || !*text)
        return drawn_seed();
    if (!hk_sim_number(text, &end, &seed) || *end != '\0')
        hk_panic("HANK_SEED is not a number: %s", text);
    return seed;
}

unsigned hk_sim_workers(void)
{
    return hk_sim_options.workers ? hk_sim_options.workers : drawn_workers;
}

static void draw_temper(void)
{
    hk_sim_temper *t = &hk_sim_temper_now;
    *t = (hk_sim_temper){
        .by_priority = hk_sim_below(2) == 0,
        .point_mean = hk_sim_skewed(2, 1024),
        .stall = hk_sim_below(3) == 0 ? hk_sim_below(30) : 0,
        .late_max = hk_sim_skewed(1000, 20 * 1000 * 1000),
        .interrupts = hk_sim_below(2) == 0 ? hk_sim_below(50) : 0,
    };
}

void hk_sim_options_set(const hank_sim_options *options)
{
    static const hank_sim_options usual = {.descriptors = 65536,
                                           .delay_min = 10 * 1000,
                                           .delay_max = 1000 * 1000,
                                           .disk_bytes = 64 << 20};
    hk_sim_options = usual;
    hk_sim_options.seed = hk_sim_seed_of_environment();
    const char *text = getenv("HANK_SIM");
    if (text && !hk_sim_options_parse(text, &hk_sim_options))
        hk_panic("HANK_SIM is not understood: %s", text);
    if (options)
        overlay(&hk_sim_options, options);
    if (hk_sim_options.delay_max < hk_sim_options.delay_min)
        hk_sim_options.delay_max = hk_sim_options.delay_min; /* only the least was asked for */
    hk_sim_options_draw();
}

void hk_sim_options_draw(void)
{
    hk_sim_seed(hk_sim_options.seed);
    draw_temper();
    drawn_workers = 1 + hk_sim_below(DRAWN_WORKERS_MAX);
}
