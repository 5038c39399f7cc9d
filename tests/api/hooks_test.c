/* SPDX-License-Identifier: MIT */
/* hooks_test.c - what hooks are told of tasks, and the tree of them. */
#include "api/thread_support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

enum { SEEN_MAX = 256 };

/* What was announced and what has ended, by id. */
static struct {
    HK_ATOMIC(int) spawned[SEEN_MAX], finished[SEEN_MAX];
    HK_ATOMIC(int) spawns, finishes, failures;
    HK_ATOMIC(int) result;
    HK_ATOMIC(const void *) site;
} seen;

static void note_spawn(void *context, const hank_task_info *task)
{
    (void)context;
    CHECK(task->id > 0 && task->name != NULL && task->fn != NULL);
    if (task->id < SEEN_MAX)
        (void)hk_add_relaxed(&seen.spawned[task->id], 1);
    (void)hk_add_acqrel(&seen.spawns, 1);
}

static void note_finish(void *context, const hank_task_info *task, int result)
{
    (void)context;
    if (task->id < SEEN_MAX) {
        CHECK(hk_load_relaxed(&seen.spawned[task->id]) == 1);
        (void)hk_add_relaxed(&seen.finished[task->id], 1);
    }
    if (strcmp(task->name, "marked") == 0)
        hk_store_relaxed(&seen.result, result);
    (void)hk_add_acqrel(&seen.finishes, 1);
}

static void note_failure(void *context, const hank_failure *failure)
{
    (void)context;
    CHECK(failure->result == -EIO);
    CHECK(strcmp(failure->name, "loser") == 0 || strncmp(failure->name, "fn@0x", 5) == 0);
    hk_store_relaxed(&seen.site, failure->spawned_at);
    (void)hk_add_acqrel(&seen.failures, 1);
}

static void forget(void)
{
    memset(&seen, 0, sizeof seen);
    hk_store_relaxed(&failed_checks, 0);
}

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

static int all_kinds(void *arg)
{
    (void)arg;
    hank_group g = {0};
    int n = 5;
    CHECK(hank_await(hank_spawn(give_back, number(1))) == 1);
    CHECK(hank_await(hank_spawn_with(give_back, number(-77), .name = "marked")) == -77);
    CHECK(hank_group_spawn(&g, yield_once, NULL) == 0);
    CHECK(hank_group_spawn_copy(&g, yield_once, &n, sizeof n) == 0);
    CHECK(hank_group_wait(&g) == 0 || true); /* yield_once returns its argument: an address */
    hank_task t = hank_spawn(give_back, NULL);
    CHECK(hank_cancel(t) == 0); /* it may never run */
    (void)hank_await(t);
    CHECK(hank_detach(hank_spawn(yield_once, NULL)) == 0);
    CHECK(hank_await(hank_spawn_into(hank_runtime_current(), give_back, NULL, NULL)) == 0);
    (void)hank_timer_cancel(hank_call_later(HANK_SEC(100), give_back, NULL));
    leave(hank_spawn(yield_once, NULL));
    return 0;
}

Test(hooks, announce_every_task_once_and_its_end_once)
{
    static const hank_hooks hooks = {.on_spawn = note_spawn, .on_finish = note_finish};
    for (EACH_SIZE(i)) {
        forget();
        cr_expect_eq(hank_run_with(all_kinds, NULL, .workers = sizes[i], .hooks = &hooks), 0);
        int spawns = hk_load_relaxed(&seen.spawns);
        cr_expect_eq(spawns, 11, "%d: nine, main, and who runs main", spawns);
        cr_expect_eq(hk_load_relaxed(&seen.finishes), spawns);
        for (int id = 1; id <= spawns; id++) {
            cr_expect_eq(hk_load_relaxed(&seen.spawned[id]), 1);
            cr_expect_eq(hk_load_relaxed(&seen.finished[id]), 1);
        }
        cr_expect_eq(hk_load_relaxed(&seen.result), -77);
        cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
    }
}

#if HK_FAULTS

static int have_no_stack(void *arg)
{
    (void)arg;
    hk_fault_plan(HK_FAULT_MAP, 1, -ENOMEM);
    hank_task t = hank_spawn_with(give_back, NULL, .stack_size = 16 << 20, .name = "marked");
    int rc = hank_await(t);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    return hit && rc == -ENOMEM ? 0 : -EPROTO;
}

Test(hooks, are_told_of_the_end_of_a_task_for_which_there_was_no_stack)
{
    static const hank_hooks hooks = {.on_spawn = note_spawn, .on_finish = note_finish};
    forget();
    cr_expect_eq(hank_run_with(have_no_stack, NULL, .workers = 1, .hooks = &hooks), 0);
    cr_expect_eq(hk_load_relaxed(&seen.finishes), hk_load_relaxed(&seen.spawns));
    cr_expect_eq(hk_load_relaxed(&seen.result), -ENOMEM);
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

#endif

static int fail_in_each_way(void *arg)
{
    (void)arg;
    CHECK(hank_detach(hank_spawn_with(fail, NULL, .name = "loser")) == 0);
    CHECK(hank_detach(hank_spawn_into(hank_runtime_current(), fail, NULL, NULL)) == 0);
    (void)hank_call_soon(fail, NULL);
    YIELD_UNTIL(hk_load_acquire(&seen.failures) == 3);
    CHECK(hank_await(hank_spawn(fail, NULL)) == -EIO); /* somebody asks: no report */
    leave(hank_spawn_with(fail, NULL, .name = "loser"));
    return 0;
}

Test(hooks, are_told_of_each_failure_that_nobody_awaits_once)
{
    static const hank_hooks hooks = {.on_failure = note_failure};
    for (EACH_SIZE(i)) {
        forget();
        cr_expect_eq(hank_run_with(fail_in_each_way, NULL, .workers = sizes[i], .hooks = &hooks),
                     0);
        cr_expect_eq(hk_load_relaxed(&seen.failures), 4);
        cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
    }
}

/* --- slow tasks ---------------------------------------------------------------------------- */

static HK_ATOMIC(int) slow_reports;

static void note_slow(void *context, const hank_task_info *task, hank_ns busy)
{
    if (strcmp(task->name, "hog") != 0)
        return; /* on a busy machine a worker stands still in others, too */
    CHECK(busy >= HANK_MS(20));
    CHECK(context == &slow_reports);
    (void)hk_add_acqrel(&slow_reports, 1);
}

/* It yields first: a stretch in which whoever called it was held up may have been told already. */
static int compute_until_reported(void *arg)
{
    int wanted = (int)(intptr_t)arg;
    (void)hank_yield();
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (hk_load_acquire(&slow_reports) < wanted && hank_now() < give_up)
        continue;
    return hk_load_acquire(&slow_reports) == wanted ? 0 : -ETIME;
}

static int hogs(void *arg)
{
    for (int i = 1; i <= 2; i++) {
        CHECK(hank_await(hank_spawn_with(compute_until_reported, number(i), .name = "hog")) == 0);
        CHECK(hank_sleep(HANK_MS(1)) == 0); /* others have their turn: the stretch is over */
    }
    (void)arg;
    return 0;
}

Test(hooks, are_told_while_a_task_computes_too_long)
{
    static const hank_hooks hooks = {.on_slow = note_slow, .context = &slow_reports};
    for (EACH_SIZE(i)) {
        forget();
        hk_store_relaxed(&slow_reports, 0);
        cr_expect_eq(hank_run_with(hogs, NULL, .workers = sizes[i], .hooks = &hooks,
                                   .slow_task = HANK_MS(20)),
                     0);
        cr_expect_geq(hk_load_relaxed(&slow_reports), 2);
        cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
    }
}

static int nap(void *arg)
{
    (void)arg;
    (void)hank_yield(); /* not called by who awaits it */
    return hank_sleep(HANK_MS(100));
}

static int sleep_long(void *arg)
{
    (void)arg;
    return hank_await(hank_spawn_with(nap, NULL, .name = "hog"));
}

Test(hooks, are_not_told_of_tasks_that_wait)
{
    static const hank_hooks hooks = {.on_slow = note_slow, .context = &slow_reports};
    hk_store_relaxed(&slow_reports, 0);
    cr_expect_eq(hank_run_with(sleep_long, NULL, .hooks = &hooks, .slow_task = HANK_MS(50)), 0);
    cr_expect_eq(hk_load_relaxed(&slow_reports), 0);
}

/* --- where a slow task is ------------------------------------------------------------------ */

/* Sections of their own, so that it can be told whose an address is. Asking for the frame's address
 * keeps the frame pointer; the spinning one calls nobody, so that it is always there. */
#define SPINS __attribute__((noinline, section("spins_here")))
#define CALLS __attribute__((noinline, section("calls_it_here")))
extern const char __start_spins_here[], __stop_spins_here[];
extern const char __start_calls_it_here[], __stop_calls_it_here[];

enum { SPINS_MAX = 100 };
static HK_ATOMIC(int) told_stacks, found_spinning, found_calling, own_urgent;

static bool is_within(const void *address, const char *start, const char *stop)
{
    return (uintptr_t)address >= (uintptr_t)start && (uintptr_t)address < (uintptr_t)stop;
}

static void note_stack(void *context, const hank_task_info *task, hank_ns busy)
{
    (void)context, (void)busy;
    if (strcmp(task->name, "hog") != 0)
        return;
    CHECK((task->stack == NULL) == (task->stack_frames == 0));
    if (task->stack_frames > 0 &&
        is_within(task->stack[0], __start_spins_here, __stop_spins_here)) {
        hk_store_relaxed(&found_spinning, 1);
        if (task->stack_frames > 1 &&
            is_within(task->stack[1], __start_calls_it_here, __stop_calls_it_here))
            hk_store_relaxed(&found_calling, 1);
    }
    (void)hk_add_acqrel(&told_stacks, 1);
}

SPINS static void spin_until_told(int wanted)
{
    __asm__ volatile("" : : "r"(__builtin_frame_address(0)));
    for (uint64_t i = 0; i < UINT64_C(1) << 34; i++)
        if (hk_load_acquire(&told_stacks) >= wanted)
            break;
}

CALLS static int spin(void *arg)
{
    __asm__ volatile("" : : "r"(__builtin_frame_address(0)));
    (void)hank_yield(); /* a stretch of its own */
    spin_until_told((int)(intptr_t)arg);
    __asm__ volatile("" : : : "memory"); /* not a tail call */
    return 0;
}

/* A thread that gets no CPU for a while does not answer in time: then it is asked again. */
static int spins(void *arg)
{
    int most = (int)(intptr_t)arg;
    for (int i = 1; i <= most && !hk_load_acquire(&found_calling); i++) {
        CHECK(hank_await(hank_spawn_with(spin, number(i), .name = "hog")) == 0);
        CHECK(hk_load_acquire(&told_stacks) >= i);
        CHECK(hank_sleep(HANK_MS(1)) == 0); /* the stretch is over */
    }
    return 0;
}

static void run_spins(int most, size_t workers)
{
    static const hank_hooks hooks = {.on_slow = note_stack};
    forget();
    hk_store_relaxed(&told_stacks, 0);
    hk_store_relaxed(&found_spinning, 0);
    hk_store_relaxed(&found_calling, 0);
    cr_expect_eq(hank_run_with(spins, number(most), .workers = (unsigned)workers, .hooks = &hooks,
                               .slow_task = HANK_MS(5)),
                 0);
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

Test(hooks, are_told_where_a_slow_task_is_and_who_called_that)
{
    struct sigaction after;
    if (HK_TSAN || HK_EMULATED)
        cr_skip_test("what runs us keeps a signal back until its thread asks for something");
    for (EACH_SIZE(i)) {
        run_spins(SPINS_MAX, sizes[i]);
        cr_expect_eq(hk_load_relaxed(&found_spinning), 1);
        cr_expect_eq(hk_load_relaxed(&found_calling), 1);
        cr_expect_eq(sigaction(SIGURG, NULL, &after), 0);
        cr_expect(after.sa_handler == SIG_DFL, "the signal is the program's again");
    }
}

static void note_urgent(int signo)
{
    (void)signo;
    (void)hk_add_relaxed(&own_urgent, 1);
}

Test(hooks, leave_a_signal_that_the_program_uses_alone_and_do_without_the_stack)
{
    struct sigaction own = {0}, after;
    own.sa_handler = note_urgent;
    cr_assert_eq(sigaction(SIGURG, &own, NULL), 0);
    for (EACH_SIZE(i)) {
        run_spins(3, sizes[i]);
        cr_expect_geq(hk_load_relaxed(&told_stacks), 3, "it is told all the same");
        cr_expect_eq(hk_load_relaxed(&found_spinning), 0);
    }
    cr_expect_eq(hk_load_relaxed(&own_urgent), 0);
    cr_expect_eq(sigaction(SIGURG, NULL, &after), 0);
    cr_expect(after.sa_handler == note_urgent);
}

/* --- the tree ------------------------------------------------------------------------------ */

static char text[1 << 16];

static void dump_into_text(void)
{
    char path[] = "/tmp/hank-tree-XXXXXX";
    int fd = mkstemp(path);
    (void)unlink(path);
    hank_dump_tree(fd);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)close(fd);
}

/* How far the line of `name` is indented; -1: there is none. */
static int indent_of(const char *name)
{
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        int indent = (int)strspn(line, " ");
        if (strncmp(line + indent, name, strlen(name)) == 0)
            return indent;
        if (!strchr(line, '\n'))
            break;
    }
    return -1;
}

static int father(void *arg)
{
    hank_group g = {0};
    CHECK(hank_group_spawn(&g, start_and_wait, arg) == 0);
    leave(hank_spawn_with(start_and_wait, arg, .name = "son"));
    leave(hank_spawn_with(start_and_wait, arg, .name = "daughter"));
    return hank_group_wait(&g);
}

static int plant(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn_with(father, &started, .name = "father");
    YIELD_UNTIL(hk_load_acquire(&started) == 3);
    dump_into_text();
    int root = indent_of("main");
    CHECK(root >= 0 && indent_of("father") > root);
    CHECK(indent_of("son") == indent_of("father") + 2);
    CHECK(indent_of("daughter") == indent_of("father") + 2);
    CHECK(indent_of("group 0x") == 0 && strstr(text, "\n  fn@0x") != NULL);
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    dump_into_text();
    CHECK(indent_of("father") == -1 && indent_of("son") == -1);
    hank_dump_tree(-1); /* what cannot be written is dropped */
    return 0;
}

Test(tree, shows_children_below_their_parents_and_members_below_their_group)
{
    with_each_size(plant, NULL);
    dump_into_text();
    cr_expect_str_empty(text, "no program runs");
}

static int crowd(void *arg)
{
    enum { N = 2000 };
    static hank_task tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = hank_spawn(yield_once, NULL);
    for (int i = 0; i < 5; i++)
        hank_dump_tree(*(int *)arg);
    return hank_gather_n(tasks, N, NULL);
}

Test(tree, may_be_dumped_while_many_tasks_come_and_go)
{
    int null = open("/dev/null", O_WRONLY);
    with_each_size(crowd, &null);
    (void)close(null);
}
