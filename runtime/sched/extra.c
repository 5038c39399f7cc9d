/* SPDX-License-Identifier: MIT */
/* extra.c - copies of arguments, task-locals, done hooks.
 *
 * A child gets the values of its spawner's locals as they are at that moment, copied: a chain that
 * was shared would have to be counted, by all children on all cores, or outlive its scope. */
#include "sched/extra.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/thread.h"
#include "sched/worker.h"

typedef struct local_scope {
    hk_binding binding;
    hk_extra lent; /* if the task had none */
} local_scope;

_Static_assert(sizeof(local_scope) <= sizeof(hank_local_scope), "hank_local_scope is too small");

static hk_binding *locals_of(hk_task *t)
{
    return t && hk_task_has(t, HK_TRAIT_EXTRA) && t->extra ? t->extra->locals : NULL;
}

static hk_binding *find(hk_binding *innermost, const hank_local *key, const hk_binding *end)
{
    hk_binding *b = innermost;
    while (b != end && b->key != key)
        b = b->outer;
    return b;
}

/* --- with the task --------------------------------------------------------------------------- */

/* Bindings that no inner one hides; and copied to `into`, unless that is NULL. */
static size_t copy_visible(hk_binding *innermost, hk_binding *into)
{
    size_t n = 0;
    for (hk_binding *b = innermost; b; b = b->outer) {
        if (find(innermost, b->key, b) != b)
            continue;
        if (into)
            into[n] = (hk_binding){&into[n + 1], b->key, b->value};
        n++;
    }
    if (into)
        into[n - 1].outer = NULL;
    return n;
}

static size_t round_up(size_t bytes)
{
    return (bytes + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
}

int hk_extra_make(hk_task *t, const hk_spawn *how, hk_task *from)
{
    hk_binding *locals = locals_of(from);
    if (!locals && how->copy == 0 && !how->on_done && !how->start)
        return 0;
    size_t n = locals ? copy_visible(locals, NULL) : 0;
    size_t head = round_up(sizeof(hk_extra) + n * sizeof(hk_binding));
    hk_extra *x = hk_alloc(head + how->copy);
    if (!x)
        return -ENOMEM;
    *x = (hk_extra){.on_done = how->on_done,
                    .on_done_arg = how->on_done_arg,
                    .start = how->start,
                    .bytes = head + how->copy};
    if (n > 0) {
        x->inherited = x->locals = (hk_binding *)(void *)(x + 1);
        (void)copy_visible(locals, x->inherited);
    }
    if (how->copy > 0)
        t->arg = memcpy((char *)x + head, how->arg, how->copy);
    t->extra = x;
    hk_task_add_trait(t, HK_TRAIT_EXTRA);
    return 0;
}

void hk_extra_free(hk_task *t)
{
    if (HK_LIKELY(!hk_task_has(t, HK_TRAIT_EXTRA)) || !t->extra)
        return;
    hk_free(t->extra, t->extra->bytes);
    t->extra = NULL;
}

HK_NORETURN HK_COLD static void left_open(const char *who, const hk_binding *innermost)
{
    hk_panic("a %s returned inside local scope %p, which it had begun", who,
             (const void *)innermost); /* the first in its scope */
}

void hk_extra_end(hk_task *t, int result)
{
    hk_extra *x = t->extra;
    if (!x)
        return;
    if (x->locals != x->inherited)
        left_open("task", x->locals);
    if (x->on_done)
        x->on_done(x->on_done_arg, result);
    hk_extra_free(t);
}

/* --- the public pair ------------------------------------------------------------------------- */

static hk_task *current(void)
{
    hk_worker *w = hk_worker_self();
    return w ? w->current : NULL;
}

hk_binding *hk_runtime_locals(void)
{
    hk_task *t = current();
    if (t)
        return locals_of(t);
    hk_thread *thread = hk_thread_here();
    return thread ? thread->locals : NULL;
}

int hk_runtime_call_with(hk_binding *locals, hank_fn fn, void *arg)
{
    if (!locals)
        return fn(arg);
    if (hk_thread_prepare() < 0)
        return -ENOMEM;
    hk_thread *self = hk_thread_self();
    hk_binding *before = self->locals;
    self->locals = locals;
    int result = fn(arg);
    if (self->locals != locals)
        left_open("call", self->locals);
    self->locals = before;
    return result;
}

/* Where the innermost binding of `t`, or of the calling thread, hangs; NULL: it has none. */
static hk_binding **place_of(hk_task *t)
{
    if (!t)
        return &hk_thread_self()->locals;
    return t->extra ? &t->extra->locals : NULL;
}

void *hank_local_get(const hank_local *key)
{
    hk_binding *b = find(hk_runtime_locals(), key, NULL);
    return b ? b->value : key->initial;
}

void hank_local_begin(hank_local_scope *public, const hank_local *key, void *value)
{
    local_scope *s = (local_scope *)(void *)public;
    hk_task *t = current();
    if (t && !t->extra) {
        s->lent = (hk_extra){.bytes = 0};
        t->extra = &s->lent;
        hk_task_add_trait(t, HK_TRAIT_EXTRA);
    }
    hk_binding **place = place_of(t);
    s->binding = (hk_binding){*place, key, value};
    *place = &s->binding;
}

void hank_local_end(hank_local_scope *public)
{
    local_scope *s = (local_scope *)(void *)public;
    hk_task *t = current();
    hk_binding **place = place_of(t);
    if (!place || *place != &s->binding)
        hk_panic("local scope %p is ended, which is not the innermost one", (void *)public);
    *place = s->binding.outer;
    if (t && t->extra == &s->lent)
        t->extra = NULL;
}
