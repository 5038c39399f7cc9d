#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mistakes_test.py - docs/known-mistakes.md names only what there is.

In its last column `x` is a test, a model, or a program by ctest's name; *x* is a mutation that the
models must notice. Each row has at least one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"


def names():
    """Everything `x` may be."""
    found = set()
    for path in TESTS.glob("*/*_test.c"):
        text = path.read_text()
        for _, arguments in re.findall(r"^(Test|EACH|SITES|ALONE|BEHAVIOUR|OVER|PAIR|DATAGRAMS|"
                                       r"ON_[A-Z_]+|[A-Z]+_TEST)\(([^)]*)", text, re.M):
            parts = [part.strip() for part in arguments.split(",")]
            found.update(parts[:3])  # OVER says which kinds in between
            found.add(".".join(parts[:2]))
    for path in (TESTS / "model").glob("*_model.c"):
        found.update(re.findall(r'\.name = "([^"]+)"', path.read_text()))
    calls = re.compile(r"^\s*hank_(tests|stress|fuzz|canary|house|judge|sim)(?:_cxx)?"
                       r"\(([^)$]*)", re.M)
    for call in calls.finditer((TESTS / "CMakeLists.txt").read_text()):
        words = call[2].split()
        kind, words = (words[0], words[1:]) if call[1] == "tests" else (call[1], words)
        found.update(words if kind == "judge" else {f"{kind}.{word}" for word in words})
    return found


def mutations():
    """Everything *x* may be: those that are to be killed."""
    text = (TESTS / "model/mutations.txt").read_text()
    return {re.search(r"^name +(.+)$", stanza, re.M)[1]
            for stanza in re.split(r"\n\s*\n", text)
            if re.search(r"^expect +killed", stanza, re.M)}


def main():
    known, killed = names(), mutations()
    wrong, rows, cited = [], 0, 0
    text = (ROOT / "docs/known-mistakes.md").read_text()
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 5 or cells[1] in ("mistake", "---") or set(cells[1]) == {"-"}:
            continue
        rows += 1
        tests = re.findall(r"`([^`]+)`", cells[3])
        mutants = re.findall(r"\*([^*]+)\*", cells[3])
        cited += len(tests) + len(mutants)
        wrong += [f"{number}: there is no test {test}" for test in tests if test not in known]
        wrong += [f"{number}: there is no mutation to be killed: {mutant}"
                  for mutant in mutants if mutant not in killed]
        if not tests and not mutants:
            wrong.append(f"{number}: nothing would catch it")
    if rows < 60:
        wrong.append(f"only {rows} rows")
    print("\n".join(wrong) or f"{rows} mistakes, {cited} tests and mutations: all there")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
