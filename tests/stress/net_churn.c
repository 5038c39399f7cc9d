/* SPDX-License-Identifier: MIT */
/* net_churn.c - everything that has a descriptor, made and ended by many at once, over and over:
 * connections that ask, hang up, break and idle, with TLS and without, datagrams, pipes, passed
 * descriptors, files and other processes.
 *
 * After each round no child is left, and descriptors, tasks, stacks and (after the first rounds,
 * when all caches have been filled) memory must be where they were. Then a crowd of idle
 * connections, of which each still answers.
 *
 *     net_churn [SECONDS [IDLE]]      10 seconds and 9000 connections
 *
 * 77: all was well, but for the crowd there may not be enough descriptors. */
#include <hank.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "leftovers.h"
#include "say_back.h"
#include "stress/churn_tls.h"

enum { WORKERS = 4, CHURNERS = 24, TURNS = 12, WARM_ROUNDS = 5, KEPT_BACK = 200 };

static HK_ATOMIC(int) wrong;
static char tcp_name[64], unix_name[128];
static churn_tls secrets;
static double seconds = 10;
static int idle_wanted = 9000;
static bool is_complete;

#define CHECK(fact) ((void)((fact) || note(__LINE__, #fact)))

static bool note(int line, const char *fact)
{
    (void)hk_add_relaxed(&wrong, 1);
    fprintf(stderr, "net_churn.c:%d: not so: %s\n", line, fact);
    return false;
}

static uint64_t roll(uint64_t *dice)
{
    *dice = *dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *dice >> 33;
}

/* --- what is counted ------------------------------------------------------------------------- */

static long resident_pages(void)
{
    long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident;
}

/* --- what is done ---------------------------------------------------------------------------- */

static void ask(hank_stream *s, uint64_t *dice)
{
    char question[64], line[128];
    int n = snprintf(question, sizeof question, "%llu\n", (unsigned long long)roll(dice));
    CHECK(hank_cork(s, 16, 4) == 0);
    CHECK(hank_write(s, question, (size_t)n) == 0 && hank_uncork(s) == 0);
    CHECK(hank_within(HANK_SEC(60), hank_read_line(s, line, sizeof line)) == n);
    CHECK(memcmp(line, question, (size_t)n) == 0);
}

static void converse(uint64_t *dice, hank_stream *s)
{
    for (uint64_t i = roll(dice) % 4; i > 0; i--)
        ask(s, dice);
    char byte;
    if (roll(dice) % 4 == 0)
        CHECK(hank_within(HANK_US(50), hank_peek(s, &byte, 1)) == -ETIMEDOUT);
    if (roll(dice) % 3 == 0)
        hank_abort(s);
    else
        hank_close(s);
}

static void connect_and_converse(uint64_t *dice)
{
    hank_stream *s;
    int rc = hank_connect(roll(dice) % 2 ? tcp_name : unix_name, &s);
    CHECK(rc == 0);
    if (rc == 0)
        converse(dice, s);
}

static void converse_in_secret(uint64_t *dice)
{
    hank_stream *s;
    bool rudely = roll(dice) % 4 == 0;
    CHECK(churn_tls_connect(&secrets, rudely, &s) == 0);
    if (s)
        converse(dice, s);
}

static void exchange_datagrams(uint64_t *dice)
{
    hank_endpoint *a, *b;
    char name[64], buf[16];
    CHECK(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &b) == 0);
    CHECK(hank_endpoint_name(b, name, sizeof name) == 0);
    CHECK(hank_endpoint_open(NULL, name, NULL, &a) == 0);
    for (uint64_t i = roll(dice) % 5; i > 0; i--)
        CHECK(hank_endpoint_send(a, "ping", 4) == 0 && hank_endpoint_recv(b, buf, 16, NULL) == 4);
    CHECK(hank_within(HANK_US(50), hank_endpoint_recv(b, buf, 16, NULL)) == -ETIMEDOUT);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
}

static void pass_a_pipe(void)
{
    hank_stream *a, *b, *s;
    int fds[2], got[2];
    size_t count = 2;
    char buf[8];
    CHECK(hank_stream_pair(&a, &b) == 0);
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    CHECK(hank_send_fds(a, "x", 1, fds, 2) == 0);
    CHECK(hank_recv_fds(b, buf, 8, got, &count) == 1 && count == 2);
    close(fds[0]);
    close(fds[1]);
    CHECK(hank_stream_from_fd(got[0], 0, &s) == 0);
    CHECK(write(got[1], "through", 7) == 7);
    CHECK(hank_splice(s, a, 7) == 7 && hank_read_exact(b, buf, 7) == 0);
    close(got[1]);
    hank_close(s);
    hank_close(a);
    hank_close(b);
}

/* The same with a datagram. No name twice: a child has our sockets, too, until it is another
 * program. */
static void mail_a_pipe(uint64_t *dice)
{
    static HK_ATOMIC(unsigned) mails;
    hank_endpoint *a, *b;
    char where[64], byte;
    int fds[2], got[2];
    size_t count = roll(dice) % 3; /* what has no room is closed */
    hank_datagram in = {.data = &byte, .size = 1};
    snprintf(where, sizeof where, "unix://@hank-mail-%d-%u", (int)getpid(),
             hk_add_relaxed(&mails, 1u));
    CHECK(hank_endpoint_open(where, NULL, NULL, &b) == 0);
    CHECK(hank_endpoint_open(NULL, where, NULL, &a) == 0);
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    hank_datagram out = {.data = (char[]){'x'}, .size = 1};
    CHECK(hank_endpoint_send_fds(a, &out, fds, 2) == 0);
    CHECK(hank_endpoint_recv_fds(b, &in, got, &count) == 0 && byte == 'x');
    close(fds[0]);
    close(fds[1]);
    for (size_t i = 0; i < count; i++)
        close(got[i]);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
}

/* One that answers and ends, one that is asked to end, one that is closed while it runs. */
static void run_a_process(uint64_t *dice)
{
    hank_process *p;
    int status = 0;
    hank_process_talk talk = {.in = "said\n", .in_size = 5};
    hank_process_options pipes = {.in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE};
    int rc = hank_process_spawn((const char *const[]){"cat", NULL}, &pipes, &p);
    CHECK(rc == 0);
    if (rc < 0)
        return;
    switch (roll(dice) % 3) {
    case 0:
        CHECK(hank_process_communicate(p, &talk) == 0 && talk.status == 0);
        CHECK(talk.out_size == 5 && memcmp(talk.out, "said\n", 5) == 0);
        hank_process_talk_done(&talk);
        break;
    case 1:
        CHECK(hank_within(HANK_US(50), hank_process_wait(p, &status)) == -ETIMEDOUT);
        CHECK(hank_process_signal(p, SIGTERM) == 0);
        CHECK(hank_process_wait(p, &status) == 0 && status == -SIGTERM);
        break;
    default: break;
    }
    hank_process_close(p);
}

static void read_a_file(void)
{
    hank_file *f;
    struct stat about;
    char buf[64];
    CHECK(hank_file_open("/proc/self/stat", O_RDONLY, 0, &f) == 0);
    CHECK(hank_pread(f, buf, sizeof buf, 0) > 0 && hank_file_stat(f, &about) == 0);
    hank_file_close(f);
}

static int churn(void *arg)
{
    uint64_t *dice = arg;
    for (int i = 0; i < TURNS; i++) {
        switch (roll(dice) % 12) {
        case 0:
        case 1: exchange_datagrams(dice); break;
        case 2: pass_a_pipe(); break;
        case 3: mail_a_pipe(dice); break;
        case 4: read_a_file(); break;
        case 5: run_a_process(dice); break;
        case 6:
        case 7: converse_in_secret(dice); break;
        default: connect_and_converse(dice); break;
        }
    }
    return 0;
}

static int run_server(void *v)
{
    return hank_server_run(v, say_back, NULL);
}

static const hank_server_options serving = {.idle_timeout = HANK_SEC(1000), .acceptors = 2};

static hank_server *open_server(const char *where, char *ret_name, size_t n)
{
    hank_server *v;
    CHECK(hank_server_open(where, &serving, &v) == 0);
    CHECK(hank_server_name(v, ret_name, n) == 0);
    return v;
}

/* NULL: this program has no TLS. */
static hank_server *open_secret_server(void)
{
    hank_listener *l = NULL;
    hank_server *v = NULL;
    CHECK(churn_tls_begin(&secrets, &l) == 0);
    if (l)
        CHECK(hank_server_adopt(l, &serving, &v) == 0);
    return v;
}

/* --- rounds ---------------------------------------------------------------------------------- */

enum { TCP, LOCAL, SECRET, SERVERS };

static void one_round(uint64_t *dice, hank_server *const servers[SERVERS])
{
    uint64_t own[CHURNERS];
    hank_group g = {0};
    for (int i = 0; i < CHURNERS; i++) {
        own[i] = roll(dice);
        CHECK(hank_group_spawn(&g, churn, &own[i]) == 0);
    }
    CHECK(hank_group_wait(&g) == 0);
    for (int i = 0; i < SERVERS; i++)
        while (servers[i] && hank_server_clients(servers[i]) > 0)
            (void)hank_yield();
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static int churn_rounds(hank_server *const servers[SERVERS])
{
    uint64_t dice = hk_os_random();
    hank_stats before, after;
    int rounds = 0, fds = 0;
    long pages = 0;
    hank_ns end = hank_now() + HANK_SEC(seconds);
    for (; rounds < 2 * WARM_ROUNDS || hank_now() < end; rounds++) {
        one_round(&dice, servers);
        if (rounds == WARM_ROUNDS) {
            fds = open_fds();
            pages = resident_pages();
            CHECK(hank_get_stats(&before) == 0);
        }
    }
    do { /* handlers whose connection is gone may be at their last instruction, and connections
            whose client is gone may not have been accepted yet */
        (void)hank_yield();
        CHECK(hank_get_stats(&after) == 0);
    } while ((after.tasks_live > before.tasks_live || open_fds() > fds) &&
             hank_now() < end + HANK_SEC(60));
    CHECK(open_fds() <= fds);
    CHECK(after.tasks_live <= before.tasks_live);
    long grown = resident_pages() - pages;
    /* 64 MiB: caches breathe, leaks of so many rounds do not fit. Sanitizers have memory of their
     * own for all that was ever used. */
    CHECK(HK_TSAN || HK_ASAN || grown < 16384);
    printf("%d rounds, %ld pages more\n", rounds, grown);
    return 0;
}

/* As many connections as wanted, or as there may be descriptors for: both ends are ours. */
static int crowd_size(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t may = (limit.rlim_cur - (rlim_t)open_fds() - KEPT_BACK) / 2;
    return may < (rlim_t)idle_wanted ? (int)may : idle_wanted;
}

static int crowd(hank_server *tcp)
{
    int n = crowd_size();
    hank_stream **s = calloc((size_t)n + 1, sizeof *s);
    uint64_t dice = 1;
    int rc = s ? 0 : -ENOMEM, made = 0;
    for (; rc == 0 && made < n; made++)
        rc = hank_connect(tcp_name, &s[made]);
    CHECK(rc == 0);
    while (rc == 0 && hank_server_clients(tcp) < n)
        (void)hank_sleep(HANK_MS(5));
    printf("%d connections at once\n", hank_server_clients(tcp));
    for (int i = 0; rc == 0 && i < n; i++)
        ask(s[i], &dice);
    is_complete = n == idle_wanted;
    for (int i = 0; i < made; i++)
        hank_close(s[i]);
    free(s);
    return rc;
}

static int app(void *arg)
{
    char where[64];
    hank_server *servers[SERVERS];
    hank_group g = {0};
    (void)arg;
    snprintf(where, sizeof where, "unix://@hank-churn-%d", (int)getpid());
    servers[TCP] = open_server("tcp://127.0.0.1:0", tcp_name, sizeof tcp_name);
    servers[LOCAL] = open_server(where, unix_name, sizeof unix_name);
    servers[SECRET] = open_secret_server();
    for (int i = 0; i < SERVERS; i++)
        CHECK(!servers[i] || hank_group_spawn(&g, run_server, servers[i]) == 0);
    int rc = churn_rounds(servers);
    if (rc == 0)
        rc = crowd(servers[TCP]);
    for (int i = 0; i < SERVERS; i++)
        CHECK(!servers[i] || hank_server_stop(servers[i], HANK_SEC(60)) == 0);
    CHECK(hank_group_wait(&g) == 0);
    for (int i = 0; i < SERVERS; i++)
        if (servers[i])
            hank_server_free(servers[i]);
    churn_tls_end(&secrets);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = strtod(argv[1], NULL);
    if (argc > 2)
        idle_wanted = (int)strtol(argv[2], NULL, 10);
    int fds = open_fds();
    int rc = hank_run_with(app, NULL, .workers = WORKERS);
    CHECK(open_fds() <= fds + 1); /* the process's own handle stays */
    printf("%s: %d wrong\n", hank_strerror(rc), hk_load_relaxed(&wrong));
    if (rc != 0 || hk_load_relaxed(&wrong) != 0)
        return 1;
    return is_complete ? 0 : 77;
}
