"""The seam at which the kind of actor and the clock are passed in.

`Threads` runs every actor on a thread of its own, `Pool` all on a few workers but for those that are to have one. A simulation is
another `Runtime`; a `RuntimeWrapper` changes some of what another one starts, and leaves the rest to it.
"""

import random
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Protocol, runtime_checkable

import pykka

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.coroutines import Done, LoopThread, Task
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import ActorPool
from lightspeed.actors.process import WeakBag
from lightspeed.actors.ref import DECLINED, PooledHandle
from lightspeed.actors.threaded import DrainableRef, ThreadActor
from lightspeed.actors.timers import Timers
from lightspeed.actors.workers import blocking

__all__ = ["DECLINED", "Nobody", "Pool", "ReplyTo", "Runtime", "SupervisedRef", "Threads", "Timer"]


class Timer(Protocol):
    """A call that was put off."""

    def cancel(self) -> None:
        """Make sure that the call is not under way and will not come. Harmless when it has been."""


class ReplyTo(Protocol):
    """The place where an answer goes: a Pykka future, or something that collects several answers. It is set once."""

    def set(self, value: Any = None) -> None: ...


class Nobody:
    """Takes an answer that nobody is told."""

    def set(self, value: Any = None) -> None: ...

    def set_exception(self, exc_info: Any = None) -> None: ...


class SupervisedRef(Protocol):
    """An actor as its supervisor holds it. Any thread may call it."""

    def tell(self, message: Any) -> None:
        """Tell the actor a message, as Pykka's reference does."""

    def request(self, message: Any) -> None:
        """Tell the actor a message, for a caller that waits for the outcome: it does without a worker, if none can be started."""

    def stop_soon(self) -> None:
        """Have the actor stop when it has handled what it was told. Harmless where it is dead."""

    def stop_within(self, timeout_s: float) -> None:
        """As `stop_soon`, and wait for it.

        Raises:
            pykka.Timeout: it has not stopped in so many seconds.
        """

    def is_alive(self) -> bool: ...

    def tell_inline(self, message: Any, /) -> bool:
        """Let an idle actor handle the message in the calling thread; False, and nothing done, where it can't be.

        For an actor's own thread only, for roles of ours, whose code waits for nobody, and for no message by which user code is
        run.
        """
        ...

    def handle_inline(self, message: Any, /) -> bool:
        """Let an idle actor handle the message in the thread of a caller, whole or not at all; False, and nothing done, else.

        What it raises is the calling thread's own, and harms no actor.
        """
        ...

    def drain(self) -> list[Any]:
        """Take what an actor that is dead or given up was told and has yet to handle, in order."""
        ...


class Runtime(Protocol):
    """The kind of actor and the clock of a channel. Any thread may call any of it."""

    @property
    def is_one_thread(self) -> bool:
        """Whether all runs on the thread of one event loop: then that an actor blocks it is seen only when it is back."""
        ...

    def start(self, role: type, *args: Any) -> SupervisedRef:
        """Start an actor of this runtime's kind with the hooks of `role`, a class that is written without a kind.

        ...
        Raises:
            Exception: it could not be started; then nothing of it is left.
        """
        ...

    def start_on_thread(self, role: type, *args: Any) -> SupervisedRef:
        """Start an actor that may block: it must hold up no other."""
        ...

    def future(self) -> pykka.Future[Any]:
        """An empty future, of the kind that a thread outside the actors can wait on."""
        ...

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> bool:
        """Wait, outside of actors, until somebody releases the lock, which is taken; False after so many seconds."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, after the delay. The call must not block."""
        ...

    def monotonic_s(self) -> float:
        """A clock for deadlines, in seconds."""
        ...

    def now_ms(self) -> int:
        """The time of day, in milliseconds since the Unix epoch."""
        ...

    def random(self) -> float:
        """A number from 0 up and below 1, as of `random.Random`: for the jitter of backoffs."""
        ...

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        """Run an actor's coroutine on an event loop. What comes of it is told on the loop's thread, and not within this call.

        Raises:
            RuntimeError: no thread can be started, or the loop is closed.
        """
        ...

    def blocking(self) -> AbstractContextManager[None]:
        """Around code of the user's that may block, in an actor: the others must not wait for it, but for some milliseconds."""
        ...

    def holds_here(self) -> bool:
        """Whether the calling thread is in the middle of a call of the runtime's: then a finalizer, or a signal handler, asks."""
        ...

    def retire(self) -> None:
        """The last actor is about to end: nothing is to be kept ready for more. Must not wait."""
        ...

    def join(self, timeout_s: float, /) -> list[str]:
        """Wait until every stopped actor's resources are given back; the names of those that are still busy after the timeout."""
        ...


class OfSystem:
    """What runtimes have of the system: its time of day, and its randomness."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def random(self) -> float:
        return random.random()


class Threads(OfSystem):
    """Pykka's ThreadingActor, one daemon thread an actor, and the system's clock."""

    is_one_thread = False

    def __init__(self) -> None:
        self._timers = Timers()
        self._loop = LoopThread()
        self._threads: WeakBag[threading.Thread] = WeakBag()
        self._classes: dict[type, type[ThreadActor]] = {}

    def start(self, role: type, *args: Any) -> SupervisedRef:
        if role not in self._classes:
            self._classes[role] = type(role.__name__, (role, ThreadActor), {"threads": self._threads})
        ref = self._classes[role].start(*args)
        assert isinstance(ref, DrainableRef)
        return ref

    start_on_thread = start

    def future(self) -> pykka.Future[Any]:
        return PooledFuture()  # Pykka's waits in a queue, whose lock stays taken if a Ctrl-C comes as it is taken

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> bool:
        return lock.acquire(timeout=-1 if timeout_s is None else timeout_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self._timers.call_later(delay_s, call)

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        return self._loop.start_task(coroutine, done)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def blocking(self) -> AbstractContextManager[None]:
        return nullcontext()  # it has the thread for itself

    def holds_here(self) -> bool:
        return False

    def retire(self) -> None:
        pass  # a thread ends with its actor

    def join(self, timeout_s: float) -> list[str]:
        deadline = time.monotonic() + timeout_s
        busy = self._loop.close(timeout_s)
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                busy.append(thread.name)
        return busy + self._timers.join(max(0.0, deadline - time.monotonic()))


class Pool(Threads):
    """`PooledActor`s on an `ActorPool` of the runtime's own, and a thread for each actor that is to have one.

    Args:
        workers: as of `ActorPool`. Default 1.
        throughput: as of `ActorPool`. Default 100.
    """

    def __init__(self, workers: int = 1, throughput: int = 100) -> None:
        super().__init__()
        self._pool = ActorPool(workers, throughput)
        self._pooled_classes: dict[type, type[PooledActor]] = {}

    handles_inline = True
    """True: actors may handle an event in the thread that tells it."""

    def start(self, role: type, *args: Any) -> SupervisedRef:
        if role not in self._pooled_classes:
            self._pooled_classes[role] = type(role.__name__, (role, AtHome), {"home": self._pool})
        handle = PooledHandle if not self._pooled_classes[role].registered else SeenHandle
        return handle(self._pooled_classes[role]._pooled_start(*args))

    def start_on_thread(self, role: type, *args: Any) -> SupervisedRef:
        return super().start(role, *args)

    def blocking(self) -> AbstractContextManager[None]:
        return blocking

    def holds_here(self) -> bool:
        return self._pool.is_held_here

    def retire(self) -> None:
        self._pool.retire()

    def join(self, timeout_s: float) -> list[str]:
        deadline = time.monotonic() + timeout_s
        return super().join(timeout_s) + self._pool.close(max(0.0, deadline - time.monotonic()))


class SeenHandle(PooledHandle, frozen=True, gc=True):
    """A handle in the collector's sight: of actors that are few, and may lead back to what holds it."""


class AtHome(PooledActor):
    """An actor on the pool of its class."""

    home: ClassVar[ActorPool]

    def __init__(self) -> None:
        super().__init__(pool=self.home)


@runtime_checkable
class Layer(Protocol):
    """A thing that changes what a channel's runtime does: faults, capsules, metrics, or a program's own."""

    def over(self, runtime: Runtime) -> Runtime:
        """A runtime over this one, which is one channel's alone; most are a `RuntimeWrapper`. Called once for each channel."""
        ...


class RuntimeWrapper:
    """A layer over a runtime: it does as the one below, until a subclass says otherwise.

    What is not there costs nothing: no hook is left in the actors.
    """

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner
        self._mixed: dict[type, type] = {}

    def mixed(self, mixin: type, role: type, **own: Any) -> type:
        """The role with a mixin before it, and these attributes: one class for all of its actors."""
        if role not in self._mixed:
            self._mixed[role] = type(role.__name__, (mixin, role), {"__module__": role.__module__, **own})
        return self._mixed[role]

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        """Start an actor by the other's `start` or `start_on_thread`: here its role, arguments or reference may be changed."""
        return start(role, *args)

    def start(self, role: type, *args: Any) -> SupervisedRef:
        return self.begin(self.inner.start, role, args)

    def start_on_thread(self, role: type, *args: Any) -> SupervisedRef:
        return self.begin(self.inner.start_on_thread, role, args)

    def future(self) -> pykka.Future[Any]:
        return self.inner.future()

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> bool:
        return self.inner.wait(lock, timeout_s)

    @property
    def is_one_thread(self) -> bool:
        return self.inner.is_one_thread

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        return self.inner.start_task(coroutine, done)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self.inner.call_later(delay_s, call)

    def monotonic_s(self) -> float:
        return self.inner.monotonic_s()

    def now_ms(self) -> int:
        return self.inner.now_ms()

    def random(self) -> float:
        return self.inner.random()

    def blocking(self) -> AbstractContextManager[None]:
        return self.inner.blocking()

    def holds_here(self) -> bool:
        return self.inner.holds_here()

    def retire(self) -> None:
        self.inner.retire()

    def join(self, timeout_s: float) -> list[str]:
        return self.inner.join(timeout_s)


class RefWrapper:
    """A layer over a reference: it does as the one below, until a subclass says otherwise; never in the teller's own thread."""

    def __init__(self, inner: SupervisedRef) -> None:
        self.inner = inner

    def tell(self, message: Any) -> None:
        self.inner.tell(message)

    def request(self, message: Any) -> None:
        self.inner.request(message)

    def tell_inline(self, _message: Any) -> bool:
        return False

    def handle_inline(self, _message: Any) -> bool:
        return False

    def stop_soon(self) -> None:
        self.inner.stop_soon()

    def stop_within(self, timeout_s: float) -> None:
        self.inner.stop_within(timeout_s)

    def is_alive(self) -> bool:
        return self.inner.is_alive()

    def drain(self) -> list[Any]:
        return self.inner.drain()
