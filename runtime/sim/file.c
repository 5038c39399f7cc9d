/* SPDX-License-Identifier: MIT */
/* file.c - files in memory: a flat list of paths, on a disk that can be full.
 *
 * There are no directories: a path is a name, and one can be made in any place. The list is short
 * and looked up rarely. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/os.h"
#include "sim/sim.h"

static hk_sim_inode *inodes;
static uint64_t number_last;
static uint64_t disk_used;

/* --- inodes -------------------------------------------------------------------------------- */

hk_sim_inode *hk_sim_inode_find(const char *path)
{
    hk_sim_inode *i = inodes;
    while (i && !(i->path && strcmp(i->path, path) == 0))
        i = i->next;
    return i;
}

hk_sim_inode *hk_sim_inode_new(const char *path, unsigned mode)
{
    hk_sim_inode *i = hk_sim_new(sizeof *i);
    i->path_bytes = strlen(path) + 1;
    i->path = hk_sim_new(i->path_bytes);
    memcpy(i->path, path, i->path_bytes);
    i->mode = mode;
    i->uses = 1;
    i->number = ++number_last;
    i->next = inodes;
    inodes = i;
    return i;
}

static void resize(hk_sim_inode *i, size_t size)
{
    if (size > i->capacity) {
        size_t capacity = size * 2;
        char *bytes = hk_sim_new(capacity);
        if (i->size > 0)
            memcpy(bytes, i->bytes, i->size);
        hk_sim_free(i->bytes, i->capacity);
        i->bytes = bytes;
        i->capacity = capacity;
    }
    if (size > i->size)
        memset(i->bytes + i->size, 0, size - i->size);
    disk_used += size;
    disk_used -= i->size;
    i->size = size;
}

/* A use or its path is gone: with the last of both goes the file. */
static void free_unless_used(hk_sim_inode *i)
{
    if (i->uses > 0 || i->path)
        return;
    hk_sim_inode **at = &inodes;
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    disk_used -= i->size;
    hk_sim_free(i->bytes, i->capacity);
    hk_sim_free(i, sizeof *i);
}

void hk_sim_inode_drop(hk_sim_inode *i)
{
    i->uses--;
    free_unless_used(i);
}

/* --- open files ---------------------------------------------------------------------------- */

typedef struct regular {
    hk_sim_file file;
    hk_sim_inode *inode;
    size_t offset;
    int flags;
} regular;

static ssize_t take(hk_sim_inode *i, size_t offset, void *buffer, size_t n)
{
    size_t left = offset < i->size ? i->size - offset : 0;
    size_t got = n < left ? n : left;
    if (got > 1 && hk_sim_below(8) == 0)
        got = (size_t)hk_sim_skewed(1, (int64_t)got);
    if (got > 0)
        memcpy(buffer, i->bytes + offset, got);
    return (ssize_t)got;
}

static ssize_t put(hk_sim_inode *i, size_t offset, const void *buffer, size_t n)
{
    if (n == 0)
        return 0;
    if (n > 1 && hk_sim_below(8) == 0)
        n = (size_t)hk_sim_skewed(1, (int64_t)n);
    size_t room =
        hk_sim_options.disk_bytes > disk_used ? (size_t)(hk_sim_options.disk_bytes - disk_used) : 0;
    size_t most = i->size + room;
    if (offset >= most)
        return -ENOSPC;
    n = n < most - offset ? n : most - offset;
    if (offset + n > i->size)
        resize(i, offset + n);
    memcpy(i->bytes + offset, buffer, n);
    return (ssize_t)n;
}

static ssize_t regular_read(hk_sim_file *f, void *buffer, size_t n)
{
    regular *r = (regular *)f;
    if ((r->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    ssize_t got = take(r->inode, r->offset, buffer, n);
    r->offset += (size_t)got;
    return got;
}

static ssize_t regular_write(hk_sim_file *f, const void *buffer, size_t n)
{
    regular *r = (regular *)f;
    if ((r->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (r->flags & O_APPEND)
        r->offset = r->inode->size;
    ssize_t done = put(r->inode, r->offset, buffer, n);
    if (done > 0)
        r->offset += (size_t)done;
    return done;
}

static void regular_gone(hk_sim_file *f)
{
    hk_sim_inode_drop(((regular *)f)->inode);
    hk_sim_free(f, sizeof(regular));
}

static const hk_sim_kind regulars = {regular_read, regular_write, NULL, regular_gone};

static int find_or_make(const char *path, int flags, unsigned mode, hk_sim_inode **ret)
{
    hk_sim_inode *i = hk_sim_inode_find(path);
    if (i && (flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (i && !S_ISREG(i->mode))
        return -ENXIO;
    if (!i && !(flags & O_CREAT))
        return -ENOENT;
    if (i)
        i->uses++;
    else
        i = hk_sim_inode_new(path, S_IFREG | (mode & 0777));
    if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY)
        resize(i, 0);
    *ret = i;
    return 0;
}

static int open_file(const char *path, int flags, unsigned mode)
{
    hk_sim_inode *i;
    int rc = find_or_make(path, flags, mode, &i);
    if (rc < 0)
        return rc;
    regular *r = hk_sim_new(sizeof *r);
    r->file.kind = &regulars;
    r->inode = i;
    r->flags = flags;
    int fd = hk_sim_install(&r->file);
    if (fd < 0)
        regular_gone(&r->file);
    return fd;
}

int hk_os_open(const char *path, int flags)
{
    enum { MODE = 0600 };
    hk_sim_call();
    int rc = open_file(path, flags, MODE);
    hk_sim_note("open", flags, rc);
    return rc;
}

int hk_os_open_mode(const char *path, int flags, unsigned mode)
{
    hk_sim_call();
    int rc = open_file(path, flags, mode);
    hk_sim_note("open", flags, rc);
    return rc;
}

int hk_os_access_mode(int fd)
{
    hk_sim_file *f = hk_sim_file_of(fd);
    if (!f)
        return -EBADF;
    if (f->kind == &regulars)
        return ((regular *)f)->flags & O_ACCMODE;
    return !f->kind->write ? O_RDONLY : !f->kind->read ? O_WRONLY : O_RDWR;
}

/* A number of its own is all that a reader or writer that never blocks can have for itself. */
int hk_os_reopen(int fd, int flags)
{
    (void)flags;
    return hk_os_duplicate(fd);
}

/* An open regular file, or why that is none. */
static regular *regular_of(int fd, int *ret_error)
{
    hk_sim_file *f = hk_sim_file_of(fd);
    bool is_regular = f && f->kind == &regulars;
    *ret_error = is_regular ? 0 : f ? -ESPIPE : -EBADF;
    return is_regular ? (regular *)f : NULL;
}

ssize_t hk_os_pread(int fd, void *buffer, size_t n, int64_t offset)
{
    int error;
    hk_sim_call();
    regular *r = regular_of(fd, &error);
    ssize_t rc = !r                                   ? error
                 : (r->flags & O_ACCMODE) == O_WRONLY ? -EBADF
                                                      : take(r->inode, (size_t)offset, buffer, n);
    hk_sim_note("pread", fd, rc);
    return rc;
}

ssize_t hk_os_pwrite(int fd, const void *buffer, size_t n, int64_t offset)
{
    int error;
    hk_sim_call();
    regular *r = regular_of(fd, &error);
    ssize_t rc = !r                                   ? error
                 : (r->flags & O_ACCMODE) == O_RDONLY ? -EBADF
                                                      : put(r->inode, (size_t)offset, buffer, n);
    hk_sim_note("pwrite", fd, rc);
    return rc;
}

bool hk_os_has_positions(int fd)
{
    int error;
    return regular_of(fd, &error) != NULL;
}

int hk_os_sync(int fd, bool data_only)
{
    int error;
    hk_sim_call();
    (void)regular_of(fd, &error);
    hk_sim_note("sync", fd, data_only);
    return error == -ESPIPE ? -EINVAL : error;
}

/* --- by path ------------------------------------------------------------------------------- */

static void describe(const hk_sim_inode *i, struct stat *ret)
{
    *ret = (struct stat){.st_dev = 1,
                         .st_ino = (ino_t)i->number,
                         .st_mode = (mode_t)i->mode,
                         .st_nlink = i->path ? 1 : 0,
                         .st_size = (off_t)i->size};
}

int hk_os_stat(const char *path, struct stat *ret_stat)
{
    hk_sim_call();
    hk_sim_inode *i = hk_sim_inode_find(path);
    hk_sim_note("stat", i != NULL, 0);
    if (!i)
        return -ENOENT;
    describe(i, ret_stat);
    return 0;
}

int hk_os_unlink(const char *path)
{
    hk_sim_call();
    hk_sim_inode *i = hk_sim_inode_find(path);
    hk_sim_note("unlink", i != NULL, 0);
    if (!i)
        return -ENOENT;
    hk_sim_free(i->path, i->path_bytes);
    i->path = NULL;
    free_unless_used(i);
    return 0;
}

int hk_os_stat_target(const char *path, struct stat *ret_stat)
{
    return hk_os_stat(path, ret_stat); /* there are no links */
}

int hk_os_fstat(int fd, struct stat *ret_stat)
{
    int error;
    hk_sim_call();
    hk_sim_file *f = hk_sim_file_of(fd);
    const regular *r = regular_of(fd, &error);
    if (!f)
        return -EBADF;
    if (r)
        describe(r->inode, ret_stat);
    else
        *ret_stat = (struct stat){.st_mode = hk_sim_is_pipe(f) ? S_IFIFO : S_IFSOCK};
    return 0;
}
