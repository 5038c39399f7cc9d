/* SPDX-License-Identifier: MIT */
/* determinism.c - the same seed makes the same trace: a thousand seeds twice in children of one
 * process (fewer under AddressSanitizer), some more in processes that share nothing, and to the
 * byte where the trace is written.
 *
 *     sim_determinism SEED      one run; prints the hash of its trace
 *
 * The program does a bit of everything: tasks on several workers, timeouts, channels, threads of
 * the blocking pool, names, connections that are cut, with all faults on. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "sim/sim_support.h"
#include "say_back.h"

enum { SEEDS = HK_ASAN ? 50 : 1000, APART = 5, ITEMS = 12 };

static const hank_sim_options hostile = {.reset = 100, .accept = 100, .resolve = 100};

static int serve(void *listener)
{
    return hank_serve(listener, say_back, NULL);
}

static int talk(void *arg)
{
    hank_stream *s;
    char line[64];
    int rc = hank_within(HANK_MS(500), hank_connect("tcp://some.host:80", &s));
    (void)arg;
    if (rc < 0)
        return 0;
    for (int i = 0; i < 3 && rc >= 0; i++) {
        rc = hank_write(s, "hear me\n", 8);
        if (rc >= 0)
            rc = (int)hank_read_line(s, line, sizeof line);
    }
    hank_close(s);
    return 0;
}

static int block(void *arg)
{
    return ++*(int *)arg > 0 ? 0 : -EPROTO;
}

static int pass_on(void *arg)
{
    int calls = 0;
    for (int i = 0; i < ITEMS; i++) {
        if (hank_chan_send(arg, &i) < 0)
            return 0;
        if (i % 4 == 0)
            MUST(hank_blocking(block, &calls) == 0);
    }
    return 0;
}

static int take(void *arg)
{
    int item, n = 0;
    while (hank_within(HANK_MS(50), hank_chan_recv(arg, &item)) == 0)
        n++;
    return n;
}

static int app(void *arg)
{
    hank_listener *l;
    hank_chan *c = hank_chan_new(sizeof(int), 2);
    (void)arg;
    MUST(c && hank_listen("tcp://0.0.0.0:80", &l) == 0);
    hank_task server = hank_spawn(serve, l);
    hank_task crowd[] = {hank_spawn(talk, NULL), hank_spawn(talk, NULL), hank_spawn(pass_on, c),
                         hank_spawn(pass_on, c), hank_spawn(take, c)};
    MUST(hank_within(HANK_SEC(20), hank_gather_n(crowd, 5, NULL)) >= 0 || hank_now() > 0);
    (void)hank_cancel(server);
    (void)hank_await(server);
    hank_listener_close(l);
    hank_chan_free(c);
    return 0;
}

static int program(void *arg)
{
    return hank_run(app, arg);
}

static int run_one(uint64_t seed, hank_sim_report *ret)
{
    hank_sim_options options = hostile;
    options.seed = seed;
    return hank_sim_run(program, NULL, &options, ret);
}

/* The hash as another process of this program prints it, its trace in `trace`. */
static unsigned long long hash_apart(const char *self, uint64_t seed, const char *trace)
{
    char command[400], line[64] = "";
    (void)snprintf(command, sizeof command, "HANK_TRACE=%s %s %llu", trace, self,
                   (unsigned long long)seed);
    FILE *out = popen(command, "r");
    if (!out)
        return 0;
    bool read = fgets(line, sizeof line, out) != NULL;
    return pclose(out) == 0 && read ? strtoull(line, NULL, 16) : 0;
}

static bool same_bytes(const char *a, const char *b)
{
    FILE *x = fopen(a, "r"), *y = fopen(b, "r");
    int c = 0, n = 0;
    bool same = x && y;
    while (same && (c = getc(x)) != EOF) {
        same = c == getc(y);
        n++;
    }
    same = same && getc(y) == EOF && n > 0;
    if (x)
        (void)fclose(x);
    if (y)
        (void)fclose(y);
    return same;
}

static void compare_apart(const char *self)
{
    char a[] = "/tmp/hank_trace_XXXXXX", b[] = "/tmp/hank_trace_XXXXXX";
    int fd_a = mkstemp(a), fd_b = mkstemp(b);
    EXPECT(fd_a >= 0 && fd_b >= 0);
    (void)close(fd_a);
    (void)close(fd_b);
    for (uint64_t seed = 1; seed <= APART; seed++) {
        hank_sim_report here;
        EXPECT(run_one(seed, &here) == 0);
        unsigned long long first = hash_apart(self, seed, a), second = hash_apart(self, seed, b);
        note(first == here.hash && second == first && same_bytes(a, b),
             "the same trace in processes apart", "seed", (unsigned long long)seed);
    }
    (void)unlink(a);
    (void)unlink(b);
}

static void compare_many(void)
{
    unsigned long long different = 0, alike = 0;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        hank_sim_report first, second;
        int rc = run_one(seed, &first);
        bool same = rc == 0 && run_one(seed, &second) == 0 && first.hash == second.hash &&
                    first.steps == second.steps && first.elapsed == second.elapsed;
        if (!same)
            printf("seed %llu: result %d\n", (unsigned long long)seed, rc);
        different += !same;
        alike += first.hash == last;
        last = first.hash;
    }
    note(different == 0, "the same seed makes the same trace",
         "seeds for which that is not so:", different);
    note(alike == 0, "another seed makes another trace", "alike", alike);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        hank_sim_report r;
        int rc = run_one(strtoull(argv[1], NULL, 10), &r);
        printf("%llx\n", (unsigned long long)r.hash);
        return rc != 0;
    }
    compare_many();
    compare_apart(argv[0]);
    return failures != 0;
}
