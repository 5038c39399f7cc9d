#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seam_test.py - every function of base/os.h has its simulated twin, or a refusal that is told.

A twin is defined in runtime/sim, or in base/os_local.c, which both libraries share. What the
simulated machine does not have is in runtime/sim/refused.c, and docs/simulation.md names it.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Declared for systems other than the one that is simulated.
FOREIGN = {"hk_os_kqueue", "hk_os_kevent_change", "hk_os_kevent_receipts", "hk_os_kevent_wait"}


def code(path):
    text = (ROOT / path).read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declared():
    return set(re.findall(r"\b(hk_os_\w+)\s*\(", code("runtime/base/os.h"))) - FOREIGN


def defined(path):
    return set(re.findall(r"^(?:HK_\w+ )*\w[\w ]*[ *]+(hk_os_\w+)\([^;{]*\)\s*\{", code(path),
                          re.M))


def main():
    sim = [str(p.relative_to(ROOT)) for p in sorted((ROOT / "runtime/sim").glob("*.c"))]
    refusals = defined("runtime/sim/refused.c")
    twins = defined("runtime/base/os_local.c").union(*(defined(p) for p in sim)) - refusals
    told = (ROOT / "docs/simulation.md").read_text()
    wrong = []
    for name in sorted(declared()):
        if name in refusals:
            print(f"refused    {name}")
            if name not in told:
                wrong.append(f"docs/simulation.md does not say that {name} is refused")
        elif name in twins:
            print(f"simulated  {name}")
        else:
            wrong.append(f"{name} is neither simulated nor refused")
    wrong += [f"runtime/sim defines {name}, which base/os.h does not declare"
              for name in sorted((twins | refusals) - declared())]
    for line in wrong:
        print("wrong:", line)
    return 1 if wrong or not twins else 0


if __name__ == "__main__":
    sys.exit(main())
