"""Our channel with very many topics: a crash of all of them, and how many there may be."""

from collections.abc import Callable

from on_channel import client, expect_ok, join_all, new_channel, tell_all, topic
from stopwatch import Stopwatch, expect, peak_mib

from lightspeed.channel import Broadcast, BroadcastMessage, Channel, Crash, Event, Join, Outbound, Rejoin, Reply, Restart, Threads

AT_ONCE = 1_000  # events that are told before a flush, so that a million of them need not be there at once


def restart(topics: int, rounds: int) -> dict[str, float]:
    """Crash, restart, and a rejoin in each topic: microseconds a topic."""
    channel = new_channel()
    join_all(channel, topics)
    rejoins = [Rejoin(client(0), topic(t), "user:0", now_ms=1) for t in range(topics)]
    with Stopwatch() as watch:
        for _ in range(rounds):
            channel.handle(Crash("power cut"))
            channel.handle(Restart())
            tell_all(channel, rejoins)
            messages = channel.flush_outbox()
    expect_ok(messages, topics)
    return {"restart": watch.micros_each(topics * rounds)}


def capacity(kind: str, topics: int) -> dict[str, float]:
    """Topics with one member each, up to so many; how many of them still answer then, and the most memory that it took."""
    channel = new_channel(Threads() if kind == "threads" else None)
    with Stopwatch() as watch:
        live = _fill(channel, topics)
        answered = _ask_each(channel, live)
    expect(answered == live, f"of {live} topics only {answered} still answer")
    return {"topics": live, "peak": peak_mib(), "time": watch.micros_each(live)}


def _fill(channel: Channel, topics: int) -> int:
    """Topics until there are enough, or one can't be had. How many there are."""
    live = 0
    for first in range(0, topics, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, topics))
        messages = _all_of(channel, batch, lambda t: Join(client(t), topic(t), f"user:{t}", now_ms=0))
        live += sum(isinstance(message, Reply) and message.status == "ok" for message in messages)
        if live < batch.stop:
            break
    return live


def _ask_each(channel: Channel, topics: int) -> int:
    """How many topics hand over their member's broadcast to that member."""
    answered = 0
    for first in range(0, topics, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, topics))
        messages = _all_of(channel, batch, lambda t: Broadcast(client(t), topic(t), "payload"))
        answered += sum(
            isinstance(message, BroadcastMessage) and message.topic == topic(t) and list(message.recipients) == [client(t)]
            for t, message in zip(batch, messages, strict=True)
        )
    return answered


def _all_of(channel: Channel, batch: range, event: Callable[[int], Event]) -> list[Outbound]:
    tell_all(channel, [event(t) for t in batch])
    return channel.flush_outbox()
