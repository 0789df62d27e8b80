"""broadcaster with its memory backend: each subscriber has a queue, into which each message is put."""

import asyncio

from broadcaster import Broadcast
from gate import Gate, run_on
from stopwatch import Stopwatch, expect, resident_bytes

_IN_A_CHANNEL = 100  # as of ours, who wait in a topic


def broadcast(members: int, messages: int) -> dict[str, float]:
    return {"read": asyncio.run(_broadcast(members, messages))}


def bursts(members: int, bursts: int, burst: int, loop: str) -> dict[str, float]:
    """So many messages of a burst are published before their readers are waited for."""
    return {"read": run_on(loop, _bursts(members, bursts, burst))}


async def _bursts(members: int, bursts: int, burst: int) -> float:
    gate = Gate(members)
    async with Broadcast("memory://") as room:
        readers = [asyncio.create_task(_read_bursts(room, bursts, burst, gate)) for _ in range(members)]
        await gate.wait()
        with Stopwatch() as watch:
            for _ in range(bursts):
                for _ in range(burst):
                    await room.publish("room", "payload")
                await gate.wait()
        expect(await asyncio.gather(*readers) == [bursts * burst] * members, "a message is missing")
    return watch.per_second(members * bursts * burst)


async def _read_bursts(room: Broadcast, bursts: int, burst: int, gate: Gate, channel: str = "room") -> int:
    got = 0
    async with room.subscribe(channel) as subscriber:
        gate.come()
        for _ in range(bursts):
            for _ in range(burst):
                event = await subscriber.get()
                got += 1
            gate.come()
    return got if event.message == "payload" else 0


def waiting(readers: int) -> dict[str, float]:
    """What a subscriber with its task that waits takes, in bytes; and, in microseconds a reader, a message to all of them."""
    return asyncio.run(_waiting(readers))


async def _waiting(readers: int) -> dict[str, float]:
    gate = Gate(readers)
    async with Broadcast("memory://") as room:
        before = resident_bytes()
        tasks = [
            asyncio.create_task(_read_bursts(room, 1, 1, gate, f"room {number // _IN_A_CHANNEL}")) for number in range(readers)
        ]
        await gate.wait()
        memory = (resident_bytes() - before) / readers
        with Stopwatch() as watch:
            for first in range(0, readers, _IN_A_CHANNEL):
                await room.publish(f"room {first // _IN_A_CHANNEL}", "payload")
            await gate.wait()
        expect(await asyncio.gather(*tasks) == [1] * readers, "a message is missing")
    return {"memory": memory, "wake": watch.micros_each(readers)}


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
