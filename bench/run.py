#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py - hank and its peers side by side: ./dev bench [NAME ...]

    --hank        hank alone: seconds
    --rounds N    exactly so many turns each, however long that takes
    --minutes N   otherwise: for all that was asked (12); a system has two to five turns
    --workers N   so many workers in every case, and not those that the question is about
    --quick       only to see that it works: little work, one turn, and no figure means anything
    --report      draw build/bench/report.html from all results so far
    --list        what can be asked for

Systems take turns (A B A B), so a machine that slows down slows all of them. Less is better in
every figure. README.md beside this file says what the figures mean and what they do not.
"""
import argparse
import json
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

import report
import systems
from questions import BENCHES, Question

TURNS = 5            # of a system, if time allows
LEAST_TURNS = 2      # even if that takes twice as long
HOPELESS = 5         # one turn for a system so many times slower than the best ...
HOPELESS_SECONDS = 1.0  # ... that takes longer than this
DISTURBED = 0.15     # share of a CPU that others used during a round
SPREAD = 0.35        # (max - min) / median from which a median deserves doubt


# --- one sample, and whether anybody disturbed it ------------------------------------------------

def busy_seconds():
    """Of all CPUs: working, or taken away from a virtual machine."""
    user, nice, system, _, _, irq, softirq, stolen = (
        int(f) for f in open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def sample(bench, name, system, case, is_quick):
    """What the benchmark gives, with the seconds it took and the share of a CPU others had."""
    busy, own, start = busy_seconds(), own_seconds(), time.monotonic()
    seen = bench.sample(name, system, case, is_quick)
    seen["seconds"] = time.monotonic() - start
    foreign = (busy_seconds() - busy) - (own_seconds() - own)
    seen["foreign"] = max(0.0, foreign) / max(seen["seconds"], 0.1)
    return seen


# --- turns ---------------------------------------------------------------------------------------

class Turns:
    """How many turns a case gets: exactly so many, or as many as fit until a deadline."""

    def __init__(self, exactly=None, seconds=0.0):
        self.exactly, self.deadline = exactly, time.monotonic() + seconds
        self.patience = self.deadline + seconds  # for the least there should be

    def another(self, done, seconds_each):
        if self.exactly:
            return done < self.exactly
        end = time.monotonic() + seconds_each
        return done < 1 or (done < LEAST_TURNS and end < self.patience) or (
            done < TURNS and end < self.deadline)

    def is_hopeless(self, seen, best):
        """One turn says all that is to be said of it."""
        return (not self.exactly and seen["seconds"] > HOPELESS_SECONDS
                and seen["value"] > HOPELESS * best)


def measure(bench, name, case, names, turns, is_quick=False):
    """{system: [sample, ...]}, taken in turns; every second turn runs backwards."""
    samples, failures = {system: [] for system in names}, []
    done, spent = 0, 0.0
    while turns.another(done, spent):
        start = time.monotonic()
        best = min((seen[0]["value"] for seen in samples.values() if seen), default=0)
        for system in names if done % 2 == 0 else names[::-1]:
            seen = samples[system]
            if system in failures or (
                    seen and bench.floor != system and turns.is_hopeless(seen[0], best)):
                continue
            try:
                seen.append(sample(bench, name, system, case, is_quick))
            except (RuntimeError, OSError, subprocess.SubprocessError) as why:
                print(f"{name}: {system} failed: {why}", flush=True)
                failures.append(system)
        done, spent = done + 1, time.monotonic() - start
    return {s: seen for s, seen in samples.items() if seen and s not in failures}, failures


# --- results -------------------------------------------------------------------------------------

def ratio(floor, aside, system, samples):
    """To the floor of the same turn where there is one, else to the best peer's median. None, None:
    to nobody."""
    if floor:
        pairs = zip(samples[system], samples.get(floor, []))
        ratios = [s["value"] / f["value"] for s, f in pairs if f["value"]]
        return (statistics.median(ratios), floor) if ratios else (None, None)
    medians = {s: statistics.median(x["value"] for x in seen)
               for s, seen in samples.items() if s not in systems.REACTORS and s not in aside}
    if not medians:
        return None, None
    best = min(medians, key=medians.get)
    mine = statistics.median(x["value"] for x in samples[system])
    return (mine / medians[best], best) if medians[best] else (None, None)


def results(name, bench, case, samples):
    floor = bench.also[name][1] if name in bench.also else bench.floor
    aside = () if floor else bench.aside
    for system, seen in samples.items():
        values = [s["value"] for s in seen]
        times, to = ratio(floor, aside, system, samples)
        record = {"bench": name, "system": system, **case, "unit": seen[0]["unit"],
                  "median": round(statistics.median(values), 4), "min": min(values),
                  "max": max(values), "rounds": values,
                  "foreign": round(max(s["foreign"] for s in seen), 3)}
        if times is not None:
            record.update(ratio=round(times, 3), ratio_to=to)
        if system in aside:
            record["aside"] = True
        for extra in ("rate", "p99"):
            if extra in seen[0]:
                record[extra] = round(statistics.median(s[extra] for s in seen), 1)
        yield record


def beside(other, samples):
    """The samples of what the same programs printed besides, under its own name."""
    found = {}
    for system, seen in samples.items():
        if all(other in s["also"] for s in seen):
            found[system] = [{**s, "value": s["also"][other][0], "unit": s["also"][other][1]}
                             for s in seen]
    return found


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def doubts(record):
    """Why a row does not deserve to be quoted."""
    median, turns = record["median"], len(record["rounds"])
    wide = median > 0 and (record["max"] - record["min"]) / median > SPREAD
    found = {"no task": "aside" in record, "one turn": turns == 1, "wide spread": wide,
             "disturbed": record["foreign"] > DISTURBED}
    return [doubt for doubt, is_so in found.items() if is_so]


def print_table(name, text, case, records):
    servers = "rate" in records[0]
    where = ", ".join(f"{v} {k if v != 1 else k.rstrip('s')}" for k, v in case.items())
    print(f"\n{name}: {text} ({where}), {records[0]['unit']}")
    heads = ["median", "min", "max", "ratio"] + (["per second", "p99 us"] if servers else [])
    print(f"  {'':<10}" + "".join(f"{h:>11}" for h in heads))
    for r in sorted(records, key=lambda r: r["median"]):
        cells = [figure(r["median"]), figure(r["min"]), figure(r["max"]),
                 f"{r['ratio']:.2f}" if "ratio" in r else ""]
        if servers:
            cells += [figure(r["rate"]), figure(r["p99"])]
        line = f"  {r['system']:<10}" + "".join(f"{c:>11}" for c in cells)
        print(f"{line}  {', '.join(doubts(r))}".rstrip())
    to = next((r["ratio_to"] for r in records if "ratio_to" in r), None)
    if to:
        print(f"  ratio: to {to}")
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
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, help=argparse.SUPPRESS)  # for the tests
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    unknown = [n for n in options.names if n not in BENCHES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; --list names them")
    if min(options.rounds or 1, options.workers or 1) < 1 or options.minutes <= 0:
        parser.error("at least one")
    if options.quick:
        options.hank, options.rounds = True, options.rounds or 1
    return options


def machine():
    """What the figures belong to."""
    model = platform.machine()
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cpus": len(systems.cpus()), "memory_gib": round(memory, 1),
            "kernel": f"{platform.system()} {platform.release()}"}


def all_cases(names, options):
    """(name, case) of everything that can be measured here."""
    for name in names:
        if options.workers:
            yield name, {**BENCHES[name].cases[0], "workers": options.workers}
            continue
        for case in BENCHES[name].cases:
            if case["workers"] <= len(systems.cpus()):
                yield name, case


def can(system, case):
    peer = systems.PEERS_BY_NAME.get(system)
    return not peer or not peer.threads or case["workers"] <= peer.threads


def measure_all(names, options, end):
    """(records, whether something failed)"""
    needed = [] if options.hank else list(dict.fromkeys(p for n in names for p in BENCHES[n].peers))
    servers = any(not isinstance(BENCHES[n], Question) for n in names)
    usable = systems.build([*(["load"] if servers else []), *needed])
    load_before, here = os.getloadavg()[0], machine()
    everything, any_failed = [], False
    cases = list(all_cases(names, options))
    with open(systems.OUT / "results.jsonl", "a") as results_file:
        for i, (name, case) in enumerate(cases):
            bench = BENCHES[name]
            share = bench.share / sum(BENCHES[n].share for n, _ in cases[i:])
            turns = Turns(options.rounds, (end - time.monotonic()) * share)
            systems_asked = [*bench.ours, *(p for p in bench.peers if p in usable and can(p, case))]
            samples, failed = measure(bench, name, case, systems_asked, turns, options.quick)
            any_failed = any_failed or "hank" in failed
            for shown, text in [(name, bench.text), *((k, v[0]) for k, v in bench.also.items())]:
                found = samples if shown == name else beside(shown, samples)
                records = list(results(shown, bench, case, found))
                if not records:
                    continue
                print_table(shown, text, case, records)
                when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                for record in [] if options.quick else records:
                    line = {**record, "text": text, "when": when, "machine": here}
                    results_file.write(json.dumps(line) + "\n")
                results_file.flush()
                everything += records
    say_how_quiet(everything, load_before)
    return everything, any_failed


def main():
    options = parse()
    if options.list:
        for name, bench in BENCHES.items():
            print(f"{name:<16} {bench.text}; peers: {', '.join(bench.peers) or 'none'}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers end with us
    if options.build:
        systems.use_build(options.build)
    systems.OUT.mkdir(parents=True, exist_ok=True)
    systems.raise_descriptor_limit()
    status = 0
    if options.names or not options.report:
        end = time.monotonic() + options.minutes * 60
        everything, failed = measure_all(options.names or list(BENCHES), options, end)
        status = 1 if failed or not everything else 0
    if options.report:
        print("report:", report.draw(systems.OUT / "results.jsonl", systems.OUT / "report.html"))
    return status


if __name__ == "__main__":
    sys.exit(main())
