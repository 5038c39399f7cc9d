/* SPDX-License-Identifier: MIT */
/* timer_churn.c - the usual timeout: an hour, around something that is over at once.
 *
 * The literal idiom of every peer: a timeout around one yield. A timeout of hank sets its timer
 * when a wait inside it parks, and a yield does not, so this figure says what a program pays and
 * not what a timer costs: see timer_armed.c and timer_call.c, which do set one each time. */
#include "bench.h"

#include <hank.h>

static double timer_churn(long n)
{
    int64_t start = bench_now();
    for (long i = 0; i < n; i++) {
        int rc = hank_within(HANK_SEC(3600), hank_yield());
        if (rc < 0)
            return rc;
    }
    return (double)(bench_now() - start) / (double)n;
}

int main(int argc, char **argv)
{
    const struct bench bench = {
        .name = "timer_churn", .unit = "ns", .n = 3000000, .round = timer_churn};
    return bench_main(argc, argv, &bench);
}
