#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples_test.py - the programs of docs/examples do what they say.

    tests/examples_test.py DIRECTORY [TEST ...]      DIRECTORY holds the built programs

Each short program must end by itself, with success, having printed exactly what is listed here.
http_server is then spoken to as good, odd and hostile clients would. A test is a function; its
name is the sentence it checks.
"""
import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import sys

PATIENCE = 60  # seconds until something counts as hung: sanitizers and busy machines are slow

OUTPUT = {
    "hello": "hello, world\n",
    "download": "49 + 49 + 49 bytes\n",
    "echo_server": "10 clients: all heard their echo\n",
    "pool": "sum of squares: 338350\n",
    "last_words": "together: timed out\nanswer: cancelled\nanswer: cancelled\n"
                  "again: task handle was used up before\ngoodbyes: both were heard\n",
}

HELLO = b"Hello, World!\n"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Failure(Exception):
    pass


def expect(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: expected {wanted!r}, got {got!r}")


# --- the short programs --------------------------------------------------------------------------

def check_output(directory, name):
    done = subprocess.run([directory / name], capture_output=True, text=True, timeout=PATIENCE)
    expect(done.stderr, "", f"{name} wrote to standard error")
    expect(done.stdout, OUTPUT[name], f"{name} printed")
    expect(done.returncode, 0, f"{name} ended with")


# --- a client that keeps count of what it has read -----------------------------------------------

class Client:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        self.held += data
        return bool(data)

    def response(self, head=False):
        """(status, fields, body) of the next response."""
        while b"\r\n\r\n" not in self.held:
            if not self.more():
                raise Failure(f"closed in a response that began {self.held!r}")
        top, self.held = self.held.split(b"\r\n\r\n", 1)
        status, *lines = top.decode().split("\r\n")
        fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        size = 0 if head else int(fields["content-length"])
        while len(self.held) < size:
            if not self.more():
                raise Failure("closed in a body")
        body, self.held = self.held[:size], self.held[size:]
        return int(status.split()[1]), fields, body

    def expect_closed(self):
        with contextlib.suppress(ConnectionResetError):
            while self.more():
                pass
        expect(self.held, b"", "after the last response")


class Server:
    """http_server with 2 workers on a free port."""

    def __init__(self, directory, patience="60"):
        self.process = subprocess.Popen(
            [directory / "http_server", "tcp://127.0.0.1:0", "2", patience],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on tcp://127\.0\.0\.1:(\d+)\n", line)
        if not found:
            self.process.kill()
            raise Failure(f"http_server printed {line!r}")
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def ask(self, request, head=False):
        client = Client(self)
        client.send(request)
        return client, client.response(head)

    def refuses(self, request, status):
        """The answer is `status`, says it is the last, and is the last."""
        client, (got, fields, _) = self.ask(request)
        expect(got, status, f"status for {request[:40]!r}")
        expect(fields.get("connection"), "close", "connection")
        client.socket.shutdown(socket.SHUT_WR)
        client.expect_closed()


# --- http_server ---------------------------------------------------------------------------------

def get_answers_a_fixed_body_and_keeps_the_connection(server):
    client, first = server.ask(GET)
    expect(first, (200, {"content-type": "text/plain", "content-length": "14"}, HELLO), "first")
    client.send(GET)
    expect(client.response(), first, "second")


def pipelined_requests_are_answered_in_order(server):
    client = Client(server)
    client.send((GET + b"GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n") * 100)
    for _ in range(100):
        expect(client.response()[0], 200, "GET /")
        expect(client.response()[0], 404, "GET /nowhere")


def a_pipelined_request_body_is_skipped(server):
    client = Client(server)
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabcde" + GET)
    status, fields, _ = client.response()
    expect((status, fields["allow"]), (405, "GET, HEAD"), "POST")
    expect(client.response()[2], HELLO, "what follows the body")


def a_chunked_request_body_is_skipped(server):
    client = Client(server)
    client.send(b"PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n0\r\n\r\n" + GET)
    expect(client.response()[0], 405, "PUT")
    expect(client.response()[2], HELLO, "what follows the body")


def a_request_may_come_byte_by_byte(server):
    client = Client(server)
    for byte in GET + GET:
        client.send(bytes([byte]))
    expect(client.response()[2], HELLO, "first")
    expect(client.response()[2], HELLO, "second")


def fanout_gathers_its_parts(server):
    _, (status, _, body) = server.ask(b"GET /fanout HTTP/1.1\r\nHost: test\r\n\r\n")
    expect((status, body), (200, b"primes by thousands: 168 135 127\n"), "GET /fanout")


def an_unknown_page_is_404_and_keeps_the_connection(server):
    client, (status, fields, _) = server.ask(b"GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n")
    expect((status, "connection" in fields), (404, False), "GET /nowhere")
    client.send(GET)
    expect(client.response()[0], 200, "afterwards")


def head_has_the_length_but_not_the_body(server):
    client, (status, fields, _) = server.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", head=True)
    expect((status, fields["content-length"]), (200, "14"), "HEAD /")
    client.send(GET)
    expect(client.response()[2], HELLO, "afterwards")


def connection_close_is_obeyed(server):
    server.refuses(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200)


def http_1_0_is_answered_and_closed(server):
    server.refuses(b"GET / HTTP/1.0\r\n\r\n", 200)


def http_1_0_is_kept_if_it_asks_and_is_told_so(server):
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    client, (_, fields, _) = server.ask(request)
    expect(fields.get("connection"), "keep-alive", "connection")
    client.send(request)
    expect(client.response()[2], HELLO, "afterwards")


def an_upgrade_ends_the_connection(server):
    server.refuses(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET, 200)
    server.refuses(b"CONNECT test:1 HTTP/1.1\r\n\r\n" + GET, 405)


def bad_input_is_400(server):
    for bad in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / FTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        server.refuses(bad, 400)


def requests_before_the_bad_one_are_answered(server):
    client = Client(server)
    client.send(GET + b"nonsense\r\n\r\n")
    expect(client.response()[0], 200, "the good one")
    expect(client.response()[0], 400, "the bad one")


def a_refusal_after_head_has_its_body(server):
    client, _ = server.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", head=True)
    client.send(b"nonsense\r\n\r\n")
    expect(client.response()[::2], (400, b"Not like this.\n"), "the refusal")


def a_long_path_is_414(server):
    server.refuses(b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 414)


def long_headers_are_431(server):
    for method, size, status in ((b"GET", 8192, 200), (b"POST", 8192, 405), (b"GET", 8193, 431),
                                 (b"POST", 8193, 431), (b"GET", 20000, 431)):
        top = method + b" / HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\nX: "
        server.refuses(top + b"x" * (size - len(top) - 4) + b"\r\n\r\nabc", status)


def long_trailers_and_chunk_sizes_are_431(server):
    top = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.refuses(top + b"0\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431)
    server.refuses(top + b"3;x=" + b"x" * 9000 + b"\r\nabc\r\n0\r\n\r\n", 431)


def a_large_body_is_413_before_it_is_sent(server):
    server.refuses(b"POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413)


def a_large_chunked_body_is_413(server):
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    server.refuses(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 3, 413)


def a_body_may_be_64_KiB(server):
    for size, status in ((65536, 405), (65537, 413)):
        top = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        server.refuses(top + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n", status)
    top = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 65536\r\n\r\n"
    server.refuses(top + b"x" * 65536, 405)


def many_clients_at_once_are_served(server):
    clients = [Client(server) for _ in range(100)]
    for client in clients:
        client.send(GET)
    for client in clients:
        expect(client.response()[2], HELLO, "one of a hundred")


# --- http_server, with a server to themselves ----------------------------------------------------

def a_slow_client_gets_408_and_an_idle_one_nothing(directory):
    with Server(directory, patience="0.2") as server:
        idle, slow = Client(server), Client(server)
        slow.send(GET[:-2])
        expect(slow.response()[0], 408, "a request that never ends")
        slow.socket.shutdown(socket.SHUT_WR)
        slow.expect_closed()
        idle.expect_closed()


def a_client_cannot_buy_time_with_single_bytes(directory):
    with Server(directory, patience="0.5") as server:
        client = Client(server)
        client.socket.settimeout(0.1)
        client.send(b"GET / HTTP/1.1\r\n")
        for _ in range(100):
            client.send(b"X: y\r\n")
            with contextlib.suppress(TimeoutError):
                client.more()
                break
        client.socket.settimeout(PATIENCE)
        expect(client.response()[0], 408, "a request that goes on for ever")


def a_signal_ends_it_with_success(directory):
    for signo in (signal.SIGINT, signal.SIGTERM):
        with Server(directory) as server:
            client, _ = server.ask(GET)
            server.process.send_signal(signo)
            client.expect_closed()
            expect(server.process.wait(PATIENCE), 0, f"exit status after {signo.name}")


def a_request_in_progress_is_answered_before_the_end(directory):
    with Server(directory) as server:
        client = Client(server)
        client.send(b"GET /fanout HTTP/1.1\r\nHost: test\r\n\r\n" * 20)
        expect(client.response()[0], 200, "the first of twenty")
        server.process.send_signal(signal.SIGTERM)
        for _ in range(19):
            expect(client.response()[0], 200, "one of the rest")
        client.expect_closed()
        expect(server.process.wait(PATIENCE), 0, "exit status")


SHARED = [get_answers_a_fixed_body_and_keeps_the_connection,
          pipelined_requests_are_answered_in_order, a_pipelined_request_body_is_skipped,
          a_chunked_request_body_is_skipped, a_request_may_come_byte_by_byte,
          fanout_gathers_its_parts, an_unknown_page_is_404_and_keeps_the_connection,
          head_has_the_length_but_not_the_body, connection_close_is_obeyed,
          http_1_0_is_answered_and_closed, http_1_0_is_kept_if_it_asks_and_is_told_so,
          an_upgrade_ends_the_connection, bad_input_is_400,
          requests_before_the_bad_one_are_answered, a_refusal_after_head_has_its_body,
          a_long_path_is_414, long_headers_are_431, long_trailers_and_chunk_sizes_are_431,
          a_large_body_is_413_before_it_is_sent, a_large_chunked_body_is_413,
          a_body_may_be_64_KiB, many_clients_at_once_are_served]
ALONE = [a_slow_client_gets_408_and_an_idle_one_nothing, a_client_cannot_buy_time_with_single_bytes,
         a_signal_ends_it_with_success, a_request_in_progress_is_answered_before_the_end]


def run(name, check):
    try:
        check()
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        print(f"FAILED {name}: {failure}", flush=True)
        return 1
    print(f"ok     {name}", flush=True)
    return 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1]).resolve()
    tests = [(name, lambda n=name: check_output(directory, n)) for name in OUTPUT]
    with Server(directory) as server:
        tests += [(t.__name__, lambda t=t: t(server)) for t in SHARED]
        tests += [(t.__name__, lambda t=t: t(directory)) for t in ALONE]
        chosen = [t for t in tests if not sys.argv[2:] or t[0] in sys.argv[2:]]
        failed = sum(run(*t) for t in chosen)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(failed > 0 or not chosen)


if __name__ == "__main__":
    main()
