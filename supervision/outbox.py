"""The outbox: what the topics emitted, until it is flushed. Used where a channel has no sink."""

import threading
from bisect import bisect_right
from itertools import chain
from operator import itemgetter
from typing import Any

from lightspeed.actors.outbound import Outbound
from lightspeed.actors.runtime import Reply
from lightspeed.actors.topic import Messages
from lightspeed.supervision.latch import Latch

_seq, _messages = itemgetter(0), itemgetter(1)


class Outbox:
    """Every actor puts, on its own thread; flushers take, one at a time.

    A put only appends, and a flusher takes what it has copied from the front: neither needs the other's lock. What a flush took
    and may not give out yet, since it was accepted later than the flush was called, is kept in `_held`, under the flushers' lock.
    """

    def __init__(self) -> None:
        self._emitted: list[tuple[int, Messages]] = []
        self._lock = threading.Lock()
        self._held: list[tuple[int, Messages]] = []

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> bool:
        if messages:
            self._emitted.append((seq, messages))
        if reply is not None:
            reply.set(value)
        return False

    def take(self, last_seq: float) -> list[Outbound]:
        """All messages of events up to the number (`inf`: all), in the order of acceptance; they are gone from here."""
        with self._lock:
            emitted = self._emitted[:]
            del self._emitted[: len(emitted)]
            entries = self._held + emitted
            entries.sort(key=_seq)
            self._held = entries[bisect_right(entries, last_seq, key=_seq) :]
            del entries[len(entries) - len(self._held) :]
            return list(chain.from_iterable(map(_messages, entries)))

    # An outbox runs no user code: there is nothing to deliver, to wait for, to give up or to stop.

    def deliver(self, topic: str | None) -> None: ...

    def ring(self, topic: str | None) -> None: ...

    def settle(self, latch: Latch) -> None: ...

    def abandon(self, topic: str) -> None: ...

    def is_at_work(self, topic: str) -> bool:
        return False

    def close(self) -> None: ...

    def give_up(self) -> None: ...
