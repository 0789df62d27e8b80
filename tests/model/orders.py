"""Crashes and restarts that were ordered: which have yet to be carried out, and what each of them took."""

from collections import deque

from model.incarnation import Incarnation

from lightspeed.actors.topics.rules.events import Crash, Restart
from lightspeed.testing.clock import EPSILON_S

_MANY = 100  # crashes, of which nobody waits for more at once


class Orders:
    """Of one channel.

    Args:
        crash_timeout_s: of the channel. An order waits for no longer than that for a topic that handles nothing.
    """

    def __init__(self, crash_timeout_s: float) -> None:
        self.open: dict[int, Crash | Restart] = {}
        """Accepted, and not carried out yet, by number."""
        self._all: dict[int, Crash | Restart] = {}
        self._taken: deque[tuple[Crash, list[Incarnation]]] = deque(maxlen=_MANY)
        self._crash_timeout_s, self._moved_s = crash_timeout_s, 0.0

    def accept(self, seq: int, order: Crash | Restart, now_s: float, *, is_done: bool) -> None:
        """It has its number; `is_done`: it was carried out at once."""
        self._all[seq] = order
        if not is_done:
            if not self.open:
                self._moved_s = now_s
            self.open[seq] = order

    def carry_out(self, seq: int, now_s: float) -> Crash | Restart | None:
        """What gives out something of this number: an order, or None."""
        self.open.pop(seq, None)
        self._moved_s = now_s
        return self._all.get(seq)

    def move(self, now_s: float) -> None:
        """A topic has handled something, for which an order may have waited."""
        self._moved_s = now_s

    def overdue(self, now_s: float) -> str | None:
        """What is wrong with those that are open; None: nothing."""
        wait_s = now_s - self._moved_s
        if not self.open or wait_s <= 2 * self._crash_timeout_s + EPSILON_S:
            return None
        return f"{next(iter(self.open.values()))} was not carried out, and for {wait_s:g} s nothing was handled"

    def take(self, crash: Crash, incarnations: list[Incarnation]) -> None:
        """It took these."""
        self._taken.append((crash, incarnations))

    def taken_by(self, crash: Crash) -> list[Incarnation]:
        """The topics' actors that it took."""
        return next((taken for order, taken in self._taken if order is crash), [])
