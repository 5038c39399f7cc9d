/* SPDX-License-Identifier: MIT */
/* leak.c - must be reported by LeakSanitizer, or nobody's leaks are. */
#include <stdlib.h>

int main(void)
{
    char *volatile lost = malloc(100);
    lost = NULL;
    return lost != NULL;
}
