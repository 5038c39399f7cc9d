/* SPDX-License-Identifier: MIT */
/* lines.c - lines of any length, written part by part and stopped at any time, read with little
 * room: each one that fits arrives whole and in its order, each that does not is dropped whole. */
#include "sim/sim_support.h"

enum { SEEDS = 200, LINES = 30, ROOM = 40, LONGEST = 400 };

/* Line i: its number and so many letters. Both ends know them all. */
typedef struct script {
    size_t length[LINES];
    hank_stream *out;
    hank_stream *in;
} script;

static size_t write_line(const script *s, int i, char *ret)
{
    size_t n = (size_t)snprintf(ret, LONGEST, "%d:", i);
    for (; n < s->length[i]; n++)
        ret[n] = (char)('a' + (i + (int)n) % 26);
    ret[n++] = '\r'; /* so that the mark may come in two pieces */
    ret[n++] = '\n';
    return n;
}

/* Now and then with a timeout, which changes nothing: what has gone is known. */
static ssize_t write_some(hank_stream *out, const char *bytes, size_t n)
{
    if (hank_sim_choose(3))
        return hank_write_some(out, bytes, n);
    return hank_within(HANK_US(hank_sim_choose(500)), hank_write_some(out, bytes, n));
}

static int write_all(void *arg)
{
    script *s = arg;
    char line[LONGEST + 8];
    for (int i = 0; i < LINES; i++) {
        size_t n = write_line(s, i, line);
        for (size_t done = 0; done < n;) {
            ssize_t put = write_some(s->out, line + done, n - done);
            if (put < 0 && put != -ETIMEDOUT)
                return (int)put;
            done += put > 0 ? (size_t)put : 0;
        }
    }
    return hank_write_end(s->out);
}

static ssize_t read_line(hank_stream *in, char *line)
{
    if (hank_sim_choose(3))
        return hank_read_line(in, line, ROOM);
    return hank_within(HANK_US(hank_sim_choose(500)), hank_read_line(in, line, ROOM));
}

/* Behind the line that is too long. One that was stopped has dropped a part, and goes on. */
static int skip_line(hank_stream *in)
{
    ssize_t n = -ETIMEDOUT;
    while (n == -ETIMEDOUT)
        n = hank_within(HANK_US(hank_sim_choose(500)), hank_skip_until(in, "\r\n"));
    return n > 0 ? 0 : (int)n;
}

static int read_all(script *s)
{
    char line[ROOM], wanted[LONGEST + 8];
    for (int i = 0; i < LINES;) {
        ssize_t n = read_line(s->in, line);
        if (n == -ETIMEDOUT)
            continue; /* nothing was taken */
        size_t length = write_line(s, i++, wanted);
        if (n == -EMSGSIZE) {
            MUST(length >= ROOM);
            n = skip_line(s->in);
            MUST(n == 0);
        } else {
            MUST(n == (ssize_t)length && memcmp(line, wanted, length) == 0);
        }
    }
    MUST(hank_read_line(s->in, line, ROOM) == 0 && hank_stream_unread(s->in) == 0);
    return 0;
}

static int talk(void *arg)
{
    script s;
    hank_listener *l;
    (void)arg;
    for (int i = 0; i < LINES; i++)
        s.length[i] = 4 + hank_sim_choose(hank_sim_choose(2) ? ROOM : LONGEST - 8);
    MUST(hank_listen("tcp://10.0.0.1:7", &l) == 0);
    MUST(hank_connect("tcp://10.0.0.1:7", &s.out) == 0);
    MUST(hank_accept(l, &s.in) == 0);
    hank_task writer = hank_spawn(write_all, &s);
    int rc = read_all(&s);
    if (rc < 0)
        (void)hank_cancel(writer);
    int its = hank_await(writer);
    hank_close(s.out);
    hank_close(s.in);
    hank_listener_close(l);
    return rc < 0 ? rc : its;
}

static int program(void *arg)
{
    return hank_run(talk, arg);
}

int main(void)
{
    passes("lines", program, NULL, &(hank_sim_options){.time_limit = HANK_SEC(600)}, SEEDS);
    return failures != 0;
}
