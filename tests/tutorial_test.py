#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tutorial_test.py - every program of docs/tutorial.md can be built as it says, and does what the
text around it says.

    tests/tutorial_test.py LIBRARY      the shared library to link with; CC chooses the compiler

A program is known by the heading above it. It must end by itself, with success, silent on standard
error, and print what is listed here. docs_test.py compiles them strictly; this runs them.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import docs_test

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds until a program counts as hung: machines are busy

# What each prints, as a pattern: how far a clock has come is not the program's to say.
OUTPUT = {
    "Running": r"hello, world\n",
    "Spawn and await": r"499999500000\n",
    "Gather": r"(quick: cancelled\n)?slow: cancelled\n(quick: cancelled\n)?together: .+\n",
    "Groups": r"243 leaves\n",
    "Being a part of it": r"here: cancelled\ntogether: .+\n",
    "Members that get ready": r"it is counting\n",
    "Cancelling": r"\d ticks, then: cancelled\n",
    "Last words": r"",
    "Channels": r"338350\n",
    "A server": r"tcp://127\.0\.0\.1:\d+ answers: anybody there\?\n",
}


def heading_above(text, line):
    above = "\n".join(text.split("\n")[:line])
    return re.findall(r"^##+ (?:\d+\. )?(.+)$", above, re.M)[-1]


def say_hello_once(listener):
    """The other side of `Last words`: it hears its own line back, then goes."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"hello\n")
        connection.makefile("rb").readline()


def build(source, library, directory):
    program = pathlib.Path(directory) / "program"
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    subprocess.run([compiler, "-o", program, "-x", "c", "-", "-x", "none", "-I", ROOT / "include",
                    library, f"-Wl,-rpath,{library.parent}"], input=source, text=True, check=True)
    return program


def run(program, name):
    arguments = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if name == "Last words":
            arguments = [f"tcp://127.0.0.1:{listener.getsockname()[1]}"]
            threading.Thread(target=say_hello_once, args=(listener,), daemon=True).start()
        return subprocess.run([program, *arguments], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)


def main(library):
    text = (ROOT / "docs/tutorial.md").read_text()
    seen, errors = set(), []
    for line, source in docs_test.programs(text):
        name = heading_above(text, line)
        seen.add(name)
        with tempfile.TemporaryDirectory() as directory:
            done = run(build(source, library, directory), name)
        if done.returncode != 0 or done.stderr or not re.fullmatch(OUTPUT.get(name, "(?!)"),
                                                                    done.stdout):
            errors.append(f"docs/tutorial.md:{line}: {name}: ended with {done.returncode}, "
                          f"printed {done.stdout!r} {done.stderr!r}")
    errors += [f"docs/tutorial.md: no program under: {name}" for name in OUTPUT.keys() - seen]
    print("\n".join(errors) or f"{len(seen)} programs do what they say")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
