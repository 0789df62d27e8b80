"""The future of a pooled actor: cheap while nobody has to wait for it."""

import queue
import sys
import threading
from types import TracebackType
from typing import Any

import pykka

from lightspeed.actors.blocking import wait_for
from lightspeed.actors.errors import AskRing
from lightspeed.actors.spot import here

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

_lock = threading.Lock()
"""Guards who makes a future's waiter, and who waits for whom."""


class PooledFuture(pykka.Future[Any]):
    """Set once, by any thread; got as often as wanted, by any.

    Who gets sets a waiter and then looks for the outcome; who sets sets the outcome and then looks for a waiter. One `pop` from
    `_unset` gives the right to set it to one thread only.
    """

    __slots__ = ("_get_hook", "_get_hook_result", "_outcome", "_unset", "_waiter", "target")

    def __init__(self, target: Any = None) -> None:
        self._get_hook = None  # the rest of what Pykka's __init__ does is for hooks, and costs as much as all this
        self._outcome: tuple[bool, Any] | None = None  # whether it is an exception, and what
        self._unset = [True]
        self._waiter: threading.Lock | None = None
        self.target = target
        """The actor that is to answer; None where it is not known."""

    def get(self, *, timeout: float | None = None) -> Any:
        if self._outcome is None:
            if self._get_hook is not None:
                return super().get(timeout=timeout)  # Pykka's map, join and the like
            self._wait(timeout)
        assert self._outcome is not None
        failed, value = self._outcome
        if failed:
            _kind, error, traceback = value
            raise error.with_traceback(traceback)
        return value

    def set(self, value: Any = None) -> None:
        self._settle((False, value))

    def set_exception(self, exc_info: Any = None) -> None:
        assert exc_info is None or len(exc_info) == 3
        kind, error, traceback = sys.exc_info() if exc_info is None else exc_info
        assert kind is not None
        self._settle((True, (kind, kind() if error is None else error, traceback)))

    def set_get_hook(self, func: Any) -> None:
        if self._outcome is not None:
            raise queue.Full
        super().__init__()
        super().set_get_hook(func)

    def _settle(self, outcome: tuple[bool, Any]) -> None:
        if self._get_hook is not None:
            raise queue.Full
        try:
            self._unset.pop()
        except IndexError:
            raise queue.Full from None
        self._outcome = outcome
        if self._waiter is not None:
            self._waiter.release()

    def _wait(self, timeout: float | None) -> None:
        caller, pool = here.spot.actor, None if self.target is None else self.target._pooled_pool
        with _lock:
            if self._waiter is None:
                waiter = threading.Lock()
                waiter.acquire()
                self._waiter = waiter
            waiter = self._waiter
            if self._outcome is not None:
                return
            if caller is not None and self.target is not None:
                _refuse_ring(caller, self.target)
                caller._pooled_waits_for = self.target
        try:
            if not (wait_for(waiter, timeout) if pool is None else pool.wait_for(waiter, timeout)):
                raise pykka.Timeout(f"{timeout} seconds")
            waiter.release()  # for the next who waits
        finally:
            if caller is not None:
                caller._pooled_waits_for = None


def _refuse_ring(caller: Any, target: Any) -> None:
    ring, node = [caller], target
    while node is not None:
        ring.append(node)
        if node is caller:
            raise AskRing([str(actor) for actor in ring])
        node = node._pooled_waits_for
