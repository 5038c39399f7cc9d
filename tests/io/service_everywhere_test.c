/* SPDX-License-Identifier: MIT */
/* service_everywhere_test.c - what a program waits for besides bytes, stopped at each of its waits
 * in turn: listeners and servers, other processes, signals. Nothing is left. */
#include "api/everywhere.h"
#include "io/io_support.h"

#include <hank/process.h>
#include <hank/server.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "say_back.h"

/* A connection that the reactor accepted by itself (io_uring), and a lookup that was left behind,
 * have a descriptor for a while. */
static bool is_over(int fds, int rc, bool stopped)
{
    hank_ns give_up = hank_now() + HANK_SEC(10);
    while (lasting_fds() > fds && hank_now() < give_up)
        (void)hank_yield();
    return lasting_fds() <= fds && (rc == 0 || (stopped && (rc == -ECANCELED || rc == -ETIMEDOUT)));
}

static int walk(const everywhere_scenario *s)
{
    MUST(everywhere(s) == 0 && everywhere_stops() > 0);
    return 0;
}

/* --- listeners and servers -------------------------------------------------------------------- */

typedef struct site {
    hank_listener *l;
    hank_server *v;
    char name[64];
    int fds;
} site;

static const char here[] = "tcp://127.0.0.1:0";

static void open_site(void *state)
{
    site *w = state;
    *w = (site){.fds = lasting_fds()};
    cr_assert_eq(hank_listen(here, &w->l), 0);
    cr_assert_eq(hank_server_open(here, NULL, &w->v), 0);
    cr_assert_eq(hank_server_name(w->v, w->name, sizeof w->name), 0);
}

static bool site_is_closed(void *state, int rc, bool stopped)
{
    site *w = state;
    hank_listener_close(w->l);
    hank_server_free(w->v);
    return is_over(w->fds, rc, stopped);
}

static int open_doors(void *state)
{
    hank_listener *l;
    hank_server *v;
    (void)state;
    int rc = hank_listen(here, &l);
    if (rc < 0)
        return rc;
    hank_listener_close(l);
    rc = hank_listen_opt(here, NULL, &l);
    if (rc < 0)
        return rc;
    hank_listener_close(l);
    rc = hank_server_open("tcp://localhost:0", NULL, &v);
    if (rc == 0)
        hank_server_free(v);
    return rc;
}

static int walk_opening(void *arg)
{
    site w;
    (void)arg;
    return walk(&(everywhere_scenario){open_site, open_doors, NULL, site_is_closed, &w});
}

Test(service_everywhere, a_door_is_open_or_not, .timeout = 120)
{
    run_with_each_size(walk_opening, NULL);
}

static int let_two_in(void *state)
{
    site *w = state;
    for (int i = 0; i < 2; i++) {
        hank_stream *s;
        int rc = hank_accept(w->l, &s);
        if (rc < 0)
            return rc;
        hank_close(s);
    }
    return 0;
}

static int come_twice(void *state)
{
    site *w = state;
    char name[64];
    int rc = hank_listener_name(w->l, name, sizeof name);
    for (int i = 0; i < 2 && rc == 0; i++) {
        hank_stream *s;
        rc = hank_connect_opt(name, NULL, &s);
        if (rc == 0)
            hank_close(s);
    }
    return rc;
}

static int walk_accepting(void *arg)
{
    site w;
    (void)arg;
    return walk(&(everywhere_scenario){open_site, let_two_in, come_twice, site_is_closed, &w});
}

Test(service_everywhere, a_connection_is_accepted_or_stays_in_line, .timeout = 120)
{
    run_with_each_size(walk_accepting, NULL);
}

static int walk_connecting(void *arg)
{
    site w;
    (void)arg;
    return walk(&(everywhere_scenario){open_site, come_twice, let_two_in, site_is_closed, &w});
}

Test(service_everywhere, a_connection_is_made_or_nothing_is_left, .timeout = 120)
{
    run_with_each_size(walk_connecting, NULL);
}

static int run_server(void *state)
{
    return hank_server_run(((site *)state)->v, say_back, NULL);
}

static int ask_and_stop(void *state)
{
    site *w = state;
    hank_stream *s;
    char line[8];
    int rc = hank_connect(w->name, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "ping\n", 5);
    ssize_t n = rc < 0 ? rc : hank_read_line(s, line, sizeof line);
    hank_close(s);
    rc = n < 0 ? (int)n : hank_server_stop(w->v, HANK_FOREVER);
    return rc < 0 ? rc : hank_server_wait_closed(w->v);
}

static int walk_stopping(void *arg)
{
    site w;
    (void)arg;
    return walk(&(everywhere_scenario){open_site, ask_and_stop, run_server, site_is_closed, &w});
}

Test(service_everywhere, the_end_of_a_server_is_waited_for_or_not, .timeout = 120)
{
    run_with_each_size(walk_stopping, NULL);
}

static int walk_running(void *arg)
{
    site w;
    (void)arg;
    return walk(&(everywhere_scenario){open_site, run_server, ask_and_stop, site_is_closed, &w});
}

Test(service_everywhere, a_server_that_is_stopped_leaves_no_handler, .timeout = 120)
{
    run_with_each_size(walk_running, NULL);
}

/* --- other processes -------------------------------------------------------------------------- */

static void count_fds(void *state)
{
    *(int *)state = lasting_fds();
}

static bool no_child_is_left(void *state, int rc, bool stopped)
{
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD &&
           is_over(*(int *)state, rc, stopped);
}

static int wait_for_exit(void *state)
{
    static const char *const command[] = {"sh", "-c", "exit 3", NULL};
    hank_process *p;
    int status = 0;
    (void)state;
    int rc = hank_process_spawn(command, NULL, &p);
    if (rc < 0)
        return rc;
    rc = hank_process_wait(p, &status);
    hank_process_close(p);
    return rc < 0 ? rc : status == 3 ? 0 : -EPROTO;
}

static int talk_to_cat(void *state)
{
    static const char *const command[] = {"cat", NULL};
    hank_process_options options = {.in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE};
    hank_process_talk talk = {.in = "purr", .in_size = 4};
    hank_process *p;
    (void)state;
    int rc = hank_process_spawn(command, &options, &p);
    if (rc < 0)
        return rc;
    rc = hank_process_communicate(p, &talk);
    if (rc == 0) {
        rc = talk.out_size == 4 && memcmp(talk.out, "purr", 4) == 0 ? 0 : -EPROTO;
        hank_process_talk_done(&talk);
    }
    hank_process_close(p);
    return rc;
}

static int walk_process(hank_fn body)
{
    int fds;
    return walk(&(everywhere_scenario){count_fds, body, NULL, no_child_is_left, &fds});
}

static int walk_processes(void *arg)
{
    (void)arg;
    MUST(walk_process(wait_for_exit) == 0);
    return walk_process(talk_to_cat);
}

Test(service_everywhere, a_process_is_reaped_whatever_was_stopped, .timeout = 120)
{
    run_with_each_size(walk_processes, NULL);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void ignore_it(void *state)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    (void)state;
    cr_assert_eq(sigaction(SIGUSR2, &action, NULL), 0);
}

static int wait_for_signal(void *state)
{
    (void)state;
    return hank_signal_wait(SIGUSR2) < 0 ? -ECANCELED : 0;
}

/* Until it has been heard: one from before the wait does not count. */
static int raise_it(void *state)
{
    int rc = 0;
    (void)state;
    while (rc == 0) {
        (void)kill(getpid(), SIGUSR2);
        rc = hank_sleep(HANK_US(100));
    }
    return rc;
}

static bool is_ignored_again(void *state, int rc, bool stopped)
{
    struct sigaction action;
    (void)state;
    return sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN &&
           (rc == 0 || stopped);
}

static int walk_signal(void *arg)
{
    (void)arg;
    return walk(
        &(everywhere_scenario){ignore_it, wait_for_signal, raise_it, is_ignored_again, NULL});
}

Test(service_everywhere, a_signal_is_left_as_it_was, .timeout = 120)
{
    run_with_each_size(walk_signal, NULL);
}
