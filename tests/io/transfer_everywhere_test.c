/* SPDX-License-Identifier: MIT */
/* transfer_everywhere_test.c - what moves bytes, stopped at each of its waits in turn: streams,
 * files, datagrams. What was moved before the stop is whole, and no descriptor is left of it. */
#include "api/everywhere.h"
#include "io/io_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/atomic.h"

enum { BLOCK = 300 * 1000 };

static const char message[] = "one--two\n";
static char block[BLOCK];

/* A worker keeps the ring that the first call on a file opens. */
static int fds_of_tasks(void)
{
    return lasting_fds() - open_rings();
}

static bool is_over(int fds, int rc, bool stopped)
{
    return fds_of_tasks() <= fds &&
           (rc == 0 || (stopped && (rc == -ECANCELED || rc == -ETIMEDOUT)));
}

static int verdict(ssize_t rc, size_t expected)
{
    return rc < 0 ? (int)rc : (size_t)rc == expected ? 0 : -EPROTO;
}

/* --- streams: what was not given is still there ----------------------------------------------- */

typedef struct ends {
    hank_stream *a, *b;
    char got[sizeof message]; /* what the body was given, its NUL included */
    size_t n;
    HK_ATOMIC(size_t) moved; /* bytes that the partner has read */
    int fds;
} ends;

static void open_ends(void *state)
{
    ends *e = state;
    *e = (ends){.fds = fds_of_tasks()};
    cr_assert_eq(hank_stream_pair(&e->a, &e->b), 0);
}

static int say_it(void *state)
{
    ends *e = state;
    int rc = 0;
    for (size_t i = 0; rc == 0 && message[i]; i += 3) {
        (void)hank_yield();
        rc = hank_write(e->a, message + i, 3);
    }
    return rc;
}

static int read_it(void *state)
{
    ends *e = state;
    while (e->n < strlen(message)) {
        ssize_t n = hank_read(e->b, e->got + e->n, strlen(message) - e->n);
        if (n <= 0)
            return n < 0 ? (int)n : -EPROTO;
        e->n += (size_t)n;
    }
    return 0;
}

static int given(ends *e, ssize_t rc)
{
    e->n = rc > 0 ? (size_t)rc : 0;
    return verdict(rc, strlen(message));
}

static int read_until(void *state)
{
    ends *e = state;
    return given(e, hank_read_until(e->b, e->got, sizeof e->got, "two\n"));
}

static int read_until_any(void *state)
{
    static const hank_separator any[] = {{"three", 5}, {"\n", 1}};
    ends *e = state;
    return given(e, hank_read_until_any(e->b, e->got, sizeof e->got, any, 2));
}

static int peek(void *state)
{
    ends *e = state;
    char seen[sizeof message] = "";
    int rc = verdict(hank_peek(e->b, seen, strlen(message)), strlen(message));
    return rc == 0 && strcmp(seen, message) != 0 ? -EPROTO : rc;
}

/* What the body was given and what can be read afterwards is what was said, without a gap. */
static bool nothing_is_lost(void *state, int rc, bool stopped)
{
    ends *e = state;
    char all[2 * sizeof message] = "";
    memcpy(all, e->got, e->n);
    hank_close(e->a);
    ssize_t n = hank_peek(e->b, all + e->n, sizeof message); /* to the end */
    hank_close(e->b);
    return n >= 0 && strncmp(all, message, strlen(all)) == 0 &&
           (rc < 0 || strcmp(all, message) == 0) && is_over(e->fds, rc, stopped);
}

static int walk_reading(hank_fn body)
{
    ends e;
    everywhere_scenario s = {open_ends, body, say_it, nothing_is_lost, &e};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

static int walk_each_reading(void *arg)
{
    (void)arg;
    MUST(walk_reading(read_it) == 0);
    MUST(walk_reading(read_until) == 0);
    MUST(walk_reading(read_until_any) == 0);
    return walk_reading(peek);
}

Test(transfer_everywhere, a_read_gives_bytes_or_leaves_them, .timeout = 120)
{
    run_with_each_size(walk_each_reading, NULL);
}

/* --- streams: what was sent is a beginning ---------------------------------------------------- */

static int take_all(void *state)
{
    ends *e = state;
    char part[20000];
    ssize_t n;
    while ((n = hank_read(e->b, part, sizeof part)) > 0)
        (void)hk_add_relaxed(&e->moved, (size_t)n);
    return (int)n;
}

static int write_parts(void *state)
{
    struct iovec parts[] = {{block, BLOCK / 3}, {block + BLOCK / 3, BLOCK - BLOCK / 3}};
    return hank_writev(((ends *)state)->a, parts, 2);
}

/* Held until it is sent on purpose: a half, and the rest with the end of the holding. */
static int hold_and_flush(void *state)
{
    ends *e = state;
    int rc = hank_cork(e->a, BLOCK, BLOCK / 2);
    if (rc == 0)
        rc = hank_write(e->a, block, BLOCK / 2);
    if (rc == 0)
        rc = hank_flush(e->a);
    if (rc == 0)
        rc = hank_write(e->a, block, BLOCK / 2);
    return rc == 0 ? hank_uncork(e->a) : rc;
}

static int send_file(void *state)
{
    ends *e = state;
    hank_file *f;
    int rc = hank_file_open("/proc/self/exe", O_RDONLY, 0, &f);
    if (rc < 0)
        return rc;
    rc = verdict(hank_sendfile(e->a, f, 0, BLOCK), BLOCK);
    hank_file_close(f);
    return rc;
}

static int write_block(void *s)
{
    return hank_write(s, block, BLOCK);
}

static int splice_block(void *state)
{
    ends *e = state;
    hank_stream *from, *to;
    int rc = hank_pipe(&from, &to);
    if (rc < 0)
        return rc;
    hank_task writer = hank_spawn(write_block, to);
    rc = verdict(hank_splice(from, e->a, BLOCK), BLOCK);
    if (rc < 0)
        (void)hank_cancel(writer);
    (void)hank_await(writer); /* its end is the splice's */
    hank_close(from);
    hank_close(to);
    return rc;
}

static bool all_or_a_beginning(void *state, int rc, bool stopped)
{
    ends *e = state;
    hank_close(e->a);
    (void)take_all(state);
    hank_close(e->b);
    size_t moved = hk_load_relaxed(&e->moved);
    return (rc == 0 ? moved == BLOCK : moved <= BLOCK) && is_over(e->fds, rc, stopped);
}

static int walk_writing(hank_fn body)
{
    ends e;
    everywhere_scenario s = {open_ends, body, take_all, all_or_a_beginning, &e};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

static int walk_each_writing(void *arg)
{
    (void)arg;
    MUST(walk_writing(write_parts) == 0);
    MUST(walk_writing(hold_and_flush) == 0);
    MUST(walk_writing(send_file) == 0);
    return walk_writing(splice_block);
}

Test(transfer_everywhere, a_write_sends_all_or_a_beginning, .timeout = 120)
{
    run_with_each_size(walk_each_writing, NULL);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static int send_itself(void *state)
{
    ends *e = state;
    int fd = STDIN_FILENO;
    (void)hank_yield();
    return hank_send_fds(e->a, message, strlen(message), &fd, 1);
}

static int receive_it(void *state)
{
    ends *e = state;
    int fd = -1;
    size_t count = 1;
    ssize_t n = hank_recv_fds(e->b, e->got, strlen(message), &fd, &count);
    if (n >= 0)
        (void)close(fd);
    return n < 0 || count == 1 ? given(e, n) : -EPROTO;
}

static int walk_receiving(void *arg)
{
    ends e;
    (void)arg;
    everywhere_scenario s = {open_ends, receive_it, send_itself, nothing_is_lost, &e};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

Test(transfer_everywhere, descriptors_are_received_or_left, .timeout = 120)
{
    run_with_each_size(walk_receiving, NULL);
}

static bool is_sent_or_not(void *state, int rc, bool stopped)
{
    ends *e = state;
    hank_close(e->a);
    hank_close(e->b);
    return is_over(e->fds, rc, stopped);
}

static int walk_sending(void *arg)
{
    ends e;
    (void)arg;
    everywhere_scenario s = {open_ends, send_itself, receive_it, is_sent_or_not, &e};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

Test(transfer_everywhere, descriptors_are_sent_or_not, .timeout = 120)
{
    run_with_each_size(walk_sending, NULL);
}

/* --- files ------------------------------------------------------------------------------------ */

typedef struct drawer {
    char directory[32], one[48], two[48];
    int fds;
} drawer;

static void open_drawer(void *state)
{
    drawer *d = state;
    *d = (drawer){.directory = "/tmp/hank-drawer-XXXXXX", .fds = fds_of_tasks()};
    cr_assert(mkdtemp(d->directory) != NULL);
    (void)snprintf(d->one, sizeof d->one, "%s/one", d->directory);
    (void)snprintf(d->two, sizeof d->two, "%s/two", d->directory);
}

static int copy_and_look(const drawer *d, hank_file *one, hank_file *two)
{
    char back[sizeof message] = "";
    size_t n = strlen(message);
    struct stat by_name, by_file;
    int rc = hank_pwrite(one, message, n, 0);
    if (rc == 0)
        rc = hank_fsync(one, true);
    if (rc == 0)
        rc = verdict(hank_copy_range(one, 0, two, 0, n), n);
    if (rc == 0)
        rc = verdict(hank_pread(two, back, n, 0), n);
    if (rc == 0)
        rc = hank_file_stat(two, &by_file);
    if (rc == 0)
        rc = hank_stat(d->two, &by_name);
    if (rc < 0)
        return rc;
    return strcmp(back, message) == 0 && by_name.st_ino == by_file.st_ino ? 0 : -EPROTO;
}

static int list(const drawer *d)
{
    hank_dir *dir;
    hank_entry entry;
    int n = 0, rc = hank_dir_open(d->directory, &dir);
    if (rc < 0)
        return rc;
    while ((rc = hank_dir_next(dir, &entry)) > 0)
        n++;
    hank_dir_close(dir);
    return rc < 0 ? rc : n == 2 ? 0 : -EPROTO;
}

static int use_drawer(void *state)
{
    drawer *d = state;
    hank_file *one, *two;
    int rc = hank_file_open(d->one, O_RDWR | O_CREAT, 0600, &one);
    if (rc < 0)
        return rc;
    rc = hank_file_open(d->two, O_RDWR | O_CREAT, 0600, &two);
    if (rc == 0) {
        rc = copy_and_look(d, one, two);
        hank_file_close(two);
    }
    hank_file_close(one);
    return rc == 0 ? list(d) : rc;
}

static bool drawer_is_shut(void *state, int rc, bool stopped)
{
    drawer *d = state;
    (void)unlink(d->one); /* it may not have come to that */
    (void)unlink(d->two);
    return rmdir(d->directory) == 0 && is_over(d->fds, rc, stopped);
}

static int walk_files(void *arg)
{
    drawer d;
    (void)arg;
    everywhere_scenario s = {open_drawer, use_drawer, NULL, drawer_is_shut, &d};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 10);
    return 0;
}

Test(transfer_everywhere, files_are_closed_whatever_was_stopped, .timeout = 120)
{
    run_with_each_size(walk_files, NULL);
}

/* --- datagrams -------------------------------------------------------------------------------- */

typedef struct mail {
    hank_endpoint *box;
    hank_address address;
    char name[64];
    int fds;
} mail;

enum { LETTERS = 4 }; /* one of each way to send */

static void open_box(void *state)
{
    mail *m = state;
    *m = (mail){.fds = fds_of_tasks()};
    (void)snprintf(m->name, sizeof m->name, "unix://@hank-mail-%d", (int)getpid());
    cr_assert_eq(hank_endpoint_open(m->name, NULL, NULL, &m->box), 0);
    cr_assert_eq(hank_address_parse(m->name, &m->address), 0);
}

static int post_letters(const mail *m, hank_endpoint *e)
{
    char letter = 'l';
    int fd = STDIN_FILENO;
    hank_datagram d = {.data = &letter, .size = 1};
    int rc = hank_endpoint_send(e, &letter, 1);
    if (rc == 0)
        rc = verdict(hank_endpoint_send_batch(e, &d, 1), 1);
    if (rc == 0)
        rc = hank_endpoint_send_fds(e, &d, &fd, 1);
    return rc == 0 ? hank_endpoint_send_to(m->box, &letter, 1, &m->address) : rc;
}

static int post(void *state)
{
    mail *m = state;
    hank_endpoint *e;
    int rc = hank_endpoint_open(NULL, m->name, NULL, &e);
    if (rc < 0)
        return rc;
    rc = post_letters(m, e);
    hank_endpoint_close(e);
    return rc;
}

static int fetch(void *state)
{
    mail *m = state;
    char letter;
    hank_datagram d = {.data = &letter, .size = 1};
    int fd = -1;
    size_t count = 1;
    int rc = verdict(hank_endpoint_recv(m->box, &letter, 1, NULL), 1);
    if (rc == 0)
        rc = verdict(hank_endpoint_recv_batch(m->box, &d, 1), 1);
    if (rc == 0) {
        rc = hank_endpoint_recv_fds(m->box, &d, &fd, &count);
        if (rc == 0 && count == 1)
            (void)close(fd);
    }
    return rc == 0 ? verdict(hank_endpoint_recv(m->box, &letter, 1, NULL), 1) : rc;
}

static bool box_is_closed(void *state, int rc, bool stopped)
{
    mail *m = state;
    hank_endpoint_close(m->box);
    return is_over(m->fds, rc, stopped);
}

static int walk_fetching(void *arg)
{
    mail m;
    (void)arg;
    everywhere_scenario s = {open_box, fetch, post, box_is_closed, &m};
    MUST(everywhere(&s) == 0 && everywhere_stops() > LETTERS);
    return 0;
}

Test(transfer_everywhere, datagrams_are_received_or_not, .timeout = 120)
{
    run_with_each_size(walk_fetching, NULL);
}

static int walk_posting(void *arg)
{
    mail m;
    (void)arg;
    everywhere_scenario s = {open_box, post, NULL, box_is_closed, &m};
    MUST(everywhere(&s) == 0 && everywhere_stops() > LETTERS);
    return 0;
}

Test(transfer_everywhere, datagrams_are_sent_or_not, .timeout = 120)
{
    run_with_each_size(walk_posting, NULL);
}
