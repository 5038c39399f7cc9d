/* SPDX-License-Identifier: MIT */
/* proc.h - what the kernel says of memory. */
#ifndef HK_TESTS_STRESS_PROC_H
#define HK_TESTS_STRESS_PROC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind `name` in a file of lines "Name:   123 kB"; -1 there is none. */
static inline long read_proc_kib(const char *path, const char *name)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen(path, "r");
    while (status && kib < 0 && fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    if (status)
        (void)fclose(status);
    return kib;
}

#endif
