/* SPDX-License-Identifier: MIT */
/* rings.h - the two rings of an io_uring: entries go in, completions come out.
 *
 * Who may touch it:
 *   completions  whoever polls (hk_reactor.polling)
 *   entries      under `submitting`, which is held from the entry to the system call that takes it,
 *                except for sends and calls, which wait for the next one. So an entry that the
 *                kernel refused can be taken back
 *
 * What an entry asks for belongs to the thread that submits it, and is carried on by it, whenever
 * it enters the kernel (COOP_TASKRUN). The deferred mode of a single issuer would forbid helping
 * and saves no more.
 *
 * The rings are liburing's, and so is what fills entries; its calls into the kernel are behind
 * base/os.h. Only what it does not keep is added. */
#ifndef HK_REACTOR_RINGS_H
#define HK_REACTOR_RINGS_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "base/waiter.h"

struct hk_request;

/* What an entry is, in the low bits of its user_data: the address of an hk_send or, with all of
 * them set, an hk_request; or
 * [ generation : 32 | 0 : 7 | index : 22 | what : 3 ]. */
enum {
    HK_WHAT_SEND = 0, /* aligned, so its low bits are free */
    HK_WHAT_BYTES,
    HK_WHAT_CONNECTIONS,
    HK_WHAT_POLL_IN,
    HK_WHAT_POLL_OUT,
    HK_WHAT_WAKE,
    HK_WHAT_NOTHING,
    HK_WHAT_REQUEST,
    HK_WHAT_BITS = 3,
    HK_WHAT_MASK = (1 << HK_WHAT_BITS) - 1,
};

/* liburing      of the entries whoever holds `submitting`; of the completions the poller
 * asked         entries that were pushed since the beginning: with `submitting`; read also without,
 *               which liburing's own count must not be
 * operations    constant: what this kernel knows, a bit each */
typedef struct hk_rings {
    struct io_uring liburing;
    HK_ATOMIC(uint32_t) asked;
    hk_lock submitting;
    uint64_t operations;
} hk_rings;

/* With room for so many entries between two system calls and for so many completions (more are
 * kept by the kernel, at a price). 0; -ENOSYS: this kernel has not all that is needed; -EPERM: it
 * is not allowed here; or another negative errno. */
HK_MUST_CHECK int hk_rings_open(uint32_t entries, uint32_t completions, hk_rings **ret_rings);
void hk_rings_close(hk_rings *rings);

bool hk_rings_knows(const hk_rings *rings, unsigned operation);

/* --- entries ------------------------------------------------------------------------------- */

/* Those that the kernel has not taken yet, and having it take them. */
uint32_t hk_rings_pending(hk_rings *rings);
int hk_rings_submit(hk_rings *rings);

/* Between lock and unlock, for who fills entries. One to be filled, wholly, as io_uring_prep_*()
 * do, after which push must follow; or NULL, or a negative errno: it is full and the kernel is not
 * asked, or takes none. */
void hk_rings_lock(hk_rings *rings);
void hk_rings_unlock(hk_rings *rings);
struct io_uring_sqe *hk_rings_free_entry(hk_rings *rings);
HK_MUST_CHECK int hk_rings_entry(hk_rings *rings, struct io_uring_sqe **ret_entry);
void hk_rings_push(hk_rings *rings);

/* The same: where the entry lies that was pushed last; and making it one of nothing, unless the
 * kernel has taken it. */
uint32_t hk_rings_place(const hk_rings *rings);
bool hk_rings_take_back(hk_rings *rings, uint32_t place);

/* The same: have this entry taken at once, or never; and ask that what has that user_data
 * be ended, without waiting for it. */
int hk_rings_ask(hk_rings *rings, const struct io_uring_sqe *wanted);
void hk_rings_ask_to_cancel(hk_rings *rings, uint64_t name);

/* --- completions: the poller's ------------------------------------------------------------- */

/* Into the kernel, if there is a reason to: with what is pending, and if nothing has completed, to
 * wait for that (0: not; < 0: for ever). A negative errno; -ETIME: nothing has; -EBUSY: too much.
 */
int hk_rings_enter(hk_rings *rings, int64_t timeout_ns);

/* How many there are, and each of them; then that so many were looked at. */
uint32_t hk_rings_completed(hk_rings *rings);
const struct io_uring_cqe *hk_rings_completion(const hk_rings *rings, uint32_t i);
void hk_rings_advance(hk_rings *rings, uint32_t n);

/* A thread that computes is made to carry on what it has asked for. Any thread. */
void hk_rings_nudge(hk_rings *rings);

/* --- calls: rings_request.c ----------------------------------------------------------------- */

/* hk_backend.request and .recall. */
bool hk_rings_request(hk_rings *rings, struct hk_request *q);
bool hk_rings_recall(hk_rings *rings, struct hk_request *q);

/* What has come of the call of that user_data. The poller's. */
hk_ticket hk_rings_request_done(uint64_t name, int result);

#endif
