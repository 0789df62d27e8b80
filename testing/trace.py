"""What happened in a simulation, step by step, as lines of text; and its hash, by which two runs are told apart.

A line is what was done, to whom, and with what, apart by tabs. No line holds an address, a time of day or a number that differs
from machine to machine.
"""

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from lightspeed.actors.events import Broadcast, Crash, Join, Leave, Push, Rejoin, Restart
from lightspeed.actors.post import Delivery, Errand, Order, Question
from lightspeed.actors.pykka_inside import STOP, Envelope

_encode = msgspec.json.Encoder().encode
_EVENTS = frozenset((Broadcast, Crash, Join, Leave, Push, Rejoin, Restart))
_PLAIN = frozenset((str, int, float, bool, type(None)))
_LONGEST = 200  # of a user's own message


class Trace:
    """Appended to by one simulation."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, ...]] = []
        self.choices: list[int] = []
        """What the scheduler chose, wherever there was a choice."""
        self.widths: list[int] = []
        """From among how many."""

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return map("\t".join, self.entries)

    @property
    def hash(self) -> str:
        """Equal for equal runs, on any machine."""
        return hashlib.sha256("\n".join(self).encode("utf-8", "surrogatepass")).hexdigest()


def describe(message: Any) -> str:
    """A message in a line: events in full, messages of others by their type."""
    kind = type(message)
    if kind is Delivery:
        return _encode(message.request).decode()
    if kind is Order:
        return f"order {_encode(message.request).decode()}"
    if kind is Envelope:
        return describe(message.message) if message.reply_to is None else f"ask {describe(message.message)}"
    if message is STOP:
        return "stop"
    if kind is Question or kind is Errand:
        return kind.__name__.lower()
    if kind in _EVENTS:
        return _encode(message).decode()
    if kind in _PLAIN:
        return repr(message)[:_LONGEST]
    return str(kind.__name__)


class TracedRandom(random.Random):
    """Every number that is drawn stands in the trace."""

    def __new__(cls, seed: object, _trace: Trace) -> "TracedRandom":
        return super().__new__(cls, str(seed))  # type: ignore[call-arg]

    def __init__(self, seed: object, trace: Trace) -> None:
        self._entries = trace.entries
        super().__init__(f"draws {seed}")

    def random(self) -> float:
        number = super().random()
        self._entries.append(("draw", repr(number)))
        return number

    def getrandbits(self, k: int) -> int:
        number = super().getrandbits(k)
        self._entries.append(("draw", repr(number)))
        return number
