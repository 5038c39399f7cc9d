/* SPDX-License-Identifier: MIT */
/* stacks_test.c - where tasks wait: their stacks, for a visitor and as text. HK_FRAMES_KEPT says
 * whether hank and this are compiled so that it must be known. */
#include "api/visit_support.h"

#include <stdlib.h>

/* Sections of their own, so that it can be told whose an address is. */
#define WAITS __attribute__((noinline, section("waits_here")))
#define CALLS __attribute__((noinline, section("calls_that")))
extern const char __start_waits_here[], __stop_waits_here[];
extern const char __start_calls_that[], __stop_calls_that[];

static bool is_within(const void *address, const char *start, const char *stop)
{
    return (uintptr_t)address >= (uintptr_t)start && (uintptr_t)address < (uintptr_t)stop;
}

typedef struct find {
    const char *name;
    unsigned frames, waits, calls; /* of its stack; and so many of them in those sections */
} find;

static bool look_at_stack(void *context, const hank_task_info *task)
{
    find *f = context;
    CHECK((task->stack == NULL) == (task->stack_frames == 0) && task->stack_frames <= 32);
    CHECK(task->stack == NULL || task->state == HANK_TASK_WAITING);
    if (strcmp(task->name, f->name) != 0)
        return true;
    f->frames = task->stack_frames;
    for (unsigned i = 0; i < task->stack_frames; i++) {
        f->waits += is_within(task->stack[i], __start_waits_here, __stop_waits_here);
        f->calls += is_within(task->stack[i], __start_calls_that, __stop_calls_that);
    }
    return true;
}

/* Where `name` stands: it is about to wait. Without frame pointers that need not be told. */
static find find_where(const char *name)
{
    find f = {.name = name};
    (void)look_until_it_waits(name);
    hank_ns give_up = hank_now() + (HK_FRAMES_KEPT ? HANK_SEC(20) : 0);
    do { /* it may be on its stack still */
        (void)hank_yield();
        f = (find){.name = name};
        (void)hank_visit_tasks(look_at_stack, &f);
    } while (f.frames == 0 && hank_now() < give_up);
    CHECK(f.frames > 0 || !HK_FRAMES_KEPT);
    return f;
}

WAITS static int wait_here(void *arg)
{
    int rc = start_and_wait(arg);
    __asm__ volatile("" : : : "memory"); /* not a tail call, here and below */
    return rc;
}

CALLS static int call_that(void *arg)
{
    int rc = wait_here(arg);
    __asm__ volatile("" : : : "memory");
    return rc;
}

static int sees_where(void *arg)
{
    hank_fn fn = *(hank_fn *)arg;
    flag started = 0;
    hank_task t = hank_spawn_with(fn, &started, .name = "lost");
    YIELD_UNTIL(is_set(&started));
    find f = find_where("lost");
    CHECK(!HK_FRAMES_KEPT || (f.waits == 1 && f.calls == 1));
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    return 0;
}

Test(stacks, tell_where_a_task_waits_and_who_called_that)
{
    hank_fn fn = call_that;
    with_each_size(sees_where, &fn);
}

WAITS static int await_child(void *arg)
{
    int rc = hank_await(hank_spawn_with(call_that, arg, .name = "lost"));
    __asm__ volatile("" : : : "memory");
    return rc;
}

static int sees_the_child(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn(await_child, &started);
    YIELD_UNTIL(is_set(&started));
    find f = find_where("lost"); /* called by its parent, or run by a thief */
    CHECK(!HK_FRAMES_KEPT || (f.calls == 1 && f.waits >= 1));
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    return 0;
}

Test(stacks, tell_where_a_child_waits_that_its_parent_has_called)
{
    with_each_size(sees_the_child, NULL);
}

WAITS static int go_deep(flag *started, int depth)
{
    int rc = depth > 0 ? go_deep(started, depth - 1) : start_and_wait(started);
    __asm__ volatile("" : : : "memory");
    return rc;
}

static int wait_deep(void *arg)
{
    return go_deep(arg, 100);
}

static int sees_the_innermost(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn_with(wait_deep, &started, .name = "deep");
    YIELD_UNTIL(is_set(&started));
    find f = find_where("deep");
    CHECK(!HK_FRAMES_KEPT || (f.frames == 32 && f.waits > 16 && f.waits < 32));
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    return 0;
}

Test(stacks, tell_the_innermost_32_calls)
{
    with_each_size(sees_the_innermost, NULL);
}

static int sees_no_stack(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn_with(yield_until_stopped, &started, .name = "restless");
    YIELD_UNTIL(is_set(&started));
    find f = {.name = "restless"};
    (void)hank_visit_tasks(look_at_stack, &f);
    CHECK(f.frames == 0);
    CHECK(hank_cancel(t) == 0);
    return hank_await(t);
}

Test(stacks, are_not_told_of_a_task_that_does_not_wait)
{
    with_each_size(sees_no_stack, NULL);
}

/* --- the stacks as text ---------------------------------------------------------------------- */

static char text[1 << 16];

static void dump_into_text(void)
{
    char path[] = "/tmp/hank-stacks-XXXXXX";
    int fd = mkstemp(path);
    (void)unlink(path);
    hank_dump_stacks(fd);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)close(fd);
}

/* How many indented lines follow the line that begins with `name`; each has an address. */
static int calls_below(const char *name)
{
    const char *line = strstr(text, name);
    int calls = 0;
    while (line && (line = strchr(line, '\n')) != NULL && *++line == ' ') {
        CHECK(strstr(line, "[0x") != NULL && strstr(line, "[0x") < strchr(line, '\n'));
        calls++;
    }
    return calls;
}

static int dumps_stacks(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn_with(call_that, &started, .name = "dumped");
    YIELD_UNTIL(is_set(&started));
    find f = find_where("dumped");
    dump_into_text();
    CHECK(strstr(text, "dumped") != NULL && strstr(text, "waiting  for sleep") != NULL);
    CHECK(calls_below("dumped") == (int)f.frames);
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    hank_dump_stacks(-1); /* what cannot be written is dropped */
    return 0;
}

Test(stacks, as_text_are_a_line_for_each_call_below_the_task_that_waits)
{
    with_each_size(dumps_stacks, NULL);
    dump_into_text();
    cr_expect_str_empty(text, "no program runs");
}
