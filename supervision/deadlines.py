"""Many deadlines on one timer: a thread for each would cost more than what it watches over."""

import heapq
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from lightspeed.actors.checks import YEAR_S
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Timer


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

    def run_due(self) -> None:
        """Make the calls whose time has come. Call it when it has rung."""
        self._rings_s = float("inf")
        now_s = self._clock.monotonic_s()
        while self._heap and (self._heap[0].is_off or self._heap[0].due_s <= now_s):
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


class Due(Struct, frozen=True, eq=False):
    """A deadline of `Alarms`, which its owner is told when its time has come: it is to make the call."""

    call: Callable[[], object]


class Alarms:
    """Deadlines with a timer each, for a clock that has all of them on one thread: where it jumps, none of these is moved.

    For one owner's thread, but for `tell`.

    Args:
        tell: called on a thread of the clock's, with what is due.
    """

    def __init__(self, clock: Clock, tell: Callable[[Due], None]) -> None:
        self._clock, self._tell = clock, tell
        self._pending: dict[Due, Timer] = {}  # whichever have not rung; the clock's thread takes out its own

    def add(self, delay_s: float, call: Callable[[], object]) -> Due:
        """Have the owner told after so many seconds."""
        due = Due(call)

        def ring() -> None:
            self._pending.pop(due, None)
            self._tell(due)

        try:
            self._pending[due] = self._clock.call_later(delay_s, ring)
        except Exception as failure:  # the world's: no more threads. Without its deadlines the rest still works.
            log("error", "no timer could be started for a deadline of topics", error=failure)
        return due

    def is_pending(self, due: Due) -> bool:
        """Whether it will ring; else it has, or was called off, or no timer could be started."""
        return due in self._pending

    def call_off(self, due: Due) -> None:
        timer = self._pending.pop(due, None)
        if timer is not None:
            timer.cancel()

    def clear(self) -> None:
        """Call all of them off."""
        for due in list(self._pending):
            self.call_off(due)


def _nothing() -> None:
    """What is done at a deadline that was called off."""
