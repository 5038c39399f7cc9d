#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py - hank and its peers side by side: ./dev bench [NAME ...]

    --hank        hank alone: seconds
    --rounds N    how often each system has its turn (5)
    --report      draw build/bench/report.html from all results so far
    --list        what can be asked for

Systems take turns (A B A B), so a machine that slows down slows all of them. Less is better in
every figure. README.md beside this file says what the figures mean and what they do not.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import report
import systems

MICRO_LIMIT = 120    # seconds until a round counts as hung
SLOW_ROUND = 3.0     # a system that takes longer than this has three turns, not five
DISTURBED = 0.15     # share of a CPU that others used during a round
SPREAD = 0.35        # (max - min) / median from which a median deserves doubt


class Question:
    """A benchmark of programs: the same binary name and arguments for each system."""

    def __init__(self, text, workers, peers):
        self.text, self.peers, self.ours = text, peers, ["hank"]
        self.cases = [{"workers": w} for w in workers]
        self.floor = None

    def sample(self, name, system, case):
        program = (systems.HANK / "bench" / name if system == "hank"
                   else systems.PEERS_BY_NAME[system].binary)
        arguments = [] if system == "hank" else [name]
        command = [str(program), *arguments, str(case["workers"]), "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=MICRO_LIMIT)
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith("R ")]
        found = [line for line in lines if line[1] == name]
        if done.returncode or not found:
            raise RuntimeError(done.stderr.strip()[-300:] or f"ended with {done.returncode}")
        return {"value": float(found[-1][5]), "unit": found[-1][6]}


class Service:
    """A benchmark of servers: CPU a message, and its ratio to bare epoll in the same turn."""

    CASES = [{"workers": 1, "connections": 64}, {"workers": 2, "connections": 1000}]

    def __init__(self, text, kind, peers, cases=CASES):
        self.text, self.kind, self.peers, self.ours = text, kind, peers, list(systems.REACTORS)
        self.cases, self.floor = cases, "epoll"

    def sample(self, name, system, case):
        pinned = server_pins(case["workers"])
        load_options = ["-c", case["connections"], *(["-u", systems.cpus()[-1]] if pinned else []),
                        *{"http": ["-t"], "storm": ["-x"]}.get(self.kind, [])]
        command = systems.server_command(system, "http" if self.kind == "http" else "echo",
                                         case["workers"])
        with systems.Server(command, pinned) as server:
            if self.kind == "http" and systems.shutil.which("wrk"):
                systems.load(server, [*load_options, "-w", 0, "-d", 0.3])
                seen = systems.wrk(server, case["connections"], 1, pinned)
            else:
                seen = systems.load(server, [*load_options, "-w", 0.3, "-d", 1])
        return {"value": seen["cpu_us"], "unit": "us", "rate": seen["rate"], "p99": seen["p99"]}


def server_pins(workers):
    """Whether a server of so many workers has one CPU and the generator another."""
    return workers == 1 and len(systems.cpus()) > 1


class Latency:
    """A benchmark of servers at a fixed rate: p99 in us, from the moment a message was due."""

    def __init__(self, text, rate, workers, extra, peers):
        self.text, self.rate, self.extra, self.peers = text, rate, extra, peers
        self.ours = list(systems.REACTORS)
        self.cases, self.floor = [{"workers": workers, "connections": 64}], "epoll"

    def sample(self, name, system, case):
        pinned = server_pins(case["workers"])
        options = ["-c", case["connections"], "-r", self.rate, "-w", 0.5, "-d", 3, *self.extra,
                   *(["-u", systems.cpus()[-1]] if pinned else [])]
        command = systems.server_command(system, "echo", case["workers"])
        with systems.Server(command, pinned) as server:
            seen = systems.load(server, options)
        return {"value": seen["p99"], "unit": "us", "rate": seen["rate"], "p99": seen["p99"]}


class Idle:
    """A benchmark of servers: memory of a connection that has spoken once and is silent."""

    def __init__(self, text, connections, peers):
        self.text, self.peers, self.floor, self.ours = text, peers, None, list(systems.REACTORS)
        self.cases = [{"workers": 1, "connections": connections}]

    def sample(self, name, system, case):
        command = systems.server_command(system, "echo", case["workers"])
        with systems.Server(command) as server:
            value, n = systems.idle_connections(server, case["connections"])
        return {"value": value, "unit": "B"}


SERVERS = ["epoll", "io_uring", "libuv", "tokio", "go"]
BENCHES = {
    "switch": Question("two tasks yield to each other", [1], ["boost", "go", "tokio"]),
    "yield": Question("1000 tasks yield", [1, 2], ["boost", "go", "tokio"]),
    "spawn_join": Question("a million empty tasks, then join them", [1, 2],
                           ["tbb", "rayon", "tokio", "go"]),
    "spawn_batch": Question("empty tasks, a thousand at a time", [1, 2],
                            ["tbb", "rayon", "boost", "tokio", "go"]),
    "fib": Question("fib(32), a task at every level", [1, 2], ["rayon", "tbb", "tokio", "go"]),
    "skynet": Question("a tree of ten children each, a million leaves", [1, 2],
                       ["tbb", "rayon", "tokio", "go"]),
    "chan_1p1c": Question("an item through a channel, one to one", [1, 2],
                          ["boost", "go", "tokio"]),
    "chan_4p4c": Question("an item through a channel, four to four", [1, 2],
                          ["boost", "go", "tokio"]),
    "mutex": Question("100 tasks count up under a mutex", [1, 2], ["boost", "go", "tokio"]),
    "mutex_yield": Question("the same, yielding while they hold it", [1, 2],
                            ["boost", "go", "tokio"]),
    "memory": Question("bytes of a task that waits", [1], ["tokio", "go"]),
    "sleepers": Question("100,000 tasks sleep a second: seconds beyond it", [1, 2],
                         ["tokio", "go"]),
    "idle": Question("CPU of an idle runtime in two seconds", [2], []),
    "wake": Question("a foreign thread wakes a sleeping runtime", [1],
                     ["eventfd", "tokio", "go"]),
    "pingpong": Question("two tasks, two channels: a round trip", [1, 2],
                         ["boost", "go", "tokio"]),
    "pingpong_cross": Question("the same, held on different threads", [2],
                               ["futex", "go", "tokio"]),
    "timer_churn": Question("an hour's timeout around a yield", [1, 2], ["go", "tokio"]),
    "storm": Service("connect, send, receive, close: CPU of the server each", "storm",
                     [*SERVERS, "boost"], [{"workers": w, "connections": 64} for w in (1, 2)]),
    "echo_rate": Latency("64-byte echo, 20000 a second: p99", 20000, 1, [], [*SERVERS, "boost"]),
    "hog": Latency("echo, 6400 a second, 50 ms of computing ten times a second: p99", 6400, 2,
                   ["-b", 100], ["epoll", "libuv", "tokio", "go", "boost"]),
    "idle_connections": Idle("9000 connections that are silent: memory of each", 9000,
                             [*SERVERS, "boost"]),
    "echo": Service("64-byte echo: CPU of the server a message", "echo", [*SERVERS, "boost"]),
    "http": Service("keep-alive GET: CPU of the server a request", "http", SERVERS),
}


# --- one sample, and whether anybody disturbed it ------------------------------------------------

def busy_seconds():
    fields = [int(f) for f in open("/proc/stat").readline().split()[1:]]
    return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def sample(bench, name, system, case):
    """What the benchmark gives, with the seconds it took and the share of a CPU others had."""
    busy, own, start = busy_seconds(), own_seconds(), time.monotonic()
    seen = bench.sample(name, system, case)
    seen["seconds"] = time.monotonic() - start
    foreign = (busy_seconds() - busy) - (own_seconds() - own)
    seen["foreign"] = max(0.0, foreign) / max(seen["seconds"], 0.1)
    return seen


def measure(name, case, names, rounds):
    """{system: [sample, ...]}, taken in turns; every second turn runs backwards."""
    bench = BENCHES[name]
    samples = {system: [] for system in names}
    for turn in range(rounds):
        for system in names if turn % 2 == 0 else names[::-1]:
            seen = samples[system]
            if seen is None or (turn >= 3 and seen[0]["seconds"] > SLOW_ROUND):
                continue
            try:
                seen.append(sample(bench, name, system, case))
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as why:
                print(f"{name}: {system} failed: {why}", flush=True)
                samples[system] = None
    return {system: seen for system, seen in samples.items() if seen}


# --- results -------------------------------------------------------------------------------------

def ratio(name, system, samples):
    """To the floor of the same turn where there is one, else to the best peer's median."""
    floor = BENCHES[name].floor
    if floor:
        pairs = zip(samples[system], samples.get(floor, []))
        ratios = [s["value"] / f["value"] for s, f in pairs if f["value"]]
        return (statistics.median(ratios), floor) if ratios else (None, None)
    medians = {s: statistics.median(x["value"] for x in seen)
               for s, seen in samples.items() if s not in systems.REACTORS}
    if not medians:
        return None, None
    best = min(medians, key=medians.get)
    mine = statistics.median(x["value"] for x in samples[system])
    return (mine / medians[best], best) if medians[best] else (None, None)


def results(name, case, samples):
    for system, seen in samples.items():
        values = [s["value"] for s in seen]
        times, to = ratio(name, system, samples)
        record = {"bench": name, "system": system, **case, "unit": seen[0]["unit"],
                  "median": round(statistics.median(values), 4), "min": min(values),
                  "max": max(values), "rounds": values,
                  "foreign": round(max(s["foreign"] for s in seen), 3)}
        if times is not None:
            record.update(ratio=round(times, 3), ratio_to=to)
        for extra in ("rate", "p99"):
            if extra in seen[0]:
                record[extra] = round(statistics.median(s[extra] for s in seen), 1)
        yield record


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def print_table(name, case, records):
    servers = "rate" in records[0]
    where = ", ".join(f"{v} {k if v != 1 else k.rstrip('s')}" for k, v in case.items())
    print(f"\n{name}: {BENCHES[name].text} ({where}), {records[0]['unit']}")
    heads = ["median", "min", "max", "ratio"] + (["per second", "p99 us"] if servers else [])
    print(f"  {'':<10}" + "".join(f"{h:>11}" for h in heads))
    for r in sorted(records, key=lambda r: r["median"]):
        cells = [figure(r["median"]), figure(r["min"]), figure(r["max"]),
                 f"{r['ratio']:.2f}" if "ratio" in r else ""]
        if servers:
            cells += [figure(r["rate"]), figure(r["p99"])]
        wide = r["median"] > 0 and (r["max"] - r["min"]) / r["median"] > SPREAD
        doubts = (["wide spread"] if wide else []) + \
            (["disturbed"] if r["foreign"] > DISTURBED else [])
        line = f"  {r['system']:<10}" + "".join(f"{c:>11}" for c in cells)
        print(f"{line}  {', '.join(doubts)}".rstrip())
    to = next((r["ratio_to"] for r in records if "ratio_to" in r), None)
    if to:
        print(f"  ratio: to {to}" + (" in the same turn" if BENCHES[name].floor else ""))
    sys.stdout.flush()


def say_how_quiet(records, load_before):
    disturbed = sum(r["foreign"] > DISTURBED for r in records)
    if disturbed or load_before > 0.5:
        print(f"\nThis machine was not quiet: load average {load_before:.1f} before the first "
              f"round; other processes used more than {DISTURBED:.0%} of a CPU during some round "
              f"of {disturbed} of {len(records)} rows.\n"
              "Trust ratios more than figures, and run again.")


# --- the command ---------------------------------------------------------------------------------

def parse():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--hank", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    unknown = [n for n in options.names if n not in BENCHES]
    if unknown or options.rounds < 1:
        parser.error(f"no benchmark {', '.join(unknown)}; --list names them" if unknown
                     else "at least one round")
    return options


def measure_all(names, options):
    needed = list(dict.fromkeys(p for n in names for p in BENCHES[n].peers))
    if options.hank:
        needed = []
    servers = any(not isinstance(BENCHES[n], Question) for n in names)
    usable = systems.build([*(["load"] if servers else []), *needed])
    load_before = os.getloadavg()[0]
    results_file = open(systems.OUT / "results.jsonl", "a")
    everything = []
    for name in names:
        peers = [p for p in BENCHES[name].peers if p in usable]
        for case in BENCHES[name].cases:
            if case["workers"] > len(systems.cpus()):
                continue
            samples = measure(name, case, [*BENCHES[name].ours, *peers], options.rounds)
            if not samples:
                continue
            records = list(results(name, case, samples))
            print_table(name, case, records)
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            for record in records:
                results_file.write(json.dumps({**record, "when": when}) + "\n")
            results_file.flush()
            everything += records
    say_how_quiet(everything, load_before)
    return any(r["system"] == "hank" for r in everything)


def main():
    options = parse()
    if options.list:
        for name, bench in BENCHES.items():
            print(f"{name:<12} {bench.text}; peers: {', '.join(bench.peers) or 'none'}")
        return 0
    systems.OUT.mkdir(parents=True, exist_ok=True)
    systems.raise_descriptor_limit()
    measured = True
    if options.names or not options.report:
        measured = measure_all(options.names or list(BENCHES), options)
    if options.report:
        print("report:", report.draw(systems.OUT / "results.jsonl", systems.OUT / "report.html"))
    return 0 if measured else 1


if __name__ == "__main__":
    sys.exit(main())
