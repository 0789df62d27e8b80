"""What the actors of one channel need to go wrong by plan: calls put off, and ways in which an actor is held up."""

import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import pykka
from msgspec import Struct

from lightspeed.actors.runtime import Runtime, RuntimeWrapper, Timer
from lightspeed.actors.topics.mail import TopicCell
from lightspeed.faults.injector import Injector


class DelayedCalls:
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


@runtime_checkable
class Pauses(Protocol):
    """A runtime that has this holds its actors up itself, as a simulation does; for any other their threads wait."""

    def pause(self, actor: Any, message: Any, seconds: float | None) -> bool:
        """Hold up the actor, which calls this in its own turn and has been told the message. None: for good.

        Returns:
            True when the time is over: the actor goes on. False at once, where the actor is to return: it gets the message again,
            before any other, when the time is over, and nothing until then. Meanwhile `drain` must not give that message:
            the supervisor has it, and answers it where the actor is given up.
        """
        ...

    def end_pauses(self) -> None:
        """The channel ends: whoever is held up goes on. Must not wait."""


class Waits:
    """The pause of an actor that may block a thread. Any thread may use it; one lock guards who waits."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._waiting: set[threading.Event] = set()
        self._ended = False

    def pause(self, actor: Any, message: Any, seconds: float | None) -> bool:
        over = threading.Event()
        with self._lock:
            if self._ended:
                return True
            self._waiting.add(over)
        timer = None if seconds is None else self._runtime.call_later(seconds, over.set)
        with self._runtime.blocking():
            over.wait()
        if timer is not None:
            timer.cancel()
        with self._lock:
            self._waiting.discard(over)
        return True

    def end_pauses(self) -> None:
        with self._lock:
            self._ended = True
            for over in self._waiting:
                over.set()


def pauses_of(runtime: Runtime) -> Pauses:
    """The runtime's own way, also where others stand over it, or that of threads."""
    inner: Any = runtime
    while isinstance(inner, RuntimeWrapper):
        inner = inner.inner
    return inner if isinstance(inner, Pauses) else Waits(runtime)


class FaultContext(Struct, frozen=True, eq=False):
    """Shared by all of them."""

    injector: Injector
    pauses: Pauses
    delayed: DelayedCalls
    elapsed_s: Callable[[], float]
    """Since the channel began, by a clock that does not jump."""
    alive: dict[TopicCell, pykka.ActorRef[Any]]
    """The topics' actors. Each enters itself at its birth and takes itself out at its end."""
