/* SPDX-License-Identifier: MIT */
/* quota.c - limits of control groups, of both versions.
 *
 * A process may use what the tightest of its group and all groups above it allows. Which group that
 * is says /proc/self/cgroup, a line each hierarchy:
 *
 *     0::/user.slice/job                     version 2: cpu.max, "limit period" in microseconds
 *     3:cpu,cpuacct:/docker/4711             version 1: the same numbers, each in a file
 *
 * In a container the path may be the host's, of which only the lowest directory is to be seen, as
 * the root: so what is not there is passed over on the way up. */
#include "sched/quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"

/* Longer ones are not read to their end: then what is below goes unseen, the root does not. */
enum { TEXT_BYTES = 4096, PATH_BYTES = 4096 };

/* All that is too much for a frame.
 * text   of /proc/self/cgroup, in pieces
 * path   of the directory we are in, whose first `floor` bytes are the root of its hierarchy
 * unified, cpu   where the process is in the hierarchies, inside of text; "" is the root of one
 * controllers    with which cpu shares its hierarchy: the name of that's directory */
typedef struct search {
    char text[TEXT_BYTES];
    char path[PATH_BYTES];
    size_t floor;
    const char *unified;
    const char *cpu;
    const char *controllers;
} search;

/* The limit in the directory s->path; 0: none is there. */
typedef unsigned limit_in(search *s);

/* --- reading --------------------------------------------------------------------------------- */

/* What a small file of the system says; false: there is none. */
static bool read_text(const char *path, char *ret_text, size_t n)
{
    int fd = hk_os_open(path, 0);
    if (fd < 0)
        return false;
    ssize_t got = 0;
    size_t filled = 0;
    while (filled < n - 1 && (got = hk_os_read(fd, ret_text + filled, n - 1 - filled)) > 0)
        filled += (size_t)got;
    (void)hk_os_close(fd); /* it was only read */
    ret_text[filled] = '\0';
    return filled > 0;
}

/* Go down from where we are. False: that is too far, and we stay. */
static bool descend(search *s, const char *below)
{
    size_t length = strlen(s->path), more = strlen(below);
    if (more >= sizeof s->path - length)
        return false;
    memcpy(s->path + length, below, more + 1);
    return true;
}

static bool read_here(search *s, const char *name, char *ret_text, size_t n)
{
    size_t length = strlen(s->path);
    bool done = descend(s, name) && read_text(s->path, ret_text, n);
    s->path[length] = '\0';
    return done;
}

/* --- limits ---------------------------------------------------------------------------------- */

static unsigned round_up(long long limit, long long period)
{
    if (limit <= 0 || period <= 0)
        return 0;
    return (unsigned)(limit / period + (limit % period != 0));
}

static unsigned limit_in_unified(search *s)
{
    char text[64];
    long long limit = 0, period = 0;
    if (!read_here(s, "/cpu.max", text, sizeof text))
        return 0;
    return sscanf(text, "%lld %lld", &limit, &period) == 2 ? round_up(limit, period) : 0; /* max */
}

static unsigned limit_in_cpu(search *s)
{
    char limit[64], period[64];
    if (!read_here(s, "/cpu.cfs_quota_us", limit, sizeof limit) ||
        !read_here(s, "/cpu.cfs_period_us", period, sizeof period))
        return 0;
    return round_up(strtoll(limit, NULL, 10), strtoll(period, NULL, 10)); /* -1: none */
}

static unsigned least(unsigned a, unsigned b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* The least in the hierarchy at `name`, from `group` upwards. The search is at the root of all. */
static unsigned least_in(search *s, const char *name, const char *group, limit_in *look)
{
    size_t length = strlen(s->path);
    unsigned found = 0;
    char *end;
    if (!descend(s, name))
        return 0;
    s->floor = strlen(s->path);
    if (!strstr(group, "/..")) /* it leads out of what a container sees */
        (void)descend(s, group);
    do {
        found = least(found, look(s));
        end = strrchr(s->path + s->floor, '/');
        if (end)
            *end = '\0';
    } while (end);
    s->path[length] = '\0';
    return found;
}

/* --- where we are ---------------------------------------------------------------------------- */

/* Is "cpu" in a list with commas? */
static bool has_cpu(const char *list)
{
    for (const char *name = list; name; name = strchr(name, ',')) {
        name += *name == ',';
        if (strncmp(name, "cpu", 3) == 0 && (name[3] == ',' || name[3] == '\0'))
            return true;
    }
    return false;
}

/* Cut a line "number:controllers:path" apart. */
static void note_line(search *s, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return;
    *path++ = '\0';
    controllers++;
    if (strcmp(path, "/") == 0)
        path++;
    if (*controllers == '\0') {
        s->unified = path;
    } else if (has_cpu(controllers)) {
        s->cpu = path;
        s->controllers = controllers;
    }
}

static void find_groups(search *s)
{
    char *rest = s->text, *end;
    s->unified = s->cpu = s->controllers = "";
    while ((end = strchr(rest, '\n')) != NULL) {
        *end = '\0';
        note_line(s, rest);
        rest = end + 1;
    }
}

static unsigned find_least(search *s, const char *root)
{
    char name[64];
    s->path[0] = '\0';
    if (!descend(s, root))
        return 0;
    if (!read_here(s, "/proc/self/cgroup", s->text, sizeof s->text))
        s->text[0] = '\0';
    find_groups(s);
    if (!descend(s, "/sys/fs/cgroup"))
        return 0;
    (void)snprintf(name, sizeof name, "/%s", s->controllers); /* cut: there is no such directory */
    unsigned found = least_in(s, "", s->unified, limit_in_unified);
    found = least(found, least_in(s, "/unified", s->unified, limit_in_unified));
    found = least(found, least_in(s, "/cpu", s->cpu, limit_in_cpu));
    return least(found, least_in(s, name, s->cpu, limit_in_cpu));
}

unsigned hk_quota_cpus(const char *root)
{
    search *s = hk_alloc(sizeof *s);
    unsigned found = s ? find_least(s, root) : 0; /* without memory it is but a worker too many */
    hk_free(s, sizeof *s);
    return found;
}
