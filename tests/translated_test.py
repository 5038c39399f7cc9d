#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""translated_test.py - docs/asyncio-tests.md names only what there is, and enough of it.

In its last column each `x` is a test here. Each of CPython's tests stands in it once, by class.
"""
import pathlib
import re
import sys

import mistakes_test

ROOT = pathlib.Path(__file__).resolve().parent.parent
AT_LEAST = 300


def rows(text):
    """Class, names of CPython's tests, names of ours: line by line."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and "`" in cells[2]:
            yield cells[1], re.findall(r"`(\w+)`", cells[2]), re.findall(r"`([\w.]+)`", cells[3])


def faults(text, known):
    seen = set()
    for where, theirs, ours in rows(text):
        if not ours:
            yield f"{where} {theirs[0]}: no test"
        for name in ours:
            if name not in known:
                yield f"there is no test {name}"
        for name in theirs:
            if (where, name) in seen:
                yield f"{where} {name} stands there twice"
            seen.add((where, name))
    if len(seen) < AT_LEAST:
        yield f"{len(seen)} of CPython's tests, {AT_LEAST} are wanted"


def selftest():
    table = "| in | theirs | ours |\n| A | `test_a` | `x.y` |\n| A | `test_a` | - |\n"
    found = list(faults(table, set()))
    assert any("no test x.y" in fault for fault in found)
    assert any("stands there twice" in fault for fault in found)
    assert any("A test_a: no test" in fault for fault in found)
    assert any("1 of CPython's" in fault for fault in found)


def main():
    selftest()
    text = (ROOT / "docs/asyncio-tests.md").read_text()
    wrong = list(faults(text, mistakes_test.names()))
    for fault in wrong:
        print(f"docs/asyncio-tests.md: {fault}")
    theirs = sum(len(names) for _, names, _ in rows(text))
    ours = {name for _, _, names in rows(text) for name in names}
    print(f"{theirs} of CPython's tests, {len(ours)} of ours")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
