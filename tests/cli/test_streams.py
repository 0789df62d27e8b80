import os
import subprocess
import sys

import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import FaultPlan
from lightspeed.cli import streams
from lightspeed.cli.main import main
from lightspeed.cli.streams import read_file, tell

JOIN = b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":1}\n'
LOST, REFUSED = b"lightspeed: cannot write standard output: Bad file descriptor\n", b"lightspeed: input: Bad file descriptor\n"


def run_in_shell(arguments, redirection, cwd):
    command = f'exec "{sys.executable}" -m lightspeed.cli {arguments} {redirection}'
    return subprocess.run(["sh", "-c", command], cwd=cwd, capture_output=True, timeout=30, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "redirection", "status", "told"),
    [
        ("play t.jsonl", "<&-", 0, b""),
        ("play -", "<&-", 2, REFUSED),
        ("play t.jsonl", ">&-", 1, LOST),
        ("play t.jsonl", "2>&-", 0, b""),
        ("play t.jsonl", "<&- >&- 2>&-", 1, b""),
        ("play nowhere", "2>/dev/full", 2, b""),
        ("play nowhere", "2>&-", 2, b""),
        ("play t.jsonl --summary", "2>/dev/full", 0, b""),
        ("--version", ">/dev/full", 1, b"lightspeed: cannot write standard output: No space left on device\n"),
        ("--version", ">&-", 1, LOST),
        ("storm --print-plan", ">&-", 1, LOST),
        ("simulate plays.py:play --seed 1", ">&-", 1, LOST),
    ],
)
def test_streams_that_are_closed_or_full_end_in_no_traceback(tmp_path, arguments, redirection, status, told):
    (tmp_path / "t.jsonl").write_bytes(JOIN)
    (tmp_path / "plays.py").write_text("def play(simulation): pass")
    done = run_in_shell(arguments, redirection, tmp_path)
    assert (done.returncode, done.stderr) == (status, told)


@pytest.mark.slow
def test_a_storm_whose_report_does_not_fit_tells_it_all_the_same(tmp_path):
    done = run_in_shell("storm --seconds 0.1 --topics 2 --clients 2 --quiet --json /dev/full", "", tmp_path)
    assert done.returncode == 1
    assert done.stderr == b"lightspeed: cannot write /dev/full: No space left on device\n"
    assert b"unaccounted for" in done.stdout


@pytest.mark.slow
def test_a_failure_whose_files_do_not_fit_is_told_all_the_same(tmp_path):
    (tmp_path / "fails.py").write_text("def play(simulation):\n    raise ValueError('no\\x1b[31m\\x9b')\n")
    done = run_in_shell("simulate fails.py:play --seed 1 --trace /dev/full --test /dev/full", "", tmp_path)
    assert done.returncode == 2
    assert done.stderr == b"lightspeed: /dev/full: No space left on device\n" * 2
    assert done.stdout == b"failed with seed 1: ValueError: no\\x1b[31m\\x9b\n"


def test_what_is_told_is_a_line_of_nothing_that_a_terminal_would_obey(capsys):
    assert main(["play", "no\x1b[31m\nFORGED\x9b"]) == 2
    assert capsys.readouterr().err == "lightspeed: no\\x1b[31m\\nFORGED\\x9b: No such file or directory\n"


def test_what_nobody_can_be_told_is_lost_in_silence(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        tell("nobody hears it")
        tell("nor this")


def test_a_file_is_read_without_its_byte_order_mark_and_up_to_a_bound(tmp_path, monkeypatch):
    path = tmp_path / "plan.json"
    path.write_bytes(b"\xef\xbb\xbf" + FaultPlan().to_json())
    assert read_file("--plan", str(path)) == FaultPlan().to_json()
    with pytest.raises(InvalidOption, match="--plan must be a file of at most 16,777,216 bytes"):
        read_file("--plan", "/dev/zero")
    monkeypatch.setattr(streams, "LARGEST", 4)
    for size in (4, 5):
        path.write_bytes(b"x" * size)
        if size > 4:
            with pytest.raises(InvalidOption):
                read_file("--plan", os.fspath(path))
        else:
            assert read_file("--plan", os.fspath(path)) == b"xxxx"
