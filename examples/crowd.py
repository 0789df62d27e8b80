"""Two hundred clients on one event loop, in ten rooms; one room fails, and all that are in it are told, and come back."""

import asyncio
import threading
from contextlib import AsyncExitStack

from lightspeed.channel import AsyncChannel, AsyncClient, Behaviour, BroadcastMessage, Refused, Room, TopicDown, TopicUp

CLIENTS, ROOMS = 200, 10
EACH = CLIENTS // ROOMS


class Lecture(Behaviour):
    async def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        await asyncio.sleep(0)  # as storing it would take its time
        room.broadcast(payload)

    async def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        raise ConnectionError("the store is gone")


def room_of(client: AsyncClient) -> str:
    return f"room:{int(client.client_id) % ROOMS}"


async def hear(client: AsyncClient, kind: type, count: int = 1) -> int:
    """Read until so many of the kind have come."""
    heard = 0
    while heard < count:
        heard += isinstance(await client.receive(timeout_s=10), kind)
    return heard


async def come_back(client: AsyncClient) -> bool:
    """Read until it sees all of its room."""
    while len(client.presence(room_of(client))) < EACH:
        await client.receive(timeout_s=10)
    return True


async def main() -> None:
    async with AsyncChannel(behaviours={"room:*": Lecture}) as channel, AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(channel.client(str(n), f"user-{n}")) for n in range(CLIENTS)]
        inside, others = crowd[::ROOMS], [client for client in crowd if room_of(client) != "room:0"]
        print("joined:", len(await asyncio.gather(*(client.join(room_of(client)) for client in crowd))))
        await asyncio.gather(*(client.broadcast(room_of(client), "good morning") for client in crowd))
        print("heard:", sum(await asyncio.gather(*(hear(client, BroadcastMessage, EACH) for client in crowd))))
        try:
            await crowd[0].push("room:0", "question", "why?")
        except Refused as refused:
            print("room:0 has failed:", refused)
        for kind in (TopicDown, TopicUp):
            print(f"told {kind.__name__}:", sum(await asyncio.gather(*(hear(client, kind) for client in inside))))
        print("came back:", sum(await asyncio.gather(*(come_back(client) for client in inside))))
        print("the others were told:", sum(map(len, others)))
        print("threads:", threading.active_count())


asyncio.run(main())
