/* SPDX-License-Identifier: MIT */
/* undefined.c - must be reported by UndefinedBehaviorSanitizer, or nobody's overflow is. */
#include <limits.h>

int main(void)
{
    volatile int most = INT_MAX;
    volatile int more = most + 1;
    return more > 0;
}
