#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidy.py - the rules of the house that a machine can check; docs/style.md says why.

    tests/tidy.py [DIRECTORY]      prints `file:line: rule: what is wrong`; exits 1 if anything is

The tables come first. A rule is a function that yields (line, message) about one file, or
(path, line, message) about all files. tidy_selftest.py shows each of them something bad.
"""
import pathlib
import re
import sys

# --- tables --------------------------------------------------------------------------------------

# Room: the rooms it may include, <hank/...>?, single headers of other rooms.
LAYERS = {
    "base": ({"base"}, False, {"hank/base.h"}),
    "fiber": ({"base", "fiber"}, False, set()),
    "reactor": ({"base", "reactor"}, False, set()),
    "sched": ({"base", "fiber", "reactor", "sched"}, True, set()),
    "sync": ({"base", "sync"}, True, {"sched/park.h", "sched/scope.h"}),
    "io": ({"base", "reactor", "sync", "io"}, True,
           {"sched/park.h", "sched/scope.h", "sched/runtime.h"}),
    "tls": ({"tls"}, True, {"base/atomic.h"}),
    # Implements base/os.h over a simulated machine, and which worker is near whom.
    "sim": ({"base", "fiber", "sim"}, True, {"sched/topology.h"}),
}

CALLBACKS = {"on_alpn", "on_ticket", "receive"}  # their shape is another library's

LINE_MAX, FUNCTION_MAX, FILE_MAX, NESTING_MAX, PARAMETERS_MAX = 100, 70, 500, 3, 5

# What is banned, under which paths, except in which, and why.
BANNED = [
    (r"(?:strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|signal|usleep)\s*\(",
     r"runtime/|tests/|bench/\w+\.c|docs/", r"$^", "has a safe sibling"),
    (r"(?:exit|_exit|abort|assert)\s*\(", r"runtime/", r"runtime/base/check\.c|runtime/sim/host\.c",
     "hank never ends the process but through hk_panic"),
    (r"(?:f?printf|puts|perror|fputs)\s*\(", r"runtime/", r"$^", "hank prints nothing"),
    (r"(?:atomic_\w+|__atomic_\w+|__sync_\w+|memory_order_\w+|_Atomic\b)", r"runtime/|tests/",
     r"runtime/base/atomic\.h|tests/model/", "shared words go through base/atomic.h"),
    (r"(?:malloc|calloc|realloc|free|posix_memalign|aligned_alloc|strdup)\s*\(", r"runtime/",
     r"runtime/base/alloc\.c", "memory comes from base/alloc.h"),
    (r"(?:read|write|readv|writev|open|openat|close|pipe2?|fcntl|ioctl|poll|ppoll|select|dup[23]?|"
     r"socket|socketpair|bind|listen|accept4?|connect|recv|recvmsg|send|sendmsg|shutdown|"
     r"[gs]etsockopt|get(?:sock|peer)name|(?:get|free)addrinfo|getnameinfo|eventfd|kqueue|kevent|"
     r"epoll_(?:create1?|ctl|p?wait2?)|mmap|munmap|mprotect|madvise|syscall|sysconf|getpid|fork|"
     r"execve?|waitpid|kill|clock_gettime|nanosleep|sched_yield|sigaction|sigprocmask|sigaltstack|"
     r"getentropy|pthread_(?!self|key_|once|[gs]etspecific)\w+)\s*\(",
     r"runtime/", r"runtime/base/os\w*\.[ch]|runtime/sim/host\.c",
     "system calls go through base/os.h"),
    (r"errno\b(?!\.h)", r"runtime/", r"runtime/base/os\w*\.[ch]|runtime/sim/host\.c",
     "a task may resume on another thread; base/os.c alone reads it"),
    (r"pthread_cond_\w+", r"", r"$^", "glibc 2.36 can lose its wake-ups; use a futex"),
    (r"alloca\s*\(", r"", r"$^", "stacks are small"),
    (r"(?:setjmp|longjmp|siglongjmp|sigsetjmp)\b", r"runtime/", r"$^",
     "jumps across stacks are refused by hardened libraries"),
    (r"volatile\b", r"runtime/", r"$^", "it orders nothing; use base/atomic.h"),
    (r"(?:sleep|nanosleep|thrd_sleep|hk_os_sleep)\s*\(", r"tests/(?!stress|support|model)", r"$^",
     "wait for an event, not for time"),
]

# Fields of a public function's comment, in this order.
PUBLIC_FIELDS = ["result", "waits", "threads", "since"]

RELEASING = r"hk_(?:store|swap|add|sub|or|and|cas)_(?:release|acqrel|seqcst)"
ACQUIRING = r"hk_(?:load|swap|add|sub|or|and|cas)_(?:acquire|acqrel|seqcst)"
TAG = re.compile(r"\[([a-z_]+:[a-z_]+)\]")
TAG_REACH = 3  # lines from the end of a comment to the access it is about

# A file of that pattern must be named in that list: CMake is told every file by name.
LISTED = [(r"runtime/\w+/\w+\.[cS]", "CMakeLists.txt", "{name}"),
          (r"include/.+\.h", "CMakeLists.txt", "{path}"),
          (r"tests/\w+/\w+_(?:test|fuzz|model)\.c", "tests/CMakeLists.txt", "{short}"),
          (r"tests/(?:stress|canary)/\w+\.c(?:pp)?", "tests/CMakeLists.txt", "{stem}"),
          (r"tests/\w+_\w*test\.\w+", "tests/CMakeLists.txt", "CMAKE_CURRENT_SOURCE_DIR}}/{name}"),
          (r"docs/examples/\w+\.c", "docs/examples/CMakeLists.txt", "{stem}")]

INSIDE = r"\.(?:[chS]|cpp|py|sh)$|(?:^|/)(?:dev|run|CMakeLists\.txt)$"
OUTSIDE = r"build/|\.git/|bench/peers/"  # peers: other people's languages and style
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")

# --- what a file looks like to a rule ------------------------------------------------------------

TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
SIGNATURE = re.compile(r"\b(?!HK_|__attribute__)(\w+)\s*\(([^;{}]*)\)\s*"
                       r"(?:HK_\w+(?:\([^)]*\))?\s*)*$", re.S)


class File:
    """Its lines as they are, its code without comments and strings, its functions."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.name = path.rsplit("/", 1)[-1]
        self.lines, self.is_c = text.splitlines(), path.endswith((".c", ".cpp", ".h"))
        self.room = path.split("/")[1] if re.match(r"runtime/\w+/", path) else None
        self.code, self.comments = [], []
        if self.is_c or path.endswith(".S"):
            spaces = TOKENS.sub(lambda token: re.sub(r"[^\n]", " ", token[0]), text)
            self.code = spaces.splitlines()
            self.comments = [(text.count("\n", 0, m.start()) + 1, m[0])
                             for m in TOKENS.finditer(text) if m[0].startswith("/")]
        self.includes = [(n, m[1]) for n, line in enumerate(self.lines, 1) if self.is_c
                         for m in [re.match(r'\s*#\s*include\s+([<"][^>"]+)', line)] if m]

    def functions(self):
        """(name, signature, first line, line of the brace, last line) of each definition."""
        if not self.is_c:
            return
        start = None
        for n, line in enumerate(self.code, 1):
            if line.rstrip() == "{":
                start = n
            elif line.startswith("}") and start:
                first = start - 1
                while first > 1 and re.match(r"\s*[^\s#};]", self.code[first - 2]) and \
                        not self.code[first - 2].rstrip().endswith((";", "}", "\\")):
                    first -= 1
                signature = "\n".join(self.code[first - 1:start - 1])
                found = SIGNATURE.search(signature)
                if found:
                    yield found[1], signature, found[2], first, start, n
                start = None

    def comment_ending_at(self, line):
        """The text of the comment whose last line is `line`, or None."""
        return next((t for first, t in self.comments if first + t.count("\n") == line), None)


RULES = {}


def rule(function):
    RULES[function.__name__] = function
    return function


# --- rules about one file ------------------------------------------------------------------------

@rule
def layout(file):
    if len(file.lines) > FILE_MAX:
        yield FILE_MAX, f"{len(file.lines)} lines, {FILE_MAX} at most"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no newline at the end"
    for n, line in enumerate(file.lines, 1):
        if len(line) > LINE_MAX:
            yield n, f"{len(line)} columns, {LINE_MAX} at most"
        if line != line.rstrip() or (file.is_c and "\t" in line):
            yield n, "a tab, or a space at the end"


@rule
def function_length(file):
    for name, _, _, _, start, end in file.functions():
        if end - start + 1 > FUNCTION_MAX:
            yield start, f"{name} has {end - start + 1} lines, {FUNCTION_MAX} at most"


@rule
def nesting(file):
    for name, _, _, _, start, end in file.functions():
        for n in range(start, end):
            keyword = re.match(r"( +)(?:if|for|while|do|switch)\b", file.code[n - 1])
            depth = len(keyword[1]) / 4 if keyword else 0
            if depth > NESTING_MAX and depth.is_integer():
                yield n, f"{name} nests {depth:.0f} deep, {NESTING_MAX} at most"


@rule
def parameters(file):
    if not file.path.startswith(("runtime/", "include/")):
        return
    for name, _, arguments, first, _, _ in file.functions():
        if arguments.count(",") + 1 > PARAMETERS_MAX and name not in CALLBACKS:
            yield first, f"{name} takes {arguments.count(',') + 1}; past {PARAMETERS_MAX}, a struct"


@rule
def opening(file):
    if file.path.endswith((".py", ".sh")) or file.name in ("dev", "run"):
        if not any("SPDX-License-Identifier: MIT" in line for line in file.lines[:3]):
            yield 1, "the first lines name no licence"
    elif file.is_c or file.path.endswith(".S"):
        if file.lines[:1] != ["/* SPDX-License-Identifier: MIT */"]:
            yield 1, "the first line is not the licence"
        elif not file.lines[1:2] or not file.lines[1].startswith(f"/* {file.name} - "):
            yield 2, f"does not begin with what it is for: /* {file.name} - ..."


@rule
def unfinished(file):
    for n, line in enumerate(file.lines, 1):
        if UNFINISHED.search(line):
            yield n, "nothing here is left for later: it is an issue, or it is done"


@rule
def banned(file):
    for pattern, where, but, why in BANNED:
        if not re.match(where, file.path) or re.match(but, file.path):
            continue
        for n, line in enumerate(file.code, 1):
            if re.match(r"\s*#\s*include", line):
                continue
            for found in re.finditer(rf"(?<![\w.>])(?<!asm )(?<!__ )(?:{pattern})", line):
                yield n, f"{found[0].rstrip(' (')}: {why}"


@rule
def layers(file):
    if file.path.startswith("include/"):
        for n, name in file.includes:
            if name.startswith('"'):
                yield n, f"a public header includes {name[1:]}: only <hank/...> and libc"
    if file.room not in LAYERS:
        return
    rooms, hank, singles = LAYERS[file.room]
    for n, name in file.includes:
        quoted, name = name[0] == '"', name[1:]
        room = name.split("/")[0]
        if name.endswith(".c"):
            yield n, "a .c file is compiled, not included"
        elif quoted and "/" not in name:
            yield n, f"{name} does not show its room"
        elif room in LAYERS and room not in rooms and name not in singles:
            yield n, f"{file.room}/ may not include {name}"
        elif room in ("hank", "hank.h") and not hank and name not in singles:
            yield n, f"{file.room}/ may not include <{name}>"


@rule
def own_header_first(file):
    own = file.path[len("runtime/"):-2] + ".h"
    names = [name[1:] for _, name in file.includes]
    if file.room and file.path.endswith(".c") and own in names and names[0] != own:
        yield file.includes[0][0], f"{own} comes first, so that it is known to stand alone"


@rule
def names(file):
    if not file.path.startswith(("runtime/", "include/")):
        return
    private = file.path.startswith("runtime/")
    for name, signature, _, first, _, _ in file.functions():
        ours = re.match(r"hk_|hank_", name)
        if "static" in signature and file.path.endswith(".c") and ours:
            yield first, f"{name} is static: no prefix"
        elif not ours and ("static" not in signature or file.path.endswith(".h")):
            yield first, f"{name} is shared: hk_ or hank_"
    for n, line in enumerate(file.code, 1):
        macro = re.match(r"\s*#\s*define\s+(\w+)", line)
        allowed = r"hk_|HK_|hank_|HANK_" if private else r"hank_|HANK_"
        if macro and file.path.endswith(".h") and not re.match(allowed, macro[1]):
            yield n, f"macro {macro[1]} in a header has no prefix of ours"
        kind = re.search(r"\b(?:struct|union|enum)\s+(\w+_t)\s*\{|^}\s*(\w+_t)\s*;"
                         r"|\btypedef\b.*\b(\w+_t)\s*;", line)
        if kind:
            yield n, f"{next(filter(None, kind.groups()))}: names in _t belong to POSIX"


@rule
def doc_comment(file):
    """A comment above a function may not begin by repeating its name."""
    for n, line in enumerate(file.code, 1):
        declared = re.match(r"(?:[A-Za-z_][\w ]*[ *]+)(\w+)\s*\(", line)
        comment = declared and file.comment_ending_at(n - 1)
        if comment and re.match(rf"/\*+[\s*]*{declared[1]}\b", comment):
            yield n - 1, f"the comment begins with {declared[1]}, which is said already"


@rule
def public_declaration(file):
    if not re.match(r"include/hank(\.h$|/)", file.path):
        return
    for n, line in enumerate(file.code, 1):
        if not re.match(r"HANK_API\b.*\(", line):
            continue
        above = n - 1  # several declarations in a row share a comment
        while above and file.code[above - 1].strip():
            above -= 1
        comment = file.comment_ending_at(above)
        if comment is None:
            yield n, "a public function without its comment"
            continue
        found = re.findall(r"^ \*   (\w+)\s{2,}|^ \*   (waits) never", comment, re.M)
        fields = [a or b for a, b in found if (a or b) in PUBLIC_FIELDS]
        if fields != PUBLIC_FIELDS:
            missing = [f for f in PUBLIC_FIELDS if f not in fields]
            yield n, f"lacks {', '.join(missing)}" if missing else "fields out of order"


@rule
def ordered_access(file):
    if not file.path.startswith("runtime/") or file.name == "atomic.h":
        return
    spoken = {start + i for start, text in file.comments for i in range(text.count("\n") + 1)}
    for n, line in enumerate(file.code, 1):
        access = re.search(rf"\b(?:{RELEASING}|{ACQUIRING})\b", line)
        if access and not spoken & set(range(n - TAG_REACH, n + 1)):
            yield n, f"{access[0]} does not say what it orders"


# --- rules about the tree ------------------------------------------------------------------------

@rule
def memory_order_tags(files):
    """A tag joins a release to its acquire: both must be there."""
    sites = {}
    for file in files.values():
        if not file.path.startswith("runtime/"):
            continue
        for start, text in file.comments:
            end = start + text.count("\n")
            code = "\n".join(file.code[start - 1:end + TAG_REACH])
            for tag in TAG.findall(text):
                sites.setdefault(tag, []).append((file.path, start, code))
    for tag, found in sorted(sites.items()):
        releases, acquires = ({i for i, site in enumerate(found) if re.search(rf"\b{p}\b", site[2])}
                              for p in (RELEASING, ACQUIRING))
        path, line, _ = found[0]
        if len(found) < 2:
            yield path, line, f"[{tag}] is there once: whom does it pair with?"
        elif not releases:
            yield path, line, f"[{tag}] has no releasing access within {TAG_REACH} lines"
        elif not acquires or len(releases | acquires) < 2:
            yield path, line, f"[{tag}] has no acquiring access within {TAG_REACH} lines"


@rule
def include_cycles(files):
    graph = {}
    for file in files.values():
        if file.room and file.path.endswith(".h"):
            graph[file.path] = [(n, "runtime/" + name[1:]) for n, name in file.includes
                                if name.startswith('"')]
    done = set()

    def visit(path, trail):
        if path in done or path not in graph:
            return
        for n, name in graph[path]:
            if name in trail + [path]:
                circle = (trail + [path])[(trail + [path]).index(name):] + [name]
                yield path, n, "a circle: " + " -> ".join(circle)
            else:
                yield from visit(name, trail + [path])
        done.add(path)

    for path in sorted(graph):
        yield from visit(path, [])


@rule
def listed(files):
    for path in sorted(files):
        for pattern, build, form in LISTED:
            if not re.fullmatch(pattern, path) or build not in files:
                continue
            name = path.rsplit("/", 1)[-1]
            stem = name.rsplit(".", 1)[0]
            wanted = form.format(path=path, name=name, stem=stem,
                                 short=re.sub("_(test|fuzz|model)$", "", stem))
            text = re.sub(r"#.*", "", files[build].text)
            if not re.search(rf"(?<![\w./]){re.escape(wanted)}(?![\w.])", text):
                yield path, 1, f"{build} does not name it"


# --- the run -------------------------------------------------------------------------------------

def check(texts):  # {path: text}
    files = {path: File(path, text) for path, text in texts.items()}
    findings = set()
    for name, function in RULES.items():
        if "files" in function.__code__.co_varnames[:1]:
            findings |= {(path, n, name, said) for path, n, said in function(files)}
            continue
        for file in files.values():
            findings |= {(file.path, n, name, said) for n, said in function(file)}
    return sorted(findings)


def read_tree(root):
    texts = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not re.match(OUTSIDE, name) and re.search(INSIDE, name):
            texts[name] = path.read_text(errors="replace")
    return texts


def main(arguments):
    root = pathlib.Path(arguments[0] if arguments else __file__).resolve()
    texts = read_tree(root if arguments else root.parent.parent)
    findings = check(texts)
    for path, line, name, said in findings:
        print(f"{path}:{line}: {name}: {said}")
    print(f"tidy: {len(texts)} files, {len(RULES)} rules, {len(findings)} findings")
    return 1 if findings or not texts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
