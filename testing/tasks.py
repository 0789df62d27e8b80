"""Tasks, futures and calls of a simulated loop: their names in a trace, the order of sets of them, and where tasks wait."""

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, CoroutineType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

from lightspeed.actors.coroutines import ActorCoroutine
from lightspeed.testing.clock import VirtualTimer
from lightspeed.testing.trace import kind_of, printable

_NAMED = (FunctionType, BuiltinFunctionType, CoroutineType)
_INNERMOST = 4  # so many of the calls in which a task waits are shown
_MOST_CLOSES = 100  # so often may a coroutine that is closed wait once more on its way out


class SimulatedFuture(asyncio.Future[Any]):
    """A future whose hash is its number: a set of them has the same order in every run, and asyncio goes through such sets."""

    __slots__ = ("number",)

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class SimulatedTask(asyncio.Task[Any]):
    """A task whose hash is its number, too: so a TaskGroup, which keeps a set, cancels in the same order in every run."""

    __slots__ = ("number", "what")

    def __init__(self, coro: Coroutine[Any, Any, Any], number: int, what: str, loop: asyncio.AbstractEventLoop, **options: Any):
        self.number, self.what = number, what
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class Call(asyncio.Handle):
    """What a loop was asked to call, in its turn."""

    __slots__ = ("task",)

    task: asyncio.Task[Any] | None
    """The one that goes on with it, if one does."""


class LaterCall(asyncio.TimerHandle):
    """The same, at a moment."""

    __slots__ = ("timer",)

    task = None
    """A task goes on with what is called soon."""

    timer: VirtualTimer | None
    """None: that moment never comes."""


def task_of(callback: Any) -> asyncio.Task[Any] | None:
    """The task that goes on when its loop makes this call; None: none does."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task) and not hasattr(asyncio.Task, getattr(callback, "__name__", "")):  # as `Task.cancel`
        return owner
    return None


def called(what: Any) -> str:
    """The name of a function or a coroutine as it stands in a line, or that of its class: no address, and no code of its own."""
    while type(what) is partial:
        what = what.func
    what = _within(what)
    if type(what) is MethodType:
        what = what.__func__
    return printable(what.__qualname__ if type(what) in _NAMED else kind_of(what))


def waiting_at(task: asyncio.Task[Any]) -> str:
    """Where a task that waits does so, as `file:line in name`, the innermost call last."""
    places = [f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}" for frame in _frames(task)]
    return " > ".join(places[-_INNERMOST:])


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """From the task's own coroutine on, as far as each says for which it waits."""
    waits = _within(task.get_coro())
    while type(waits) in (CoroutineType, GeneratorType):
        is_coroutine = type(waits) is CoroutineType
        frame = waits.cr_frame if is_coroutine else waits.gi_frame
        if frame is None:
            return
        yield frame
        waits = waits.cr_await if is_coroutine else waits.gi_yieldfrom


def _within(coroutine: Any) -> Any:
    """The program's own coroutine, of one of an actor's."""
    while issubclass(type(coroutine), ActorCoroutine):
        coroutine = coroutine._inner
    return coroutine


def close_coroutine(task: asyncio.Task[Any]) -> None:
    """End a task's coroutine where it stands, without a step of its loop. Whatever it does about that is its own."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine: Any = task.get_coro()
    for _ in range(_MOST_CLOSES):
        try:
            coroutine.close()
        except KeyboardInterrupt:
            raise
        except BaseException:  # the user's code; or it is at work, or waits once more
            continue
        return
