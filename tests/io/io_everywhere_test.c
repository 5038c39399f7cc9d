/* SPDX-License-Identifier: MIT */
/* io_everywhere_test.c - the calls of this room, stopped at each of their waits in turn: connecting
 * by address and by name, reading, writing, serving, blocking, pools. Whatever was stopped has
 * happened or has not, and no descriptor, task or thread is left of it. */
#include "api/everywhere.h"
#include "io/io_support.h"

#include <semaphore.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "say_back.h"

enum { BLOCK = 400 * 1000 };

typedef struct room {
    hank_listener *l;
    char address[64];
    const char *where;
    int fds;
    int done;             /* parts of the body that went well */
    int calls;            /* blocking functions that ran */
    HK_ATOMIC(int) taken; /* the listener was closed by the partner */
} room;

static bool is_stop(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

static bool ended_as_it_should(const room *r, int rc, bool stopped, int parts)
{
    /* A lookup that was left behind has a file of the resolver's open until it ends by itself. */
    hank_ns give_up = hank_now() + HANK_SEC(10);
    while (lasting_fds() > r->fds && hank_now() < give_up)
        (void)hank_yield();
    if (lasting_fds() > r->fds)
        return false;
    return rc == 0 ? r->done == parts : stopped && is_stop(rc);
}

/* --- a conversation --------------------------------------------------------------------------- */

static void begin_conversation(void *state)
{
    ((room *)state)->done = 0;
}

static int converse(void *state)
{
    room *r = state;
    hank_stream *s;
    char line[16] = "";
    int rc = hank_connect(r->where, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "ping\n", 5);
    ssize_t n = rc < 0 ? rc : hank_read_line(s, line, sizeof line);
    if (n >= 0)
        r->done = n == 5 && memcmp(line, "ping\n", 5) == 0;
    hank_close(s);
    return n < 0 ? (int)n : 0;
}

/* Whoever was in line before, hung up by now, is passed over. */
static int answer_all(void *state)
{
    room *r = state;
    for (;;) {
        hank_stream *s;
        char line[16];
        int rc = hank_accept(r->l, &s);
        if (rc < 0)
            return rc;
        ssize_t n;
        while ((n = hank_read_line(s, line, sizeof line)) > 0)
            if (hank_write(s, line, (size_t)n) < 0)
                break;
        hank_close(s);
    }
}

/* Nobody serves any more. What stood in line has a descriptor already if the reactor accepts by
 * itself (io_uring), as it may at any moment until it has told the next who asks. */
static void send_the_line_home(room *r)
{
    hank_ns give_up = hank_now() + HANK_SEC(10);
    bool came;
    do {
        hank_stream *s;
        came = hank_within(HANK_MS(2), hank_accept(r->l, &s)) == 0;
        if (came)
            hank_close(s);
    } while ((came || lasting_fds() > r->fds) && hank_now() < give_up);
}

static bool conversed(void *state, int rc, bool stopped)
{
    send_the_line_home(state);
    return ended_as_it_should(state, rc, stopped, 1);
}

/* --- much at once ----------------------------------------------------------------------------- */

static char block[BLOCK];

static int write_much(void *state)
{
    room *r = state;
    hank_stream *s;
    char byte = 0;
    int rc = hank_connect(r->where, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, block, sizeof block);
    if (rc == 0)
        rc = hank_write_end(s);
    if (rc == 0)
        rc = hank_read_exact(s, &byte, 1);
    r->done = rc == 0 && byte == 'k';
    hank_close(s);
    return rc;
}

/* Says k when exactly as much has come. */
static int count_all(void *state)
{
    room *r = state;
    for (;;) {
        static char part[10000];
        hank_stream *s;
        int rc = hank_accept(r->l, &s);
        if (rc < 0)
            return rc;
        size_t all = 0;
        ssize_t n;
        while ((n = hank_read(s, part, sizeof part)) > 0)
            all += (size_t)n;
        if (n == 0 && all > 0)
            (void)hank_write(s, all == BLOCK ? "k" : "?", 1);
        hank_close(s);
    }
}

/* --- serving ---------------------------------------------------------------------------------- */

static void begin_to_listen(void *state)
{
    room *r = state;
    hk_store_relaxed(&r->taken, 0);
    r->done = 0;
    if (hank_listen("tcp://127.0.0.1:0", &r->l) == 0)
        (void)hank_listener_name(r->l, r->address, sizeof r->address);
    r->where = r->address;
}

static int serve_until_closed(void *state)
{
    room *r = state;
    int rc = hank_serve(r->l, say_back, NULL);
    if (rc == -EBADF || rc == 0) {
        r->done = 1;
        rc = 0;
    }
    return rc;
}

static int ask_and_close(void *state)
{
    room *r = state;
    room own = *r;
    int rc = converse(&own);
    if (rc == 0 && hk_add_relaxed(&r->taken, 1) == 0)
        hank_listener_close(r->l);
    return rc;
}

static bool served(void *state, int rc, bool stopped)
{
    room *r = state;
    if (hk_load_relaxed(&r->taken) == 0)
        hank_listener_close(r->l);
    return ended_as_it_should(r, rc, stopped, 1);
}

/* --- blocking --------------------------------------------------------------------------------- */

static void begin_calls(void *state)
{
    room *r = state;
    r->done = r->calls = 0;
}

static int call_me(void *arg)
{
    return ++*(int *)arg;
}

static int call_twice(void *state)
{
    room *r = state;
    for (int i = 1; i <= 2; i++) {
        int rc = hank_blocking(call_me, &r->calls);
        if (rc < 0)
            return rc;
        r->done++;
    }
    return 0;
}

/* A call that was stopped was not made, or was waited for. */
static bool called(void *state, int rc, bool stopped)
{
    room *r = state;
    return ended_as_it_should(r, rc, stopped, 2) && r->calls >= r->done && r->calls <= r->done + 1;
}

/* --- pools ------------------------------------------------------------------------------------ */

/* A pool whose only thread is held up and whose queue is full: whoever calls waits at the door. */
typedef struct full_pool {
    hank_pool *pool;
    sem_t gate;
    HK_ATOMIC(int) calls;
    HK_ATOMIC(int) posted;
} full_pool;

static int count_posted(void *arg)
{
    (void)hk_add_acqrel(&(*(full_pool **)arg)->posted, 1);
    return 0;
}

static int hold_up(void *arg)
{
    full_pool *f = *(full_pool **)arg;
    while (sem_wait(&f->gate) != 0)
        continue;
    return count_posted(arg);
}

static int count_call(void *arg)
{
    return hk_add_acqrel(&(*(full_pool **)arg)->calls, 1) + 1;
}

static void fill_pool(void *state)
{
    full_pool *f = state;
    hank_pool_options options = {.threads = 1, .queue = 1};
    int rc = hank_pool_new(&options, &f->pool);
    hk_store_relaxed(&f->calls, 0);
    hk_store_relaxed(&f->posted, 0);
    (void)sem_init(&f->gate, 0, 0);
    if (rc == 0)
        rc = hank_pool_post(f->pool, hold_up, &f, sizeof f);
    if (rc == 0)
        rc = hank_pool_post(f->pool, count_posted, &f, sizeof f);
    cr_expect_eq(rc, 0);
}

static int open_gate(void *state)
{
    (void)sem_post(&((full_pool *)state)->gate);
    return 0;
}

/* What was let in is done by the end, whatever became of the caller; the calls that were made. */
static int calls_in_the_end(full_pool *f)
{
    (void)open_gate(f);
    hank_pool_free(f->pool);
    bool served = hk_load_acquire(&f->posted) == 2;
    (void)sem_destroy(&f->gate);
    return served ? hk_load_acquire(&f->calls) : -1;
}

static int call_at_the_door(void *state)
{
    full_pool *f = state;
    return hank_pool_call(f->pool, count_call, &f);
}

static bool was_called_or_stopped(void *state, int rc, bool stopped)
{
    int calls = calls_in_the_end(state);
    return rc == 1 ? calls == 1 : calls == 0 && stopped && is_stop(rc);
}

static int post_at_the_door(void *state)
{
    full_pool *f = state;
    return hank_pool_post(f->pool, count_call, &f, sizeof f);
}

static bool was_posted_or_stopped(void *state, int rc, bool stopped)
{
    int calls = calls_in_the_end(state);
    return rc == 0 ? calls == 1 : calls == 0 && stopped && is_stop(rc);
}

static int call_and_abandon(void *state)
{
    full_pool *f = state;
    return hank_pool_call_with(f->pool, count_call, &f, .copy = sizeof f, .abandon = true);
}

/* Who is stopped is not told whether it has begun. */
static bool was_called_once_at_most(void *state, int rc, bool stopped)
{
    int calls = calls_in_the_end(state);
    return rc == 1 ? calls == 1 : (calls == 0 || calls == 1) && stopped && is_stop(rc);
}

/* --- walks ------------------------------------------------------------------------------------ */

/* With a listener that stays: what is opened once is open before we count. */
static int walk_with(const everywhere_scenario *s, const char *host)
{
    room *r = s->state;
    char name[80];
    MUST_OK(hank_listen("tcp://127.0.0.1:0", &r->l));
    MUST_OK(hank_listener_name(r->l, r->address, sizeof r->address));
    (void)snprintf(name, sizeof name, "tcp://%s%s", host, strrchr(r->address, ':'));
    r->where = name;
    r->fds = lasting_fds();
    int rc = everywhere(s);
    hank_listener_close(r->l);
    MUST(rc == 0 && everywhere_stops() > 3);
    return 0;
}

static int walk_conversation(void *arg)
{
    room r = {.l = NULL};
    return walk_with(
        &(everywhere_scenario){begin_conversation, converse, answer_all, conversed, &r}, arg);
}

Test(io_everywhere, a_conversation_may_be_stopped_at_any_wait, .timeout = 120)
{
    run_with_each_size(walk_conversation, "127.0.0.1");
}

Test(io_everywhere, a_lookup_and_what_follows_may_be_stopped_at_any_wait, .timeout = 120)
{
    run_with_each_size(walk_conversation, "localhost");
}

static int walk_much(void *arg)
{
    room r = {.l = NULL};
    return walk_with(
        &(everywhere_scenario){begin_conversation, write_much, count_all, conversed, &r}, arg);
}

Test(io_everywhere, a_long_write_may_be_stopped_at_any_wait, .timeout = 120)
{
    run_with_each_size(walk_much, "127.0.0.1");
}

static int walk_serving(void *arg)
{
    (void)arg;
    room r = {.l = NULL};
    r.fds = lasting_fds();
    everywhere_scenario s = {begin_to_listen, serve_until_closed, ask_and_close, served, &r};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

Test(io_everywhere, a_server_may_be_stopped_at_any_wait, .timeout = 120)
{
    run_with_each_size(walk_serving, NULL);
}

static int walk_blocking(void *arg)
{
    (void)arg;
    room r = {.l = NULL};
    MUST(hank_blocking(call_me, &r.calls) == 1);
    r.fds = lasting_fds();
    everywhere_scenario s = {begin_calls, call_twice, NULL, called, &r};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

Test(io_everywhere, a_blocking_call_may_be_stopped_at_any_wait, .timeout = 120)
{
    run_with_each_size(walk_blocking, NULL);
}

static int walk_pool(hank_fn body, bool (*holds)(void *state, int rc, bool stopped))
{
    full_pool f;
    everywhere_scenario s = {fill_pool, body, open_gate, holds, &f};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

static int walk_pool_call(void *arg)
{
    (void)arg;
    return walk_pool(call_at_the_door, was_called_or_stopped);
}

Test(io_everywhere, a_call_of_a_pool_may_be_stopped_at_any_wait_and_was_made_or_not, .timeout = 120)
{
    run_with_each_size(walk_pool_call, NULL);
}

static int walk_pool_post(void *arg)
{
    (void)arg;
    return walk_pool(post_at_the_door, was_posted_or_stopped);
}

Test(io_everywhere, a_post_may_be_stopped_at_any_wait_and_was_made_or_not, .timeout = 120)
{
    run_with_each_size(walk_pool_post, NULL);
}

static int walk_abandoned_call(void *arg)
{
    (void)arg;
    return walk_pool(call_and_abandon, was_called_once_at_most);
}

Test(io_everywhere, a_call_that_may_be_abandoned_is_made_once_at_most, .timeout = 120)
{
    run_with_each_size(walk_abandoned_call, NULL);
}
