/* SPDX-License-Identifier: MIT */
/* served.h - a connection of a server: a stream that its server can end.
 *
 * The handler's task reads and writes it; the server's tasks see when it last did, and end it from
 * outside with a code that the handler's next read or write answers. */
#ifndef HK_IO_SERVED_H
#define HK_IO_SERVED_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "io/stream.h"

struct hank_server;

/* top           the stream itself, or the layer over it: the handler's; constant
 * link          in the server's list; guarded by its lock
 * server        constant, as the two timeouts are; 0: none
 * touched       when bytes last moved: written by whoever moved them, read by the server
 * header_until  HK_FOREVER: no deadline; written by the handler, read by the server
 * ended         0, or what reads answer from here on; written by the server
 * deaf          ended for reads only; written before it
 * closed        ended with code 0; likewise
 * All relaxed: each is a fact of its own, and seeing it late does no harm. */
typedef struct hk_served {
    hank_stream stream;
    hank_stream *top;
    hk_node link;
    struct hank_server *server;
    int64_t header_ns;
    int64_t idle_ns;
    HK_ATOMIC(int64_t) touched;
    HK_ATOMIC(int64_t) header_until;
    HK_ATOMIC(int) ended;
    HK_ATOMIC(bool) deaf;
    HK_ATOMIC(bool) closed;
} hk_served;

extern const hk_stream_kind hk_stream_served;

/* Set it up, before its handler starts. */
void hk_served_begin(hk_served *c, struct hank_server *v, int64_t header_ns, int64_t idle_ns);

typedef enum hk_how_to_end {
    HK_END_READING, /* reads answer `code` */
    HK_END_BOTH,    /* writes too; the other end reads 0, over a layer if its farewell goes out */
    HK_END_BROKEN,  /* the same, and the other end gets a reset */
} hk_how_to_end;

/* End it from outside, while it is in the server's list. Code 0: as if the other end had. */
void hk_served_end(hk_served *c, hk_how_to_end how, int code);

/* What is due at `now` is ended; when the next thing is due, HK_FOREVER: never. */
int64_t hk_served_look(hk_served *c, int64_t now);

#endif
