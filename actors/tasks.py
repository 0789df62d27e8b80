"""A coroutine as an actor, so that it can be watched and supervised: it runs as a task of an event loop.

The actor's own part, its start, its end and what it is told, comes in turns on that loop, as of any actor of a `LoopPool`. It has
ended when the task has.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.checks import is_put_off
from lightspeed.actors.context import here
from lightspeed.actors.coroutines import ActorCoroutine, LoopTask, LoopTasks, contained
from lightspeed.actors.errors import AlreadyUp, ExitReason, LoopClosed, Shutdown, WrongLoop
from lightspeed.actors.loop import LoopPool
from lightspeed.actors.pool import ActorPool, Runnable
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.ref import DECLINED, PooledHandle
from lightspeed.actors.watching import tell_up


class TaskPool(LoopPool):
    """A `LoopPool` whose actors any thread may tell something. When its loop is closed they end as soon as anybody does.

    Args:
        loop: what it runs on. None: what it is bound to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__()
        if loop is not None:
            self.loop, self.context = loop, copy_context()
        self.tasks = LoopTasks()
        """All that run."""
        self.is_ending = False
        """True: the loop is about to end, and has cancelled all that ran."""
        self.scheduled = _Scheduled(self)
        self._lost: dict[int, object] = {}

    @property
    def is_here(self) -> bool:
        """Whether its loop runs in the calling thread."""
        return self.loop is not None and asyncio._get_running_loop() is self.loop

    @property
    def is_over(self) -> bool:
        """Whether its loop is closed."""
        return self.loop is not None and self.loop.is_closed()

    def schedule(self, actor: Runnable) -> None:
        """As of any pool.

        Raises:
            LoopClosed: then the actor has ended.
        """
        self.check_process()
        try:
            if self.is_here:
                self._line_up(actor)
            else:
                self._from_elsewhere(self._line_up, actor)
        except LoopClosed:
            self._lose(actor)
            raise

    def run(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> LoopTask:
        """Run an async function that is no actor's.

        Raises:
            LoopClosed: it can't be.
        """
        assert self.loop is not None
        task = LoopTask(self.loop, self.tasks, lambda _value, _error: None)
        self._from_elsewhere(lambda: task.begin(function()))
        return task

    def wait_for(self, signal: threading.Lock, timeout_s: float | None) -> bool:
        """Other threads may wait; the loop's own may not."""
        return super().wait_for(signal, timeout_s) if self.is_here else ActorPool.wait_for(self, signal, timeout_s)

    def _from_elsewhere(self, call: Any, *args: Any) -> None:
        if self.loop is None:
            raise WrongLoop("what runs on it", "before that", "")
        try:
            self.loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            raise LoopClosed from None

    def _lose(self, actor: Any) -> None:
        """Nobody will run it again: its end is here and now, in whatever thread; but once."""
        self.tasks.clear()
        has_ended = isinstance(actor._lifecycle_exit, ExitReason)
        if self._lost.setdefault(id(actor), claim := (actor,)) is claim and not has_ended:
            actor._lifecycle_end(Shutdown("its event loop is closed"))


class _Scheduled(dict[int, object]):
    """Of a loop that is closed nobody is about to run."""

    def __init__(self, pool: TaskPool) -> None:
        super().__init__()
        self._pool = pool

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) and not self._pool.is_over


class TaskActor(PooledActor):
    """A coroutine's actor. It is up when its first step is taken, or the block of `starting()` left that it entered there.

    By returning it ends normally, by raising as any actor does that raises, and by being cancelled with a `Shutdown`. A stop
    cancels the task, once, and is over when the task is. It takes no messages of the program's.
    """

    registered = False

    __slots__ = ("_coroutine", "_is_told_to_stop", "_stop_replies", "_task", "is_starting", "is_up")

    _pooled_pool: TaskPool

    def __init__(self, pool: TaskPool, coroutine: Coroutine[Any, Any, Any]) -> None:
        super().__init__(pool=pool)
        self._coroutine: _TaskCoroutine | None = _TaskCoroutine(coroutine, self)
        self._pooled_urn = self._coroutine.__qualname__  # it stands in no registry, and this is what one wants to read
        self._task: LoopTask | None = None
        self.is_up = self.is_starting = self._is_told_to_stop = False
        self._stop_replies: tuple[Any, ...] = ()

    def on_start(self) -> None:
        loop, coroutine = self._pooled_pool.loop, self._coroutine
        assert loop is not None
        assert coroutine is not None
        self._task = LoopTask(loop, self._pooled_pool.tasks, self._ended, self._pooled_pool.context)
        self._task.begin(coroutine)

    def come_up(self) -> None:
        """Its first step is taken, or a block of `starting()` left."""
        if not (self.is_up or self.is_starting):
            self.is_up = True
            tell_up(self, self)

    def on_end(self, error: BaseException | None) -> None:
        self._task = self._coroutine = None
        for reply in self._stop_replies:
            reply.set(None)

    def _ended(self, _value: Any, error: BaseException | None) -> None:
        """The task has. Called by the loop."""
        if self._pooled_dead:  # it was given up before
            self._lifecycle_end_of_given_up(was_up=True)
        else:
            if isinstance(error, asyncio.CancelledError):
                error = None if self._is_told_to_stop else Shutdown("it was cancelled")
            self._lifecycle_end(error, in_start=not self.is_up)
        self._pooled_refuse_waiting()

    def _stop(self) -> None:
        self._is_told_to_stop = True
        if self._task is not None and not (self._pooled_pool.is_ending and self._task.is_on_its_way_out):
            self._task.cancel()  # a second time it would be disturbed while it cleans up

    def _lifecycle_answer(self, envelope: Envelope[Any]) -> None:
        if isinstance(envelope.message, type(STOP)) and envelope.reply_to is not None:
            self._stop_replies += (envelope.reply_to,)
            self._stop()
        else:
            super()._lifecycle_answer(envelope)

    def _lifecycle_end_of_given_up(self, *, was_up: bool) -> None:
        if self._task is None or self._task.is_done:
            super()._lifecycle_end_of_given_up(was_up=was_up)
            return
        self._task.cancel()  # it has its end when the task has
        PooledHandle(self).drain()

    def _lifecycle_take_out(self) -> None:
        super()._lifecycle_take_out()
        if self._coroutine is not None:
            self._coroutine.drop()

    def _lifecycle_is_up(self) -> bool:
        return self.is_up

    def _pooled_ask_inline(self, message: Any) -> Any:
        return DECLINED  # in its loop's thread only


class _TaskCoroutine(ActorCoroutine):
    """The coroutine of a task, which says when the first step is taken."""

    def __init__(self, inner: Any, actor: TaskActor) -> None:
        self._inner, self._actor, self._has_begun = inner, actor, False
        self.__name__ = getattr(inner, "__name__", "task")
        self.__qualname__ = getattr(inner, "__qualname__", self.__name__)

    def close(self) -> None:
        contained(self._inner.close)

    def _step(self, go_on: Any, *args: Any) -> Any:
        context, actor, self._has_begun = here.context, self._actor, True
        outer = context.task, context.actor
        context.task, context.actor = actor, None  # of a task that begins at once the turn is not over yet
        try:
            waits_for = contained(go_on, *args)
        except StopIteration:
            actor.come_up()
            raise
        finally:
            context.task, context.actor = outer
        if not actor.is_up:
            actor.come_up()
        return waits_for

    def drop(self) -> None:
        """One that has not begun never does, and Python does not warn of it. Any thread may call it."""
        with suppress(ValueError, RuntimeError):  # the loop's thread has just begun it
            if not is_put_off(self._inner) and not self._has_begun:
                contained(self._inner.close)  # no coroutine of Python's own

    __del__ = drop


@contextmanager
def starting() -> Iterator[None]:
    """The part of a supervised task in which it starts: `with starting():`, before the first `await`. Left, the task is up.

    What is raised out of the block, and not caught, is a failed start; it may be entered again. Outside of a supervised task,
    and in a task that this one has begun, it does nothing.

    Raises:
        AlreadyUp: the task has awaited something before.
    """
    actor: TaskActor | None = here.context.task
    if actor is None:
        yield
        return
    if actor.is_up:
        raise AlreadyUp
    actor.is_starting = True
    yield
    actor.is_starting = False
    actor.come_up()
