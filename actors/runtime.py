"""The seam at which the kind of actor and the clock are passed in.

`Threads` runs every actor on a thread of its own. A pool of workers or a simulation is another `Runtime`.
"""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import pykka


class Timer(Protocol):
    """A call that was put off."""

    def cancel(self) -> None:
        """Make sure that the call is not under way and will not come. Harmless when it has been."""


class Reply(Protocol):
    """Where an answer goes: a Pykka future, or something that collects several answers. It is set once."""

    def set(self, value: Any = None) -> None: ...


class Runtime(Protocol):
    """What a channel asks of whatever runs its actors. Any thread may call any of it."""

    def start(self, role: type, *args: Any) -> pykka.ActorRef[Any]:
        """Start an actor of this runtime's kind with the hooks of `role`, a class that is written without a kind.

        Raises:
            Exception: it could not be started; then nothing of it is left.
        """

    def future(self) -> pykka.Future[Any]:
        """An empty future, of the kind that a thread outside the actors can wait on."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, after the delay. The call must not block."""

    def monotonic_s(self) -> float:
        """A clock for deadlines, in seconds."""

    def join(self, timeout_s: float) -> list[str]:
        """Wait until every stopped actor's resources are given back; the names of those that are still busy after the timeout."""


class _DaemonActor(pykka.ThreadingActor):
    """An actor whose thread holds up no interpreter's exit, and is known to its runtime."""

    use_daemon_thread = True
    threads: ClassVar["weakref.WeakSet[threading.Thread]"]

    def _start_actor_loop(self) -> None:  # Pykka's hook for actor types
        thread = threading.Thread(target=self._actor_loop, name=str(self), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads; Pykka has registered the actor already, and stop_all() would wait for it
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()
            raise
        self.threads.add(thread)


class Threads:
    """Pykka's ThreadingActor, one daemon thread an actor, and the system's clock."""

    def __init__(self) -> None:
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._classes: dict[type, type[pykka.Actor]] = {}

    def start(self, role: type, *args: Any) -> pykka.ActorRef[Any]:
        if role not in self._classes:
            self._classes[role] = type(role.__name__, (role, _DaemonActor), {"threads": self._threads})
        return self._classes[role].start(*args)

    def future(self) -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return _ThreadTimer(delay_s, call)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def join(self, timeout_s: float) -> list[str]:
        deadline = time.monotonic() + timeout_s
        busy = []
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                busy.append(thread.name)
        return busy


class _ThreadTimer:
    def __init__(self, delay_s: float, call: Callable[[], None]) -> None:
        self._thread = threading.Timer(delay_s, call)
        self._thread.daemon = True
        self._thread.start()

    def cancel(self) -> None:
        self._thread.cancel()
        self._thread.join()  # ends at once: the call does not block
