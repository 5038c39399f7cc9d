# SPDX-License-Identifier: MIT
"""questions.py - what is asked, of whom, and how one answer is taken.

A question has cases (workers, connections), peers, a floor if ratios are to it and not to the best
peer, and sample(system, case), which gives a value, a unit, and figures beside them.
"""
import shutil
import subprocess

import systems

MICRO_LIMIT = 180  # seconds until a program counts as hung
ONE, BOTH = [1], [1, 2]
BOTH_CPUS_CONNECTIONS = 1000


class Question:
    """A benchmark of programs: the same binary name and arguments for each system. `also`: of what
    its programs print besides, by name: what it is, and the floor of that. `aside`: peers that
    answer another question, and are not the best one. `share`: of the time for all, against one of
    the others. `quick`: how much work is enough to see that it works."""

    def __init__(self, text, workers, peers, also=(), aside=(), share=1, quick=10000):
        self.text, self.peers, self.ours = text, peers, ["hank"]
        self.cases = [{"workers": w} for w in workers]
        self.floor, self.also, self.aside = None, dict(also), aside
        self.share, self.quick = share, quick

    def sample(self, name, system, case, is_quick=False):
        program = (systems.HANK / "bench" / name if system == "hank"
                   else systems.PEERS_BY_NAME[system].binary)
        command = [program, *([] if system == "hank" else [name]), case["workers"], 1]
        if is_quick and system == "hank":
            command.append(self.quick)
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              timeout=MICRO_LIMIT, preexec_fn=systems.prepared())
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith("R ")]
        found = {line[1]: (float(line[5]), line[6]) for line in lines}
        if done.returncode or name not in found:
            raise RuntimeError(done.stderr.strip()[-300:] or f"ended with {done.returncode}")
        return {"value": found[name][0], "unit": found[name][1],
                "also": {k: found[k] for k in self.also if k in found}}


class Servers:
    """What the benchmarks of servers have in common. With one worker, server and generator have a
    CPU each; with more, they share what there is."""

    also, aside, kind = {}, (), "echo"

    def __init__(self, text, peers, cases, floor, share):
        self.text, self.peers, self.ours = text, peers, list(systems.REACTORS)
        self.cases, self.floor, self.share = cases, floor, share

    def server(self, system, case):
        return systems.server(system, self.kind, case["workers"], self.is_pinned(case))

    def is_pinned(self, case):
        return case["workers"] == 1 and len(systems.cpus()) > 1

    def options(self, case):
        pin = ["-u", systems.cpus()[-1]] if self.is_pinned(case) else []
        return ["-c", case["connections"], *pin]


class Service(Servers):
    """CPU a message, and its ratio to bare epoll in the same turn."""

    CASES = [{"workers": 1, "connections": 64},
             {"workers": 2, "connections": BOTH_CPUS_CONNECTIONS}]

    def __init__(self, text, kind, peers, cases=CASES, load=()):
        super().__init__(text, peers, cases, "epoll", 6)
        self.kind, self.load = kind, [*load, *(["-t"] if systems.speaks_http(kind) else [])]

    def sample(self, name, system, case, is_quick=False):
        with self.server(system, case) as server:
            if systems.speaks_http(self.kind) and shutil.which("wrk") and not is_quick:
                systems.load(server, [*self.options(case), *self.load, "-w", 0, "-d", 0.2])
                seen = systems.wrk(server, case["connections"], 1, self.is_pinned(case))
            else:
                seconds = 0.2 if is_quick else 0.8
                seen = systems.load(server, [*self.options(case), *self.load,
                                             "-w", 0.2, "-d", seconds])
        return {"value": seen["cpu_us"], "unit": "us", "rate": seen["rate"], "p99": seen["p99"]}


class Latency(Servers):
    """p99 in us at a fixed rate, from the moment a message was due."""

    def __init__(self, text, rate, workers, extra, peers):
        super().__init__(text, peers, [{"workers": w, "connections": 64} for w in workers],
                         "epoll", 4)
        self.rate, self.extra = rate, extra

    def sample(self, name, system, case, is_quick=False):
        with self.server(system, case) as server:
            seen = systems.load(server, [*self.options(case), "-r", self.rate, *self.extra,
                                         "-w", 0.4, "-d", 0.3 if is_quick else 2])
        return {"value": seen["p99"], "unit": "us", "rate": seen["rate"], "p99": seen["p99"]}


class Idle(Servers):
    """Memory of a connection that has spoken once and is silent."""

    def __init__(self, text, connections, peers):
        super().__init__(text, peers, [{"workers": 1, "connections": connections}], None, 4)

    def is_pinned(self, case):
        return False

    def sample(self, name, system, case, is_quick=False):
        with self.server(system, case) as server:
            wanted = 200 if is_quick else case["connections"]
            value, _ = systems.idle_connections(server, wanted)
        return {"value": value, "unit": "B"}


PYTHON = ["asyncio", "uvloop"]
TASKS = ["boost", "go", "tokio", *PYTHON]
FORK = ["tbb", "rayon", "libomp", "libgomp", "tokio", "go"]
BARE = ("bare",)        # of one thread, with nothing that makes a task
INLINE = ("libgomp",)  # runs most of so many tasks where they are spawned, one after the other
LEAST = ["epoll", "io_uring", "libuv", "tokio"]  # answer HTTP, too, and do not read it
ECHO = [*LEAST, "go", "boost", *PYTHON]

BENCHES = {
    "switch": Question("two tasks yield to each other", ONE, [*BARE, *TASKS], aside=BARE),
    "yield": Question("1000 tasks yield", BOTH, TASKS),
    "spawn_join": Question("a million empty tasks, then join them", BOTH, [*FORK, "asyncio"],
                           aside=INLINE),
    "spawn_batch": Question("empty tasks, a thousand at a time", BOTH,
                            [*FORK, "boost", "asyncio"], aside=INLINE),
    "fib": Question("fib(32), a task at every level", BOTH, [*BARE, *FORK, "asyncio"],
                    aside=BARE, quick=16),
    "skynet": Question("a tree of ten children each, a million leaves", BOTH, FORK),
    "chan_1p1c": Question("an item through a channel, one to one", BOTH, [*BARE, *TASKS],
                          aside=BARE),
    "chan_4p4c": Question("an item through a channel, four to four", BOTH, TASKS),
    "mutex": Question("100 tasks count up under a mutex", BOTH, [*BARE, *TASKS], aside=BARE),
    "mutex_yield": Question("100 tasks count up under a mutex, yielding while they hold it",
                            BOTH, TASKS),
    "memory": Question("bytes of a task that waits", ONE, ["tokio", "go"], quick=1000),
    "sleepers": Question("a million tasks sleep a second: seconds beyond it", BOTH,
                         ["pages", "tokio", "go"],
                         {"sleepers_cold": ("the first million sleepers of a process", "pages")},
                         aside=("pages",), share=6, quick=1000),
    "idle": Question("CPU of an idle runtime in two seconds", [2], [], quick=200),
    "wake": Question("a foreign thread wakes a sleeping runtime", ONE,
                     ["eventfd", "tokio", "go", *PYTHON], quick=50),
    "pingpong": Question("two tasks, two channels: a round trip", BOTH, TASKS),
    "pingpong_cross": Question("a round trip between two tasks held on different threads", [2],
                               ["futex", "go", "tokio"], quick=1000),
    "timer_churn": Question("an hour's timeout around a yield", BOTH, ["go", "tokio", *PYTHON]),
    "timer_armed": Question("a round trip between two tasks, under an hour's timeout", BOTH,
                            ["go", "tokio", *PYTHON]),
    "timer_call": Question("a call that is due in an hour, taken back", BOTH,
                           ["go", "tokio", *PYTHON]),
    "echo_rate": Latency("64-byte echo, 20000 a second: p99", 20000, BOTH, [], ECHO),
    "hog": Latency("echo, 6400 a second, 50 ms of computing ten times a second: p99", 6400, [2],
                   ["-b", 100], ["epoll", "libuv", "tokio", "go", "boost"]),
    "idle_connections": Idle("9000 connections that are silent: memory of each", 9000, ECHO),
    "echo": Service("64-byte echo: CPU of the server a message", "echo", ECHO),
    "http": Service("keep-alive GET, read and answered: CPU of the server a request", "http",
                    ["epoll", "epoll-parser", "hyper", "go", "nginx"]),
    "http_least": Service("keep-alive GET, answered unread: CPU of the server a request",
                          "http_least", LEAST),
    # Last: the kernel has its ended connections to look after for a minute, and whoever is measured
    # meanwhile has a p99 twice to four times its own.
    "storm": Service("connect, send, receive, close: CPU of the server each", "echo", ECHO,
                     [{"workers": w, "connections": 64} for w in BOTH], ["-x"]),
}
