/* SPDX-License-Identifier: MIT */
/* layer.h - what layers add to connecting and listening: schemes of others. */
#ifndef HK_IO_LAYER_H
#define HK_IO_LAYER_H

#include <hank/layer.h>

/* Whoever knows such a `where`; NULL: nobody does. */
const hank_scheme *hk_scheme_find(const char *where);

#endif
