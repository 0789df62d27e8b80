"""A threaded actor's inbox in which nothing is lost and no ask stays without an answer."""

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightspeed.actors.errors import InForkedChild
from lightspeed.actors.forks import in_forked_child
from lightspeed.actors.pykka_inside import STOP, Envelope, refuse

if TYPE_CHECKING:
    from lightspeed.actors.exits import ExitReason
    from lightspeed.actors.watching import Watcher

_NOTHING: Envelope[Any] = Envelope(STOP)
"""What the thread of a dead actor gets, so that it does not wait for ever."""


_forks = 0
"""How many forks this process is away from the first one: an inbox of another number has its thread in a parent."""


class KeptInbox:
    """An inbox in which what a dead actor has not handled stays, where Pykka would drop it; asks are answered.

    The actor's thread and whoever calls `left_over` may both empty it: one at a time, under a lock. Who puts something in
    looks afterwards whether the actor is dead, and who stops the actor empties it afterwards: one of the two answers.
    """

    def __init__(self) -> None:
        self.stopped: threading.Event | None = None
        """The actor's own; set when it handles nothing any more."""
        self.owner: Callable[[], Any] = _nobody
        """Gives the actor, as long as it is there."""
        self._mortal_exit: tuple[Watcher, ...] | ExitReason = ()
        self._queue: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left: list[Any] = []
        self._forks = _forks

    def _mortal_is_up(self) -> bool:
        """Not known here: the actor says so itself, when it gets to its first message."""
        return False

    def put(self, envelope: Envelope[Any], /) -> None:
        if self._forks != _forks:
            raise InForkedChild
        reply = envelope.reply_to
        if reply is not None and hasattr(reply, "target"):
            reply.target = self.owner()  # who waits for it is known to wait for this actor
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


def _nobody() -> None:
    """Of an inbox whose actor has not begun."""


@in_forked_child
def _after_fork() -> None:
    global _forks
    _forks += 1
