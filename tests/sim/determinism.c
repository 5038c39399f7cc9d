/* SPDX-License-Identifier: MIT */
/* determinism.c - the same seed makes the same trace, to the byte: a thousand seeds twice in
 * children of one process (fewer under AddressSanitizer), some more in processes that share
 * nothing.
 *
 *     sim_determinism SEED      one run; prints the hash of its trace
 *
 * The program does a bit of everything: tasks on several workers, timeouts, channels, threads of
 * the blocking pool, names, connections, datagrams, pipes and files, with every fault there is. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "sim/sim_support.h"
#include "say_back.h"

enum { SEEDS = HK_ASAN ? 50 : 1000, APART = 5, ITEMS = 12, BLOCK = 600 };

static const hank_sim_options hostile = {.reset = 100,
                                         .accept = 100,
                                         .resolve = 100,
                                         .loss = 100,
                                         .duplicate = 100,
                                         .descriptors = 18,
                                         .disk_bytes = 5 * BLOCK};

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

static int send_datagrams(void *arg)
{
    hank_endpoint *e;
    (void)arg;
    if (hank_endpoint_open(NULL, "udp://127.0.0.1:53", NULL, &e) < 0)
        return 0;
    for (int i = 0; i < ITEMS; i++)
        (void)hank_endpoint_send(e, &i, sizeof i);
    hank_endpoint_close(e);
    return 0;
}

static int receive_datagrams(void *arg)
{
    hank_endpoint *e;
    int item, sum = 0;
    (void)arg;
    if (hank_endpoint_open("udp://127.0.0.1:53", NULL, NULL, &e) < 0)
        return 0;
    while (hank_within(HANK_MS(50), hank_endpoint_recv(e, &item, sizeof item, NULL)) > 0)
        hank_sim_note("datagram", sum += item);
    hank_endpoint_close(e);
    return 0;
}

static int fill_pipe(void *arg)
{
    char block[BLOCK] = {0};
    for (int i = 0; i < 4; i++)
        if (hank_write(arg, block, sizeof block) < 0)
            break;
    return hank_write_end(arg);
}

static int use_a_pipe(void *arg)
{
    hank_stream *from, *to;
    char block[BLOCK];
    ssize_t got;
    (void)arg;
    if (hank_pipe(&from, &to) < 0)
        return 0;
    hank_task writer = hank_spawn(fill_pipe, to);
    while ((got = hank_read(from, block, sizeof block)) > 0)
        hank_sim_note("from the pipe", got);
    (void)hank_await(writer);
    hank_close(from);
    hank_close(to);
    return 0;
}

/* Two at once, and the disk has room for one. */
static int use_a_file(void *arg)
{
    hank_file *f;
    char block[BLOCK] = {0};
    if (hank_file_open(arg, O_RDWR | O_CREAT, 0600, &f) < 0)
        return 0;
    for (int i = 0; i < 4; i++)
        hank_sim_note("to the file", hank_pwrite(f, block, sizeof block, i * BLOCK));
    (void)hank_fsync(f, false);
    for (int i = 0; i < 4; i++)
        hank_sim_note("from the file", hank_pread(f, block, sizeof block, i * BLOCK));
    hank_file_close(f);
    return 0;
}

static int app(void *arg)
{
    hank_listener *l;
    hank_chan *c = hank_chan_new(sizeof(int), 2);
    char one[] = "/one", another[] = "/another";
    (void)arg;
    MUST(c && hank_listen("tcp://0.0.0.0:80", &l) == 0);
    hank_task server = hank_spawn(serve, l);
    hank_task crowd[] = {
        hank_spawn(talk, NULL),
        hank_spawn(talk, NULL),
        hank_spawn(pass_on, c),
        hank_spawn(pass_on, c),
        hank_spawn(take, c),
        hank_spawn(receive_datagrams, NULL),
        hank_spawn(send_datagrams, NULL),
        hank_spawn(use_a_pipe, NULL),
        hank_spawn(use_a_file, one),
        hank_spawn(use_a_file, another),
    };
    size_t n = sizeof crowd / sizeof crowd[0];
    MUST(hank_within(HANK_SEC(20), hank_gather_n(crowd, n, NULL)) >= 0 || hank_now() > 0);
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

/* The same, its trace in `trace`. */
static int run_traced(uint64_t seed, const char *trace, hank_sim_report *ret)
{
    (void)setenv("HANK_TRACE", trace, 1);
    int rc = run_one(seed, ret);
    (void)unsetenv("HANK_TRACE");
    return rc;
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

static void compare_apart(const char *self, const char *a, const char *b)
{
    for (uint64_t seed = 1; seed <= APART; seed++) {
        hank_sim_report here;
        EXPECT(run_one(seed, &here) == 0);
        unsigned long long first = hash_apart(self, seed, a), second = hash_apart(self, seed, b);
        note(first == here.hash && second == first && same_bytes(a, b),
             "the same trace in processes apart", "seed", (unsigned long long)seed);
    }
}

static bool is_repeated(uint64_t seed, const char *a, const char *b, hank_sim_report *ret)
{
    hank_sim_report again;
    int rc = run_traced(seed, a, ret);
    return rc == 0 && run_traced(seed, b, &again) == 0 && ret->hash == again.hash &&
           ret->steps == again.steps && ret->elapsed == again.elapsed && same_bytes(a, b);
}

static void compare_many(const char *a, const char *b)
{
    unsigned long long different = 0, alike = 0;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        hank_sim_report r;
        bool same = is_repeated(seed, a, b, &r);
        if (!same)
            printf("seed %llu: result %d\n", (unsigned long long)seed, r.result);
        different += !same;
        alike += r.hash == last;
        last = r.hash;
    }
    note(different == 0, "the same seed makes the same trace",
         "seeds for which that is not so:", different);
    note(alike == 0, "another seed makes another trace", "alike", alike);
}

int main(int argc, char **argv)
{
    char a[] = "/tmp/hank_trace_XXXXXX", b[] = "/tmp/hank_trace_XXXXXX";
    if (argc > 1) {
        hank_sim_report r;
        int rc = run_one(strtoull(argv[1], NULL, 10), &r);
        printf("%llx\n", (unsigned long long)r.hash);
        return rc != 0;
    }
    int fd_a = mkstemp(a), fd_b = mkstemp(b);
    EXPECT(fd_a >= 0 && fd_b >= 0);
    (void)close(fd_a);
    (void)close(fd_b);
    compare_many(a, b);
    compare_apart(argv[0], a, b);
    (void)unlink(a);
    (void)unlink(b);
    return failures != 0;
}
