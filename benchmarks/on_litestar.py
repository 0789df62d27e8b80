"""Litestar's channels with their memory backend: each subscriber has a queue, filled by a task of the plugin's."""

import asyncio

from gate import Gate, run_on
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.channels.subscriber import Subscriber
from stopwatch import Stopwatch, expect


def broadcast(members: int, bursts: int, burst: int, loop: str) -> dict[str, float]:
    """Deliveries per second; so many messages of a burst are published before their readers are waited for."""
    return {"read": run_on(loop, _broadcast(members, bursts, burst))}


async def _broadcast(members: int, bursts: int, burst: int) -> float:
    gate = Gate(members)
    async with ChannelsPlugin(backend=MemoryChannelsBackend(), arbitrary_channels_allowed=True) as plugin:
        subscribers = [await plugin.subscribe("room") for _ in range(members)]
        readers = [asyncio.create_task(_read(subscriber, bursts, burst, gate)) for subscriber in subscribers]
        await gate.wait()
        with Stopwatch() as watch:
            for _ in range(bursts):
                for _ in range(burst):
                    await plugin.wait_published("payload", ("room",))  # `publish` goes by a task more
                await gate.wait()
        expect(await asyncio.gather(*readers) == [bursts * burst] * members, "a message is missing")
    return watch.per_second(members * bursts * burst)


async def _read(subscriber: Subscriber, bursts: int, burst: int, gate: Gate) -> int:
    got, events = 0, subscriber.iter_events()
    gate.come()
    for _ in range(bursts):
        for _ in range(burst):
            event = await anext(events)
            got += 1
        gate.come()
    return got if event == b"payload" else 0
