"""The outbox: what the topics emitted, until it is flushed. Used where a channel has no sink."""

import threading
from bisect import bisect_right
from operator import itemgetter
from typing import Any

from lightspeed.actors.runtime import Reply
from lightspeed.actors.topic import Messages
from lightspeed.supervision.latch import Latch

_seq = itemgetter(0)


class Outbox:
    """Every actor puts, on its own thread; flushers take, one at a time.

    A put only appends, and a flusher takes what it has copied from the front: neither needs the other's lock. What a flush took
    and may not give out yet, since it was accepted later than the flush was called, is kept in `_held`, under the flushers' lock.
    """

    def __init__(self) -> None:
        self.emitted: list[tuple[int, Messages]] = []
        self._lock = threading.RLock()
        self._held: list[tuple[int, Messages]] = []

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> bool:
        if messages:
            self.emitted += ((seq, messages),)
        if reply is not None:
            reply.set(value)
        return False

    def take(self, last_seq: float, taken: list[tuple[int, Messages]]) -> None:
        """Move all messages of events up to the number (`inf`: all) from here to the list, in the order of acceptance.

        They are there or here, whatever hits the calling thread; where it is hit later, `give_back` them.
        """
        with self._lock:
            emitted, count = self.emitted, len(self.emitted)
            entries = self._held + emitted[:count]
            entries.sort(key=_seq)
            end = bisect_right(entries, last_seq, key=_seq)
            given, kept = entries[:end], entries[end:]
            del emitted[:count]  # from here on nothing is called
            self._held = kept
            taken += given

    def give_back(self, taken: list[tuple[int, Messages]]) -> None:
        """What was taken, and could not be handed over, is taken again by the next flush."""
        self.emitted += taken

    # An outbox runs no user code: there is nothing to deliver, to wait for, to give up or to stop.

    def deliver(self, topic: str | None) -> None: ...

    def ring(self, topic: str | None) -> None: ...

    def settle(self, latch: Latch) -> None: ...

    def abandon(self, topic: str) -> None: ...

    def is_at_work(self, topic: str) -> bool:
        return False

    def close(self) -> None: ...

    def give_up(self) -> None: ...
