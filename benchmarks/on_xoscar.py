"""xoscar: asyncio actors, all in the pool of this process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import xoscar
from stopwatch import Stopwatch, expect, resident_bytes

Create = Callable[..., Awaitable[xoscar.ActorRef]]
Figures = TypeVar("Figures")

AT_ONCE = 1_000  # tells in one gather: awaited each in turn they take twice as long


class Echo(xoscar.Actor):
    async def echo(self, message: object) -> object:
        return message


class Counter(xoscar.Actor):
    """Sets an event when so many messages were counted, by however many actors share it."""

    def __init__(self, tally: list[int], done: asyncio.Event) -> None:
        self._tally, self._done = tally, done

    async def count(self, message: object) -> None:
        self._tally[0] -= 1
        if not self._tally[0]:
            self._done.set()


def spawn(count: int) -> dict[str, float]:
    async def run(create: Create) -> dict[str, float]:
        with Stopwatch() as watch:
            started = [await create(Echo) for _ in range(count)]
        await _expect_echoes(started)
        return {"spawn": watch.micros_each(count)}

    return _in_pool(run)


def memory(count: int) -> dict[str, float]:
    async def run(create: Create) -> dict[str, float]:
        await _expect_echoes([await create(Echo)])
        before = resident_bytes()
        started = [await create(Echo) for _ in range(count)]
        await _expect_echoes(started)
        return {"memory": (resident_bytes() - before) / count}

    return _in_pool(run)


def tell(count: int) -> dict[str, float]:
    at_once = min(count, AT_ONCE)
    return {"tell": _tell(actors=1, rounds=count // at_once, messages=at_once)}


def fan_out(actors: int, rounds: int) -> dict[str, float]:
    return {"fan-out": _tell(actors=actors, rounds=rounds, messages=1)}


def ask(count: int) -> dict[str, float]:
    async def run(create: Create) -> dict[str, float]:
        ref, messages = await create(Echo), list(range(count))
        with Stopwatch() as watch:
            answers = [await ref.echo(message) for message in messages]
        expect(answers == messages, "an answer is wrong")
        return {"ask": watch.micros_each(count)}

    return _in_pool(run)


def ask_with_timeout(count: int) -> dict[str, float]:
    async def run(create: Create) -> dict[str, float]:
        ref, messages = await create(Echo), list(range(count))
        with Stopwatch() as watch:
            answers = [await xoscar.wait_for(ref.echo(message), 60) for message in messages]
        expect(answers == messages, "an answer is wrong")
        return {"ask": watch.micros_each(count)}

    return _in_pool(run)


def _tell(actors: int, rounds: int, messages: int) -> float:
    """In each round so many messages to each actor, all at once."""

    async def run(create: Create) -> float:
        tally, done = [0], asyncio.Event()
        refs = [await create(Counter, tally, done) for _ in range(actors)]
        with Stopwatch() as watch:
            for _ in range(rounds):
                tally[0] = actors * messages
                done.clear()
                await asyncio.gather(*[ref.count.tell(number) for ref in refs for number in range(messages)])
                await done.wait()
        return watch.per_second(actors * rounds * messages)

    return _in_pool(run)


def _in_pool(run: Callable[[Create], Awaitable[Figures]]) -> Figures:
    async def main() -> Figures:
        pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
        async with pool:
            return await run(lambda *arguments: xoscar.create_actor(*arguments, address=pool.external_address))

    return asyncio.run(main())


async def _expect_echoes(refs: list[xoscar.ActorRef]) -> None:
    for number, ref in enumerate(refs):
        expect(await ref.echo(number) == number, "an actor does not answer")
