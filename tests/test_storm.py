"""The storm benchmark: a short one, and the accounts that it keeps."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from lightspeed.channel import Broadcast, BroadcastMessage, DeadLetter, Join, Leave, Reply

FOLDER = Path(__file__).parent.parent / "benchmarks"


def storm(*arguments):
    command = [sys.executable, "-X", "utf8", FOLDER / "storm.py", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=50, check=False)


@pytest.mark.slow
def test_a_short_storm_accounts_for_every_event():
    done = storm("--seconds", "0.8", "--topics", "40", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 7, 40 topics, 4 threads, 0.8 s")
    figures = dict(line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| "))
    assert figures["events unaccounted"] == "0"
    assert int(figures["events accepted"].replace(",", "")) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "0"], "must be a number of seconds above 0 and below a day, got '0'"),
        (["--topics", "1"], "must be a whole number from 2 up, got '1'"),
        (["--seed", "x"], "invalid int value"),
    ],
)
def test_a_bad_option_is_refused(arguments, words):
    done = storm(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.fixture
def accounts(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("accounts").Accounts()
    del sys.modules["accounts"]


JOIN, JOINED = Join("a", "x", "u", 1), Reply("a", "x", "ok", "joined")
SEND, SENT = Broadcast("a", "x", "1 a"), BroadcastMessage("x", "1 a", ("a",))
REFUSED = Reply("a", "x", "error", "crashed")


@pytest.mark.parametrize(
    ("outbound", "letters", "unaccounted"),
    [
        ([JOINED, SENT], [], 0),
        ([JOINED, REFUSED], [], 0),
        ([SENT], [DeadLetter("x", 0, "unhandled", JOIN)], 0),
        ([JOINED], [], 1),
        ([SENT], [], 1),
        ([], [], 2),
        ([JOINED, SENT, SENT], [], 1),
        ([JOINED, SENT, REFUSED], [], 1),
        ([JOINED, SENT, Reply("b", "x", "ok", "left")], [], 1),
    ],
)
def test_what_is_lost_or_comes_twice_is_found_by_its_identity(accounts, outbound, letters, unaccounted):
    for event in (JOIN, SEND):
        accounts.accept(0, event)
    account = accounts.balance(outbound, letters)
    assert (account.events, account.unaccounted) == (2, unaccounted)
    assert f"| events unaccounted | {unaccounted} |" in account.table()


def test_sums_that_agree_do_not_hide_who_was_forgotten(accounts):
    for event in (JOIN, Leave("b", "x")):
        accounts.accept(0, event)
    assert accounts.balance([JOINED, JOINED], []).unaccounted == 2
