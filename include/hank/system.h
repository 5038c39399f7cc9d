/* SPDX-License-Identifier: MIT */
/* system.h - the world outside: descriptors of other libraries, and calls that block.
 *
 * A worker that blocks in the kernel takes the tasks behind it along. hank_blocking() is for calls
 * that have no other form: files, databases, name services. hank_fd_wait() is for libraries that
 * hand out a descriptor and ask to be called when it is ready. */
#ifndef HANK_SYSTEM_H
#define HANK_SYSTEM_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Events of hank_fd_wait(), to be or-ed. */
enum { HANK_READABLE = 1, HANK_WRITABLE = 2 };

/* Wait until a descriptor that belongs to somebody else is ready.
 *
 * Ready includes errors and the other end having gone: the next read or write tells. The
 * descriptor is neither changed nor closed, and must stay open until the call returns, unless it is
 * closed with hank_fd_close().
 *
 *   fd          a socket, pipe, terminal, eventfd, ...
 *   events      HANK_READABLE, HANK_WRITABLE or both
 *   result      the events that are ready, > 0, which a regular file always is; -EINVAL no such
 *               events; -EBADF, also if it was closed meanwhile; -ENOMEM; -ECANCELED;
 *               -ETIMEDOUT
 *   waits       until one of them is
 *   if stopped  nothing changed
 *   threads     any task or thread
 *   since       0.1
 *   cost        system calls to register and forget the descriptor */
HANK_API int hank_fd_wait(int fd, int events);

/* Close a descriptor that others may be waiting for: their calls of hank_fd_wait() end with -EBADF,
 * all of them, before its number can be used again. The connection behind it ends soon after them.
 *
 * Not for descriptors that belong to a stream, file, listener or process of hank.
 *
 *   result      0; -EBADF; what close(2) says, after which it is closed nevertheless
 *   waits       never
 *   threads     any task or thread
 *   since       0.1 */
HANK_API int hank_fd_close(int fd);

/* Call fn(arg) on a thread that may block; outside a task, right here.
 *
 * Calls beyond the number of threads (hank_options.blocking_threads) wait for their turn. fn is no
 * task: calls that need one answer -EPERM there. It sees the caller's hank_local values.
 *
 *   result      what fn returned; -EINVAL fn is NULL; -ENOMEM, -EAGAIN no thread to be had and
 *               fn was not called; -ECANCELED; -ETIMEDOUT
 *   waits       until fn has returned
 *   if stopped  fn was not called; once it has begun it is waited for and its result returned, for
 *               arg may live on the caller's stack
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        a hand-over to another thread and back */
HANK_API int hank_blocking(hank_fn fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
