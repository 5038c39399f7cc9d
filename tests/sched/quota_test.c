/* SPDX-License-Identifier: MIT */
/* quota_test.c - control groups as they are found on machines and in containers, laid out in a
 * directory of the test's own. */
#include "sched/quota.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/hank-quota-XXXXXX";

static void make_root(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_root(void)
{
    cr_expect_eq(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(quota, .init = make_root, .fini = remove_root);

/* Write a file below the root, and make the directories that lead to it. */
static void put(const char *name, const char *text)
{
    char path[8192];
    (void)snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST, "%s", path);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f, "%s", path);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

Test(quota, is_none_where_nothing_says_so)
{
    cr_expect_eq(hk_quota_cpus(root), 0);
    put("/proc/self/cgroup", "0::/job\n");
    cr_expect_eq(hk_quota_cpus(root), 0, "a group without the controller");
    put("/sys/fs/cgroup/job/cpu.max", "max 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 0);
    put("/proc/self/cgroup", "what is this\n:\n7\n");
    cr_expect_eq(hk_quota_cpus(root), 0);
    put("/sys/fs/cgroup/cpu.max", "nonsense\n");
    cr_expect_eq(hk_quota_cpus(root), 0);
}

Test(quota, is_that_of_the_processs_own_group)
{
    put("/proc/self/cgroup", "0::/user.slice/a:b/job\n");
    put("/sys/fs/cgroup/user.slice/a:b/job/cpu.max", "300000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 3);
    put("/sys/fs/cgroup/user.slice/a:b/job/cpu.max", "310000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 4, "rounded up");
    put("/sys/fs/cgroup/user.slice/a:b/job/cpu.max", "1000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 1);
    put("/sys/fs/cgroup/other/cpu.max", "1000 100000\n");
    put("/proc/self/cgroup", "0::/\n");
    cr_expect_eq(hk_quota_cpus(root), 0, "others' are no matter");
}

Test(quota, is_the_tightest_of_those_above)
{
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "500000 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
    put("/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 1);
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/cpu.max", "700000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 7, "a container's root is its group");
}

/* The group of the host, where the container sees only itself. */
Test(quota, is_found_at_the_root_of_a_container_that_does_not_see_its_path)
{
    put("/proc/self/cgroup", "0::/docker/4711\n");
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
    put("/proc/self/cgroup", "0::/../sibling\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
}

Test(quota, of_version_1_is_in_two_files)
{
    put("/proc/self/cgroup", "5:cpuset:/set\n4:cpu,cpuacct:/a/b\n0::/x\n");
    put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
    cr_expect_eq(hk_quota_cpus(root), 0);
    put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "250000\n");
    cr_expect_eq(hk_quota_cpus(root), 3);
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\n");
    cr_expect_eq(hk_quota_cpus(root), 3, "half of a limit is none");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "50000\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
}

Test(quota, of_version_1_may_be_named_after_all_its_controllers)
{
    put("/proc/self/cgroup", "4:cpuacct,cpu:/a\n3:cpuset:/b\n");
    put("/sys/fs/cgroup/cpuset/b/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpuset/b/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpuacct,cpu/a/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpuacct,cpu/a/cpu.cfs_period_us", "100000\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
}

Test(quota, of_both_versions_is_the_tighter_one)
{
    put("/proc/self/cgroup", "4:cpu:/a\n0::/b\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
}

Test(quota, of_a_group_whose_name_is_too_long_is_that_of_the_root)
{
    char line[8100] = "0::/";
    memset(line + strlen(line), 'x', sizeof line - 10);
    put("/proc/self/cgroup", line);
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    cr_expect_eq(hk_quota_cpus(root), 2);
}
