#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peers_test.py - hank's servers and the clients everybody has: redis-cli, curl, socat, wrk, ab.

    tests/peers_test.py DIRECTORY      DIRECTORY holds the built programs of docs/examples

A client that is not installed is an error: ./dev setup installs them all.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

PATIENCE = 60  # seconds until something counts as hung: sanitizers and busy machines are slow


class Failure(Exception):
    pass


def expect(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: expected {wanted!r}, got {got!r}")


def said(*command, given="", status=None):
    """What it printed; its exit status must be `status` unless that is None."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE)
    if status is not None:
        expect(done.returncode, status, f"exit status of {command[0]}, which said {done.stderr!r}")
    return done.stdout


def expect_line(pattern, text):
    if not re.search(f"^{pattern}$", text, re.MULTILINE):
        raise Failure(f"no line {pattern!r} in {text!r}")


class Server:
    """A program of docs/examples, on a free port or a path."""

    def __init__(self, directory, name, where):
        self.process = subprocess.Popen([directory / name, where, "2"], stdout=subprocess.PIPE,
                                        text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (\w+://(?:127\.0\.0\.1:(\d+)|(\S+)))\n", line)
        if not found:
            self.process.kill()
            raise Failure(f"{name} printed {line!r}")
        self.port, self.path = found[2], found[3]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        expect(status, 0, "exit status after SIGTERM")


TCP = "tcp://127.0.0.1:0"


def redis_cli_sets_and_gets(directory):
    with Server(directory, "resp_server", TCP) as server:
        cli = ("redis-cli", "-p", server.port)
        expect(said(*cli, "ping"), "PONG\n", "ping")
        expect(said(*cli, "set", "greeting", "hello, world"), "OK\n", "set")
        expect(said(*cli, "get", "greeting"), "hello, world\n", "get")
        expect(said(*cli, "get", "nothing"), "\n", "get nothing")
        expect(said(*cli, "set", "greeting", ""), "OK\n", "set empty")
        expect(said(*cli, "del", "greeting"), "1\n", "del")
        expect(said(*cli, "del", "greeting"), "0\n", "del again")
        expect(said(*cli, "nonsense")[:3], "ERR", "an unknown command")


def redis_cli_pipes_thousands_of_commands(directory):
    with Server(directory, "resp_server", TCP) as server:
        commands = "".join(f"SET key{i} {'x' * (i % 200 + 1)}\r\n" for i in range(5000))
        told = said("redis-cli", "-p", server.port, "--pipe", given=commands)
        if "errors: 0, replies: 5000" not in told:
            raise Failure(f"redis-cli --pipe said {told!r}")
        expect(said("redis-cli", "-p", server.port, "get", "key299"), "x" * 100 + "\n", "one")


def redis_cli_connects_to_a_unix_socket(directory):
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "resp")
        with Server(directory, "resp_server", f"unix://{path}"):
            expect(said("redis-cli", "-s", path, "echo", "by path"), "by path\n", "echo")
        expect(os.path.exists(path), False, "the socket's file after the end")


def redis_benchmark_finds_no_errors(directory):
    with Server(directory, "resp_server", TCP) as server:
        told = said("redis-benchmark", "-p", server.port, "-n", "2000", "-c", "50", "-P", "16",
                    "-t", "set,get", "-q", status=0)
        if told.count("requests per second") != 2:
            raise Failure(f"redis-benchmark said {told!r}")


def socat_speaks_lines_over_tcp_and_unix(directory):
    with Server(directory, "resp_server", TCP) as server:
        told = said("socat", "-t", "30", "-", f"TCP:127.0.0.1:{server.port}",
                    given="PING\nECHO word\nQUIT\n")
        expect(told, "+PONG\n$4\nword\n+OK\n", "over TCP")
    with Server(directory, "resp_server", "unix://@hank-peers") as server:
        told = said("socat", "-t", "30", "-", "ABSTRACT-CONNECT:hank-peers", given="PING\nQUIT\n")
        expect(told, "+PONG\n+OK\n", "over an abstract socket")


def a_malformed_request_is_answered_and_ends_the_connection(directory):
    with Server(directory, "resp_server", TCP) as server:
        for bad in ("*1000000\r\n", "*1\r\n$99999999\r\n", "*1\r\n+x\r\n", "*-1\r\n", "y" * 5000,
                    "*1\r\n$1\r\nabc"):
            told = said("socat", "-t", "30", "-", f"TCP:127.0.0.1:{server.port}", given=bad)
            if told not in ("-ERR Protocol error\n", ""):  # "": a reset took it along
                raise Failure(f"{bad[:20]!r} was answered {told!r}")
        expect(said("redis-cli", "-p", server.port, "ping"), "PONG\n", "afterwards")


def curl_reads_pages_and_keeps_the_connection(directory):
    with Server(directory, "http_server", TCP) as server:
        url = f"http://127.0.0.1:{server.port}/"
        told = said("curl", "-s", "-w", "%{http_code} %{num_connects}\n", url, url)
        expect(told, "Hello, World!\n200 1\nHello, World!\n200 0\n", "twice")
        told = said("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", "x" * 1000, url)
        expect(told, "405", "POST")


def wrk_storms_a_server_that_errs_nowhere(directory):
    with Server(directory, "http_server", TCP) as server:
        told = said("wrk", "-t2", "-c200", "-d2s", "--timeout", "30s",
                    f"http://127.0.0.1:{server.port}/", status=0)
        expect_line(r" +[1-9]\d* requests in .*", told)
        if "Socket errors" in told or "Non-2xx" in told:
            raise Failure(f"wrk said {told!r}")


def ab_is_answered(server, requests, *how):
    told = said("ab", "-q", "-s", "30", "-n", str(requests), "-c", "100", *how,
                f"http://127.0.0.1:{server.port}/", status=0)
    expect_line(rf"Complete requests: +{requests}", told)
    expect_line(r"Failed requests: +0", told)
    if "Non-2xx" in told:
        raise Failure(f"ab said {told!r}")
    return told


def ab_storms_over_kept_connections_and_over_new_ones(directory):
    with Server(directory, "http_server", TCP) as server:
        expect_line(r"Keep-Alive requests: +10000", ab_is_answered(server, 10000, "-k"))
        ab_is_answered(server, 3000)


TESTS = [redis_cli_sets_and_gets, redis_cli_pipes_thousands_of_commands,
         redis_cli_connects_to_a_unix_socket, redis_benchmark_finds_no_errors,
         socat_speaks_lines_over_tcp_and_unix,
         a_malformed_request_is_answered_and_ends_the_connection,
         curl_reads_pages_and_keeps_the_connection, wrk_storms_a_server_that_errs_nowhere,
         ab_storms_over_kept_connections_and_over_new_ones]


def run(check, directory):
    try:
        check(directory)
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        print(f"FAILED {check.__name__}: {failure}", flush=True)
        return 1
    print(f"ok     {check.__name__}", flush=True)
    return 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for program in ("redis-cli", "redis-benchmark", "curl", "socat", "wrk", "ab"):
        if not shutil.which(program):
            sys.exit(f"peers_test.py needs {program}: run ./dev setup")
    failed = sum(run(check, pathlib.Path(sys.argv[1]).resolve()) for check in TESTS)
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
