/* SPDX-License-Identifier: MIT */
/* timers.c - the pairing heap: a tree in which every parent is due no later than its children.
 *
 *     root(3)                 child: first child only; the others hang on `sibling`
 *       |
 *       5 -- 9 -- 4           `before` points back: 4 -> 9 -> 5 -> root
 *            |
 *            12
 *
 * Adding compares with the root and is done. Taking the root out leaves its children, which are
 * merged in two passes: neighbours in pairs from left to right, then the pairs from right to left;
 * that order is what makes it O(log n) amortised. A root may have a million children, so both
 * passes are loops: the first leaves the pairs in a list in reverse, which the second eats.
 *
 * Who may touch a timer: while `heap` is set, whoever holds that heap's lock; while it is NULL, the
 * timer's owner. So clearing `heap` is the *last* thing expiry does to a timer: the moment it is
 * NULL the frame it lies in may be gone. */
#include "reactor/timers.h"

#include <errno.h>

#include "base/check.h"
#include "reactor/reactor.h"

/* The later of two trees becomes the first child of the other. Neither is linked to siblings.
 * `a` stays on top if both are due at the same time. */
static hk_timer *link_trees(hk_timer *a, hk_timer *b)
{
    if (b->deadline < a->deadline) {
        hk_timer *t = a;
        a = b;
        b = t;
    }
    b->sibling = a->child;
    if (a->child)
        a->child->before = b;
    b->before = a;
    a->child = b;
    return a;
}

/* Make one tree of a list of siblings. NULL is no tree. */
static hk_timer *merge_siblings(hk_timer *first)
{
    hk_timer *pairs = NULL; /* linked by sibling, last pair first */
    while (first) {
        hk_timer *a = first, *b = a->sibling;
        first = b ? b->sibling : NULL;
        if (first) /* the next pair's memory is most likely cold: ask for it now */
            __builtin_prefetch(first->sibling);
        a->sibling = NULL;
        if (b)
            a = link_trees(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    hk_timer *tree = pairs;
    if (!tree)
        return NULL;
    pairs = tree->sibling;
    while (pairs) {
        hk_timer *next = pairs->sibling;
        tree = link_trees(pairs, tree);
        pairs = next;
    }
    tree->sibling = NULL;
    tree->before = NULL;
    return tree;
}

/* Take `t` and its subtree out of the list of its siblings. */
static void cut(hk_timer *t)
{
    if (t->before->child == t)
        t->before->child = t->sibling;
    else
        t->before->sibling = t->sibling;
    if (t->sibling)
        t->sibling->before = t->before;
}

static void set_root(hk_timers *h, hk_timer *root)
{
    h->root = root;
    /* Relaxed: whoever adds the earliest interrupts the owner, and that orders the two. */
    hk_store_relaxed(&h->earliest, root ? root->deadline : INT64_MAX);
}

static void unlink_timer(hk_timers *h, hk_timer *t)
{
    hk_timer *children = merge_siblings(t->child);
    if (t == h->root) {
        set_root(h, children);
        return;
    }
    cut(t);
    if (children)
        h->root = link_trees(h->root, children); /* never due before the root: they were below it */
}

void hk_timers_init(hk_timers *h)
{
    *h = (hk_timers){0};
    hk_store_relaxed(&h->earliest, INT64_MAX); /* nobody else knows the heap yet */
}

bool hk_timers_add(hk_timers *h, hk_timer *t, int64_t deadline, hk_ticket ticket)
{
    HK_DCHECK(hk_load_relaxed(&t->heap) == NULL); /* relaxed: idle, so it is the caller's alone */
    t->child = t->sibling = t->before = NULL;
    t->deadline = deadline;
    t->ticket = ticket;

    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    hk_store_relaxed(&t->heap, h); /* relaxed: only the timer's owner asks, and it is here */
    bool is_first = deadline < hk_load_relaxed(&h->earliest); /* relaxed: written under the lock */
    hk_timer *root = h->root ? link_trees(h->root, t) : t;
    if (root != h->root)
        set_root(h, root);
    hk_lock_drop(&h->lock);
    return is_first;
}

bool hk_timers_remove(hk_timer *t)
{
    /* [timer:due] acquire: expiry has finished with the timer. */
    hk_timers *h = hk_load_acquire(&t->heap);
    if (!h)
        return false;
    /* It may become due right now, on the thread of whoever polls; but only under this lock, and
     * only its owner (which is here) could put it into another heap. */
    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    bool was_armed = hk_load_relaxed(&t->heap) == h; /* relaxed: written under the lock */
    if (was_armed) {
        unlink_timer(h, t);
        hk_store_relaxed(&t->heap, (hk_timers *)NULL);
    }
    hk_lock_drop(&h->lock);
    return was_armed;
}

void hk_timers_expire(hk_timers *h, int64_t now, struct hk_ready *ready, int *n, int max)
{
    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    while (h->root && h->root->deadline <= now && *n < max) {
        hk_timer *t = h->root;
        ready[(*n)++] = (hk_ready){t->ticket, -ETIMEDOUT};
        unlink_timer(h, t);
        /* [timer:due] release: the last touch; from here on its owner may do with it as it likes. */
        hk_store_release(&t->heap, (hk_timers *)NULL);
    }
    hk_lock_drop(&h->lock);
}

/* The next in preorder, without a stack: climbing goes back along the siblings to the parent. */
static hk_timer *next_in_walk(hk_timer *t)
{
    if (t->child)
        return t->child;
    while (!t->sibling) {
        while (t->before && t->before->child != t)
            t = t->before;
        if (!t->before)
            return NULL;
        t = t->before;
    }
    return t->sibling;
}

void hk_timers_check(hk_timers *h)
{
    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    HK_CHECK(hk_load_relaxed(&h->earliest) == (h->root ? h->root->deadline : INT64_MAX));
    HK_CHECK(!h->root || (!h->root->sibling && !h->root->before));
    for (hk_timer *t = h->root; t; t = next_in_walk(t)) {
        HK_CHECK(hk_load_relaxed(&t->heap) == h); /* relaxed: under the lock */
        for (hk_timer *c = t->child, *before = t; c; before = c, c = c->sibling) {
            HK_CHECK(c->before == before);
            HK_CHECK(c->deadline >= t->deadline);
        }
    }
    hk_lock_drop(&h->lock);
}
