/* SPDX-License-Identifier: MIT */
/* file.h - files and directories, and bytes that go from one descriptor to another.
 *
 * A disk may take its time, and no descriptor of a file ever says when it is ready. Where io_uring
 * is to be had the kernel opens, reads, writes, syncs and asks about files itself, with threads of
 * its own if it needs any. Directories, what goes from one descriptor to another, what the kernel
 * turns down, and under HANK_EPOLL every call, is for the threads of the pool for calls that block,
 * as many as hank_options.blocking_threads says.
 *
 * A call that has begun is waited for whatever happens; one that has not is taken back by a stop.
 * The kernel is asked to end what has begun, which it can in a few cases: an open of a FIFO that
 * nobody answers, or what still waits for a thread.
 *
 * Every position is an argument, none is kept: any number of tasks may use a file at the same time.
 * Beside the codes named below a call returns what the system said: -EIO, -ENOSPC, -EDQUOT. */
#ifndef HANK_FILE_H
#define HANK_FILE_H

#include <hank/base.h>
#include <hank/stream.h>

#include <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_file hank_file;
typedef struct hank_dir hank_dir;

enum { HANK_NAME_MAX = 255 }; /* bytes of a name in a directory */

/* What an entry of a directory is, as far as the file system tells without looking. */
enum {
    HANK_ENTRY_UNKNOWN, /* ask hank_stat() */
    HANK_ENTRY_FILE,
    HANK_ENTRY_DIRECTORY,
    HANK_ENTRY_LINK,
    HANK_ENTRY_OTHER, /* a pipe, socket or device */
};

typedef struct hank_entry {
    uint64_t inode;
    int type; /* HANK_ENTRY_... */
    char name[HANK_NAME_MAX + 1];
} hank_entry;

/* Open a file.
 *
 *   flags       of open(2): O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC, O_APPEND
 *               ...
 *   mode        permissions of a file that O_CREAT makes, as 0644
 *   ret         the file, the caller's to close; closed on exec
 *   result      0; -EINVAL; -ENOENT; -EACCES; -EEXIST; -EISDIR; -ENOTDIR; -ELOOP; -ENAMETOOLONG;
 *               -EMFILE; -ENFILE; -ENOMEM; -EAGAIN no thread; -ECANCELED; -ETIMEDOUT
 *   waits       for the disk
 *   if stopped  nothing is open
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_file_open(const char *path, int flags, unsigned mode, hank_file **ret);

/* Close `f` and free it, when the calls that are in it have ended.
 *
 *   f           taken: no call may begin after this one; NULL is fine
 *   result      none: what a disk could not keep, hank_fsync() tells
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_file_close(hank_file *f);

/* Read n bytes from a position.
 *
 *   ret_buf     n bytes; only as many as the result says are written
 *   offset      >= 0
 *   result      n; less, 0 too, at the end of the file; -EINVAL; -EBADF not open for reading, or
 *               closed meanwhile; -ESPIPE it has no positions; -EISDIR; -ENOMEM, -EAGAIN no thread;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       for the disk
 *   if stopped  nothing was read
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API ssize_t hank_pread(hank_file *f, void *ret_buf, size_t n, int64_t offset);

/* Write all n bytes to a position; with O_APPEND to the end.
 *
 *   offset      >= 0
 *   result      0; as hank_pread(), and -ENOSPC, -EFBIG: then a part may have been written
 *   waits       until the system has taken them: they are on the disk after hank_fsync()
 *   if stopped  nothing was written
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_pwrite(hank_file *f, const void *buf, size_t n, int64_t offset);

/* Have everything written to `f` on the disk.
 *
 *   data_only   not what is only about the file, as its times
 *   result      0; -EIO; -ENOSPC; -EINVAL it is no file; -EBADF closed meanwhile; -ENOMEM, -EAGAIN
 *               no thread; -ECANCELED; -ETIMEDOUT
 *   waits       for the disk
 *   if stopped  it was not begun
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_fsync(hank_file *f, bool data_only);

/* What the system knows about `f`: size, owner, times.
 *
 *   ret         written if the result is 0
 *   result      0; -EBADF closed meanwhile; -ENOMEM, -EAGAIN no thread; -ECANCELED; -ETIMEDOUT
 *   waits       for the disk
 *   if stopped  nothing was asked
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_file_stat(hank_file *f, struct stat *ret);

/* The same by name; of what a link leads to.
 *
 *   ret         written if the result is 0
 *   result      0; -EINVAL path is NULL; -ENOENT; -EACCES; -ENOTDIR; -ELOOP; -ENAMETOOLONG;
 *               -ENOMEM, -EAGAIN no thread; -ECANCELED; -ETIMEDOUT
 *   waits       for the disk
 *   if stopped  nothing was asked
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stat(const char *path, struct stat *ret);

/* Open a directory, to see what is in it.
 *
 *   ret         the directory, the caller's to close
 *   result      as hank_file_open(); -ENOTDIR
 *   waits       for the disk
 *   if stopped  nothing is open
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_dir_open(const char *path, hank_dir **ret);

/* The next entry, "." and ".." left out; in no order.
 *
 *   ret         written if the result is 1
 *   result      1; 0 there are no more; -EOVERFLOW a name is longer than HANK_NAME_MAX; -ENOMEM,
 *               -EAGAIN no thread; -ECANCELED; -ETIMEDOUT; else what the system said
 *   waits       for the disk, once for many entries
 *   if stopped  none was taken
 *   threads     any task or thread, one at a time
 *   since       0.1 */
HANK_API int hank_dir_next(hank_dir *d, hank_entry *ret);

/* Close a directory and free it.
 *
 *   d           taken; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_dir_close(hank_dir *d);

/* Send n bytes of a file, which need not pass through the program where the system can do it.
 *
 *   offset      >= 0
 *   result      bytes sent: n, or less if the file ends before; else as hank_write() and
 *               hank_pread(). After a failure a part may have been sent: the stream is good only
 *               for reading and closing
 *   waits       for the disk, and while the kernel has no room
 *   if stopped  a part may have been sent
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API ssize_t hank_sendfile(hank_stream *s, hank_file *f, int64_t offset, size_t n);

/* Move n bytes from one stream to another. They need not pass through the program if neither is a
 * layer over another and `from` is no TCP connection under HANK_URING.
 *
 *   result      bytes moved: n, or less if `from` ends before; else as hank_read() and
 *               hank_write(). If bytes have been lost between the two, `to` is good only for
 *               reading and closing: to write is -EPIPE then
 *   waits       for bytes, and while the kernel has no room
 *   if stopped  the same
 *   threads     any task, one reader of `from` and one writer of `to` at a time
 *   since       0.1
 *   cost        allocates 64 KiB while it runs, if it copies; between two sockets it also has a
 *               pipe of 256 KiB, two descriptors, from the time that 64 KiB have come at once,
 *               and copies if there is none to be had */
HANK_API ssize_t hank_splice(hank_stream *from, hank_stream *to, size_t n);

/* Copy n bytes from one file to another, or into another place of the same file.
 *
 *   from_offset, to_offset   >= 0; the two stretches must not overlap
 *   result      bytes copied: n, or less if `from` ends before; else as hank_pread() and
 *               hank_pwrite(), and then a part may have been copied
 *   waits       for the disk
 *   if stopped  nothing was copied
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API ssize_t hank_copy_range(hank_file *from, int64_t from_offset, hank_file *to,
                                 int64_t to_offset, size_t n);

#ifdef __cplusplus
}
#endif
#endif
