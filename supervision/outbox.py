"""The outbox: what the topics emitted, until it is flushed. Used where a channel has no sink."""

import threading
from collections import deque
from operator import itemgetter
from typing import Any

from lightspeed.actors.outbound import Outbound
from lightspeed.actors.runtime import Reply
from lightspeed.actors.topic import Messages
from lightspeed.supervision.latch import Latch


class Outbox:
    """Every actor puts, on its own thread; flushers take, one at a time.

    `deque.append` and `popleft` are atomic, so that a put takes no lock; what a flush took and may not give out yet, since it
    was accepted later than the flush was called, is kept in `_held`, under the flushers' lock.
    """

    def __init__(self) -> None:
        self._emitted: deque[tuple[int, Messages]] = deque()
        self._lock = threading.Lock()
        self._held: list[tuple[int, Messages]] = []

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> None:
        if messages:
            self._emitted.append((seq, messages))
        if reply is not None:
            reply.set(value)

    def take(self, last_seq: float) -> list[Outbound]:
        """All messages of events up to the number (`inf`: all), in the order of acceptance; they are gone from here."""
        with self._lock:
            entries = self._held
            while self._emitted:
                entries.append(self._emitted.popleft())
            entries.sort(key=itemgetter(0))
            taken = [message for seq, messages in entries if seq <= last_seq for message in messages]
            self._held = [entry for entry in entries if entry[0] > last_seq]
            return taken

    # An outbox runs no user code: there is nothing to deliver, to wait for, to give up or to stop.

    def deliver(self, topic: str | None) -> None: ...

    def ring(self, topic: str | None) -> None: ...

    def settle(self, latch: Latch) -> None: ...

    def abandon(self, topic: str) -> None: ...

    def close(self) -> None: ...
