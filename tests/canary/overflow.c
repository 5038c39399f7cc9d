/* SPDX-License-Identifier: MIT */
/* overflow.c - must be reported by AddressSanitizer, or nobody's overflow is. */
#include <stdlib.h>

int main(void)
{
    volatile size_t past = 100;
    char *bytes = calloc(past, 1);
    volatile int value = bytes ? bytes[past] : 0;
    free(bytes);
    return value > 1000;
}
