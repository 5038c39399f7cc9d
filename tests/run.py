#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py - every test in every configuration, counted one by one.

    run.py [--all] [CONFIGURATION ...]      default: what the first column below says
    run.py --selftest

All configurations are built first and tested afterwards, so that no compiler competes with a test
for the processors; within a configuration ctest runs one test more at once than there are
processors, as some sleep, and stress tests alone. A Criterion program counts as the tests in it,
anything else as one, a build that fails as one. The last line is `N passed, N failed`; the exit
status says the same.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What an emulated CPU runs in ./dev test: switching, the memory below, and one of each room.
SMALL = (r"^(base\.(os|slab|waiter)|fiber\.(switch|stack)|sched\.|sync\.|api\.(chan|group)|"
         r"io\.socket)")
# Valgrind runs one thread at a time, and an instruction takes it as long as twenty.
SLOW = (r"^(base\.|fiber\.switch|sched\.|sync\.|reactor\.timers|api\.(chan|gather)|"
        r"io\.(lines|where))")

# What ThreadSanitizer has no eyes for: fibers that switch as they please, and threads that a forked
# child of threads starts, at whose birth it ends the child.
UNSEEN = r"^(fiber\.|api\.fork)"

# What another switch or compiler can break without its breaking more above.
ROOMS = r"^(base|fiber|reactor|sched|sync|api)\."
WHOLE = ["-LE", "house|canary|model|mutants"]

# name: what ctest is to select by default (None: nothing), and when asked for by name or by --all;
# the preset has the same name
CONFIGURATIONS = {
    "ci-gcc": (["-LE", "mutants"], []),
    "asan": (["-LE", "house|model", "-E", r"^sim\.(determinism|scenarios|api|sync|tasks)"],
             ["-LE", "house"]),
    "ucontext": (["-R", ROOMS], WHOLE),
    "ci-clang": (["-R", ROOMS], WHOLE),
    "tsan": (["-L", "stress|canary|example|mutants"], ["-L", "stress|canary|example|mutants"]),
    "uring": (None, ["-R", r"^(io|reactor|api)\."]),
    "uring-asan": (None, ["-R", r"^(io|reactor|api)\."]),
    "ubsan": (None, ["-LE", "house"]),
    "fuzz": (None, ["-L", "fuzz|canary"]),
    "aarch64": (None, ["-R", SMALL]),
    "riscv64": (None, ["-L", "unit"]),
    "valgrind": (None, ["-R", SLOW]),
    "tsan-unit": (None, ["-L", "unit", "-E", UNSEEN]),
    "gcc-O2": (None, WHOLE),
    "gcc-O3": (None, WHOLE),
    "clang-O0": (None, WHOLE),
    "clang-O3": (None, WHOLE),
}
# What is built for a configuration that is another one's, run differently.
PRESETS = {"uring": "ci-gcc", "uring-asan": "asan"}
ENVIRONMENTS = {name: {"HANK_REACTOR": "uring"} for name in PRESETS}
REFUSED = 77  # tests/reactor/uring_probe.c: this machine has no io_uring for us
CPUS = os.cpu_count() or 1


class Count:
    """Of one configuration, or of all."""

    def __init__(self):
        self.passed, self.skipped, self.failures = 0, 0, []

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {len(self.failures)} failed{skipped}"


def count_tap(text, program):
    """What one Criterion program left. A test of its plan that is missing has failed."""
    count = Count()
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    lines = re.findall(r"^(not ok|ok) - (\S+)(.*)$", text, re.M)
    for verdict, test, rest in lines:
        if verdict == "not ok":
            count.failures.append(f"{program} {test}")
        elif "# SKIP" in rest:
            count.skipped += 1
        else:
            count.passed += 1
    missing = (int(plan[1]) if plan else 1) - len(lines)
    count.failures += [f"{program} (a test that never ended)"] * max(missing, 0)
    return count


def count_case(name, passed, tap):
    """One ctest test; `tap` is what it left for us, or None."""
    count = Count()
    if tap is not None and not name.startswith("canary."):
        count = count_tap(tap, name)
        if not passed and not count.failures:
            count.failures.append(f"{name} (reported by a sanitizer, or ended badly)")
    elif passed:
        count.passed = 1
    else:
        count.failures.append(name)
    return count


def count_junit(text, results):
    """ctest's own report. Also yields the output of what failed."""
    total, outputs = Count(), []
    for case in xml.fromstring(text).iter("testcase"):
        name = case.get("name")
        tap = results / name / "tap"
        text = tap.read_text(errors="replace") if tap.is_file() else None
        if case.find("skipped") is not None and text is None:
            total.skipped += 1
            continue
        count = count_case(name, case.get("status") == "run", text)
        if count.failures:
            outputs.append((name, case.findtext("system-out") or ""))
        total.add(count)
    return total, outputs


def failed_build(preset, step, output):
    print(f"--- {preset}: {step} failed\n{output.rstrip()}", flush=True)
    count = Count()
    count.failures.append(f"{preset}: {step}")
    return count


def preset_of(name):
    return PRESETS.get(name, name)


def build(preset):
    """None if it was built, otherwise the count that says it was not."""
    tree = ROOT / "build" / preset
    steps = {"configure": ["cmake", "--preset", preset],
             "build": ["cmake", "--build", str(tree), "-j", str(CPUS), "--", "-k", "0"]}
    for step, command in steps.items():
        done = subprocess.run(command, cwd=ROOT, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            said = re.sub(r"^\[\d+/\d+\] .*\n", "", done.stdout, flags=re.M)
            return failed_build(preset, step, said[-20000:])
    return None


def refusal(name):
    """Why this machine cannot run the configuration, or None."""
    if name not in ENVIRONMENTS:
        return None
    done = subprocess.run([ROOT / "build" / preset_of(name) / "tests/uring_probe"], text=True,
                          stdout=subprocess.PIPE)
    return done.stdout.strip() if done.returncode == REFUSED else None


def test(name, selection):
    why = refusal(name)
    if why:
        print(f"{name:10} skipped: {why}", flush=True)
        count = Count()
        count.skipped = 1
        return count
    tree = ROOT / "build" / preset_of(name)
    junit = tree / "junit.xml"
    junit.unlink(missing_ok=True)
    done = subprocess.run(["ctest", "-j", str(CPUS + 1), "--no-tests=error",
                           "--output-junit", str(junit),
                           "--test-output-size-failed", "100000", *selection],
                          cwd=tree, text=True, errors="replace",
                          env=dict(os.environ, **ENVIRONMENTS.get(name, {})),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not junit.is_file():
        return failed_build(name, "ctest", done.stdout)
    count, outputs = count_junit(junit.read_text(errors="replace"), tree / "results")
    if done.returncode != 0 and not count.failures:
        return failed_build(name, "ctest", done.stdout)
    for case, output in outputs:
        print(f"--- {name}: {case}\n{output.rstrip()}", flush=True)
    count.failures = [f"{name}: {failure}" for failure in count.failures]
    return count


def run(selections):
    """Of each configuration by its name, what ctest is to select."""
    total = Count()
    began = time.monotonic()
    built = {}
    for preset in dict.fromkeys(preset_of(name) for name in selections):
        start = time.monotonic()
        failure = build(preset)
        if failure:
            total.add(failure)
        else:
            print(f"{preset:10} built in {time.monotonic() - start:.0f} s", flush=True)
        built[preset] = not failure
    for name, selection in selections.items():
        if not built[preset_of(name)]:
            continue
        start = time.monotonic()
        count = test(name, selection)
        total.add(count)
        print(f"{name:10} {count} ({time.monotonic() - start:.0f} s)", flush=True)
    for failure in total.failures:
        print("failed:", failure)
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    print(f"{total.passed} passed, {len(total.failures)} failed", flush=True)
    return 1 if total.failures or total.passed == 0 else 0


def selftest():
    """A counter that cannot count a failure proves nothing."""
    tap = "TAP version 13\n1..3\nok - a::x  (0.00s)\nok - a::s  # SKIP why\n{}"
    good, bad = tap.format("ok - a::y (0.00s)\n"), tap.format("not ok - a::y unexpected signal\n")
    for case, expected in [
            (("p", True, good), "2 passed, 0 failed, 1 skipped"),
            (("p", False, good), "2 passed, 1 failed, 1 skipped"),  # a sanitizer's word counts
            (("p", False, bad), "1 passed, 1 failed, 1 skipped"),
            (("p", True, tap.format("")), "1 passed, 1 failed, 1 skipped"),
            (("p", False, ""), "0 passed, 1 failed"),
            (("p", True, None), "1 passed, 0 failed"),
            (("p", False, None), "0 passed, 1 failed"),
            (("canary.p", True, bad), "1 passed, 0 failed"),
            (("canary.p", False, good), "0 passed, 1 failed")]:
        assert str(count_case(*case)) == expected, (case, expected, str(count_case(*case)))
    junit = ('<testsuite><testcase name="a" status="run"/><testcase name="b" status="fail">'
             '<system-out>why</system-out></testcase><testcase name="c" status="notrun">'
             '<skipped message="SKIP_RETURN_CODE=77"/></testcase></testsuite>')
    with tempfile.TemporaryDirectory() as nowhere:
        count, outputs = count_junit(junit, pathlib.Path(nowhere))
    assert str(count) == "1 passed, 1 failed, 1 skipped" and outputs == [("b", "why")]


def main(arguments):
    if arguments == ["--selftest"]:
        selftest()
        return 0
    named = [a for a in arguments if a != "--all"]
    strangers = [a for a in named if a not in CONFIGURATIONS]
    if strangers:
        print(f"run.py: there is no configuration '{strangers[0]}'; "
              f"there are: {' '.join(CONFIGURATIONS)}", file=sys.stderr)
        return 2
    if named or "--all" in arguments:
        return run({name: whole for name, (_, whole) in CONFIGURATIONS.items()
                    if not named or name in named})
    return run({name: usual for name, (usual, _) in CONFIGURATIONS.items() if usual is not None})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
