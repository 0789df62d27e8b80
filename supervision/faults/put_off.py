"""Calls that a fault puts off until later, none of which comes after the end of the channel."""

import threading
from collections.abc import Callable

from lightspeed.actors.runtime import Runtime, Timer


class PutOff:
    """Any thread may use it. One lock guards the table; no call is made, and no timer cancelled, under it."""

    def __init__(self, runtime: Runtime, lose: Callable[[], None]) -> None:
        self._runtime, self._lose = runtime, lose
        self._lock = threading.Lock()
        self._ended = False
        self._pending: dict[object, tuple[Timer, bool]] = {}

    def later(self, delay_s: float, call: Callable[[], None], *, counts: bool = True) -> None:
        """Call after the delay.

        Args:
            counts: whether something is lost where the call never comes. Default True.
        """
        key = object()

        def run() -> None:
            with self._lock:
                is_pending = self._pending.pop(key, None) is not None
            if is_pending:
                call()

        with self._lock:
            if not self._ended:
                self._pending[key] = self._runtime.call_later(delay_s, run), counts
                return
        if counts:
            self._lose()

    def end(self) -> None:
        """None of those that are pending will come."""
        with self._lock:
            self._ended = True
            pending, self._pending = self._pending, {}
        for timer, counts in pending.values():
            timer.cancel()
            if counts:
                self._lose()
