/* SPDX-License-Identifier: MIT */
/* fd_test.c - who is in a descriptor, and when it is really closed. */
#include "io/fd.h"

#include "io/io_support.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"

typedef struct boxed {
    hk_fd fd;
    int *gone_n;
} boxed;

static void boxed_gone(hk_fd *f)
{
    boxed *b = hk_container_of(f, boxed, fd);
    (*b->gone_n)++;
    hk_free(b, sizeof *b);
}

/* One end of a socket pair in a box; the other end is *ret_peer. */
static boxed *boxed_new(int *gone_n, int *ret_peer)
{
    int fds[2];
    boxed *b = hk_alloc(sizeof *b);
    cr_assert(b);
    cr_assert_eq(hk_fd_init(&b->fd, boxed_gone), 0);
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    hk_fd_adopt(&b->fd, fds[0], HK_INPUT_BYTES, false);
    b->gone_n = gone_n;
    *ret_peer = fds[1];
    return b;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

Test(fd, a_direction_has_one_user_and_the_other_direction_is_free)
{
    int gone = 0, peer;
    boxed *b = boxed_new(&gone, &peer);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), 0);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), -EBUSY);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_OUT), 0);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_OUT), -EBUSY);
    cr_assert_eq(hk_fd_hold(&b->fd), 0);
    hk_fd_release(&b->fd);
    hk_fd_end(&b->fd, HK_IN);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), 0);
    hk_fd_end(&b->fd, HK_IN);
    hk_fd_end(&b->fd, HK_OUT);
    cr_assert_eq(gone, 0);
    hk_fd_close(&b->fd);
    cr_assert_eq(gone, 1);
    close(peer);
}

Test(fd, the_last_user_closes_so_the_number_is_not_used_again_under_anybody)
{
    int gone = 0, peer;
    boxed *b = boxed_new(&gone, &peer);
    int number = b->fd.fd;
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), 0);
    cr_assert_eq(hk_fd_hold(&b->fd), 0);
    hk_fd_close(&b->fd);
    cr_assert(is_open(number));
    cr_assert_eq(hk_fd_begin(&b->fd, HK_OUT), -EBADF);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), -EBADF, "closing counts before being busy");
    cr_assert_eq(hk_fd_hold(&b->fd), -EBADF);
    hk_fd_release(&b->fd);
    cr_assert(is_open(number));
    hk_fd_end(&b->fd, HK_IN);
    cr_assert_not(is_open(number));
    cr_assert_eq(gone, 1);
    close(peer);
}

Test(fd, a_wait_that_begins_while_closing_does_not_begin)
{
    int gone = 0, peer;
    boxed *b = boxed_new(&gone, &peer);
    char byte;
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), 0);
    hk_fd_close(&b->fd);
    cr_assert_eq(hk_fd_recv(&b->fd, &byte, 1), -EBADF);
    hk_fd_end(&b->fd, HK_IN);
    cr_assert_eq(gone, 1);
    close(peer);
}

Test(fd, one_that_never_had_a_descriptor_closes_none)
{
    int gone = 0;
    boxed *b = hk_alloc(sizeof *b);
    cr_assert(b);
    cr_assert_eq(hk_fd_init(&b->fd, boxed_gone), 0);
    b->gone_n = &gone;
    hk_fd_close(&b->fd);
    cr_assert_eq(gone, 1);
}

Test(fd, closing_twice_is_a_broken_program, .signal = SIGABRT)
{
    int gone = 0, peer;
    boxed *b = boxed_new(&gone, &peer);
    cr_assert_eq(hk_fd_begin(&b->fd, HK_IN), 0); /* so that there is something to look at */
    hk_fd_close(&b->fd);
    hk_fd_close(&b->fd);
}

/* --- many at once ---------------------------------------------------------------------------- */

typedef struct crowd {
    boxed *b;
    HK_ATOMIC(int) inside[2];
    HK_ATOMIC(bool) broken;
    int gone_n;
} crowd;

/* Take a direction again and again until it is closed: never two in one direction. */
static int elbow_in(crowd *c, hk_direction d)
{
    for (;;) {
        int rc = hk_fd_begin(&c->b->fd, d);
        if (rc == -EBADF)
            return 0;
        if (rc == 0) {
            if (hk_add_acqrel(&c->inside[d], 1) != 0)
                hk_store_relaxed(&c->broken, true);
            (void)hk_sub_acqrel(&c->inside[d], 1);
            hk_fd_end(&c->b->fd, d);
        }
        (void)hank_yield();
    }
}

static int elbow_reader(void *arg)
{
    return elbow_in(arg, HK_IN);
}

static int elbow_writer(void *arg)
{
    return elbow_in(arg, HK_OUT);
}

static int crowd_app(void *arg)
{
    (void)arg;
    int peer;
    crowd c = {0};
    c.b = boxed_new(&c.gone_n, &peer);
    MUST_OK(hk_fd_hold(&c.b->fd)); /* the word must outlive the close: others still look at it */
    hank_group g = {0};
    for (int i = 0; i < 4; i++) {
        MUST_OK(hank_group_spawn(&g, elbow_reader, &c));
        MUST_OK(hank_group_spawn(&g, elbow_writer, &c));
    }
    hank_sleep(HANK_MS(20));
    hk_fd_close(&c.b->fd);
    MUST_OK(hank_group_wait(&g));
    MUST(!hk_load_relaxed(&c.broken));
    MUST(c.gone_n == 0);
    hk_fd_release(&c.b->fd);
    MUST(c.gone_n == 1);
    (void)close(peer);
    return 0;
}

Test(fd, a_crowd_never_has_two_in_one_direction, .timeout = 60)
{
    run_with_each_size(crowd_app, NULL);
}

static int wait_to_read(void *arg)
{
    boxed *b = arg;
    char byte;
    int rc = hk_fd_begin(&b->fd, HK_IN);
    if (rc < 0)
        return rc;
    rc = (int)hk_fd_recv(&b->fd, &byte, 1);
    hk_fd_end(&b->fd, HK_IN);
    return rc;
}

/* The reader may be anywhere when close comes: not there yet, publishing itself, parked. */
static int close_race_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        int gone = 0, peer;
        boxed *b = boxed_new(&gone, &peer);
        MUST_OK(hk_fd_hold(&b->fd));
        hank_task reader = hank_spawn(wait_to_read, b);
        for (int j = 0; j < i % 5; j++)
            (void)hank_yield();
        hk_fd_close(&b->fd);
        int rc = hank_within(HANK_SEC(10), hank_await(reader));
        hk_fd_release(&b->fd);
        (void)close(peer);
        MUST(rc == -EBADF);
        MUST(gone == 1);
    }
    return 0;
}

Test(fd, close_finds_a_waiter_wherever_it_is, .timeout = 60)
{
    run_with_each_size(close_race_app, NULL);
}
