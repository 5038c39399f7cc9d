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
 * Elements are copied, oldest first; senders and receivers are served in the order they came.
 * What a sender wrote before the send, the receiver sees. */
#ifndef HANK_CHAN_H
#define HANK_CHAN_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The capacity of a channel that never makes a sender wait, and takes memory instead. */
#define HANK_UNBOUNDED SIZE_MAX

typedef struct hank_chan hank_chan;

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

/* Free a channel that nobody uses any more; waiting there is a panic.
 *
 *   c           taken, with the elements still in it; NULL is fine
 *   result      none
 *   waits       never
 *   threads     one task or thread, the last to use `c`
 *   since       0.1 */
HANK_API void hank_chan_free(hank_chan *c);

/* Put a copy of an element at the end of `c`.
 *
 *   elem        elem_size bytes
 *   result      0; -EPIPE closed; -ENOMEM only if unbounded; -ECANCELED; -ETIMEDOUT
 *   waits       while `c` is open and full
 *   if stopped  nothing was sent
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_send(hank_chan *c, const void *elem);

/* Take the oldest element out of `c`.
 *
 *   ret_elem    elem_size bytes; untouched unless the result is 0
 *   result      0; -EPIPE closed and empty; -ECANCELED; -ETIMEDOUT
 *   waits       while `c` is open and empty
 *   if stopped  nothing was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_recv(hank_chan *c, void *ret_elem);

/* Put a copy of an element at the end of `c` if that need not wait.
 *
 *   elem        elem_size bytes
 *   result      0; -EAGAIN full, or a rendezvous and nobody waits to receive; -EPIPE closed;
 *               -ENOMEM only if unbounded
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_chan_trysend(hank_chan *c, const void *elem);

/* Take the oldest element out of `c` if that need not wait.
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
#define hank_send(c, ptr)      hank_chan_send((c).raw, 1 ? (ptr) : (c).type_)
#define hank_recv(c, ptr)      hank_chan_recv((c).raw, 1 ? (ptr) : (c).type_)

#endif
