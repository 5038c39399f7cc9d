#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""selftest.py - the harness itself, on systems that are made up and clocks that are set by hand.

    bench/selftest.py      one line a test; 1 if one fails
"""
import contextlib
import io
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import report
import run
import systems
from questions import BENCHES, Question


class Fake:
    """Systems with scripted answers: {system: [value, ...]}, and so many seconds each."""

    floor, aside, also, share, ours = None, (), {}, 1, ["hank"]

    def __init__(self, values, seconds=0.0, floor=None):
        self.values = {s: list(v) for s, v in values.items()}
        self.seconds, self.floor, self.order = seconds, floor, []

    def sample(self, name, system, case, is_quick=False):
        self.order.append(system)
        value = self.values[system].pop(0)
        if value is None:
            raise RuntimeError("made to fail")
        time.sleep(self.seconds)
        return {"value": value, "unit": "ns", "also": {}}


def measured(fake, turns):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        samples, failed = run.measure(fake, "made_up", {"workers": 1}, list(fake.values), turns)
    return samples, failed, said.getvalue()


def systems_take_turns_and_every_second_turn_runs_backwards():
    fake = Fake({"hank": [1] * 3, "a": [1] * 3, "b": [1] * 3})
    measured(fake, run.Turns(exactly=3))
    assert fake.order == ["hank", "a", "b", "b", "a", "hank", "hank", "a", "b"], fake.order


def median_least_greatest_and_all_rounds_are_kept():
    fake = Fake({"hank": [5.0, 1.0, 3.0], "a": [2.0, 2.0, 2.0]})
    samples, _, _ = measured(fake, run.Turns(exactly=3))
    records = {r["system"]: r for r in run.results("made_up", fake, {"workers": 1}, samples)}
    mine = records["hank"]
    assert (mine["median"], mine["min"], mine["max"]) == (3.0, 1.0, 5.0), mine
    assert mine["rounds"] == [5.0, 1.0, 3.0]
    assert (mine["ratio"], mine["ratio_to"]) == (1.5, "a"), mine
    assert json.loads(json.dumps(mine)) == mine, "a line of JSON"


def a_ratio_to_a_floor_is_taken_turn_by_turn():
    """The machine halves its speed in the second turn: ratios do not notice."""
    fake = Fake({"hank": [12.0, 24.0, 12.0], "epoll": [10.0, 20.0, 10.0]}, floor="epoll")
    samples, _, _ = measured(fake, run.Turns(exactly=3))
    records = {r["system"]: r for r in run.results("made_up", fake, {"workers": 1}, samples)}
    assert records["hank"]["ratio"] == 1.2 and records["epoll"]["ratio"] == 1.0, records


def who_answers_another_question_is_not_the_best():
    fake = Fake({"hank": [10.0], "inline": [1.0], "a": [5.0]})
    fake.aside = ("inline",)
    samples, _, _ = measured(fake, run.Turns(exactly=1))
    records = {r["system"]: r for r in run.results("made_up", fake, {"workers": 1}, samples)}
    assert records["hank"]["ratio_to"] == "a" and records["hank"]["ratio"] == 2.0, records
    assert "no task" in run.doubts(records["inline"])


def doubtful_rows_say_so():
    row = {"median": 10, "min": 9, "max": 11, "rounds": [9, 10, 11], "foreign": 0.0}
    assert run.doubts(row) == []
    assert run.doubts({**row, "max": 14}) == ["wide spread"]
    assert run.doubts({**row, "foreign": 0.5}) == ["disturbed"]
    assert run.doubts({**row, "rounds": [10]}) == ["one turn"]


def a_cpu_that_another_process_uses_disturbs():
    """Ours do not count, wherever they run: they have been waited for."""
    burn = [sys.executable, "-c", "import time\nwhile time.thread_time() < 0.5: pass"]

    class Burns(Fake):
        def sample(self, name, system, case, is_quick=False):
            if system == "hank":
                subprocess.run(burn, check=True)
            else:
                time.sleep(0.7)
            return {"value": 1.0, "unit": "ns", "also": {}}
    before_busy, before_own = run.busy_seconds(), run.own_seconds()
    run.sample(Burns({}), "made_up", "hank", {}, False)
    assert run.own_seconds() - before_own > 0.45
    other = subprocess.Popen(burn)
    seen = run.sample(Burns({}), "made_up", "a", {}, False)
    other.wait()
    assert run.busy_seconds() - before_busy > 0.9
    assert seen["foreign"] > 0.1, seen


def turns_fit_the_time_there_is():
    quick = Fake({"hank": [1.0] * 9, "a": [1.0] * 9})
    samples, _, _ = measured(quick, run.Turns(seconds=60))
    assert len(samples["hank"]) == run.TURNS
    slow = Fake({"hank": [1.0] * 9, "a": [1.0] * 9}, seconds=0.05)
    samples, _, _ = measured(slow, run.Turns(seconds=0))
    assert len(samples["hank"]) == len(samples["a"]) == 1, "nobody is left out"
    turns = run.Turns(seconds=60)
    assert turns.another(run.LEAST_TURNS - 1, 70) and not turns.another(run.LEAST_TURNS, 70)
    assert not turns.another(1, 150)


def the_slow_and_far_behind_have_one_turn():
    turns = run.Turns(seconds=60)
    assert turns.is_hopeless({"seconds": 2.0, "value": 100.0}, 10.0)
    assert not turns.is_hopeless({"seconds": 0.1, "value": 100.0}, 10.0), "it costs nothing"
    assert not turns.is_hopeless({"seconds": 2.0, "value": 20.0}, 10.0), "it is a rival"
    assert not run.Turns(exactly=5).is_hopeless({"seconds": 2.0, "value": 100.0}, 10.0)


def what_a_program_prints_besides_has_a_row_and_a_floor_of_its_own():
    fake = Fake({})
    fake.also, fake.aside = {"cold": ("the first time", "pages")}, ("pages",)
    samples = {s: [{"value": 1.0, "unit": "s", "foreign": 0.0, "also": {"cold": (cold, "s")}}]
               for s, cold in {"hank": 12.0, "pages": 10.0, "a": 1.0}.items()}
    found = run.beside("cold", samples)
    records = {r["system"]: r for r in run.results("cold", fake, {"workers": 1}, found)}
    assert records["hank"]["ratio_to"] == "pages" and records["hank"]["ratio"] == 1.2, records


def who_fails_is_named_and_left_out():
    fake = Fake({"hank": [1.0, 1.0], "a": [1.0, None]})
    samples, failed, said = measured(fake, run.Turns(exactly=2))
    assert list(samples) == ["hank"] and failed == ["a"] and "a failed: made to fail" in said


def shares_of_all_questions_are_known_and_names_exist():
    for name, bench in BENCHES.items():
        assert bench.share > 0 and bench.cases and bench.text, name
        assert all(p in systems.PEERS_BY_NAME for p in bench.peers), name
        floors = [bench.floor, *(floor for _, floor in dict(bench.also).values())]
        assert all(floor is None or floor in bench.peers for floor in floors), name
        if isinstance(bench, Question):
            assert (systems.BENCH / f"{name}.c").exists(), name


def what_is_not_installed_is_said_and_skipped():
    try:
        for need in ("no-such-tool", "no/such/header.h", "crate:no-such-crate",
                     "python:no_such_module"):
            systems.PEERS_BY_NAME["absent"] = systems.Peer("absent", [need], [], lambda peer: [])
            with contextlib.redirect_stdout(io.StringIO()) as said:
                assert systems.build(["absent"]) == [], need
            assert f"without absent: {need} is not installed" in said.getvalue(), said.getvalue()
    finally:
        del systems.PEERS_BY_NAME["absent"]


def hank_and_its_peers_are_asked_in_the_same_protocol():
    assert systems.server_command("epoll", "echo", 1)[1] == "echo"
    assert systems.server_command("epoll", "http", 1)[1] == "http"
    assert systems.server_command("epoll", "http_least", 1)[1] == "http"
    least = systems.server_command("hank", "http_least", 1)
    assert least[2:4] == [systems.HANK / "bench/server", "http"], least
    assert least != systems.server_command("hank", "http", 1), "the example reads"


def a_server_and_its_children_end_with_the_block():
    child = ("import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\n"
             "print('listening on tcp://127.0.0.1:1', flush=True)\ntime.sleep(60)")
    stubborn = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{child}"
    with systems.Server([sys.executable, "-c", stubborn]) as server:
        assert server.port == 1 and len(server.pids) == 2, server.pids
        assert server.cpu() > 0
    for pid in server.pids:
        status = pathlib.Path(f"/proc/{pid}/stat")
        give_up = time.monotonic() + 20  # the grandchild is init's to reap
        while status.exists() and status.read_text().split(") ")[1][0] not in "ZX":
            assert time.monotonic() < give_up, f"{pid} still runs"
            time.sleep(0.01)


def a_server_ends_with_the_harness_however_that_ends():
    """Killed, the harness can do nothing: its children have asked the kernel to tell them."""
    program = ("import sys, time\nsys.path.insert(0, sys.argv[1])\nimport systems\n"
               "s = systems.Server([sys.executable, '-c', \"print('on tcp://127.0.0.1:1', "
               "flush=True); import time; time.sleep(60)\"])\nprint(s.pid, flush=True)\n"
               "time.sleep(60)")
    harness = subprocess.Popen([sys.executable, "-c", program, str(systems.BENCH)],
                               stdout=subprocess.PIPE, text=True)
    pid = int(harness.stdout.readline())
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    harness.stdout.close()
    status, give_up = pathlib.Path(f"/proc/{pid}/stat"), time.monotonic() + 20
    with contextlib.suppress(FileNotFoundError):
        while status.read_text().split(") ")[1][0] not in "ZX":
            assert time.monotonic() < give_up, f"{pid} still runs"
            time.sleep(0.01)


def the_report_has_a_place_for_every_question():
    shown = [name for _, _, names in report.SECTIONS for name in names]
    measured = [row for name, bench in BENCHES.items() for row in (name, *bench.also)]
    assert sorted(shown) == sorted(measured), set(shown) ^ set(measured)


def the_report_shows_each_result_once_and_needs_nothing_else():
    record = {"bench": "fib", "system": "hank", "workers": 2, "unit": "ns", "median": 7.5,
              "min": 7.0, "max": 8.0, "rounds": [7.0, 7.5, 8.0], "foreign": 0.0,
              "text": "a <question>", "when": "2026-01-02T03:04:05Z",
              "machine": {"cpu": "a CPU", "cpus": 2, "memory_gib": 4.0, "kernel": "Linux 6"}}
    other = {**record, "system": "go & co", "median": 15.0, "min": 14.0, "max": 16.0,
             "rounds": [14.0, 15.0, 16.0]}
    with tempfile.TemporaryDirectory() as directory:
        results = pathlib.Path(directory) / "results.jsonl"
        lines = [{**record, "median": 99.0}, record, other]
        results.write_text("".join(json.dumps(line) + "\n" for line in lines))
        page = report.draw(results, pathlib.Path(directory) / "page.html").read_text()
    assert "7.5" in page and "99" not in page, "the latest counts"
    assert "a &lt;question&gt;" in page and "go &amp; co" in page and "<question>" not in page
    assert "a CPU" in page and "2026-01-02" in page
    assert "<script" not in page and "http:" not in page.replace("http://www.w3.org", "")


def main():
    failed = 0
    tests = [f for name, f in globals().items()
             if callable(f) and getattr(f, "__module__", "") == "__main__" and "_" in name]
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok - {test.__name__}", flush=True)
        except Exception as why:  # an assertion, or whatever else the harness did
            failed += 1
            print(f"not ok - {test.__name__}: {type(why).__name__} {why}", flush=True)
    print(f"{len(tests) - failed} of {len(tests)} hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
