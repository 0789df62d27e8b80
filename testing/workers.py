"""Workers for the trees of random scenarios: each does one thing that a child may do. They fail by a count, and nothing else."""

import asyncio
from collections import defaultdict
from typing import Any

from lightspeed.actors import Ignore, PooledActor, Shutdown
from lightspeed.actors.pykka_inside import STOP
from lightspeed.testing.pool import SimulatedPool

SLOW_S, STUCK_S = 2.0, 7.0  # less, and more, than a supervisor gives a child for its start or its stop


class Starts:
    """How many workers of a simulation have begun; and of those that are tasks, by their actor, where they can be reached."""

    def __init__(self) -> None:
        self.count = 0
        self.tasks: dict[Any, asyncio.Task[Any]] = {}
        self.orders: dict[Any, asyncio.Queue[str]] = defaultdict(asyncio.Queue)

    def next(self) -> int:
        self.count += 1
        return self.count


class TreeWorker(PooledActor):
    """A worker that does what it is told: `fail`, `end`, `shut down`, and whatever else is no matter."""

    def __init__(self, starts: Starts, *, pool: SimulatedPool) -> None:
        super().__init__(pool=pool)
        self.home, self.number = pool, starts.next()

    def on_receive(self, message: str) -> None:
        if message == "fail":
            raise ValueError("told to")
        if message == "shut down":
            raise Shutdown("told to")
        if message == "end":
            self.stop()


class Starting(TreeWorker):
    """A worker whose start is code of its own, so that it takes a turn."""

    def on_start(self) -> None:
        pass


class LateStopping(TreeWorker):
    """A worker whose stop is code of its own, so that it takes a turn."""

    def on_stop(self) -> None:
        pass


class FailingStop(TreeWorker):
    def on_stop(self) -> None:
        raise ValueError("in its stop")


class Shaky(TreeWorker):
    """Every third fails in its start, and of the others every fifth before it."""

    def __init__(self, starts: Starts, *, pool: SimulatedPool) -> None:
        super().__init__(starts, pool=pool)
        if self.number % 5 == 0:
            raise ValueError("before its start")

    def on_start(self) -> None:
        if self.number % 3 == 0:
            raise ValueError("in its start")


class Unneeded(Starting):
    """Every second is not needed."""

    def on_start(self) -> None:
        if self.number % 2 == 0:
            raise Ignore


class Fleeting(Starting):
    """Every third is told to stop before it has started."""

    def __init__(self, starts: Starts, *, pool: SimulatedPool) -> None:
        super().__init__(starts, pool=pool)
        if self.number % 3 == 0:
            self.stop()


class SlowStart(Starting):
    """A worker that is up, or would be, so much later; a stop that it is told waits as long."""

    for_s = SLOW_S
    is_starting = False

    def _lifecycle_begin(self) -> None:
        if self.is_starting:
            super()._lifecycle_begin()
        else:
            self.is_starting = True
            self.home.pause(self, None, self.for_s)


class StuckStart(SlowStart):
    for_s = STUCK_S


class SlowStop(TreeWorker):
    for_s = SLOW_S
    is_stopping = False

    def _stop(self) -> None:
        if self.is_stopping:
            super()._stop()
        else:
            self.is_stopping = True
            self.home.pause(self, STOP, self.for_s)


class StuckStop(SlowStop):
    for_s = STUCK_S


WORKERS: dict[str, type[TreeWorker]] = {
    "plain": TreeWorker,
    "starting": Starting,
    "late_stopping": LateStopping,
    "failing_stop": FailingStop,
    "shaky": Shaky,
    "unneeded": Unneeded,
    "fleeting": Fleeting,
    "slow_start": SlowStart,
    "stuck_start": StuckStart,
    "slow_stop": SlowStop,
    "stuck_stop": StuckStop,
}
