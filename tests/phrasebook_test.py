#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""phrasebook_test.py - whatever asyncio has by name has a row in docs/phrasebook.md.

The names are in tests/asyncio_names.txt; one has a row if it stands in the first column, as code.
That the other column names only what there is, docs_test.py sees to.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = re.compile(r"(`+)(.+?)\1")


def wanted(text):
    """The words of a list, whose comments are lines of their own."""
    return [word for line in text.splitlines() if not line.startswith("#") for word in line.split()]


def said(text):
    """Every identifier in the code of a first column."""
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    code = " ".join(match[2] for cell in cells for match in CODE.finditer(cell))
    return set(re.findall(r"\w+", code))


def missing(names, phrasebook):
    known = said(phrasebook)
    return [name for name in names if name not in known]


def selftest():
    rows = "| asyncio | hank |\n|---|---|\n| `t.cancel()`, not gone | `hank_cancel(t)` |\n"
    assert missing(["cancel"], rows) == []
    assert missing(["gone", "hank_cancel", "cance"], rows) == ["gone", "hank_cancel", "cance"]
    assert wanted("# no\nyes too\n") == ["yes", "too"]


def main():
    selftest()
    names = wanted((ROOT / "tests/asyncio_names.txt").read_text())
    absent = missing(names, (ROOT / "docs/phrasebook.md").read_text())
    for name in absent:
        print(f"docs/phrasebook.md: no row for {name}")
    print(f"{len(names)} names, {len(names) - len(absent)} with a row")
    return 1 if absent or len(names) != len(set(names)) else 0


if __name__ == "__main__":
    sys.exit(main())
