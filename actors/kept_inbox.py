"""A threaded actor's inbox in which nothing is lost and no ask stays without an answer."""

import queue
import threading
from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import AskRing
from lightspeed.actors.pykka_inside import STOP, Envelope, refuse

if TYPE_CHECKING:
    from lightspeed.actors.exits import ExitReason
    from lightspeed.actors.watching import Watcher

_NOTHING: Envelope[Any] = Envelope(STOP)
"""What the thread of a dead actor gets, so that it does not wait for ever."""


class OwnFuture(pykka.ThreadingFuture[Any]):
    """The answer of a threaded actor, which can't come while that actor's own thread waits for it."""

    inbox: "KeptInbox | None" = None
    """Where the ask went."""

    def get(self, *, timeout: float | None = None) -> Any:
        """As of Pykka.

        Raises:
            AskRing: it was called by the actor that is to answer.
        """
        runner = None if self.inbox is None else self.inbox.runner
        if runner is None or runner[0] != threading.get_ident():
            return super().get(timeout=timeout)
        try:
            return super().get(timeout=0)
        except pykka.Timeout:
            raise AskRing([runner[1], runner[1]]) from None


class KeptInbox:
    """An inbox in which what a dead actor has not handled stays, where Pykka would drop it; asks are answered.

    The actor's thread and whoever calls `left_over` may both empty it: one at a time, under a lock. Who puts something in
    looks afterwards whether the actor is dead, and who stops the actor empties it afterwards: one of the two answers.
    """

    def __init__(self) -> None:
        self.stopped: threading.Event | None = None
        """The actor's own; set when it handles nothing any more."""
        self.runner: tuple[int, str] | None = None
        """The actor's thread, and its name, while it runs."""
        self._mortal_exit: tuple[Watcher, ...] | ExitReason = ()
        self._queue: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left: list[Any] = []

    def put(self, envelope: Envelope[Any], /) -> None:
        if type(envelope.reply_to) is OwnFuture:
            envelope.reply_to.inbox = self
        self._queue.put(envelope)
        if self.stopped is not None and self.stopped.is_set():
            self._empty_out()

    def get(self) -> Envelope[Any]:
        return self._queue.get()

    def empty(self) -> bool:
        if self.stopped is None or not self.stopped.is_set():
            return self._queue.empty()
        self._empty_out()
        return True

    def left_over(self) -> list[Any]:
        """Take what was told and will not be handled."""
        self._empty_out()
        with self._lock:
            left, self._left = self._left, []
        return left

    def _empty_out(self) -> None:
        with self._lock:
            while not self._queue.empty():  # under the lock nobody else takes, but for an actor that was given up and goes on
                try:
                    envelope = self._queue.get_nowait()
                except queue.Empty:
                    break
                if envelope is _NOTHING:
                    continue
                if envelope.reply_to is None:
                    self._left.append(envelope.message)
                else:
                    refuse(envelope, "an actor")
            if self.stopped is not None and self.stopped.is_set():
                self._queue.put(_NOTHING)
