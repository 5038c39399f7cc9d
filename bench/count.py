#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count.py - instructions, and locked instructions among them, of one operation.

    bench/count.py [NAME ...]      default: all of them; needs valgrind and objdump

Each program runs twice under callgrind with different amounts of work; the difference belongs to
that work. An instruction that locks a cache line (a lock prefix, or xchg with memory) is how an
atomic read-modify-write and a seq_cst store look on x86-64; plain, acquire and release accesses are
moves there like any other. docs/internals/scaling.md says what follows from the figures.
"""
import argparse
import collections
import functools
import pathlib
import re
import subprocess
import sys
import tempfile

import systems

LOCKED = re.compile(r"^\s*([0-9a-f]+):\s+(?:lock\b|xchg\s.*\()")
MARK_EACH = 0.005  # of an operation: what happens more seldom is not listed
ROUNDS = 2         # of each program: one that does not count there, and one that does


def fibs(n):
    a, b = 1, 1
    for _ in range(n - 1):
        a, b = b, a + b
    return b - 1


# Program: amounts of work, how many operations each is, what an operation is.
EACH = (lambda n: n)
PROGRAMS = {
    "fib": (16, 20, fibs, "spawn + await of a child that is called"),
    "skynet": (1000, 10000, lambda n: (10 * n - 10) / 9, "the same, ten at a time"),
    "spawn_batch": (10000, 30000, EACH, "spawn + await of the oldest, a thousand at a time"),
    "spawn_join": (10000, 30000, EACH, "the same, all at once"),
    "switch": (10000, 30000, EACH, "a yield of one of two tasks"),
    "yield": (10000, 30000, EACH, "a yield of one of 1000"),
    "pingpong": (10000, 30000, lambda n: 2 * n, "a message to a task that is parked"),
    "chan_1p1c": (10000, 30000, EACH, "an item through a channel of 1024"),
    "chan_4p4c": (10000, 30000, EACH, "the same, four to four"),
    "mutex": (10000, 30000, EACH, "lock + unlock"),
    "mutex_yield": (10000, 30000, EACH, "lock + yield + unlock, all others wait"),
    "timer_churn": (10000, 30000, EACH, "a timeout around a yield"),
    "timer_armed": (10000, 30000, lambda n: 2 * n, "as pingpong, half of the waits timed"),
    "timer_call": (10000, 30000, EACH, "a call later, taken back"),
}


@functools.cache
def locked_addresses(path):
    """Of the instructions of one object that lock a cache line."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True,
                             text=True).stdout
    return {int(m[1], 16) for line in listing.splitlines() if (m := LOCKED.match(line))}


def read_profile(path):
    """(instructions, {function: locked instructions}) of one callgrind file."""
    total, locked, skip = 0, collections.Counter(), False
    where, function = "", ""
    for line in open(path):
        if line.startswith(("ob=", "fn=")):
            kind, name = line.rstrip("\n").split("=", 1)
            where, function = (name, function) if kind == "ob" else (where, name)
        elif line.startswith("calls="):
            skip = True  # the line after it belongs to who is called
        elif line.startswith("0x"):
            if skip:
                skip = False
                continue
            address, *_, cost = line.split()
            total += int(cost)
            if int(address, 16) in locked_addresses(where):
                locked[function.split("'")[0]] += int(cost)
    return total, locked


def profiled(command, work):
    """Run `command` under callgrind, do `work(process)` meanwhile, read what it wrote."""
    with tempfile.TemporaryDirectory(prefix="hank-count-") as directory:
        out = pathlib.Path(directory) / "profile"
        tool = ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--dump-line=no",
                "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}"]
        done = work([*tool, *map(str, command)])
        return (done, *read_profile(out))


def program(name, workers, n):
    command = [systems.HANK / "bench" / name, workers, 1, n]
    return profiled(command, lambda c: subprocess.run(c, check=True, capture_output=True))[1:]


def difference(more, less, operations):
    instructions = (more[0] - less[0]) / operations
    locked = {f: (n - less[1][f]) / operations for f, n in more[1].items()}
    return instructions, {f: n for f, n in locked.items() if n > MARK_EACH}


def count_program(name, workers):
    small, large, operations, _ = PROGRAMS[name]
    return difference(program(name, workers, large), program(name, workers, small),
                      ROUNDS * (operations(large) - operations(small)))


def serve(seconds):
    """An echo server under callgrind, spoken to for so long: messages, and its profile."""
    def work(command):
        with systems.Server(command) as server:
            return systems.load(server, ["-c", 16, "-w", 0, "-d", seconds])["messages"]
    return profiled([systems.HANK / "bench/server", "echo"], work)


def count_echo():
    more, less = serve(4), serve(1)
    return difference(more[1:], less[1:], more[0] - less[0])


def print_row(what, counted):
    instructions, locked = counted
    where = ", ".join(f"{f} {n:.2f}" for f, n in
                      sorted(locked.items(), key=lambda item: -item[1]))
    print(f"{what:<56} {instructions:8.1f} {sum(locked.values()):8.2f}   {where}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if not systems.build(["load"]):
        return 1
    print(f"{'':<56} {'instr.':>8} {'locked':>8}   of which in")
    for name in options.names or [*PROGRAMS, "echo"]:
        if name == "echo":
            print_row("echo: an echo message, 16 connections", count_echo())
        else:
            print_row(f"{name}: {PROGRAMS[name][3]}", count_program(name, options.workers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
