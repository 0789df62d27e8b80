"""How what runs on a simulated loop ends: what fails, what never ends, and what is left at the end of a play."""

import asyncio
import gc
import logging
import math
import weakref
from functools import partial

import pytest

from lightspeed.actors import PooledActor
from lightspeed.actors.errors import InvariantBroken, SimulationMisused, SimulationStuck
from lightspeed.testing import Case, Simulation, play


class Teller(PooledActor):
    """Writes down what it is told."""

    def __init__(self, log, *, pool):
        super().__init__(pool=pool)
        self.log = log

    def on_receive(self, message):
        if callable(message):
            message = message()
        self.log.append(message)
        return message


def run(main, seed=1):
    with Simulation(seed) as simulation:
        return simulation.loop.run_until_complete(main(simulation))


# What fails


def test_what_a_task_failed_of_and_nobody_awaited_fails_the_run():
    async def fail():
        raise ValueError("planted")

    async def main(simulation):
        asyncio.create_task(fail())  # noqa: RUF006
        await asyncio.sleep(1)

    with pytest.raises(ValueError, match="planted") as raised:
        run(main)
    assert raised.value.__notes__[0].endswith("fail, which nobody awaited")
    assert raised.traceback[-1].name == "fail"


def test_all_that_failed_is_told_with_the_first():
    async def fail(text):
        raise ValueError(text)

    async def main(simulation):
        simulation.kept = [asyncio.create_task(fail(text)) for text in ("one", "two")]
        future = asyncio.get_running_loop().create_future()
        future.set_exception(KeyError("three"))
        del future
        await asyncio.sleep(1)

    with pytest.raises(ValueError, match="one") as raised:
        run(main)
    notes = " ".join(raised.value.__notes__)
    assert "which nobody awaited: ValueError: two" in notes
    assert "SimulatedFuture exception was never retrieved: KeyError: 'three'" in notes


def test_what_somebody_asks_for_before_the_end_has_not_failed_the_run():
    async def fail():
        raise ValueError("planted")

    async def main(simulation):
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        assert isinstance(task.exception(), ValueError)
        for _ in range(30):
            assert len(await asyncio.gather(*(fail() for _ in range(100)), return_exceptions=True)) == 100
        assert len(simulation.loop._failed) <= 1_100

    run(main)


def test_where_the_play_fails_too_the_task_is_noted():
    async def fail():
        raise ValueError("planted")

    async def main(simulation):
        simulation.kept = asyncio.create_task(fail())
        await asyncio.sleep(1)
        raise KeyError("its own")

    with pytest.raises(KeyError) as raised:
        run(main)
    assert raised.value.__notes__[0].endswith("fail, which nobody awaited: ValueError: planted")


def test_what_a_call_raises_ends_the_run_at_once():
    async def main(simulation):
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(5)

    with pytest.raises(ZeroDivisionError) as raised:
        run(main)
    assert raised.value.__notes__ == ["in a call of loop", raised.value.__notes__[1]]
    assert "after 1 s" in raised.value.__notes__[1]


def test_a_handler_of_the_programs_hears_it_instead():
    heard = []

    async def main(simulation):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: heard.append(type(context["exception"])))
        assert loop.get_exception_handler() is not None
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    run(main)
    assert heard == [ZeroDivisionError]


def test_what_a_handler_raises_ends_the_run():
    async def main(simulation):
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: {}["none"])
        asyncio.get_running_loop().call_exception_handler({"message": "planted"})
        await asyncio.sleep(1)

    with pytest.raises(KeyError, match="none"):
        run(main)


def test_what_is_told_without_an_exception_or_after_the_end_is_logged(caplog):
    async def main(simulation):
        asyncio.get_running_loop().call_exception_handler({"message": "odd"})

    with Simulation(1) as simulation:
        loop = simulation.loop
        loop.run_until_complete(main(simulation))
        late = loop.create_future()
    late.set_exception(ValueError("planted"))
    del late
    assert [(record.name, record.levelno, record.message) for record in caplog.records] == [
        ("asyncio", logging.ERROR, "odd"),
        ("asyncio", logging.ERROR, "SimulatedFuture exception was never retrieved"),
    ]
    assert caplog.records[1].exc_info[0] is ValueError


def test_ctrl_c_goes_to_whoever_runs_the_simulation_and_not_to_an_actor_that_waits():
    def interrupt():
        raise KeyboardInterrupt

    async def task():
        interrupt()

    for begin in (lambda loop: loop.create_task(task()), lambda loop: loop.call_soon(interrupt)):
        simulation, log = Simulation(1), []
        ref = simulation.start(Teller, log)
        begin(simulation.loop)
        with pytest.raises(KeyboardInterrupt):
            simulation.run()
        begin(simulation.loop)
        waits = simulation.start(Teller, log)
        waits.tell(partial(ref.ask, "answered"))
        with pytest.raises(KeyboardInterrupt):
            simulation.run()
        simulation.run()
        assert log == ["answered", "answered"]
        simulation.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_the_play_is_raised_and_leaves_no_warning(error, caplog):
    async def main(simulation):
        raise error

    with pytest.raises(error):
        run(main)
    gc.collect()
    assert not caplog.records


def test_a_run_that_is_cancelled_has_failed():
    async def main(simulation):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    with pytest.raises(asyncio.CancelledError):
        run(main)
    outcome = play(Case(main))
    assert isinstance(outcome.error, asyncio.CancelledError)
    assert outcome.failure.startswith("CancelledError in ")


def test_of_a_group_the_first_exception_says_what_failed():
    def fails(kind):
        async def fail():
            raise kind("planted")

        async def main(simulation):
            async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
                inner.create_task(fail())
                outer.create_task(asyncio.sleep(5))

        return play(Case(main))

    value, key = fails(ValueError), fails(KeyError)
    assert (value.failure, key.failure) == ("ValueError in fail", "KeyError in fail")
    assert value.is_as(fails(ValueError))
    assert not value.is_as(key)
    assert value.text == "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception): ValueError: planted"


def test_a_rule_is_looked_at_after_every_step_of_a_loop():
    log = []

    async def main(simulation):
        simulation.always(lambda: len(log) < 2, "few")
        for number in range(3):
            log.append(number)
            await asyncio.sleep(1)

    with pytest.raises(InvariantBroken, match="few: it did not hold at step"):
        run(main)
    assert log == [0, 1]


def test_what_must_be_so_at_rest_is_looked_at_before_time_passes():
    class Silent(PooledActor):
        def _lifecycle_answer(self, envelope):
            """It answers nobody."""

    async def main(simulation):
        simulation.start(Silent).ask("never", block=False)
        await asyncio.sleep(1)

    with pytest.raises(InvariantBroken, match="answered: Silent was asked 'never'") as raised:
        run(main)
    assert "after 0 s" in raised.value.__notes__[-1]


def test_where_the_play_fails_with_a_rule_both_are_told():
    async def main(simulation):
        simulation.always(lambda: False, "never so")
        raise ValueError("planted")

    with pytest.raises(InvariantBroken, match="never so") as raised:
        run(main)
    assert raised.value.__notes__[0].endswith("main, which nobody awaited: ValueError: planted")


# What never ends


def test_what_nothing_can_finish_is_stuck_and_says_who_waits_and_where():
    async def take(queue):
        return await queue.get()

    async def worker(queue):
        await take(queue)

    async def main(simulation):
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(worker(asyncio.Queue()))

    line = worker.__code__.co_firstlineno + 1
    with pytest.raises(SimulationStuck) as raised:
        run(main)
    text = str(raised.value)
    assert "main is waited for, and nothing is left that could finish it: " in text
    assert f"worker:2 waits at test_loop_ends.py:{line} in worker > test_loop_ends.py:{line - 3} in take > queues.py:" in text
    assert text.endswith("in get; and 3 more")
    assert "after 0 s" in raised.value.__notes__[-1]


def test_a_future_can_be_waited_for_and_one_that_nobody_sets_is_stuck():
    with Simulation(1) as simulation:
        future = simulation.loop.create_future()
        simulation.loop.call_later(5, future.set_result, "set")
        assert simulation.loop.run_until_complete(future) == "set"
        with pytest.raises(
            SimulationStuck, match="a future is waited for, and nothing is left that could finish it: no task waits"
        ):
            simulation.loop.run_until_complete(simulation.loop.create_future())


def test_who_waits_for_a_task_that_failed_is_told_of_that():
    async def serve(queue):
        raise ValueError("planted")

    async def main(simulation):
        queue = asyncio.Queue()
        simulation.kept = asyncio.create_task(serve(queue))
        await queue.get()

    with pytest.raises(ValueError, match="planted") as raised:
        run(main)
    assert "main is waited for, and nothing is left" in raised.value.__notes__[1]


def test_what_has_not_gone_on_for_a_day_while_others_did_is_stuck():
    async def beat():
        while True:
            await asyncio.sleep(3_600)

    async def main(simulation):
        simulation.kept = asyncio.create_task(beat())
        await asyncio.Event().wait()

    with pytest.raises(
        SimulationStuck, match=r"main is waited for, and has not gone on for 86,400 s, while others did: .*beat waits"
    ):
        run(main)


def test_a_long_sleep_is_no_such_thing_nor_a_long_timeout():
    week_s = 7 * 86_400

    async def beat():
        while True:
            await asyncio.sleep(3_600)

    async def main(simulation):
        simulation.kept = asyncio.create_task(beat())
        await asyncio.sleep(week_s)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(week_s):
                await asyncio.Event().wait()
        await asyncio.gather(asyncio.sleep(week_s), asyncio.sleep(1))
        return simulation.now_s

    assert run(main) == 3 * week_s


def test_a_sleep_without_an_end_never_ends_and_can_be_cancelled():
    async def main(simulation):
        task = asyncio.create_task(asyncio.sleep(math.inf))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(math.inf)

    with pytest.raises(SimulationStuck, match="nothing is left"):
        run(main)


def test_who_spins_is_stuck(monkeypatch):
    monkeypatch.setattr("lightspeed.testing.loop.MOST_STEPS", 1_000)

    async def main(simulation):
        await asyncio.sleep(1)
        while simulation.now_s < 2:
            await asyncio.sleep(0)

    with pytest.raises(SimulationStuck, match=r"still busy after 1,000 steps, and .*main waits at test_loop_ends.py"):
        run(main)


def test_many_steps_at_many_moments_are_no_spin(monkeypatch):
    monkeypatch.setattr("lightspeed.testing.loop.MOST_STEPS", 20)

    async def main(simulation):
        for _ in range(50):
            await asyncio.sleep(1)

    run(main)


# The end, and what is left


def test_1000_cancelled_waits_leave_nothing():
    async def wait_in_vain(wait):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await wait

    async def cancelled(wait):
        task = asyncio.create_task(wait)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return weakref.ref(task)

    async def main(simulation):
        loop, queue, event = simulation.loop, asyncio.Queue(), asyncio.Event()
        for _ in range(250):
            await wait_in_vain(queue.get())
            await wait_in_vain(event.wait())
            refs.append(await cancelled(asyncio.sleep(3_600)))
            refs.append(await cancelled(asyncio.wait_for(queue.get(), 3_600)))
        assert simulation.pool.clock.is_idle
        assert simulation.pool.clock.kept <= 64
        assert (len(queue._getters), len(event._waiters)) == (0, 0)
        assert asyncio.all_tasks() == {asyncio.current_task()} == set(loop._tasks)
        assert not loop._calls

    refs = []
    run(main)
    gc.collect()
    assert [ref() for ref in refs] == [None] * 500


def test_who_is_left_at_the_end_is_cancelled_and_waited_for():
    log = []

    async def wait(name):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(5)
            log.append(name)

    with Simulation(1) as simulation:
        for name in "ab":
            simulation.loop.create_task(wait(name))
        simulation.run()
        assert log == []
    assert sorted(log) == ["a", "b"]
    assert simulation.now_s == 5
    assert simulation.loop.is_closed()


def test_what_is_left_on_another_loop_is_cancelled_when_actors_have_ended():
    log = []

    class Ending(PooledActor):
        def on_stop(self):
            log.append("stopped")

    async def wait():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            log.append("cancelled")

    with Simulation(1) as simulation:
        simulation.start(Ending)
        simulation.new_loop().create_task(wait())
        simulation.run()
    assert log == ["stopped", "cancelled"]


def test_who_fails_as_he_is_cancelled_fails_the_run():
    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("planted")

    async def main(simulation):
        simulation.kept = asyncio.create_task(wait())
        await asyncio.sleep(0)

    with pytest.raises(ValueError, match="planted"):
        run(main)


def test_who_does_not_end_when_he_is_cancelled_is_stuck():
    async def stubborn():
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                pass

    async def main(simulation):
        simulation.kept = asyncio.create_task(stubborn())
        await asyncio.sleep(0)

    with pytest.raises(SimulationStuck, match="stubborn is waited for, and has not gone on"):
        run(main)


def test_generators_are_closed_in_the_order_in_which_they_began():
    log = []

    async def numbers(name):
        try:
            yield name
        finally:
            log.append(name)

    async def main(simulation):
        simulation.kept = [numbers(name) for name in range(20)]
        for one in simulation.kept:
            await anext(one)

    run(main)
    assert log == list(range(20))


def test_a_generator_that_fails_as_it_is_closed_fails_the_run():
    async def numbers():
        try:
            yield 1
        finally:
            raise ValueError("planted")

    async def main(simulation):
        simulation.kept = numbers()
        await anext(simulation.kept)

    with pytest.raises(ValueError, match="planted") as raised:
        run(main)
    assert raised.value.__notes__ == ["an asynchronous generator failed as it was closed"]


def test_a_run_that_fails_ends_its_coroutines_where_they_stand_and_warns_of_nothing(recwarn, caplog):
    log = []

    async def never_begun():
        raise AssertionError

    async def wait(name, never):
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await never
            finally:
                try:
                    await never
                finally:
                    log.append(name)
                    await asyncio.sleep(1)

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(1)
            except BaseException:
                if len(log) > 50:
                    raise
                log.append("stubborn")

    async def main(simulation):
        simulation.kept = [asyncio.create_task(wait("a", simulation.loop.create_future())), asyncio.create_task(stubborn())]
        await asyncio.sleep(0)
        simulation.kept.append(asyncio.create_task(never_begun()))
        simulation.loop.call_soon(print)
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        run(main)
    assert log.count("a") == 1
    gc.collect()
    assert not recwarn.list
    assert not caplog.records


def test_a_play_may_abandon_its_simulation():
    async def main(simulation):
        simulation.abandon()
        with pytest.raises(SimulationMisused, match="closed"):
            await asyncio.sleep(1)

    outcome = play(Case(main))
    assert outcome.error is None
    assert list(outcome.trace)[-1].startswith("run\tloop\t")


def test_a_channel_that_is_left_open_is_closed_after_the_tasks():
    async def main(simulation):
        channel = simulation.channel()
        client = channel.client("a", "u")
        client.join("x")

        async def listen():
            try:
                await asyncio.Event().wait()
            finally:
                client.broadcast("x", "bye")

        simulation.kept = asyncio.create_task(listen())
        await asyncio.sleep(0)

    run(main)


def test_what_a_task_fails_of_at_the_end_is_told_where_nobody_is_called_then():
    async def fail():
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("on its way out")

    seen = []
    with Simulation(1) as simulation:
        task = simulation.loop.create_task(fail())
        task.add_done_callback(lambda task: seen.append(str(task.exception())))
        simulation.run()
    assert seen == ["on its way out"]
    simulation = Simulation(1)
    task = simulation.loop.create_task(fail())
    simulation.run()
    with pytest.raises(ValueError, match="on its way out"):
        simulation.close()
