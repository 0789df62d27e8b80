"""Two processes, one chat: each is a node of the same cluster, over a Redis.

`python examples/nodes.py redis://localhost:6379`, with the extra `redis`; without an address both nodes are in this process.
"""

import subprocess
import sys
from threading import Thread

from lightspeed.channel import BroadcastMessage, Channel, Client, ClusterReady
from lightspeed.cluster import Engine, MemoryBus, RedisEngine


def chat(name: str, other: str, engine: Engine) -> None:
    """Wait for the other, greet, and wait for its greeting."""
    with Channel(ClusterReady(name, "chat", engine, lease_s=1.5, beat_s=0.5)) as channel:
        client = channel.client(name, name)
        client.join("lobby")
        wait_for(client, other)
        print(f"{name} sees {', '.join(sorted(client.presence('lobby')))}", flush=True)
        client.broadcast("lobby", f"hello from {name}")
        for message in client:
            if isinstance(message, BroadcastMessage) and message.sender == other:
                print(f"{name} hears: {message.payload}", flush=True)
                break
        client.broadcast("lobby", "bye")  # behind the greeting: whoever reads this has that
        for message in client:
            if isinstance(message, BroadcastMessage) and (message.payload, message.sender) == ("bye", other):
                break


def wait_for(client: Client, other: str) -> None:
    while other not in client.presence("lobby"):
        client.receive(timeout_s=30)


def in_one_process() -> None:
    bus = MemoryBus()
    threads = [Thread(target=chat, args=(*names, bus.engine())) for names in (("ann", "bob"), ("bob", "ann"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            in_one_process()
        case [url]:
            nodes = [subprocess.Popen([sys.executable, __file__, url, *names]) for names in (("ann", "bob"), ("bob", "ann"))]
            sys.exit(max(node.wait() for node in nodes))
        case [url, name, other]:
            chat(name, other, RedisEngine(url))
