/* SPDX-License-Identifier: MIT */
/* epoll.c - readiness as Linux tells it.
 *
 * A watch joins a descriptor's file to an epoll. Each wake-up of the file puts its watches on their
 * epolls' lists of what to look at; a wait asks the files there what is true now, in drawn order,
 * and takes edge-triggered watches off. Sometimes it leaves some for the next wait, as a kernel
 * does that is interrupted by the news.
 *
 * A watch lives as long as the *file*: a descriptor that was closed while a copy of it is open
 * still reports. */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#include "base/os.h"
#include "sim/sim.h"

typedef struct epoll {
    hk_sim_file file;
    hk_node watches;
    hk_node news; /* watches whose file had a wake-up */
} epoll;

typedef struct watch {
    hk_node of_file;
    hk_node of_epoll;
    hk_node of_news;
    epoll *epoll;
    hk_sim_file *file;
    int fd;
    uint32_t events;
    uint64_t data;
} watch;

static void drop(watch *w)
{
    hk_list_remove(&w->of_file);
    hk_list_remove(&w->of_epoll);
    if (hk_node_linked(&w->of_news))
        hk_list_remove(&w->of_news);
    hk_sim_free(w, sizeof *w);
}

void hk_sim_watches_drop(hk_sim_file *f)
{
    hk_node *node;
    while ((node = hk_list_first(&f->watches)) != NULL)
        drop(hk_container_of(node, watch, of_file));
}

static void tell(watch *w)
{
    if (!hk_node_linked(&w->of_news))
        hk_list_push_back(&w->epoll->news, &w->of_news);
    hk_sim_changed(&w->epoll->file, EPOLLIN); /* an epoll can be watched too */
    (void)hk_sim_wake(w->epoll, INT_MAX);
}

void hk_sim_watches_tell(hk_sim_file *f, unsigned bits)
{
    if (hk_list_empty(&f->watches))
        return;
    for (hk_node *at = f->watches.next; at != &f->watches; at = at->next) {
        watch *w = hk_container_of(at, watch, of_file);
        if (w->events & (bits | EPOLLERR | EPOLLHUP) & ~(unsigned)(EPOLLET | EPOLLONESHOT))
            tell(w);
    }
}

static unsigned true_now(const watch *w)
{
    unsigned ready = w->file->kind->ready ? w->file->kind->ready(w->file) : 0;
    return ready & (w->events | EPOLLERR | EPOLLHUP);
}

/* --- the file ------------------------------------------------------------------------------ */

static unsigned epoll_ready(hk_sim_file *f)
{
    epoll *e = (epoll *)f;
    if (hk_list_empty(&e->news))
        return 0;
    for (hk_node *at = e->news.next; at != &e->news; at = at->next)
        if (true_now(hk_container_of(at, watch, of_news)))
            return EPOLLIN;
    return 0;
}

static void epoll_gone(hk_sim_file *f)
{
    epoll *e = (epoll *)f;
    hk_node *node;
    while ((node = hk_list_first(&e->watches)) != NULL)
        drop(hk_container_of(node, watch, of_epoll));
    hk_sim_free(e, sizeof *e);
}

static const hk_sim_kind epolls = {NULL, NULL, epoll_ready, epoll_gone};

static epoll *epoll_of(int fd)
{
    hk_sim_file *f = hk_sim_file_of(fd);
    return f && f->kind == &epolls ? (epoll *)f : NULL;
}

int hk_os_epoll_create(void)
{
    hk_sim_call();
    epoll *e = hk_sim_new(sizeof *e);
    e->file.kind = &epolls;
    hk_list_init(&e->watches);
    hk_list_init(&e->news);
    int fd = hk_sim_install(&e->file);
    if (fd < 0)
        hk_sim_free(e, sizeof *e);
    hk_sim_note("epoll_create", fd, 0);
    return fd;
}

/* --- control ------------------------------------------------------------------------------- */

static watch *find(epoll *e, int fd, const hk_sim_file *f)
{
    for (hk_node *at = e->watches.next; at != &e->watches; at = at->next) {
        watch *w = hk_container_of(at, watch, of_epoll);
        if (w->fd == fd && w->file == f)
            return w;
    }
    return NULL;
}

static int add(epoll *e, int fd, hk_sim_file *f)
{
    if (!f->kind->ready)
        return -EPERM; /* a regular file */
    watch *w = hk_sim_new(sizeof *w);
    w->epoll = e;
    w->file = f;
    w->fd = fd;
    hk_list_push_back(&f->watches, &w->of_file);
    hk_list_push_back(&e->watches, &w->of_epoll);
    return 0;
}

static int control(epoll *e, int operation, int fd, const struct epoll_event *event)
{
    hk_sim_file *f = hk_sim_file_of(fd);
    if (!e || !f)
        return -EBADF;
    if (f == &e->file)
        return -EINVAL;
    watch *w = find(e, fd, f);
    if (operation == EPOLL_CTL_ADD ? w != NULL : w == NULL)
        return w ? -EEXIST : -ENOENT;
    if (operation == EPOLL_CTL_DEL) {
        drop(w);
        return 0;
    }
    int rc = operation == EPOLL_CTL_ADD ? add(e, fd, f) : 0;
    if (rc < 0)
        return rc;
    w = find(e, fd, f);
    w->events = event->events;
    w->data = event->data.u64;
    if (true_now(w))
        tell(w);
    return 0;
}

int hk_os_epoll_ctl(int fd, int operation, int of, struct epoll_event *event)
{
    hk_sim_call();
    int rc = control(epoll_of(fd), operation, of, event);
    hk_sim_note("epoll_ctl", of, rc);
    return rc;
}

/* --- waiting ------------------------------------------------------------------------------- */

static watch *any_news(epoll *e, uint32_t n)
{
    hk_node *at = e->news.next;
    for (uint32_t skip = hk_sim_below(n); skip > 0; skip--)
        at = at->next;
    return hk_container_of(at, watch, of_news);
}

static int collect(epoll *e, struct epoll_event *ret_events, int max)
{
    uint32_t news_n = 0;
    int n = 0;
    for (hk_node *at = e->news.next; at != &e->news; at = at->next)
        news_n++;
    hk_node again; /* level-triggered: looked at again next time */
    hk_list_init(&again);
    for (; news_n > 0 && n < max; news_n--) {
        watch *w = any_news(e, news_n);
        unsigned bits = true_now(w);
        hk_list_remove(&w->of_news);
        if (bits == 0)
            continue;
        ret_events[n++] = (struct epoll_event){.events = bits, .data.u64 = w->data};
        if (w->events & EPOLLONESHOT)
            w->events = 0;
        else if (!(w->events & EPOLLET))
            hk_list_push_back(&again, &w->of_news);
        if (hk_sim_chance(20)) /* the rest comes too late for this call */
            break;
    }
    for (hk_node *node; (node = hk_list_pop_front(&again)) != NULL;)
        hk_list_push_back(&e->news, node);
    return n;
}

int hk_os_epoll_wait(int fd, struct epoll_event *ret_events, int max, int64_t timeout_ns)
{
    hk_sim_call();
    epoll *e = epoll_of(fd);
    if (!e)
        return -EBADF;
    int64_t until = HK_SIM_NEVER;
    if (timeout_ns > 0)
        until = hk_sim_now() + timeout_ns + hk_sim_between(0, hk_sim_temper_now.late_max);
    int n = collect(e, ret_events, max);
    if (n == 0 && timeout_ns != 0 && hk_sim_chance(hk_sim_temper_now.interrupts))
        n = -EINTR;
    while (n == 0 && timeout_ns != 0) {
        bool woken = hk_sim_wait(e, "epoll_wait", until);
        n = collect(e, ret_events, max);
        if (!woken)
            break;
    }
    hk_sim_note("epoll_wait", fd, n);
    return n;
}
