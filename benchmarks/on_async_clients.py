"""A broadcast to many clients of an `AsyncChannel`, each read by a task; and readers by the thousand that wait."""

import asyncio

from gate import Gate, run_on
from stopwatch import Stopwatch, expect, resident_bytes

from lightspeed.channel import AsyncChannel, AsyncClient, Broadcast, Inbox, Loop, Pool, Publish

_ALL = 10**9
_IN_A_TOPIC = 100  # of 10,000 in one topic each would be told of each who joins


def broadcast(members: int, bursts: int, burst: int, runtime: str, loop: str) -> dict[str, float]:
    """Deliveries per second; so many messages of a burst are told before their readers are waited for."""
    return {"read": run_on(loop, _broadcast(members, bursts, burst, runtime))}


async def _broadcast(members: int, bursts: int, burst: int, runtime: str) -> float:
    gate, read = Gate(members), _read_many if burst > 1 else _read_singly
    async with AsyncChannel(runtime=Loop() if runtime == "Loop" else Pool()) as channel:
        clients = [await _join(channel, number, "room") for number in range(members)]
        readers = [asyncio.create_task(read(client, bursts, burst, gate)) for client in clients]
        await gate.wait()
        event = Broadcast("client 0", "room", "payload")
        with Stopwatch() as watch:
            for _ in range(bursts):
                for _ in range(burst):
                    channel.tell(event)
                await gate.wait()
        expect(await asyncio.gather(*readers) == [bursts * burst] * members, "a message is missing")
    return watch.per_second(members * bursts * burst)


async def _join(channel: AsyncChannel, number: int, topic: str) -> AsyncClient:
    client = await channel.client(f"client {number}", "user", inbox=Inbox(max_messages=_ALL))
    await client.join(topic)
    return client


async def _read_many(client: AsyncClient, bursts: int, burst: int, gate: Gate) -> int:
    await client.receive_many(_ALL)  # the diffs
    got = 0
    gate.come()
    for _ in range(bursts):
        left = burst
        while left:
            messages = await client.receive_many(left)
            left -= len(messages)
        got += burst
        gate.come()
    return got if messages[-1].payload == "payload" else 0


async def _read_singly(client: AsyncClient, bursts: int, burst: int, gate: Gate) -> int:
    await client.receive_many(_ALL)
    got = 0
    gate.come()
    for _ in range(bursts):
        for _ in range(burst):
            message = await client.receive()
            got += 1
        gate.come()
    return got if message.payload == "payload" else 0


def waiting(readers: int) -> dict[str, float]:
    """What a client with its task that waits takes, in bytes; and, in microseconds a reader, a message to all of them."""
    return asyncio.run(_waiting(readers))


async def _waiting(readers: int) -> dict[str, float]:
    gate = Gate(readers)
    async with AsyncChannel() as channel:
        before = resident_bytes()
        clients = [await _join(channel, number, f"room {number // _IN_A_TOPIC}") for number in range(readers)]
        tasks = [asyncio.create_task(_read_singly(client, 1, 1, gate)) for client in clients]
        await gate.wait()
        memory = (resident_bytes() - before) / readers
        with Stopwatch() as watch:
            for first in range(0, readers, _IN_A_TOPIC):
                channel.tell(Publish(f"room {first // _IN_A_TOPIC}", "payload"))
            await gate.wait()
        expect(await asyncio.gather(*tasks) == [1] * readers, "a message is missing")
    return {"memory": memory, "wake": watch.micros_each(readers)}
