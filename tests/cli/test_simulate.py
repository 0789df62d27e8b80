import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pytest
from model.random_scenario import random_scenario
from planted import BUGS
from tqdm import tqdm

from lightspeed.channel import FaultPlan, Join, Leave
from lightspeed.cli.main import main
from lightspeed.faults import Raise
from lightspeed.supervision import RestartWindow
from lightspeed.testing import Scenario, search_drawn
from lightspeed.testing.recording import read_recording

COMMAND = [sys.executable, "-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())"]

FUZZ = f"{Path(__file__).parents[1] / 'model' / 'fuzz.py'}:play"

# Without assert statements: under -O they would be gone, since pytest does not import this.
RACE = """
import asyncio

def race(simulation):
    channel = simulation.channel()
    for name in "abcd":
        simulation.client(channel, name).join("x")
    simulation.run()
    if channel.subscribers("x")[:1] == ("b",):
        raise AssertionError("b was first")

def order(simulation):
    channel = simulation.channel()
    for name in "ab":
        simulation.client(channel, name).join("x")
    simulation.run()
    if channel.subscribers("x") != ("a", "b"):
        raise AssertionError

def crash(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    for _ in range(5):
        client.join("x")
        client.leave("x")
    simulation.run()
    if "topic_crashed" in [getattr(message, "payload", "") for message in client.received]:
        raise AssertionError

def dull(simulation):
    simulation.sometimes(lambda: False, name="something happens")

async def late(simulation):
    await asyncio.sleep(simulation.random.randrange(1, 4))
    if simulation.now_s == 3:
        raise AssertionError("late")

def lazy(simulation):
    yield
    raise AssertionError

def leaves(simulation):
    raise SystemExit(0)

class Evil(Exception):
    def __str__(self):
        raise SystemExit("its text")

    __repr__ = __eq__ = __hash__ = __str__

def evil(simulation):
    raise Evil

def not_at_once(simulation):
    return lazy(simulation)

def odd(simulation):
    raise ValueError("half of a \\ud83d, a \\x00 and a \\x1b[31m")

number = 3
"""


@pytest.fixture
def simulate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread of tqdm's outlives a test
    (tmp_path / "race.py").write_text(RACE)

    def run(*arguments):
        try:
            status = main(["simulate", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def test_without_a_scenario_it_says_what_to_give(simulate):
    status, out, err = simulate("--seeds", "20")
    assert (status, out) == (2, "")
    assert "say what to play: module:function, path/to/file.py:function, or a file of JSON" in err


def test_the_librarys_own_fuzzing_is_played_like_any_scenario_and_says_what_was_played(simulate):
    status, out, err = simulate(FUZZ, "--seeds", "20")
    assert (status, err) == (0, "")
    assert out.startswith("20 seeds, 20 runs, ")
    assert out.endswith("nothing failed\n")


@pytest.mark.slow
def test_two_processes_play_the_same_as_one(simulate):
    one, two = (simulate(FUZZ, "--seeds", "120", "--jobs", jobs)[1].split(", ")[:3] for jobs in (1, 2))
    assert one == two


def test_a_planted_bug_is_found_cut_down_and_written_as_trace_and_test(simulate, tmp_path):
    plant, invariant = BUGS["double reply"]
    with plant():
        scenario = search_drawn(random_scenario, range(500)).case
        (tmp_path / "found.json").write_bytes(scenario.scenario.to_json())
        status, out, _err = simulate("found.json", "--from", scenario.seed, "--test", "test_found.py")
        assert status == 1
        *events, last = out.splitlines()
        seed = int(last.split()[3].rstrip(":"))
        assert last == f"failed with seed {seed}: InvariantBroken: {last.split('Broken: ')[1]}"
        assert f"InvariantBroken: {invariant}: " in last
        assert len(events) <= 10
        assert last.endswith(f"; trace: lightspeed-{seed}.trace")
        assert read_recording(tmp_path / f"lightspeed-{seed}.trace")[0].seed in range(500)
        again, out, _err = simulate("found.json", "--seed", seed, "--no-shrink", "--trace", "whole.trace")
        assert (again, f"failed with seed {seed}" in out) == (1, True)
    assert simulate("found.json", "--seed", seed)[0] == 0
    assert "def test_accounted_for():" in (tmp_path / "test_found.py").read_text()


def test_of_a_supervisor_that_breaks_a_rule_the_tree_is_shown_and_what_was_done_to_it(simulate, tmp_path):
    (tmp_path / "scenario.json").write_bytes(random_scenario(29).to_json())
    with patch.object(RestartWindow, "allow", lambda window, now_s: True):
        status, out, _err = simulate("scenario.json", "--seed", "29")
    tree, *acts, last = out.splitlines()
    assert (status, tree[:21]) == (1, '{"tree":{"children":[')
    assert {act[:23] for act in acts} == {'{"event":{"type":"tree"'}
    assert "InvariantBroken: restarts: " in last


@pytest.mark.parametrize("name", ["race:race", "race.py:race", "./race.py:race"])
def test_a_function_is_found_by_its_module_and_by_its_file(simulate, name, monkeypatch):
    monkeypatch.delitem(sys.modules, "race", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    status, out, _err = simulate(name)
    assert status == 1
    assert "AssertionError: b was first" in out


def test_a_test_of_a_function_in_a_file_finds_it_by_that_file(simulate, tmp_path):
    status, out, err = simulate("race.py:race", "--test", "test_found.py")
    assert (status, "b was first" in out, err.count("was not written")) == (1, True, 0)
    assert "find('race.py:race')" in (tmp_path / "test_found.py").read_text()


def test_a_scenario_is_read_from_json(simulate, tmp_path):
    (tmp_path / "three.json").write_bytes(random_scenario(3).to_json())
    status, out, _err = simulate("three.json", "--seeds", "3", "--from", "7", "--scheduler", "priority")
    assert (status, out[:15]) == (0, "3 seeds, 3 runs")


def test_a_sweep_crashes_at_each_message(simulate, tmp_path):
    events = [event for _ in range(10) for event in (Join("a", "x", "u", 1), Leave("a", "x"))]
    (tmp_path / "ten.json").write_bytes(Scenario.of(events).to_json())
    status, out, _err = simulate("ten.json", "--sweep")
    assert status == 0
    assert out.startswith("1 seed, 21 runs, ")
    assert ", 20 faults fired" in out
    status, out, _err = simulate("race.py:crash", "--sweep")
    assert (status, "Raise(" in out) == (1, True)


def test_every_order_is_played_within_a_bound(simulate):
    assert simulate("race.py:order", "--exhaust", "0")[0] == 0
    status, out, _err = simulate("race.py:order", "--exhaust", "1")
    assert (status, "AssertionError" in out) == (1, True)


def test_a_plan_is_for_every_channel(simulate, tmp_path):
    (tmp_path / "plan.json").write_bytes(FaultPlan((Raise(at=2),)).to_json())
    assert simulate("race.py:crash", "--seeds", "3")[0] == 0
    assert simulate("race.py:crash", "--seeds", "3", "--plan", "plan.json")[0] == 1


def test_what_never_happens_with_any_seed_is_a_failure(simulate):
    status, out, _err = simulate("race.py:dull", "--seeds", "3")
    assert (status, out) == (1, "failed: something happens never held, with any of 3 seeds\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.json",),
        ("missing.py:race",),
        ("race.py:missing",),
        ("race.py:number",),
        ("no_such_module:race",),
        ("bad.json",),
        ("broken.py:race",),
        ("race.py:race", "--plan", "missing.json"),
        ("race.py:race", "--plan", "bad.json"),
        ("race.py:race", "--plan", "."),
        ("race.py:race", "--plan", "unknown.json"),
        ("race.py:race", "--trace", "no/such/folder"),
        ("race.py:race", "--trace", "."),
        ("race.py:race", "--test", "no/such/folder"),
        ("race.py:lazy",),
        ("race.py:",),
        (":race",),
        ("race.py",),
        (".",),
        ("",),
        ("leaves.py:race",),
        ("empty.json",),
        ("list.json",),
        ("--seeds", "0"),
        ("--seeds", "x"),
        ("--seeds", "9" * 16),
        ("--exhaust", "-1"),
        ("--most", "0"),
        ("--seed", "-1"),
        ("--seed", "1", "--seeds", "2"),
        ("--sweep", "--exhaust", "1"),
        ("--scheduler", "best"),
        ("--jobs", "0"),
    ],
)
def test_bad_input_is_refused_with_status_2(simulate, tmp_path, arguments):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "unknown.json").write_text('{"faults":[{"do":"explode"}]}')
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    status, _out, err = simulate(*arguments)
    assert status == 2
    assert "Traceback" not in err
    assert err


@pytest.mark.slow
def test_ctrl_c_ends_it_with_status_130_even_within_an_actor(tmp_path):
    (tmp_path / "endless.py").write_text(
        """
from lightspeed.actors import PooledActor

class Endless(PooledActor):
    def on_receive(self, message):
        print("begun", flush=True)
        while True:
            pass

def scenario(simulation):
    simulation.start(Endless).tell("begin")
    simulation.run()
"""
    )
    command = [*COMMAND, "simulate", "endless.py:scenario"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        started_s = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert time.monotonic() - started_s < 10


def test_a_play_that_is_a_coroutine_is_played_cut_down_written_and_replayed(simulate, tmp_path):
    status, out, _err = simulate("race.py:late", "--test", "test_late.py", "--jobs", "2")
    assert status == 1
    seed = re.search(r"^failed with seed (\d+): AssertionError: late; trace: lightspeed-\1.trace$", out, re.M)[1]
    assert int(seed) < 100
    assert main(["replay", f"lightspeed-{seed}.trace"]) == 0
    assert "find('race.py:late')" in (tmp_path / "test_late.py").read_text()


def test_a_play_that_would_end_the_process_has_failed(simulate):
    status, out, _err = simulate("race.py:leaves")
    assert (status, out) == (1, "failed with seed 0: SystemExit: 0; trace: lightspeed-0.trace\n")


def test_an_error_of_odd_letters_is_told_without_what_a_terminal_would_obey(simulate):
    status, out, _err = simulate("race.py:odd", "--test", "test_odd.py")
    assert (status, out) == (
        1,
        "failed with seed 0: ValueError: half of a \\ud83d, a \\x00 and a \\x1b[31m; trace: lightspeed-0.trace\n",
    )


@pytest.mark.parametrize(
    ("play", "told"),
    [
        ("evil", "Evil: (its text can't be had)"),
        (
            "not_at_once",
            "InvalidOption: scenario must be a Scenario or a function of a Simulation, and no generator,"
            " got <function not_at_once>",
        ),
    ],
)
def test_a_failure_that_has_no_text_and_a_play_that_is_put_off_are_told_as_any(simulate, play, told):
    status, out, _err = simulate(f"race.py:{play}", "--test", "test_it.py")
    assert (status, out) == (1, f"failed with seed 0: {told}; trace: lightspeed-0.trace\n")


@pytest.mark.parametrize("option", ["--trace", "--test"])
def test_where_a_file_cannot_be_written_what_failed_is_told_all_the_same(simulate, option):
    status, out, err = simulate("race.py:race", option, "no/such/folder")
    assert (status, err) == (2, "lightspeed: no/such/folder: No such file or directory\n")
    assert "AssertionError: b was first" in out
    assert ("; trace: lightspeed-" in out) == (option == "--test")


def test_what_was_cut_off_is_told(simulate):
    status, out, _err = simulate("race.py:crash", "--exhaust", "2", "--most", "5", "--seeds", "2")
    assert status == 0
    assert out.startswith("2 seeds, 10 runs, ")
    assert out.endswith(": nothing failed (2 seeds with more orders than --most 5)\n")
    assert "--most" not in simulate("race.py:crash", "--exhaust", "0")[1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("way", "unit"), [((), "seed"), (("--sweep",), "run"), (("--exhaust", "1", "--most", "50"), "run")])
def test_on_a_terminal_there_is_progress_by_what_goes_on(simulate, monkeypatch, way, unit):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert simulate("race.py:crash", *way)[0] == (1 if way == ("--sweep",) else 0)
    assert f"{unit}/s" in terminal.getvalue()


def test_whoever_reads_the_output_may_leave_and_what_failed_has_failed(simulate, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*COMMAND, "simulate", "race.py:order"]
    done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    assert list(tmp_path.glob("*.trace"))
