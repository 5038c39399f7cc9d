/* SPDX-License-Identifier: MIT */
/* unclosed.c - must be reported by LeakSanitizer: a stream that nobody closed, and nobody has. */
#include <hank.h>

static int lose_a_stream(void *arg)
{
    hank_stream *s, *other;
    (void)arg;
    int rc = hank_stream_pair(&s, &other);
    if (rc == 0)
        hank_close(other);
    return rc;
}

int main(void)
{
    return hank_run(lose_a_stream, NULL) != 0;
}
