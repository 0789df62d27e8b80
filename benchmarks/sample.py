"""A sample: one run in a process of its own, so that no heap, collector or import of one meets another.

`take` starts this very file, which calls the run's function and prints its figures as the last line.
"""

import importlib
import os
import subprocess
import sys

import msgspec
from comparison import Run

Figures = dict[str, float]

TIMEOUT_S = 600  # the longest sample, a million topics, takes a tenth of it


class SampleFailed(Exception):
    """The run raised, or its process came to no good end."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(f"{error}: {text}")
        self.error = error
        """The class of what it raised."""


class _Outcome(msgspec.Struct):
    figures: Figures | None = None
    error: str = ""
    text: str = ""


def take(run: Run) -> Figures:
    """The run's figures.

    Raises:
        SampleFailed: there are none.
    """
    command = [sys.executable, __file__, msgspec.json.encode(run).decode()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise SampleFailed("TimeoutExpired", f"no end after {TIMEOUT_S} s") from None
    try:
        outcome = msgspec.json.decode(done.stdout.splitlines()[-1], type=_Outcome)
    except (IndexError, msgspec.MsgspecError):
        raise SampleFailed(f"exit status {done.returncode}", done.stderr[-500:]) from None
    if outcome.figures is None:
        raise SampleFailed(outcome.error, outcome.text)
    return outcome.figures


def _main(encoded: str) -> None:
    run = msgspec.json.decode(encoded, type=Run)
    try:
        outcome = _Outcome(getattr(importlib.import_module(run.file), run.function)(**run.options))
    except Exception as error:  # a peer's, of whatever kind: the table names it, and the others go on
        outcome = _Outcome(error=type(error).__name__, text=str(error))
    print(f"\n{msgspec.json.encode(outcome).decode()}", flush=True)
    os._exit(0)  # a sample leaves its actors and threads as they are, and waits for none


if __name__ == "__main__":
    _main(sys.argv[1])
