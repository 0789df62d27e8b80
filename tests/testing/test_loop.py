"""An event loop in a simulation: what asyncio promises, in virtual time, and in an order that hangs on the seed alone."""

import asyncio
import sys
import threading
import time

import pytest

from lightspeed.actors import PooledActor
from lightspeed.actors.errors import PoolClosed, SimulationMisused
from lightspeed.channel import Join
from lightspeed.testing import Case, Simulation, every_schedule, play, search, shrink


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


def test_what_is_due_already_comes_though_others_are_ready():
    async def main(simulation):
        called = []
        asyncio.get_running_loop().call_later(0, called.append, 1)
        asyncio.get_running_loop().call_at(-1, called.append, 2)
        while len(called) < 2:
            await asyncio.sleep(0)
        return simulation.now_s

    assert run(main) == 0


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
