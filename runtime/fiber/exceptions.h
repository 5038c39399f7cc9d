/* SPDX-License-Identifier: MIT */
/* exceptions.h - what C++ keeps of a thread's exceptions, and what belongs to whoever runs there.
 *
 * Two words by the C++ ABI: the exceptions that are being handled, innermost first, and how many
 * are on their way to a handler. Whoever waits in a handler, or in a destructor that an exception
 * runs, takes them along, or the next on that thread would rethrow, and free, what is not its own.
 *
 * Hardly anybody waits there: so the words are looked at in every switch, and moved if there is
 * anything in them (docs/decisions/0020-exceptions-of-cxx.md).
 *
 * Source: Itanium C++ ABI, Level II, 2.2.2 "Caught Exception Stack". */
#ifndef HK_FIBER_EXCEPTIONS_H
#define HK_FIBER_EXCEPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Laid out by the ABI. The thread's alone. */
typedef struct hk_exceptions {
    void *caught;
    unsigned uncaught;
} hk_exceptions;

/* The calling thread's; they stay where they are. Without C++ in the process they are empty. */
hk_exceptions *hk_exceptions_here(void);

static inline bool hk_exceptions_any(const hk_exceptions *e)
{
    return ((uintptr_t)e->caught | e->uncaught) != 0; /* one branch */
}

/* Leave the thread without any; whoever has the result puts it back, there or on another one. */
static inline hk_exceptions hk_exceptions_take(hk_exceptions *of_thread)
{
    hk_exceptions taken = *of_thread;
    *of_thread = (hk_exceptions){.caught = NULL};
    return taken;
}

#endif
