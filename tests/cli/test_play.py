import gzip
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tqdm import tqdm

from lightspeed.actors.topics import ChannelState
from lightspeed.channel import Crash, Join, Push, Rejoin, Restart, encode
from lightspeed.cli.main import main

COMMAND = [sys.executable, "-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", "play"]
pytestmark = pytest.mark.slow  # most start a Python


@pytest.fixture
def run(monkeypatch, capfdbinary):
    """The command in this process, where it needs no streams of its own: its status, and what it wrote to each."""
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread of tqdm's outlives a test

    def run(*arguments):
        try:
            status = main(["play", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capfdbinary.readouterr()

    return run


def run_with(told):
    """In a process of its own, told this by standard input: its status, and what it wrote to each stream."""
    done = subprocess.run([*COMMAND, "-"], input=told, capture_output=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def trace_of(count):
    events = []
    for number in range(count):
        events.append(Join(f"c{number}", f"t{number % 3}", "u", number))
        events.append(Push(f"c{number}", f"t{number % 3}", "e", "p" * 20))
        if number % 10 == 9:
            events += [Crash("r"), Restart(), Rejoin(f"c{number}", "t0", "u", number)]
    return events


EVENTS = trace_of(50)
STATE = ChannelState()
TRACE = b"".join(encode(event) + b"\n" for event in EVENTS)
OUTBOUND = b"".join(encode(message) + b"\n" for event in EVENTS for message in STATE.handle(event))


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(TRACE)
    return path


def test_a_file_a_gzipped_file_and_standard_input_give_the_same(run, trace, tmp_path):
    packed = tmp_path / "trace.jsonl.gz"
    packed.write_bytes(gzip.compress(TRACE))
    for done in (run(trace), run(packed), run_with(TRACE)):
        assert done == (0, OUTBOUND, b"")


def test_the_output_goes_to_a_file_in_place_of_what_was_there(run, trace, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"old" * 10_000)
    assert run(trace, "-o", out) == (0, b"", b"")
    assert out.read_bytes() == OUTBOUND


def test_the_summary_is_a_table_on_standard_error(run, trace):
    _status, out, err = run(trace, "--summary")
    assert out == OUTBOUND
    rows = dict(line.rsplit(maxsplit=1) for line in err.decode().splitlines())
    rows = {label.strip(): value for label, value in rows.items()}
    assert int(rows.pop("events per second").replace(",", "")) > 0
    assert rows["events"] == "115"
    assert (rows["join"], rows["rejoin"], rows["leave"], rows["crash"], rows["restart"]) == ("50", "5", "0", "5", "5")
    assert (rows["reply"], rows["push_message"], rows["system"]) == ("55", "50", "10")
    assert rows["deliveries"] == "105"
    assert rows["crashes survived"] == "5"
    assert (rows["members at the end"], rows["topics at the end"]) == ("1", "1")


@pytest.mark.parametrize("to_file", [False, True])
def test_a_bad_line_stops_it_with_place_and_reason_and_what_came_before_is_written(run, tmp_path, to_file):
    path, out = tmp_path / "bad.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(TRACE + b'\n{"type":"leave","client_id":"","topic":"t"}\n' + TRACE)
    status, shown, err = run(path, "-o", out) if to_file else run(path)
    assert status == 2
    assert err.decode() == f"lightspeed: {path}:117: client_id must not be empty, got ''\n"
    assert (out.read_bytes() if to_file else shown) == OUTBOUND


def test_a_bad_line_of_standard_input_is_named_too():
    status, _out, err = run_with(b"{}\n")
    assert status == 2
    assert err.startswith(b"lightspeed: standard input:1: type must be one of join, rejoin,")


def test_a_missing_trace_leaves_the_output_file_alone(run, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"old")
    status, _out, err = run(tmp_path / "none.jsonl", "-o", out)
    assert status == 2
    assert err.endswith(b"none.jsonl: No such file or directory\n")
    assert err.count(b"\n") == 1
    assert out.read_bytes() == b"old"


def test_the_trace_itself_is_refused_as_output(run, trace):
    status, _out, err = run(trace, "-o", trace)
    assert status == 2
    assert b"must not be the trace itself" in err
    assert trace.read_bytes() == TRACE


def test_a_folder_and_a_damaged_gzip_are_refused_in_one_line(run, tmp_path):
    packed = tmp_path / "trace.jsonl.gz"
    packed.write_bytes(gzip.compress(TRACE)[:-9])
    for path in (tmp_path, packed):
        status, _out, err = run(path)
        assert status == 2
        assert err.count(b"\n") == 1


def test_a_closed_pipe_ends_it_quietly(tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_bytes(TRACE * 300)
    head = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1', "head", *COMMAND, str(path)], capture_output=True, timeout=30, check=True
    )
    assert head.stdout == OUTBOUND.splitlines(keepends=True)[0]
    assert head.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_in_one_line(run, trace):
    assert run(trace, "-o", "/dev/full") == (1, b"", b"lightspeed: cannot write /dev/full: No space left on device\n")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, str(trace)], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, b"lightspeed: cannot write standard output: No space left on device\n")


def test_what_arrives_in_a_pipe_is_answered_before_more_arrives():
    with subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(3):
            process.stdin.write(encode(Join(f"c{number}", "t", "u", 1)) + b"\n")
            process.stdin.flush()
            assert b"joined" in process.stdout.readline()
            assert b"presence_diff" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(10) == 0


def test_ctrl_c_ends_it_quietly_and_what_was_played_is_written():
    with subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(encode(EVENTS[0]) + b"\n")
        process.stdin.flush()
        assert b"joined" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == b""


def test_on_a_terminal_there_is_a_progress_bar_and_in_a_pipe_none(run, tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_bytes(TRACE * 100)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    done = subprocess.run([*COMMAND, str(path), "-o", str(tmp_path / "out")], stderr=slave, timeout=30, check=False)
    shown = os.read(master, 100_000)  # while the other end is open: what is left in a closed terminal can't be read
    os.close(slave)
    os.close(master)
    assert done.returncode == 0
    assert b"%|" in shown
    assert run(path, "-o", tmp_path / "out") == (0, b"", b"")


def test_memory_does_not_grow_with_the_trace(tmp_path):
    """Peak memory, as the operating system counts it, of a trace and of one thirty times as long."""
    code = (
        "import resource, sys; from lightspeed.cli.main import main; main()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for times in (10, 300):
        path = tmp_path / f"{times}.jsonl"
        path.write_bytes(TRACE * times)
        command = [sys.executable, "-c", code, "play", str(path), "-o", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, timeout=50, check=True)
        peaks.append(int(done.stderr))
    assert peaks[1] < peaks[0] * 1.15


@pytest.mark.parametrize("arguments", [[], ["--colour"], ["a", "b"]])
def test_a_wrong_command_line_is_refused_with_status_two(run, arguments):
    status, _out, err = run(*arguments)
    assert status == 2
    assert b"usage: lightspeed" in err
