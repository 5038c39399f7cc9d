/* SPDX-License-Identifier: MIT */
/* fuzz_text.h - the fuzzer's bytes as a string that is exactly as long as it is, so that reading on
 * is seen. */
#ifndef HK_TESTS_FUZZ_TEXT_H
#define HK_TESTS_FUZZ_TEXT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The caller's to free; NULL: no memory. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
