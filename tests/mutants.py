#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutants.py - do ordinary tests notice the mistake they are named for?

    mutants.py --cc CC --build DIR --flags=FLAGS --libraries=LIBRARIES [--under TOOL] [NAME ...]

Makes one mistake of mutants.txt at a time in a copy of its file, builds the test with that in front
of the libraries, and runs the one test. Fails if it passes, or if the unchanged one does not; where
two places defend against one mistake, it is made in both, and each alone must harm nothing. NAME is
a part of a mutant's name. With --under those that only this sanitizer notices, else the others.
"""
import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "model"))
import mutate  # noqa: E402

SECONDS_MAX = 120  # a test that hangs has noticed
FIELDS = {"name", "file", "test", "only", "from", "to"}
ALSO = {"also-file", "also-from", "also-to"}  # the other half of what is defended twice
UNDER = FIELDS - {"only"} | {"under"}  # a plain program, where there is no Criterion
# As judge.sh has it, but for the file in which it looks for reports.
TOOLS = {"ASAN_OPTIONS": "detect_stack_use_after_return=1", "TSAN_OPTIONS": "",
         "UBSAN_OPTIONS": ""}


def build(options, program, sources):
    done = subprocess.run([options.cc, "-std=gnu11", "-g", "-O1", "-w", "-D_GNU_SOURCE",
                           *options.flags.split(), f"-I{ROOT}/tests", f"-I{ROOT}/include",
                           f"-I{ROOT}/runtime", *map(str, sources), *options.libraries.split(),
                           "-pthread", "-lm", "-o", str(program)],
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{program} does not build:\n{done.stderr[-3000:]}")


def passes(program, only):
    """Whether the test passes; it must be there. None: the program is one test."""
    chosen = ["-j1", f"--filter={only}"] if only else []
    try:
        done = subprocess.run([str(program), *chosen], text=True, env={**os.environ, **TOOLS},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return False
    if "Tested: 0" in done.stdout:
        raise SystemExit(f"{program} has no test {only}")
    return done.returncode == 0


def write_mutants(program, edits):
    """A copy of each file with its edits made."""
    texts = {}
    for edit in edits:
        file = edit["file"]
        text = texts.get(file) or (ROOT / "runtime" / file).read_text()
        texts[file] = mutate.mutated(text, edit)
    sources = []
    for i, text in enumerate(texts.values()):
        sources.append(pathlib.Path(f"{program}_{i}.c"))
        sources[-1].write_text(text)
    return sources


def edits_of(mutant):
    """What is replaced, in one place or two."""
    wanted = UNDER if "under" in mutant else FIELDS
    strange = (wanted | ALSO if "also-file" in mutant else wanted) ^ mutant.keys()
    if strange:
        raise SystemExit(f"{mutant.get('name')}: {strange} missing or too much")
    if "also-file" not in mutant:
        return [mutant]
    return [mutant, {field: mutant.get(f"also-{field}", mutant["name"])
                     for field in ("name", "file", "from", "to")}]


def is_noticed(options, number, mutant):
    only = mutant.get("only")
    test = HERE / (f"{mutant['test']}_test.c" if only else f"{mutant['test']}.c")
    edits = edits_of(mutant)
    programs = [("whole", [], True)]
    if len(edits) > 1:
        programs += [("first", edits[:1], True), ("second", edits[1:], True)]
    for name, made, shall_pass in [*programs, ("mutant", edits, False)]:
        program = pathlib.Path(options.build) / f"{name}_{number}"
        build(options, program, [test, *write_mutants(program, made)])
        if passes(program, only) != shall_pass:
            return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--flags", required=True)
    parser.add_argument("--libraries", required=True)
    parser.add_argument("--under")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    pathlib.Path(options.build).mkdir(parents=True, exist_ok=True)
    unnoticed = 0
    for number, mutant in enumerate(mutate.parse_list((HERE / "mutants.txt").read_text())):
        if mutant.get("under") != options.under or \
                options.names and not any(name in mutant["name"] for name in options.names):
            continue
        noticed = is_noticed(options, number, mutant)
        print(f"{'noticed' if noticed else 'NOT NOTICED'}: {mutant['name']}", flush=True)
        unnoticed += not noticed
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
