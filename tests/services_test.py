#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""services_test.py - hank and the programs of others: OpenSSL, curl, nginx, PostgreSQL, Redis.

    tests/services_test.py DIRECTORY [TEST ...]      DIRECTORY holds the built examples

Each server is started here, on 127.0.0.1 and a free port, with certificates made on the spot, and
ended by its process. What is not installed, or was not built, is skipped and said so. A test is a
function; its name is the sentence it checks.
"""
import contextlib
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds until something counts as hung


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def need(*programs):
    for program in programs:
        if not (shutil.which(program) or os.path.exists(program)):
            raise Skip(f"{program} is not there")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*command, text=None):
    return subprocess.run([str(c) for c in command], input=text, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)


@contextlib.contextmanager
def running(*command, port=None, stop=signal.SIGTERM, **more):
    """A server; ready when something answers on its port."""
    more.setdefault("stdout", subprocess.DEVNULL)
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, **more)
    try:
        deadline = time.monotonic() + PATIENCE
        while port:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{command[0]} did not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Place:
    """The built programs, and a directory with certificates that goes away."""

    def __init__(self, programs, directory):
        self.programs, self.directory = programs, directory
        if not shutil.which("openssl"):
            return
        self.authority("ca")
        self.certificate("good", "ca", "DNS:localhost,IP:127.0.0.1")
        self.certificate("other", "ca", "DNS:other.test")
        self.certificate("self", None, "DNS:localhost,IP:127.0.0.1")

    def program(self, name):
        path = self.programs / name
        if not path.exists():
            raise Skip(f"{name} was not built")
        return path

    def file(self, name):
        return self.directory / name

    def openssl(self, *arguments):
        done = run("openssl", *arguments)
        expect(done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}")

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout",
                     self.file(f"{name}.key"), "-out", self.file(f"{name}.crt"))

    def certificate(self, name, by, names):
        signer = ["-CA", self.file(f"{by}.crt"), "-CAkey", self.file(f"{by}.key")] if by else []
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-days", "2", "-subj", f"/CN=hank {name}", "-addext",
                     f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
                     *signer, "-keyout", self.file(f"{name}.key"),
                     "-out", self.file(f"{name}.crt"))
        pem = self.file(f"{name}.crt").read_text() + self.file(f"{name}.key").read_text()
        self.file(f"{name}.pem").write_text(pem)


@contextlib.contextmanager
def our_server(place):
    """https_server; its port."""
    program = place.program("https_server")
    with running(program, place.file("good.pem"), stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        found = re.fullmatch(r"listening on tls://127\.0\.0\.1:(\d+)\n", line)
        expect(found, f"https_server printed {line!r}")
        yield int(found[1])
        process.send_signal(signal.SIGTERM)
        expect(process.wait(PATIENCE) == 0, "https_server did not end well")
        process.stdout.close()


@contextlib.contextmanager
def openssl_server(place, certificate, *more):
    need("openssl")
    port = free_port()
    with running("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                 place.file(f"{certificate}.pem"), "-www", "-quiet", *more, port=port):
        yield port


def get(place, port, *more):
    return run(place.program("https_get"), f"tls://127.0.0.1:{port}", place.file("ca.crt"), *more)


def refused(place, port, words, *more):
    done = get(place, port, *more)
    expect((done.returncode, done.stderr) == (1, words + "\n"), f"https_get said {done.stderr!r}")


# --- TLS: our server -----------------------------------------------------------------------------

def curl_is_served(place):
    need("curl")
    with our_server(place) as port:
        for _ in range(3):
            done = run("curl", "--silent", "--show-error", "--cacert", place.file("ca.crt"),
                       f"https://localhost:{port}/")
            expect(done.stdout == "hello\n", f"curl: {done.stdout!r} {done.stderr!r}")


def curl_that_does_not_trust_us_is_no_harm(place):
    need("curl")
    with our_server(place) as port:
        for _ in range(3):
            done = run("curl", "--silent", f"https://localhost:{port}/")
            expect(done.returncode == 60, f"curl ended with {done.returncode}")
        done = run("curl", "--silent", "--cacert", place.file("ca.crt"),
                   f"https://localhost:{port}/")
        expect(done.stdout == "hello\n", "the next one was not served")


def ask_by_openssl(place, port, *more, text="GET / HTTP/1.0\n\n"):
    need("openssl")
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
               place.file("ca.crt"), "-verify_return_error", "-ign_eof", *more, text=text)


def openssl_is_served_with_both_versions(place):
    with our_server(place) as port:
        for version in "-tls1_2", "-tls1_3":
            done = ask_by_openssl(place, port, version)
            expect("hello" in done.stdout, f"{version}: {done.stdout} {done.stderr}")


def openssl_with_an_old_version_is_refused(place):
    with our_server(place) as port:
        done = ask_by_openssl(place, port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        expect("hello" not in done.stdout, "TLS 1.1 was served")
        expect("protocol version" in done.stderr, f"it was told {done.stderr!r}")


def openssl_agrees_on_a_protocol_or_on_nothing(place):
    with our_server(place) as port:
        done = ask_by_openssl(place, port, "-alpn", "h2,http/1.1")
        expect("ALPN protocol: http/1.1" in done.stdout, done.stdout)
        done = ask_by_openssl(place, port, "-alpn", "ftp")
        expect("no application protocol" in done.stderr, f"it was told {done.stderr!r}")


def openssl_takes_up_a_session_again(place):
    with our_server(place) as port:
        kept = place.file("session")
        done = ask_by_openssl(place, port, "-tls1_2", "-sess_out", kept)
        expect("New, TLSv1.2" in done.stdout, done.stdout)
        done = ask_by_openssl(place, port, "-tls1_2", "-sess_in", kept)
        expect("Reused, TLSv1.2" in done.stdout, done.stdout)


def openssl_cannot_negotiate_anew(place):
    with our_server(place) as port:
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
                   place.file("ca.crt"), "-tls1_2", text="R\n")
        expect("hello" not in done.stdout, "it was served")
        expect(re.search("renegotiation|alert|error", done.stderr, re.I), done.stderr)
        expect("hello" in ask_by_openssl(place, port).stdout, "the next one was not served")


def noise_is_no_harm(place):
    with our_server(place) as port:
        for noise in (b"", b"\x16", b"GET / HTTP/1.0\r\n\r\n",
                      b"\x16\x03\x01\xff\xff" + b"x" * 70000):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
                with contextlib.suppress(OSError):
                    s.sendall(noise)
        expect("hello" in ask_by_openssl(place, port).stdout, "the next one was not served")


# --- TLS: our client -----------------------------------------------------------------------------

def an_openssl_server_is_understood(place):
    for version in "-tls1_2", "-tls1_3":
        with openssl_server(place, "good", version) as port:
            done = get(place, port)
            expect("HTTP/1.0 200 ok" in done.stdout, f"{version}: {done.stdout!r} {done.stderr!r}")


def an_openssl_server_for_another_host_is_refused(place):
    with openssl_server(place, "other") as port:
        refused(place, port, "certificate is for another host")


def an_openssl_server_that_signed_itself_is_refused(place):
    with openssl_server(place, "self") as port:
        refused(place, port, "certificate is self-signed")


def an_old_openssl_server_is_refused(place):
    with openssl_server(place, "good", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0") as port:
        refused(place, port, "TLS: no protocol version that both allow")


def nginx_is_understood(place):
    need("nginx")
    port = free_port()
    page = place.directory / "html"
    page.mkdir()
    (page / "index.html").write_text("from nginx\n" * 20000)
    place.file("nginx.conf").write_text(f"""
        daemon off; pid {place.file('nginx.pid')}; error_log {place.file('nginx.log')};
        events {{ }}
        http {{
            access_log off; client_body_temp_path {place.directory}; proxy_temp_path {page};
            fastcgi_temp_path {page}; uwsgi_temp_path {page}; scgi_temp_path {page};
            server {{
                listen 127.0.0.1:{port} ssl; root {page};
                ssl_certificate {place.file('good.crt')};
                ssl_certificate_key {place.file('good.key')};
            }}
        }}""")
    place.directory.chmod(0o755)
    with running("nginx", "-p", place.directory, "-c", place.file("nginx.conf"), port=port):
        done = get(place, port)
        expect(done.stdout.count("from nginx\n") == 20000, f"{done.stdout[:200]!r} {done.stderr!r}")


# --- descriptors of others -----------------------------------------------------------------------

def libcurl_fetches_from_nginx(place):
    need("nginx")
    program = place.program("curl_multi")
    port = free_port()
    page = place.directory / "plain"
    page.mkdir()
    (page / "index.html").write_text("x" * 100000)
    place.file("plain.conf").write_text(f"""
        daemon off; pid {place.file('plain.pid')}; error_log {place.file('plain.log')};
        events {{ }}
        http {{
            access_log off; client_body_temp_path {page}; proxy_temp_path {page};
            fastcgi_temp_path {page}; uwsgi_temp_path {page}; scgi_temp_path {page};
            server {{ listen 127.0.0.1:{port}; root {page}; }}
        }}""")
    place.directory.chmod(0o755)
    with running("nginx", "-p", place.directory, "-c", place.file("plain.conf"), port=port):
        done = run(program, f"http://127.0.0.1:{port}/")
        expect(done.stdout == "10 times 100000 bytes\n", f"{done.stdout!r} {done.stderr!r}")
        done = run(program, f"http://127.0.0.1:{port}/nowhere")
        expect(done.returncode == 1, "a page that is not there was fetched")


def hiredis_counts_in_redis(place):
    need("redis-server")
    program = place.program("redis")
    port = free_port()
    with running("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                 "--dir", place.directory, port=port):
        done = run(program, "127.0.0.1", port)
        expect(done.stdout == "counted to 1000\n", f"{done.stdout!r} {done.stderr!r}")


def libpq_asks_postgresql(place):
    program = place.program("postgres")
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise Skip("PostgreSQL is not there")
    binaries, data, port = pathlib.Path(found[-1]).parent, place.directory / "pg", free_port()
    account = {}
    if os.getuid() == 0:  # which PostgreSQL refuses to run as
        try:
            user = pwd.getpwnam("postgres")
        except KeyError as missing:
            raise Skip("there is no user postgres") from missing
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        place.directory.chmod(0o755)
        data.mkdir(mode=0o700)
        os.chown(data, user.pw_uid, user.pw_gid)
    done = subprocess.run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "hank", "-N"],
                          capture_output=True, text=True, timeout=PATIENCE, cwd="/", check=False,
                          **account)
    expect(done.returncode == 0, f"initdb: {done.stderr}")
    with running(binaries / "postgres", "-D", data, "-p", port, "-k", "", "-F", "-c",
                 "listen_addresses=127.0.0.1", port=port, stop=signal.SIGINT, cwd="/", **account):
        where = f"host=127.0.0.1 port={port} dbname=postgres user=hank sslmode=disable " \
                "gssencmode=disable"
        deadline = time.monotonic() + PATIENCE
        done = run(program, where)
        while "starting up" in done.stderr and time.monotonic() < deadline:
            time.sleep(0.1)
            done = run(program, where)
        expect(done.stdout == "sum of squares: 385\n", f"{done.stdout!r} {done.stderr!r}")


TESTS = [curl_is_served, curl_that_does_not_trust_us_is_no_harm,
         openssl_is_served_with_both_versions, openssl_with_an_old_version_is_refused,
         openssl_agrees_on_a_protocol_or_on_nothing, openssl_takes_up_a_session_again,
         openssl_cannot_negotiate_anew, noise_is_no_harm, an_openssl_server_is_understood,
         an_openssl_server_for_another_host_is_refused,
         an_openssl_server_that_signed_itself_is_refused, an_old_openssl_server_is_refused,
         nginx_is_understood, libcurl_fetches_from_nginx, hiredis_counts_in_redis,
         libpq_asks_postgresql]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    os.environ["PATH"] += ":/usr/sbin"  # nginx
    programs = pathlib.Path(sys.argv[1]).resolve()
    chosen = [t for t in TESTS if not sys.argv[2:] or t.__name__ in sys.argv[2:]]
    failed = skipped = 0
    for test in chosen:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            try:
                test(Place(programs, pathlib.Path(directory)))
                print(f"ok      {test.__name__}", flush=True)
            except Skip as why:
                skipped += 1
                print(f"skipped {test.__name__}: {why}", flush=True)
            except (Failure, OSError, subprocess.TimeoutExpired) as failure:
                failed += 1
                print(f"FAILED  {test.__name__}: {failure}", flush=True)
    print(f"{len(chosen) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0 or not chosen)


if __name__ == "__main__":
    main()
