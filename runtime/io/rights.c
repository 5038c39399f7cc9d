/* SPDX-License-Identifier: MIT */
/* rights.c - descriptors in the control data of a message. */
#include "io/rights.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/os.h"

void hk_rights_put(struct msghdr *m, hk_rights *memory, const int *fds, size_t count)
{
    *memory = (hk_rights){.bytes = {0}};
    m->msg_control = memory->bytes;
    m->msg_controllen = CMSG_SPACE(count * sizeof *fds);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(c), fds, count * sizeof *fds);
}

void hk_rights_expect(struct msghdr *m, hk_rights *memory)
{
    m->msg_control = memory->bytes;
    m->msg_controllen = sizeof memory->bytes;
}

/* Give the caller what has room, close the rest; the number given. */
static size_t hand_out(const struct cmsghdr *c, int *ret_fds, size_t room)
{
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (i < room)
            ret_fds[i] = fd;
        else
            (void)hk_os_close(fd); /* nobody asked for it */
    }
    return n < room ? n : room;
}

int hk_rights_take(struct msghdr *m, int *ret_fds, size_t *count)
{
    bool cut = m->msg_flags & MSG_CTRUNC;
    size_t room = cut ? 0 : *count;
    *count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            *count += hand_out(c, ret_fds + *count, room - *count);
    return cut ? -EMFILE : 0;
}
