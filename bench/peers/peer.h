/* SPDX-License-Identifier: MIT */
/* peer.h - the main() of a C++ peer: a table of rounds, and the lines that bench.h describes.
 *
 *   PEER BENCH WORKERS [ROUNDS]       one round first that does not count */
#ifndef PEER_H
#define PEER_H

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

namespace peer {

constexpr int fib_n = 32;
constexpr long fib_value = 2178309, fib_spawned = 3524577;
constexpr long leaves = 1000000, leaves_sum = 499999500000;

inline void check(long value, long expected)
{
    if (value != expected) {
        std::fprintf(stderr, "%ld is not %ld\n", value, expected);
        std::_Exit(1);
    }
}

/* Nanoseconds of `work`, divided. */
template <class Work> double timed(double divisor, Work work)
{
    auto start = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double, std::nano> d = std::chrono::steady_clock::now() - start;
    return d.count() / divisor;
}

struct bench {
    const char *unit;
    std::function<double()> round;
};

inline int rounds(const std::map<std::string, bench> &benches, const char *system,
                  const char *name, int workers, int count)
{
    auto found = benches.find(name);
    if (found == benches.end()) {
        std::fprintf(stderr, "unknown benchmark %s\n", name);
        return 2;
    }
    for (int round = -1; round < count; round++) {
        double value = found->second.round();
        if (round >= 0)
            std::printf("R %s %s %d %d %.4f %s\n", name, system, workers, round, value,
                        found->second.unit);
        std::fflush(stdout);
    }
    return 0;
}

} // namespace peer

#endif
