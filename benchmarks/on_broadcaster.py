"""broadcaster with its memory backend: each subscriber has a queue, into which each message is put."""

import asyncio

from broadcaster import Broadcast
from stopwatch import Stopwatch, expect


def broadcast(members: int, messages: int) -> dict[str, float]:
    return {"read": asyncio.run(_broadcast(members, messages))}


def bursts(members: int, messages: int, burst: int) -> dict[str, float]:
    """So many messages of a burst are published before their readers are waited for."""
    return {"read": asyncio.run(_bursts(members, [min(burst, messages - start) for start in range(0, messages, burst)]))}


async def _bursts(members: int, counts: list[int]) -> float:
    gate = asyncio.Barrier(members + 1)
    async with Broadcast("memory://") as room:
        readers = [asyncio.create_task(_read_bursts(room, counts, gate)) for _ in range(members)]
        await gate.wait()
        with Stopwatch() as watch:
            for count in counts:
                for _ in range(count):
                    await room.publish("room", "payload")
                await gate.wait()
        got = await asyncio.gather(*readers)
    expect(got == [sum(counts)] * members, "a message is missing")
    return watch.per_second(members * sum(counts))


async def _read_bursts(room: Broadcast, counts: list[int], gate: asyncio.Barrier) -> int:
    got = 0
    async with room.subscribe("room") as subscriber:
        await gate.wait()
        events = aiter(subscriber)
        for count in counts:
            for _ in range(count):
                expect((await anext(events)).message == "payload", "a message is wrong")
                got += 1
            await gate.wait()
    return got


async def _broadcast(members: int, messages: int) -> float:
    all_there = asyncio.Barrier(members + 1)
    async with Broadcast("memory://") as room:
        readers = [asyncio.create_task(_read(room, messages, all_there)) for _ in range(members)]
        await all_there.wait()
        with Stopwatch() as watch:
            for _ in range(messages):
                await room.publish("room", "payload")
            counts = await asyncio.gather(*readers)
    expect(counts == [messages] * members, "a message is missing")
    return watch.per_second(members * messages)


async def _read(room: Broadcast, messages: int, all_there: asyncio.Barrier) -> int:
    got = 0
    async with room.subscribe("room") as subscriber:
        await all_there.wait()
        async for event in subscriber:
            expect(event.message == "payload", "a message is wrong")
            got += 1
            if got == messages:
                break
    return got
