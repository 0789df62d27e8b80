"""Litestar's channels with their memory backend: each subscriber has a queue, filled by a task of the plugin's."""

import asyncio

from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from stopwatch import Stopwatch, expect


def broadcast(members: int, messages: int, burst: int) -> dict[str, float]:
    """Deliveries per second; so many messages of a burst are published before their readers are waited for."""
    return {"read": asyncio.run(_broadcast(members, messages, burst))}


async def _broadcast(members: int, messages: int, burst: int) -> float:
    bursts = [min(burst, messages - start) for start in range(0, messages, burst)]
    all_there = asyncio.Barrier(members + 1)
    async with ChannelsPlugin(backend=MemoryChannelsBackend(), arbitrary_channels_allowed=True) as plugin:
        subscribers = [await plugin.subscribe("room") for _ in range(members)]
        readers = [asyncio.create_task(_read(subscriber, bursts, all_there)) for subscriber in subscribers]
        with Stopwatch() as watch:
            for count in bursts:
                for _ in range(count):
                    plugin.publish("payload", "room")
                await all_there.wait()
            counts = await asyncio.gather(*readers)
    expect(counts == [messages] * members, "a message is missing")
    return watch.per_second(members * messages)


async def _read(subscriber: object, bursts: list[int], all_there: asyncio.Barrier) -> int:
    got = 0
    events = subscriber.iter_events()  # type: ignore[attr-defined]
    for count in bursts:
        for _ in range(count):
            expect(await anext(events) == b"payload", "a message is wrong")
            got += 1
        await all_there.wait()
    return got
