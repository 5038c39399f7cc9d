/* SPDX-License-Identifier: MIT */
/* reader_fuzz.c - whatever the bytes and in whatever pieces they come, lines and messages are cut
 * where a plain search in all of them cuts them, and nothing is lost. For libFuzzer.
 *
 * The input: a byte for the size of pieces, a byte for the separators, a byte for the room; then
 * the bytes. The stream is a kind of its own that reads from memory: no task, no system call. */
#include <hank/lines.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "io/stream.h"

typedef struct source {
    hank_stream stream;
    const char *bytes;
    size_t left;
    size_t piece;
} source;

static source *of(hank_stream *s)
{
    return hk_container_of(s, source, stream);
}

static ssize_t source_read(hank_stream *s, void *ret_buf, size_t n)
{
    source *from = of(s);
    size_t some = from->left < from->piece ? from->left : from->piece;
    some = some < n ? some : n;
    memcpy(ret_buf, from->bytes, some);
    from->bytes += some;
    from->left -= some;
    return (ssize_t)some;
}

static ssize_t refuse_write(hank_stream *s, const void *buf, size_t n)
{
    (void)s, (void)buf, (void)n;
    return -EPIPE;
}

static int refuse_end(hank_stream *s)
{
    (void)s;
    return -EPIPE;
}

static const hk_stream_kind kind = {
    .bytes = sizeof(source),
    .read = source_read,
    .write = refuse_write,
    .write_end = refuse_end,
};

static const hank_separator sets[][3] = {
    {{"\n", 1}, {"\n", 1}, {"\n", 1}},
    {{"\r\n", 2}, {"\n", 1}, {"\r", 1}},
    {{"aab", 3}, {"ab", 2}, {"aaab", 4}},
    {{"\0", 1}, {"--\0", 3}, {"-", 1}},
};

/* Where the message at the start of `bytes` ends, 0: nowhere. The plain search. */
static size_t plain_end(const char *bytes, size_t n, const hank_separator *set)
{
    for (size_t end = 1; end <= n; end++)
        for (int i = 0; i < 3; i++)
            if (set[i].size <= end &&
                memcmp(bytes + end - set[i].size, set[i].bytes, set[i].size) == 0)
                return end;
    return 0;
}

/* Drop up to the set's last separator, which holds no 0 where `is_text`, or take one byte. */
static size_t get_past(hank_stream *s, const char *bytes, size_t n, const hank_separator *set,
                       bool is_text)
{
    char byte, text[8] = "";
    if (!is_text) {
        HK_CHECK(hank_read(s, &byte, 1) == 1 && byte == bytes[0]);
        return 1;
    }
    const hank_separator last[] = {set[2], set[2], set[2]};
    size_t end = plain_end(bytes, n, last);
    memcpy(text, set[2].bytes, set[2].size);
    ssize_t dropped = hank_skip_until(s, text);
    HK_CHECK(dropped == (ssize_t)(end > 0 ? end : n));
    return (size_t)dropped;
}

/* Take messages; what is refused is dropped, or taken byte by byte: it must be all of `bytes`. */
static void read_all(hank_stream *s, const char *bytes, size_t n, const hank_separator *set,
                     size_t room)
{
    char *buf = malloc(room); /* exactly, so that writing on is seen */
    size_t at = 0;
    ssize_t got;
    while (buf && at < n) {
        size_t end = plain_end(bytes + at, n - at, set);
        got = hank_read_until_any(s, buf, room, set, 3);
        if (end > 0 && end < room) {
            HK_CHECK(got == (ssize_t)end);
        } else if (end == 0 && n - at < room) {
            HK_CHECK(got == -EPIPE);
        } else {
            HK_CHECK(got == -EMSGSIZE);
        }
        HK_CHECK(got < 0 || memcmp(buf, bytes + at, (size_t)got) == 0);
        at += got > 0 ? (size_t)got
                      : get_past(s, bytes + at, n - at, set, room % 2 && set != sets[3]);
    }
    got = buf ? hank_read_until_any(s, buf, room, set, 3) : 0;
    HK_CHECK(got == 0);
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    hank_stream *s = hk_stream_new(&kind);
    if (!s)
        return 0;
    const char *bytes = (const char *)data + 3;
    of(s)->bytes = bytes;
    of(s)->left = size - 3;
    of(s)->piece = data[0] % 17 + 1u;
    read_all(s, bytes, size - 3, sets[data[1] % 4], data[2] % 64 + 2u);
    hank_close(s);
    return 0;
}
