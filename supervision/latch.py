"""Waiting for several answers as if they were one."""

import threading
from collections.abc import Callable
from typing import Any

from lightspeed.actors.runtime import ReplyTo


class Latch:
    """Tells a reply when as many parts have been told as were added. Parts may be told from any thread."""

    def __init__(self, reply: ReplyTo, value: Any = None) -> None:
        self._lock = threading.Lock()
        self._reply, self._value = reply, value
        self._open = 1  # the one who adds holds it open, until `close`

    def part(self) -> ReplyTo:
        """One more to wait for."""
        with self._lock:
            self._open += 1
        return self

    def set(self, value: Any = None) -> None:
        with self._lock:
            self._open -= 1
            last = self._open == 0
        if last:
            self._reply.set(self._value)

    close = set
    """No more parts will be added."""


class Census:
    """Gathers a value a topic into one dict, in the order in which the topics were added; then tells the reply."""

    def __init__(self, reply: ReplyTo) -> None:
        self._members: dict[str, int] = {}
        self._latch = Latch(reply, self._members)

    def add(self, topic: str, members: int) -> None:
        self._members[topic] = members

    def part(self, topic: str) -> ReplyTo:
        self._members[topic] = 0
        self._latch.part()
        return _Part(self._members, topic, self._latch)

    def close(self) -> None:
        self._latch.close()


class _Part:
    def __init__(self, members: dict[str, int], topic: str, latch: Latch) -> None:
        self._members, self._topic, self._latch = members, topic, latch

    def set(self, value: Any = None) -> None:
        self._members[self._topic] = value
        self._latch.set()


class Told:
    """A reply that tells something instead of a value: to whom it may concern that it has been set."""

    def __init__(self, tell: Callable[[Any], None], what: Any) -> None:
        self._tell, self._what = tell, what

    def set(self, value: Any = None) -> None:
        self._tell(self._what)
