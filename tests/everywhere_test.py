#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""everywhere_test.py - every public call that waits is stopped at each of its waits by a test.

What waits says so in its declaration (`waits` in include/hank). What is walked is what the body of
an everywhere_scenario calls, itself or through functions of the same file and of headers of tests.
What nothing stops says that too: it has no `if stopped`, or waits on.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = sorted((ROOT / "include/hank").glob("*.h"))
DECLARED = re.compile(r"/\*((?:(?!\*/).)*)\*/\s*\n(?:HANK_API|static inline)[^;{]*?\b(hank_\w+)\(",
                      re.S)
MACRO = re.compile(r"^#define (hank_\w+)\(((?:.*\\\n)*.*)", re.M)
FUNCTION = re.compile(r"^(?:[a-z][\w ]*[ *])?(\w+)\(((?:[^;{}()]|\([^;{}()]*\))*)\)"
                      r"\n\{\n(.*?)^\}", re.M | re.S)
STUBBORN = ("it waits",)  # on, or all the same
BODY = re.compile(r"everywhere_scenario(?:\)| \w+ =)\s*\{\s*\w+,\s*(\w+)")


def waiting():
    """Names of the calls that wait and may be stopped."""
    found = set()
    for path in HEADERS:
        for comment, name in DECLARED.findall(path.read_text()):
            waits = re.search(r"^ \*\s+waits\s+(\w+)", comment, re.M)
            stopped = re.search(r"^ \*\s+if stopped\s+(\w+ \w+)", comment, re.M)
            if waits and waits[1] != "never" and stopped and stopped[1] not in STUBBORN:
                found.add(name)
    return found


def macros():
    """name -> what a call of it calls"""
    return {name: set(re.findall(r"\bhank_\w+", text))
            for path in HEADERS for name, text in MACRO.findall(path.read_text())}


def with_includes(path, seen):
    """The text of a test and of the headers of tests that it includes."""
    if path in seen or not path.is_file():
        return ""
    seen.add(path)
    text = path.read_text()
    near = "".join(with_includes(ROOT / "tests" / name, seen)
                   for name in re.findall(r'^#include "([^"]+)"', text, re.M))
    return near + text


def bodies(text, functions):
    """What is walked: named in the scenario, or given to a function that names its parameter."""
    for walker, parameters, content in functions:
        for body in BODY.findall(content):
            if re.search(rf"\b{body}\b", parameters):
                for arguments in re.findall(rf"\b{walker}\(([^;]*)\);", text):
                    yield from re.findall(r"\w+", arguments)
            else:
                yield body


def walked_in(path):
    text = with_includes(path, set())
    functions = FUNCTION.findall(text)
    calls = {name: set(re.findall(r"\b(\w+)\(", content)) for name, _, content in functions}
    reached, ahead = set(), list(bodies(text, functions))
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += calls.get(name, ())
    return reached


def main():
    wait, macro, walked = waiting(), macros(), set()
    for path in sorted((ROOT / "tests").glob("*/*_test.c")):
        if "everywhere(" in path.read_text():
            walked |= walked_in(path)
    for name in walked & macro.keys():
        walked |= macro[name]
    wrong = [f"{name} waits, and no test stops it everywhere"
             for name in sorted(wait - walked)]
    print("\n".join(wrong + [f"{len(wait)} calls wait, {len(wait & walked)} are walked"]))
    return 1 if wrong or not wait else 0


if __name__ == "__main__":
    sys.exit(main())
