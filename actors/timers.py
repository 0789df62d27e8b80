"""Calls that are put off: any number of them on one thread, which there is only while something is due."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from lightspeed.actors.logs import log
from lightspeed.actors.process import in_forked_child

# Cancelled calls stay in the heap until so many have gathered and they are half of it: then it is built anew.
_WORTH_COMPACTING = 64

_LONGEST_S = 86_400.0  # of one wait: no platform takes any number of seconds


class Timers:
    """Any thread may call it. One lock guards the heap; no call is made under it."""

    def __init__(self) -> None:
        # Taken by itself: to enter a Condition is code in Python, in the middle of which one may be hit
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._due: list[tuple[float, int, _Timer]] = []
        self._cancelled = 0
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._running: _Timer | None = None

    def call_later(self, delay_s: float, call: Callable[[], None]) -> "_Timer":
        """Call once, after the delay, on the timers' thread, which must not be blocked.

        Raises:
            RuntimeError: Python's own, where no thread can be started.
        """
        timer = _Timer(self, call)
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="Timers", daemon=True)
                thread.start()  # it waits for the lock that is held here
                self._thread = thread
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), timer))
            if self._due[0][2] is timer:
                self._changed.notify_all()
        return timer

    def join(self, timeout_s: float) -> list[str]:
        """Wait until nothing is due and the thread has ended; its name if it has not."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return []
        thread.join(timeout_s)
        return [thread.name] if thread.is_alive() else []

    def _cancel(self, timer: "_Timer") -> None:
        with self._lock:
            if timer.call is not None:
                timer.call = None
                self._cancelled += 1
                if self._cancelled > max(_WORTH_COMPACTING, len(self._due) // 2) or self._cancelled == len(self._due):
                    self._due = [entry for entry in self._due if entry[2].call is not None]
                    heapq.heapify(self._due)
                    self._cancelled = 0
                    self._changed.notify_all()
            while self._running is timer and self._thread is not threading.current_thread():
                self._changed.wait()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._running = None
                self._changed.notify_all()
                call = self._next()
                if call is None:
                    return
            try:
                call()
            except BaseException as error:  # the caller's code: the other calls come all the same
                log("error", "a call that was put off failed", error=error)

    def _next(self) -> Callable[[], None] | None:
        """Wait for what is due first, the lock is held; None: nothing is due any more, and the thread is to end."""
        while self._due:
            due_s, _, timer = self._due[0]
            left_s = due_s - time.monotonic()
            if timer.call is None:
                heapq.heappop(self._due)
                self._cancelled -= 1
            elif left_s > 0:
                self._changed.wait(min(left_s, _LONGEST_S))
            else:
                heapq.heappop(self._due)
                call, timer.call, self._running = timer.call, None, timer
                return call
        self._thread = None
        return None


class _Timer:
    __slots__ = ("_timers", "call")

    def __init__(self, timers: Timers, call: Callable[[], None]) -> None:
        self._timers = timers
        self.call: Callable[[], None] | None = call  # None: called, or cancelled

    def cancel(self) -> None:
        """Make sure that the call is not under way and will not come. Harmless when it has been."""
        self._timers._cancel(self)


class OwnTimer:
    """A message that an actor is to get from itself."""

    __slots__ = ("call", "delay_s", "every", "message", "name")

    def __init__(self, name: Hashable, message: Any, delay_s: float, every: bool) -> None:
        self.name, self.message, self.delay_s, self.every = name, message, delay_s, every
        self.call: Any = None
        """The call that was put off."""


_of_actors = Timers()


def call_later(delay_s: float, call: Callable[[], None]) -> _Timer:
    """As of `Timers`, of which all actors of the process share one."""
    return _of_actors.call_later(delay_s, call)


in_forked_child(lambda: globals().update(_of_actors=Timers()))  # their thread is in the parent
