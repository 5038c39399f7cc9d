#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""replay_test.py - what a model finds can be seen again, and luck finds what a search does.

    replay_test.py --build DIR [--cc CC]

Each planted bug is built once. The search reports a violation and its choices; these choices make
the same violation, with a trace; random priorities (PCT) find one too, the same from the same seed,
and that can be seen again as well.
"""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import mutate  # noqa: E402

PLANTED = ["push publishes without release", "a claim acquires but does not release",
           "a mutex is taken without acquire", "the last look passes over the inbox"]
SECONDS_MAX = 120


def run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True,
                          timeout=SECONDS_MAX)
    return done.returncode, done.stdout


def violation(output):
    """The model that was violated, why, and the choices that led there."""
    found = re.search(r"^(.+?)  +VIOLATED .*\n    (.*)\n    --replay (\S+)$", output, re.M)
    return found.groups() if found else (None, None, None)


class Failure(Exception):
    pass


def expect(fact, what):
    if not fact:
        raise Failure(what)


def check(shop, mutation):
    program = shop.mutant(mutation)
    status, output = run(program, "--mutant")
    model, why, choices = violation(output)
    expect(status == mutate.VIOLATED and model, f"the search finds it: {output}")

    status, output = run(program, model, "--replay", choices)
    expect(status == mutate.VIOLATED and violation(output) == (model, why, choices),
           f"its choices show it again, not {output}")
    trace = output.split(f"{model} ")[0]
    expect(len(trace.splitlines()) >= 3, f"with a trace, not {output}")

    found = [violation(run(program, model, "--random", seed)[1]) for seed in ("1", "1", "2")]
    expect(found[0][0] == model, "luck finds it")
    expect(found[0] == found[1], "the same luck finds the same")
    expect(found[0][2] != found[2][2], "another seed is another luck")
    status, output = run(program, model, "--replay", found[0][2])
    expect(violation(output) == found[0], "what luck has found can be seen again")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--cc", default="cc")
    parser.set_defaults(source=HERE.parent.parent)
    shop = mutate.Workshop(parser.parse_args())
    mutations = {m["name"]: m for m in mutate.parse_list((HERE / "mutations.txt").read_text())}
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        shop.checker(pool)
    for name in PLANTED:
        shop.baseline(mutations[name]["model"], False)
        try:
            check(shop, mutations[name])
            print(f"ok     {name}", flush=True)
        except Failure as failure:
            print(f"FAILED {name}: {failure}", flush=True)
            failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
