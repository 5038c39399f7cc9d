/* SPDX-License-Identifier: MIT */
/* where_fuzz.c - whatever the bytes, hk_where_parse answers; and what it accepts, hk_where_format
 * writes such that it is accepted again and means the same. For libFuzzer. */
#include "io/where.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "fuzz/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    if (text == NULL)
        return 0;

    hk_where where, again;
    char name[HK_WHERE_MAX];
    if (hk_where_parse(text, true, &where) == 0) {
        HK_CHECK(strlen(where.host) <= HK_HOST_MAX);
        if (where.host[0] == '\0') {
            HK_CHECK(hk_where_format(&where.address, name, sizeof name) == 0);
            HK_CHECK(hk_where_parse(name, true, &again) == 0);
            HK_CHECK(again.address.length == where.address.length);
            HK_CHECK(memcmp(&again.address.socket, &where.address.socket, where.address.length) ==
                     0);
        }
    }
    free(text);
    return 0;
}
