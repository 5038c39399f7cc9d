/* SPDX-License-Identifier: MIT */
/* file_test.c - files, directories, and bytes that go from one descriptor to another. */
#include "io/net_support.h"

#include <hank/file.h>

#include <sys/stat.h>

#include "base/fault.h"

/* A name of its own in a directory of this process's; removed by the test. */
static const char *path_of(char *ret, const char *name)
{
    snprintf(ret, 100, "/tmp/hank-file-%d-%s", (int)getpid(), name);
    return ret;
}

/* A file with `n` bytes of the pattern. */
static int make_file(const char *path, size_t n, hank_file **ret)
{
    int rc = hank_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, ret);
    unsigned char *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = big_byte(i);
    if (rc == 0)
        rc = hank_pwrite(*ret, bytes, n, 0);
    free(bytes);
    (void)unlink(path);
    return rc;
}

ALONE(file, what_is_written_is_read)
{
    hank_file *f;
    char path[100], buf[16] = "";
    (void)arg;
    MUST(hank_file_open(path_of(path, "a"), O_RDWR | O_CREAT | O_EXCL, 0640, &f) == 0);
    MUST(hank_pwrite(f, "hello", 5, 10) == 0);
    MUST(hank_pread(f, buf, 5, 10) == 5 && memcmp(buf, "hello", 5) == 0);
    MUST(hank_pread(f, buf, 16, 12) == 3); /* less at the end */
    MUST(hank_pread(f, buf, 16, 15) == 0);
    MUST(hank_pread(f, buf, 16, 1000) == 0);
    MUST(hank_pread(f, buf, 2, 0) == 2 && buf[0] == 0); /* what was never written */
    MUST(hank_fsync(f, true) == 0 && hank_fsync(f, false) == 0);
    hank_file_close(f);
    hank_file_close(NULL);
    MUST(unlink(path) == 0);
    return 0;
}

ALONE(file, stat_says_what_it_is)
{
    hank_file *f;
    struct stat by_file, by_name;
    char path[100];
    (void)arg;
    MUST(hank_file_open(path_of(path, "s"), O_WRONLY | O_CREAT, 0640, &f) == 0);
    MUST(hank_pwrite(f, "0123456789", 10, 0) == 0);
    MUST(hank_file_stat(f, &by_file) == 0 && by_file.st_size == 10);
    MUST((by_file.st_mode & 07777) == 0640 || (by_file.st_mode & 07777) == 0600);
    MUST(hank_stat(path, &by_name) == 0 && by_name.st_ino == by_file.st_ino);
    MUST(unlink(path) == 0);
    MUST(hank_stat(path, &by_name) == -ENOENT);
    MUST(hank_stat(NULL, &by_name) == -EINVAL);
    hank_file_close(f);
    return 0;
}

ALONE(file, bad_paths_and_flags_say_what_is_wrong)
{
    hank_file *f;
    char longer[5000];
    (void)arg;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    MUST(hank_file_open("/nowhere/at/all", O_RDONLY, 0, &f) == -ENOENT);
    MUST(hank_file_open("/tmp", O_RDWR, 0, &f) == -EISDIR);
    MUST(hank_file_open("/dev/null/x", O_RDONLY, 0, &f) == -ENOTDIR);
    MUST(hank_file_open(longer, O_RDONLY, 0, &f) == -ENAMETOOLONG);
    MUST(hank_file_open("", O_RDONLY, 0, &f) == -ENOENT);
    MUST(hank_file_open(NULL, O_RDONLY, 0, &f) == -EINVAL);
    MUST(hank_file_open("/dev/null", O_RDWR | O_CREAT | O_EXCL, 0600, &f) == -EEXIST);
    return 0;
}

ALONE(file, what_the_system_says_of_a_path_is_passed_on)
{
    hank_file *f;
    struct stat st;
    char loop[100], pipe[100], longer[5000];
    (void)arg;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    MUST(symlink(path_of(loop, "loop"), loop) == 0);
    MUST(hank_file_open(loop, O_RDONLY, 0, &f) == -ELOOP && hank_stat(loop, &st) == -ELOOP);
    MUST(unlink(loop) == 0);
    MUST(hank_stat("/dev/null/x", &st) == -ENOTDIR && hank_stat(longer, &st) == -ENAMETOOLONG);
    MUST(mkfifo(path_of(pipe, "pipe"), 0600) == 0);
    MUST(hank_file_open(pipe, O_RDWR, 0, &f) == 0);
    MUST(hank_pread(f, loop, 1, 0) == -ESPIPE && hank_pwrite(f, loop, 1, 0) == -ESPIPE);
    MUST(hank_fsync(f, false) == -EINVAL);
    hank_file_close(f);
    return unlink(pipe);
}

ALONE(file, positions_and_directions_are_checked)
{
    hank_file *f;
    char byte, path[100];
    (void)arg;
    MUST(make_file(path_of(path, "p"), 10, &f) == 0);
    MUST(hank_pread(f, &byte, 1, -1) == -EINVAL);
    MUST(hank_pwrite(f, &byte, 1, -1) == -EINVAL);
    MUST(hank_pread(f, &byte, (size_t)-1, 0) == -EINVAL);
    MUST(hank_pread(f, &byte, 0, 0) == 0);
    hank_file_close(f);
    MUST(hank_file_open("/dev/null", O_WRONLY, 0, &f) == 0);
    MUST(hank_pread(f, &byte, 1, 0) == -EBADF);
    hank_file_close(f);
    MUST(hank_file_open("/dev/null", O_RDONLY, 0, &f) == 0);
    MUST(hank_pwrite(f, "x", 1, 0) == -EBADF);
    hank_file_close(f);
    MUST(hank_file_open("/dev/full", O_WRONLY, 0, &f) == 0);
    MUST(hank_pwrite(f, "x", 1, 0) == -ENOSPC);
    hank_file_close(f);
    MUST(hank_file_open("/tmp", O_RDONLY, 0, &f) == 0);
    MUST(hank_pread(f, &byte, 1, 0) == -EISDIR);
    hank_file_close(f);
    return 0;
}

enum { TASKS = 20, EACH = 5000 };

typedef struct slice {
    hank_file *f;
    int i;
} slice;

static int write_slice(void *arg)
{
    const slice *s = arg;
    unsigned char bytes[EACH];
    for (size_t i = 0; i < EACH; i++)
        bytes[i] = big_byte((size_t)s->i * EACH + i);
    return hank_pwrite(s->f, bytes, EACH, (int64_t)s->i * EACH);
}

ALONE(file, many_tasks_use_it_at_the_same_time)
{
    hank_file *f;
    char path[100];
    hank_task tasks[TASKS];
    slice slices[TASKS];
    unsigned char *all = malloc((size_t)TASKS * EACH);
    (void)arg;
    MUST(all != NULL && make_file(path_of(path, "m"), 0, &f) == 0);
    for (int i = 0; i < TASKS; i++) {
        slices[i] = (slice){f, i};
        tasks[i] = hank_spawn(write_slice, &slices[i]);
    }
    int rc = hank_gather_n(tasks, TASKS, NULL);
    ssize_t got = hank_pread(f, all, (size_t)TASKS * EACH, 0);
    bool same = true;
    for (size_t i = 0; i < (size_t)TASKS * EACH; i++)
        same = same && all[i] == big_byte(i);
    free(all);
    MUST(rc == 0 && got == TASKS * EACH && same);
    hank_file_close(f);
    return 0;
}

static int open_cancelled(void *arg)
{
    hank_file *f;
    (void)arg;
    return hank_file_open("/dev/null", O_RDONLY, 0, &f);
}

ALONE(file, a_stopped_open_leaves_nothing)
{
    (void)arg;
    MUST(hank_within(0, open_cancelled(NULL)) == -ETIMEDOUT);
    return 0;
}

/* --- directories ----------------------------------------------------------------------------- */

enum { ENTRIES = 300 };

ALONE(dir, every_entry_comes_once)
{
    char path[100], name[400];
    bool seen[ENTRIES] = {false};
    hank_dir *d;
    hank_entry entry;
    int rc, n = 0;
    (void)arg;
    MUST(mkdir(path_of(path, "d"), 0700) == 0);
    for (int i = 0; i < ENTRIES; i++) { /* more than fit into one read */
        snprintf(name, sizeof name, "%s/%0100d", path, i);
        MUST(i % 50 == 0   ? mkdir(name, 0700) == 0
             : i % 51 == 0 ? symlink("x", name) == 0
                           : close(open(name, O_WRONLY | O_CREAT, 0600)) == 0);
    }
    MUST(hank_dir_open(path, &d) == 0);
    while ((rc = hank_dir_next(d, &entry)) == 1) {
        long i = strtol(entry.name, NULL, 10);
        MUST(strlen(entry.name) == 100 && i >= 0 && i < ENTRIES && !seen[i]);
        MUST(entry.type == (i % 50 == 0   ? HANK_ENTRY_DIRECTORY
                            : i % 51 == 0 ? HANK_ENTRY_LINK
                                          : HANK_ENTRY_FILE) ||
             entry.type == HANK_ENTRY_UNKNOWN);
        MUST(entry.inode != 0);
        seen[i] = true;
        n++;
    }
    MUST(rc == 0 && n == ENTRIES);
    MUST(hank_dir_next(d, &entry) == 0);
    hank_dir_close(d);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "%s/%0100d", path, i);
        MUST((i % 50 == 0 ? rmdir(name) : unlink(name)) == 0);
    }
    MUST(rmdir(path) == 0);
    return 0;
}

ALONE(dir, what_is_none_is_refused)
{
    hank_dir *d;
    (void)arg;
    MUST(hank_dir_open("/nowhere", &d) == -ENOENT);
    MUST(hank_dir_open("/dev/null", &d) == -ENOTDIR);
    MUST(hank_dir_open(NULL, &d) == -EINVAL);
    hank_dir_close(NULL);
    return 0;
}

/* --- to a stream ----------------------------------------------------------------------------- */

enum { BIG = 3000000 };

static int send_and_receive(ends *e, int64_t offset, size_t n)
{
    hank_file *f;
    char path[100];
    MUST(make_file(path_of(path, "t"), BIG, &f) == 0);
    reading r = {e->b, n, (size_t)offset};
    hank_task reader = hank_spawn(read_pattern, &r);
    ssize_t sent = hank_sendfile(e->a, f, offset, n);
    hank_file_close(f);
    MUST(sent == (ssize_t)n);
    return hank_await(reader);
}

OVER(sendfile, ANY, a_file_arrives_whole)
{
    return send_and_receive(e, 0, BIG);
}

OVER(sendfile, ANY, a_part_is_sent_from_where_it_is)
{
    return send_and_receive(e, 12345, 100000);
}

OVER(sendfile, ANY, past_the_end_there_is_nothing)
{
    hank_file *f;
    char path[100], buf[16];
    MUST(make_file(path_of(path, "e"), 10, &f) == 0);
    MUST(hank_sendfile(e->a, f, 4, 1000) == 6);
    MUST(hank_sendfile(e->a, f, 10, 1000) == 0);
    MUST(hank_sendfile(e->a, f, -1, 10) == -EINVAL);
    MUST(hank_read_exact(e->b, buf, 6) == 0);
    hank_file_close(f);
    return 0;
}

OVER(sendfile, ANY, what_a_cork_holds_goes_first)
{
    hank_file *f;
    char path[100], buf[8];
    MUST(make_file(path_of(path, "c"), 3, &f) == 0);
    MUST(hank_cork(e->a, 100, 0) == 0);
    MUST(hank_write(e->a, "held", 4) == 0);
    MUST(hank_sendfile(e->a, f, 0, 3) == 3);
    MUST(hank_read_exact(e->b, buf, 7) == 0 && memcmp(buf, "held", 4) == 0);
    hank_file_close(f);
    return 0;
}

OVER(sendfile, ENDS, to_nobody_is_an_error_and_no_signal)
{
    hank_file *f;
    char path[100];
    MUST(make_file(path_of(path, "n"), BIG, &f) == 0);
    hank_abort(e->b);
    e->b = NULL;
    ssize_t rc = 0;
    for (int i = 0; i < 20 && rc >= 0; i++)
        rc = hank_sendfile(e->a, f, 0, BIG);
    hank_file_close(f);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    return 0;
}

#if HK_FAULTS
OVER(sendfile, PLAIN, where_the_system_cannot_it_is_copied)
{
    hk_fault_plan(HK_FAULT_SENDFILE, 1, -EINVAL);
    int rc = send_and_receive(e, 5, 200000);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    MUST(hit);
    return rc;
}

OVER(sendfile, ANY, short_counts_are_made_up_for)
{
    hk_fault_plan(HK_FAULT_SENDFILE, 1, 7);
    int rc = send_and_receive(e, 5, 200000);
    hk_fault_clear();
    return rc;
}
#endif

/* --- from a file to a file ------------------------------------------------------------------- */

static int copy_and_compare(size_t n)
{
    hank_file *from, *to;
    char path[100];
    unsigned char *bytes = malloc(BIG);
    MUST(bytes != NULL && make_file(path_of(path, "f"), BIG, &from) == 0);
    MUST(make_file(path_of(path, "g"), 0, &to) == 0);
    ssize_t copied = hank_copy_range(from, 100, to, 5, n);
    ssize_t got = hank_pread(to, bytes, BIG, 5);
    bool same = true;
    for (ssize_t i = 0; i < got; i++)
        same = same && bytes[i] == big_byte(100 + (size_t)i);
    free(bytes);
    hank_file_close(from);
    hank_file_close(to);
    ssize_t want = n < BIG - 100 ? (ssize_t)n : BIG - 100;
    MUST(copied == want && got == want && same);
    return 0;
}

ALONE(copy, a_range_is_copied)
{
    (void)arg;
    MUST(copy_and_compare(1000) == 0);
    return copy_and_compare(10 * BIG); /* to the end, and no further */
}

ALONE(copy, files_without_a_size_are_copied_as_they_are_read)
{
    hank_file *from, *to;
    char path[100], buf[64];
    (void)arg;
    MUST(hank_file_open("/proc/self/stat", O_RDONLY, 0, &from) == 0);
    MUST(make_file(path_of(path, "h"), 0, &to) == 0);
    MUST(hank_copy_range(from, 0, to, 0, 1000000) > 10);
    MUST(hank_pread(to, buf, 5, 0) == 5);
    MUST(hank_copy_range(from, -1, to, 0, 5) == -EINVAL);
    MUST(hank_copy_range(from, 0, to, -1, 5) == -EINVAL);
    hank_file_close(from);
    hank_file_close(to);
    return 0;
}

#if HK_FAULTS
ALONE(copy, where_the_system_cannot_it_is_read_and_written)
{
    (void)arg;
    hk_fault_plan(HK_FAULT_COPY_RANGE, 1, -EXDEV);
    int rc = copy_and_compare(500000);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    MUST(hit);
    return rc;
}

ALONE(copy, short_counts_are_made_up_for)
{
    (void)arg;
    hk_fault_plan(HK_FAULT_COPY_RANGE, 1, 3);
    int rc = copy_and_compare(500000);
    hk_fault_clear();
    MUST(rc == 0);
    hk_fault_plan(HK_FAULT_FILE_READ, 1, 1);
    rc = copy_and_compare(1000);
    hk_fault_clear();
    return rc;
}
#endif
