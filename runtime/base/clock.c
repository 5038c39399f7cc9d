/* SPDX-License-Identifier: MIT */
/* clock.c - the time and the version, for whoever asks. */
#include <hank/base.h>

#include "base/os.h"

#define TEXT(x)  #x
#define PARTS(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

hank_ns hank_now(void)
{
    return hk_os_now();
}

const char *hank_version(void)
{
    return PARTS(HANK_VERSION_MAJOR, HANK_VERSION_MINOR, HANK_VERSION_PATCH);
}
