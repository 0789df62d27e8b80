"""What was accepted or given out and reaches nobody: kept for a look, counted and logged."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from lightspeed.actors.logs import log
from lightspeed.actors.topics.mail import TopicLate
from lightspeed.actors.topics.rules.events import size_of

# The last so many are kept, as far as they have together no more than so many bytes; all are counted.
_KEPT = 1_000
_KEPT_BYTES = 16 * 1024 * 1024


class DeadLetter(Struct, frozen=True):
    """A message or an event that was given out or accepted, and reaches nobody."""

    topic: str | None
    """None: it was about the channel itself."""
    incarnation: int
    """Of the topic's actor that gave it out; 0: none did, or it is not known."""
    why: Literal["late", "stopped", "undelivered", "unhandled", "refused", "overloaded"]
    """`late`: an actor that had been given up gave it out. `stopped`: a behaviour gave it out in `on_stop`. `undelivered`: the
    sink raised, is an actor that is dead, or had not returned when the channel was closed. `unhandled`: the supervisor failed
    while it had this event in hand, and what came of that is not known. `refused`: an event of the program's (`Publish`, `Send`),
    who gets no reply, to a topic that is down or failed over it, or to no member. `overloaded`: an event for which the topic's
    mailbox had no room."""
    what: Any
    """The message; where it is `unhandled`, `refused` or `overloaded`, the event."""


class DeadLetters:
    """Anybody may add to it and read it, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: deque[tuple[DeadLetter, int]] = deque()
        self._bytes = 0
        self._count = 0
        self.watchers: tuple[Callable[[DeadLetter], object], ...] = ()
        """Told each letter, on the thread of whoever adds it, under no lock. They must not raise."""
        self.abandoned = 0
        """How many topic actors were given up; the supervisor counts."""
        self.shed = 0
        """How many events a mailbox had no room for."""

    def add(self, letter: DeadLetter) -> None:
        size = size_of(letter.what)
        with self._lock:
            self._count += 1
            self._letters.append((letter, size))
            self._bytes += size
            while len(self._letters) > _KEPT or self._bytes > _KEPT_BYTES:
                self._bytes -= self._letters.popleft()[1]
        log("warning", "dead letter, {}: {}", letter.why, letter.what, topic=letter.topic, incarnation=letter.incarnation)
        for watch in self.watchers:
            watch(letter)

    def note_shed(self) -> None:
        """Count an event for which a mailbox had no room."""
        with self._lock:
            self.shed += 1

    def take(self, late: TopicLate) -> None:
        """Add each message that a topic actor gave out in vain."""
        for message in late.messages:
            self.add(DeadLetter(late.cell.topic, late.cell.incarnation, late.why, message))

    @property
    def count(self) -> int:
        """The number of dead letters in all."""
        return self._count

    def read(self) -> tuple[DeadLetter, ...]:
        """The last 1,000, the oldest first, or those of them that have no more than 16 MiB together. They stay."""
        with self._lock:
            return tuple(letter for letter, _size in self._letters)
