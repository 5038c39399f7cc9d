/* SPDX-License-Identifier: MIT */
/* fd_model.c - the real io/fd.c: a close ends the wait that is under way, the last user to leave
 * closes, once, and what a direction leaves is there for its next user; how a connection ended is
 * heard by whoever reads its end.
 *
 * The source is a stand-in that holds one ticket (fdword_model.c has the real one). What users do
 * with the descriptor is plain data, and the hk_fd is freed by `gone`: who still touches it, or is
 * not ordered before, is an error. A close that a wait misses leaves it asleep for ever. */
#include "io/fd.h"

#include <errno.h>
#include <hank/task.h>

#include "base/os.h"
#include "model/mc.h"
#include "model/mc_park.h"
#include "reactor/flow.h"
#include "sched/runtime.h"

enum { FD = 7 };

static hk_fd *fd;
static hk_source source;
static hk_reactor home;
static hk_ticket ticket; /* plain, ordered by `armed` */
static HK_ATOMIC(int) armed;
static HK_ATOMIC(int) told; /* the system has said that the connection broke */
static int used;            /* plain: by users */
static int closed, gone;
static int results[2];

static void fd_gone(hk_fd *f)
{
    MC_ASSERT(f == fd && closed == 1);
    (void)MC_READ(&used);
    mc_free(f);
    gone++;
}

static void begin(void)
{
    begin_parking();
    memset(&source, 0, sizeof source);
    armed = told = 0;
    used = closed = gone = 0;
    fd = mc_alloc(sizeof *fd);
    MC_ASSERT(hk_fd_init(fd, fd_gone) == 0);
    hk_fd_adopt(fd, FD, HK_INPUT_EVENTS, true);
    hk_fd_is_connection(fd);
    mc_name(&fd->word, "word");
    mc_name(&fd->waiting[HK_IN].sleeper, "waiting");
    mc_name(&fd->sending, "sending");
    mc_name(&fd->broken, "broken");
    mc_name(&armed, "armed");
    mc_name(&told, "told");
}

/* --- the source ------------------------------------------------------------------------------ */

hk_source *hk_source_open(int number)
{
    (void)number;
    return &source;
}

int hk_source_start(hk_source *s, hk_direction d, hk_ticket t, hk_reactor *r)
{
    MC_ASSERT(s == &source && d == HK_IN && r == &home);
    MC_WRITE(&ticket, t);
    hk_store_release(&armed, 1);
    return 0;
}

void hk_source_stop(hk_source *s, hk_direction d)
{
    (void)s;
    (void)d;
    (void)hk_swap_acqrel(&armed, 0);
}

void hk_source_close(hk_source *s)
{
    (void)s;
    MC_ASSERT(closed++ == 0);
    MC_ASSERT(hk_load_relaxed(&armed) == 0);
}

int hk_os_close(int number)
{
    MC_ASSERT(number == FD && closed == 1);
    return 0;
}

hk_reactor *hk_runtime_reactor(void)
{
    return &home;
}

bool hk_wake(hk_ticket t, int result)
{
    bool claimed = hk_ticket_claim(t, result);
    if (claimed)
        hk_wake_claimed(t.sleeper);
    return claimed;
}

int hank_yield(void)
{
    hk_spin_pause();
    return 0;
}

/* --- users ----------------------------------------------------------------------------------- */

/* Whoever comes while others close has come in before: there is no handle that outlives it. */
static void begin_inside(void)
{
    begin();
    MC_ASSERT(hk_fd_begin(fd, HK_IN) == 0);
}

static void begin_inside_twice(void)
{
    begin_inside();
    MC_ASSERT(hk_fd_hold(fd) == 0);
}

static void touch(void)
{
    MC_WRITE(&used, MC_READ(&used) + 1);
}

static void wait_for_input(void)
{
    touch();
    results[0] = hk_fd_wait(fd, HK_IN, "read");
    hk_fd_end(fd, HK_IN);
}

static void touch_and_end(void)
{
    touch();
    hk_fd_end(fd, HK_IN);
}

/* The next in the direction finds what the last one has left. */
static void touch_after(void)
{
    results[1] = hk_fd_begin(fd, HK_IN);
    if (results[1] == 0)
        touch_and_end();
    hk_fd_release(fd);
}

static void close_it(void)
{
    hk_fd_close(fd);
}

static void tell_event(void)
{
    if (hk_swap_acqrel(&armed, 0))
        (void)hk_wake(MC_READ(&ticket), HK_RETRY);
}

static void stop_the_first(void)
{
    cancel(0);
}

/* The system says once how a connection broke: to whoever asks first, under its own lock. */
static ssize_t be_told(ssize_t later)
{
    return hk_swap_acqrel(&told, 1) ? later : -ECONNRESET;
}

static ssize_t send_once(int number, void *what)
{
    (void)number;
    (void)what;
    return be_told(-EPIPE);
}

static ssize_t recv_once(int number, void *what)
{
    (void)number;
    (void)what;
    return be_told(0);
}

static void write_it(void)
{
    results[1] = (int)hk_fd_try(fd, HK_OUT, send_once, NULL);
}

static void read_it(void)
{
    results[0] = (int)hk_fd_try(fd, HK_IN, recv_once, NULL);
}

/* --- what holds ------------------------------------------------------------------------------ */

static void wait_ended_by_close(void)
{
    MC_ASSERT(gone == 1 && results[0] == -EBADF);
}

static void wait_ended(void)
{
    MC_ASSERT(gone == 1 && (results[0] == -EBADF || results[0] == 0));
}

static void wait_ended_or_was_stopped(void)
{
    MC_ASSERT(gone == 1 && (results[0] == -EBADF || results[0] == -ECANCELED));
}

static void used_by_each_that_came_in(void)
{
    MC_ASSERT(results[1] == 0 || results[1] == -EBUSY || results[1] == -EBADF);
    MC_ASSERT(gone == 1 && used == 1 + (results[1] == 0));
}

static void loss_is_heard(void)
{
    MC_ASSERT(results[0] == -ECONNRESET && (results[1] == -ECONNRESET || results[1] == -EPIPE));
    hk_fd_close(fd);
}

static const mc_model models[] = {
    {.name = "fd: closed under who waits",
     .setup = begin_inside,
     .threads = {wait_for_input, close_it},
     .check = wait_ended_by_close,
     .golden = 20},
    {.name = "fd: closed while an event comes",
     .setup = begin_inside,
     .threads = {wait_for_input, close_it, tell_event},
     .check = wait_ended,
     .golden = 79},
    {.name = "fd: closed under who is stopped",
     .setup = begin_inside,
     .threads = {wait_for_input, close_it, stop_the_first},
     .check = wait_ended_or_was_stopped,
     .golden = 232},
    {.name = "fd: one user of a direction after another, and a close",
     .setup = begin_inside_twice,
     .threads = {touch_and_end, touch_after, close_it},
     .check = used_by_each_that_came_in,
     .golden = 70},
    {.name = "fd: the end is read while a write is told why",
     .setup = begin,
     .threads = {read_it, write_it},
     .check = loss_is_heard,
     .golden = 5},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}

/* --- not part of it -------------------------------------------------------------------------- */

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NEVER(result, name, ...)                                                                   \
    result name(__VA_ARGS__)                                                                       \
    {                                                                                              \
        mc_fail(#name " is not part of this model");                                               \
    }

NEVER(int, hk_stop_reason, void)
NEVER(void, hk_source_move, hk_source *s, hk_reactor *to)
NEVER(bool, hk_source_is_watched, hk_source *s, hk_direction d)
NEVER(bool, hk_flow_read, hk_source *s, void *ret_buf, size_t n, ssize_t *ret_n, bool *ret_dry)
NEVER(bool, hk_flow_accept, hk_source *s, int *ret_fd)
NEVER(int, hk_os_poll, struct pollfd *fds, unsigned n, int64_t timeout_ns)
NEVER(ssize_t, hk_os_recv, int number, void *buffer, size_t n, int flags)
NEVER(ssize_t, hk_os_send, int number, const void *buffer, size_t n)
NEVER(int, hk_os_accept, int number, struct sockaddr *ret_address, socklen_t *length)
NEVER(int, hk_os_connect, int number, const struct sockaddr *address, socklen_t length)
NEVER(int, hk_os_getsockopt, int number, int level, int name, void *ret_value, socklen_t *length)
NEVER(int, hk_os_getpeername, int number, struct sockaddr *ret_address, socklen_t *length)
