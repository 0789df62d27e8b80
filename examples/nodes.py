"""Two processes, one chat: each is a node of the same cluster, over a Redis.

`python examples/nodes.py redis://localhost:6379`, with the extra `redis`; without an address both nodes are in this process.
"""

import subprocess
import sys
from threading import Thread

from lightspeed.channel import BroadcastMessage, Channel, ClusterReady
from lightspeed.cluster import Engine, MemoryBus, RedisEngine


def chat(name: str, other: str, engine: Engine, *, is_first: bool) -> None:
    """Wait for the other, greet and be greeted; whoever greeted first leaves first."""
    with Channel(ClusterReady(name, "chat", engine, lease_s=3, beat_s=1)) as channel:
        client = channel.client(name, name)
        client.join("lobby")
        while other not in client.presence("lobby"):
            client.receive(timeout_s=30)
        say(f"{name} sees {', '.join(sorted(client.presence('lobby')))}")
        if is_first:
            client.broadcast("lobby", f"hello from {name}")
        for message in client:
            if isinstance(message, BroadcastMessage) and message.sender == other:
                say(f"{name} hears: {message.payload}")
                break
        if not is_first:
            client.broadcast("lobby", f"hello from {name}")
            while other in client.presence("lobby"):
                client.receive(timeout_s=30)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")  # in one write: the other writes too
    sys.stdout.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            bus = MemoryBus()
            bob = Thread(target=chat, args=("bob", "ann", bus.engine()), kwargs={"is_first": False})
            bob.start()
            chat("ann", "bob", bus.engine(), is_first=True)
            bob.join()
        case [url]:
            nodes = [subprocess.Popen([sys.executable, __file__, url, *names]) for names in (("ann", "bob"), ("bob", "ann"))]
            sys.exit(max(node.wait() for node in nodes))
        case [url, name, other]:
            chat(name, other, RedisEngine(url), is_first=name < other)
