/* SPDX-License-Identifier: MIT */
/* refused.c - what the simulated machine does not have: each says so, and docs/simulation.md does.
 * tests/sim/seam_test.py counts them. */
#include <errno.h>

#include "base/os.h"
