"""The runtime of a simulation's channel: the same roles as anywhere, on the simulation's pool and clock."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import pykka

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.coroutines import Done, LoopTask, LoopTasks, Task
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import ActorPool
from lightspeed.actors.ref import PooledHandle
from lightspeed.actors.runtime import SupervisedRef, Timer
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.supervision.topics import TopicSupervisor
from lightspeed.testing.pool import SimulatedPool
from lightspeed.testing.simulated_channel import Gives


class SimulatedRuntime:
    """A `Runtime`. For the simulation's thread only.

    Args:
        make_loop: makes the event loop of its actors' coroutines, when there is the first. None: there are none.
    """

    is_one_thread = False

    def __init__(
        self,
        pool: SimulatedPool,
        draw: Callable[[], float],
        name: str,
        gives: Gives | None = None,
        make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._pool, self._draw, self._name, self._gives = pool, draw, name, gives
        self._make_loop = make_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks = LoopTasks()
        self._classes: dict[type, type[_Simulated]] = {}
        self._desk = _Desk(pool)

    def start(self, role: type, *args: Any) -> SupervisedRef:
        if role not in self._classes:
            self._classes[role] = type(role.__name__, (role, _Simulated), {"home": self._pool, "registered": False})
        if self._gives is not None and issubclass(role, TopicSupervisor):
            runtime, outlet, *others = args
            args = (runtime, self._gives.outlet(outlet, None), *others)
        elif self._gives is not None and issubclass(role, TopicActor):
            args[0].outlet = self._gives.outlet(args[0].outlet, args[0])
        actor = self._classes[role](*args)
        self._pool.adopt(actor, self._name_of(role, actor))
        if self._gives is not None:
            self._gives.started(actor)
        actor._start_actor_loop()
        return _Handle(actor)

    start_on_thread = start  # nobody blocks anybody: there is one thread, and one message at a time

    def future(self) -> pykka.Future[Any]:
        return PooledFuture(self._desk)

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> bool:
        return self._pool.wait_for(lock, timeout_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self._pool.call_later(delay_s, call)

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        if self._loop is None:
            assert self._make_loop is not None
            self._loop = self._make_loop()
        task = LoopTask(self._loop, self._tasks, done)
        task.begin(coroutine)
        return task

    def monotonic_s(self) -> float:
        return self._pool.clock.now_s

    def now_ms(self) -> int:
        return int(self._pool.clock.now_s * 1000)

    def random(self) -> float:
        return self._draw()

    def blocking(self) -> AbstractContextManager[None]:
        return nullcontext()

    def pause(self, actor: Any, message: Any, seconds: float | None) -> bool:
        """As of `Pauses`: the actor is not run until then, and others are."""
        self._pool.pause(actor, message, seconds)
        return False

    def end_pauses(self) -> None:
        for actor in self._pool.paused_of(self._classes.values()):
            self._pool.resume(actor)

    def holds_here(self) -> bool:
        return False

    def retire(self) -> None:
        pass

    def join(self, _timeout_s: float) -> list[str]:
        """What its actors have yet to do is done, as of those whose threads are waited for."""
        ours = tuple(self._classes.values())
        while any(isinstance(actor, ours) for actor in self._pool.ready):
            self._pool.step()
        return []

    def _name_of(self, role: type, actor: Any) -> str:
        if issubclass(role, TopicActor):
            return f"{self._name}{actor.cell.topic}#{actor.cell.incarnation}"
        return f"{self._name}{role.__name__}"


class _Simulated(PooledActor):
    """An actor on the pool of its class."""

    home: ClassVar[SimulatedPool]

    def __init__(self) -> None:
        super().__init__(pool=self.home)

    def _lifecycle_fail(self, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):  # that is for whoever runs the simulation, and no failure of the actor's
            self.home.broken = error
        else:
            super()._lifecycle_fail(error)


class _Handle(PooledHandle, frozen=True, gc=True):
    """Whoever tells it something runs nothing: that is for the scheduler to say."""

    def handle_inline(self, message: Any, *, is_callers: bool = True) -> bool:
        return False


class _Desk:
    """Stands for whoever may answer: who waits for it, waits by its pool."""

    _lifecycle_waits_for = None

    def __init__(self, pool: ActorPool) -> None:
        self._pooled_pool = pool
