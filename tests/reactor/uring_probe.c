/* SPDX-License-Identifier: MIT */
/* uring_probe.c - can io_uring be had here? Says why not and exits with 77, for run.py. */
#include <stdio.h>

#include "base/os.h"
#include "reactor/reactor.h"

int main(void)
{
    static hk_reactor reactor;
    const hk_backend *uring = hk_reactor_backend("uring");
    int rc = uring ? hk_reactor_open(&reactor, uring) : -1;
    if (rc < 0) {
        printf("io_uring: %s\n", uring ? hk_os_error_text(-rc) : "hank was built without it");
        return 77;
    }
    hk_reactor_close(&reactor);
    return 0;
}
