"""Actors on an asyncio event loop, without any thread: the runtime `Loop`, its pool, and how a coroutine waits for an actor.

All of it is for the loop's own thread, but for a `LoopDoor`, which is the way in from others.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.context import here
from lightspeed.actors.coroutines import Done, LoopTask, LoopTasks, Task
from lightspeed.actors.errors import InsideActor, PoolClosed, WrongLoop
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import ActorPool, Runnable
from lightspeed.actors.runtime import AtHome, OfSystem, SeenHandle, SupervisedRef, Timer

_TURN_S = 0.001  # so long actors run before the loop has its turn
_TURN_MESSAGES = 2_000  # nor more, where time stands still: in a simulation


class LoopDoor:
    """The way into an event loop from other threads: however many calls come at once, the loop is woken once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.thread = threading.get_ident()
        self._calls: deque[Callable[[], object]] = deque()
        self._told: deque[asyncio.Future[bool]] = deque()
        self._is_rung = False

    def call(self, call: Callable[[], object]) -> None:
        """Have it called on the loop's thread: at once, where that calls. It must not raise. Any thread may call this."""
        if threading.get_ident() == self.thread:
            call()
        else:
            self._calls.append(call)
            self._ring()

    def tell(self, waiter: "asyncio.Future[bool]") -> None:
        """Have a future of the loop come true, unless it is done; from another thread when that has flushed."""
        if threading.get_ident() == self.thread:
            settle(waiter, True)
        else:
            self._told.append(waiter)

    def flush(self) -> None:
        """Wake the loop for those who were told."""
        if self._told:
            self._ring()

    def _ring(self) -> None:
        if not self._is_rung:
            self._is_rung = True
            try:
                self.loop.call_soon_threadsafe(self._open)
            except RuntimeError:
                pass  # the loop is closed, and nobody waits there any more

    def _open(self) -> None:
        self._is_rung = False  # first: who comes from here on rings anew
        for _ in range(len(self._told)):
            settle(self._told.popleft(), True)
        for _ in range(len(self._calls)):
            self._calls.popleft()()

    async def wait(self, future: "asyncio.Future[bool]", timeout_s: float) -> bool:
        """Whether the future comes true within so many seconds; else it becomes False."""
        timer = self.loop.call_later(max(0.0, timeout_s), settle, future, False)
        try:
            return await future
        finally:
            timer.cancel()

    def waiter(self) -> "LoopWaiter":
        """What a coroutine on the loop can wait for."""
        return LoopWaiter(self, self.loop.create_future())


def settle(future: "asyncio.Future[bool]", value: bool) -> None:
    """Set a future of the loop whose thread calls, unless it is done."""
    if not future.done():
        try:
            future.set_result(value)
        except RuntimeError:
            pass  # the loop is closed, and nobody waits there any more


class LoopWaiter(Struct, eq=False):
    """Stands where a taken lock stands, for a coroutine that waits until it is released. `LoopDoor.waiter` makes it."""

    door: LoopDoor
    future: asyncio.Future[bool]
    """To be awaited: True, when it was released."""

    def release(self) -> None:
        """Any thread may call it."""
        self.door.tell(self.future)
        self.door.flush()

    async def wait(self, timeout_s: float | None) -> bool:
        """Whether it was released within so many seconds; None: for ever."""
        return await (self.future if timeout_s is None else self.door.wait(self.future, timeout_s))


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
        self.context = Context()
        """The variables that its actors see: those of the first use, and not of whoever sends an event."""
        self._thread = 0
        self._has_turn = False
        """Whether it has its turn, or has asked for the next."""
        self._was_long = False
        """Whether its last turn took much longer than it should."""
        self._early: list[Callable[[], object]] = []
        """Timers from before it was bound."""

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have its actors run on this loop, whose thread calls."""
        self.loop, self._thread, self.context = loop, threading.get_ident(), copy_context()
        early, self._early = self._early, []
        for call in early:
            call()
        self._arm()

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
                self.loop.call_soon(self._turn, context=self.context)
            except RuntimeError:  # the loop is closed
                raise PoolClosed from None
            self._has_turn = True

    def _turn(self) -> None:
        """Run who is ready, each as long as it has something: who has little, as a supervisor, need not go in step with who takes
        long over each message.

        Where this turn will hardly do, the next is asked for at once, and not behind whoever this one wakes: who reads finds then
        what both have brought. Nobody waits for a second turn that is long.
        """
        loop = self.loop
        assert loop is not None
        context, ready, end_s = here.context, self._ready, loop.time() + _TURN_S
        left, is_over, self._has_turn = _TURN_MESSAGES, False, False
        if not self._was_long and self._has_several():
            self._arm()
        goes_on, self._has_turn = self._has_turn, True
        context.is_in_turn, context.is_lent = True, True
        try:
            while ready and not is_over:
                actor = ready.popleft()
                more: bool | None = True
                try:
                    while more and not is_over:
                        more = False  # if it is hit
                        more = actor._pooled_run(1, context)
                        left -= 1
                        is_over = not left or loop.time() >= end_s
                finally:
                    context.actor = None
                    if more:
                        ready.append(actor)
                    elif more is not None:
                        del self.scheduled[id(actor)]
                        if actor._pooled_inbox:
                            self.schedule_rest(actor)
        except KeyboardInterrupt:  # it is for whoever runs the loop, too
            raise
        except BaseException:  # it has failed the actor that raised it, and is nobody else's
            pass
        finally:
            context.is_in_turn, context.is_lent, self._has_turn = False, False, goes_on
            self._was_long = loop.time() >= end_s + _TURN_S
            if not self._closed:
                self._arm()

    def _has_several(self) -> bool:
        """Whether more than one message waits."""
        ready = self._ready
        return len(ready) > 1 or any(len(one._pooled_inbox) + len(one._pooled_taken) > 1 for one in ready)

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
        if self.loop is None:
            self._early.append(lambda: timer.begin(self.loop, delay_s, call))
        else:
            timer.begin(self.loop, delay_s, call)
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


class Loop(OfSystem):
    """The runtime of an `AsyncChannel` by which every actor runs on the event loop itself: no thread is needed, and none started.

    A hook that blocks holds up the loop, and so all others; where it took longer than `event_timeout_s` its topic fails when it
    is back. Topics can't have threads of their own.
    """

    is_one_thread = True
    handles_inline = True

    def __init__(self) -> None:
        self.pool = LoopPool()
        self.tasks = LoopTasks()
        """All that run for its actors."""
        self._paused: list[Callable[[], None]] = []
        self._classes: dict[type, type[PooledActor]] = {}
        self._desk = _Desk(self.pool)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on this loop, whose thread calls."""
        self.pool.bind(loop)

    def start(self, role: type, *args: Any) -> SupervisedRef:
        if role not in self._classes:
            self._classes[role] = type(role.__name__, (role, AtHome), {"home": self.pool, "registered": False})
        return SeenHandle(self._classes[role]._pooled_start(*args))

    start_on_thread = start

    def future(self) -> pykka.Future[Any]:
        return PooledFuture(self._desk)

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> bool:
        return self.pool.wait_for(lock, timeout_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self.pool.call_later(delay_s, call)

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        assert self.pool.loop is not None
        task = LoopTask(self.pool.loop, self.tasks, done, self.pool.context)
        task.begin(coroutine)
        return task

    def monotonic_s(self) -> float:
        return self.pool.monotonic_s()

    def blocking(self) -> AbstractContextManager[None]:
        return nullcontext()

    def pause(self, actor: Any, message: Any, seconds: float | None) -> bool:
        """Hold up an actor, which calls this in its turn: after so many seconds it gets the message again. None: for good."""
        release = actor._lifecycle_hold(lambda: actor.on_receive(message))
        self._paused.append(release)
        if seconds is not None:
            self.call_later(seconds, lambda: self._resume(release))
        return False

    def end_pauses(self) -> None:
        """Whoever is held up goes on."""
        for release in tuple(self._paused):
            self._resume(release)

    def _resume(self, release: Callable[[], None]) -> None:
        if release in self._paused:
            self._paused.remove(release)
            release()

    def holds_here(self) -> bool:
        return self.pool.is_held_here

    def retire(self) -> None:
        pass  # it keeps nothing ready

    def end(self, timeout_s: float, busy: list[str], then: Callable[[], object]) -> None:
        """Call `then` when all coroutines of actors have ended; `busy` has the names of those that had not after the timeout."""
        assert self.pool.loop is not None
        self.tasks.end(self.pool.loop, timeout_s, busy, then)

    def join(self, timeout_s: float) -> list[str]:
        return self.pool.close(timeout_s)


class _Desk:
    """Stands for whoever may answer: who waits for it, waits by its pool."""

    _lifecycle_waits_for = None

    def __init__(self, pool: LoopPool) -> None:
        self._pooled_pool = pool
