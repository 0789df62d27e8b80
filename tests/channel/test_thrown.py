"""What hits a caller's thread is the caller's: thrown at each point of each call, it harms nobody else."""

from itertools import count

import pytest
from thrown import Alarm, at_depth, in_time, spare, throw_at

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ChannelClosed,
    Crash,
    InsideActor,
    Join,
    Leave,
    Pool,
    Push,
    Rejoin,
    Threads,
)

spare(__file__)

# So many points lie between two that are tried; with `-m long` all are.
STRIDE = 17

RUNTIMES = {"pool": Pool, "threads": Threads}
KINDS = {"outbox": {}, "sink": {"on_outbound": lambda message: None}, "behaviour": {"behaviours": {"*": Behaviour}}}
CALLS = {
    "tell": lambda channel: channel.tell(Broadcast("a", "x", "told")),
    "join": lambda channel: channel.tell(Join("n", "x", "u", 1)),
    "rejoin": lambda channel: channel.tell(Rejoin("a", "x", "u", 5)),
    "leave": lambda channel: channel.tell(Leave("b", "x")),
    "last leave": lambda channel: channel.tell(Leave("a", "z")),
    "new topic": lambda channel: channel.tell(Join("n", "new", "u", 1)),
    "stranger": lambda channel: channel.tell(Broadcast("s", "nowhere", "told")),
    "handle": lambda channel: channel.handle(Push("a", "x", "e", "told")),
    "handle last leave": lambda channel: channel.handle(Leave("a", "z")),
    "handle crash": lambda channel: channel.handle(Crash("order", "z")),
    "flush": lambda channel: channel.flush_outbox(),
    "subscribers": lambda channel: channel.subscribers("x"),
    "membership_count": lambda channel: channel.membership_count,
    "tree": lambda channel: channel.tree(),
    "close": lambda channel: channel.close(),
}
HANDLERS = {
    "tells": lambda channel: [
        channel.tell(event) for event in (Broadcast("a", "y", "h"), Join("h", "hall", "u", 1), Leave("h", "hall"))
    ],
    "flushes": lambda channel: channel.flush_outbox(),
    "reads": lambda channel: channel.membership_count,
    "handles": lambda channel: channel.handle(Broadcast("a", "y", "h")),
    "closes": lambda channel: channel.close(3),
}
FEW = ("tell", "join", "last leave", "handle", "flush", "close")

per_runtime = pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
per_stride = pytest.mark.parametrize(
    "stride", [pytest.param(STRIDE, marks=pytest.mark.slow), pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)


def begun(runtime, kind):
    channel = Channel(runtime=runtime(), timeout_s=5, **KINDS[kind])
    for client, topic in (("a", "x"), ("b", "x"), ("a", "y"), ("a", "z")):
        channel.handle(Join(client, topic, "u", 1))
    channel.handle(Broadcast("a", "y", "before"))
    return channel


def check_alive(channel):
    """It goes on for others, whole: members and presence agree, and no topic is kept that nobody is in."""
    in_time(lambda: channel.handle(Broadcast("a", "y", "after")))
    in_time(lambda: channel.handle(Join("c", "x", "u", 9)))
    messages = in_time(channel.flush_outbox)
    assert {"a", "c"} <= set(in_time(lambda: channel.subscribers("x"))) <= {"a", "b", "c", "h", "n"}
    assert in_time(lambda: channel.subscribers("y")) == ("a",)
    topics = in_time(channel.topics)
    members = {topic: len(in_time(lambda topic=topic: channel.subscribers(topic))) for topic in topics}
    assert in_time(lambda: channel.membership_count) == sum(members.values())
    for topic in topics:
        assert sum(len(entry.metas) for entry in in_time(lambda topic=topic: channel.presences(topic))) == members[topic]
    assert not [child for child in in_time(channel.tree).children if child.phase == "running" and not child.members]
    return messages


def check_end(channel, messages=()):
    """It can be closed, and nothing that was emitted is lost."""
    in_time(lambda: channel.close(5))
    return [message.payload for message in (*messages, *in_time(channel.flush_outbox)) if isinstance(message, BroadcastMessage)]


def sweep(runtime, kind, call, stride, throw, *, keeps=False):
    """Throw at every so-manyth point, as `throw` does, which returns where that was, or None behind the last."""
    for tried, number in enumerate(count(0, stride)):
        channel = begun(runtime, kind)
        place = throw(channel, number)
        if place is None:
            in_time(channel.close)
            return tried
        is_closed = call == "close" or channel._ingress.is_shut
        payloads = check_end(channel, () if is_closed else check_alive(channel))
        assert not keeps or "before" in payloads
    raise AssertionError


@per_stride
@per_runtime
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_an_exception_reaches_the_caller_and_harms_nobody_else(runtime, kind, call, stride):
    def throw(channel, number):
        error = Alarm() if number % 2 else KeyboardInterrupt()
        place, raised = throw_at(number, error, lambda: CALLS[call](channel))
        assert place is None or raised is error, place
        return place

    assert sweep(runtime, kind, call, stride, throw, keeps=kind == "outbox")


@per_stride
@per_runtime
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("call", FEW)
def test_a_handler_that_calls_the_channel_itself_hangs_nowhere(runtime, call, handler, stride):
    def throw(channel, number):
        def handle():
            try:
                HANDLERS[handler](channel)
            except (InsideActor, ChannelClosed):
                pass

        place, raised = throw_at(number, handle, lambda: CALLS[call](channel))
        assert raised is None or (isinstance(raised, ChannelClosed) and handler == "closes") or call == "close"
        return place

    assert sweep(runtime, "outbox", call, stride, throw)


@per_stride
@per_runtime
@pytest.mark.parametrize("call", CALLS)
def test_a_recursion_that_is_too_deep_is_the_callers(runtime, call, stride):
    deepest = 60

    def throw(channel, number):
        raised = at_depth(number, lambda: CALLS[call](channel))
        assert raised is None or isinstance(raised, RecursionError)
        return None if number > deepest else number

    assert sweep(runtime, "outbox", call, stride, throw)
