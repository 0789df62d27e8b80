"""A clock that moves only when it is told, and the calls that are put off on it. Pure."""

import heapq
import itertools
from collections.abc import Callable

from msgspec import Struct

EPSILON_S = 1e-9
"""Sums of the same seconds in another order differ by less."""


class VirtualTimer(Struct, eq=False):
    """A call that was put off."""

    name: str
    call: Callable[[], None] | None
    """None: it has been made, or was cancelled."""

    def cancel(self) -> None:
        """The call will not come. Harmless when it has been."""
        self.call = None


class VirtualClock:
    """Begins at 0."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, VirtualTimer]] = []
        self._numbers = itertools.count(1)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> VirtualTimer:
        """Calls of one moment come in the order in which they were put off."""
        number = next(self._numbers)
        timer = VirtualTimer(f"timer {number}", call)
        heapq.heappush(self._due, (self.now_s + max(0.0, delay_s), number, timer))
        return timer

    def advance(self, limit_s: float) -> list[VirtualTimer]:
        """Move on to the next moment at which something is due, if it comes by the limit, and else to the limit.

        Returns:
            What is due then, in order; empty at the limit.
        """
        due: list[VirtualTimer] = []
        while self._due and (not due or self._due[0][0] == self.now_s):
            if self._due[0][2].call is None:
                heapq.heappop(self._due)
            elif self._due[0][0] > limit_s:
                break
            else:
                self.now_s, _, timer = heapq.heappop(self._due)
                due.append(timer)
        if not due:
            self.now_s = max(self.now_s, limit_s)
        return due

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due at any time."""
        return not any(timer.call is not None for _, _, timer in self._due)
