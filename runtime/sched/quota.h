/* SPDX-License-Identifier: MIT */
/* quota.h - how much of the machine's time the control groups of this process let it have. */
#ifndef HK_SCHED_QUOTA_H
#define HK_SCHED_QUOTA_H

/* CPUs' worth of time, rounded up; 0: there is no limit. `root` is put before each path that is
 * read; "" is the system itself. */
unsigned hk_quota_cpus(const char *root);

#endif
