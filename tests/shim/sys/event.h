/* SPDX-License-Identifier: MIT */
/* event.h - the part of kqueue(2) that hank uses, for Linux, so that reactor/kqueue.c is compiled
 * and tested where there is no BSD. The values of the constants are our own. */
#ifndef HK_SHIM_SYS_EVENT_H
#define HK_SHIM_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    int64_t data;
    void *udata;
};

enum { EVFILT_READ = -1, EVFILT_WRITE = -2, EVFILT_USER = -3 };

#define EV_ADD     0x0001
#define EV_DELETE  0x0002
#define EV_CLEAR   0x0004
#define EV_RECEIPT 0x0008
#define EV_ERROR   0x0010
#define EV_EOF     0x0020

#define NOTE_TRIGGER 0x0001

#define EV_SET(at, ident_, filter_, flags_, fflags_, data_, udata_)                     \
    (*(at) = (struct kevent){.ident = (ident_), .filter = (filter_), .flags = (flags_), \
                             .fflags = (fflags_), .data = (data_), .udata = (udata_)})

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *ret_events,
           int n_events, const struct timespec *timeout);

#endif
