/* SPDX-License-Identifier: MIT */
/* request_test.c - files behave the same whoever makes the calls: the kernel, for a reactor that
 * can have them made, or threads of the pool. A stop takes back what has not begun and lets go of
 * no memory that is in use.
 *
 * Each test runs with every reactor that is to be had here, by the option, and with none asked for,
 * whatever HANK_REACTOR says. */
#include "request_support.h"

#include <stdlib.h>

#include "io/file.h"

static char letter(size_t i)
{
    return (char)('a' + i % 23 + i / 4099 % 3);
}

/* --- who makes the calls --------------------------------------------------------------------- */

WITH_EACH_REACTOR(the_pool_is_for_what_the_reactor_cannot)
{
    char path[100];
    hank_dir *d;
    (void)arg;
    MUST_OK(use_each_call(path_of(path, "each")));
    MUST(unlink(path) == 0);
    MUST(has_pool() == !ring_now);
    MUST((open_rings() > 0) == ring_now);
    MUST_OK(hank_dir_open("/tmp", &d));
    hank_dir_close(d);
    MUST(has_pool());
    return 0;
}

enum { CROWD = 700 };

typedef struct one_read {
    hank_file *f;
    size_t i;
} one_read;

static int read_one(void *arg)
{
    const one_read *r = arg;
    char byte = 0;
    ssize_t n = hank_pread(r->f, &byte, 1, (int64_t)r->i);
    return n != 1 ? -EPROTO : byte == letter(r->i) ? 0 : -EBADMSG;
}

WITH_EACH_REACTOR(more_tasks_may_read_at_once_than_a_ring_has_room_for)
{
    static one_read reads[CROWD];
    static char bytes[CROWD];
    hank_task tasks[CROWD];
    hank_file *f;
    (void)arg;
    MUST_OK(make_file(0, &f));
    for (size_t i = 0; i < CROWD; i++)
        bytes[i] = letter(i);
    MUST(hank_pwrite(f, bytes, CROWD, 0) == 0);
    for (size_t i = 0; i < CROWD; i++) {
        reads[i] = (one_read){f, i};
        tasks[i] = hank_spawn(read_one, &reads[i]);
    }
    MUST_OK(hank_gather_n(tasks, CROWD, NULL));
    hank_file_close(f);
    MUST(has_pool() == !ring_now);
    return 0;
}

enum { TASKS = 12, SLICE = 5000, TURNS = 30 };

typedef struct slice {
    hank_file *f;
    size_t at;
} slice;

/* Each has a part of the file to itself, and finds there what it wrote. */
static int write_and_read(void *arg)
{
    const slice *s = arg;
    char written[SLICE], read[SLICE];
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < SLICE; i++)
            written[i] = letter(s->at + i + turn);
        MUST(hank_pwrite(s->f, written, SLICE, (int64_t)s->at) == 0);
        memset(read, 0, sizeof read);
        MUST(hank_pread(s->f, read, SLICE, (int64_t)s->at) == SLICE);
        MUST(memcmp(written, read, SLICE) == 0);
    }
    return hank_fsync(s->f, true);
}

WITH_EACH_REACTOR(many_tasks_read_and_write_one_file)
{
    slice slices[TASKS];
    hank_task tasks[TASKS];
    hank_file *f;
    (void)arg;
    MUST_OK(make_file(0, &f));
    for (size_t i = 0; i < TASKS; i++) {
        slices[i] = (slice){f, i * SLICE};
        tasks[i] = hank_spawn(write_and_read, &slices[i]);
    }
    int rc = hank_gather_n(tasks, TASKS, NULL);
    hank_file_close(f);
    return rc;
}

WITH_EACH_REACTOR(much_is_moved_in_one_call)
{
    enum { MUCH = 5 * 1000 * 1000 };
    hank_file *f;
    char *written = malloc(MUCH), *read = calloc(1, MUCH + 1);
    (void)arg;
    MUST(written && read);
    for (size_t i = 0; i < MUCH; i++)
        written[i] = letter(i);
    MUST_OK(make_file(0, &f));
    MUST(hank_pwrite(f, written, MUCH, 1) == 0);
    MUST(hank_pread(f, read, MUCH + 1, 1) == MUCH); /* the end */
    MUST(memcmp(written, read, MUCH) == 0);
    hank_file_close(f);
    free(written);
    free(read);
    return 0;
}

/* --- what they say --------------------------------------------------------------------------- */

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
           a->st_nlink == b->st_nlink && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_rdev == b->st_rdev && a->st_size == b->st_size && a->st_blksize == b->st_blksize &&
           a->st_blocks == b->st_blocks && a->st_atim.tv_sec == b->st_atim.tv_sec &&
           a->st_atim.tv_nsec == b->st_atim.tv_nsec && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

WITH_EACH_REACTOR(stat_says_what_the_system_says)
{
    static const char *const paths[] = {"/dev/null", "/usr", "/proc/self/exe", "/etc/passwd"};
    (void)arg;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct stat ours, theirs;
        hank_file *f;
        if (HK_EMULATED && strcmp(paths[i], "/proc/self/exe") == 0)
            continue; /* the emulator opens another file than it looks at */
        MUST(stat(paths[i], &theirs) == 0);
        MUST(hank_stat(paths[i], &ours) == 0 && same(&ours, &theirs));
        MUST_OK(hank_file_open(paths[i], O_RDONLY, 0, &f));
        MUST(hank_file_stat(f, &ours) == 0 && same(&ours, &theirs));
        hank_file_close(f);
    }
    return 0;
}

WITH_EACH_REACTOR(a_file_without_positions_has_none)
{
    char path[100], byte = 'x';
    hank_file *f;
    (void)arg;
    MUST(mkfifo(path_of(path, "p"), 0600) == 0);
    MUST_OK(hank_file_open(path, O_RDWR | O_NONBLOCK, 0, &f));
    MUST(unlink(path) == 0);
    MUST(hank_pread(f, &byte, 1, 0) == -ESPIPE);
    MUST(hank_pwrite(f, &byte, 1, 0) == -ESPIPE);
    MUST(hank_fsync(f, false) == -EINVAL);
    hank_file_close(f);
    return 0;
}

WITH_EACH_REACTOR(flags_and_failures_are_those_of_the_system)
{
    hank_file *f, *closed;
    char byte;
    (void)arg;
    MUST_OK(make_file(O_APPEND | O_NONBLOCK, &f));
    MUST(hank_pwrite(f, "ab", 2, 0) == 0 && hank_pwrite(f, "c", 1, 0) == 0);
    MUST(hank_pread(f, &byte, 1, 2) == 1 && byte == 'c'); /* it was put at the end */
    MUST(fcntl(f->fd.fd, F_GETFD) == FD_CLOEXEC);
    MUST(hank_pread(f, NULL, 1, 0) == -EFAULT);
    hank_file_close(f);
    MUST(hank_file_open("/nowhere", O_RDONLY, 0, &closed) == -ENOENT);
    MUST_OK(hank_file_open("/dev/full", O_WRONLY, 0, &f));
    MUST(hank_pwrite(f, "x", 1, 0) == -ENOSPC && hank_pread(f, &byte, 1, 0) == -EBADF);
    hank_file_close(f);
    return 0;
}

/* --- stops ----------------------------------------------------------------------------------- */

static int write_once_and_sync(void *arg)
{
    static const char block[SLICE];
    int rc = hank_pwrite(arg, block, SLICE, 0);
    return rc < 0 ? rc : hank_fsync(arg, false);
}

WITH_EACH_REACTOR(what_was_stopped_has_happened_or_has_not)
{
    enum { ROUNDS = 200 };
    int taken_back = 0;
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        hank_file *f;
        struct stat about;
        MUST_OK(make_file(0, &f));
        hank_task t = hank_spawn(write_once_and_sync, f);
        for (int i = round % 7; i >= 0; i--) /* on one worker: nobody looks at the reactor */
            (void)hank_yield();
        hank_cancel(t);
        int rc = hank_await(t);
        MUST(rc == 0 || rc == -ECANCELED);
        MUST_OK(hank_file_stat(f, &about));
        MUST(about.st_size == 0 || about.st_size == SLICE); /* no part of it */
        taken_back += about.st_size == 0;
        hank_file_close(f);
    }
    MUST(taken_back > 0 || workers_now > 1 || !ring_now);
    return 0;
}

typedef struct written {
    hank_file *f;
    int64_t done; /* bytes that were said to be written */
} written;

static int write_until_stopped(written *w)
{
    static const char block[300 * 1000] = {1};
    for (;;) {
        size_t n = w->done % 2 == 0 ? sizeof block - 1 : 1; /* handed over, and at once */
        int rc = hank_pwrite(w->f, block, n, w->done);
        if (rc < 0)
            return rc;
        w->done += (int64_t)n;
        if (w->done > 4 * 1000 * 1000)
            return 0;
    }
}

WITH_EACH_REACTOR(nothing_is_written_after_the_stop_was_told)
{
    enum { ROUNDS = 60 };
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        struct stat about;
        written w = {0};
        MUST_OK(make_file(0, &w.f));
        int rc = hank_within(HANK_US(20) * round, write_until_stopped(&w));
        MUST(rc == 0 || rc == -ETIMEDOUT);
        MUST_OK(hank_file_stat(w.f, &about));
        MUST(about.st_size == w.done);
        hank_file_close(w.f);
    }
    return 0;
}

static int open_for_ever(void *arg)
{
    hank_file *f;
    int rc = hank_file_open(arg, O_RDONLY, 0, &f);
    if (rc == 0)
        hank_file_close(f);
    return rc;
}

WITH_EACH_REACTOR(an_open_that_nobody_answers_is_ended_by_a_stop_or_waited_for)
{
    char path[100];
    (void)arg;
    MUST(mkfifo(path_of(path, "n"), 0600) == 0);
    hank_task t = hank_spawn(open_for_ever, path);
    (void)hank_sleep(HANK_MS(5));
    hank_cancel(t);
    if (!ring_now) {                 /* no thread of ours can be called back */
        int fd = open(path, O_RDWR); /* waits for nobody, whether it has begun or not */
        int rc = hank_await(t);
        MUST(rc == 0 || rc == -ECANCELED);
        MUST(close(fd) == 0);
    } else {
        int rc = hank_await(t);
        MUST(rc == -ECANCELED);
    }
    MUST(unlink(path) == 0);
    return 0;
}

static int leave_one_inside(void *arg)
{
    hank_task t = hank_spawn(open_for_ever, arg);
    hank_detach(t);
    return hank_sleep(HANK_MS(5));
}

WITH_EACH_RING(the_end_of_a_runtime_stops_what_is_under_way)
{
    char path[100];
    cr_assert_eq(mkfifo(path_of(path, "e"), 0600), 0);
    int before = lasting_fds();
    for (unsigned workers = 1; workers <= 8; workers *= 2)
        cr_expect_eq(hank_run_with(leave_one_inside, path, .workers = workers, .reactor = reactor),
                     0);
    cr_expect_leq(lasting_fds(), before);
    cr_expect_eq(unlink(path), 0);
}
