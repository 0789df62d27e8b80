"""Django Channels' in-memory layer: each member is a channel of a group, and each gets a copy of each message."""

import asyncio

from channels.layers import InMemoryChannelLayer
from stopwatch import Stopwatch, expect


def broadcast(members: int, messages: int) -> dict[str, float]:
    return {"read": asyncio.run(_broadcast(members, messages))}


async def _broadcast(members: int, messages: int) -> float:
    layer = InMemoryChannelLayer(capacity=messages)  # with less it would drop what a member has not read yet
    names = [await layer.new_channel() for _ in range(members)]
    for name in names:
        await layer.group_add("room", name)
    readers = [asyncio.create_task(_read(layer, name, messages)) for name in names]
    with Stopwatch() as watch:
        for _ in range(messages):
            await layer.group_send("room", {"type": "said", "payload": "payload"})
        counts = await asyncio.gather(*readers)
    expect(counts == [messages] * members, "a message is missing")
    return watch.per_second(members * messages)


async def _read(layer: InMemoryChannelLayer, name: str, messages: int) -> int:
    got = 0
    for _ in range(messages):
        message = await layer.receive(name)
        expect(message["payload"] == "payload", "a message is wrong")
        got += 1
    return got
