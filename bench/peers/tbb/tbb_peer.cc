/* SPDX-License-Identifier: MIT */
/* tbb_peer.cc - the oneTBB peer: fork and join on a task_group, which cannot wait for events. */
#include "../peer.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

using oneapi::tbb::task_group;

static long fib(long n)
{
    if (n < 2)
        return n;
    long there;
    task_group children;
    children.run([&] { there = fib(n - 1); });
    long here = fib(n - 2);
    children.wait();
    return there + here;
}

static long skynet(long number, long leaves)
{
    if (leaves == 1)
        return number;
    long sums[10], share = leaves / 10, sum = 0;
    task_group children;
    for (long i = 0; i < 10; i++)
        children.run([&sums, i, number, share] { sums[i] = skynet(number + i * share, share); });
    children.wait();
    for (long s : sums)
        sum += s;
    return sum;
}

static void spawn_join(long n, long batch)
{
    for (long done = 0; done < n; done += batch) {
        task_group children;
        for (long i = 0; i < batch; i++)
            children.run([] {});
        children.wait();
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int workers = std::atoi(argv[2]), count = argc > 3 ? std::atoi(argv[3]) : 3;
    oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                      static_cast<std::size_t>(workers));
    oneapi::tbb::task_arena arena(workers);
    using namespace peer;
    const std::map<std::string, bench> benches = {
        {"fib", {"ns", [] { return timed(fib_spawned, [] { check(fib(fib_n), fib_value); }); }}},
        {"skynet", {"ms", [] { return timed(1e6, [] { check(skynet(0, leaves), leaves_sum); }); }}},
        {"spawn_join", {"ns", [] { return timed(1e6, [] { spawn_join(1000000, 1000000); }); }}},
        {"spawn_batch", {"ns", [] { return timed(1e6, [] { spawn_join(1000000, 1000); }); }}},
    };
    return arena.execute([&] { return rounds(benches, "tbb", argv[1], workers, count); });
}
