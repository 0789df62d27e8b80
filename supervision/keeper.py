"""A supervisor's event loop: where its tasks run, and that it ends in good order when the loop is about to."""

import asyncio
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.loop import LoopDoor, LoopWaiter
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.tasks import TaskPool
from lightspeed.supervision.asking import Wait, answer
from lightspeed.supervision.messages import LoopEnds


def pool_of(loop: Any) -> TaskPool | None:
    """The pool of this loop's tasks; of a supervisor above, its own.

    Raises:
        InvalidOption: it is no event loop.
    """
    if loop is None or isinstance(loop, TaskPool):
        return loop
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise InvalidOption("loop", loop, "must be an event loop of asyncio, or None")
    return TaskPool(loop)


class _Above(threading.local):
    place: Mapping[str, Any] = {}


_above = _Above()


@contextmanager
def placed(place: Mapping[str, Any]) -> Iterator[None]:
    """Where the one supervisor runs that is made within, unless it is given another place: its `loop` and its `pool`."""
    outer, _above.place = _above.place, place
    try:
        yield
    finally:
        _above.place = outer


def take_place() -> Mapping[str, Any]:
    """The place of the supervisor that is being made."""
    place, _above.place = _above.place, {}
    return place


class Keeper:
    """A task on the loop that waits there for its cancellation: `asyncio.run` cancels all that is left, and then closes the loop.

    The supervisor's children are cancelled in the same breath. It is to hear of this before it hears of them: they are not to be
    restarted.
    """

    def __init__(self, tasks: TaskPool) -> None:
        self._tasks = tasks
        self._over: LoopWaiter | None = None

    def begin(self, supervisor: PooledRef) -> None:
        """Any thread may call it.

        Raises:
            LoopClosed: it is closed already.
        """
        self._tasks.run(lambda: self._keep(supervisor))

    def end(self) -> None:
        """The supervisor is dead. Any thread may call it."""
        if self._over is not None:
            self._over.release()

    async def _keep(self, supervisor: PooledRef) -> None:
        door, actor = LoopDoor(asyncio.get_running_loop()), supervisor._actor
        self._over = door.waiter()
        try:
            if supervisor.is_alive():
                await self._over.wait(None)
            return
        except asyncio.CancelledError:
            if not supervisor.is_alive():
                return
        self._tasks.is_ending = True
        ended = PooledFuture(actor)
        actor._pooled_put(Envelope(LoopEnds(), reply_to=ended))
        await answer(door, Wait(ended, None))
        if not actor.was_asked_to_stop:  # type: ignore[attr-defined]
            warnings.warn("a supervisor was not stopped before its event loop ended", ResourceWarning, stacklevel=1)
