/* SPDX-License-Identifier: MIT */
/* file.c - files and directories: by the kernel itself, or through the threads that may block.
 *
 * A reactor that makes calls (io_uring) makes these; what it cannot, and all of it elsewhere, is
 * for the pool. There each call is a struct with its arguments on the caller's stack, which the
 * pool's thread fills in: hank_blocking() waits for a call that has begun whatever happens. So does
 * hk_request_make().
 *
 * Only the pool reads directories, many entries at a time, so that a hand-over to another thread
 * is paid once for as many as fit into `names`. And a close is made where it is: it frees a number
 * and waits for nothing. */
#include "io/file.h"

#include <hank/system.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/blocking.h"
#include "io/request.h"
#include "sched/runtime.h"

/* --- life ------------------------------------------------------------------------------------ */

static void file_gone(hk_fd *f)
{
    hank_file *file = hk_container_of(f, hank_file, fd);
    hk_free(file, sizeof *file);
}

typedef struct open_call {
    const char *path;
    int flags;
    unsigned mode;
} open_call;

static int do_open(void *arg)
{
    const open_call *c = arg;
    return hk_os_open_mode(c->path, c->flags, c->mode);
}

/* A descriptor, or a negative errno. */
static int open_path(const char *path, int flags, unsigned mode)
{
    hk_request q = {.kind = HK_REQUEST_OPEN, .path = path, .flags = flags, .mode = mode};
    int rc = hk_request_make(&q);
    if (rc == HK_RETRY)
        return hank_blocking(do_open, &(open_call){path, flags, mode});
    return rc < 0 ? rc : q.result;
}

int hank_file_open(const char *path, int flags, unsigned mode, hank_file **ret)
{
    if (!path)
        return -EINVAL;
    hank_file *f = hk_alloc_zeroed(sizeof *f);
    if (!f)
        return -ENOMEM;
    int rc = hk_fd_init(&f->fd, file_gone);
    if (rc < 0) {
        hk_free(f, sizeof *f);
        return rc;
    }
    rc = open_path(path, flags, mode);
    if (rc < 0) {
        hank_file_close(f);
        return rc;
    }
    hk_fd_adopt(&f->fd, rc, HK_INPUT_EVENTS, false);
    f->has_positions = hk_os_has_positions(rc);
    *ret = f;
    return 0;
}

void hank_file_close(hank_file *f)
{
    if (f)
        hk_fd_close(&f->fd);
}

/* --- bytes ----------------------------------------------------------------------------------- */

typedef struct bytes_call {
    int fd;
    char *memory;
    size_t n;
    int64_t offset;
    size_t done; /* of n, when the pool gets it */
    ssize_t result;
} bytes_call;

enum { REQUEST_MAX_BYTES = 1 << 30 }; /* the kernel moves a little under 2 GiB a call */

/* 0: call->result says how it went; HK_RETRY: what is not done is the pool's; or a stop. */
typedef int by_kernel(bytes_call *call);

/* What has begun is brought to its end. */
static int by_pool(hank_fn fn, bytes_call *call)
{
    if (call->done == 0)
        return hank_blocking(fn, call);
    hk_fn_job rest = {{.run = hk_fn_job_run}, fn, call, hk_runtime_locals()};
    hk_blocking_run_firmly(&rest.job);
    return 0;
}

/* With `f` held. The ring knows no call that refuses a file without positions: it would read. */
static ssize_t run(hank_file *f, by_kernel *ask, hank_fn fn, bytes_call *call)
{
    call->fd = f->fd.fd;
    int rc = f->has_positions ? ask(call) : HK_RETRY;
    if (rc == HK_RETRY)
        rc = by_pool(fn, call);
    return rc < 0 ? rc : call->result;
}

static ssize_t with_file(hank_file *f, by_kernel *ask, hank_fn fn, bytes_call *call)
{
    if (call->offset < 0 || call->n > (size_t)SSIZE_MAX)
        return -EINVAL;
    ssize_t rc = hk_fd_hold(&f->fd);
    if (rc < 0)
        return rc;
    rc = run(f, ask, fn, call);
    hk_fd_release(&f->fd);
    return rc;
}

/* NULL is for the system to refuse. */
static char *rest_of(const bytes_call *c)
{
    return c->done > 0 ? c->memory + c->done : c->memory;
}

/* Until all is done or nothing comes: like the two functions below. */
static int ask_for_bytes(bytes_call *c, hk_request_kind kind)
{
    hk_request q = {.kind = kind, .fd = c->fd, .result = 1};
    while (c->done < c->n && q.result > 0) {
        size_t left = c->n - c->done;
        q.memory = rest_of(c);
        q.offset = c->offset + (int64_t)c->done;
        q.n = left < REQUEST_MAX_BYTES ? (uint32_t)left : REQUEST_MAX_BYTES;
        int rc = c->done == 0 ? hk_request_make(&q) : hk_request_go_on(&q);
        if (rc != 0)
            return rc;
        c->done += q.result > 0 ? (size_t)q.result : 0;
    }
    c->result = q.result < 0 ? q.result : (ssize_t)c->done;
    return 0;
}

ssize_t hk_file_read_all(int fd, char *ret_buf, size_t n, int64_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = hk_os_pread(fd, ret_buf, n - done, offset + (int64_t)done);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
        ret_buf += got;
    }
    return (ssize_t)done;
}

int hk_file_write_all(int fd, const char *buf, size_t n, int64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = hk_os_pwrite(fd, buf, n - done, offset + (int64_t)done);
        if (put < 0)
            return (int)put;
        done += (size_t)put;
        buf += put;
    }
    return 0;
}

static int do_read(void *arg)
{
    bytes_call *c = arg;
    ssize_t got = hk_file_read_all(c->fd, rest_of(c), c->n - c->done, c->offset + (int64_t)c->done);
    c->result = got < 0 ? got : (ssize_t)c->done + got;
    return 0;
}

static int ask_read(bytes_call *c)
{
    return c->n > 0 ? ask_for_bytes(c, HK_REQUEST_READ) : HK_RETRY;
}

ssize_t hank_pread(hank_file *f, void *ret_buf, size_t n, int64_t offset)
{
    bytes_call c = {.memory = ret_buf, .n = n, .offset = offset};
    return with_file(f, ask_read, do_read, &c);
}

ssize_t hk_file_read_held(hank_file *f, char *ret_buf, size_t n, int64_t offset)
{
    return run(f, ask_read, do_read, &(bytes_call){.memory = ret_buf, .n = n, .offset = offset});
}

static int do_write(void *arg)
{
    bytes_call *c = arg;
    c->result = hk_file_write_all(c->fd, rest_of(c), c->n - c->done, c->offset + (int64_t)c->done);
    return 0;
}

static int ask_write(bytes_call *c)
{
    return c->n > 0 ? ask_for_bytes(c, HK_REQUEST_WRITE) : HK_RETRY;
}

int hank_pwrite(hank_file *f, const void *buf, size_t n, int64_t offset)
{
    bytes_call c = {.memory = (char *)(uintptr_t)buf, .n = n, .offset = offset};
    ssize_t rc = with_file(f, ask_write, do_write, &c);
    return rc < 0 ? (int)rc : 0;
}

/* --- about files ----------------------------------------------------------------------------- */

static int do_sync(void *arg)
{
    bytes_call *c = arg;
    c->result = hk_os_sync(c->fd, c->n > 0);
    return 0;
}

static int ask_sync(bytes_call *c)
{
    hk_request q = {.kind = HK_REQUEST_SYNC, .fd = c->fd, .data_only = c->n > 0};
    int rc = hk_request_make(&q);
    c->result = q.result;
    return rc;
}

int hank_fsync(hank_file *f, bool data_only)
{
    return (int)with_file(f, ask_sync, do_sync, &(bytes_call){.n = data_only});
}

/* By path or, if that is NULL, descriptor. 0, a negative errno or HK_RETRY. */
static int ask_stat(const char *path, int fd, struct stat *ret)
{
    _Alignas(8) char answer[HK_STAT_BYTES];
    hk_request q = {
        .kind = HK_REQUEST_STAT, .path = path, .fd = fd, .memory = answer, .ret_stat = ret};
    int rc = hk_request_make(&q);
    return rc == 0 ? q.result : rc;
}

static int do_fstat(void *arg)
{
    bytes_call *c = arg;
    c->result = hk_os_fstat(c->fd, (struct stat *)(void *)c->memory);
    return 0;
}

static int ask_fstat(bytes_call *c)
{
    return ask_stat(NULL, c->fd, (struct stat *)(void *)c->memory);
}

int hank_file_stat(hank_file *f, struct stat *ret)
{
    return (int)with_file(f, ask_fstat, do_fstat, &(bytes_call){.memory = (char *)ret});
}

typedef struct stat_call {
    const char *path;
    struct stat *ret;
} stat_call;

static int do_stat(void *arg)
{
    stat_call *c = arg;
    return hk_os_stat_target(c->path, c->ret);
}

int hank_stat(const char *path, struct stat *ret)
{
    int rc = path ? ask_stat(path, -1, ret) : -EINVAL;
    return rc == HK_RETRY ? hank_blocking(do_stat, &(stat_call){path, ret}) : rc;
}

/* --- directories ----------------------------------------------------------------------------- */

enum { NAMES_BYTES = 16 * 1024 };

/* An entry in `names`: inode and type, then the name with its NUL. */
typedef struct packed {
    uint64_t inode;
    int32_t type;
    uint32_t length;
} packed;

/* names[at .. end) are entries that were read and not yet taken; failure is what comes after them,
 * 1: more entries. One task at a time has a directory, and the pool's thread while that one waits.
 */
struct hank_dir {
    DIR *dir;
    size_t at;
    size_t end;
    int failure;
    char names[NAMES_BYTES];
};

typedef struct dir_call {
    const char *path;
    DIR *dir;
} dir_call;

static int do_dir_open(void *arg)
{
    dir_call *c = arg;
    return hk_os_dir_open(c->path, &c->dir);
}

int hank_dir_open(const char *path, hank_dir **ret)
{
    dir_call call = {.path = path};
    if (!path)
        return -EINVAL;
    hank_dir *d = hk_alloc(sizeof *d);
    if (!d)
        return -ENOMEM;
    int rc = hank_blocking(do_dir_open, &call);
    if (rc < 0) {
        hk_free(d, sizeof *d);
        return rc;
    }
    d->dir = call.dir;
    d->at = d->end = 0;
    d->failure = 1;
    *ret = d;
    return 0;
}

void hank_dir_close(hank_dir *d)
{
    if (!d)
        return;
    hk_os_dir_close(d->dir);
    hk_free(d, sizeof *d);
}

static int type_of(const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_REG: return HANK_ENTRY_FILE;
    case DT_DIR: return HANK_ENTRY_DIRECTORY;
    case DT_LNK: return HANK_ENTRY_LINK;
    case DT_UNKNOWN: return HANK_ENTRY_UNKNOWN;
    default: return HANK_ENTRY_OTHER;
    }
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* 0, or what is wrong with this entry. */
static int pack(hank_dir *d, const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    if (length > HANK_NAME_MAX)
        return -EOVERFLOW;
    packed p = {entry->d_ino, type_of(entry), (uint32_t)length};
    memcpy(d->names + d->end, &p, sizeof p);
    memcpy(d->names + d->end + sizeof p, entry->d_name, length + 1);
    d->end += sizeof p + length + 1;
    return 0;
}

/* As many entries as there is room for. */
static int do_dir_fill(void *arg)
{
    hank_dir *d = arg;
    size_t largest = sizeof(packed) + HANK_NAME_MAX + 1;
    while (d->failure == 1 && d->end + largest <= sizeof d->names) {
        struct dirent *entry = NULL;
        d->failure = hk_os_dir_next(d->dir, &entry);
        if (d->failure == 1 && !is_dots(entry->d_name)) {
            int rc = pack(d, entry);
            d->failure = rc < 0 ? rc : 1;
        }
    }
    return 0;
}

int hank_dir_next(hank_dir *d, hank_entry *ret)
{
    if (d->at == d->end && d->failure == 1) {
        d->at = d->end = 0;
        int rc = hank_blocking(do_dir_fill, d);
        if (rc < 0)
            return rc;
    }
    if (d->at == d->end) {
        int rc = d->failure;
        if (rc < 0)
            d->failure = 1; /* said once: the next call goes on behind it */
        return rc;
    }
    packed p;
    memcpy(&p, d->names + d->at, sizeof p);
    ret->inode = p.inode;
    ret->type = p.type;
    memcpy(ret->name, d->names + d->at + sizeof p, p.length + 1);
    d->at += sizeof p + p.length + 1;
    return 1;
}
