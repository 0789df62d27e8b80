"""Coroutines of actors' code: on which event loop they run, and in whose name.

On a pool, or on threads, they run on one loop that their channel owns, on a thread of its own, from the first one on.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol

from lightspeed.actors.context import here

Done = Callable[[Any, BaseException | None], None]
"""Told what a coroutine returned, or raised, on its loop's thread."""


class Task(Protocol):
    """A coroutine that runs, as its actor holds it. Any thread may call it."""

    @property
    def is_done(self) -> bool: ...

    def cancel(self) -> None:
        """Have a CancelledError raised in it, once. Harmless where it is done."""


class Speaker(Protocol):
    """What may be used in the steps of one coroutine only."""

    thread: int | None
    """The thread that is in one; None: there is none."""


class _Raised(Exception):
    """Stands for what would end an event loop: it is its actor's alone."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def raised_in(error: BaseException) -> BaseException:
    """What an `ActorCoroutine` raised in truth."""
    return error.error if isinstance(error, _Raised) else error


def contained(step: Callable[..., Any], *args: Any) -> Any:
    """Take a step of a coroutine. What it raises goes into its task, and nothing but a Ctrl-C ends the event loop too."""
    try:
        return step(*args)
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        if type(error) is KeyboardInterrupt and threading.current_thread() is threading.main_thread():
            raise  # it is for whoever runs the loop, too
        raise _Raised(error) from None


class ActorCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine of an actor's code. In each of its own steps the thread is inside the actor; a task of its own is outside."""

    def __init__(self, inner: Any, actor: Any, speaker: Speaker) -> None:
        self._inner, self._actor, self._speaker = inner, actor, speaker
        self.__name__, self.__qualname__ = inner.__name__, inner.__qualname__

    def send(self, value: Any) -> Any:
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._inner.throw, *error)

    def close(self) -> None:
        self._step(self._inner.close)

    def __await__(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # `cr_frame` and the like, by which asyncio says where a task is

    def _step(self, go_on: Callable[..., Any], *args: Any) -> Any:
        context = here.context
        outer = context.actor, context.is_in_turn
        context.actor, context.is_in_turn, self._speaker.thread = self._actor, True, threading.get_ident()
        try:
            return contained(go_on, *args)
        finally:
            self._speaker.thread = None
            context.actor, context.is_in_turn = outer


def places_of(coroutine: Any) -> list[tuple[str, int, str]]:
    """Where a coroutine waits: file, line and function of each call, the outermost first. Reads no file."""
    places = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        coroutine = coroutine.cr_await
    return places


class LoopTask:
    """A `Task` on an event loop, known to `tasks` until it is done.

    Args:
        context: the variables that it has, or a copy of them: not those of whoever sent the event. None: none.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: "LoopTasks", done: Done, context: Context | None = None) -> None:
        self._loop, self._tasks, self._done, self._context = loop, tasks, done, context
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False
        self.is_done = False
        tasks.add(self)

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """For the loop's thread, as all that follows but `cancel`."""
        context = Context() if self._context is None else self._context.copy()
        name = getattr(coroutine, "__qualname__", None)
        self._task = context.run(lambda: self._loop.create_task(coroutine, name=name))
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # whose end is not waited for is said elsewhere
        self._task.add_done_callback(self._end)

    @property
    def name(self) -> str:
        return "a coroutine" if self._task is None else self._task.get_name()

    @property
    def is_on_its_way_out(self) -> bool:
        """Whether somebody has cancelled it. For the loop's thread."""
        return self._task is not None and self._task.cancelling() > 0

    def cancel(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            pass  # the loop is closed: it goes on no more

    def _cancel(self) -> None:
        if self._task is not None and not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    def give_up(self) -> None:
        """Wait for its end no more: to its actor it has been cancelled."""
        self._cancel()
        self._finish(None, asyncio.CancelledError())

    def _end(self, task: "asyncio.Task[Any]") -> None:
        if task.cancelled():
            self._finish(None, asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self._finish(None, raised_in(error))
        else:
            self._finish(task.result(), None)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if not self.is_done:
            self.is_done, self._task = True, None
            self._done(value, error)
        self._tasks.discard(self)


class LoopTasks:
    """The tasks that run on one loop, for its thread; any thread may add one."""

    def __init__(self) -> None:
        self._tasks: set[LoopTask] = set()
        self._when_done: Callable[[], object] | None = None

    def add(self, task: LoopTask) -> None:
        self._tasks.add(task)

    def discard(self, task: LoopTask) -> None:
        self._tasks.discard(task)
        if not self._tasks and self._when_done is not None:
            when_done, self._when_done = self._when_done, None
            when_done()

    def clear(self) -> None:
        """The loop is closed: none of them runs."""
        self._tasks.clear()

    def end(self, loop: asyncio.AbstractEventLoop, timeout_s: float, left: list[str], then: Callable[[], object]) -> None:
        """Call `then` when all have ended; those that have not after the timeout are given up, and `left` has their names."""

        def give_up() -> None:
            left.extend(task.name for task in self._tasks)
            for task in tuple(self._tasks):
                task.give_up()

        def when_done() -> None:
            timer.cancel()
            loop.call_soon(then)

        timer = loop.call_later(timeout_s, give_up)
        self._when_done = when_done
        if not self._tasks:
            self._when_done = None
            when_done()


class LoopThread:
    """An event loop on a daemon thread of its own, from the first task on. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may tell something within a call
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks = LoopTasks()
        self._is_closed = False

    def start_task(self, coroutine: Coroutine[Any, Any, Any], done: Done) -> Task:
        """Run a coroutine.

        Raises:
            RuntimeError: Python's own, where no thread can be started; or the loop is closed.
        """
        loop = self._running()
        task = LoopTask(loop, self._tasks, done)
        loop.call_soon_threadsafe(task.begin, coroutine)
        return task

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the loop of async hooks is closed")
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._run, args=(loop,), name="lightspeed loop", daemon=True)
                try:
                    thread.start()
                except BaseException:
                    loop.close()
                    raise
                self._loop, self._thread = loop, thread
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        here.context.is_outside = True
        try:
            loop.run_forever()
        finally:
            loop.close()

    def close(self, timeout_s: float) -> list[str]:
        """End the thread when all tasks have ended; the names of those that had not after the timeout. Again is harmless."""
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive() or thread is threading.current_thread():
            return []
        left: list[str] = []
        loop.call_soon_threadsafe(self._tasks.end, loop, timeout_s, left, loop.stop)
        thread.join(timeout_s + 1.0)
        return left if not thread.is_alive() else [*left, thread.name]
