/* SPDX-License-Identifier: MIT */
/* request_support.h - calls on files, and who makes them. */
#ifndef HK_TESTS_REQUEST_SUPPORT_H
#define HK_TESTS_REQUEST_SUPPORT_H

#include "io_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "each_reactor.h"

/* How many threads of this process have a name that begins so. */
static inline int threads_named(const char *name)
{
    DIR *dir = opendir("/proc/self/task");
    int n = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        char path[300], text[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        (void)!read(fd, text, sizeof text - 1);
        close(fd);
        n += strncmp(text, name, strlen(name)) == 0;
    }
    if (dir)
        closedir(dir);
    return n;
}

static inline bool has_pool(void)
{
    return threads_named("hank-blocking") > 0;
}

static inline const char *path_of(char *ret, const char *name)
{
    snprintf(ret, 100, "/tmp/hank-request-%d-%s", (int)getpid(), name);
    return ret;
}

/* An empty file without a name. */
static inline int make_file(int flags, hank_file **ret)
{
    static HK_ATOMIC(int) made;
    char name[16], path[100];
    snprintf(name, sizeof name, "f%d", hk_add_relaxed(&made, 1)); /* relaxed: only a number */
    int rc = hank_file_open(path_of(path, name), O_RDWR | O_CREAT | O_EXCL | flags, 0600, ret);
    (void)unlink(path);
    return rc;
}

/* All that the kernel can make, on a file of that name, which is left. */
static inline int use_each_call(const char *path)
{
    hank_file *f;
    struct stat about;
    char buf[16];
    MUST_OK(hank_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, &f));
    MUST(hank_pwrite(f, "hello", 5, 0) == 0);
    MUST(hank_pread(f, buf, sizeof buf, 0) == 5 && memcmp(buf, "hello", 5) == 0);
    MUST(hank_fsync(f, true) == 0 && hank_fsync(f, false) == 0);
    MUST(hank_file_stat(f, &about) == 0 && about.st_size == 5);
    MUST(hank_stat(path, &about) == 0 && about.st_size == 5);
    hank_file_close(f);
    return 0;
}

/* A test for each that has the kernel make calls: who asks for it and who asks for nothing. */
#define WITH_EACH_RING(name)                                                                       \
    static void name(hank_reactor reactor);                                                        \
    Test(ring_unasked, name, .timeout = 120)                                                       \
    {                                                                                              \
        skip_without(HANK_URING);                                                                  \
        (void)unsetenv("HANK_REACTOR");                                                            \
        name(HANK_AUTO);                                                                           \
    }                                                                                              \
    Test(ring_on_uring, name, .timeout = 120)                                                      \
    {                                                                                              \
        skip_without(HANK_URING);                                                                  \
        name(HANK_URING);                                                                          \
    }                                                                                              \
    static void name(hank_reactor reactor)

#endif
