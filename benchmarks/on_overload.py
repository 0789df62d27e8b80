"""What a flood, and a reader that never reads, cost the others: `python benchmarks/on_overload.py`.

The flood: threads tell topics that take a millisecond an event, ten million times unless told otherwise, once for each overflow
policy. Beside it somebody handles events of a quiet topic; its times are taken beside the flood, and beside as many threads that
are busy with something else.
"""

import argparse
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from stopwatch import expect, resident_bytes

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    Inbox,
    Join,
    Mailbox,
    Outbound,
    Overloaded,
    Reply,
)

MIB = 2**20


class Slow(Behaviour):
    """Takes a millisecond for each event."""

    def on_broadcast(self, room, client_id, payload):  # type: ignore[no-untyped-def]
        time.sleep(0.001)
        room.broadcast(payload)


def flood(tells: int, threads: int, topics: int, overflow: str) -> dict[str, float]:
    """The figures of one policy; raises where an event is not accounted for."""
    became: Counter[str] = Counter()

    def sink(message: Outbound) -> None:
        if isinstance(message, BroadcastMessage) and message.topic != "quiet":
            became["handled"] += 1
        elif isinstance(message, Reply) and message.payload == "overloaded":
            became["refused"] += 1

    names = [f"slow {number}" for number in range(topics)]
    mailbox = Mailbox(max_messages=1_000, overflow=overflow)  # type: ignore[arg-type]
    channel = Channel(behaviours={"slow *": Slow}, mailboxes=mailbox, on_outbound=sink)
    for topic in (*names, "quiet"):
        channel.handle(Join("a", topic, "u", 1))
    with _busy(threads):
        calm_s = _p99_s(channel, lambda: False)
    before = resident_bytes()
    told, peak, done = [0] * threads, [before], threading.Event()

    def tell(thread: int) -> None:
        for number in range(tells // threads):
            try:
                channel.tell(Broadcast("a", names[number % topics], "payload"))
                told[thread] += 1
            except Overloaded:
                pass

    def watch() -> None:
        while not done.wait(0.1):
            peak.append(resident_bytes())

    started_s = time.monotonic()
    tellers = [threading.Thread(target=tell, args=(thread,)) for thread in range(threads)]
    for thread in (*tellers, threading.Thread(target=watch)):
        thread.start()
    busy_s = _p99_s(channel, lambda: any(teller.is_alive() for teller in tellers))
    for teller in tellers:
        teller.join()
    took_s = time.monotonic() - started_s
    done.set()
    closing_s = time.monotonic()
    channel.close(30)
    closing_s = time.monotonic() - closing_s
    became["dead letters"] = channel.dead_letter_count
    expect(sum(became.values()) == sum(told), f"{sum(told)} were accepted, and {dict(became)} came of them")
    return {
        "tells": tells,
        "accepted": sum(told),
        **became,
        "peak MiB over the calm": (max(peak) - before) / MIB,
        "p99 beside busy threads ms": calm_s * 1e3,
        "p99 beside the flood ms": busy_s * 1e3,
        "tell µs": took_s / tells * threads * 1e6,
        "close s": closing_s,
    }


@contextmanager
def _busy(threads: int) -> Iterator[None]:
    """As many threads at work as tell, since in CPython one thread runs at a time: else it would be that what is measured."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            sum(range(100))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        done.set()
        for worker in workers:
            worker.join()


def _p99_s(channel: Channel, goes_on: object, least: int = 300) -> float:
    times_s: list[float] = []
    while len(times_s) < least or goes_on():  # type: ignore[operator]
        began_s = time.perf_counter()
        channel.handle(Broadcast("a", "quiet", "payload"))
        times_s.append(time.perf_counter() - began_s)
        time.sleep(0.001)
    return sorted(times_s)[int(len(times_s) * 0.99)]


def one_that_never_reads(clients: int, messages: int, *, reads: bool) -> dict[str, float]:
    """The time from a broadcast to each of the others having it, of one topic; with `reads` that one reads too."""
    channel = Channel()
    everyone = [channel.client(f"c{number}", "u", inbox=Inbox()) for number in range(clients)]
    for client in everyone:
        channel.handle(Join(client.client_id, "room", client.user_id, 1))
        if len(everyone) > 1_000:
            client.receive_many(10**6, 0)
    for client in everyone:
        if len(client):
            client.receive_many(10**6, 0)
    deaf, others, times_s = everyone[0], everyone[1:], []
    before = resident_bytes()
    for _ in range(messages):
        began_s = time.perf_counter()
        channel.handle(Broadcast("c1", "room", "payload"))
        for client in others:
            client.receive(5)
        times_s.append(time.perf_counter() - began_s)
        if reads:
            deaf.receive(5)
    figures = {
        "p99 ms": sorted(times_s)[int(len(times_s) * 0.99)] * 1e3,
        "MiB": (resident_bytes() - before) / MIB,
        "waits": len(deaf),
        "dropped": deaf.dropped,
    }
    channel.close()
    return figures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tells", type=int, default=10_000_000, help="of each flood; default 10,000,000")
    options.add_argument("--threads", type=int, default=4, help="that tell; default 4")
    options.add_argument("--topics", type=int, default=8, help="that are told; default 8")
    options.add_argument("--clients", type=int, default=10_000, help="of one topic, one of whom never reads; default 10,000")
    options.add_argument("--messages", type=int, default=2_000, help="to those; default 2,000")
    given = options.parse_args()
    for overflow in ("refuse", "drop_oldest", "drop_newest", "wait"):
        _show(f"flood, {overflow}", flood(given.tells, given.threads, given.topics, overflow))
    for reads in (True, False):
        name = f"{given.clients:,} clients, {'all read' if reads else 'one never reads'}"
        _show(name, one_that_never_reads(given.clients, given.messages, reads=reads))


def _show(name: str, figures: dict[str, float]) -> None:
    print(name, *(f"{figure}: {value:,.2f}".removesuffix(".00") for figure, value in figures.items()), sep="; ", flush=True)


if __name__ == "__main__":
    main()
