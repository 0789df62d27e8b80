"""Actors on an asyncio event loop, without any thread: the runtime `Loop`, its pool, and how a coroutine waits for an actor.

All of it is for the loop's own thread, but for a `LoopDoor`, which is the way in from others.
"""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, ClassVar

import pykka

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.context import here
from lightspeed.actors.coroutines import Done, LoopTask, Task
from lightspeed.actors.errors import InsideActor, PoolClosed, WrongLoop
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import ActorPool, Runnable
from lightspeed.actors.ref import PooledHandle
from lightspeed.actors.runtime import SupervisedRef, Timer

_TURN_S = 0.001  # so long actors run before the loop has its turn


class LoopDoor:
    """The way into an event loop from other threads: however many calls come at once, the loop is woken once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._thread = threading.get_ident()
        self._calls: deque[Callable[[], object]] = deque()
        self._is_rung = False

    def call(self, call: Callable[[], object]) -> None:
        """Have it called on the loop's thread: at once, where that calls. It must not raise. Any thread may call this."""
        if threading.get_ident() == self._thread:
            call()
            return
        self._calls.append(call)
        if not self._is_rung:
            self._is_rung = True
            try:
                self.loop.call_soon_threadsafe(self._open)
            except RuntimeError:
                pass  # the loop is closed, and nobody waits there any more

    def _open(self) -> None:
        self._is_rung = False  # first: who comes from here on rings anew
        for _ in range(len(self._calls)):
            self._calls.popleft()()


class LoopWaiter:
    """Stands where a taken lock stands, for a coroutine that waits until it is released."""

    __slots__ = ("_door", "_future")

    def __init__(self, door: LoopDoor) -> None:
        self._door = door
        self._future: asyncio.Future[bool] = door.loop.create_future()

    def release(self) -> None:
        """Any thread may call it."""
        self._door.call(lambda: self._settle(True))

    async def wait(self, timeout_s: float | None) -> bool:
        """Whether it was released within so many seconds; None: for ever."""
        if timeout_s is None:
            return await self._future
        timer = self._door.loop.call_later(max(0.0, timeout_s), self._settle, False)
        try:
            return await self._future
        finally:
            timer.cancel()

    def _settle(self, is_released: bool) -> None:
        if not self._future.done():
            with suppress(RuntimeError):  # the loop is closed, and nobody waits there any more
                self._future.set_result(is_released)


class LoopTimer:
    """A call that a loop puts off."""

    _handle: asyncio.TimerHandle | None = None
    _is_cancelled = False

    def begin(self, loop: Any, delay_s: float, call: Callable[[], None]) -> None:
        if not self._is_cancelled:
            self._handle = loop.call_later(delay_s, call)

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._handle is not None:
            self._handle.cancel()


class LoopPool(ActorPool):
    """A pool whose actors run on an event loop, at most 1 ms of them a turn; one that takes longer over one message holds it up.

    It is bound to the loop on which it is used first.
    """

    tells_of_actors = True

    def __init__(self) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._has_turn = False
        self._early: list[Callable[[], object]] = []
        """Timers from before it was bound."""

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have its actors run on this loop, whose thread calls."""
        self.loop, self._thread = loop, threading.get_ident()
        early, self._early = self._early, []
        for call in early:
            call()
        self._arm()

    def when_bound(self, call: Callable[[], object]) -> None:
        """Call it when there is a loop: at once, where there is."""
        if self.loop is None:
            self._early.append(call)
        else:
            call()

    def schedule(self, actor: Runnable) -> None:
        if self.loop is not None and threading.get_ident() != self._thread:
            raise WrongLoop("an actor of it", "on another thread")
        self._line_up(actor)

    def _line_up(self, actor: Runnable) -> None:
        if self._closed:
            raise PoolClosed
        if self.scheduled.setdefault(id(actor), place := (actor,)) is place:
            self._ready.append(actor)
            self._arm()

    def take_up(self, actor: Runnable) -> None:
        if not self._closed:
            self._ready.append(actor)
            self._arm()

    def _arm(self) -> None:
        if self._ready and not self._has_turn and self.loop is not None:
            try:
                self.loop.call_soon(self._turn)
            except RuntimeError:  # the loop is closed
                raise PoolClosed from None
            self._has_turn = True

    def _turn(self) -> None:
        """Run who is ready, one message at a time."""
        context, ready, end_s = here.context, self._ready, time.perf_counter() + _TURN_S
        context.is_in_turn, context.is_lent = True, True
        try:
            while ready:
                actor = ready.popleft()
                more: bool | None = False
                try:
                    more = actor._pooled_run(1, context)
                finally:
                    context.actor = None
                    if more:
                        ready.append(actor)
                    elif more is not None:
                        del self.scheduled[id(actor)]
                        if actor._pooled_inbox:
                            self.schedule_rest(actor)
                if time.perf_counter() >= end_s:
                    break
        except KeyboardInterrupt:  # it is for whoever runs the loop, too
            raise
        except BaseException:  # it has failed the actor that raised it, and is nobody else's
            pass
        finally:
            context.is_in_turn, context.is_lent, self._has_turn = False, False, False
            if not self._closed:
                self._arm()

    def strand(self, actor: Runnable) -> None:
        pass  # no thread is missing here

    def look_after(self) -> None:
        pass

    def give_up(self, actor: Runnable) -> None:
        pass  # who blocks, blocks the loop

    def wait_for(self, signal: threading.Lock, timeout_s: float | None) -> bool:
        """
        Raises:
            InsideActor: there is nobody who could release it while its own thread waits. WrongLoop: on another thread.
        """
        if threading.get_ident() != self._thread:
            raise WrongLoop("what runs on it", "on another thread")
        raise InsideActor("a blocking call", "the thread of the loop that would have to answer", "await it")

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, after the delay, which begins when there is a loop."""
        timer = LoopTimer()
        self.when_bound(lambda: timer.begin(self.loop, delay_s, call))
        return timer

    def monotonic_s(self) -> float:
        return time.monotonic() if self.loop is None else self.loop.time()

    def retire(self) -> None:
        pass  # it keeps nothing ready

    def close(self, timeout_s: float = 0.0) -> list[str]:
        """From here on nobody runs; none is busy, since who calls has the thread."""
        self._closed = True
        return []

    def _count_left(self) -> int:
        return 0  # what waited there went with the loop

    def _wait_until_idle(self, deadline_s: float) -> None:
        pass  # at the interpreter's end no loop runs

    @property
    def _is_idle(self) -> bool:
        return True


class Loop:
    """The runtime of an `AsyncChannel` by which every actor runs on the event loop itself: no thread is needed, and none started.

    A hook that blocks holds up the loop, and so all others; where it took longer than `event_timeout_s` its topic fails when it
    is back. Topics can't have threads of their own.
    """

    is_one_thread = True
    handles_inline = True

    def __init__(self) -> None:
        self.pool = LoopPool()
        self.tasks: set[LoopTask] = set()
        """All that run for its actors."""
        self._classes: dict[type, type[PooledActor]] = {}
        self._desk = _Desk(self.pool)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on this loop, whose thread calls."""
        self.pool.bind(loop)

    def start(self, role: type, *args: Any) -> SupervisedRef:
        if role not in self._classes:
            self._classes[role] = type(role.__name__, (role, _OnLoop), {"home": self.pool, "registered": False})
        return _Handle(self._classes[role]._pooled_start(*args))

    start_on_thread = start

    def future(self) -> pykka.Future[Any]:
        return PooledFuture(self._desk)

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> bool:
        return self.pool.wait_for(lock, timeout_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self.pool.call_later(delay_s, call)

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        assert self.pool.loop is not None
        task = LoopTask(self.pool.loop, self.tasks, done)
        task.begin(coroutine)
        return task

    def monotonic_s(self) -> float:
        return self.pool.monotonic_s()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def random(self) -> float:
        return random.random()

    def blocking(self) -> AbstractContextManager[None]:
        return nullcontext()

    def holds_here(self) -> bool:
        return self.pool.is_held_here

    def retire(self) -> None:
        pass  # it keeps nothing ready

    def join(self, timeout_s: float) -> list[str]:
        return self.pool.close(timeout_s)


class _OnLoop(PooledActor):
    """An actor on the loop of its class."""

    home: ClassVar[LoopPool]

    def __init__(self) -> None:
        super().__init__(pool=self.home)


class _Handle(PooledHandle, frozen=True, gc=True):
    """In the collector's sight: a channel on a loop may be forgotten together with it."""


class _Desk:
    """Stands for whoever may answer: who waits for it, waits by its pool."""

    _lifecycle_waits_for = None

    def __init__(self, pool: LoopPool) -> None:
        self._pooled_pool = pool
