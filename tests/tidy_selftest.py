#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidy_selftest.py - every rule of tidy.py finds something bad and lets the good pass.

A rule that cannot fail proves nothing; one that cries at good code is switched off by people.
"""
import sys

import tidy

C = "/* SPDX-License-Identifier: MIT */\n/* {} - what it is for. */\n"
FIELDS = """\
 *   result      0
 *   waits       never
 *   threads     any
 *   since       0.1 */
"""


def c(path, body):
    return {path: C.format(path.rsplit("/", 1)[-1]) + body}


def function(lines, name="hk_x", before="", arguments="void"):
    body = "".join(f"{line}\n" for line in lines)
    return f"{before}int {name}({arguments})\n{{\n{body}}}\n"


RELEASE = "    hk_store_release(&x, 1); /* [a:b] release */"
ACQUIRE = "    hk_load_acquire(&x); /* [a:b] acquire */"
CMAKE = {"CMakeLists.txt": "hank_room(base a.c b.c)\n# not.c\n", "tests/CMakeLists.txt": ""}

# rule: things it must find.
BAD = {
    "layout": [
        c("runtime/base/a.c", "/* " + "x" * 100 + " */\n"),
        c("runtime/base/a.c", "int hk_x; \n"),
        c("runtime/base/a.c", "\tint hk_x;\n"),
        c("runtime/base/a.c", "int hk_x;"),
        c("runtime/base/a.c", "\n" * 500)],
    "function_length": [c("runtime/base/a.c", function(["    x();"] * 69))],
    "nesting": [
        c("runtime/base/a.c", function(["                if (x)", "                    y();"]))],
    "parameters": [
        c("runtime/base/a.c", function([], arguments="int a, int b, int c, int d,\nint e, int f"))],
    "opening": [
        {"runtime/base/a.c": "int hk_x;\n"},
        {"runtime/base/a.c": "/* SPDX-License-Identifier: MIT */\n/* b.c - another file. */\n"},
        {"runtime/fiber/a.S": "    ret\n"},
        {"tests/a.sh": "#!/bin/sh\n"},
        {"dev": "#!/bin/sh\n"}],
    "unfinished": [c("runtime/base/a.c", "/* TO" "DO */\n"), {"tests/a.py": "# FIX" "ME\n"}],
    "banned": [
        c("runtime/base/a.c", function(["    strcpy(a, b);"])),
        c("tests/base/a.c", function(["    n = atoi(text);"])),
        c("runtime/io/a.c", function(["    abort();"])),
        c("runtime/io/a.c", function(["    printf(text);"])),
        c("runtime/sched/a.h", "struct hk_x { _Atomic(int) n; };\n"),
        c("runtime/sched/a.c", function(["    atomic_fetch_add(&n, 1);"])),
        c("runtime/sched/a.c", function(["    __sync_synchronize();"])),
        c("runtime/io/a.c", function(["    free(p);"])),
        c("runtime/io/a.c", function(["    n = epoll_wait(fd, events, 1, 0);"])),
        c("runtime/io/a.c", function(["    if (read(fd, p, n) < 0)", "        x();"])),
        c("runtime/sched/a.c", function(["    pthread_create(&t, NULL, f, NULL);"])),
        c("runtime/io/a.c", function(["    return -errno;"])),
        c("tests/sched/a.c", function(["    pthread_cond_wait(&c, &m);"])),
        c("bench/a.c", function(["    p = alloca(n);"])),
        c("runtime/fiber/a.c", function(["    longjmp(b, 1);"])),
        c("runtime/sched/a.c", "static volatile int running;\n"),
        c("tests/sched/a_test.c", function(["    usleep(1000);"])),
        c("tests/sched/a_test.c", function(["    hk_os_sleep(1000);"]))],
    "layers": [
        c("runtime/base/a.c", '#include "sched/park.h"\n'),
        c("runtime/fiber/a.c", '#include "reactor/reactor.h"\n'),
        c("runtime/reactor/a.c", '#include <hank/task.h>\n'),
        c("runtime/base/a.c", '#include <hank.h>\n'),
        c("runtime/sched/a.c", '#include "io/fd.h"\n'),
        c("runtime/sync/a.c", '#include "sched/task.h"\n'),
        c("runtime/sync/a.c", '#include "sched/runtime.h"\n'),
        c("runtime/io/a.c", '#include "sched/worker.h"\n'),
        c("runtime/io/a.c", '#include "fd.h"\n'),
        c("runtime/io/a.c", '#include "io/fd.c"\n'),
        c("include/hank/a.h", '#include "base/list.h"\n')],
    "own_header_first": [c("runtime/base/a.c", '#include <stdio.h>\n#include "base/a.h"\n')],
    "names": [
        c("runtime/base/a.c", function([], name="helper")),
        c("runtime/base/a.c", function([], name="hk_helper", before="static ")),
        c("runtime/base/a.h", function([], name="helper", before="static inline ")),
        c("runtime/base/a.h", "#define MAX(a, b) 1\n"),
        c("include/hank/a.h", "#define HK_X 1\n"),
        c("runtime/base/a.h", "typedef struct hk_x {\n    int n;\n} hk_x_t;\n"),
        c("runtime/base/a.h", "typedef int hk_x_t;\n"),
        c("runtime/base/a.h", "struct hk_x_t {\n    int n;\n};\n")],
    "doc_comment": [
        c("runtime/base/a.h", "/* hk_x adds. */\nint hk_x(int n);\n"),
        c("include/hank/a.h", "/*\n * hank_x: adds. */\nHANK_API int hank_x(int n);\n")],
    "public_declaration": [
        c("include/hank/a.h", "\nHANK_API int hank_x(void);\n"),
        c("include/hank/a.h", "/* Add. */\nHANK_API int hank_x(void);\n"),
        c("include/hank/a.h", "/* Add.\n *\n" + FIELDS.replace("waits ", "words ")
          + "HANK_API int hank_x(void);\n"),
        c("include/hank/a.h", "/* Add.\n *\n *   waits       never\n" + FIELDS.replace("waits", "x")
          + "HANK_API int hank_x(void);\n")],
    "ordered_access": [
        c("runtime/base/a.c", function(["", "", "    hk_store_release(&x, 1);"])),
        c("runtime/base/a.c", function(["    /* says why */", "    a();", "    b();", "    c();",
                                        "    hk_cas_acqrel(&x, &y, 1);"]))],
    "memory_order_tags": [
        c("runtime/base/a.c", function([RELEASE])),
        c("runtime/base/a.c", function([RELEASE, "", "", "", "", RELEASE])),
        c("runtime/base/a.c", function([ACQUIRE, "", "", "", "", ACQUIRE])),
        c("runtime/base/a.c", function([RELEASE, "", "", "", "", "    /* [a:b] nothing */"]))],
    "include_cycles": [
        {**c("runtime/base/a.h", '#include "base/b.h"\n'),
         **c("runtime/base/b.h", '#include "base/a.h"\n')},
        {**c("runtime/base/a.h", '#include "base/b.h"\n'),
         **c("runtime/base/b.h", '#include "base/c.h"\n'),
         **c("runtime/base/c.h", '#include "base/b.h"\n')}],
    "listed": [{**CMAKE, **c("runtime/base/c.c", "")}, {**CMAKE, **c("runtime/base/not.c", "")},
               {**CMAKE, **c("tests/base/a_test.c", "")},
               {**CMAKE, "tests/a_test.sh": "# SPDX-License-Identifier: MIT\n"}],
}

# Things no rule may say anything about.
GOOD = [
    c("runtime/base/a.c", function(["    x();"] * 68)),
    c("runtime/base/a.c", function(["            while (x)", "                y();"])),
    c("runtime/sync/a.c", '#include <hank/sync.h>\n#include "sched/park.h"\n'),
    c("runtime/io/a.c", '#include "sched/runtime.h"\n\n#include <errno.h>\n'),
    c("runtime/io/a.c", function(['    hk_os_close(fd); /* not close(fd) */', '    say("exit(1)");',
                                  "    backend->close(r);", "    backend.open(r);"])),
    c("runtime/base/os.c", function(["    return read(fd, p, n) < 0 ? -errno : 0;"])),
    c("runtime/base/os_linux.c", function(["    return close(fd) < 0 ? -errno : 0;"])),
    c("runtime/reactor/a.c", function(["    epoll_open(r);"])),
    c("runtime/sched/a.c", "HK_ATOMIC(void *) *hk_x(void)\n{\n}\n"),
    c("runtime/fiber/a.h", "static inline __attribute__((naked)) void hk_x(void)\n{\n}\n"),
    c("runtime/base/error.c", "#include <hank/base.h>\n"),
    c("runtime/fiber/a.c", function(['    __asm__ volatile("nop");'])),
    c("runtime/base/a.c", function([RELEASE, "", "", "", "", ACQUIRE])),
    c("runtime/base/a.c", function(["    hk_store_relaxed(&x, 1);"])),
    c("runtime/base/a.c", function(["    helper();"], before="HK_COLD ")),
    c("runtime/base/a.h", "/* Add. hk_x is a sum. */\nint hk_x(int n);\nuint32_t hk_y(void);\n"),
    c("runtime/base/a.h", "typedef uint32_t hk_x;\nint hk_y(size_t n);\n"),
    c("include/hank/a.h", "/* Add.\n *\n *   n           a number\n" + FIELDS
      + "HANK_API int hank_x(int n);\nHANK_API HANK_MUST_USE int hank_y(int n,\n"
      + "                                         int m);\nHANK_API int hank_z(int n);\n"),
    {**CMAKE, **c("runtime/base/a.c", ""), **c("runtime/base/b.c", "")},
    {**c("runtime/base/a.h", '#include "base/b.h"\n'), **c("runtime/base/b.h", "")},
    {"tests/a.sh": "#!/bin/sh\n# SPDX-License-Identifier: MIT\n"},
]


def main():
    wrong = [f"no bad example for {name}" for name in tidy.RULES if not BAD.get(name)]
    for name, examples in BAD.items():
        for i, texts in enumerate(examples):
            if name not in {found for _, _, found, _ in tidy.check(texts)}:
                wrong.append(f"{name} does not find bad example {i}: {texts}")
    for texts in GOOD:
        wrong += [f"{name} cries at {path}:{n}: {said}: {texts}"
                  for path, n, name, said in tidy.check(texts)]
    print("\n".join(wrong) or f"{sum(map(len, BAD.values()))} bad examples found, "
          f"{len(GOOD)} good ones passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
