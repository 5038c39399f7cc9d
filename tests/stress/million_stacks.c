/* SPDX-License-Identifier: MIT */
/* million_stacks.c - a million guarded stacks of the default size, on default settings.
 *
 *     million_stacks [stacks [--take]]
 *
 * Guards them and touches none of their pages; with --take, also takes every one, which touches the
 * top page of each. Fails if there are not as many guards, if they cost more than a few mappings,
 * or if one of them can be read. Where the kernel has no such guards, it says so and passes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/os.h"
#include "fiber/arena.h"
#include "fiber/stack.h"
#include "stress/proc.h"

enum { MAPPINGS_MAX = 400 };

static long count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    long n = 0;
    for (int c; maps && (c = fgetc(maps)) != EOF;)
        n += c == '\n';
    if (maps)
        (void)fclose(maps);
    return n;
}

static double seconds_since(int64_t start)
{
    return (double)(hk_os_now() - start) / 1e9;
}

static long take_all(long n, int size_class)
{
    long readable = 0;
    for (long i = 0; i < n; i++) {
        hk_fiber *f;
        HK_CHECK(hk_stack_take(NULL, size_class, &f) == 0);
        if (i % 1009 != 0)
            continue;
        /* The kernel reads the word and finds that it is not 1, unless it cannot. */
        HK_ATOMIC(uint32_t) *word = (HK_ATOMIC(uint32_t) *)(void *)(f->stack_low - 4);
        readable += hk_os_futex_wait(word, 1, 0) != -EFAULT;
    }
    return readable;
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 1000 * 1000;
    int size_class = hk_stack_class(HK_STACK_DEFAULT);
    hk_stack_stats stats;
    long readable = 0;

    int64_t start = hk_os_now();
    HK_CHECK(hk_arena_reserve(size_class, (size_t)n) == 0);
    hk_stack_get_stats(&stats);
    printf("%lu stacks guarded in %.2f s: %lu by the kernel, %lu protected, %lu canaries\n",
           (unsigned long)stats.slots, seconds_since(start), (unsigned long)stats.guarded,
           (unsigned long)stats.protected_, (unsigned long)stats.canaried);
    printf("%ld mappings, %lu MiB of addresses, resident %ld KiB, page tables %ld KiB\n",
           count_mappings(), (unsigned long)(stats.mapped_bytes >> 20),
           read_proc_kib("/proc/self/status", "VmRSS:"),
           read_proc_kib("/proc/self/status", "VmPTE:"));
    if (argc > 2 && strcmp(argv[2], "--take") == 0) {
        start = hk_os_now();
        readable = take_all(n, size_class);
        hk_stack_get_stats(&stats);
        printf("%lu taken in %.2f s, resident %ld KiB\n", (unsigned long)stats.live,
               seconds_since(start), read_proc_kib("/proc/self/status", "VmRSS:"));
    }
    if (stats.guarded == 0) {
        printf("this kernel has no guards without mappings\n");
        return 0;
    }
    return stats.guarded < (uint64_t)n || count_mappings() > MAPPINGS_MAX || readable > 0;
}
