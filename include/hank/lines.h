/* SPDX-License-Identifier: MIT */
/* lines.h - reading up to a mark: lines, messages with an end, and looking ahead.
 *
 * Where a message ends is known only once more than it has been read. What was read too far stays
 * with the stream, and every read takes from there first: these calls and those of <hank/stream.h>
 * may be mixed. What a call that failed or was stopped has read stays there, too. */
#ifndef HANK_LINES_H
#define HANK_LINES_H

#include <hank/base.h>
#include <hank/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HANK_LINE_MAX = 65536,    /* the longest line, its '\n' included, however large the buffer;
                                 hank_stream_set_limit() changes it */
    HANK_LIMIT_MAX = 1 << 30, /* for hank_stream_set_limit() */
    HANK_SEPARATORS_MAX = 16, /* for hank_read_until_any() */
};

/* Bytes that end a message, for hank_read_until_any(). Any bytes, 0 too. */
typedef struct hank_separator {
    const void *bytes;
    size_t size;
} hank_separator;

/* Read a line, up to and including its '\n', and end it by a NUL.
 *
 * The last line of a stream may lack the '\n'. Bytes of value 0 are not special.
 *
 *   ret_buf     n bytes; untouched unless the result is > 0
 *   n           at least 2: room for the line and the NUL
 *   result      bytes without the NUL; 0 at the end of the stream; -EMSGSIZE the line has more than
 *               n - 1 bytes or the limit: nothing was taken, read it another way; -EINVAL n < 2;
 *               -ENOMEM; else as hank_read()
 *   waits       until the line is complete
 *   if stopped  nothing was taken: what has come can still be read
 *   threads     any task, one reader at a time
 *   since       0.1
 *   cost        the stream's first call allocates a buffer */
HANK_API ssize_t hank_read_line(hank_stream *s, char *ret_buf, size_t n);

/* Read up to and including a separator, and end it by a NUL.
 *
 *   ret_buf     n bytes; untouched unless the result is > 0
 *   n           at least 2: room for the message, the separator and the NUL
 *   separator   a string that is not empty
 *   result      bytes without the NUL; 0 at the end of the stream; -EPIPE the stream ended without
 *               a separator: nothing was taken, hank_read() gives the rest; -EMSGSIZE more than n -
 *               1 bytes or the limit: nothing was taken; -EINVAL; -ENOMEM; else as hank_read()
 *   waits       until the separator has come
 *   if stopped  nothing was taken: what has come can still be read
 *   threads     any task, one reader at a time
 *   since       0.1
 *   cost        the stream's first call allocates a buffer */
HANK_API ssize_t hank_read_until(hank_stream *s, char *ret_buf, size_t n, const char *separator);

/* The same with several separators: the one that ends first ends the message.
 *
 *   ret_buf     n bytes; untouched unless the result is > 0
 *   separators  1 to HANK_SEPARATORS_MAX, each of 1 to HANK_LINE_MAX bytes; else -EINVAL
 *   result      as hank_read_until()
 *   waits       until one of them has come
 *   if stopped  nothing was taken: what has come can still be read
 *   threads     any task, one reader at a time
 *   since       0.1 */
HANK_API ssize_t hank_read_until_any(hank_stream *s, char *ret_buf, size_t n,
                                     const hank_separator *separators, size_t count);

/* Drop what comes, up to and including a separator: how to go on behind a line that is too long.
 *
 * It may be of any length, for it is not kept. The rest of a stream may lack the separator.
 *
 *   separator   a string that is not empty
 *   result      bytes that were dropped, the separator's included; 0 at the end of the stream;
 *               -EMSGSIZE the separator itself is over the limit of a line; -EINVAL; -ENOMEM; else
 *               as hank_read()
 *   waits       until the separator has come
 *   if stopped  what has come is dropped, but for the beginning of a separator: called again, it
 *               goes on
 *   threads     any task, one reader at a time
 *   since       0.1
 *   cost        the stream's first call allocates a buffer
 *   source      Rust std::io::BufRead::skip_until */
HANK_API ssize_t hank_skip_until(hank_stream *s, const char *separator);

/* Look at the next bytes without taking them.
 *
 *   ret_buf     n bytes; only as many as the result says are written
 *   result      n; less, 0 too, if the stream ends before; -EMSGSIZE n is over the limit of a line;
 *               -ENOMEM; else as hank_read()
 *   waits       until n bytes have come
 *   if stopped  nothing was taken
 *   threads     any task, one reader at a time
 *   since       0.1
 *   cost        the stream's first call allocates a buffer */
HANK_API ssize_t hank_peek(hank_stream *s, void *ret_buf, size_t n);

/* Set how long a line or message of this stream may be, its separator included.
 *
 * It bounds the memory that the other end can have taken up.
 *
 *   bytes       at most HANK_LIMIT_MAX; 0: HANK_LINE_MAX
 *   result      0; -EINVAL; -EBUSY another task reads; -EBADF it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, one reader at a time
 *   since       0.1 */
HANK_API int hank_stream_set_limit(hank_stream *s, size_t bytes);

/* How many bytes have been read too far: those that the next read takes without asking the system.
 *
 * Whoever hands the descriptor on to others hands these on too.
 *
 *   result      their number; -EBUSY another task reads; -EBADF it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, one reader at a time
 *   since       0.1 */
HANK_API ssize_t hank_stream_unread(hank_stream *s);

#ifdef __cplusplus
}
#endif
#endif
