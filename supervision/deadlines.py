"""What is to be done later, in an actor's own turn: deadlines with a timer each, or many of them on one."""

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from math import inf
from typing import Any, Protocol

import pykka
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


class Due(Struct, eq=False):
    """What an actor is to do when it comes to it in its inbox, unless that was called off: at a time, or after something else."""

    call: Callable[[], object]
    is_off: bool = False
    has_passed: bool = False

    def pass_by(self) -> None:
        """Make the call, in the owner's turn."""
        if not self.is_off:
            self.has_passed = True
            self.call()


class Alarms:
    """Deadlines with a timer each, for a clock that has all of them on one thread: where it jumps, none of these is moved.

    For one owner's thread.
    """

    def __init__(self, clock: Clock, owner: pykka.ActorRef[Any]) -> None:
        self._clock, self._owner = clock, owner
        self._pending: dict[Due, Timer] = {}  # whichever have not rung; the clock's thread takes out its own

    def add(self, delay_s: float, call: Callable[[], object]) -> Due:
        """Have the owner make the call after so many seconds."""
        due = Due(call)
        try:
            self._pending[due] = self._clock.call_later(delay_s, partial(self._ring, due))
        except Exception as failure:  # the world's: no more threads. Without its deadlines the rest still works.
            log("error", "no timer could be started for a deadline", error=failure)
        return due

    def is_pending(self, due: Due) -> bool:
        """Whether it will ring; else it has, or was called off, or no timer could be started."""
        return due in self._pending

    def call_off(self, due: Due) -> None:
        due.is_off = True
        timer = self._pending.pop(due, None)
        if timer is not None:
            timer.cancel()

    def clear(self) -> None:
        """Call all of them off."""
        for due in list(self._pending):
            self.call_off(due)

    def _ring(self, due: Due) -> None:
        """Called on a thread of the clock's."""
        self._pending.pop(due, None)
        try:
            self._owner.tell(due)
        except pykka.ActorDeadError:
            pass  # its deadlines died with it


class Deadlines:
    """Many deadlines of one owner's thread, most of which are called off: one alarm for whichever is the first of them."""

    def __init__(self, clock: Clock, owner: pykka.ActorRef[Any]) -> None:
        self._clock, self._alarms, self._numbers = clock, Alarms(clock, owner), count()
        self._heap: list[tuple[float, int, Due]] = []
        self._rings_s = inf

    def add(self, delay_s: float, call: Callable[[], object]) -> Due:
        """Have the owner make the call after so many seconds, unless `is_off` is set before."""
        due = Due(call)
        heapq.heappush(self._heap, (self._clock.monotonic_s() + delay_s, next(self._numbers), due))
        self._set_alarm()
        return due

    def clear(self) -> None:
        """Call all of them off."""
        self._heap.clear()
        self._alarms.clear()
        self._rings_s = inf

    def _run_due(self) -> None:
        self._rings_s, now_s = inf, self._clock.monotonic_s()
        while self._heap and (self._heap[0][2].is_off or self._heap[0][0] <= now_s):
            heapq.heappop(self._heap)[2].pass_by()
        self._set_alarm()

    def _set_alarm(self) -> None:
        while self._heap and self._heap[0][2].is_off:
            heapq.heappop(self._heap)
        if not self._heap or self._heap[0][0] >= self._rings_s:
            return  # one that rings for nothing is cheaper than one that is set and cancelled each time
        self._alarms.clear()
        self._rings_s = self._heap[0][0]
        left_s = min(max(0.0, self._rings_s - self._clock.monotonic_s()), YEAR_S)  # one that is further off is set anew
        if not self._alarms.is_pending(self._alarms.add(left_s, self._run_due)):
            self._rings_s = inf
