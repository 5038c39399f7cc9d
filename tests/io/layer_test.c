/* SPDX-License-Identifier: MIT */
/* layer_test.c - streams made by programs: what they are asked, and when. */
#include <hank/layer.h>

#include "api/support.h"

#include <hank/unix.h>

#include <string.h>

#include "base/fault.h"

/* Writes upper case, reads as it is; counts its ends. */
typedef struct shout {
    hank_stream *under;
    HK_ATOMIC(int) farewells;
    HK_ATOMIC(int) releases;
} shout;

static ssize_t shout_read(void *self, void *ret_buf, size_t n)
{
    return hank_read(((shout *)self)->under, ret_buf, n);
}

static ssize_t shout_write(void *self, const void *buf, size_t n)
{
    char loud[8];
    size_t count = n < sizeof loud ? n : sizeof loud;
    for (size_t i = 0; i < count; i++) {
        char c = ((const char *)buf)[i];
        loud[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    int rc = hank_write(((shout *)self)->under, loud, count);
    return rc < 0 ? rc : (ssize_t)count;
}

static int shout_write_end(void *self)
{
    return hank_write_end(((shout *)self)->under);
}

static void shout_farewell(void *self)
{
    shout *s = self;
    (void)hk_add_relaxed(&s->farewells, 1);
    (void)hank_trywrite(s->under, "bye", 3);
}

static void shout_release(void *self)
{
    (void)hk_add_relaxed(&((shout *)self)->releases, 1);
}

static const hank_layer shouting = {.read = shout_read,
                                    .write = shout_write,
                                    .write_end = shout_write_end,
                                    .farewell = shout_farewell,
                                    .release = shout_release};

typedef struct layers {
    shout self;
    hank_stream *top;
    hank_stream *other;
} layers;

static int layers_open(layers *l)
{
    *l = (layers){0};
    int rc = hank_stream_pair(&l->self.under, &l->other);
    return rc < 0 ? rc : hank_layer_open(&shouting, &l->self, l->self.under, &l->top);
}

/* A test whose body is a task with a layer over one end of a pair. */
#define LAYER_TEST(name)                                                                           \
    static int name##_body(layers *l);                                                             \
    static int name##_app(void *arg)                                                               \
    {                                                                                              \
        layers l;                                                                                  \
        (void)arg;                                                                                 \
        MUST(layers_open(&l) == 0);                                                                \
        int rc = name##_body(&l);                                                                  \
        hank_close(l.top);                                                                         \
        hank_close(l.other);                                                                       \
        CHECK(hk_load_relaxed(&l.self.releases) == 1);                                             \
        return rc;                                                                                 \
    }                                                                                              \
    Test(layer, name)                                                                              \
    {                                                                                              \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    static int name##_body(layers *l)

LAYER_TEST(changes_what_is_written)
{
    char buf[32];
    MUST(hank_write(l->top, "hello, dear world", 17) == 0);
    MUST(hank_read_exact(l->other, buf, 17) == 0);
    MUST(memcmp(buf, "HELLO, DEAR WORLD", 17) == 0);
    return 0;
}

LAYER_TEST(reads_lines_like_any_stream)
{
    char line[32];
    MUST(hank_write(l->other, "one\ntwo\n", 8) == 0);
    MUST(hank_read_line(l->top, line, sizeof line) == 4);
    MUST(strcmp(line, "one\n") == 0);
    MUST(hank_read_line(l->top, line, sizeof line) == 4);
    return 0;
}

LAYER_TEST(says_farewell_and_is_released_when_it_is_closed)
{
    char buf[8];
    hank_close(l->top);
    l->top = NULL;
    MUST(hk_load_relaxed(&l->self.farewells) == 1);
    MUST(hk_load_relaxed(&l->self.releases) == 1);
    MUST(hank_read_exact(l->other, buf, 3) == 0);
    MUST(memcmp(buf, "bye", 3) == 0);
    MUST(hank_read(l->other, buf, 1) == 0); /* the stream under it is closed too */
    return 0;
}

LAYER_TEST(says_no_farewell_when_it_is_aborted)
{
    char buf[8];
    hank_abort(l->top);
    l->top = NULL;
    MUST(hk_load_relaxed(&l->self.farewells) == 0);
    MUST(hank_read(l->other, buf, sizeof buf) == 0);
    return 0;
}

static int read_into_nothing(void *arg)
{
    char c;
    RETURN_WHEN_LET_IN(hank_read(arg, &c, 1));
}

LAYER_TEST(wakes_who_waits_below_when_it_is_closed)
{
    char c;
    hank_task t = hank_spawn(read_into_nothing, l->top);
    UNTIL_TAKEN(hank_read(l->self.under, &c, 0));
    hank_close(l->top);
    l->top = NULL;
    MUST(hank_await(t) == -EBADF);
    return 0;
}

LAYER_TEST(ends_one_direction)
{
    char buf[8];
    MUST(hank_write_end(l->top) == 0);
    MUST(hank_read(l->other, buf, 1) == 0);
    MUST(hank_write(l->other, "x", 1) == 0);
    MUST(hank_read(l->top, buf, 1) == 1);
    return 0;
}

LAYER_TEST(knows_its_own_streams)
{
    static const hank_layer another = {.read = shout_read, .write = shout_write};
    MUST(hank_layer_self(l->top, &shouting) == &l->self);
    MUST(hank_layer_self(l->top, &another) == NULL);
    MUST(hank_layer_self(l->other, &shouting) == NULL);
    return 0;
}

LAYER_TEST(is_told_the_names_and_the_descriptor_of_the_stream_below)
{
    char name[64];
    MUST(hank_stream_fd(l->top) == hank_stream_fd(l->self.under));
    MUST(hank_stream_peer(l->top, name, sizeof name) == 0);
    MUST(strcmp(name, "unix://") == 0);
    return 0;
}

static ssize_t count_read(void *self, void *ret_buf, size_t n)
{
    int *left = self;
    if (*left == 0)
        return 0;
    (*left)--;
    memset(ret_buf, 'x', n);
    return (ssize_t)n;
}

static ssize_t count_write(void *self, const void *buf, size_t n)
{
    (void)self, (void)buf;
    return (ssize_t)n;
}

LAYER_TEST(may_be_over_nothing)
{
    static const hank_layer counting = {.read = count_read, .write = count_write};
    int left = 2;
    char buf[8], name[64];
    hank_stream *s;
    (void)l;
    MUST(hank_layer_open(&counting, &left, NULL, &s) == 0);
    MUST(hank_read(s, buf, 8) == 8);
    MUST(hank_read(s, buf, 3) == 3);
    MUST(hank_read(s, buf, 8) == 0);
    MUST(hank_write(s, buf, 8) == 0);
    MUST(hank_write_end(s) == -ENOTSUP);
    MUST(hank_trywrite(s, buf, 1) == -ENOTSUP);
    MUST(hank_stream_peer(s, name, sizeof name) == -EBADF);
    MUST(hank_stream_fd(s) == -EBADF);
    hank_close(s);
    return 0;
}

LAYER_TEST(without_its_functions_is_refused)
{
    static const hank_layer halves[] = {{.read = shout_read}, {.write = shout_write}};
    hank_stream *s;
    (void)l;
    MUST(hank_layer_open(NULL, NULL, NULL, &s) == -EINVAL);
    MUST(hank_layer_open(&halves[0], NULL, NULL, &s) == -EINVAL);
    MUST(hank_layer_open(&halves[1], NULL, NULL, &s) == -EINVAL);
    return 0;
}

LAYER_TEST(writes_what_fits_and_no_more)
{
    static char block[100000];
    ssize_t n, all = 0;
    MUST(hank_trywrite(l->other, block, 0) == 0);
    while ((n = hank_trywrite(l->other, block, sizeof block)) > 0)
        all += n;
    MUST(n == -EAGAIN);
    MUST(all > 0);
    while (all > 0) {
        n = hank_read(l->top, block, sizeof block);
        MUST(n > 0);
        all -= n;
    }
    MUST(hank_trywrite(l->other, "x", 1) == 1);
    return 0;
}

/* --- schemes and listeners ---------------------------------------------------------------------
 */

static int loud_connect(const char *where, const hank_connect_options *options, hank_stream **ret)
{
    (void)options, (void)ret;
    return strcmp(where, "loud://here") == 0 ? -EHOSTDOWN : -EINVAL;
}

static int loud_listen(const char *where, const hank_listen_options *options, hank_listener **ret)
{
    (void)where, (void)options, (void)ret;
    return -EADDRINUSE;
}

static int schemes(void *arg)
{
    static const hank_scheme loud = {"loud", loud_connect, loud_listen, false, {0}},
                             louder = {"loud", loud_connect, loud_listen, false, {0}},
                             nameless = {0};
    static hank_scheme many[16];
    static char names[16][2];
    hank_stream *s;
    hank_listener *l;
    (void)arg;
    MUST(hank_connect("loud://here", &s) == -EPROTONOSUPPORT);
    MUST(hank_scheme_add(NULL) == -EINVAL);
    MUST(hank_scheme_add(&nameless) == -EINVAL);
    MUST(hank_scheme_add(&loud) == 0);
    MUST(hank_scheme_add(&loud) == 0);
    MUST(hank_scheme_add(&louder) == -EEXIST);
    MUST(hank_connect("loud://here", &s) == -EHOSTDOWN);
    MUST(hank_connect("loud://there", &s) == -EINVAL);
    MUST(hank_connect("lou://here", &s) == -EPROTONOSUPPORT);
    MUST(hank_listen("loud://here", &l) == -EADDRINUSE);
    int rc = 0;
    for (int i = 0; i < 16 && rc == 0; i++) {
        names[i][0] = (char)('a' + i);
        many[i] = (hank_scheme){names[i], loud_connect, loud_listen, false, {0}};
        rc = hank_scheme_add(&many[i]);
    }
    MUST(rc == -ENOSPC);
    return 0;
}

Test(scheme, is_known_once_it_was_added)
{
    with_workers(2, schemes, NULL);
}

typedef struct wrapping {
    int wrapped;
    int released;
    int error;
    shout self;
} wrapping;

static int wrap(void *arg, hank_stream *under, hank_stream **ret)
{
    wrapping *w = arg;
    w->wrapped++;
    w->self.under = under;
    return w->error ? w->error : hank_layer_open(&shouting, &w->self, under, ret);
}

static void released(void *arg)
{
    ((wrapping *)arg)->released++;
}

static const hank_wrapper wrapper = {.scheme = "loud", .wrap = wrap, .release = released};

static int listener_wraps(void *arg)
{
    wrapping w = {0};
    hank_listener *l;
    hank_stream *a, *b;
    char name[64], buf[8];
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(hank_listener_wrap(l, NULL, &w) == -EINVAL);
    MUST(hank_listener_wrap(l, &(hank_wrapper){.scheme = "much too long", .wrap = wrap}, &w) ==
         -EINVAL);
    MUST(hank_listener_wrap(l, &wrapper, &w) == 0);
    MUST(hank_listener_wrap(l, &wrapper, &w) == -EALREADY);
    MUST(hank_connect(name, &a) == 0);
    MUST(hank_accept(l, &b) == 0);
    MUST(w.wrapped == 1);
    MUST(hank_write(b, "abc", 3) == 0);
    MUST(hank_read_exact(a, buf, 3) == 0);
    MUST(memcmp(buf, "ABC", 3) == 0);
    hank_close(a);
    hank_close(b);
    w.error = -EPROTO;
    MUST(hank_connect(name, &a) == 0);
    MUST(hank_accept(l, &b) == -EPROTO);
    MUST(hank_read(a, buf, 1) == 0); /* it was closed */
    hank_close(a);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(strncmp(name, "loud://127.0.0.1:", 17) == 0);
    MUST(hank_listener_name(l, name, 10) == -ENOSPC);
    hank_listener_close(l);
    MUST(w.released == 1);
    return 0;
}

Test(listener, puts_a_layer_over_each_connection)
{
    with_each_size(listener_wraps, NULL);
}

#if HK_FAULTS
static int without_memory(void *arg)
{
    shout self = {0};
    hank_stream *s, *other;
    (void)arg;
    MUST(hank_stream_pair(&self.under, &other) == 0);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    int rc = hank_layer_open(&shouting, &self, self.under, &s);
    hk_fault_clear();
    MUST(rc == -ENOMEM);
    MUST(hk_load_relaxed(&self.releases) == 0); /* still the caller's, both */
    hank_close(self.under);
    hank_close(other);
    return 0;
}

Test(layer, for_which_there_is_no_memory_takes_nothing)
{
    with_workers(1, without_memory, NULL);
}
#endif
