"""Objects that are known without being kept alive, and without code that runs when one of them goes.

A `weakref.WeakSet` has a callback in Python, which comes in whatever thread drops the last reference; what a signal handler
raises in the middle of it is swallowed.
"""

import threading
import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

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
        """In a forked child: a thread that held it is in the parent."""
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Object]:
        for ref in self._refs[:]:
            what = ref()
            if what is not None:
                yield what

    def __len__(self) -> int:
        """How many are there yet."""
        return sum(1 for _ in self)
