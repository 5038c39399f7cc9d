/* SPDX-License-Identifier: MIT */
/* check.h - what must be true, said where it must be true.
 *
 * HK_CHECK stays in release builds: cheap, and guards memory or a broken caller. HK_DCHECK is for
 * debug builds: anything that costs. One fact each, and never a side effect. */
#ifndef HK_BASE_CHECK_H
#define HK_BASE_CHECK_H

#include "base/compiler.h"

/* Print the message and what the panic hook adds (the current task), then abort(). */
HK_NORETURN HK_COLD void hk_panic(const char *format, ...) HK_PRINTF(1, 2);

/* Called once, before abort, with a file descriptor to write to. sched/ installs a hook that
 * names the task; it must not allocate or lock. */
typedef void hk_panic_hook(int fd);
void hk_panic_set_hook(hk_panic_hook *hook);

#define HK_CHECK(fact)                                                                     \
    (HK_LIKELY(fact) ? (void)0                                                             \
                     : hk_panic("%s:%d: %s: broken: %s", __FILE__, __LINE__, __func__, #fact))

#ifdef NDEBUG
#define HK_DCHECK(fact) ((void)sizeof(!(fact)))
#else
#define HK_DCHECK(fact) HK_CHECK(fact)
#endif

#endif
