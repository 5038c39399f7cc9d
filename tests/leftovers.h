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

/* Descriptors, without those by which the process names itself: it opens one when it needs it, and
 * for a moment maybe two. So compare with <=. */
static inline int lasting_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        char target[32] = "";
        (void)!readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        n += strstr(target, "pidfd") == NULL;
    }
    if (dir)
        closedir(dir);
    return n;
}

static inline int threads_now(void)
{
    return entries_of("/proc/self/task") - 2;
}

#endif
