/* SPDX-License-Identifier: MIT */
/* tree.h - the tasks of the program as the tree they are. */
#ifndef HK_SCHED_TREE_H
#define HK_SCHED_TREE_H

/* hank_dump_tree() itself. */
void hk_tree_dump(int fd);

#endif
