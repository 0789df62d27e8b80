"""Our channel: broadcasts to many, and the cost of one event in channels of each size."""

from collections.abc import Callable, Iterable, Sequence

from stopwatch import Stopwatch, expect
from visits import Law, visits

from lightspeed.actors import Runtime
from lightspeed.channel import Broadcast, BroadcastMessage, Channel, Event, Join, Leave, Outbound, Rejoin, Reply

HandOver = Callable[[Channel, Sequence[Event]], None]

TIMEOUT_S = 600  # one flush waits for all that a sample has told


def new_channel(runtime: Runtime | None = None) -> Channel:
    """On the default runtime, unless another is given."""
    return Channel(runtime=runtime, timeout_s=TIMEOUT_S)


def topic(number: int) -> str:
    return f"topic:{number:07}"


def client(number: int) -> str:
    return f"client:{number:07}"


def join_all(channel: Channel, topics: int, members: int = 1) -> None:
    """So many members into each of so many topics."""
    joins = [Join(client(m), topic(t), f"user:{m}", now_ms=0) for t in range(topics) for m in range(members)]
    tell_all(channel, joins)
    expect_ok(channel.flush_outbox(), len(joins))


def tell_all(channel: Channel, events: Iterable[Event]) -> None:
    for event in events:
        channel.tell(event)


def handle_all(channel: Channel, events: Iterable[Event]) -> None:
    for event in events:
        channel.handle(event)


def expect_ok(messages: Iterable[Outbound], number: int) -> None:
    """Among the messages are so many answers to events, and all are good ones."""
    answers = [message for message in messages if isinstance(message, (Reply, BroadcastMessage))]
    expect(len(answers) == number, f"{len(answers)} answers to {number} events")
    refused = [answer for answer in answers if isinstance(answer, Reply) and answer.status != "ok"]
    expect(not refused, f"{refused[:1]}")


def broadcast(members: int, tells: int, handles: int) -> dict[str, float]:
    """Deliveries a second to the members of one topic: handed over, and read one by one."""
    channel = new_channel()
    join_all(channel, 1, members)
    events = [Broadcast(client(0), topic(0), "payload") for _ in range(tells)]
    with Stopwatch() as told:
        tell_all(channel, events)
        messages = channel.flush_outbox()
    _expect_recipients(messages, tells, members)
    with Stopwatch() as handled:
        handle_all(channel, events[:handles])
        messages = channel.flush_outbox()
    _expect_recipients(messages, handles, members)
    with Stopwatch() as read:
        tell_all(channel, events)
        visited = _visit_recipients(channel.flush_outbox())
    expect(visited == tells * members, "a recipient is missing")
    return {
        "tell": told.per_second(tells * members),
        "handle": handled.per_second(handles * members),
        "read": read.per_second(tells * members),
    }


def _expect_recipients(messages: Sequence[Outbound], number: int, members: int) -> None:
    expect([len(message.recipients) for message in messages] == [members] * number, "a recipient is missing")


def _visit_recipients(messages: Sequence[Outbound]) -> int:
    visited = 0
    for message in messages:
        for _recipient in message.recipients:
            visited += 1
    return visited


def events(topics: int, members: int, visited: Law, tells: int, rounds: int, handles: int) -> dict[str, float]:
    """What one event of each kind costs in so many topics with so many members each, in microseconds.

    Of each kind one round goes before the clock starts: what the joins of all the members have left to the collector is not
    its own. Several are measured, since not each of them meets a full run of the collector.
    """
    channel = new_channel()
    join_all(channel, topics, members)
    told, number = tells * (1 + rounds), tells * (1 + rounds) + handles
    indices = list(zip(visits(visited, topics, number), visits("uniform", members, number), strict=True))
    figures = {}
    for kind, event in EVENTS.items():
        made = [event(n, t, m) for n, (t, m) in enumerate(indices)]
        batches = [made[start : start + tells] for start in range(0, told, tells)]
        seconds = [_time(tell_all, channel, batch) for batch in batches][1:]
        figures[f"{kind} tell"] = sum(seconds) / (tells * rounds) * 1e6
        figures[f"{kind} handle"] = _time(handle_all, channel, made[told:]) / handles * 1e6
    return figures


def _time(hand_over: HandOver, channel: Channel, events: Sequence[Event]) -> float:
    """Seconds until the messages of all of them are there."""
    with Stopwatch() as watch:
        hand_over(channel, events)
        messages = channel.flush_outbox()
    expect_ok(messages, len(events))
    return watch.seconds


# The n-th event, in the t-th topic, by its m-th member. A rejoin is always newer than the one before, so that it changes the
# presence. Joins come last, since they change how many members there are.
EVENTS: dict[str, Callable[[int, int, int], Event]] = {
    "broadcast": lambda n, t, m: Broadcast(client(m), topic(t), "payload"),
    "rejoin": lambda n, t, m: Rejoin(client(m), topic(t), f"user:{m}", now_ms=1 + n),
    "join": lambda n, t, m: Join(f"guest:{n}", topic(t), f"user:{n}", now_ms=n),
}


def alternating(members: int, milliseconds: int) -> dict[str, float]:
    """Join, broadcast, leave, and again: each broadcast comes after a change of members. Microseconds an event."""
    channel = new_channel()
    join_all(channel, 1, members)
    steps = (Join("guest", topic(0), "guest", now_ms=1), Broadcast(client(0), topic(0), "payload"), Leave("guest", topic(0)))
    return {
        "tell": _repeat(tell_all, channel, steps * 20, milliseconds),
        "handle": _repeat(handle_all, channel, steps * 5, milliseconds),
    }


def _repeat(hand_over: HandOver, channel: Channel, events: Sequence[Event], milliseconds: int) -> float:
    """For so long: a fixed number would be too many for one size or too few for the other."""
    seconds: list[float] = []
    while sum(seconds) < milliseconds / 1_000:
        seconds.append(_time(hand_over, channel, events))
    return sum(seconds) / (len(seconds) * len(events)) * 1e6
