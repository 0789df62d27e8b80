"""An event loop in a simulation: what asyncio promises, in virtual time, and in an order that hangs on the seed alone."""

import asyncio
import contextvars
import gc
import logging
import math
import sys
import threading
import time
import weakref
from functools import partial

import pytest

from lightspeed.actors import PooledActor
from lightspeed.actors.errors import InvariantBroken, PoolClosed, SimulationMisused, SimulationStuck
from lightspeed.channel import Join
from lightspeed.testing import Case, Simulation, every_schedule, play, search, shrink

# The same as on the real loop


async def calls_come_in_order(log):
    loop = asyncio.get_running_loop()
    loop.call_later(0, log, "later by nothing")
    for number in range(3):
        loop.call_soon(log, number)
    loop.call_soon(log, "cancelled").cancel()
    await asyncio.sleep(0)
    log("slept")
    await asyncio.sleep(0.001)


async def tasks_take_turns(log):
    async def count(name):
        for number in range(3):
            log((name, number))
            await asyncio.sleep(0)
        return name

    log(await asyncio.gather(count("a"), count("b"), count("c")))


async def timers_come_by_their_moments(log):
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    for delay_s in (0.02, 0.002, 0.01):
        loop.call_at(now_s + delay_s, log, delay_s)
    loop.call_at(now_s + 0.005, log, "cancelled").cancel()
    await asyncio.sleep(0.03)
    log(loop.time() >= now_s + 0.03)


async def a_timeout_cancels_what_takes_too_long(log):
    try:
        async with asyncio.timeout(0.005):
            await asyncio.sleep(10)
    except TimeoutError:
        log("timeout")
    async with asyncio.timeout(10):
        log(await asyncio.wait_for(asyncio.sleep(0.001, "in time"), 10))
    for wait_s in (0.001, 0, -1):
        try:
            await asyncio.wait_for(asyncio.sleep(10), wait_s)
        except TimeoutError:
            log(("too late", wait_s))


async def a_group_ends_when_one_fails(log):
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("planted")

    async def wait(name):
        try:
            await asyncio.sleep(10)
        finally:
            log(("cancelled", name))

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait("a"))
            group.create_task(fail())
    except* ValueError as errors:
        log(str(errors.exceptions))


async def a_queue_is_fair(log):
    queue = asyncio.Queue(maxsize=2)

    async def put(name):
        for number in range(4):
            await queue.put((name, number))
            log(("put", name, number))

    async def get():
        for _ in range(8):
            log(await queue.get())
            queue.task_done()

    await asyncio.gather(put("a"), put("b"), get())
    await queue.join()


async def locks_are_taken_in_order(log):
    lock, gate, slots, ready = asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(2), asyncio.Condition()

    async def enter(name):
        await gate.wait()
        async with lock:
            log(("lock", name))
            await asyncio.sleep(0)
        async with slots:
            log(("slot", name))
            await asyncio.sleep(0)
        async with ready:
            await ready.wait()
            log(("notified", name))

    tasks = [asyncio.create_task(enter(name)) for name in "abcd"]
    await asyncio.sleep(0)
    gate.set()
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        async with ready:
            ready.notify()


async def a_task_is_cancelled_wherever_it_is(log):
    async def wait(name, swallows=0):
        log(("begun", name))
        for number in range(1 + swallows):
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError as error:
                log((name, error.args))
                if number == swallows:
                    raise
        return name

    unbegun, waiting, stubborn = (
        asyncio.create_task(wait(name, name == "stubborn")) for name in ("unbegun", "waiting", "stubborn")
    )
    unbegun.cancel()
    await asyncio.sleep(0)
    waiting.cancel("enough")
    stubborn.cancel()
    log([type(came) for came in await asyncio.gather(unbegun, waiting, stubborn, return_exceptions=True)])
    log((waiting.cancelled(), stubborn.cancelling()))


async def what_is_shielded_goes_on(log):
    gate = asyncio.Event()
    inner = asyncio.create_task(gate.wait())
    try:
        async with asyncio.timeout(0.001):
            await asyncio.shield(inner)
    except TimeoutError:
        log("shielded")
    gate.set()
    log(await inner)


_seen = contextvars.ContextVar("seen", default=0)


async def contexts_are_kept(log):
    loop = asyncio.get_running_loop()
    _seen.set(1)
    loop.call_soon(lambda: log(("soon", _seen.get())))
    other = contextvars.copy_context()
    other.run(_seen.set, 5)
    loop.call_soon(lambda: log(("other", _seen.get())), context=other)

    async def change():
        _seen.set(_seen.get() + 10)
        log(("task", _seen.get()))

    await asyncio.create_task(change())
    await asyncio.create_task(change(), context=other)
    log((_seen.get(), other[_seen]))
    loop.call_later(0.001, lambda: log(("later", _seen.get())))
    _seen.set(2)
    await asyncio.sleep(0.002)


async def generators_are_closed(log):
    async def numbers(name):
        try:
            for number in range(3):
                yield number
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            log(("closed", name))

    async for number in numbers("left"):
        log(number)
        break
    for _ in range(9):
        await asyncio.sleep(0)
    kept = numbers("kept")
    log(await anext(kept))
    log([number async for number in numbers("whole")])
    asyncio.get_running_loop().kept = kept  # until the loop's end


async def waits_end_by_their_kind(log):
    gates = {name: asyncio.Event() for name in "abc"}

    async def wait(name):
        await gates[name].wait()
        return name

    tasks = [asyncio.create_task(wait(name)) for name in "abc"]
    asyncio.get_running_loop().call_soon(gates["b"].set)
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    log(([task.result() for task in done], len(pending)))
    left = asyncio.as_completed(sorted(pending, key=tasks.index))
    gates["c"].set()
    log(await next(left))
    gates["a"].set()
    log(await next(left))


async def callbacks_of_a_future_come_in_order(log):
    future = asyncio.get_running_loop().create_future()
    for number in range(3):
        future.add_done_callback(lambda _future, number=number: log(number))
    future.remove_done_callback(log)
    future.set_result("set")
    log("before")
    log(await future)
    await asyncio.sleep(0)


async def who_is_left_is_cancelled(log):
    async def wait(name):
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            log(("cancelled", name))

    log([task.get_coro().__name__ for task in asyncio.all_tasks()])
    log((asyncio.current_task().get_coro().__name__, asyncio.get_running_loop().is_running()))
    asyncio.get_running_loop().kept = [asyncio.create_task(wait("a"))]
    await asyncio.sleep(0)


PROGRAMS = [
    calls_come_in_order,
    tasks_take_turns,
    timers_come_by_their_moments,
    a_timeout_cancels_what_takes_too_long,
    a_group_ends_when_one_fails,
    a_queue_is_fair,
    locks_are_taken_in_order,
    a_task_is_cancelled_wherever_it_is,
    what_is_shielded_goes_on,
    contexts_are_kept,
    generators_are_closed,
    waits_end_by_their_kind,
    callbacks_of_a_future_come_in_order,
    who_is_left_is_cancelled,
]


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_does_as_it_does_under_asyncio_run(program):
    real = []
    asyncio.run(program(real.append))
    assert real
    for scheduler in ("round_robin", "random", "priority"):
        for seed in range(3):
            came = []
            with Simulation(seed, scheduler=scheduler) as simulation:
                simulation.loop.run_until_complete(program(came.append))
            assert came == real


# Time and turns


def test_time_is_virtual_and_takes_none():
    async def play(simulation):
        loop = asyncio.get_running_loop()
        assert loop is simulation.loop
        assert loop.time() == 0
        await asyncio.sleep(86_400 * 365)
        assert loop.time() == simulation.now_s == 86_400 * 365
        return "a year"

    started_s = time.monotonic()
    with Simulation(1) as simulation:
        assert simulation.loop.run_until_complete(play(simulation)) == "a year"
        assert not simulation.loop.is_running()
    assert time.monotonic() - started_s < 5


def test_what_is_due_at_one_moment_comes_in_any_order_and_what_is_called_soon_in_its_own():
    def orders(schedule):
        seen = set()
        for seed in range(30):
            came = []
            with Simulation(seed) as simulation:
                schedule(simulation.loop, came)
                simulation.run_for(1)
            seen.add(tuple(came))
        return seen

    def soon(loop, came):
        for name in "ab":
            loop.call_soon(came.append, name)

    def later(loop, came):
        for name in "ab":
            loop.call_later(1, came.append, name)

    assert orders(soon) == {("a", "b")}
    assert orders(later) == {("a", "b"), ("b", "a")}


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


def test_a_loop_takes_turns_with_actors_and_with_other_loops():
    def interleaving(seed):
        log = []

        async def count(name):
            for number in range(3):
                log.append((name, number))
                await asyncio.sleep(0)

        with Simulation(seed) as simulation:
            ref, other = simulation.start(Teller, log), simulation.new_loop()
            for number in range(3):
                ref.tell(("actor", number))
            simulation.loop.create_task(count("loop"))
            other.create_task(count("other"))
            simulation.run()
        for name in ("actor", "loop", "other"):
            assert [number for who, number in log if who == name] == [0, 1, 2]
        return tuple(log)

    assert len({interleaving(seed) for seed in range(20)}) > 10


def test_the_same_seed_is_the_same_run_and_a_replay_is_too():
    async def race(simulation):
        log = []
        ref = simulation.start(Teller, log)

        async def tell(name):
            for number in range(3):
                ref.tell(f"{name}{number}")
                await asyncio.sleep(simulation.random.random())

        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(tell(name), name=f"teller {name}")
        async with asyncio.timeout(1):
            await asyncio.wait([asyncio.create_task(asyncio.sleep(0.5, name)) for name in "xyz"])

    outcomes = [play(Case(race, seed)) for seed in (1, 1, 2)]
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert outcomes[0].trace.hash == outcomes[1].trace.hash != outcomes[2].trace.hash
    assert play(outcomes[2].exact).trace.hash == outcomes[2].trace.hash


def test_a_group_cancels_its_tasks_in_the_same_order_in_every_run():
    def order():
        log = []

        async def wait(number):
            try:
                await asyncio.Event().wait()
            finally:
                log.append(number)

        async def fail(simulation):
            kept = [object() for _ in range(len(log) * 7)]  # what is beside it in memory is not to matter
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(wait(number))
                    kept.append(bytearray(number * 37))
                await asyncio.sleep(0)
                raise ValueError("planted")

        outcome = play(Case(fail))
        assert outcome.failure == "ValueError in fail"
        return tuple(log), outcome.trace.hash

    assert len({order() for _ in range(5)}) == 1


def test_sets_of_futures_have_one_order():
    with Simulation(1) as simulation:
        futures = [simulation.loop.create_future() for _ in range(50)]
        assert list(set(futures)) == sorted(set(futures), key=lambda future: future.number)
        assert len({hash(future) for future in futures}) == 50


# Planted bugs


class Account:
    balance = 0


async def deposit(account):
    balance = account.balance
    await asyncio.sleep(0)
    account.balance = balance + 1


async def two_tasks(simulation):
    """Each waits for an actor's word; a deposit is lost only where the second comes in the middle of the first."""
    account, loop = Account(), simulation.loop

    async def customer(ref):
        heard = loop.create_future()
        ref.tell(lambda: loop.call_soon_threadsafe(heard.set_result, None))
        await heard
        await deposit(account)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(customer(simulation.start(Teller, [])))
    if account.balance != 2:
        raise AssertionError("a deposit was lost")


async def a_task_and_an_actor(simulation):
    account, log = Account(), []
    ref = simulation.start(Teller, log)

    def add_later():
        balance = account.balance
        ref.tell(lambda: setattr(account, "balance", balance + 1))

    ref.tell(add_later)
    await deposit(account)
    while len(log) < 2:
        await asyncio.sleep(1)
    if account.balance != 2:
        raise AssertionError("a deposit was lost")


@pytest.mark.parametrize("race", [two_tasks, a_task_and_an_actor])
def test_a_lost_update_is_found_by_seeds_and_cut_down(race):
    outcomes = [play(Case(race, seed)) for seed in range(40)]
    found = [outcome for outcome in outcomes if outcome.error is not None]
    assert 0 < len(found) < 40
    assert {outcome.text for outcome in found} == {"AssertionError: a deposit was lost"}
    assert search(race, range(40)).is_as(found[0])
    assert every_schedule(race).is_as(found[0])
    small = shrink(found[0])
    assert small.is_as(found[0])
    assert play(small.case).trace.hash == small.trace.hash


# What fails


def run(main, seed=1):
    with Simulation(seed) as simulation:
        return simulation.loop.run_until_complete(main(simulation))


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
        assert len(await asyncio.gather(*(fail() for _ in range(1_500)), return_exceptions=True)) == 1_500

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
    account = Account()

    async def main(simulation):
        simulation.always(lambda: account.balance < 2, "few")
        for _ in range(3):
            account.balance += 1
            await asyncio.sleep(1)

    with pytest.raises(InvariantBroken, match="few: it did not hold at step"):
        run(main)
    assert account.balance == 2


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
    assert f"worker:2 waits at test_loop.py:{line} in worker > test_loop.py:{line - 3} in take > queues.py:" in text
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

    with pytest.raises(SimulationStuck, match=r"still busy after 1,000 steps, and .*main waits at test_loop.py"):
        run(main)


def test_many_steps_at_many_moments_are_no_spin(monkeypatch):
    monkeypatch.setattr("lightspeed.testing.loop.MOST_STEPS", 20)

    async def main(simulation):
        for _ in range(50):
            await asyncio.sleep(1)

    run(main)


# What is refused


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda loop: loop.run_in_executor(None, print),
            "run_in_executor leaves the simulation, and a simulation has one thread",
        ),
        (lambda loop: loop.getaddrinfo("localhost", 80), "getaddrinfo leaves the simulation, and a simulation has no network"),
        (lambda loop: loop.create_connection(None, "localhost"), "create_connection leaves .* use a channel of the simulation"),
        (lambda loop: loop.create_server(None, "localhost"), "create_server leaves"),
        (lambda loop: loop.sock_recv(None, 1), "sock_recv leaves"),
        (lambda loop: loop.add_reader(0, print), "add_reader leaves"),
        (lambda loop: loop.subprocess_exec(None, "true"), "subprocess_exec leaves .* no processes"),
        (lambda loop: loop.add_signal_handler(2, print), "add_signal_handler leaves .* hears no signals"),
        (lambda loop: loop.run_forever(), "run_forever would not end"),
        (lambda loop: loop.stop(), "stop ends a run_forever"),
    ],
)
def test_what_leaves_the_simulation_is_refused_by_name(call, told):
    with Simulation(1) as simulation, pytest.raises(SimulationMisused, match=told):
        call(simulation.loop)


@pytest.mark.parametrize(
    "wait",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.open_connection("localhost", 80),
        lambda: asyncio.create_subprocess_exec("true"),
    ],
)
def test_what_would_leave_it_by_a_coroutine_is_refused_where_it_is_awaited(wait):
    async def main(simulation):
        with pytest.raises(SimulationMisused, match="leaves the simulation"):
            await wait()

    run(main)


def test_all_of_an_event_loop_is_there_or_refused():
    for name, what in vars(asyncio.AbstractEventLoop).items():
        if callable(what) and not name.startswith("_"):
            assert getattr(type(Simulation(1).loop), name) is not what


def test_another_thread_is_turned_away():
    raised = []
    with Simulation(1) as simulation:
        loop = simulation.loop

        def call():
            for schedule in (loop.call_soon, loop.call_soon_threadsafe, lambda call: loop.call_later(1, call)):
                try:
                    schedule(raised.append)
                except SimulationMisused as error:
                    raised.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert raised == ["an event loop of a simulation was called in another thread than the simulation's"] * 3


def test_it_is_run_by_the_play_alone():
    async def nothing():
        pass

    def inside(simulation):
        simulation.loop.run_until_complete(nothing())

    async def main(simulation):
        with pytest.raises(SimulationMisused, match="run_until_complete is for the play itself, and was called within a turn"):
            inside(simulation)
        with pytest.raises(SimulationMisused, match="close is for the play itself"):
            simulation.close()
        with pytest.raises(SimulationMisused, match="a loop that runs can't be closed"):
            simulation.loop.close()
        return "went on"

    assert run(main) == "went on"
    with Simulation(1) as simulation:
        ref = simulation.start(Teller, [])
        with pytest.raises(SimulationMisused, match="within a turn"):
            ref.ask(lambda: inside(simulation))

    async def outside():
        with Simulation(1) as simulation:
            inside(simulation)

    with pytest.raises(SimulationMisused, match="within another running event loop"):
        asyncio.run(outside())


def test_when_it_is_closed_it_calls_nothing_more():
    called = []
    with Simulation(1) as simulation:
        loop = simulation.loop
        loop.call_soon(called.append, 1)
        loop.close()
        loop.close()
        for call in (lambda: loop.call_soon(print), lambda: loop.call_later(1, print), lambda: loop.run_until_complete(None)):
            with pytest.raises(SimulationMisused, match="the event loop is closed"):
                call()
        assert loop.is_closed()
    assert called == []
    with pytest.raises(SimulationMisused, match="the simulation is closed"):
        simulation.new_loop()
    assert simulation.loop is loop


# Beside actors and channels


def test_an_actors_turn_may_begin_a_task_and_is_not_on_the_loop():
    seen = []

    async def late(name):
        await asyncio.sleep(1)
        seen.append((name, asyncio.get_running_loop() is not None))

    with Simulation(1) as simulation:
        loop = simulation.loop

        def begin():
            loop.create_task(late("from an actor"))
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()

        simulation.start(Teller, []).ask(begin)
        simulation.client(simulation.channel(), "a").do(lambda: loop.create_task(late("from a client")))
        simulation.run_for(2)
    assert sorted(seen) == [("from a client", True), ("from an actor", True)]


def test_a_call_that_waits_within_a_coroutine_holds_up_its_loop_and_nobody_else():
    log = []

    def off_the_loop():
        return asyncio._get_running_loop(), asyncio.current_task(loop)

    async def other():
        log.append("other")

    async def main(simulation):
        channel = simulation.channel()
        asyncio.create_task(other())  # noqa: RUF006
        channel.handle(Join("a", "x", "u", 1))
        assert channel.subscribers("x") == ("a",)
        before = asyncio.current_task()
        assert simulation.start(Teller, log).ask(off_the_loop) == (None, None)
        assert (asyncio.current_task(), asyncio.get_running_loop()) == (before, loop)
        simulation.run_for(5)
        assert simulation.now_s == 5
        assert "other" not in log
        await asyncio.sleep(0)
        assert "other" in log

    with Simulation(1) as simulation:
        loop = simulation.loop
        loop.run_until_complete(main(simulation))


def test_one_loops_coroutine_runs_within_a_wait_of_anothers():
    with Simulation(1) as simulation:
        log, other = [], simulation.new_loop()

        async def answer():
            await asyncio.sleep(1)
            log.append(asyncio.get_running_loop() is other)

        async def main():
            other.create_task(answer())
            simulation.run_for(2)
            log.append(asyncio.get_running_loop() is simulation.loop)

        simulation.loop.run_until_complete(main())
    assert log == [True, True]


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

    async def wait(name):
        try:
            await asyncio.Event().wait()
        finally:
            log.append(name)
            await asyncio.sleep(1)
            await asyncio.sleep(1)
            raise KeyError(name)

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(1)
            except BaseException:
                if len(log) > 50:
                    raise
                log.append("stubborn")

    async def main(simulation):
        simulation.kept = [asyncio.create_task(wait("a")), asyncio.create_task(stubborn())]
        await asyncio.sleep(0)
        simulation.kept.append(asyncio.create_task(never_begun()))
        simulation.loop.call_soon(print)
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        run(main)
    gc.collect()
    assert log.count("a") == 1
    assert not recwarn.list
    assert not caplog.records


def test_a_play_may_abandon_its_simulation():
    async def main(simulation):
        simulation.abandon()
        with pytest.raises(SimulationMisused, match="closed"):
            await asyncio.sleep(1)

    outcome = play(Case(main))
    assert outcome.error is None


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


# Its small things


def test_names_in_the_trace_are_those_of_functions_and_a_counter():
    class Odd:
        def __call__(self):
            pass

        def __repr__(self):
            raise AssertionError

    async def main(simulation):
        loop = asyncio.get_running_loop()
        assert asyncio.current_task().get_name().endswith("main")
        task = loop.create_task(asyncio.sleep(1), name="mine")
        assert task.get_name() == "mine"
        loop.call_soon(Odd())
        loop.call_later(0.5, task.cancel)
        await asyncio.sleep(1)
        return await asyncio.gather(task, asyncio.sleep(1, "slept"), return_exceptions=True)

    with Simulation(1) as simulation:
        assert simulation.loop.run_until_complete(main(simulation))[1] == "slept"
        lines = list(simulation.trace)
    assert {
        "start\tloop",
        "put\tloop\tsleep",
        "run\tloop\tsleep",
        "run\tloop\tOdd",
        "run\tloop\tSimulatedTask.cancel",
        "end\tsleep\tcancelled",
        "run\tloop\tsleep:2",
        "end\tsleep:2\tnormal",
    } <= set(lines)
    assert not [line for line in lines if "0x" in line]


def test_a_factory_makes_the_tasks_and_they_are_known_too():
    log = []

    def make(loop, coroutine, **options):
        log.append(coroutine.__name__)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def fail():
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"), Simulation(1) as simulation:  # noqa: PT012
        simulation.loop.set_task_factory(make)
        assert simulation.loop.get_task_factory() is make
        named = simulation.loop.create_task(fail(), name="mine")
        assert named.get_name() == "mine"
        simulation.run()
    assert log == ["fail"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_eager_tasks_begin_at_once():
    log = []

    async def count(name, waits):
        log.append(name)
        if waits:
            await asyncio.sleep(1)
        else:
            raise ValueError("planted")

    async def main(simulation):
        simulation.loop.set_task_factory(asyncio.eager_task_factory)
        waiting = asyncio.create_task(count("waits", True))
        failed = asyncio.create_task(count("fails", False))
        assert log == ["waits", "fails"]
        await waiting
        assert isinstance(failed.exception(), ValueError)
        simulation.kept = asyncio.create_task(count("is left", True))

    run(main)


def test_asyncios_own_runner_can_run_it():
    async def main():
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    with Simulation(1) as simulation, asyncio.Runner(loop_factory=lambda: simulation.loop, debug=True) as runner:
        assert runner.run(main()) == 3_600
        assert simulation.loop.get_debug()


def test_a_simulation_that_is_over_takes_no_calls_of_another_loop_either():
    simulation = Simulation(1)
    loop = simulation.new_loop()
    simulation.pool.close()
    with pytest.raises(PoolClosed):
        loop.call_soon(print)
    simulation.abandon()
    assert loop.is_closed()


@pytest.mark.slow
def test_tasks_that_only_take_turns_make_many_steps_a_second():
    async def turn():
        for _ in range(500):
            await asyncio.sleep(0)

    async def main(simulation):
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(turn())

    with Simulation(1) as simulation:
        started_s = time.process_time()
        simulation.loop.run_until_complete(main(simulation))
        assert simulation.steps / (time.process_time() - started_s) > 15_000  # more than 50,000 where nobody traces or shares
