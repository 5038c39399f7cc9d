/* SPDX-License-Identifier: MIT */
/* names.c - names and addresses on the simulated machine: a name has one address, an address a name
 * that leads back to it, and lookups fail when they are told to. */
#include "sim/sim_support.h"

#include <hank/address.h>

enum { SEEDS = 60 };

static bool is_failed_lookup(int rc)
{
    return rc < -4095;
}

/* There and back: from the name of an address to the same address. */
static int there_and_back(void *arg)
{
    hank_address first, again, back;
    char host[HANK_HOST_MAX + 1], where[300];
    int rc = hank_resolve("tcp://example.org:80", &first, 1);
    if (rc == 1)
        rc = hank_resolve("tcp://example.org:80", &again, 1);
    if (rc == 1)
        rc = hank_resolve_name(&first, host, sizeof host);
    if (rc == 0) {
        (void)snprintf(where, sizeof where, "tcp://%s:80", host);
        rc = hank_resolve(where, &back, 1);
    }
    if (arg && is_failed_lookup(rc))
        return 0;
    MUST(rc == 1 && hank_address_equal(&first, &again) && hank_address_equal(&first, &back));
    return 0;
}

static int of_the_machine_itself(void *arg)
{
    hank_address a;
    char host[HANK_HOST_MAX + 1];
    int rc = hank_resolve("udp://localhost:53", &a, 1);
    MUST(rc == 1 || (arg && is_failed_lookup(rc)));
    MUST(hank_address_parse("udp://127.0.0.1:53", &a) == 0);
    rc = hank_resolve_name(&a, host, sizeof host);
    MUST((rc == 0 && strcmp(host, "localhost") == 0) || (arg && is_failed_lookup(rc)));
    MUST(hank_address_parse("udp://[::1]:53", &a) == 0);
    MUST(is_failed_lookup(hank_resolve_name(&a, host, sizeof host)));
    return 0;
}

/* A stop ends it, or comes too late. */
static int stopped(void *arg)
{
    hank_address a;
    char host[HANK_HOST_MAX + 1];
    hank_ns soon = HANK_US(hank_sim_choose(1000));
    int rc = hank_within(soon, hank_resolve("tcp://example.org:80", &a, 1));
    MUST(rc == 1 || rc == -ETIMEDOUT || (arg && is_failed_lookup(rc)));
    MUST(hank_address_parse("udp://10.1.2.3:4", &a) == 0);
    rc = hank_within(soon, hank_resolve_name(&a, host, sizeof host));
    MUST(rc == 0 || rc == -ETIMEDOUT || (arg && is_failed_lookup(rc)));
    return 0;
}

static int may_fail;

static int program(void *arg)
{
    static const hank_fn apps[] = {there_and_back, of_the_machine_itself, stopped};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof apps / sizeof apps[0]; i++)
        rc = apps[i](arg); /* by a thread, */
    for (size_t i = 0; rc == 0 && i < sizeof apps / sizeof apps[0]; i++)
        rc = hank_run(apps[i], arg); /* and in a task */
    return rc;
}

int main(void)
{
    hank_sim_options fine = {.time_limit = HANK_SEC(600)};
    hank_sim_options failing = {.time_limit = HANK_SEC(600), .resolve = 300};
    passes("names", program, NULL, &fine, SEEDS);
    passes("names that cannot be looked up", program, &may_fail, &failing, SEEDS);
    return failures != 0;
}
