#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs_test.py - the documents say what is true.

Five things rot in prose: programs, names, links, figures and what is left out. So every ```c
block marked `complete` is compiled against include/, every hank_ or HANK_ name anywhere in the
documents must be in a public header or in the list below, every relative link must lead to a file,
what verification.md counts is counted again where that takes no run, and it names each file that
orders shared words and is in no model.

    tests/docs_test.py [file.md ...]        all documents by default; CC chooses one compiler
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import everywhere_test
import faults_test

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/model"))
import mutate  # noqa: E402

FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wundef", "-Wconversion", "-Werror",
         "-fsyntax-only", "-x", "c", "-I", str(ROOT / "include"), "-"]
STANDARDS = ["c99", "c11"]
# Names of the build, not of the headers.
BUILD_NAMES = {"HANK_UCONTEXT", "hank_sim", "HANK_RESOLVER", "HANK_DNS_SERVERS"}

FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```\s*$", re.S | re.M)
NAME = re.compile(r"\b(?:hank|HANK)_\w+")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def documents():
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def public_names():
    headers = [ROOT / "include/hank.h", *ROOT.glob("include/hank/*.h")]
    return set(NAME.findall("\n".join(h.read_text() for h in headers)))


def compilers():
    chosen = os.environ.get("CC")
    found = [chosen] if chosen else [c for c in ("gcc", "clang") if shutil.which(c)]
    return found or sys.exit("docs_test: no compiler")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def programs(text):
    """Line number and source of each block that claims to be a complete program."""
    for block in FENCE.finditer(text):
        if block[1] == "c" and "complete" in block[2].split():
            yield line_of(text, block.start()) + 1, block[3]


def compile_errors(path, line, source):
    source = f'#line {line} "{path}"\n{source}'
    for compiler in compilers():
        for standard in STANDARDS:
            run = subprocess.run([compiler, f"-std={standard}", *FLAGS], input=source,
                                 capture_output=True, text=True, check=False)
            if run.returncode != 0:
                yield f"{path}:{line}: {compiler} -std={standard}:\n{run.stderr}"


def name_errors(path, text, known):
    for match in NAME.finditer(text):
        if match[0] not in known and not match[0].endswith("_"):
            yield f"{path}:{line_of(text, match.start())}: no such name: {match[0]}"


def link_errors(path, text):
    for match in LINK.finditer(FENCE.sub("", text)):
        if "://" not in match[1] and not (ROOT / path).parent.joinpath(match[1]).exists():
            yield f"{path}: dead link: {match[1]}"


def stanzas(path):
    return len(re.findall(r"^name ", (ROOT / path).read_text(), re.M))


def mistakes():
    text = (ROOT / "docs/known-mistakes.md").read_text()
    return len(re.findall(r"^\| (?!mistake \|)\S", text, re.M))


def figure_errors():
    text = (ROOT / "docs/verification.md").read_text()
    for what, count in [("mutations, all as listed", stanzas("tests/model/mutations.txt")),
                        ("mistakes made on purpose", stanzas("tests/mutants.txt")),
                        ("kinds", len(faults_test.walked_kinds())),
                        ("calls |", len(everywhere_test.waiting())),
                        ("rows", mistakes())]:
        if f" {count} {what}" not in text:
            yield f"docs/verification.md: there are {count} {what.strip(' |')}"


def model_errors():
    """Files that no model compiles and no mutation names; the simulator is one thread."""
    text = (ROOT / "docs/verification.md").read_text()
    told = text.partition("**Orders that no model has.**")[2].partition("\n- ")[0]
    listed = mutate.parse_list((ROOT / "tests/model/mutations.txt").read_text())
    modelled = {f for files in mutate.PROGRAMS.values() for f in files}
    modelled |= {m["file"] for m in listed}
    for path in sorted((ROOT / "runtime").glob("*/*.[ch]")):
        file = str(path.relative_to(ROOT / "runtime"))
        orders = file != "base/atomic.h" and not file.startswith("sim/") and \
            mutate.ORDERED.search(path.read_text())
        alone = bool(orders) and file not in modelled
        if alone != (f"`{file}`" in told):
            yield f"docs/verification.md: {file} has {'' if alone else 'no '}orders without a model"


def main(arguments):
    known = public_names() | BUILD_NAMES
    files = [pathlib.Path(a).resolve() for a in arguments] or documents()
    errors, compiled = [], 0
    for file in files:
        text = file.read_text()
        path = os.path.relpath(file, ROOT)
        for line, source in programs(text):
            errors += compile_errors(path, line, source)
            compiled += 1
        errors += name_errors(path, text, known)
        errors += link_errors(path, text)
    if not arguments:
        errors += figure_errors()
        errors += model_errors()
    if compiled == 0 and not arguments:
        errors.append("docs_test: not one program found: has the mark changed?")
    print("\n".join(errors) or f"{compiled} programs in {len(files)} documents compile")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
