/* SPDX-License-Identifier: MIT */
/* check.c - the last words of a broken program. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/os.h"

static HK_ATOMIC(hk_panic_hook *) panic_hook;

void hk_panic_set_hook(hk_panic_hook *hook)
{
    hk_store_release(&panic_hook, hook); /* [panic:hook] release: its code is ready */
}

void hk_panic(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line - 2 ? (size_t)n : sizeof line - 2;
    line[length++] = '\n';
    (void)hk_os_write(2, "hank: ", 6); /* nothing is left to do if stderr is gone */
    (void)hk_os_write(2, line, length);

    /* [panic:hook] acquire. Swapped, so that a panic inside the hook does not come back here. */
    hk_panic_hook *hook = hk_swap_acqrel(&panic_hook, (hk_panic_hook *)NULL);
    if (hook)
        hook(2);
    abort();
}
