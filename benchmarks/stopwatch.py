"""The instruments of a sample: time, memory, and a count that can be waited for."""

import os
import resource
import sys
import threading
from itertools import count
from time import perf_counter
from typing import Self


class WrongResult(Exception):
    """A run did not do what it was measured for."""


def expect(held: bool, what: str) -> None:
    """Raise `WrongResult` unless it held. Not an assert: those can be switched off."""
    if not held:
        raise WrongResult(what)


class Stopwatch:
    """Measures its with block."""

    def __enter__(self) -> Self:
        self._started_s = perf_counter()
        return self

    def __exit__(self, *_failure: object) -> None:
        self.seconds = perf_counter() - self._started_s

    def micros_each(self, number: int) -> float:
        return self.seconds / number * 1e6

    def per_second(self, number: int) -> float:
        return number / self.seconds


class Countdown:
    """Any threads hit it, one waits until it was hit so often. `next` on a count is atomic, so that a hit takes no lock."""

    def __init__(self, hits: int) -> None:
        self._hits, self._last, self._done = count(1), hits, threading.Event()

    def hit(self) -> None:
        if next(self._hits) == self._last:
            self._done.set()

    def wait(self) -> None:
        self._done.wait()


def resident_bytes() -> int:
    """The memory that the process holds at present. Linux only."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_mib() -> float:
    """The most that the process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on macOS, KiB elsewhere: getrusage(2)
