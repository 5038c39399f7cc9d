/* SPDX-License-Identifier: MIT */
/* leftovers.h - what this process holds at the moment, to be compared before and after. */
#ifndef HK_TESTS_LEFTOVERS_H
#define HK_TESTS_LEFTOVERS_H

#include <dirent.h>
#include <string.h>
#include <unistd.h>

/* Entries of a directory of /proc, with "." and "..". */
static inline int entries_of(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Compared with itself only: it counts what it takes to look, too. */
static inline int open_fds(void)
{
    return entries_of("/proc/self/fd");
}

/* Descriptors that are of this kind, as /proc names it, and those that are not. */
static inline void fds_of_kind(const char *kind, int *ret_are, int *ret_are_not)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    *ret_are = *ret_are_not = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        char target[32] = "";
        (void)!readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        ++*(strstr(target, kind) ? ret_are : ret_are_not);
    }
    if (dir)
        closedir(dir);
}

/* Descriptors, without those by which the process names itself: it opens one when it needs it, and
 * for a moment maybe two. So compare with <=. */
static inline int lasting_fds(void)
{
    int names, others;
    fds_of_kind("pidfd", &names, &others);
    return others;
}

/* Those of workers by which the kernel makes calls: each opens one when it needs it. */
static inline int open_rings(void)
{
    int rings, others;
    fds_of_kind("[io_uring]", &rings, &others);
    return rings;
}

static inline int threads_now(void)
{
    return entries_of("/proc/self/task") - 2;
}

#endif
