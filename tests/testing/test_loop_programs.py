"""Small programs do on a simulated loop what they do under `asyncio.run`."""

import asyncio
import contextvars

import pytest

from lightspeed.testing import Simulation


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
