/* SPDX-License-Identifier: MIT */
/* serve.h - what those who accept in a loop share. */
#ifndef HK_IO_SERVE_H
#define HK_IO_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/listener.h"
#include "io/stream.h"

/* hank_accept() for a stream of another kind, one that begins as hk_stream_socket does. `ret_top`
 * is what the handler gets and what is to be closed: the same, or the listener's layer over it. */
HK_MUST_CHECK int hk_accept(hank_listener *l, const hk_stream_kind *kind, hank_stream **ret,
                            hank_stream **ret_top);

/* Descriptors or memory have run out, which passes. */
bool hk_is_shortage(int rc);

/* Wait a little, and longer the next time. *pause_ns is 0 at first and after each success. */
HK_MUST_CHECK int hk_shortage_pause(int64_t *pause_ns);

/* Tell the hook what a handler returned, unless it was asked to end. */
void hk_handler_report(int rc);

#endif
