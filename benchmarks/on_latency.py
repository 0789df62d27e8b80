"""How long a broadcast takes to the tasks of one event loop, while another topic burns the processor."""

import asyncio
from collections.abc import Callable, Coroutine
from statistics import quantiles
from time import perf_counter, thread_time
from typing import Any

from gate import Gate
from stopwatch import expect

from lightspeed.channel import AsyncChannel, Behaviour, Broadcast, BroadcastMessage, Inbox, Join, Loop, Pool, Publish

_BURN_S, _AHEAD = 0.005, 1_000  # so many wait to be burned, 5 s, which no round takes
_PAUSE_S = 0.01
_ALL = 10**9


class Burner(Behaviour):
    """Takes 5 ms of the processor for each event."""

    burned = 0

    def on_publish(self, room: object, payload: str) -> None:
        end_s = thread_time() + _BURN_S
        while thread_time() < end_s:
            pass
        Burner.burned += 1


def clients(members: int, rounds: int, runtime: str) -> dict[str, float]:
    """The median and the 99th percentile over all deliveries, in milliseconds: from the tell until a client's task has it."""
    return asyncio.run(_clients(members, rounds, runtime))


def sink(members: int, rounds: int, runtime: str) -> dict[str, float]:
    """The same by hand: a sink that has the loop put each message into a queue for each recipient."""
    return asyncio.run(_sink(members, rounds, runtime))


async def _clients(members: int, rounds: int, runtime: str) -> dict[str, float]:
    channel = _channel(runtime)
    clients = [await channel.client(f"client {number}", "user", inbox=Inbox(max_messages=_ALL)) for number in range(members)]
    for client in clients:
        await client.join("room")
    for client in clients:
        await client.receive_many(_ALL)  # the diffs
    return await _measured(channel, [client.receive for client in clients], rounds)


async def _sink(members: int, rounds: int, runtime: str) -> dict[str, float]:
    queues: dict[str, asyncio.Queue[Any]] = {f"client {number}": asyncio.Queue() for number in range(members)}
    loop = asyncio.get_running_loop()

    def put(message: Any) -> None:
        if type(message) is BroadcastMessage:
            for client_id in message.recipients:
                loop.call_soon_threadsafe(queues[client_id].put_nowait, message)

    channel = _channel(runtime, on_outbound=put)
    for client_id in queues:
        await channel.handle(Join(client_id, "room", "user", 0))
    return await _measured(channel, [queue.get for queue in queues.values()], rounds)


def _channel(runtime: str, **options: Any) -> AsyncChannel:
    """One whose topic `burn` has a thread of its own, where there are threads. It is not closed: there is more to burn then."""
    if runtime == "Pool":
        return AsyncChannel(behaviours={"burn": Burner}, own_thread=["burn"], runtime=Pool(), **options)
    return AsyncChannel(behaviours={"burn": Burner}, runtime=Loop(), **options)


async def _measured(channel: AsyncChannel, reads: list[Callable[[], Coroutine[Any, Any, Any]]], rounds: int) -> dict[str, float]:
    gate, burn, took_s = Gate(len(reads)), Publish("burn", "payload"), list[float]()
    told_s = 0.0

    async def read_all(read: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        for _ in range(rounds):
            message = await read()
            took_s.append(perf_counter() - told_s)
            expect(message.payload == "payload", "a message is wrong")
            gate.come()

    tasks = [asyncio.create_task(read_all(read)) for read in reads]
    await channel.handle(Join("burner", "burn", "user", 0))
    to_burn = 0
    for _ in range(rounds):
        while to_burn - Burner.burned < _AHEAD:
            channel.tell(burn)
            to_burn += 1
        await asyncio.sleep(_PAUSE_S)
        told_s = perf_counter()
        channel.tell(Broadcast("client 0", "room", "payload"))
        await gate.wait()
    await asyncio.gather(*tasks)
    expect(0 < Burner.burned < to_burn, "the topic did not burn throughout")
    cuts = quantiles(took_s, n=100)
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3}
