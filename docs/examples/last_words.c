/* SPDX-License-Identifier: MIT */
/* last_words.c - being stopped, and still saying goodbye.
 *
 * Two tasks ask a server that never answers. When the deadline comes every wait in them fails,
 * and goes on failing until they end; a shield lets them send a last word first. A handle is used
 * up once: asking again is an error with a name, not a crash. */
#include <hank.h>

#include <stdio.h>
#include <string.h>

struct query { const char *where; char answer[256]; };

static int ask(void *arg)
{
    struct query *q = arg;
    hank_stream *s = NULL;
    ssize_t n = hank_connect(q->where, &s);
    if (n >= 0)
        n = hank_write(s, "time?\n", 6);
    if (n >= 0)
        n = hank_read_line(s, q->answer, sizeof q->answer);
    if (s && (n == -ECANCELED || n == -ETIMEDOUT)) { /* we are being stopped: still say goodbye */
        hank_scope last_words;
        hank_shield_begin(&last_words);
        (void)hank_within(HANK_MS(100), hank_write(s, "bye\n", 4));
        hank_shield_end(&last_words);
    }
    hank_close(s); /* NULL is fine */
    return n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
}

/* Listens, and says nothing. */
static int be_silent(hank_stream *s, void *arg)
{
    hank_sem *goodbyes = arg;
    char line[64];
    while (hank_read_line(s, line, sizeof line) > 0)
        if (strcmp(line, "bye\n") == 0)
            hank_sem_release(goodbyes);
    return 0;
}

struct silence { hank_listener *listener; hank_sem goodbyes; };

static int serve(void *arg)
{
    struct silence *silence = arg;
    return hank_serve(silence->listener, be_silent, &silence->goodbyes);
}

static void ask_two(const char *where)
{
    struct query q[2] = {{.where = where}, {.where = where}};
    int results[2];
    hank_task asked[2] = {hank_spawn(ask, &q[0]), hank_spawn(ask, &q[1])};

    int rc = hank_within(HANK_MS(100), hank_gather_n(asked, 2, results));
    printf("together: %s\n", hank_strerror(rc));
    for (int i = 0; i < 2; i++)
        printf("answer: %s\n", results[i] < 0 ? hank_strerror(results[i]) : q[i].answer);
    printf("again: %s\n", hank_strerror(hank_await(asked[0]))); /* -ESTALE, not a crash */
}

static int app(void *arg)
{
    (void)arg;
    struct silence silence = {0};
    char where[64];
    int rc = hank_listen("tcp://127.0.0.1:0", &silence.listener);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(silence.listener, where, sizeof where);
    if (rc == 0) {
        hank_task server = hank_spawn(serve, &silence);
        ask_two(where);
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = hank_within(HANK_SEC(5), hank_sem_acquire(&silence.goodbyes));
        hank_cancel(server);
        (void)hank_await(server); /* -ECANCELED: we asked for it */
    }
    hank_listener_close(silence.listener);
    printf("goodbyes: %s\n", rc < 0 ? hank_strerror(rc) : "both were heard");
    return rc;
}

int main(void)
{
    return hank_run(app, NULL) != 0;
}
