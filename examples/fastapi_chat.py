"""A chat with FastAPI: who is there, and a room that fails and heals. It needs FastAPI: pip install '.[demo]'"""

from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from lightspeed.channel import AsyncChannel, AsyncClient, Behaviour, Broadcast, PresenceDiff, Room

try:
    from fastapi import FastAPI, WebSocket, WebSocketDisconnect
    from fastapi.testclient import TestClient  # stands for browsers
except ImportError as missing:
    raise SystemExit(f"no FastAPI: {missing}; it comes with the extra: pip install '.[demo]'") from None


class Chat(Behaviour):
    def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        if payload.startswith("/roll "):
            payload = f"rolls {room.random.randint(1, int(payload[6:]))}"  # int() raises on what is no number: the room fails
        room.broadcast(f"{room.user_of(client_id)}: {payload}")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncChannel(behaviours={"*": Chat}, rejoin="supervisor") as app.state.channel:
        yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/{topic}/{user}")
async def chat(socket: WebSocket, topic: str, user: str) -> None:
    async with TaskGroup() as tasks, app.state.channel.client(uuid4().hex, user) as client:
        await client.join(topic)
        await socket.accept()
        tasks.create_task(write(client, socket))  # it ends with the client
        async for text in socket.iter_text():  # until the browser goes
            client.send(Broadcast(client.client_id, topic, text))


async def write(client: AsyncClient, socket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):  # who reads learns it, too
        async for message in client:
            if isinstance(message, PresenceDiff):
                await socket.send_text("here: " + ", ".join(client.presence(message.topic)))
            else:  # said by somebody, answered to this client alone; or the room is down, or up again
                await socket.send_text(str(getattr(message, "payload", message)))


if __name__ == "__main__":
    with TestClient(app) as browser, browser.websocket_connect("/tea/ann") as ann:
        print("ann <-", ann.receive_text())
        with browser.websocket_connect("/tea/bob") as bob:
            for text in ("hello", "/roll six", "/roll 1"):
                bob.send_text(text)
            print(*(f"bob <- {bob.receive_text()}" for _ in range(7)), sep="\n")
        print(*(f"ann <- {ann.receive_text()}" for _ in range(7)), sep="\n")
