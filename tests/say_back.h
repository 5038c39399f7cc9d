/* SPDX-License-Identifier: MIT */
/* say_back.h - the handler of a server that answers each line with itself. */
#ifndef HK_TESTS_SAY_BACK_H
#define HK_TESTS_SAY_BACK_H

#include <hank/lines.h>
#include <hank/stream.h>

/* Lines of up to 128 bytes. A client that hangs up is no failure. */
static inline int say_back(hank_stream *s, void *arg)
{
    char line[128];
    ssize_t n;
    (void)arg;
    while ((n = hank_read_line(s, line, sizeof line)) > 0)
        if (hank_write(s, line, (size_t)n) < 0)
            break;
    return 0;
}

#endif
