/* SPDX-License-Identifier: MIT */
/* unix_file.c - binding Unix sockets, and their files. */
#include "io/unix_file.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/os.h"

static bool has_file(const hk_address *address)
{
    return address->socket.any.sa_family == AF_UNIX && address->socket.un.sun_path[0] != '\0';
}

static bool somebody_is_there(int type, const hk_address *address)
{
    int fd = hk_os_socket(AF_UNIX, type, 0);
    if (fd < 0)
        return true; /* cannot tell: leave the file alone */
    int rc = hk_os_connect(fd, &address->socket.any, address->length);
    (void)hk_os_close(fd); /* it was only to ask */
    return rc != -ECONNREFUSED;
}

/* Two that start at once may both find it stale: the second removes the first one's fresh file if
 * it is faster than listen(2). As long as servers are not started in a race, nobody loses. */
static bool remove_stale(int type, const hk_address *address)
{
    const char *path = address->socket.un.sun_path;
    struct stat file;
    if (hk_os_stat(path, &file) < 0 || !S_ISSOCK(file.st_mode) || somebody_is_there(type, address))
        return false;
    return hk_os_unlink(path) == 0;
}

int hk_unix_file_bind(int fd, int type, const hk_address *address, hk_unix_file *ret_file)
{
    struct stat file;
    int rc = hk_os_bind(fd, &address->socket.any, address->length);
    if (rc == -EADDRINUSE && has_file(address) && remove_stale(type, address))
        rc = hk_os_bind(fd, &address->socket.any, address->length);
    if (rc == 0 && has_file(address) && hk_os_stat(address->socket.un.sun_path, &file) == 0)
        *ret_file = (hk_unix_file){.device = file.st_dev, .inode = file.st_ino};
    return rc;
}

void hk_unix_file_remove(const hk_unix_file *ours, const hk_address *address)
{
    struct stat file;
    if (ours->inode == 0 || hk_os_stat(address->socket.un.sun_path, &file) < 0)
        return;
    if (file.st_dev == ours->device && file.st_ino == ours->inode)
        (void)hk_os_unlink(address->socket.un.sun_path); /* or it is stale, as after a crash */
}
