"""A clock that moves only when it is told, and the calls that are put off on it. Pure."""

import heapq
import math
from collections.abc import Callable, Iterator

from msgspec import Struct

EPSILON_S = 1e-9
"""Sums of the same seconds in another order differ by less."""

# Cancelled calls stay until there are so many calls, or twice as many as were left the last time.
_WORTH_COMPACTING = 64


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
        self.count = 0
        """How many calls were put off so far: their numbers are from 1 up to this."""
        self._due: list[tuple[float, int, VirtualTimer]] = []
        self._most = _WORTH_COMPACTING

    def call_later(self, delay_s: float, call: Callable[[], None]) -> VirtualTimer:
        """Calls of one moment come in the order in which they were put off."""
        return self.call_at(self.now_s + delay_s, call)

    def call_at(self, when_s: float, call: Callable[[], None]) -> VirtualTimer:
        """As `call_later`, at a moment; what is past is due now."""
        if len(self._due) >= self._most:
            self._due = list(self._live())
            heapq.heapify(self._due)
            self._most = max(_WORTH_COMPACTING, 2 * len(self._due))
        timer = self.timer(call)
        heapq.heappush(self._due, (max(self.now_s, when_s), self.count, timer))
        return timer

    def timer(self, call: Callable[[], None]) -> VirtualTimer:
        """The next one, for what is due already: it is not kept."""
        self.count += 1
        return VirtualTimer(f"timer {self.count}", call)

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
    def kept(self) -> int:
        """How many calls it holds on to, those among them that were cancelled of late."""
        return len(self._due)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due at any time."""
        return not any(True for _ in self._live())

    def next_s(self) -> float:
        """The next moment at which something is due; infinity: nothing is."""
        while self._due and self._due[0][2].call is None:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else math.inf

    def last_s(self, number: int) -> float:
        """The last moment at which something is due of what was put off up to this number; now, where nothing is."""
        return max((when_s for when_s, of, _ in self._live() if of <= number), default=self.now_s)

    def _live(self) -> Iterator[tuple[float, int, VirtualTimer]]:
        return (entry for entry in self._due if entry[2].call is not None)
