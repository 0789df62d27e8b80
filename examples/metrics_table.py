"""A channel under load, and what it does each second: `python examples/metrics_table.py [SECONDS]`, 3 by default."""

import sys
import threading

from lightspeed.channel import Backoff, Behaviour, Broadcast, Channel, Event, Join, Mailbox, Restarts, Room
from lightspeed.metrics import MetricsHooks, MetricsLayer

ROOMS = [f"room:{number}" for number in range(8)]
COLUMNS = ("second", "accepted", "handled", "slowest ms", "shed", "failed", "restarted")


class Rowdy(Behaviour):
    """A room that falls over now and then."""

    def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        if room.random.random() < 0.0005:
            raise ValueError("too loud")
        room.broadcast(payload)


class Handled(MetricsHooks):
    """How many events were handled since somebody took the count, and how long the slowest took. Any thread calls it."""

    def __init__(self) -> None:
        self.lock, self.count, self.slowest_s = threading.Lock(), 0, 0.0

    def handled(self, event: Event, seconds: float) -> None:
        with self.lock:
            self.count, self.slowest_s = self.count + 1, max(self.slowest_s, seconds)

    def take(self) -> tuple[int, float]:
        with self.lock:
            taken, self.count, self.slowest_s = (self.count, self.slowest_s), 0, 0.0
        return taken


def speak(channel: Channel, over: threading.Event) -> None:
    while not over.wait(0.01):
        for room in ROOMS * 20:
            channel.tell(Broadcast("ann", room, "hello"))


hooks, over, last = Handled(), threading.Event(), 0
rooms, boxes, restarts = {"room:*": Rowdy}, Mailbox(50), Restarts(intensity=None, backoff=Backoff())
with Channel(behaviours=rooms, mailboxes=boxes, restarts=restarts, rejoin="supervisor", layers=[MetricsLayer(hooks)]) as channel:
    for room in ROOMS:
        channel.handle(Join("ann", room, "ann", now_ms=1))
    (speaker := threading.Thread(target=speak, args=(channel, over))).start()
    print("".join(f"{name:>12}" for name in COLUMNS))
    for second in range(1, int(sys.argv[1] if len(sys.argv) > 1 else 3) + 1):
        over.wait(1)
        now, (count, slowest_s) = channel.metrics(), hooks.take()
        row = (second, now.accepted - last, count, f"{slowest_s * 1000:.1f}", now.shed, now.failures, now.restarts)
        print("".join(f"{figure:>12}" for figure in row))
        last = now.accepted
        channel.flush_outbox()
    over.set()
    speaker.join()
