/* SPDX-License-Identifier: MIT */
/* exceptions.cpp - tasks in C++ that wait in handlers and in destructors run by an exception, in
 * turn on one worker and on several: each finds its own exceptions again, and nobody another's. */
#include <hank.h>

#include <atomic>
#include <cstdio>
#include <exception>

namespace
{

enum { EACH = 4, ROUNDS = 300 };

std::atomic<int> broken{0}, alive{0};

void note(bool fine, const char *what)
{
    if (!fine && ++broken < 10)
        (void)std::fprintf(stderr, "not so: %s\n", what);
}

#define SO(condition) note((condition), #condition)

/* What is thrown; it knows how many of it there are. */
struct trouble {
    int whose;

    explicit trouble(int of) : whose(of)
    {
        ++alive;
    }
    trouble(const trouble &other) : whose(other.whose)
    {
        ++alive;
    }
    ~trouble()
    {
        --alive;
    }
};

/* Others run here meanwhile, and we go on on any worker. */
void wait(int turn)
{
    SO((turn % 4 != 0 ? hank_yield() : hank_sleep(1)) == 0);
}

bool in_handler_of(int whose)
{
    try {
        throw;
    } catch (const trouble &t) {
        return t.whose == whose;
    }
}

/* In a handler, and in a handler within. */
int handle(void *arg)
{
    int me = *static_cast<int *>(arg);
    for (int i = 0; i < ROUNDS; i++) {
        try {
            throw trouble(me);
        } catch (const trouble &) {
            wait(i);
            SO(in_handler_of(me));
            try {
                throw trouble(-me);
            } catch (const trouble &) {
                wait(i + 1);
                SO(in_handler_of(-me));
            }
            wait(i + 2);
            SO(in_handler_of(me));
            SO(std::uncaught_exceptions() == 0);
        }
    }
    return 0;
}

struct waits_at_its_end {
    int me, turn;

    ~waits_at_its_end()
    {
        SO(std::uncaught_exceptions() == 1);
        wait(turn);
        SO(std::uncaught_exceptions() == 1);
        try {
            throw trouble(-me);
        } catch (const trouble &) {
            wait(turn + 1);
            SO(in_handler_of(-me));
        }
        SO(std::uncaught_exceptions() == 1);
    }
};

/* On the way to a handler. */
int unwind(void *arg)
{
    int me = *static_cast<int *>(arg);
    for (int i = 0; i < ROUNDS; i++) {
        try {
            waits_at_its_end last = {me, i};
            throw trouble(me);
        } catch (const trouble &t) {
            SO(t.whose == me);
        }
        SO(std::uncaught_exceptions() == 0);
    }
    return 0;
}

int throw_nothing(void *)
{
    for (int i = 0; i < ROUNDS; i++) {
        SO(!std::current_exception());
        SO(std::uncaught_exceptions() == 0);
        wait(i);
    }
    return 0;
}

/* A child may be called on this stack, and then has its handlers above ours. */
int await_in_handler(void *arg)
{
    int me = *static_cast<int *>(arg);
    try {
        throw trouble(me);
    } catch (const trouble &) {
        int child = 100 + me;
        SO(hank_await(hank_spawn(unwind, &child)) == 0);
        SO(in_handler_of(me));
        SO(hank_await(hank_spawn(handle, &child)) == 0);
        SO(in_handler_of(me));
    }
    SO(!std::current_exception());
    return 0;
}

int do_all(void *)
{
    const hank_fn kinds[] = {handle, unwind, throw_nothing, await_in_handler};
    enum { KINDS = sizeof kinds / sizeof *kinds, TASKS = KINDS * EACH };
    hank_task tasks[TASKS];
    int numbers[TASKS];
    for (int i = 0; i < TASKS; i++) {
        numbers[i] = i + 1;
        tasks[i] = hank_spawn(kinds[i % KINDS], &numbers[i]);
    }
    return hank_gather_n(tasks, TASKS, nullptr);
}

} // namespace

int main()
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        hank_options options = {};
        options.workers = workers;
        SO(hank_run_opt(do_all, nullptr, &options) == 0);
        try {
            throw trouble(0);
        } catch (const trouble &) {
            SO(hank_run_opt(do_all, nullptr, &options) == 0);
            SO(in_handler_of(0));
        }
    }
    SO(!std::current_exception());
    SO(alive == 0);
    std::printf("%d not so, %d exceptions left\n", broken.load(), alive.load());
    return broken != 0;
}
