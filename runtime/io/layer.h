/* SPDX-License-Identifier: MIT */
/* layer.h - what layers add to connecting and listening: schemes of others; and the end of what is
 * below them. */
#ifndef HK_IO_LAYER_H
#define HK_IO_LAYER_H

#include <hank/layer.h>

/* Whoever knows such a `where`; NULL: nobody does. */
const hank_scheme *hk_scheme_find(const char *where);

/* What is below `top` is about to be ended by somebody who does not own it: every layer from `top`
 * down may say so to the other end. Nobody may close `top` meanwhile. Never waits. */
void hk_layers_farewell(hank_stream *top);

#endif
