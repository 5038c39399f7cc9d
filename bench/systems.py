# SPDX-License-Identifier: MIT
"""systems.py - hank and its peers: how each is built, started, measured and ended.

Peers are small programs in bench/peers, built here with what the distribution has installed; one
whose tools or headers are missing is named and left out. Cargo gets no network: its crates are
those that Debian's librust-*-dev packages put in a directory.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
HANK = ROOT / "build/release"
OUT = ROOT / "build/bench"
PEERS = OUT / "peers"
CRATES = pathlib.Path("/usr/share/cargo/registry")

C = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-pthread"]
CXX = ["c++", "-std=c++17", "-O2", "-pthread"]
FLOOR = "peers/floor/server.c"
PYTHON = "/usr/bin/python3"


def use_build(directory):
    """Another build of hank than the release preset's; what is built here goes there, too."""
    global HANK, OUT, PEERS
    HANK, OUT = directory.resolve(), directory.resolve() / "bench_peers"
    PEERS = OUT / "peers"
    for peer in PEERS_BY_NAME.values():
        peer.binary = PEERS / peer.name


# --- building ------------------------------------------------------------------------------------

class Peer:
    """needs: a tool on the PATH, a header, "crate:NAME" or "python:MODULE". steps(output): commands
    to run. threads: how many it can use; None is as many as asked."""

    def __init__(self, name, needs, sources, steps, threads=None):
        self.name, self.needs, self.steps, self.threads = name, needs, steps, threads
        self.sources = [BENCH / s for s in sources]
        self.binary = PEERS / name

    def missing(self):
        for need in self.needs:
            if need.startswith("crate:"):
                found = any(CRATES.glob(need[6:] + "-[0-9]*"))
            elif need.startswith("python:"):
                found = shutil.which(PYTHON) and not subprocess.run(
                    [PYTHON, "-c", f"import {need[7:]}"], stderr=subprocess.DEVNULL).returncode
            elif need.endswith((".h", ".hpp")):
                found = any((pathlib.Path(d) / need).exists()
                            for d in ("/usr/include", "/usr/local/include"))
            else:
                found = tool(need)
            if not found:
                return need
        return None

    def stale(self):
        files = [f for s in self.sources for f in ([s] if s.is_file() else s.rglob("*"))]
        newest = max((f.stat().st_mtime for f in files), default=0)
        return not self.binary.exists() or self.binary.stat().st_mtime < newest

    def build(self):
        """None, or why there is no such peer."""
        need = self.missing()
        if need:
            return f"{need} is not installed"
        if self.stale():
            PEERS.mkdir(parents=True, exist_ok=True)
            print(f"building the peer {self.name}", flush=True)
            for command, directory in self.steps(self):
                done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, text=True,
                                      stderr=subprocess.STDOUT, env=build_environment())
                if done.returncode:
                    return "it does not build: " + done.stdout.strip()[-600:]
            os.utime(self.binary)
        return None


class Installed(Peer):
    """One that is a program of its own, with nothing to build."""

    def __init__(self, name):
        super().__init__(name, [name], [], None)

    def stale(self):
        return False


def tool(name):
    """Where a program is; those of a system's administrator are not always on the PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def build_environment():
    return dict(os.environ, CARGO_TARGET_DIR=str(PEERS / "cargo"),
                GOPROXY="off", GOCACHE=str(PEERS / "gocache"))


def compiled(name, needs, compiler, sources, libraries=(), threads=None):
    def steps(peer):
        objects = [str(s) for s in peer.sources if s.suffix in (".c", ".cc")]
        return [([*compiler, *objects, "-o", str(peer.binary), *libraries], BENCH)]
    return Peer(name, [compiler[0], *needs], sources, steps, threads)


def go_peer():
    return Peer("go", ["go"], ["peers/go"],
                lambda peer: [(["go", "build", "-o", str(peer.binary), "."], BENCH / "peers/go")])


def crate(name):
    """Built from a copy, because Cargo writes its lock file beside the sources."""
    def steps(peer):
        copy = PEERS / "crates" / name
        shutil.copytree(BENCH / "peers" / name, copy, dirs_exist_ok=True)
        offline = ["--config", 'source.crates-io.replace-with="debian"',
                   "--config", f'source.debian.directory="{CRATES}"']
        built = PEERS / "cargo/release" / f"{name}_peer"
        return [(["cargo", "build", "--release", "--offline", *offline], copy),
                (["cp", str(built), str(peer.binary)], BENCH)]
    return Peer(name, ["cargo", f"crate:{name}"], [f"peers/{name}"], steps)


def python_peer(name, module):
    """A loop is one thread, and the distribution's interpreter has the distribution's modules."""
    source = "peers/python/asyncio_peer.py"
    return Peer(name, [f"python:{module}"], [source],
                lambda peer: [(["install", "-m", "755", source, str(peer.binary)], BENCH)], 1)


def boost_peer():
    """The echo server shares the sockets of the floor, which are C."""
    def steps(peer):
        floor = str(PEERS / "server.o")
        sources = [str(s) for s in peer.sources if s.suffix == ".cc"]
        return [([*C, "-c", str(BENCH / FLOOR), "-o", floor], BENCH),
                ([*CXX, *sources, floor, "-o", str(peer.binary), "-l:libboost_fiber.a",
                  "-l:libboost_context.a"], BENCH)]
    return Peer("boost", ["c++", "boost/fiber/all.hpp"],
                ["peers/boost/boost_peer.cc", "peers/boost/boost_echo.cc", "peers/peer.h"], steps)


PEERS_BY_NAME = {peer.name: peer for peer in [
    compiled("load", [], C, ["load.c", "histogram.h"]),
    compiled("epoll", [], C, ["peers/floor/epoll_server.c", FLOOR, "peers/floor/server.h"]),
    compiled("epoll-parser", ["http_parser.h"], [*C, "-DPARSE=1"],
             ["peers/floor/epoll_server.c", FLOOR, "peers/floor/server.h"], ["-lhttp_parser"]),
    compiled("io_uring", ["liburing.h"], C, ["peers/floor/uring_server.c", FLOOR], ["-luring"]),
    compiled("bare", [], C, ["peers/floor/tasks.c"], threads=1),
    compiled("eventfd", [], C, ["peers/floor/wake.c"]),
    compiled("futex", [], C, ["peers/floor/pingpong.c"]),
    compiled("pages", [], C, ["peers/floor/pages.c"]),
    compiled("libuv", ["uv.h"], [*C, f"-I{BENCH}/peers/floor"], ["peers/uv/uv_server.c", FLOOR],
             ["-l:libuv_a.a"]),
    compiled("tbb", ["oneapi/tbb/task_group.h"], CXX, ["peers/tbb/tbb_peer.cc", "peers/peer.h"],
             ["-ltbb"]),
    compiled("libgomp", [], [*C, "-fopenmp"], ["peers/openmp/omp_peer.c"]),
    compiled("libomp", ["clang"], ["clang", *C[1:], "-fopenmp"], ["peers/openmp/omp_peer.c"]),
    boost_peer(),
    go_peer(),
    crate("tokio"),
    crate("hyper"),
    crate("rayon"),
    python_peer("asyncio", "asyncio"),
    python_peer("uvloop", "uvloop"),
    Installed("nginx"),
]}


def build(names):
    """The peers among `names` that can be run; the others are named on the way."""
    usable = []
    for name in names:
        why = PEERS_BY_NAME[name].build()
        if why:
            print(f"without {name}: {why}", flush=True)
        else:
            usable.append(name)
    return usable


# --- running -------------------------------------------------------------------------------------

def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpus():
    return sorted(os.sched_getaffinity(0))


def cpu_seconds(pid):
    """CPU time of another process, all its threads, to the nanosecond: its CPU clock's id is a
    function of its pid."""
    return time.clock_gettime((~pid << 3) | 2)


def prepared(cpu=None):
    """What a child does before it becomes its program: it ends with us, whatever ends us."""
    die_with_parent = 1  # PR_SET_PDEATHSIG
    libc, parent = ctypes.CDLL(None), os.getpid()

    def prepare():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        libc.prctl(die_with_parent, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
    return prepare


def with_children(pid):
    """Of a server that is several processes: their ids, its own first."""
    pids = [pid]
    for p in pids:
        with contextlib.suppress(OSError):
            for children in pathlib.Path(f"/proc/{p}/task").glob("*/children"):
                pids += [int(child) for child in children.read_text().split()]
    return pids


class Server:
    """A server that has said where it listens; ended, by its pid, when the block is left."""

    def __init__(self, command, pinned=False):
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True,
                                        preexec_fn=prepared(cpus()[0] if pinned else None))
        self.pid = self.process.pid
        try:
            self.port = self.announced()
        except BaseException:
            self.__exit__()
            raise
        self.pids = with_children(self.pid)

    def announced(self):
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)$", line.strip())
        if not found:
            raise RuntimeError(f"{self.process.args[0]}: {line.strip() or self.complaint()}")
        return int(found[1])

    def complaint(self):
        self.log.seek(0)
        return self.log.read().strip()

    def end(self):
        pids = with_children(self.pid) if self.process.poll() is None else []
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.log.close()

    def cpu(self):
        return sum(map(cpu_seconds, self.pids))


NGINX = """daemon off; worker_processes {workers}; pid {at}/pid; worker_rlimit_nofile 20000; {user}
events {{ worker_connections 10000; multi_accept on; use epoll; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; default_type text/plain;
  tcp_nodelay on; client_body_temp_path {at}/1; proxy_temp_path {at}/2; fastcgi_temp_path {at}/3;
  uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{ return 200 "Hello, World!\\n"; }}
  }}
}}
"""


class Nginx(Server):
    """nginx answering from its configuration, which is written for it: it cannot choose a port."""

    def __init__(self, workers, pinned=False):
        self.directory = tempfile.TemporaryDirectory(prefix="hank-bench-")
        at, self.chosen = self.directory.name, free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = pathlib.Path(at) / "nginx.conf"
        configuration.write_text(NGINX.format(workers=workers, at=at, port=self.chosen, user=user))
        super().__init__([tool("nginx"), "-e", "stderr", "-p", at, "-c", configuration], pinned)

    def announced(self):
        give_up = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.chosen), 1).close()
                return self.chosen
            time.sleep(0.01)
        raise RuntimeError(f"nginx: {self.complaint()[-300:]}")

    def __exit__(self, *_):
        super().__exit__()
        self.directory.cleanup()


def free_port():
    """One that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


# hank itself, by the reactor it is told to use, and its programs, by the kind of server asked for.
REACTORS = {"hank": "auto", "hank-uring": "uring"}
PROGRAMS = {"echo": ["server", "echo"], "http": ["http_server"], "http_least": ["server", "http"]}


def speaks_http(kind):
    return kind != "echo"


def server(system, kind, workers, pinned=False):
    """A running server of that system."""
    if system == "nginx":
        return Nginx(workers, pinned)
    return Server(server_command(system, kind, workers), pinned)


def server_command(system, kind, workers):
    if system not in REACTORS:
        protocol = "http" if speaks_http(kind) else "echo"
        return [PEERS_BY_NAME[system].binary, protocol, 0, workers]
    program, *what = PROGRAMS[kind]
    return ["env", f"HANK_REACTOR={REACTORS[system]}", HANK / "bench" / program, *what,
            "tcp://127.0.0.1:0", workers]


WRK_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


def wrk(server, connections, seconds, pinned):
    """Requests a second, p50 and p99 in us, and the server's CPU us a request."""
    before = server.cpu()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s",
         f"http://127.0.0.1:{server.port}/"],
        capture_output=True, text=True, timeout=seconds + 30,
        preexec_fn=prepared(cpus()[-1] if pinned else None))
    used = server.cpu() - before
    out = done.stdout

    def latency(share):
        value, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", out).groups()
        return float(value) * WRK_UNITS[unit]
    requests = int(re.search(r"(\d+) requests in", out)[1])
    trouble = re.search(r"Socket errors: (.*)|Non-2xx.*: (\d+)", out)
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "cpu_us": used * 1e6 / max(requests, 1), "p50": latency(50), "p99": latency(99),
            "errors": trouble[0] if trouble else 0}


def resident_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def idle_connections(server, wanted):
    """(bytes of the server a connection, how many): so many that have sent one message and then
    nothing, or as many as this process may open."""
    spare = 100
    n = min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - spare)
    if n < wanted:
        print(f"only {n} connections: RLIMIT_NOFILE cannot be raised", flush=True)
    before = sum(map(resident_bytes, server.pids))
    command = [PEERS_BY_NAME["load"].binary, "-p", server.port, "-i", "-c", n]
    holder = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        if holder.stdout.readline().strip() != "ready":
            raise RuntimeError("load: the connections could not be opened")
        return (sum(map(resident_bytes, server.pids)) - before) / n, n
    finally:
        holder.stdin.close()
        holder.wait(30)
        holder.stdout.close()


def load(server, options):
    """The figures of one run of the load generator, as a dictionary."""
    pids = ",".join(map(str, server.pids))
    command = [PEERS_BY_NAME["load"].binary, "-p", server.port, "-s", pids, *options]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"load: {done.stderr.strip() or done.stdout.strip()}")
    return {k: float(v) for k, v in (pair.split("=") for pair in done.stdout.split())}
