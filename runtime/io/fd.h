/* SPDX-License-Identifier: MIT */
/* fd.h - a descriptor that tasks use: who is in it, the wait for it, and its end.
 *
 * One word says who is in:
 *
 *     word = [ users : 61 | writer : 1 | reader : 1 | closing : 1 ]
 *
 *       begin(direction)   refused when closing (-EBADF) or that direction is taken (-EBUSY);
 *                          else takes the direction and is one user more
 *       end(direction)     gives both back
 *       close              closing for good: wakes whoever waits, with -EBADF, and gives back the
 *                          owner's use, which the word began with
 *
 * The last user to leave really closes. So a number is not used again by the kernel while anybody
 * is inside a call with it, and close need not wait for anybody.
 *
 * Source: Go internal/poll/fd_mutex.go. */
#ifndef HK_IO_FD_H
#define HK_IO_FD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/waiter.h"
#include "io/where.h"
#include "reactor/reactor.h"

/* Who waits in one direction, for close to find. Written by the one user of that direction; while
 * it is closing no other can follow, so what close reads belongs together. */
typedef struct hk_fd_waiter {
    HK_ATOMIC(hk_sleeper *) sleeper; /* NULL: nobody */
    HK_ATOMIC(uint64_t) turn;
} hk_fd_waiter;

/* word         any user (CAS)
 * waiting      the user of the direction; read by close
 * wait_first   the last call in this direction left nothing to do: wait before the next one.
 *              Owned by the user of the direction
 * sending      a call that sends is under way: it may be about to set `broken`. Set and cleared by
 *              the user of that direction
 * broken       what ended the connection, a negative errno; 0: nothing yet
 * source, gone, short_is_dry, is_connection   constant once open
 * home         constant once open: the reactor that is to tell; NULL: that of the first who waits
 * fd           constant once open, -1: none of its own (a layer over another stream)
 * gone         called by the last user, descriptor closed: frees what the hk_fd is part of */
typedef struct hk_fd {
    HK_ATOMIC(uint64_t) word;
    hk_source *source;
    hk_reactor *home;
    hk_fd_waiter waiting[2];
    void (*gone)(struct hk_fd *f);
    int fd;
    HK_ATOMIC(int) broken;
    HK_ATOMIC(bool) sending;
    bool short_is_dry;
    bool is_connection;
    bool wait_first[2];
} hk_fd;

/* Make ready all that can fail, before there is a descriptor. 0 or -ENOMEM; undone by close. */
HK_MUST_CHECK int hk_fd_init(hk_fd *f, void (*gone)(hk_fd *f));

/* Take over `fd`, before anyone else knows f. `input`: what may be taken out of it ahead of being
 * asked. `short_is_dry`: a call that did less than asked says
 * that the next would have to wait, as it does for TCP. Not so for Unix sockets, where a read stops
 * at a message that carries descriptors. */
void hk_fd_adopt(hk_fd *f, int fd, hk_input input, bool short_is_dry);

/* It is one of two ends. The system says once that a connection broke, to whoever comes first,
 * and to all others that it has ended; from here on the reader gets to know how. Before anyone
 * else knows f. */
void hk_fd_is_connection(hk_fd *f);

/* Owner only, once, any thread. Never waits. f is gone when it returns, or soon after. */
void hk_fd_close(hk_fd *f);

/* 0, -EBADF or -EBUSY; after 0, end must follow, and may free f. */
HK_MUST_CHECK int hk_fd_begin(hk_fd *f, hk_direction d);
void hk_fd_end(hk_fd *f, hk_direction d);

/* The same for calls that neither read nor write: any number at a time, never -EBUSY. */
HK_MUST_CHECK int hk_fd_hold(hk_fd *f);
void hk_fd_release(hk_fd *f);

/* Its number, for the program; -EBADF. */
int hk_fd_number(hk_fd *f);

/* The rest is for between begin and end. Each waits until the descriptor is ready, and after a
 * negative result nothing has happened. */

/* Wait until a call is worth trying. 0, or a negative errno. `why` is a constant, for dumps. */
HK_MUST_CHECK int hk_fd_wait(hk_fd *f, hk_direction d, const char *why);

HK_MUST_CHECK ssize_t hk_fd_recv(hk_fd *f, void *ret_buf, size_t n);   /* 1..n; 0: end */
HK_MUST_CHECK ssize_t hk_fd_send(hk_fd *f, const void *buf, size_t n); /* 1..n */
HK_MUST_CHECK int hk_fd_accept(hk_fd *f);                              /* a descriptor */
HK_MUST_CHECK int hk_fd_connect(hk_fd *f, const hk_address *address);  /* 0 */

/* Any other call: `once` until it does not answer -EAGAIN, with a wait before each time but the
 * first. */
typedef ssize_t hk_attempt(int fd, void *what);

/* One time only, -EAGAIN too. To send, any thread may do it for the user of the direction. */
HK_MUST_CHECK ssize_t hk_fd_try(hk_fd *f, hk_direction d, hk_attempt *once, void *what);
HK_MUST_CHECK ssize_t hk_fd_attempt(hk_fd *f, hk_direction d, hk_attempt *once, void *what);

#endif
