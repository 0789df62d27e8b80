"""Broadcasts from one process to others over one Redis, ours beside peers: `python benchmarks/on_cluster.py`.

Each node is a process. One sends, one or three receive: so many messages as fast as it can, then 1,000 a second, of which each
tells when it was sent. Times are of the slowest receiver; a library of which a message is missing says how many came.
"""

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

PER_S = 1_000
AT_ONCE = 16  # a sender of coroutines has so many under way: one by one it would measure one trip after another
QUIET_S = 10.0

Hear = Callable[[str], None]


class Ears:
    """What a receiver was told: a message is the time when it was sent."""

    def __init__(self, most: int) -> None:
        self._most, self.done = most, threading.Event()
        self.late_s: list[float] = []
        self.first_sent_s = self.last_s = 0.0

    def hear(self, text: str) -> None:
        self.last_s = time.monotonic()
        sent_s = float(text)
        self.first_sent_s = self.first_sent_s or sent_s
        self.late_s.append(self.last_s - sent_s)
        if len(self.late_s) == self._most:
            self.done.set()

    def wait(self) -> None:
        """Until all have come, or nothing more does."""
        before = -1
        while not self.done.wait(QUIET_S) and len(self.late_s) != before:
            before = len(self.late_s)


def paced(messages: int, per_s: int | None) -> Iterator[str]:
    begun_s = time.monotonic()
    for number in range(messages):
        if per_s is not None:
            time.sleep(max(0.0, begun_s + number / per_s - time.monotonic()))
        yield repr(time.monotonic())


# Ours


def lightspeed_channel(name: str, url: str, **options: Any) -> Any:
    from lightspeed.channel import Channel, ClusterReady
    from lightspeed.cluster import RedisEngine

    return Channel(ClusterReady(name, "bench", RedisEngine(url), max_waiting_bytes=2**30), **options)


def lightspeed_receive(name: str, url: str, ears: Ears, ready: Callable[[], None]) -> None:
    from lightspeed.channel import BroadcastMessage, Join

    def sink(message: object) -> None:
        if type(message) is BroadcastMessage:
            ears.hear(message.payload)

    with lightspeed_channel(name, url, on_outbound=sink) as channel:
        channel.handle(Join("client", "room", name, 1))
        ready()
        ears.wait()


def lightspeed_send(url: str, texts: Iterator[str]) -> None:
    from lightspeed.channel import Broadcast, Join

    with lightspeed_channel("sender", url, outbox=False) as channel:
        channel.handle(Join("client", "room", "sender", 1))
        for text in texts:
            channel.tell(Broadcast("client", "room", text))


# Peers: for each what makes its part in a process, then how it sends and hears


@asynccontextmanager
async def channels_redis(url: str, hear: Hear | None) -> AsyncIterator[Any]:
    from channels_redis.pubsub import RedisPubSubChannelLayer

    layer = RedisPubSubChannelLayer(hosts=[url])
    own = await layer.new_channel()
    if hear is not None:
        await layer.group_add("room", own)

    async def listen() -> None:
        while hear is not None:
            hear((await layer.receive(own))["text"])

    task = asyncio.create_task(listen())
    yield lambda text: layer.group_send("room", {"type": "chat", "text": text})
    task.cancel()
    await layer.flush()


@asynccontextmanager
async def python_socketio(url: str, hear: Hear | None) -> AsyncIterator[Any]:
    """A receiver counts what its manager is handed to give to its clients."""
    from socketio import AsyncRedisManager, AsyncServer

    class Manager(AsyncRedisManager):  # type: ignore[misc]
        async def _handle_emit(self, message: Any) -> None:
            if hear is not None:
                hear(message["data"][0])

    manager = Manager(url, write_only=hear is None)
    if hear is not None:
        server = AsyncServer(async_mode="asgi", client_manager=manager)
        server.manager.initialize()
        await asyncio.sleep(1.0)  # it says to nobody when it is subscribed
    yield lambda text: manager.emit("message", text, room="room")


@asynccontextmanager
async def litestar(url: str, hear: Hear | None) -> AsyncIterator[Any]:
    from litestar.channels import ChannelsPlugin
    from litestar.channels.backends.redis import RedisChannelsPubSubBackend
    from redis.asyncio import Redis

    redis = Redis.from_url(url, socket_timeout=None, protocol=2)
    async with ChannelsPlugin(backend=RedisChannelsPubSubBackend(redis=redis), channels=["room"]) as plugin:
        task = None
        if hear is not None:
            subscriber = await plugin.subscribe("room")

            async def listen() -> None:
                async for event in subscriber.iter_events():
                    hear(event.decode())

            task = asyncio.create_task(listen())
        yield lambda text: plugin.wait_published(text, "room")
        if task is not None:
            task.cancel()
    await redis.aclose()


@asynccontextmanager
async def broadcaster(url: str, hear: Hear | None) -> AsyncIterator[Any]:
    from broadcaster import Broadcast

    async with Broadcast(url) as room:
        task, subscribed = None, asyncio.Event()

        async def listen() -> None:
            async with room.subscribe("room") as subscriber:
                subscribed.set()
                async for event in subscriber:
                    hear(event.message)  # type: ignore[misc]

        if hear is not None:
            task = asyncio.create_task(listen())
            await subscribed.wait()
        yield lambda text: room.publish("room", text)
        if task is not None:
            task.cancel()


PEERS: dict[str, Any] = {
    "channels_redis": channels_redis,
    "python-socketio": python_socketio,
    "litestar": litestar,
    "broadcaster": broadcaster,
}


async def peer_receive(library: str, url: str, ears: Ears, ready: Callable[[], None]) -> None:
    async with PEERS[library](url, ears.hear):
        ready()
        await asyncio.to_thread(ears.wait)


async def peer_send(library: str, url: str, messages: int, per_s: int | None) -> None:
    async with PEERS[library](url, None) as send:
        if per_s is None:
            for first in range(0, messages, AT_ONCE):
                await asyncio.gather(*(send(text) for text in paced(min(AT_ONCE, messages - first), None)))
            return
        begun_s = time.monotonic()
        for number in range(messages):
            await asyncio.sleep(max(0.0, begun_s + number / per_s - time.monotonic()))
            await send(repr(time.monotonic()))


# One process


def take_part(role: str, library: str, url: str, messages: int, per_s: int | None) -> None:
    if role == "sender":
        if library == "lightspeed":
            lightspeed_send(url, paced(messages, per_s))
        else:
            asyncio.run(peer_send(library, url, messages, per_s))
        return
    ears = Ears(messages)

    def ready() -> None:
        print("ready", flush=True)

    if library == "lightspeed":
        lightspeed_receive(role, url, ears, ready)
    else:
        asyncio.run(peer_receive(library, url, ears, ready))
    late_s = sorted(ears.late_s) or [0.0]
    middle, slow = (late_s[int(len(late_s) * part)] for part in (0.5, 0.99))
    print(
        json.dumps({"came": len(ears.late_s), "took_s": ears.last_s - ears.first_sent_s, "p50_s": middle, "p99_s": slow}),
        flush=True,
    )


# All of them


def start(role: str, library: str, url: str, messages: int, per_s: int | None) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--role", role, "--library", library, "--url", url, "--messages", str(messages)]
    paced_by = [] if per_s is None else ["--per-s", str(per_s)]
    return subprocess.Popen([*command, *paced_by], stdout=subprocess.PIPE, text=True)


def measure(library: str, url: str, receivers: int, messages: int, per_s: int | None) -> dict[str, float]:
    ears = [start(f"receiver{number}", library, url, messages, per_s) for number in range(receivers)]
    for process in ears:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"{library} has no receiver"
    sender = start("sender", library, url, messages, per_s)
    told = [json.loads(process.communicate()[0]) for process in ears]
    sender.communicate()
    return {
        "came": min(one["came"] for one in told),
        "took_s": max(one["took_s"] for one in told),
        "p50_s": max(one["p50_s"] for one in told),
        "p99_s": max(one["p99_s"] for one in told),
    }


def measure_rate(library: str, url: str, receivers: int, messages: int) -> str:
    """From the first's sending to the last's arrival."""
    found = measure(library, url, receivers, messages, None)
    if found["came"] < messages:
        return f"only {found['came']:,.0f} of {messages:,} came"
    return f"{found['came'] / found['took_s']:,.0f}/s"


def run(messages: int, libraries: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        held.close()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            any("Ready to accept connections" in line for line in server.stdout)
            try:
                print("| library | to 1 node | p50 / p99 at 1,000/s | to 3 nodes | p50 / p99 at 1,000/s |\n|---|---|---|---|---|")
                for library in libraries:
                    cells = [cell for count in (1, 3) for cell in cells_of(library, f"redis://127.0.0.1:{port}", count, messages)]
                    print(f"| {library} | {' | '.join(cells)} |", flush=True)
            finally:
                server.kill()


def cells_of(library: str, url: str, receivers: int, messages: int) -> tuple[str, str]:
    slow = measure(library, url, receivers, 3 * PER_S, PER_S)
    return measure_rate(library, url, receivers, messages), f"{slow['p50_s'] * 1e3:.1f} / {slow['p99_s'] * 1e3:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/on_cluster.py", description=__doc__)
    parser.add_argument("--messages", type=int, default=30_000, help="sent as fast as can be; default 30,000")
    parser.add_argument("--library", action="append", choices=["lightspeed", *PEERS], help="these alone; default all")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--per-s", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        take_part(options.role, options.library[0], options.url, options.messages, options.per_s)
    else:
        run(options.messages, options.library or ["lightspeed", *PEERS])


if __name__ == "__main__":
    main()
