#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""demo.py - the HTTP server of docs/examples answers, and under load beside a bare epoll server.

    bench/demo.py [SECONDS]     how long each load lasts (3); a minute in all

Both servers have one worker; wrk has one thread. With two CPUs each side has its own. CPU time a
request is the steadiest figure on a machine that others use too: it does not count waiting.
"""
import shutil
import socket
import statistics
import sys

import systems

LOADS = [64, 1000]
TURNS = 2
SYSTEMS = ["epoll", "hank"]


def exchange(port, path):
    """Show one request and its answer as they are on the wire."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(request.encode())
        while chunk := s.recv(4096):
            answer += chunk
    for line in request.split("\r\n")[:1]:
        print(f"  > {line}")
    for line in answer.decode().strip().splitlines():
        print(f"  < {line}".rstrip())
    print()


def show(server):
    print(f"docs/examples/http_server.c listens on 127.0.0.1:{server.port}, a task a connection.\n"
          "A page, and one that gathers three computing tasks and a sleeping one:\n")
    exchange(server.port, "/")
    exchange(server.port, "/fanout")


def measure(servers, connections, seconds, pinned):
    """{system: [what wrk saw, ...]}, in turns."""
    seen = {system: [] for system in servers}
    for turn in range(TURNS):
        for system in SYSTEMS if turn % 2 == 0 else SYSTEMS[::-1]:
            systems.wrk(servers[system], connections, 1, pinned)  # warms up
            seen[system].append(systems.wrk(servers[system], connections, seconds, pinned))
    return seen


def median(samples, key):
    return statistics.median(s[key] for s in samples)


def print_rows(connections, seen):
    for system in SYSTEMS:
        s = seen[system]
        name = "bare epoll" if system == "epoll" else system
        print(f"  {connections:>11}  {name:<10} {median(s, 'rate'):>12,.0f} "
              f"{median(s, 'p50'):>9,.0f} {median(s, 'p99'):>9,.0f} {median(s, 'cpu_us'):>15.2f}")
    ratios = [median(seen["hank"], k) / median(seen["epoll"], k)
              for k in ("rate", "p50", "p99", "cpu_us")]
    print(f"  {'':>11}  {'hank/epoll':<10} {ratios[0]:>12.2f} {ratios[1]:>9.2f} {ratios[2]:>9.2f} "
          f"{ratios[3]:>15.2f}\n", flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    systems.raise_descriptor_limit()
    pinned = len(systems.cpus()) > 1
    if not systems.build(["epoll"]):
        return 1
    with systems.Server(systems.server_command("hank", "http", 1), pinned) as hank, \
            systems.Server(systems.server_command("epoll", "http", 1), pinned) as epoll:
        show(hank)
        if not shutil.which("wrk"):
            print("wrk is not installed (Debian: wrk): no figures today.")
            return 0
        servers = {"hank": hank, "epoll": epoll}
        print(f"wrk -t1, {TURNS} turns of {seconds} s each; "
              f"{'server and wrk on a CPU each' if pinned else 'all on one CPU'}:\n")
        print(f"  {'connections':>11}  {'server':<10} {'requests/s':>12} {'p50 us':>9} "
              f"{'p99 us':>9} {'CPU us/request':>15}")
        for connections in LOADS:
            print_rows(connections, measure(servers, connections, seconds, pinned))
    print("The ratio of CPU us/request is the one to trust; ./dev bench http has more systems.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
