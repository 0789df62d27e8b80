"""What the whole process shares: what a forked child does first, and objects that are known without being kept alive.

Locks that another thread held at the fork would stay taken for ever. A `weakref.WeakSet` has a callback in Python, which comes
in whatever thread drops the last reference; what a signal handler raises in the middle of it is swallowed. A `WeakBag` has none.
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar


def in_forked_child(call: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in every child that is forked from here on; as a decorator too. Nothing where there is no fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
    return call


Object = TypeVar("Object")


class WeakBag(Generic[Object]):
    """Any thread may add to it and go through it. Each object is added once."""

    def __init__(self) -> None:
        self._refs: list[weakref.ref[Object]] = []
        self._prune_at = 16
        self._lock = threading.RLock()

    def add(self, what: Object) -> None:
        with self._lock:
            if len(self._refs) >= self._prune_at:
                self._refs = [ref for ref in self._refs if ref() is not None]
                self._prune_at = 16 + 2 * len(self._refs)
            self._refs += (weakref.ref(what),)

    def renew_lock(self) -> None:
        """Renew the lock, in a forked child: a thread that held it is in the parent."""
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Object]:
        for ref in self._refs[:]:
            what = ref()
            if what is not None:
                yield what

    def __len__(self) -> int:
        """The number of objects that are there yet."""
        return sum(1 for _ in self)
