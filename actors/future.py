"""The future of a pooled actor: cheap while nobody has to wait for it."""

import queue
import sys
import threading
from types import TracebackType
from typing import Any

import pykka

from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import AskRing, InsideActor
from lightspeed.actors.pool import look_after_all
from lightspeed.actors.process import in_forked_child
from lightspeed.actors.text import named
from lightspeed.actors.workers import wait_for

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

_lock = threading.RLock()
"""Guards who adds a waiter to a future, and who waits for whom. Re-entrant: a finalizer may wait within a wait that begins."""


class PooledFuture(pykka.Future[Any]):
    """Set once, by any thread; got as often as wanted, by any.

    Who gets adds a waiter of his own and then looks for the outcome; who sets sets the outcome and then looks for waiters. One
    deletion from `_unset` gives the right to set it to one thread only; behind it comes no call until the outcome is there.
    """

    __slots__ = ("_get_hook", "_get_hook_result", "_outcome", "_unset", "_waiters", "target")

    def __init__(self, target: Any = None) -> None:
        self._get_hook = None  # the rest of what Pykka's __init__ does is for hooks, and costs as much as all this
        self._outcome: tuple[bool, Any] | None = None  # whether it is an exception, and what
        self._unset = [True]
        self._waiters: tuple[threading.Lock, ...] = ()
        self.target = target
        """The actor that is to answer, or for which that one waits in its turn; None where it is not known."""

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

    @property
    def is_set(self) -> bool:
        return self._outcome is not None

    def tell(self, waiter: Any) -> None:
        """Have the waiter released, which may be more than once, when there is an outcome."""
        with _lock:
            self._waiters = (*self._waiters, waiter)
        if self._outcome is not None:
            waiter.release()

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
            del self._unset[0]
        except IndexError:
            raise queue.Full from None
        self._outcome = outcome
        for waiter in self._waiters:
            waiter.release()

    def _wait(self, timeout: float | None) -> None:
        pool = getattr(self.target, "_pooled_pool", None)
        if pool is not None and pool.is_held_here:
            raise InsideActor("an ask", "a call of its pool that it interrupted")
        caller: Any = current_actor()
        if not hasattr(type(caller), "_lifecycle_end"):  # of others than ours it is not kept for whom they wait
            caller = None
        waiter = threading.Lock()
        waiter.acquire()
        with _lock:
            self._waiters = (*self._waiters, waiter)
            ring = _ring(caller, self.target)
            if caller is not None and not ring:
                caller._lifecycle_waits_for = self
        if ring:
            raise AskRing([named(actor) for actor in ring])
        try:
            if self._outcome is None and not self._wait_for(pool, waiter, timeout):
                raise pykka.Timeout(f"{timeout} seconds")
        finally:
            if caller is not None:
                caller._lifecycle_waits_for = None

    def _wait_for(self, pool: Any, waiter: threading.Lock, timeout: float | None) -> bool:
        if pool is not None:
            return bool(pool.wait_for(waiter, timeout))
        return wait_for(waiter, timeout, lambda: self._outcome is not None or look_after_all())


def lead_on(answer: Any, caller: Any, target: Any) -> AskRing | None:
    """Note that the answer, for which the caller waits, waits for this actor by now; and not if that closes a ring: its error."""
    with _lock:
        ring = _ring(caller, target)
        if not ring:
            answer.target = target
    return AskRing([named(actor) for actor in ring]) if ring else None


def _ring(caller: Any, target: Any) -> list[Any]:
    """The ring of actors that wait for one another, from the caller back to itself; empty where none does."""
    ring, node = [caller], target
    while caller is not None and node is not None:
        ring.append(node)
        if node is caller:
            return ring
        node = node._lifecycle_waits_for
        if isinstance(node, PooledFuture):
            node = node.target if node._outcome is None else None
    return []


in_forked_child(lambda: globals().update(_lock=threading.RLock()))  # another thread of the parent's may hold it
