/* SPDX-License-Identifier: MIT */
/* reactor.h - ask "what is ready?", get a list. It never calls up.
 *
 * One reactor a worker. A *source* is a descriptor in a reactor; an *op* is one wait on one
 * direction of it. A backend is of one of two kinds. One that reports readiness (epoll, kqueue) is
 * told of a direction once (`watch`). One that completes work (io_uring) is asked to go on with
 * one direction until something ends it (`arm`); what it takes out of the descriptor lies in the
 * source's flow (flow.h). Either ends an op with HK_RETRY: there is something now, in the flow or
 * in the descriptor, so look yourself.
 *
 * Nothing here wakes anybody: hk_reactor_wait hands out tickets with results, and the caller claims
 * them. A ticket whose turn is over is harmless, so events may be as stale as they like.
 *
 * Each direction of a source is one word with a sequence number that moves at every step:
 *
 *     word = [ sequence : 62 | state : 2 ]
 *
 *       IDLE  --event--> READY                            nobody waits: remembered
 *       READY --start: consumed, HK_RETRY--> IDLE
 *       IDLE  --start: ticket stored, then--> ARMED
 *       ARMED --event: ticket handed out, HK_RETRY--> IDLE
 *       ARMED --stop--> IDLE
 *       IDLE  --stop: it was handed out, but not used--> READY
 *
 * An HK_RETRY uses the readiness up *before* the system call it permits, never after one, so an
 * edge that arrives between EAGAIN and the wait cannot be lost. Handing out uses it up too: were it
 * left READY, every wake-up would cost a second system call just to learn EAGAIN. */
#ifndef HK_REACTOR_REACTOR_H
#define HK_REACTOR_REACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "base/waiter.h"
#include "reactor/timers.h"

typedef struct hk_reactor hk_reactor;
typedef struct hk_source hk_source;
typedef struct hk_backend hk_backend;

typedef enum hk_direction { HK_IN = 0, HK_OUT = 1 } hk_direction;

#define HK_WATCH(direction) (1u << (direction)) /* a set of them */

/* One direction. ticket_* are written by the one waiter before it arms the word and read by
 * whoever polls; a read that raced is thrown away because the sequence has moved. */
typedef struct hk_channel_word {
    HK_ATOMIC(uint64_t) word;
    HK_ATOMIC(hk_sleeper *) ticket_sleeper;
    HK_ATOMIC(uint64_t) ticket_turn;
} hk_channel_word;

/* What a completion backend is doing for a direction, and what has come of it: flow.h.
 *
 * word  poller and reader (CAS)
 * at    the reactor that is or was asked last, where its pieces lie: written by the user of the
 *       direction while nothing is running and nothing lies there, read by the closer after him */
typedef struct hk_flow {
    HK_ATOMIC(uint64_t) word;
    hk_reactor *at;
} hk_flow;

/* What a completion backend may take out of a descriptor by itself. A readiness backend has no use
 * for it. */
typedef enum hk_input {
    HK_INPUT_EVENTS = 0, /* nothing: only say when a call is worth trying */
    HK_INPUT_BYTES,
    HK_INPUT_CONNECTIONS,
} hk_input;

/* Type-stable: sources come from a slab and are never returned to the system while the process
 * lives, and `generation` changes with each use, so an event that is late meets another generation
 * and is dropped.
 *
 * fd, input   constant from open to close
 * user        what its waiter looks at first when woken: a hint what to prefetch, relaxed. Its bits
 *             inverted: sources live as long as the process, and what only they lead to is a leak
 *             that its checkers must see
 * reactor     the one it is attached to; NULL until its first wait (release/acquire); changed
 *             under `attaching`
 * watched     the directions of which that one tells; bits are only added while it is open
 *             (release/acquire)
 * hung_up     sticky: RDHUP, HUP, ERR or PRI was reported; from then on a short read proves
 *             nothing. May be set without cause by an event that raced with close and open: costs
 *             a read
 * flow        per direction; taken, taken_bytes: flow.c, the reader's while open
 * next_free   guarded by the slab's lock while free */
struct hk_source {
    /* Aligned: sources that were opened one after the other are polled by different workers. */
    _Alignas(HK_CACHE_LINE) hk_channel_word direction[2];
    HK_ATOMIC(hk_reactor *) reactor;
    HK_ATOMIC(uint32_t) generation;
    HK_ATOMIC(bool) hung_up;
    uint8_t input;
    uint8_t asked[2]; /* uring.c: what was asked for last */
    int fd;
    hk_lock attaching; /* two directions may wait for the first time at once */
    HK_ATOMIC(uint32_t) watched;
    uint32_t index; /* of this slot, constant: what the kernel is given, with the generation */
    HK_ATOMIC(uintptr_t) user;
    hk_flow flow[2];
    union {
        struct {
            uint32_t taken;
            uint32_t taken_bytes;
        };
        hk_source *next_free;
    };
};

/* Something that arrived and has not been read. A piece of bytes is a buffer of its reactor, by
 * number; an accepted connection is its own descriptor.
 *
 * next   0, or 1 + the number of the piece before (in a flow) or after (taken, or given back)
 * bytes  in this piece
 * depth  pieces in the flow when this one came
 *        All accesses are relaxed: the flow's word orders them; and who has a descriptor, and with
 *        it that piece, the kernel says, of which no tool knows */
typedef struct hk_piece {
    HK_ATOMIC(uint32_t) next;
    uint32_t bytes;
    HK_ATOMIC(uint32_t) depth;
} hk_piece;

/* list, memory  constant while the reactor is open; a piece is its poller's, then its reader's
 * given_back    any reader (CAS), the poller takes all */
typedef struct hk_pieces {
    hk_piece *list;
    char *memory;
    HK_ATOMIC(uint32_t) given_back;
} hk_pieces;

/* A wait that has ended: claim ticket with result. */
typedef struct hk_ready {
    hk_ticket ticket;
    int result;
} hk_ready;

enum {
    HK_READY_MAX = 512,               /* handed out by one call of hk_reactor_wait */
    HK_SOURCES_MAX = 4 * 1024 * 1024, /* open at a time, in this process */
};

/* Bytes on their way into a socket, in the frame of the task that waits firmly for `ticket`. */
typedef struct hk_send {
    hk_ticket ticket;
    int fd;
    const void *bytes;
    size_t n;
    int result; /* as of send(2) */
} hk_send;

typedef enum hk_request_kind {
    HK_REQUEST_OPEN,  /* path, flags, mode */
    HK_REQUEST_READ,  /* fd, memory, n, offset */
    HK_REQUEST_WRITE, /* the same */
    HK_REQUEST_SYNC,  /* fd, data_only */
    HK_REQUEST_STAT,  /* path or, if that is NULL, fd; memory, ret_stat */
    HK_REQUESTS,
} hk_request_kind;

enum { HK_STAT_BYTES = 256 }; /* of memory for HK_REQUEST_STAT: what the kernel has to say */

/* A system call that the kernel makes while the task waits in whose frame this is. What it reads
 * and writes is the kernel's until the request has ended: a stop asks for that, and waits on.
 *
 *       PENDING --moved: a stop ended the first wait, the task waits firmly--> MOVED
 *       PENDING, MOVED --ended: the ticket of that wait is handed out--> ENDED
 *
 * first, second  tickets of these waits; the second is written before the state says so
 * state          the poller, and the task once it was stopped (request.c)
 * planned        instead of the call, a test wants this to be its result; 0: it does not
 * place          of its entry: the backend's, from then on constant
 * result         as of the system call; written by the poller before it has ended */
typedef struct hk_request {
    _Alignas(8) hk_ticket first; /* its address has low bits to spare, rings.h */
    hk_ticket second;
    const char *path;
    void *memory;
    struct stat *ret_stat;
    int64_t offset;
    HK_ATOMIC(uint32_t) state;
    hk_request_kind kind;
    int fd;
    int flags;
    unsigned mode;
    uint32_t n;
    bool data_only;
    uint32_t place;
    int planned;
    int result;
} hk_request;

/* What a backend provides. `start` and `stop` are the shared word protocol; what differs between
 * backends is how they come to know of a descriptor, wait, and are interrupted. */
struct hk_backend {
    const char *name;
    int (*open)(hk_reactor *r);
    void (*close)(hk_reactor *r);
    /* At the first wait in a direction: tell of those in `wanted` (bits), edge-triggered, and of
     * what is so already. `before`: of those it tells by now; 0: it does not know the source. */
    int (*watch)(hk_reactor *r, hk_source *s, unsigned before, unsigned wanted);
    /* Instead of watch, for completion: go on with this direction, which is not running. */
    int (*arm)(hk_reactor *r, hk_source *s, hk_direction d);
    void (*forget)(hk_reactor *r, hk_source *s); /* before close(2): no event of it comes after */
    /* Wait at most timeout_ns (0: look only; < 0: for ever), call hk_source_event for each
     * event. The number of entries in `ready`, or a negative errno (-EINTR: a signal). */
    int (*wait)(hk_reactor *r, int64_t timeout_ns, hk_ready *ready, int max);
    /* Any thread: make wait return now, or the next one that finds it. May be called too often. */
    void (*interrupt)(hk_reactor *r);
    /* The owner's thread, or NULL: send with the next batch, never waiting for room. The result is
     * in `send` when its ticket is handed out, which happens soon and cannot be prevented. False:
     * there is no room in the batch. */
    bool (*send)(hk_reactor *r, hk_send *send);
    /* The owner's thread, or NULL: have the kernel make this call, which goes with the next batch.
     * False: it does not, or not now. */
    bool (*request)(hk_reactor *r, hk_request *q);
    /* With request: who waits for it was stopped. True: it had not begun and never will, and no
     * ticket is handed out. False: the kernel was asked to end it soon. */
    bool (*recall)(hk_reactor *r, hk_request *q);
    /* Or NULL: what it takes to let a helper see what has happened while the owner's thread is
     * busy. */
    void (*nudge)(hk_reactor *r);
};

extern const hk_backend hk_backend_beside; /* epoll, and a ring for calls */
extern const hk_backend hk_backend_epoll;
extern const hk_backend hk_backend_uring;
extern const hk_backend hk_backend_kqueue;

/* backend_fd, wake_fd  constant between open and close
 * wake_pending         set by whoever interrupts, cleared by a wait that could have blocked
 * sheds                its owner has no time for all of its sources: who runs a task of one takes
 *                      that along. Set by the monitor, cleared by the owner; relaxed, a hint
 * polling              taken (try only) by whoever polls: the owner, or a helper when the owner
 *                      is busy; so events of one reactor are never handled by two threads at once
 * owner                the thread that waits here; set by it, compared with itself by others
 * events               a backend's room for what the kernel tells; whoever polls has it
 * rings                of who has them: rings.h
 * beside               beside.c: what has become of the ring there; owner writes, helpers read
 * pieces, uring        a completion backend's: flow.h, uring.c
 * timers               has its own lock */
struct hk_reactor {
    const hk_backend *backend;
    int backend_fd;
    int wake_fd;
    HK_ATOMIC(bool) wake_pending;
    HK_ATOMIC(bool) sheds;
    hk_lock polling;
    HK_ATOMIC(uintptr_t) owner;
    void *events;
    struct hk_rings *rings;
    HK_ATOMIC(uint32_t) beside;
    hk_pieces pieces;
    struct hk_uring *uring;
    hk_timers timers;
};

/* The backend of that name, "" for the one to use when nobody cares. NULL: this system has none. */
const hk_backend *hk_reactor_backend(const char *name);

int hk_reactor_open(hk_reactor *r, const hk_backend *backend); /* NULL: as for "" above */
void hk_reactor_close(hk_reactor *r); /* its sources have been closed before */

/* The calling thread is the owner from now on: the one that waits. Before its first wait. */
void hk_reactor_own(hk_reactor *r);

/* Collect what is ready: descriptors and due timers. Waits until the earliest timer, `deadline`
 * (a point in time; 0: only look; INT64_MAX: none), an interrupt or a signal. Returns the number of
 * entries in ready[HK_READY_MAX]; 0 too when another thread polls this reactor; a negative errno if
 * the system refuses to say. Only the owner waits; helpers look, which uses no interrupt up. */
int hk_reactor_wait(hk_reactor *r, int64_t deadline, hk_ready *ready);

/* The same for a helper, who only looks. */
int hk_reactor_help(hk_reactor *r, hk_ready *ready);

/* Make the wait that is under way return, or else the next one, at once. What the caller wrote
 * before is seen after that wait. Any thread, until hk_reactor_close begins. */
void hk_reactor_interrupt(hk_reactor *r);

/* --- requests ------------------------------------------------------------------------------ */

/* The wait for `first` has begun, and q's own is what happens to it from here on. */
void hk_request_begin(hk_request *q, hk_ticket first);

/* That wait was stopped: hand out `second` instead. False: the request has ended, nothing will be
 * handed out any more. */
HK_MUST_CHECK bool hk_request_move(hk_request *q, hk_ticket second);

/* The poller's: it has ended. The ticket to hand out; q may be gone. */
hk_ticket hk_request_end(hk_request *q, int result);

/* --- sources ------------------------------------------------------------------------------- */

/* A source for `fd`, not attached yet; its `input` is HK_INPUT_EVENTS until the caller says
 * otherwise, before the first wait. NULL: no memory, or HK_SOURCES_MAX are open. */
hk_source *hk_source_open(int fd);

/* Let its reactor forget it and the slot be used again. No wait may be under way and none may
 * start: io/fd.c sees to that. The caller closes the descriptor afterwards. */
void hk_source_close(hk_source *s);

/* Begin to wait: `t` has begun its turn. 0: armed, the ticket will be handed out; HK_RETRY: ready
 * now, not armed; or a negative errno (attaching failed). `home` is attached to at the first wait.
 * One waiter a direction at a time: io/fd.c sees to that too. */
int hk_source_start(hk_source *s, hk_direction d, hk_ticket t, hk_reactor *home);

/* Would its reactor rather not have it? A hint, for whoever runs its waiter elsewhere. */
static inline bool hk_source_is_shed(hk_source *s)
{
    hk_reactor *r = hk_load_acquire(&s->reactor); /* [source:attach] acquire */
    return r && hk_load_relaxed(&r->sheds);       /* see hk_reactor */
}

/* Attach it to `to`, if that is of the kind that can be moved to and does not shed, too. What has
 * happened meanwhile is told again. The user of a direction, before it waits. */
void hk_source_move(hk_source *s, hk_reactor *to);

/* Will its reactor tell of this direction without being asked by a worker? */
bool hk_source_is_watched(hk_source *s, hk_direction d);

/* Take back a wait: one that was armed and whose turn ended another way (stopped, timed out), or
 * one that ended with HK_RETRY but whose system call is not going to be made. */
void hk_source_stop(hk_source *s, hk_direction d);

/* Keep everyone from opening and closing sources, across a fork(), and let them again. */
void hk_source_freeze(void);
void hk_source_thaw(void);

/* --- for backends -------------------------------------------------------------------------- */

/* What the kernel is given to name a source: index and generation. HK_KEY_WAKE names none. */
uint64_t hk_source_key(const hk_source *s);
#define HK_KEY_WAKE UINT64_MAX

enum {
    HK_EVENT_IN = 1,
    HK_EVENT_OUT = 2,
    HK_EVENT_HUNG_UP = 4,                                            /* the peer sends no more */
    HK_EVENT_BROKEN = HK_EVENT_IN | HK_EVENT_OUT | HK_EVENT_HUNG_UP, /* concerns both directions */
};

/* There is going to be an event for the source called `key`: say so for all that came together,
 * before the first is handled, and they are waited for in memory together, not one by one. */
void hk_source_expect(uint64_t key);

/* An event for the source called `key`, dropped if that has been closed. Adds at most two entries
 * to ready[*n]. */
void hk_source_event(uint64_t key, unsigned what, hk_ready *ready, int *n);

hk_source *hk_source_at(uint32_t index); /* NULL: never existed */

/* Shared by those of Linux: the meaning of poll(2)'s events, and the .interrupt of a backend that
 * watches wake_fd, an eventfd. */
unsigned hk_event_of_poll(uint32_t events);
void hk_reactor_write_eventfd(hk_reactor *r);

#endif
