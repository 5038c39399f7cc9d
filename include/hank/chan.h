/* SPDX-License-Identifier: MIT */
/* chan.h - channels: bounded queues of values, closed once, shared by any number of ends.
 *
 *     HANK_CHAN(struct job) jobs;                a union that knows its element type
 *     if (!hank_make(jobs, 16)) ...              16 elements, allocated now
 *     rc = hank_send(jobs, &job);                the compiler checks that &job is a struct job *
 *     while (hank_recv(jobs, &job) == 0) ...     until closed and drained
 *     hank_chan_close(jobs.raw);
 *     hank_chan_free(jobs.raw);
 *
 * Elements are copied, oldest first unless its options say otherwise; senders and receivers are
 * served in the order they came. What a sender wrote before the send, the receiver sees. */
#ifndef HANK_CHAN_H
#define HANK_CHAN_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The capacity of a channel that never makes a sender wait, and takes memory instead. */
#define HANK_UNBOUNDED SIZE_MAX

typedef struct hank_chan hank_chan;

/* Which of the elements in a channel is received first. Strict only as far as one channel goes:
 * what waits to be sent is not in it yet. */
enum {
    HANK_FIFO,     /* the oldest */
    HANK_LIFO,     /* the newest */
    HANK_PRIORITY, /* the least by compare(); of equals the oldest */
};

typedef struct hank_chan_options {
    int order;
    /* < 0: a goes before b. Called with the channel locked: it must not wait or touch it. */
    int (*compare)(const void *a, const void *b);
} hank_chan_options;

/* One thing that hank_select() may do. */
typedef struct hank_case {
    hank_chan *chan;  /* NULL: it never happens */
    const void *send; /* the element to send; either this */
    void *recv;       /* or where to put the one received */
    int result;       /* of the one that happened: 0; -EPIPE; -ENOMEM */
    uint64_t opaque_[6];
} hank_case;

/* Make a channel.
 *
 *   elem_size   bytes of an element, 1 to 64 KiB
 *   capacity    elements; 0 is a rendezvous: a send ends when its element has been received
 *   result      the channel, the caller's to free; NULL no memory, or a size out of its limits
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        allocates elem_size * capacity bytes; HANK_UNBOUNDED as it fills */
HANK_API HANK_MUST_USE hank_chan *hank_chan_new(size_t elem_size, size_t capacity);

/* Make a channel whose elements come out in another order.
 *
 *   capacity    as above; not 0 unless the order is HANK_FIFO
 *   options     NULL is the default
 *   result      the channel, the caller's to free; NULL no memory, a size out of its limits, or no
 *               such order
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        allocates as hank_chan_new(), and 8 bytes an element for HANK_PRIORITY */
HANK_API HANK_MUST_USE hank_chan *hank_chan_new_opt(size_t elem_size, size_t capacity,
                                                    const hank_chan_options *options);

/* Free a channel that nobody uses any more; waiting there is a panic.
 *
 *   c           taken, with the elements still in it; NULL is fine
 *   result      none
 *   waits       never
 *   threads     one task or thread, the last to use `c`
 *   since       0.1 */
HANK_API void hank_chan_free(hank_chan *c);

/* Put a copy of an element into `c`.
 *
 *   elem        elem_size bytes
 *   result      0; -EPIPE closed; -ENOMEM only if unbounded; -ECANCELED; -ETIMEDOUT
 *   waits       while `c` is open and full
 *   if stopped  nothing was sent
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_send(hank_chan *c, const void *elem);

/* Take the first element out of `c`.
 *
 *   ret_elem    elem_size bytes; untouched unless the result is 0
 *   result      0; -EPIPE closed and empty; -ECANCELED; -ETIMEDOUT
 *   waits       while `c` is open and empty
 *   if stopped  nothing was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_recv(hank_chan *c, void *ret_elem);

/* Put a copy of an element into `c` if that need not wait.
 *
 *   elem        elem_size bytes
 *   result      0; -EAGAIN full, or a rendezvous and nobody waits to receive; -EPIPE closed;
 *               -ENOMEM only if unbounded
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_trysend(hank_chan *c, const void *elem);

/* Take the first element out of `c` if that need not wait.
 *
 *   ret_elem    elem_size bytes; untouched unless the result is 0
 *   result      0; -EAGAIN open and empty; -EPIPE closed and empty
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_tryrecv(hank_chan *c, void *ret_elem);

/* Close `c`: sends fail with -EPIPE, waiting ones too; what is in it can still be received.
 *
 *   result      none; closing twice is closing once
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_chan_close(hank_chan *c);

/* Close `c` and drop what is in it: receives fail with -EPIPE as well.
 *
 *   dispose     called with each element dropped, in no order, after `c` is closed; NULL: nothing
 *   result      how many were dropped; they count as done for hank_chan_join()
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API size_t hank_chan_abort(hank_chan *c, void (*dispose)(void *elem, void *arg), void *arg);

/* How many elements are in `c` at this moment.
 *
 *   result      0 to its capacity
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API size_t hank_chan_len(hank_chan *c);

/* Say that one element received from `c` has been dealt with.
 *
 *   result      0; -EINVAL that was said of every one received
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_task_done(hank_chan *c);

/* Wait until every element sent has been dealt with: hank_chan_task_done() was called for each, or
 * it was dropped.
 *
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       while there is one that has not
 *   if stopped  nothing changed
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_join(hank_chan *c);

/* Do exactly one of several sends and receives: the first of the cases that need not wait, or
 * whichever can be done first.
 *
 *     hank_case cases[] = {HANK_CASE_RECV(jobs, &job), HANK_CASE_SEND(results, &result)};
 *     switch (hank_select(cases, 2)) ...
 *
 * A closed channel makes its case happen, with -EPIPE as its result: set its chan to NULL to go on
 * without it. The order of the cases is their order of precedence. For a timeout around it there
 * is hank_within().
 *
 *   cases       kept until the call returns; opaque_ need not be set
 *   result      the index of the case that happened; -EINVAL none can ever happen, or one is to
 *               send and to receive; -ECANCELED; -ETIMEDOUT
 *   waits       while none can be done
 *   if stopped  none was done
 *   threads     any task or thread, at the same time, each its own cases
 *   since       0.1 */
HANK_API int hank_select(hank_case *cases, size_t n);

/* Do the first of several sends and receives that need not wait.
 *
 *   result      the index of the case that happened; -EAGAIN none; -EINVAL as hank_select()
 *   waits       never
 *   threads     any task or thread, at the same time, each its own cases
 *   since       0.1 */
HANK_API int hank_tryselect(hank_case *cases, size_t n);

#ifdef __cplusplus
}
#endif

/* A channel of T. type_ is never read: it is there for the compiler to compare with. */
#define HANK_CHAN(T)                                                                               \
    union {                                                                                        \
        hank_chan *raw;                                                                            \
        T *type_;                                                                                  \
    }
#define hank_make(c, capacity) ((c).raw = hank_chan_new(sizeof *(c).type_, (capacity)))
#define hank_make_opt(c, capacity, options)                                                        \
    ((c).raw = hank_chan_new_opt(sizeof *(c).type_, (capacity), (options)))
#define hank_send(c, ptr)    hank_chan_send((c).raw, 1 ? (ptr) : (c).type_)
#define hank_recv(c, ptr)    hank_chan_recv((c).raw, 1 ? (ptr) : (c).type_)
#define hank_trysend(c, ptr) hank_chan_trysend((c).raw, 1 ? (ptr) : (c).type_)
#define hank_tryrecv(c, ptr) hank_chan_tryrecv((c).raw, 1 ? (ptr) : (c).type_)

/* What initialises a hank_case. */
#define HANK_CASE_SEND(c, ptr)                                                                     \
    {                                                                                              \
        (c).raw, 1 ? (ptr) : (c).type_, NULL, 0,                                                   \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define HANK_CASE_RECV(c, ptr)                                                                     \
    {                                                                                              \
        (c).raw, NULL, 1 ? (ptr) : (c).type_, 0,                                                   \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

#endif
