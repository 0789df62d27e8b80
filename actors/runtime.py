"""The seam at which the kind of actor and the clock are passed in.

`Threads` runs every actor on a thread of its own, `Pool` all on a few workers. A simulation is another `Runtime`.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar, Protocol

import pykka

from lightspeed.actors.pool import ActorPool, here
from lightspeed.actors.pooled_actor import PooledActor
from lightspeed.actors.pooled_future import PooledFuture


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

    def blocking(self) -> AbstractContextManager[None]:
        """Around code of the user's that may block, in an actor: the others must not wait for it."""

    def retire(self) -> None:
        """The last actor is about to end: nothing is to be kept ready for more. Must not wait."""

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

    def blocking(self) -> AbstractContextManager[None]:
        return nullcontext()  # it has the thread for itself

    def retire(self) -> None:
        pass  # a thread ends with its actor

    def join(self, timeout_s: float) -> list[str]:
        deadline = time.monotonic() + timeout_s
        busy = []
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                busy.append(thread.name)
        return busy


class Pool:
    """`PooledActor`s on an `ActorPool` of the runtime's own, and the system's clock.

    Args:
        workers: as of `ActorPool`. Default 1.
        throughput: as of `ActorPool`. Default 100.
    """

    def __init__(self, workers: int = 1, throughput: int = 100) -> None:
        self._pool = ActorPool(workers, throughput)
        self._classes: dict[type, type[PooledActor]] = {}

    def start(self, role: type, *args: Any) -> pykka.ActorRef[Any]:
        if role not in self._classes:
            self._classes[role] = type(role.__name__, (role, _AtHome), {"home": self._pool})
        ref: pykka.ActorRef[Any] = self._classes[role].start(*args)
        return ref

    def future(self) -> pykka.Future[Any]:
        return PooledFuture()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return _ThreadTimer(delay_s, call)

    def monotonic_s(self) -> float:
        return time.monotonic()

    @contextmanager
    def blocking(self) -> Iterator[None]:
        if here.pool is not self._pool:
            yield
            return
        self._pool.worker_blocks()
        try:
            yield
        finally:
            self._pool.worker_goes_on()

    def retire(self) -> None:
        self._pool.retire()

    def join(self, timeout_s: float) -> list[str]:
        return self._pool.close(timeout_s)


class _AtHome(PooledActor):
    """An actor on the pool of its class."""

    home: ClassVar[ActorPool]

    def __init__(self) -> None:
        super().__init__(pool=self.home)


class _ThreadTimer:
    def __init__(self, delay_s: float, call: Callable[[], None]) -> None:
        self._thread = threading.Timer(delay_s, call)
        self._thread.daemon = True
        self._thread.start()

    def cancel(self) -> None:
        self._thread.cancel()
        self._thread.join()  # ends at once: the call does not block
