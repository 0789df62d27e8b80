"""Tasks for the trees of random scenarios: each does one thing that a supervised task may do. They fail by a count, and nothing
else, and count among the workers.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lightspeed.actors import Ignore, Shutdown
from lightspeed.actors.context import here
from lightspeed.actors.tasks import starting
from lightspeed.testing.workers import SLOW_S, STUCK_S, Starts

_BRIEF_S = 4.0  # two of them end while one that is slow to stop is stopped
_LOST_S = 600.0  # for ever, but for the end of the simulation, which waits for it
_DEAF_TO = 3  # cancellations

Work = Coroutine[Any, Any, None]


async def task(starts: Starts) -> None:
    """A task that does what it is told: `fail`, `end`, `shut down`."""
    _enter(starts, starts.next())
    await _obey(starts)


async def tidy_task(starts: Starts) -> None:
    """Its end takes a turn."""
    try:
        await task(starts)
    finally:
        await asyncio.sleep(0)


async def failing_stop(starts: Starts) -> None:
    try:
        await task(starts)
    except asyncio.CancelledError:
        raise ValueError("in its stop") from None


async def returning_stop(starts: Starts) -> None:
    try:
        await task(starts)
    except asyncio.CancelledError:
        pass


def shaky_task(starts: Starts) -> Work:
    """Every third fails in its first step, and of the others every fifth before there is a coroutine."""
    number = starts.next()
    if number % 5 == 0:
        raise ValueError("before its start")
    return _shaky(starts, number)


async def _shaky(starts: Starts, number: int) -> None:
    _enter(starts, number)
    if number % 3 == 0:
        raise ValueError("in its start")
    await _obey(starts)


async def unneeded_task(starts: Starts) -> None:
    """Every second is not needed."""
    if _enter(starts, starts.next()) % 2 == 0:
        raise Ignore
    await _obey(starts)


async def fleeting_task(starts: Starts) -> None:
    """Every third returns in its first step."""
    if _enter(starts, starts.next()) % 3:
        await _obey(starts)


async def brief_task(starts: Starts) -> None:
    """It ends by itself, while others may be stopped or started: every second fails."""
    number = _enter(starts, starts.next())
    await asyncio.sleep(_BRIEF_S)
    if number % 2 == 0:
        raise ValueError("in the middle")


async def slow_start(starts: Starts, for_s: float = SLOW_S) -> None:
    """Every third fails at the end of its start."""
    number = _enter(starts, starts.next())
    with starting():
        await asyncio.sleep(for_s)
        if number % 3 == 0:
            raise ValueError("late in its start")
    await _obey(starts)


def stuck_start(starts: Starts) -> Work:
    return slow_start(starts, STUCK_S)


async def slow_stop(starts: Starts, for_s: float = SLOW_S) -> None:
    try:
        await task(starts)
    except asyncio.CancelledError:
        await asyncio.sleep(for_s)


def stuck_stop(starts: Starts) -> Work:
    """It swallows one cancellation; another one ends it."""
    return slow_stop(starts, _LOST_S)


async def deaf_task(starts: Starts) -> None:
    """It swallows one cancellation after the other."""
    try:
        await task(starts)
    except asyncio.CancelledError:
        for _ in range(_DEAF_TO):
            try:
                await asyncio.sleep(STUCK_S)
                return
            except asyncio.CancelledError:
                pass


TASKS: dict[str, Callable[[Starts], Work]] = {
    "task": task,
    "tidy_task": tidy_task,
    "failing_stop_task": failing_stop,
    "returning_stop_task": returning_stop,
    "shaky_task": shaky_task,
    "unneeded_task": unneeded_task,
    "fleeting_task": fleeting_task,
    "brief_task": brief_task,
    "slow_start_task": slow_start,
    "stuck_start_task": stuck_start,
    "slow_stop_task": slow_stop,
    "stuck_stop_task": stuck_stop,
    "deaf_task": deaf_task,
}


def tell_task(starts: Starts, actor: Any, order: str) -> None:
    """Have the task of this actor do it, when it comes to that."""
    starts.orders[actor].put_nowait(order)


def cancel_task(starts: Starts, actor: Any) -> None:
    """Cancel the task of this actor from outside. Nothing where it has not begun, or is done, or is no task."""
    if actor in starts.tasks:
        starts.tasks[actor].cancel()


def _enter(starts: Starts, number: int) -> int:
    """Its first step."""
    running = asyncio.current_task()
    assert running is not None
    starts.tasks[here.context.task] = running
    return number


async def _obey(starts: Starts) -> None:
    await asyncio.sleep(0)  # with what it was told before, it would fail in its start
    while True:
        match await starts.orders[here.context.task].get():
            case "fail":
                raise ValueError("told to")
            case "shut down":
                raise Shutdown("told to")
            case "end":
                return
