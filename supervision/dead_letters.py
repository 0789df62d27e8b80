"""What came from actors that had been given up, and so reaches nobody: kept for a look, counted and logged."""

import threading
from collections import deque
from typing import Any

from msgspec import Struct

from lightspeed.actors.logs import logger

# The last so many are kept; all are counted.
_KEPT = 1000


class DeadLetter(Struct, frozen=True):
    """One of them."""

    topic: str
    incarnation: int
    """Of the topic's actor that it was for, or from."""
    why: str
    """`late`: an actor that had been given up gave it out."""
    what: Any


class DeadLetters:
    """The supervisor adds to it, anybody may read it: one lock guards both."""

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
        logger.bind(topic=letter.topic, incarnation=letter.incarnation).warning("dead letter, {}: {}", letter.why, letter.what)

    @property
    def count(self) -> int:
        """How many there were in all."""
        return self._count

    def read(self) -> tuple[DeadLetter, ...]:
        """The last 1,000, the oldest first. They stay."""
        with self._lock:
            return tuple(self._letters)
