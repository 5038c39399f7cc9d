/* SPDX-License-Identifier: MIT */
/* scenarios.c - hank itself under hundreds of seeds: what tasks, scopes, groups, channels, streams,
 * threads and the blocking pool promise, whoever goes first, whatever fails, with 1 to 8 workers.
 *
 *     sim_scenarios [SEEDS [NAME]]
 *
 * After each run nothing may be left: no task, no descriptor. A hang is a deadlock and found. */
#include <fcntl.h>

#include "sim/sim.h"
#include "sim/sim_support.h"

enum { SEEDS = HK_ASAN ? 15 : 150, CROWD = 5 };

static bool is_stop(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

static hank_ns some_time(void)
{
    return HANK_US(hank_sim_choose(3000));
}

static int nap(void *arg)
{
    (void)arg;
    return hank_sleep(some_time());
}

/* --- cancelling ------------------------------------------------------------------------------ */

typedef struct stage {
    hank_sem one;
    hank_event e;
    int inside, depth;
} stage;

static int deep(void *arg)
{
    stage *s = arg;
    if (s->depth++ < 3)
        return hank_await(hank_spawn(deep, s));
    int rc = hank_sem_acquire(&s->one);
    if (rc < 0)
        return rc;
    MUST(s->inside++ == 0);
    rc = hank_event_wait(&s->e);
    MUST(--s->inside == 0);
    MUST(hank_sem_release(&s->one) == 0);
    return rc;
}

static int cancel_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        stage s = {.one.count = 1};
        hank_task t = hank_spawn(deep, &s);
        hank_task u = hank_spawn(deep, &s);
        MUST(nap(NULL) == 0);
        if (hank_sim_choose(2))
            MUST(hank_cancel(t) == 0);
        if (hank_sim_choose(2))
            hank_event_set(&s.e);
        MUST(nap(NULL) == 0);
        hank_event_set(&s.e);
        int x = hank_await(t), y = hank_await(u);
        MUST(x == 0 || x == -ECANCELED);
        MUST(y == 0 || y == -ECANCELED);
        MUST(s.inside == 0 && hank_sem_tryacquire(&s.one) == 0);
    }
    return 0;
}

/* --- scopes ---------------------------------------------------------------------------------- */

static int scoped(void *arg)
{
    hank_scope outer, inner, shield;
    (void)arg;
    hank_timeout_begin(&outer, some_time());
    hank_timeout_begin(&inner, some_time());
    int rc = hank_await(hank_spawn(nap, NULL));
    bool by_inner = hank_timeout_end(&inner);
    hank_shield_begin(&shield);
    int in_shield = hank_sleep(HANK_US(100));
    hank_shield_end(&shield);
    int after = hank_stopped();
    bool by_outer = hank_timeout_end(&outer);
    MUST(in_shield == 0);
    MUST(rc == 0 || is_stop(rc));
    MUST(rc != -ETIMEDOUT || by_inner || by_outer || after == -ECANCELED);
    MUST(after != -ETIMEDOUT || by_outer);
    return rc == -ECANCELED ? rc : 0;
}

static int scope_app(void *arg)
{
    hank_task crowd[CROWD];
    (void)arg;
    for (int i = 0; i < CROWD; i++)
        crowd[i] = hank_spawn(scoped, NULL);
    MUST(nap(NULL) == 0);
    MUST(hank_cancel(crowd[0]) == 0);
    for (int i = 0; i < CROWD; i++) {
        int rc = hank_await(crowd[i]);
        MUST(rc == 0 || (i == 0 && rc == -ECANCELED));
    }
    return 0;
}

/* --- groups ---------------------------------------------------------------------------------- */

typedef struct family {
    hank_group g;
    int started;
    hank_mutex m;
    int ended;
} family;

static int member(void *arg)
{
    family *f = arg;
    int rc = nap(NULL);
    hank_mutex_lock(&f->m);
    bool more = rc == 0 && f->started < 20;
    f->started += more;
    f->ended++;
    hank_mutex_unlock(&f->m);
    if (more && hank_group_spawn(&f->g, member, f) < 0)
        f->ended++; /* it will not run; ours, as nobody else counts a refused one */
    return rc < 0 ? rc : hank_sim_choose(30) == 0 ? -EIO : 0;
}

static int group_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        family f = {.g.flags = hank_sim_choose(2) ? HANK_KEEP_GOING : 0, .started = CROWD};
        for (int k = 0; k < CROWD; k++)
            (void)hank_group_spawn(&f.g, member, &f); /* the wait reports it */
        int rc = hank_within(some_time() + HANK_MS(2), hank_group_wait(&f.g));
        MUST(rc == 0 || rc == -EIO || is_stop(rc));
        MUST(rc != 0 || f.ended == f.started);
        MUST(hank_group_wait(&f.g) == 0); /* empty, and like new */
    }
    return 0;
}

/* --- gather, race, detach ----------------------------------------------------------------------
 */

static int fail_soon(void *arg)
{
    int rc = nap(arg);
    return rc < 0 ? rc : -EIO;
}

static int join_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        int results[3];
        hank_task some[3] = {hank_spawn(nap, NULL), hank_spawn(fail_soon, NULL),
                             hank_spawn(nap, NULL)};
        int rc = hank_gather_n(some, 3, results);
        MUST(rc == -EIO && results[1] == -EIO);
        MUST(hank_await(some[0]) == -ESTALE);
        hank_task runners[2] = {hank_spawn(nap, NULL), hank_spawn(nap, NULL)};
        ssize_t winner = hank_race_n(runners, 2, &rc);
        MUST((winner == 0 || winner == 1) && rc == 0);
        MUST(hank_detach(hank_spawn(nap, NULL)) == 0);
    }
    return 0;
}

/* --- channels -------------------------------------------------------------------------------- */

typedef struct belt {
    hank_chan *c;
    hank_mutex m;
    long sent, received;
} belt;

static int load(void *arg)
{
    belt *b = arg;
    for (long i = 1; i <= 8; i++) {
        int rc = hank_within(some_time(), hank_chan_send(b->c, &i));
        MUST(rc == 0 || rc == -ETIMEDOUT);
        hank_mutex_lock(&b->m);
        b->sent += rc == 0 ? i : 0;
        hank_mutex_unlock(&b->m);
    }
    return 0;
}

static int unload(void *arg)
{
    belt *b = arg;
    for (;;) {
        long item = 0;
        int rc = hank_within(some_time(), hank_chan_recv(b->c, &item));
        if (rc == -EPIPE)
            return 0;
        MUST(rc == 0 || (rc == -ETIMEDOUT && item == 0));
        hank_mutex_lock(&b->m);
        b->received += item;
        hank_mutex_unlock(&b->m);
    }
}

static int chan_app(void *arg)
{
    belt b = {.c = hank_chan_new(sizeof(long), hank_sim_choose(3))};
    hank_task loaders[3], unloaders[2];
    (void)arg;
    MUST(b.c != NULL);
    for (int i = 0; i < 2; i++)
        unloaders[i] = hank_spawn(unload, &b);
    for (int i = 0; i < 3; i++)
        loaders[i] = hank_spawn(load, &b);
    MUST(hank_gather_n(loaders, 3, NULL) == 0);
    hank_chan_close(b.c);
    MUST(hank_gather_n(unloaders, 2, NULL) == 0);
    MUST(b.sent == b.received);
    hank_chan_free(b.c);
    return 0;
}

/* --- streams that are cut ----------------------------------------------------------------------
 */

static int echo(hank_stream *s, void *arg)
{
    char buf[300];
    ssize_t n;
    (void)arg;
    while ((n = hank_read(s, buf, 1 + hank_sim_choose(sizeof buf))) > 0)
        if (hank_write(s, buf, (size_t)n) < 0)
            break;
    return 0;
}

static int serve(void *listener)
{
    return hank_serve(listener, echo, NULL);
}

static bool is_cut(int rc)
{
    return rc == -ECONNRESET || rc == -EPIPE || rc == -ECONNREFUSED || rc == -ETIMEDOUT;
}

/* cut   the writer was told of a reset: the system tells only once, and a reader then sees an end
 */
typedef struct sender {
    hank_stream *s;
    size_t bytes;
    bool cut;
} sender;

static int send_all(void *arg)
{
    sender *s = arg;
    char buf[200];
    for (size_t at = 0; at < s->bytes;) {
        size_t n = 1 + hank_sim_choose(sizeof buf);
        n = n < s->bytes - at ? n : s->bytes - at;
        for (size_t i = 0; i < n; i++)
            buf[i] = (char)((at + i) * 7);
        int rc = hank_write(s->s, buf, n);
        s->cut = is_cut(rc);
        if (rc < 0)
            return s->cut ? 0 : rc;
        at += n;
    }
    int rc = hank_write_end(s->s);
    return rc == -ENOTCONN || is_cut(rc) ? 0 : rc;
}

static int visit(void *where)
{
    hank_stream *s;
    char buf[250];
    size_t at = 0;
    int rc = hank_within(HANK_SEC(30), hank_connect(where, &s));
    if (rc < 0)
        return is_cut(rc) ? 0 : rc;
    sender all = {s, hank_sim_choose(3000), false};
    hank_task sending = hank_spawn(send_all, &all);
    ssize_t n;
    while ((n = hank_within(HANK_SEC(30), hank_read(s, buf, sizeof buf))) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            MUST(buf[i] == (char)(at * 7));
    MUST(n == 0 ? at == all.bytes || all.cut : is_cut((int)n));
    if (n < 0)
        (void)hank_cancel(sending);
    rc = hank_await(sending);
    hank_close(s);
    return rc == -ECANCELED ? 0 : rc;
}

static int stream_app(void *arg)
{
    static char const *const places[] = {"tcp://10.1.1.1:99", "unix:///run/echo", "tcp://[::]:98"};
    char const *const *place = &places[hank_sim_choose(3)];
    hank_listener *l;
    hank_task visitors[4];
    (void)arg;
    MUST(hank_listen(*place, &l) == 0);
    hank_task server = hank_spawn(serve, l);
    const char *where = place == &places[2] ? "tcp://localhost:98" : *place;
    for (int i = 0; i < 4; i++)
        visitors[i] = hank_spawn(visit, (void *)(uintptr_t)where);
    MUST(hank_gather_n(visitors, 4, NULL) == 0);
    (void)hank_cancel(server);
    int rc = hank_await(server);
    MUST(rc == -ECANCELED);
    hank_listener_close(l);
    return 0;
}

/* --- the blocking pool and threads ---------------------------------------------------------------
 */

static int block(void *arg)
{
    hank_sim_point();
    ++*(int *)arg;
    hank_sim_point();
    return 5;
}

static int ask_pool(void *arg)
{
    int calls = 0;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int before = calls;
        int rc = hank_within(some_time(), hank_blocking(block, &calls));
        MUST((rc == 5 && calls == before + 1) || (rc == -ETIMEDOUT && calls == before));
    }
    return 0;
}

static int pool_app(void *arg)
{
    hank_task crowd[CROWD];
    (void)arg;
    for (int i = 0; i < CROWD; i++)
        crowd[i] = hank_spawn(ask_pool, NULL);
    return hank_gather_n(crowd, CROWD, NULL);
}

static void *send_from_outside(void *arg)
{
    for (int i = 0; i < 4; i++)
        if (hank_chan_send(arg, &i) < 0)
            break;
    return NULL;
}

static int thread_app(void *arg)
{
    hank_chan *c = hank_chan_new(sizeof(int), hank_sim_choose(2));
    uint64_t thread;
    int item, n = 0;
    (void)arg;
    MUST(c && hank_sim_thread_start(send_from_outside, c, &thread) == 0);
    while (n < 4) {
        int rc = hank_within(some_time(), hank_chan_recv(c, &item));
        MUST(rc == -ETIMEDOUT || (rc == 0 && item == n));
        n += rc == 0;
    }
    MUST(hank_sim_thread_join(thread) == 0);
    hank_chan_free(c);
    return 0;
}

/* --- datagrams that are lost, come twice and overtake each other -------------------------------
 */

static int datagram_app(void *arg)
{
    enum { SENT = 30 };
    hank_endpoint *from, *to;
    int counts[SENT] = {0};
    (void)arg;
    MUST(hank_endpoint_open("udp://10.2.2.2:53", NULL, NULL, &to) == 0);
    MUST(hank_endpoint_open(NULL, "udp://10.2.2.2:53", NULL, &from) == 0);
    for (int i = 0; i < SENT; i++)
        MUST(hank_endpoint_send(from, &i, sizeof i) == 0);
    for (;;) {
        int item = -1;
        ssize_t n = hank_within(HANK_SEC(5), hank_endpoint_recv(to, &item, sizeof item, NULL));
        if (n == -ETIMEDOUT)
            break;
        MUST(n == sizeof item && item >= 0 && item < SENT);
        MUST(++counts[item] <= 2);
    }
    hank_endpoint_close(from);
    hank_endpoint_close(to);
    return 0;
}

/* --- a disk that is full --------------------------------------------------------------------- */

static int file_app(void *arg)
{
    char block[1000], back[1000];
    hank_file *f;
    int blocks = 0, rc = 0;
    (void)arg;
    MUST(hank_file_open("/var/log", O_RDWR | O_CREAT | O_TRUNC, 0600, &f) == 0);
    for (; rc == 0 && blocks < 100; blocks += rc == 0) {
        memset(block, blocks, sizeof block);
        rc = hank_pwrite(f, block, sizeof block, blocks * (int64_t)sizeof block);
    }
    MUST(rc == -ENOSPC && blocks == 40);
    for (int i = 0; i < blocks; i++) {
        MUST(hank_pread(f, back, sizeof back, i * (int64_t)sizeof back) == sizeof back);
        memset(block, i, sizeof block);
        MUST(memcmp(block, back, sizeof back) == 0);
    }
    MUST(hank_fsync(f, false) == 0);
    hank_file_close(f);
    return 0;
}

/* --- short tasks for workers that fall asleep again and again
 * ------------------------------------- */

static int fan(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return hank_sim_choose(2) ? nap(NULL) : 0;
    void *below = (void *)(depth - 1);
    int rc = hank_gather(hank_spawn(fan, below), hank_spawn(fan, below));
    return rc < 0 ? rc : hank_sim_choose(3) ? 0 : nap(NULL);
}

static int idle_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++)
        MUST(hank_await(hank_spawn(fan, (void *)(intptr_t)3)) == 0);
    return 0;
}

/* --- the list ----------------------------------------------------------------------------------
 */

static int watched(void *arg)
{
    hank_stats before, after;
    MUST(hank_get_stats(&before) == 0);
    int rc = hank_await(hank_spawn(*(hank_fn *)arg, NULL));
    MUST(hank_get_stats(&after) == 0);
    return rc;
}

static int program(void *arg)
{
    for (int i = 0; i < 2; i++) { /* the second with what the first has left in the caches */
        int rc = hank_run(watched, arg);
        if (rc != 0)
            return rc;
        MUST(hk_sim_open_count() == 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct {
        const char *name;
        hank_fn app;
    } scenarios[] = {
        {"cancel", cancel_app},     {"scope", scope_app},   {"group", group_app},
        {"join", join_app},         {"chan", chan_app},     {"stream", stream_app},
        {"pool", pool_app},         {"thread", thread_app}, {"idle", idle_app},
        {"datagram", datagram_app}, {"file", file_app},
    };
    size_t seeds = argc > 1 ? strtoul(argv[1], NULL, 10) : SEEDS;
    /* time_limit: a monitor that looks after workers that are gone never sleeps. */
    hank_sim_options options = {.seed = 1,
                                .reset = 150,
                                .accept = 50,
                                .loss = 100,
                                .duplicate = 100,
                                .disk_bytes = 40 * 1000,
                                .time_limit = HANK_SEC(600)};
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (argc < 3 || strcmp(argv[2], scenarios[i].name) == 0)
            passes(scenarios[i].name, program, &scenarios[i].app, &options, seeds);
    return failures != 0;
}
