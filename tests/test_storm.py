"""The storm benchmark: a short one."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    assert int(figures["events sent"].replace(",", "")) > 0


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
