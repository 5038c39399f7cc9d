/* SPDX-License-Identifier: MIT */
/* kqueue.c - kqueue(2) emulated on epoll, as far as reactor/kqueue.c needs it.
 *
 * A queue *is* an epoll descriptor, so close(2) works on it unseen. What epoll cannot hold, the
 * two filters of a descriptor with a `udata` each, is in a table by queue and descriptor; a table
 * whose queue was closed is cleared when the number comes back. A BSD kernel drops the filters of a
 * descriptor that is closed; here a later registration under its number takes over.
 *
 * EVFILT_USER: one eventfd that is always readable, shared by all queues and edge-triggered in
 * each; to trigger is to modify its registration, which makes the kernel report it once more in
 * that queue alone, however often it was triggered.
 *
 * Known to differ from a BSD kernel: only EV_CLEAR filters; `data` is 0; an event for one filter
 * may bring a spurious one for the other; no EVFILT_TIMER, EVFILT_PROC, EVFILT_SIGNAL. */
#include <sys/event.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FDS_MAX = 4096, BATCH = 64, READ = 0, WRITE = 1, USER = FDS_MAX };

struct knote {
    bool is_active;
    void *udata;
};

/* added: how often the descriptor was added to epoll; in the kernel's hands beside its number, so
 * that what a registration of before says is dropped */
struct queue {
    struct knote notes[FDS_MAX][2];
    uint32_t added[FDS_MAX];
    struct knote user;
};

static struct queue *queues[FDS_MAX]; /* by epoll descriptor */
static int always_ready = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards both */

int kqueue(void)
{
    int queue = epoll_create1(0);
    if (queue < 0)
        return -1;
    struct queue *q = queue < FDS_MAX ? calloc(1, sizeof *q) : NULL;
    if (!q) {
        (void)close(queue);
        errno = ENOMEM;
        return -1;
    }
    pthread_mutex_lock(&lock);
    if (always_ready < 0)
        always_ready = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    free(queues[queue]);
    queues[queue] = q;
    pthread_mutex_unlock(&lock);
    return queue;
}

static uint32_t interest_of(const struct knote *notes)
{
    return (notes[READ].is_active ? EPOLLIN | EPOLLRDHUP | EPOLLET : 0u) |
           (notes[WRITE].is_active ? EPOLLOUT | EPOLLET : 0u);
}

static int control(int queue, int operation, int fd, uint32_t interest, uint64_t name)
{
    struct epoll_event event = {.events = interest, .data.u64 = name};
    return epoll_ctl(queue, operation, fd, &event) == 0 ? 0 : errno;
}

static int change_user(int queue, struct queue *q, const struct kevent *change)
{
    int error = 0;
    if (change->flags & EV_ADD) {
        error = control(queue, EPOLL_CTL_ADD, always_ready, EPOLLET, USER);
        q->user = (struct knote){error == 0, change->udata};
    }
    if (!q->user.is_active)
        return error ? error : ENOENT;
    if (change->fflags & NOTE_TRIGGER)
        error = control(queue, EPOLL_CTL_MOD, always_ready, EPOLLIN | EPOLLET, USER);
    return error;
}

static uint64_t name_of(const struct queue *q, int fd)
{
    return (uint64_t)q->added[fd] << 32 | (uint32_t)fd;
}

static int add(int queue, struct queue *q, int fd)
{
    q->added[fd]++;
    return control(queue, EPOLL_CTL_ADD, fd, interest_of(q->notes[fd]), name_of(q, fd));
}

static int change_descriptor(int queue, struct queue *q, const struct kevent *change)
{
    int fd = (int)change->ident;
    if (fd < 0 || fd >= FDS_MAX)
        return EBADF;
    struct knote *notes = q->notes[fd];
    struct knote *note = &notes[change->filter == EVFILT_READ ? READ : WRITE];
    struct knote before = *note;
    bool had_any = interest_of(notes) != 0;

    if (change->flags & EV_DELETE && !note->is_active)
        return ENOENT;
    *note = (struct knote){change->flags & EV_ADD, change->udata};
    uint32_t interest = interest_of(notes);
    if (change->flags & EV_DELETE) {
        int operation = interest == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
        return control(queue, operation, fd, interest, name_of(q, fd));
    }
    int error = had_any ? control(queue, EPOLL_CTL_MOD, fd, interest, name_of(q, fd)) : 0;
    if (error == ENOENT) /* it was closed unseen: start anew */
        notes[note == &notes[READ] ? WRITE : READ].is_active = false;
    if (!had_any || error == ENOENT)
        error = add(queue, q, fd);
    if (error)
        *note = before;
    return error;
}

static int change_one(int queue, struct queue *q, const struct kevent *change)
{
    if (change->filter == EVFILT_USER)
        return change_user(queue, q, change);
    return change_descriptor(queue, q, change);
}

static struct kevent make_event(int fd, int direction, const struct knote *note, uint32_t events)
{
    struct kevent event = {.ident = (uintptr_t)fd,
                           .filter = direction == READ ? EVFILT_READ : EVFILT_WRITE,
                           .flags = EV_CLEAR,
                           .udata = note->udata};
    uint32_t end = EPOLLHUP | EPOLLERR | (direction == READ ? (uint32_t)EPOLLRDHUP : 0u);
    if (events & end)
        event.flags |= EV_EOF;
    if (events & EPOLLERR)
        event.fflags = EIO; /* the true one is the socket's to tell, once */
    return event;
}

/* At most two events for one of epoll's; what finds no room is reported again next time. */
static int translate(int queue, struct queue *q, const struct epoll_event *from,
                     struct kevent *ret_events, int room)
{
    static const uint32_t relevant[2] = {EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR,
                                         EPOLLOUT | EPOLLHUP | EPOLLERR};
    if (from->data.u64 == USER) {
        ret_events[0] = (struct kevent){.filter = EVFILT_USER, .udata = q->user.udata};
        return 1;
    }
    int fd = (int)(uint32_t)from->data.u64, n = 0;
    if (from->data.u64 != name_of(q, fd))
        return 0;
    for (int d = READ; d <= WRITE; d++) {
        struct knote *note = &q->notes[fd][d];
        if (!note->is_active || !(from->events & relevant[d]))
            continue;
        if (n == room)
            (void)control(queue, EPOLL_CTL_MOD, fd, interest_of(q->notes[fd]), name_of(q, fd));
        else
            ret_events[n++] = make_event(fd, d, note, from->events);
    }
    return n;
}

static int collect(int queue, struct kevent *ret_events, int room, const struct timespec *timeout)
{
    struct epoll_event events[BATCH];
    int max = room / 2 < 1 ? 1 : room / 2 > BATCH ? BATCH : room / 2;
    int got = epoll_pwait2(queue, events, max, timeout, NULL);
    if (got < 0 && errno == ENOSYS) { /* an old kernel, or an emulator */
        int64_t ms = timeout ? timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000 : -1;
        got = epoll_wait(queue, events, max, ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    if (got < 0)
        return -1;
    int n = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < got; i++)
        n += translate(queue, queues[queue], &events[i], ret_events + n, room - n);
    pthread_mutex_unlock(&lock);
    return n;
}

int kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *ret_events,
           int n_events, const struct timespec *timeout)
{
    if (queue < 0 || queue >= FDS_MAX || !queues[queue]) {
        errno = EBADF;
        return -1;
    }
    int receipts = 0, error = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_changes && !error; i++) {
        error = change_one(queue, queues[queue], &changes[i]);
        if ((!error && !(changes[i].flags & EV_RECEIPT)) || receipts == n_events)
            continue;
        ret_events[receipts] = changes[i];
        ret_events[receipts].flags |= EV_ERROR;
        ret_events[receipts++].data = error;
        error = 0; /* told */
    }
    pthread_mutex_unlock(&lock);
    if (error) {
        errno = error;
        return -1;
    }
    if (receipts > 0 || n_events == 0)
        return receipts;
    return collect(queue, ret_events, n_events, timeout);
}
