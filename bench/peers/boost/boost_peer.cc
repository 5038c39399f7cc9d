/* SPDX-License-Identifier: MIT */
/* boost_peer.cc - the Boost.Fiber peer.
 *
 *   boost_peer BENCH WORKERS [ROUNDS]
 *   boost_peer echo PORT WORKERS          prints where it listens
 *
 * One worker uses round_robin and Boost's pooled stacks; more use work_stealing and stacks from
 * malloc (the pool is not safe for threads), with trimming of the heap switched off: otherwise
 * every freed stack goes back to the kernel and costs tens of microseconds the next time. Boost is
 * linked statically, as hank is for the benchmarks.
 *
 * No spawn_join, fib or skynet: a fiber keeps its stack until its scheduler has come round, so a
 * million stacks are alive together and a round is seconds of page faults. */
#include "../peer.h"

#include <boost/fiber/all.hpp>
#include <malloc.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;

int serve_echo(unsigned short port, int workers); /* boost_echo.cc */

enum { STACK_BYTES = 16384 };

static std::unique_ptr<fibers::pooled_fixedsize_stack> pool; /* only with one worker */

template <class F> static fibers::fiber spawn(F f)
{
    if (pool)
        return fibers::fiber(fibers::launch::post, std::allocator_arg, *pool, std::move(f));
    return fibers::fiber(fibers::launch::post, std::allocator_arg,
                         fibers::fixedsize_stack(STACK_BYTES), std::move(f));
}

static void join_all(std::vector<fibers::fiber> &all)
{
    for (auto &f : all)
        f.join();
    all.clear();
}

static void yields(long tasks, long all)
{
    std::vector<fibers::fiber> yielders;
    for (long i = 0; i < tasks; i++)
        yielders.push_back(spawn([=] {
            for (long j = 0; j < all / tasks; j++)
                boost::this_fiber::yield();
        }));
    join_all(yielders);
}

static void spawn_batch(long n, long batch)
{
    std::vector<fibers::fiber> children;
    children.reserve(static_cast<std::size_t>(batch));
    for (long done = 0; done < n; done += batch) {
        for (long i = 0; i < batch; i++)
            children.push_back(spawn([] {}));
        join_all(children);
    }
}

static void pingpong(long n)
{
    fibers::buffered_channel<long> there(2), back(2); /* the least it allows */
    fibers::fiber other = spawn([&] {
        long v;
        while (there.pop(v) == fibers::channel_op_status::success)
            back.push(v);
    });
    fibers::fiber self = spawn([&] {
        for (long i = 0; i < n; i++) {
            there.push(i);
            back.value_pop();
        }
        there.close();
    });
    self.join();
    other.join();
}

/* Pairs of senders and receivers at one channel of 1024. */
static void items(long n, int pairs)
{
    fibers::buffered_channel<long> channel(1024);
    std::vector<fibers::fiber> senders, receivers;
    std::atomic<long> all{0};
    for (int i = 0; i < pairs; i++) {
        senders.push_back(spawn([&channel, n, pairs] {
            for (long j = 0; j < n / pairs; j++)
                channel.push(j);
        }));
        receivers.push_back(spawn([&channel, &all] {
            long item, sum = 0;
            while (channel.pop(item) == fibers::channel_op_status::success)
                sum += item;
            all += sum;
        }));
    }
    join_all(senders);
    channel.close();
    join_all(receivers);
    peer::check(all, pairs * (n / pairs * (n / pairs - 1) / 2));
}

/* A hundred fibers increment a counter under one mutex. */
static void count_up(long n, bool yields)
{
    constexpr long tasks = 100;
    fibers::mutex mutex;
    long count = 0;
    std::vector<fibers::fiber> counters;
    for (long i = 0; i < tasks; i++)
        counters.push_back(spawn([&mutex, &count, n, yields] {
            for (long j = 0; j < n / tasks; j++) {
                mutex.lock();
                count++;
                if (yields)
                    boost::this_fiber::yield();
                mutex.unlock();
            }
        }));
    join_all(counters);
    peer::check(count, n);
}

static int measure(const char *name, int workers, int count)
{
    using namespace peer;
    const std::map<std::string, bench> benches = {
        {"switch", {"ns", [] { return timed(4e6, [] { yields(2, 4000000); }); }}},
        {"yield", {"ns", [] { return timed(1e6, [] { yields(1000, 1000000); }); }}},
        {"pingpong", {"ns", [] { return timed(1e6, [] { pingpong(1000000); }); }}},
        {"spawn_batch", {"ns", [] { return timed(1e6, [] { spawn_batch(1000000, 1000); }); }}},
        {"chan_1p1c", {"ns", [] { return timed(4e6, [] { items(4000000, 1); }); }}},
        {"chan_4p4c", {"ns", [] { return timed(4e6, [] { items(4000000, 4); }); }}},
        {"mutex", {"ns", [] { return timed(1e6, [] { count_up(1000000, false); }); }}},
        {"mutex_yield", {"ns", [] { return timed(1e6, [] { count_up(1000000, true); }); }}},
    };
    return rounds(benches, "boost", name, workers, count);
}

static int with_workers(const char *name, int workers, int count)
{
    fibers::mutex mutex;
    fibers::condition_variable_any over;
    bool done = false;
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (int i = 1; i < workers; i++)
        threads.emplace_back([&] {
            fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(workers, true);
            ready++;
            std::unique_lock<fibers::mutex> lock(mutex);
            over.wait(lock, [&] { return done; });
        });
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(workers, true);
    while (ready < workers - 1)
        std::this_thread::yield();
    int status = measure(name, workers, count);
    mutex.lock();
    done = true;
    mutex.unlock();
    over.notify_all();
    for (auto &t : threads)
        t.join();
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int number = std::atoi(argv[2]), last = argc > 3 ? std::atoi(argv[3]) : 3;
    if (!std::strcmp(argv[1], "echo"))
        return serve_echo(static_cast<unsigned short>(number), last);
    mallopt(M_TRIM_THRESHOLD, 2000000000);
    mallopt(M_MMAP_THRESHOLD, 1 << 25);
    mallopt(M_TOP_PAD, 64 << 20);
    mallopt(M_ARENA_MAX, 2);
    if (number > 1)
        return with_workers(argv[1], number, last);
    pool = std::make_unique<fibers::pooled_fixedsize_stack>(STACK_BYTES);
    int status = measure(argv[1], 1, last);
    std::fflush(stdout);
    std::_Exit(status); /* the pool must outlive the fibers that Boost keeps until its own exit */
}
