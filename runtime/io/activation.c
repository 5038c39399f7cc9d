/* SPDX-License-Identifier: MIT */
/* activation.c - listening sockets that the service manager opened before the program started.
 *
 * They are descriptors 3, 4, ... as many as LISTEN_FDS says, if LISTEN_PID is this process: a child
 * inherits the variables, but they are not meant for it. See sd_listen_fds(3). */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/listener.h"

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

static bool is_listening(int fd)
{
    int type = 0, listening = 0;
    socklen_t length = sizeof type;
    if (hk_os_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM)
        return false;
    length = sizeof listening;
    return hk_os_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

static int take(int fd, hank_listener **ret)
{
    if (!is_listening(fd))
        return -EPROTOTYPE;
    hank_listener *l = hk_listener_new();
    if (!l)
        return -ENOMEM;
    l->address.length = sizeof l->address.socket;
    int rc = hk_os_set_nonblocking(fd);
    if (rc == 0)
        rc = hk_os_set_cloexec(fd);
    if (rc == 0)
        rc = hk_os_getsockname(fd, &l->address.socket.any, &l->address.length);
    if (rc < 0) {
        hank_listener_close(l); /* without the descriptor, which stays for another try */
        return rc;
    }
    hk_fd_adopt(&l->fd, fd, HK_INPUT_CONNECTIONS, false);
    *ret = l;
    return 0;
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
    int rc = take(FIRST_FD + (int)i, ret);
    if (rc < 0)
        (void)hk_and_acqrel(&taken, ~bit); /* release, as above */
    return rc;
}
