"""A node of a cluster as a process of its own: it says numbers, and writes what it hears as JSON lines.

A line on its standard input is a command: `hush`, it says no more; `state`, it writes who is there. At the end it closes
its channel.
"""

import json
import os
import sys
import threading
import time

from lightspeed.channel import Broadcast, BroadcastMessage, Channel, ClusterReady, Join, PresenceDiff, System
from lightspeed.cluster import RedisEngine

TOPIC = "t"


def write(kind: str, **fields: object) -> None:
    os.write(1, json.dumps({"kind": kind, "at_s": time.monotonic(), **fields}).encode() + b"\n")


def hear(message: object) -> None:
    if isinstance(message, BroadcastMessage):
        write("heard", text=message.payload)
    elif isinstance(message, System):
        write("label", label=message.label)
    elif isinstance(message, PresenceDiff):
        for entry in message.diff.joins:
            write("join", key=entry.key)
        for entry in message.diff.leaves:
            write("leave", key=entry.key)


def main(name: str, url: str, lease_s: float, beat_s: float, per_s: float) -> None:
    hushed = threading.Event()
    with Channel(ClusterReady(name, "chat", RedisEngine(url), lease_s=lease_s, beat_s=beat_s), on_outbound=hear) as channel:
        channel.handle(Join(f"of {name}", TOPIC, name, os.getpid()))

        def speak() -> None:
            number = 0
            while not hushed.wait(1 / per_s):
                number += 1
                text = f"{name} {os.getpid()} {number}"
                write("said", text=text)
                channel.tell(Broadcast(f"of {name}", TOPIC, text))

        speaker = threading.Thread(target=speak, daemon=True)
        speaker.start()
        write("up")
        for line in sys.stdin:
            hushed.set()
            speaker.join()
            counts = channel._node_counts
            users = sorted(entry.key for entry in channel.presences(TOPIC))
            write(line.strip(), users=users, mismatches=counts.mismatches, bad=counts.bad_frames)
        hushed.set()
        speaker.join()
    write("closed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:]))
