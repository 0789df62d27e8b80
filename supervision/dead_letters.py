"""What was accepted or given out and reaches nobody: kept for a look, counted and logged."""

import threading
from collections import deque
from typing import Any, Literal

from msgspec import Struct

from lightspeed.actors.logs import log
from lightspeed.actors.post import TopicLate

# The last so many are kept; all are counted.
_KEPT = 1000


class DeadLetter(Struct, frozen=True):
    """One of them."""

    topic: str | None
    """None: it was about the channel itself."""
    incarnation: int
    """Of the topic's actor that gave it out; 0: none did, or it is not known."""
    why: Literal["late", "stopped", "undelivered", "unhandled"]
    """`late`: an actor that had been given up gave it out. `stopped`: a behaviour gave it out in `on_stop`. `undelivered`: the
    sink raised, is an actor that is dead, or had not returned when the channel was closed. `unhandled`: the supervisor failed
    while it had this event in hand, and what came of that is not known."""
    what: Any
    """The message; where it is `unhandled`, the event."""


class DeadLetters:
    """Anybody may add to it and read it, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: deque[DeadLetter] = deque(maxlen=_KEPT)
        self._count = 0
        self.abandoned = 0
        """How many topic actors were given up; the supervisor counts."""

    def add(self, letter: DeadLetter) -> None:
        with self._lock:
            self._letters.append(letter)
            self._count += 1
        log("warning", "dead letter, {}: {}", letter.why, letter.what, topic=letter.topic, incarnation=letter.incarnation)

    def take(self, late: TopicLate) -> None:
        """Add each message that a topic actor gave out in vain."""
        for message in late.messages:
            self.add(DeadLetter(late.post.topic, late.post.incarnation, late.why, message))

    @property
    def count(self) -> int:
        """How many there were in all."""
        return self._count

    def read(self) -> tuple[DeadLetter, ...]:
        """The last 1,000, the oldest first. They stay."""
        with self._lock:
            return tuple(self._letters)
