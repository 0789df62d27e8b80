"""Actors on an event loop: who has a turn, and how long; and the way in from other threads."""

import asyncio
import threading
import time

import pytest
from loops import LOOPS, run_plain

from lightspeed.actors.loop import Loop, LoopDoor
from lightspeed.testing import Simulation


class Scribe:
    """Writes down what it is told."""

    def __init__(self, written):
        super().__init__()
        self._written = written

    def on_receive(self, message):
        self._written.append(message)


class Slow(Scribe):
    """Blocks the loop for longer than a turn takes, for each message."""

    def on_receive(self, message):
        end_s = time.perf_counter() + 0.002
        while time.perf_counter() < end_s:
            pass
        super().on_receive(message)


def started(runtime, kind, written):
    return runtime.start(type(kind.__name__, (kind,), {}), written)


@pytest.mark.parametrize("run", LOOPS)
def test_who_has_little_to_do_need_not_go_in_step_with_who_takes_long(run):
    async def main():
        runtime, written = Loop(), []
        runtime.bind(asyncio.get_running_loop())
        slow, quick = started(runtime, Slow, written), started(runtime, Scribe, written)
        for _ in range(20):
            slow.tell("slow")
        for _ in range(20):
            quick.tell("quick")
        while len(written) < 40:
            await asyncio.sleep(0)
        last = max(place for place, name in enumerate(written) if name == "quick")
        assert written[:last].count("slow") < 10  # in step it would be 19
        runtime.join(0.0)

    run(main)


class Echo(Scribe):
    """Tells itself again what it is told."""

    def on_receive(self, message):
        super().on_receive(message)
        self.actor_ref.tell(message)


def test_the_loop_has_its_turn_also_where_its_time_stands_still():
    async def main():
        runtime, written = Loop(), []
        runtime.bind(asyncio.get_running_loop())
        echo = started(runtime, Echo, written)
        echo.tell("again")
        for _ in range(3):
            await asyncio.sleep(0)
        assert written
        runtime.join(0.0)

    with Simulation(1) as simulation:
        simulation.loop.run_until_complete(main())


@pytest.mark.parametrize("run", LOOPS)
def test_the_loop_has_its_turn_however_much_there_is_to_do(run):
    async def main():
        runtime, written, seen = Loop(), [], []
        runtime.bind(asyncio.get_running_loop())
        slow = started(runtime, Slow, written)
        for number in range(5):
            slow.tell(number)
        while len(written) < 5:
            await asyncio.sleep(0)
            seen.append(len(written))
        assert set(seen) == set(range(1, 6))
        runtime.join(0.0)

    run(main)


def test_a_door_calls_in_order_what_came_from_other_threads_and_at_once_what_did_not():
    async def main():
        door, called = LoopDoor(asyncio.get_running_loop()), []
        for number in range(3):
            thread = threading.Thread(target=door.call, args=(lambda number=number: called.append(number),))
            thread.start()
            thread.join()
        door.call(lambda: called.append("at once"))
        await asyncio.sleep(0)
        assert called == ["at once", 0, 1, 2]

    run_plain(main)


@pytest.mark.parametrize("run", LOOPS)
def test_a_waiter_is_released_once_and_says_whether_it_was_in_time(run):
    async def main():
        door = LoopDoor(asyncio.get_running_loop())
        waiter = door.waiter()
        waiter.release()
        waiter.release()
        assert await waiter.wait(5.0) is True
        late = door.waiter()
        assert await late.wait(0.0) is False
        late.release()

    run(main)


def test_a_waiter_is_released_by_another_thread():
    async def main():
        waiter = LoopDoor(asyncio.get_running_loop()).waiter()
        thread = threading.Thread(target=waiter.release)
        thread.start()
        assert await asyncio.wait_for(waiter.future, 20) is True
        thread.join()

    run_plain(main)
