#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutate.py - do the models notice? Weakens one order or removes one step of the real code at a
time (mutations.txt), in a copy, and runs the model against it.

    mutate.py --build DIR [--source DIR] [--cc CC] [--jobs N] [--no-baseline] [NAME ...]

NAME is a part of a mutation's name. --no-baseline: the unchanged programs are built but not run,
for where they are tests of their own. Fails if one that must be killed survives, if one that is
listed as not needed is killed, if a text is no longer found exactly once, if an access with an
order is weakened by none of them, or if an unchanged program fails (which also compares its golden
counts). Needs nothing but Python and a C compiler.
"""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

CHECKER = ["mc_data", "mc_fiber", "mc_main", "mc_memory", "mc_os", "mc_run", "mc_search",
           "mc_trace", "mc_wait"]
# A model program and the files of runtime/ compiled into it.
PROGRAMS = {
    "litmus": [],
    "search": [],
    "waiter": [],
    "lock": ["base/lock.c"],
    "deque": ["sched/deque.c"],
    "ring": [],
    "idle": ["base/lock.c", "sched/idle.c", "sched/inbox.c"],
    "monitor": ["sched/monitor.c"],
    "work": ["sched/work.c"],
    "bell": ["sched/bell.c", "sched/signal.c"],
    "join": ["base/lock.c", "sched/join.c", "sched/look.c"],
    "sync": ["base/lock.c", "sync/barrier.c", "sync/mutex.c", "sync/once.c", "sync/sem.c",
             "sync/waitq.c"],
    "chan": ["base/lock.c", "sync/chan.c", "sync/select.c", "sync/store.c", "sync/waitq.c"],
    "fdword": ["reactor/source.c"],
    "fd": ["io/fd.c"],
    "on_stack": [],
    "request": ["reactor/request.c"],
    "flow": ["reactor/flow.c"],
    "cancel": ["sched/cancel.c", "sched/park.c", "sched/scope.c", "sched/task.c"],
    "handover": ["base/lock.c", "sched/cancel.c", "sched/park.c", "sched/scope.c", "sched/task.c",
                 "sync/chan.c", "sync/select.c", "sync/store.c", "sync/waitq.c"],
    "timers": ["base/lock.c", "reactor/timers.c", "sched/cancel.c", "sched/park.c", "sched/scope.c",
               "sched/task.c"],
}
# An access with an order, up to the end of its first argument.
ORDERED = re.compile(r"\bhk_(?:load|store|swap|add|sub|or|and|cas)_"
                     r"(?:acquire|release|acqrel|seqcst)\([^,()]*")
TIMEOUT_SECONDS = 90
VIOLATED = 1


class Broken(Exception):
    """Not a survivor: the list or the build is wrong."""


def parse_list(text):
    mutations = []
    for stanza in re.split(r"\n\s*\n", text):
        fields, key = {}, None
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line.startswith("    "):
                fields[key] += "\n" + line.strip()
            else:
                key, _, value = line.partition(" ")
                fields[key] = value.strip()
        if fields:
            mutations.append(fields)
    return mutations


def check_list(mutations):
    names = set()
    for m in mutations:
        name = m.get("name", "?")
        missing = {"name", "file", "model", "from", "to", "expect"} - m.keys()
        if missing or name in names or m["expect"] not in ("killed", "survives"):
            raise Broken(f"{name}: missing {missing}, or a second one, or a strange expectation")
        if m["expect"] == "survives" and "why" not in m:
            raise Broken(f"{name}: survives without a reason")
        names.add(name)


def place_of(text, m):
    """Where its text is; blanks at line breaks do not count."""
    lines = [re.escape(line.strip()) for line in m["from"].splitlines()]
    places = list(re.finditer(r"\s*\n\s*".join(lines), text))
    if len(places) != 1:
        raise Broken(f"{m['name']}: its text is {len(places)} times in {m['file']}")
    return places[0]


def mutated(text, m):
    """The text with one place replaced."""
    place = place_of(text, m)
    return text[: place.start()] + m["to"] + text[place.end():]


def without_stanza(runtime, mutations):
    """The ordered accesses of the files that models compile, and of the headers that mutations
    name, of which no mutation takes the order away: as 'file:line: text'."""
    files = {f for files in PROGRAMS.values() for f in files} | {m["file"] for m in mutations}
    missing = []
    for file in sorted(files):
        text = (runtime / file).read_text()
        weakened = set()
        for m in mutations:
            place = place_of(text, m) if m["file"] == file else None
            for access in ORDERED.finditer(text, *place.span()) if place else ():
                if m["to"].count(access[0]) < place[0].count(access[0]):
                    weakened.add(access.start())
        for access in ORDERED.finditer(text):
            if access.start() not in weakened:
                line = text.count("\n", 0, access.start())
                missing.append(f"{file}:{line + 1}: {text.splitlines()[line].strip()}")
    return missing


class Workshop:
    def __init__(self, options):
        self.source = options.source.resolve()
        self.build = options.build.resolve()
        self.cc = options.cc

    def compile(self, source, target, first=None, level="-O1"):
        target.parent.mkdir(parents=True, exist_ok=True)
        include = [first] if first else []
        include += [self.source / "runtime", self.source / "tests", self.source / "include"]
        command = [self.cc, "-std=gnu11", "-D_GNU_SOURCE", "-DHK_MODEL", "-DHK_FAULTS=1"]
        command += [level, "-w"]
        command += [f"-I{i}" for i in include] + ["-c", source, "-o", target]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Broken(f"{source} does not compile:\n{done.stderr}")
        return target

    def checker(self, pool):
        """The checker's own objects, shared by all programs, which spend their time there."""
        jobs = [pool.submit(self.compile, self.source / f"tests/model/{name}.c",
                            self.build / f"checker/{name}.o", level="-O2") for name in CHECKER]
        self.objects = [job.result() for job in jobs]

    def unchanged(self, name):
        return self.build / "unchanged" / name

    def program(self, name, place, changed=None):
        """`changed`: a file whose copy in place/runtime comes first. Of a C file nobody else's
        object depends; of a header all may."""
        first = place / "runtime" if changed else None
        objects = []
        for file in [f"tests/model/{name}_model.c"] + [f"runtime/{f}" for f in PROGRAMS[name]]:
            as_object = file.replace("/", "_") + ".o"
            if not changed or changed.endswith(".h"):
                objects.append(self.compile(self.source / file, place / as_object, first))
            elif file == f"runtime/{changed}":
                objects.append(self.compile(first / changed, place / as_object, first))
            else:
                objects.append(self.unchanged(name) / as_object)
        target = place / name
        subprocess.run([self.cc, *objects, *self.objects, "-o", target], check=True)
        return target

    def baseline(self, name, run):
        target = self.program(name, self.unchanged(name))
        if not run:
            return
        done = subprocess.run([target], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        if done.returncode != 0:
            raise Broken(f"the unchanged {name} model fails:\n{done.stdout}")

    def mutant(self, m):
        """The program that is to notice `m`."""
        place = self.build / re.sub(r"\W+", "-", m["name"])
        copy = place / "runtime" / m["file"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(mutated((self.source / "runtime" / m["file"]).read_text(), m))
        return self.program(m["model"], place, m["file"])

    def judge(self, m):
        """'killed' and by which model, or 'survives'."""
        target = self.mutant(m)
        try:
            done = subprocess.run([target, "--mutant"], capture_output=True, text=True,
                                  timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return "out of time", ""
        if done.returncode == VIOLATED:
            line = next(l for l in done.stdout.splitlines() if "VIOLATED" in l)
            return "killed", re.sub(r"\s{2,}", "  ", line)
        if done.returncode < 0:  # on memory that is no longer what the code takes it for
            return "killed", f"by signal {-done.returncode}"
        if done.returncode == 0:
            return "survives", ""
        return f"exit {done.returncode}", ""


def main():
    parser = argparse.ArgumentParser(description="mutation test of the models")
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--source", type=pathlib.Path, default=here.parent.parent)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    shop = Workshop(options)
    mutations = parse_list((here / "mutations.txt").read_text())
    wrong = 0
    try:
        check_list(mutations)
        missing = without_stanza(shop.source / "runtime", mutations)
        if missing:
            raise Broken("no mutation weakens these:\n" + "\n".join(missing))
        mutations = [m for m in mutations
                     if not options.names or any(n in m["name"] for n in options.names)]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            shop.checker(pool)
            list(pool.map(lambda name: shop.baseline(name, not options.no_baseline),
                          {m["model"] for m in mutations}))
            for m, (got, by) in zip(mutations, pool.map(shop.judge, mutations)):
                right = got == m["expect"]
                wrong += not right
                print(f"{'ok   ' if right else 'WRONG'} {m['name']:<58} {got}  {by}", flush=True)
    except Broken as problem:
        print(f"mutate.py: {problem}", file=sys.stderr)
        return 1
    killed = sum(m["expect"] == "killed" for m in mutations)
    print(f"{len(mutations)} mutations: {killed} to be killed, "
          f"{len(mutations) - killed} not needed; {wrong} wrong")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
