"""python-socketio's rooms without a network: its own server, and of each connection the queue from which a transport would write.

Nothing of a packet is encoded but what the server encodes once for all; a transport would take each out as text, and send it.
"""

import asyncio

from engineio.async_socket import AsyncSocket
from gate import Gate, run_on
from socketio import AsyncServer
from stopwatch import Stopwatch, expect


def broadcast(members: int, bursts: int, burst: int, loop: str) -> dict[str, float]:
    """Deliveries per second; so many messages of a burst are emitted before their readers are waited for."""
    return {"read": run_on(loop, _broadcast(members, bursts, burst))}


async def _broadcast(members: int, bursts: int, burst: int) -> float:
    server, gate = AsyncServer(async_mode="asgi", ping_timeout=10**9), Gate(members)
    sockets = [AsyncSocket(server.eio, f"socket {number}") for number in range(members)]
    for socket in sockets:
        server.eio.sockets[socket.sid] = socket
        await server.enter_room(await server.manager.connect(socket.sid, "/"), "room")
    readers = [asyncio.create_task(_read(socket, bursts, burst, gate)) for socket in sockets]
    await gate.wait()
    with Stopwatch() as watch:
        for _ in range(bursts):
            for _ in range(burst):
                await server.emit("message", "payload", room="room")
            await gate.wait()
    expect(await asyncio.gather(*readers) == [bursts * burst] * members, "a message is missing")
    return watch.per_second(members * bursts * burst)


async def _read(socket: AsyncSocket, bursts: int, burst: int, gate: Gate) -> int:
    got, queue = 0, socket.queue
    gate.come()
    for _ in range(bursts):
        for _ in range(burst):
            packet = await queue.get()  # it does not suspend where there is one: as quick as get_nowait, and its QueueEmpty
            got += 1
        gate.come()
    return got if packet.data == '2["message","payload"]' else 0
