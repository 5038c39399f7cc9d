#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutants.py - does the simulator notice when hank itself is broken?

    mutants.py --cc CC --library libhank_sim_static.a --build DIR [--flags FLAGS]

Takes faults of tests/model/mutations.txt that show under sequential consistency, builds the file
with the fault in front of the simulator's library, and runs a scenario of tests/sim/scenarios.c
under as many seeds as it may take. A fault that no seed shows is a failure; so is an unchanged
program that fails. Prints the seed that showed each.
"""
import argparse
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "model"))
import mutate  # noqa: E402

SEEDS = 2000
# The fault's name in mutations.txt, and the scenario that is to show it.
FAULTS = [
    ("a sleeper does not look again", "idle"),
    ("a queuer forgets the interrupt", "idle"),
    ("who was not woken stays among the sleepers", "idle"),
    ("who was woken thinks it was not", "idle"),
    ("the stop passes over one", "idle"),
]


def build(options, name, source):
    program = pathlib.Path(options.build) / name
    subprocess.run([options.cc, "-std=gnu11", "-g", "-O1", "-D_GNU_SOURCE", "-DHK_SIM=1",
                    *options.flags.split(), f"-I{ROOT}/include", f"-I{ROOT}/runtime",
                    f"-I{ROOT}/tests", f"{HERE}/scenarios.c", *source, options.library,
                    "-ljemalloc", "-pthread", "-lm", "-o", str(program)], check=True)
    return program


def run(program, scenario, seeds):
    """None if every seed passes, otherwise the one that failed."""
    done = subprocess.run([str(program), str(seeds), scenario], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    found = re.search(r"seed (\d+) failed", done.stdout)
    if done.returncode != 0 and not found:
        raise SystemExit(f"{program} ended badly:\n{done.stdout[-2000:]}")
    return int(found[1]) if done.returncode != 0 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--flags", default="")
    options = parser.parse_args()
    pathlib.Path(options.build).mkdir(parents=True, exist_ok=True)
    listed = {m["name"]: m for m in mutate.parse_list(
        (HERE.parent / "model" / "mutations.txt").read_text())}
    survivors = 0
    whole = build(options, "unchanged", [])
    for scenario in sorted({scenario for _, scenario in FAULTS}):
        seed = run(whole, scenario, 50)
        if seed is not None:
            print(f"unchanged: {scenario} fails with seed {seed}")
            survivors += 1
    for number, (name, scenario) in enumerate(FAULTS):
        fault = listed[name]
        source = pathlib.Path(options.build) / f"mutant_{number}.c"
        source.write_text(mutate.mutated((ROOT / "runtime" / fault["file"]).read_text(), fault))
        seed = run(build(options, f"mutant_{number}", [str(source)]), scenario, SEEDS)
        print(f"{'survives ' + str(SEEDS) + ' seeds' if seed is None else f'seed {seed}'}: {name}")
        survivors += seed is None
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
