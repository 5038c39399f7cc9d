#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""coverage.py - which lines of runtime/ the tests reached, and whether the rest is explained.

    tests/coverage.py BUILD [--list]
    tests/coverage.py --stale

BUILD is a tree of the coverage preset whose tests have run. Prints lines and branches by room;
fails below LEAST per cent of lines, for a line that nothing reached and uncovered.txt does not
explain, and for an explanation of what is no longer there. --list prints the unexplained lines as
the stanzas of uncovered.txt would name them. --stale needs no BUILD and looks for explanations of
what is no longer there only.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST = 95.0
# Declarations, constants, arguments without use and heads of endless loops have counters of their
# own, which nobody adds to.
NO_CODE = re.compile(r"(?:(?!return|goto)[\w ]+ \**\w+(?:\[\w+\])?(?:, \**\w+)*;|"
                     r"static const [^=]+ = \{.*\};|\(void\)\w+;|do(?: \{)?|for \(;;\) \{)$")


def measure(build):
    """file -> (its lines: number -> count, branches taken, branches)"""
    done = subprocess.run(["gcovr", "--root", ROOT, "--filter", f"{ROOT}/runtime/",
                           "--gcov-ignore-parse-errors", "--exclude-unreachable-branches",
                           "--json", "-", str(build)],
                          cwd=build, capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout:
        sys.exit(f"coverage.py: gcovr failed:\n{done.stderr}")
    files = {}
    for file in json.loads(done.stdout)["files"]:
        lines, taken, branches = {}, 0, 0
        for line in file["lines"]:
            if line.get("gcovr/noncode"):
                continue
            lines[line["line_number"]] = line["count"]
            taken_here = sum(b["count"] > 0 for b in line["branches"])
            # Branches of a line that ran and took none of them are of a copy inlined elsewhere.
            if taken_here > 0 or line["count"] == 0:
                branches += len(line["branches"])
                taken += taken_here
        if lines:
            files[file["file"]] = (lines, taken, branches)
    return files


def code_of(path):
    """Its lines without the comments behind them."""
    text = (ROOT / path).read_text() if (ROOT / path).exists() else ""
    return [re.sub(r"\s*/\*.*", "", line).strip() for line in text.splitlines()]


def explanations():
    """(file, text of the line) -> why"""
    told, file, why = {}, None, None
    for line in (ROOT / "tests/uncovered.txt").read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("    "):
            told[(file, line.strip())] = why
        else:
            file, _, why = line.partition(": ")
    return told


def stale(told):
    """What is said of such explanations."""
    everywhere = {line for path in sorted((ROOT / "runtime").glob("*/*.[ch]"))
                  for line in code_of(path.relative_to(ROOT))}
    for file, line in told:
        if line not in (everywhere if file == "*" else code_of(file)):
            yield f"uncovered.txt: {file} has no such line: {line}"


def main(arguments):
    if arguments == ["--stale"]:
        told = explanations()
        gone = list(stale(told))
        print("\n".join(gone) or f"{len(told)} explanations, each of a line that there is")
        return bool(gone)
    files = measure(pathlib.Path(arguments[0]).resolve())
    told = explanations()
    rooms, used, strange = {}, set(), []
    for path, (lines, taken, branches) in sorted(files.items()):
        text = code_of(path)
        for number, count in lines.items():
            key = (path, text[number - 1])
            if count == 0 and NO_CODE.match(key[1]):
                lines[number] = 1
            elif count == 0 and (key in told or ("*", key[1]) in told):
                used.add(key)
            elif count == 0:
                strange.append((path, number, key[1]))
        room = rooms.setdefault(path.split("/")[1], [0, 0, 0, 0])
        for i, n in enumerate([sum(c > 0 for c in lines.values()), len(lines), taken, branches]):
            room[i] += n
    total = [sum(room[i] for room in rooms.values()) for i in range(4)]
    for name, room in [*rooms.items(), ("all", total)]:
        print(f"{name:8} {100 * room[0] / room[1]:5.1f} % of {room[1]:5} lines"
              f"   {100 * room[2] / max(room[3], 1):5.1f} % of {room[3]:5} branches")
    if "--list" in arguments:
        for path, number, line in strange:
            print(f"{path}: \n    {line}")
        return 0
    gone = list(stale(told))
    for path, number, line in strange:
        print(f"{path}:{number}: not reached and not explained: {line}")
    for what in gone:
        print(what)
    percent = 100 * total[0] / total[1]
    print(f"{percent:.1f} % of lines, {len(used)} explained, {len(strange)} not, {len(gone)} stale")
    return percent < LEAST or bool(strange or gone)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
