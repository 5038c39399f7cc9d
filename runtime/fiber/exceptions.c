/* SPDX-License-Identifier: MIT */
/* exceptions.c - whether there is C++ in this process, and where a thread keeps its exceptions. */
#include "fiber/exceptions.h"

#include "base/compiler.h"

/* The C++ runtime's own. Weak: a program in C has none, unless a library brings one along. */
HK_WEAK hk_exceptions *hk_exceptions_of_thread(void) __asm__("__cxa_get_globals");

static HK_THREAD_LOCAL hk_exceptions none;

hk_exceptions *hk_exceptions_here(void)
{
    return hk_exceptions_of_thread ? hk_exceptions_of_thread() : &none;
}
