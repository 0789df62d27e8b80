"""Many deadlines on one timer: a thread for each would cost more than what it watches over."""

import heapq
from collections.abc import Callable
from typing import Protocol

from lightspeed.actors.checks import YEAR_S
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Timer

ROUNDING_S = 1e-6
"""No wait for less: what is left may be a rounding error, by which a clock moves no further."""


class Clock(Protocol):
    """What a supervisor needs of a `Runtime`. A simulation is another one. Any thread may call it."""

    def monotonic_s(self) -> float:
        """Now, in seconds from some moment."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, after the delay, on a thread of the clock's. The call does not block."""
        ...


class Deadline:
    """What is to be done at a time, unless it is called off."""

    __slots__ = ("_call", "due_s", "has_passed")

    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s, self._call, self.has_passed = due_s, call, False

    def __lt__(self, other: "Deadline") -> bool:
        return self.due_s < other.due_s

    def call_off(self) -> None:
        self._call = _nothing

    @property
    def is_off(self) -> bool:
        return self._call is _nothing

    def pass_by(self) -> None:
        self.has_passed = True
        self._call()


class Deadlines:
    """For one owner's thread, but for `ring`.

    Args:
        ring: called on a thread of the clock's when the owner is to call `run_due`.
    """

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock, self._ring = clock, ring
        self._heap: list[Deadline] = []
        self._timer: Timer | None = None
        self._rings_s = float("inf")

    def add(self, delay_s: float, call: Callable[[], None]) -> Deadline:
        """Have `run_due` make the call after so many seconds."""
        deadline = Deadline(self._clock.monotonic_s() + delay_s, call)
        heapq.heappush(self._heap, deadline)
        self._set_timer()
        return deadline

    @property
    def are_watched(self) -> bool:
        """Whether it will ring; else no timer could be started, or nothing is to come."""
        return self._rings_s < float("inf")

    def run_due(self) -> None:
        """Make the calls whose time has come. Call it when it has rung."""
        self._rings_s = float("inf")
        now_s = self._clock.monotonic_s()
        while self._heap and (self._heap[0].is_off or self._heap[0].due_s <= now_s + ROUNDING_S):
            heapq.heappop(self._heap).pass_by()
        self._set_timer()

    def clear(self) -> None:
        """Call all of them off."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_s = None, float("inf")

    def _set_timer(self) -> None:
        while self._heap and self._heap[0].is_off:
            heapq.heappop(self._heap)
        if not self._heap or self._heap[0].due_s >= self._rings_s:
            return  # one that rings for nothing is cheaper than one that is set and cancelled each time
        if self._timer is not None:
            self._timer.cancel()
        self._rings_s = self._heap[0].due_s
        try:
            left_s = min(max(0.0, self._rings_s - self._clock.monotonic_s()), YEAR_S)  # one that is further off is set anew
            self._timer = self._clock.call_later(left_s, self._ring)
        except Exception as failure:  # the world's: no more threads. Without its deadlines the rest still works.
            self._rings_s = float("inf")
            log("error", "no timer could be started for a supervisor's deadlines", error=failure)


def _nothing() -> None:
    """What is done at a deadline that was called off."""
