/* SPDX-License-Identifier: MIT */
/* local_test.c - task-locals: what a task sees, what its children inherit. asyncio's contextvars.
 */
#include "api/compose_support.h"
#include "last_words.h"

enum { KEYS = 40, ROUNDS = 200 };

static const hank_local color = {.initial = NULL};
static const hank_local shape = {.initial = (void *)77};

static intptr_t read_color(void)
{
    return (intptr_t)hank_local_get(&color);
}

static int return_color(void *arg)
{
    (void)arg;
    return (int)read_color();
}

static int without_a_scope(void *arg)
{
    (void)arg;
    MUST(hank_local_get(&color) == NULL);
    MUST(hank_local_get(&shape) == number(77));
    MUST(hank_await(hank_spawn(return_color, NULL)) == 0);
    return 0;
}
EACH(local, that_nobody_set_is_its_initial_value, without_a_scope)

static int in_a_scope(void *arg)
{
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &color, number(3));
    MUST(read_color() == 3 && hank_local_get(&shape) == number(77));
    hank_local_end(&s);
    MUST(read_color() == 0);
    return 0;
}
EACH(local, is_set_from_begin_to_end_of_its_scope, in_a_scope)

static int nested(void *arg)
{
    hank_local_scope a, b, c;
    (void)arg;
    hank_local_begin(&a, &color, number(1));
    hank_local_begin(&b, &shape, number(2));
    hank_local_begin(&c, &color, number(3));
    MUST(read_color() == 3 && hank_local_get(&shape) == number(2));
    hank_local_end(&c);
    MUST(read_color() == 1 && hank_local_get(&shape) == number(2));
    hank_local_end(&b);
    MUST(read_color() == 1 && hank_local_get(&shape) == number(77));
    hank_local_end(&a);
    MUST(read_color() == 0);
    return 0;
}
EACH(local, scopes_nest_and_the_innermost_counts, nested)

static int set_to_null(void *arg)
{
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &shape, NULL);
    MUST(hank_local_get(&shape) == NULL); /* and not the initial value */
    hank_local_end(&s);
    return 0;
}
EACH(local, may_be_set_to_NULL, set_to_null)

static int across_waits(void *arg)
{
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &color, number(5));
    for (int i = 0; i < 20; i++) {
        MUST(hank_sleep(1) == 0 && hank_yield() == 0);
        MUST(read_color() == 5); /* on whatever thread */
    }
    hank_local_end(&s);
    return 0;
}
EACH(local, stays_with_the_task_when_it_changes_threads, across_waits)

/* --- inheritance ----------------------------------------------------------------------------- */

static int inherit(void *arg)
{
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &color, number(4));
    hank_task child = hank_spawn(return_color, NULL);
    hank_task named = hank_spawn_with(return_color, NULL, .name = "named");
    hank_local_end(&s);
    hank_task later = hank_spawn(return_color, NULL);
    MUST(hank_await(child) == 4 && hank_await(named) == 4 && hank_await(later) == 0);
    return 0;
}
EACH(local, is_inherited_as_it_is_at_the_spawn, inherit)

static int wait_and_return_color(void *gate)
{
    int rc = hank_event_wait(gate);
    return rc < 0 ? rc : (int)read_color();
}

static int change_afterwards(void *arg)
{
    hank_local_scope a, b;
    hank_event gate = {0};
    (void)arg;
    hank_local_begin(&a, &color, number(1));
    hank_task child = hank_spawn(wait_and_return_color, &gate);
    hank_local_begin(&b, &color, number(2));
    hank_event_set(&gate);
    MUST(hank_await(child) == 1);
    hank_local_end(&b);
    hank_local_end(&a);
    return 0;
}
EACH(local, set_by_the_parent_after_the_spawn_is_not_seen_by_the_child, change_afterwards)

static int set_and_spawn(void *arg)
{
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &color, number(read_color() + 10));
    int grandchild = hank_await(hank_spawn(return_color, NULL));
    (void)hank_yield();
    hank_local_end(&s);
    return grandchild * 100 + (int)read_color();
}

static int down_the_tree(void *arg)
{
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &color, number(1));
    MUST(hank_await(hank_spawn(set_and_spawn, NULL)) == 1101);
    MUST(read_color() == 1); /* what the child set is its own */
    hank_local_end(&s);
    return 0;
}
EACH(local, set_by_a_child_is_its_own_and_its_childrens, down_the_tree)

static int two_siblings(void *arg)
{
    hank_local_scope s;
    hank_task tasks[ROUNDS];
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_local_begin(&s, &color, number(i));
        tasks[i] = hank_spawn(i % 2 ? set_and_spawn : return_color, NULL);
        hank_local_end(&s);
    }
    for (int i = 0; i < ROUNDS; i++)
        MUST(hank_await(tasks[i]) == (i % 2 ? (i + 10) * 100 + i : i));
    return 0;
}
EACH(local, of_each_of_many_siblings_is_what_it_was_spawned_with, two_siblings)

static int with_a_copy(void *arg)
{
    intptr_t *n = arg;
    return (int)(*n * 10 + read_color());
}

static int beside_a_copy(void *arg)
{
    hank_local_scope s;
    intptr_t n = 4;
    (void)arg;
    hank_local_begin(&s, &color, number(2));
    hank_task t = hank_spawn_with(with_a_copy, &n, .copy = sizeof n);
    n = 0;
    MUST(hank_await(t) == 42);
    hank_local_end(&s);
    return 0;
}
EACH(local, is_inherited_beside_a_copied_argument, beside_a_copy)

static int check_color(void *arg)
{
    return read_color() == (intptr_t)arg ? 0 : -EPROTO;
}

static int into_a_group(void *arg)
{
    hank_local_scope s;
    hank_group g = {0};
    (void)arg;
    hank_local_begin(&s, &color, number(6));
    MUST(hank_group_spawn(&g, check_color, number(6)) == 0);
    hank_local_end(&s);
    MUST(hank_group_spawn(&g, check_color, number(0)) == 0);
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(local, is_inherited_by_members_from_who_spawned_them, into_a_group)

static int detached_check(void *arg)
{
    (void)hank_yield();
    set(arg);
    return read_color() == 8 ? 0 : -EPROTO;
}

static int outlive_the_scope(void *arg)
{
    static flag ran;
    hank_local_scope s;
    (void)arg;
    hank_local_begin(&s, &color, number(8));
    hank_task t = hank_spawn(detached_check, &ran);
    hank_local_end(&s);
    return hank_detach(t); /* it has its own copy */
}

static HK_ATOMIC(int) errors;

static void count_errors(void *context, const char *name, int result)
{
    (void)context;
    (void)name;
    (void)result;
    (void)hk_add_acqrel(&errors, 1);
}

Test(local, of_a_detached_task_outlives_the_scope_it_was_set_in)
{
    static const hank_hooks hooks = {.on_error = count_errors};
    for (EACH_SIZE(i)) {
        hk_store_release(&errors, 0);
        cr_expect_eq(hank_run_with(outlive_the_scope, NULL, .workers = sizes[i], .hooks = &hooks),
                     0);
        cr_expect_eq(hk_load_acquire(&errors), 0);
    }
}

static int many_keys(void *arg)
{
    hank_local keys[KEYS] = {{0}};
    hank_local_scope scopes[2 * KEYS];
    (void)arg;
    for (int i = 0; i < KEYS; i++)
        hank_local_begin(&scopes[i], &keys[i], number(1000 + i));
    for (int i = 0; i < KEYS; i += 2) /* half of them again */
        hank_local_begin(&scopes[KEYS + i / 2], &keys[i], number(2000 + i));
    for (int i = 0; i < KEYS; i++)
        MUST(hank_local_get(&keys[i]) == number((i % 2 ? 1000 : 2000) + i));
    for (int i = KEYS + KEYS / 2; i-- > 0;)
        hank_local_end(&scopes[i]);
    for (int i = 0; i < KEYS; i++)
        MUST(hank_local_get(&keys[i]) == NULL);
    return 0;
}
EACH(local, keys_may_be_many_and_live_anywhere, many_keys)

typedef struct inherited_keys {
    hank_local keys[KEYS];
} inherited_keys;

static int check_inherited(void *arg)
{
    inherited_keys *k = arg;
    for (int i = 0; i < KEYS; i++)
        MUST(hank_local_get(&k->keys[i]) == number((i % 2 ? 1000 : 2000) + i));
    return 0;
}

static int inherit_many(void *arg)
{
    inherited_keys k = {{{0}}};
    hank_local_scope scopes[2 * KEYS];
    int n = 0;
    (void)arg;
    for (int i = 0; i < KEYS; i++)
        hank_local_begin(&scopes[n++], &k.keys[i], number(1000 + i));
    for (int i = 0; i < KEYS; i += 2)
        hank_local_begin(&scopes[n++], &k.keys[i], number(2000 + i));
    hank_task t = hank_spawn(check_inherited, &k);
    while (n-- > 0)
        hank_local_end(&scopes[n]);
    MUST(hank_await(t) == 0);
    return 0;
}
EACH(local, keys_are_inherited_with_their_innermost_values, inherit_many)

static int cancelled_before_it_began(void *arg)
{
    hank_local_scope s;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_local_begin(&s, &color, number(1));
        hank_task t = hank_spawn(return_color, NULL);
        hank_local_end(&s);
        MUST(hank_cancel(t) == 0);
        int rc = hank_await(t);
        MUST(rc == -ECANCELED || rc == 1);
    }
    return 0;
}
EACH(local, of_a_task_that_never_ran_is_freed, cancelled_before_it_began)

/* --- calls that block ------------------------------------------------------------------------- */

static int look_from_a_thread(void *arg)
{
    hank_local_scope s;
    MUST(hank_local_get(&color) == arg && hank_runtime_current() == NULL);
    hank_local_begin(&s, &color, number(5)); /* of the call's own */
    MUST(read_color() == 5 && hank_local_get(&shape) == number(77));
    hank_local_end(&s);
    return return_color(NULL);
}

static int call_with_each_kind(hank_pool *p, intptr_t expected)
{
    void *color_then = number(expected);
    MUST(hank_blocking(look_from_a_thread, color_then) == expected);
    MUST(hank_pool_call(p, look_from_a_thread, color_then) == expected);
    MUST(hank_pool_call_with(p, return_color, &p, .copy = sizeof p) == expected);
    MUST(hank_pool_call_with(p, return_color, NULL, .abandon = true) == 0); /* it may outlive us */
    return 0;
}

static int block_with_locals(void *arg)
{
    hank_pool *p;
    hank_local_scope s;
    (void)arg;
    MUST(hank_pool_new(&(hank_pool_options){.threads = 1}, &p) ==
         0); /* the same thread each time */
    for (int i = 0; i < 3; i++) {
        MUST(call_with_each_kind(p, 0) == 0);
        hank_local_begin(&s, &color, number(3));
        MUST(call_with_each_kind(p, 3) == 0);
        MUST(hank_await(hank_spawn(return_color, NULL)) == 3);
        hank_local_end(&s);
    }
    hank_pool_free(p);
    return 0;
}
EACH(local, is_seen_by_calls_that_block_and_are_waited_for, block_with_locals)

/* --- threads, and mistakes ------------------------------------------------------------------- */

Test(local, belongs_to_a_thread_outside_of_tasks)
{
    hank_local_scope s;
    cr_expect_null(hank_local_get(&color));
    hank_local_begin(&s, &color, number(9));
    cr_expect_eq(hank_local_get(&color), number(9));
    cr_expect_eq(hank_run_with(check_color, number(0), .workers = 1), 0); /* a task is no thread */
    hank_local_end(&s);
    cr_expect_null(hank_local_get(&color));
}

static int cross(void *outer)
{
    hank_local_scope inner;
    hank_local_begin(outer, &color, NULL);
    hank_local_begin(&inner, &color, NULL);
    hank_local_end(outer);
    return 0;
}

Test(local, scopes_that_cross_are_a_panic)
{
    hank_local_scope outer;
    culprit_must_panic(cross, "local scope", &outer);
}

static int return_inside(void *s)
{
    hank_local_begin(s, &color, NULL);
    return 0;
}

Test(local, scope_that_a_task_returned_inside_of_is_a_panic)
{
    hank_local_scope s;
    culprit_must_panic(return_inside, "local scope", &s);
}

static int block_and_leave_one(void *left)
{
    hank_local_scope s;
    hank_local_begin(&s, &color, number(3));
    return hank_blocking(return_inside, left);
}

/* Which is made by a thread: it is no task's. */
Test(local, scope_that_a_call_returned_inside_of_is_a_panic)
{
    hank_local_scope left;
    char words[4096], name[40];
    snprintf(name, sizeof name, "local scope %p", (void *)&left);
    read_last_words(block_and_leave_one, &left, words, sizeof words);
    cr_expect(strstr(words, name) != NULL, "%s is not in: %s", name, words);
}

static int end_it(void *s)
{
    hank_local_end(s);
    return 0;
}

static int end_it_inside_another(void *s)
{
    hank_local_scope other;
    hank_local_begin(&other, &color, NULL);
    hank_local_end(s);
    return 0;
}

static int end_it_where_one_is_inherited(void *s)
{
    hank_local_scope inherited;
    hank_local_begin(&inherited, &color, NULL);
    return by_culprit(end_it, s);
}

Test(local, scope_that_never_began_cannot_be_ended)
{
    hank_local_scope s = {{0}};
    culprit_must_panic(end_it, "local scope", &s);
    culprit_must_panic(end_it_inside_another, "local scope", &s);
    must_panic(end_it_where_one_is_inherited, "local scope", &s);
}
