"""How an actor is held up, for a time or for good: each kind of runtime has its way."""

import threading
from typing import Any, Protocol, runtime_checkable

from lightspeed.actors.runtime import Runtime
from lightspeed.actors.runtime_over import RuntimeOver


@runtime_checkable
class Pauses(Protocol):
    """A runtime that has this holds its actors up itself, as a simulation does; for any other their threads wait."""

    def pause(self, actor: Any, message: Any, seconds: float | None) -> bool:
        """Hold up the actor, which calls this in its own turn and has been told the message. None: for good.

        Returns:
            True when the time is over: the actor goes on. False at once, where the actor is to return: it gets the message again,
            before any other, when the time is over, and nothing until then. Meanwhile `left_over` must not give that message:
            the supervisor has it, and answers it where the actor is given up.
        """

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
    under: Any = runtime
    while isinstance(under, RuntimeOver):
        under = under.under
    return under if isinstance(under, Pauses) else Waits(runtime)
