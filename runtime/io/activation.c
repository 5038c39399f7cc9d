/* SPDX-License-Identifier: MIT */
/* activation.c - listening sockets that the service manager opened before the program started.
 *
 * They are descriptors 3, 4, ... as many as LISTEN_FDS says, if LISTEN_PID is this process: a child
 * inherits the variables, but they are not meant for it. See sd_listen_fds(3). */
#include <hank/stream.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/os.h"

enum { FIRST_FD = 3, SOCKETS_MAX = 64 };

/* Bit i: socket i has an owner. */
static HK_ATOMIC(uint64_t) taken;

/* A number above 0 in the environment, or 0. */
static int64_t number_in(const char *name)
{
    const char *text = hk_os_environment(name);
    char *end;
    if (!text || text[0] < '0' || text[0] > '9')
        return 0;
    long long value = strtoll(text, &end, 10);
    return *end == '\0' ? value : 0;
}

int hank_listen_activated(unsigned i, hank_listener **ret)
{
    if (i >= SOCKETS_MAX || (int64_t)i >= number_in("LISTEN_FDS") ||
        number_in("LISTEN_PID") != hk_os_process_id())
        return -ENOENT;
    uint64_t bit = UINT64_C(1) << i;
    /* Acquire and release: whoever takes it after a failed try sees the descriptor as we left it.
     */
    if (hk_or_acqrel(&taken, bit) & bit)
        return -EBUSY;
    int rc = hank_listener_from_fd(FIRST_FD + (int)i, ret);
    if (rc < 0)
        (void)hk_and_acqrel(&taken, ~bit); /* release, as above */
    return rc;
}
