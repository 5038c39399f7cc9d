/* SPDX-License-Identifier: MIT */
/* planted.c - bugs that people make, each as a program that usually works, and the same program
 * without the bug. The simulator finds the one within a bounded number of seeds and replays it, and
 * has nothing to say about the other. */
#include "base/compiler.h"
#include "sim/sim_support.h"

enum { SEEDS = 400, RIGHT_SEEDS = HK_ASAN ? 10 : 60 };

/* A program in both forms: `right` is what its argument points to. */
typedef struct form {
    bool right;
} form;

static bool is_right(void *arg)
{
    return ((form *)arg)->right;
}

/* --- a lost update: a value is read, something is waited for, the old value is written ----------
 */

typedef struct account {
    bool right;
    hank_mutex m;
    int balance;
} account;

static int deposit(void *arg)
{
    account *a = arg;
    for (int i = 0; i < 3; i++) {
        if (a->right)
            hank_mutex_lock(&a->m);
        int before = a->balance;
        (void)hank_yield(); /* it asks a database, say */
        a->balance = before + 1;
        if (a->right)
            hank_mutex_unlock(&a->m);
    }
    return 0;
}

static int lost_update_app(void *arg)
{
    account a = {.right = is_right(arg)};
    hank_task both[] = {hank_spawn(deposit, &a), hank_spawn(deposit, &a)};
    MUST(hank_gather_n(both, 2, NULL) == 0);
    return a.balance == 6 ? 0 : -EPROTO;
}

static int lost_update(void *arg)
{
    return hank_run(lost_update_app, arg);
}

/* --- a missed signal: the condition is looked at outside the lock --------------------------------
 */

enum { DOORS = 20 };

typedef struct door {
    bool right;
    hank_mutex m;
    hank_cond opened;
    bool open;
} door;

static int open_it(void *arg)
{
    door *d = arg;
    hank_mutex_lock(&d->m);
    d->open = true;
    hank_cond_signal(&d->opened);
    hank_mutex_unlock(&d->m);
    return 0;
}

static int go_in(void *arg)
{
    door *d = arg;
    bool closed = !d->open;
    hank_mutex_lock(&d->m);
    while (d->right ? !d->open : closed) { /* the wrong one has looked too early */
        int rc = hank_cond_wait(&d->opened, &d->m);
        closed = false;
        if (rc < 0)
            break;
    }
    hank_mutex_unlock(&d->m);
    return 0;
}

static int missed_signal_app(void *arg)
{
    int rc = 0;
    for (int i = 0; i < DOORS && rc == 0; i++) {
        door d = {.right = is_right(arg)};
        hank_task guest = hank_spawn(go_in, &d), porter = hank_spawn(open_it, &d);
        rc = hank_gather(guest, porter);
    }
    return rc;
}

static int missed_signal(void *arg)
{
    return hank_run(missed_signal_app, arg);
}

/* --- two locks, taken in both orders -------------------------------------------------------------
 */

typedef struct transfer {
    hank_mutex *from;
    hank_mutex *to;
} transfer;

static int move_money(void *arg)
{
    transfer *t = arg;
    hank_mutex_lock(t->from);
    hank_mutex_lock(t->to);
    hank_mutex_unlock(t->to);
    hank_mutex_unlock(t->from);
    return 0;
}

static int lock_order_app(void *arg)
{
    hank_mutex a = {0}, b = {0};
    transfer there = {&a, &b}, back = {&b, &a};
    if (is_right(arg))
        back = there;
    return hank_gather(hank_spawn(move_money, &there), hank_spawn(move_money, &back));
}

static int lock_order(void *arg)
{
    return hank_run(lock_order_app, arg);
}

/* --- a server that takes what one read gives for a whole request
 * ---------------------------------- */

enum { REQUEST = 8 };

static int answer(hank_stream *s, void *arg)
{
    char request[REQUEST];
    for (;;) {
        ssize_t n =
            is_right(arg) ? hank_read_exact(s, request, REQUEST) : hank_read(s, request, REQUEST);
        if (n < 0 || (n == 0 && !is_right(arg)))
            return 0;
        int rc = hank_write(s, request, REQUEST);
        if (rc < 0)
            return rc;
    }
}

typedef struct service {
    hank_listener *listener;
    void *form;
} service;

static int serve(void *arg)
{
    service *s = arg;
    return hank_serve(s->listener, answer, s->form);
}

static int ask(const char *where)
{
    hank_stream *s;
    int rc = hank_connect(where, &s);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 5 && rc >= 0; i++) {
        char request[32], reply[REQUEST];
        (void)snprintf(request, sizeof request, "ask %04d", i);
        rc = hank_write(s, request, REQUEST);
        if (rc >= 0)
            rc = hank_read_exact(s, reply, REQUEST);
        if (rc >= 0 && memcmp(request, reply, REQUEST) != 0)
            rc = -EPROTO;
    }
    hank_close(s);
    return rc;
}

static int half_read_app(void *arg)
{
    service s = {.form = arg};
    MUST(hank_listen("tcp://10.0.0.1:7", &s.listener) == 0);
    hank_task server = hank_spawn(serve, &s);
    int rc = ask("tcp://10.0.0.1:7");
    (void)hank_cancel(server);
    (void)hank_await(server);
    hank_listener_close(s.listener);
    return rc;
}

static int half_read(void *arg)
{
    return hank_run(half_read_app, arg);
}

/* --- the first producer that is done closes the channel under the others
 * -------------------------- */

typedef struct line {
    bool right;
    hank_chan *c;
} line;

static int produce(void *arg)
{
    line *l = arg;
    for (int i = 0; i < 3; i++) {
        int rc = hank_chan_send(l->c, &i);
        if (rc < 0)
            return rc;
    }
    if (!l->right)
        hank_chan_close(l->c);
    return 0;
}

static int consume(void *arg)
{
    int item, n = 0;
    while (hank_chan_recv(arg, &item) == 0)
        n++;
    return n;
}

static int early_close_app(void *arg)
{
    line l = {is_right(arg), hank_chan_new(sizeof(int), 1)};
    MUST(l.c != NULL);
    hank_task consumer = hank_spawn(consume, l.c);
    hank_task a = hank_spawn(produce, &l), b = hank_spawn(produce, &l);
    (void)hank_gather(a, b); /* who was too late has lost items, which shows in the count */
    hank_chan_close(l.c);
    int n = hank_await(consumer);
    hank_chan_free(l.c);
    return n == 6 ? 0 : -EPROTO;
}

static int early_close(void *arg)
{
    return hank_run(early_close_app, arg);
}

/* --- a late answer is taken for that of the next question
 * ------------------------------------------ */

typedef struct desk {
    bool right;
    hank_chan *questions;
    hank_chan *answers;
} desk;

static int oracle(void *arg)
{
    desk *d = arg;
    int question;
    while (hank_chan_recv(d->questions, &question) == 0) {
        (void)hank_sleep(HANK_MS(hank_sim_choose(12))); /* it thinks */
        if (hank_chan_send(d->answers, &question) < 0)
            break;
    }
    return 0;
}

static int stale_answer_app(void *arg)
{
    desk d = {is_right(arg), hank_chan_new(sizeof(int), 8), hank_chan_new(sizeof(int), 8)};
    MUST(d.questions && d.answers);
    hank_task thinker = hank_spawn(oracle, &d);
    int rc = 0;
    for (int i = 0; i < 5 && rc == 0; i++) {
        int reply = -1;
        MUST(hank_chan_send(d.questions, &i) == 0);
        do {
            rc = hank_within(HANK_MS(10), hank_chan_recv(d.answers, &reply));
        } while (d.right && rc == 0 && reply != i); /* an old one is thrown away */
        if (rc == 0 && reply != i)
            rc = -EPROTO;
        if (rc == -ETIMEDOUT)
            rc = 0; /* then without: the next question */
    }
    hank_chan_close(d.questions);
    (void)hank_await(thinker);
    hank_chan_free(d.questions);
    hank_chan_free(d.answers);
    return rc;
}

static int stale_answer(void *arg)
{
    return hank_run(stale_answer_app, arg);
}

/* --- the list ----------------------------------------------------------------------------------
 */

int main(void)
{
    static const struct {
        const char *name;
        hank_fn program;
    } bugs[] = {
        {"a lost update across a wait", lost_update},
        {"a missed signal", missed_signal},
        {"two locks in two orders", lock_order},
        {"a server that forgets half a read", half_read},
        {"a channel closed by the first of two", early_close},
        {"an answer to an old question", stale_answer},
    };
    hank_sim_options options = {.seed = 1};
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        form wrong = {false}, right = {true};
        is_found(bugs[i].name, bugs[i].program, &wrong, &options, SEEDS);
        passes(bugs[i].name, bugs[i].program, &right, &options, RIGHT_SEEDS);
    }
    return failures != 0;
}
