import re
import subprocess
import sys
from importlib.metadata import version

import pytest
from model.random_scenario import random_scenario
from planted import double_reply
from tqdm import tqdm

from lightspeed.cli.main import main
from lightspeed.testing import Case, play, search_drawn, write_recording

FIRST = """
def first(simulation):
    channel = simulation.channel()
    for name in "abc":
        simulation.client(channel, name).join("x")
    simulation.run()
    if channel.subscribers("x")[0] != "a":
        raise AssertionError("another was first")
"""


@pytest.fixture
def replay(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread of tqdm's outlives a test
    (tmp_path / "first.py").write_text(FIRST)

    def run(*arguments, command="replay"):
        try:
            status = main([command, *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def test_a_run_that_goes_the_same_way_says_so_with_status_0(replay):
    write_recording(play(Case(random_scenario(5), 5)), "five.trace")
    status, out, err = replay("five.trace")
    assert (status, err) == (0, "")
    assert out.startswith("it went the same way, ")
    assert out.endswith("nothing failed\n")


def test_a_failure_is_told_again(replay):
    with double_reply():
        write_recording(search_drawn(random_scenario, range(500)), "double.trace")
        status, out, _err = replay("double.trace")
    assert status == 0
    assert "; it failed: InvariantBroken: accounted_for: " in out
    status, out, _err = replay("double.trace")  # the bug is not there any more
    assert status == 1
    assert out.startswith("it goes another way at line ")


def test_what_simulate_wrote_of_a_function_in_a_file_is_replayed(replay, tmp_path):
    assert replay("first.py:first", "--trace", "first.trace", command="simulate")[0] == 1
    status, out, _err = replay("first.trace")
    assert (status, "it failed: AssertionError: another was first" in out) == (0, True)
    (tmp_path / "first.py").rename(tmp_path / "second.py")
    assert replay("first.trace")[0] == 2
    assert replay("first.trace", "--scenario", "second.py:first")[0] == 0
    (tmp_path / "second.py").write_text(FIRST.replace('"abc"', '"abcd"'))
    status, out, _err = replay("first.trace", "--scenario", "second.py:first")
    assert status == 1
    assert "\n  this time: " in out


@pytest.mark.slow
def test_what_a_test_wrote_is_replayed_by_that_test(replay, tmp_path):
    (tmp_path / "test_first.py").write_text(
        "from first import first\n\ndef test_first(lightspeed_simulation):\n    first(lightspeed_simulation)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--lightspeed-seeds", "5", "-p", "no:cacheprovider"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 1
    trace = next((tmp_path / ".lightspeed").glob("*.trace"))
    status, out, _err = replay(trace)
    assert (status, "it failed: AssertionError" in out) == (0, True)
    (tmp_path / "first.py").write_text(FIRST.replace('"abc"', '"abcd"'))
    status, out, _err = replay(trace)
    assert (status, out[:27]) == (1, "it goes another way at line")
    (tmp_path / "test_first.py").unlink()
    status, _out, err = replay(trace)
    assert (status, "must name a test that pytest finds from here" in err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("missing.trace",), ("bad.trace",), ("empty.trace",), (".",), ("five.trace", "--speed"), ()),
        ("good.trace", "--scenario", "."),
        ("good.trace", "--scenario", "list.json"),
        ("good.trace", "--scenario", "first.py:second"),
    ],
)
def test_bad_input_is_refused_with_status_2(replay, tmp_path, arguments):
    (tmp_path / "bad.trace").write_text('{"lightspeed_trace": 99}\n')
    (tmp_path / "empty.trace").write_text("")
    (tmp_path / "list.json").write_text("[]")
    write_recording(play(Case(lambda simulation: None)), "good.trace")
    status, _out, err = replay(*arguments)
    assert status == 2
    assert err


def test_a_trace_of_a_function_without_a_name_asks_for_one(replay):
    write_recording(play(Case(lambda simulation: None)), "nameless.trace")
    status, _out, err = replay("nameless.trace")
    assert (status, "must name a function" in err) == (2, True)


def test_where_a_trace_goes_another_way_it_is_said_why_that_may_be(replay, tmp_path):
    write_recording(play(Case(random_scenario(5), 5)), "five.trace")
    lines = (tmp_path / "five.trace").read_text().splitlines()
    (tmp_path / "cut.trace").write_text("\n".join(lines[:9]))
    status, out, _err = replay("cut.trace")
    assert (status, out.splitlines()[1:2]) == (1, ["   recorded: nothing more"])
    assert out.endswith("the trace is not as it was written: it was altered or cut off\n")
    old = lines[0].replace(f'"version":"{version("lightspeed-channels")}"', '"version":"0.0.1"')
    (tmp_path / "old.trace").write_text("\n".join([old, *lines[1:], "more"]))
    status, out, _err = replay("old.trace")
    assert (status, "written by lightspeed 0.0.1, and this is" in out) == (1, True)
    (tmp_path / "old.trace").write_text("\n".join([old, *lines[1:]]))
    assert replay("old.trace")[0] == 0


def test_choices_and_a_plan_that_somebody_wrote_by_hand_do_no_harm(replay, tmp_path):
    write_recording(play(Case(random_scenario(5), 5)), "five.trace")
    text = (tmp_path / "five.trace").read_text()
    (tmp_path / "far.trace").write_text(re.sub(r'"choices":\[[^]]*]', '"choices":[-5,99,1]', text))
    assert replay("far.trace")[0] == 1
    (tmp_path / "bad.trace").write_text(text.replace('"plan":null', '"plan":{"faults":[{"do":"x"}]}'))
    assert replay("bad.trace")[0] == 2
