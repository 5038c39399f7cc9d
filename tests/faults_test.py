#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""faults_test.py - every call of the system that can fail can be made to fail, and is.

Each function of base/os.h that returns a result asks hk_fault_check before it makes its call, or
is listed here with the reason why not; each function is seen to fail by a test of its own; and each
kind of fault is walked by a test over a whole program.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Functions that no plan can fail, and why that hides nothing.
EXEMPT = {
    "hk_os_unmap": "fails only for ranges that were never mapped",
    "hk_os_resident": "asked by tests and statistics; a page it does not know counts as absent",
    "hk_os_page_bytes": "a constant",
    "hk_os_thread_join": "fails only for a thread that is not ours to join",
    "hk_os_thread_detach": "fails only for a thread that is not ours to detach",
    "hk_os_thread_self": "cannot fail",
    "hk_os_thread_pin": "pinning is advice: its result is not used",
    "hk_os_thread_stack": "without it overflow reports lack bounds of plain threads",
    "hk_os_signal_stack": "fails only for a stack that is too small",
    "hk_os_signal_stack_min": "a constant",
    "hk_os_signal_raise": "before the process ends anyway",
    "hk_os_signal_action": "fails only for signals that cannot be caught",
    "hk_os_thread_signal": "fails only for a signal that does not exist",
    "hk_os_signal_place": "no call",
    "hk_os_signal_mask": "fails only for an unknown way",
    "hk_os_futex_wake": "fails only for an address that is not mapped",
    "hk_os_now": "cannot fail",
    "hk_os_thread_key": "fails only when a process has a thousand keys; then a panic says so",
    "hk_os_thread_set": "fails only without memory for the first key of a thread",
    "hk_os_environment": "no call",
    "hk_os_trusted_environment": "no call",
    "hk_os_thread_start_quietly": "fails as hk_os_thread_start does, which it calls",
    "hk_os_signal_send": "is to a child of ours that has not been reaped",
    "hk_os_reap": "is of a child of ours: fails only where SIGCHLD is ignored, and then it is gone",
    "hk_os_error_text": "no call",
    "hk_os_describe_code": "no call: where the loader knows no name the address is what there is",
    "hk_os_thread_is_main": "cannot fail",
    "hk_os_process_id": "cannot fail",
    "hk_os_has_positions": "fails only for a file that has none",
    "hk_os_at_fork": "fails only without memory, at the first start of a process",
    "hk_os_random": "falls back to the clock",
}
# Of these, the ones that have nothing to fail with: the others are seen to fail all the same.
UNFAILING = re.compile("no call|a constant|cannot fail")
# Functions without a result, or with one that is always the same.
UNSEEN = {
    "hk_os_freeaddrinfo": "gives memory back",
    "hk_os_sleep": "waking early is harmless to every caller",
    "hk_os_dir_close": "gives it back, and was only read from",
    "hk_os_uring_close": "gives what is shared with the kernel back",
    "hk_os_uring_stat": "no call",
    "hk_os_at_fork": "fails only without memory, at the first start of a process",
}
# Kinds that a Linux build never asks for.
ELSEWHERE = {"HK_FAULT_NONE", "HK_FAULT_KINDS", "HK_FAULT_KQUEUE", "HK_FAULT_KEVENT"}


def bodies(text):
    """(name, body) of each function that is not static."""
    for found in re.finditer(r"^(?!static)[a-z][^\n;{]*?\b(hk_os_\w+)\([^;{]*?\)\n\{\n(.*?)^\}",
                             text, re.M | re.S):
        yield found[1], found[2]


def walked_kinds():
    """The argument of a walk over a program, or a row of the table that one goes through."""
    walks = re.compile(r"(?:walk\w*\([^;]*?\b|^ +\{\"[a-z ]+\", )(HK_FAULT_[A-Z_]+)", re.M)
    tests = [*(ROOT / "tests").glob("*/*_test.c"), ROOT / "tests/api/fault_support.h"]
    return {kind for path in tests
            if path.parent.name != "base" for kind in walks.findall(path.read_text())}


def main():
    wrong = []
    seen = set()
    for path in sorted((ROOT / "runtime/base").glob("os*.c")):
        for name, body in bodies(path.read_text()):
            seen.add(name)
            returns = re.search(r"^\s*return\b(?!;)", body, re.M)
            asks = re.search(r"hk_fault_check|SYS(?:_RETRY|_SHORT|_MOVE)?(?:_AT)?\(|"
                             r"return hk_os_\w+\(|return -ENOSYS;", body)
            if returns and not asks and name not in EXEMPT:
                wrong.append(f"{path.name}: {name} can fail and no plan can make it")
    wrong += [f"{name} is exempt and is no function of os.c"
              for name in (EXEMPT.keys() | UNSEEN.keys()) - seen]
    tested = set(re.findall(r"hk_os_\w+(?=\()", (ROOT / "tests/base/os_fault_test.c").read_text()))
    unfailing = {name for name, why in EXEMPT.items() if UNFAILING.match(why)} | UNSEEN.keys()
    wrong += [f"{name} is seen to fail by no test" for name in sorted(seen - tested - unfailing)]
    kinds = set(re.findall(r"\bHK_FAULT_[A-Z_]+", (ROOT / "runtime/base/fault.h").read_text()))
    walked = walked_kinds()
    wrong += [f"{kind} is walked by no test" for kind in sorted(kinds - walked - ELSEWHERE)]
    print("\n".join(wrong) or f"{len(seen)} functions, {len(walked)} kinds of faults: all walked")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
