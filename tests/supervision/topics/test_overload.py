"""A topic that falls behind holds no memory without end, and whoever finds no room is told."""

import threading

import pytest

from lightspeed.actors.topics.mail import Delivery
from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ChannelTimeout,
    Crash,
    Disconnect,
    InvalidOption,
    Join,
    Leave,
    Mailbox,
    Overloaded,
    Publish,
    Push,
    Reply,
    Send,
    System,
)
from lightspeed.supervision.topics import ingress

pytestmark = pytest.mark.usefixtures("runtime")


class Gate(Behaviour):
    """Holds up its topic at a push `hold`, until it is let go."""

    inside: threading.Event
    go_on: threading.Event

    def on_push(self, room, client_id, event, payload):
        if event == "hold":
            self.inside.set()
            assert self.go_on.wait(20)
        else:
            raise ValueError(event)


@pytest.fixture
def held(request):
    """A channel whose topic x has one member, and is at work on what does not end until `go_on` is set."""
    channels = []

    def make(mailbox, **options):
        gate = type("Gate", (Gate,), {"inside": threading.Event(), "go_on": threading.Event()})
        channel = Channel(behaviours={"x": gate}, mailboxes={"x": mailbox}, event_timeout_s=30, **options)
        channels.append((channel, gate))

        def go_on():
            channel.tree()  # the supervisor has been told all that was sent
            gate.go_on.set()

        channel.handle(Join("a", "x", "u", 1))
        channel.flush_outbox()
        channel.tell(Push("a", "x", "hold", ""))
        assert gate.inside.wait(10)
        return channel, go_on

    yield make
    for channel, gate in channels:
        gate.go_on.set()
        channel.close()


class Given:
    """Who waits."""

    def __init__(self, given):
        self.set = given.append


def named(letters):
    return [(letter.why, letter.what) for letter in letters]


def broadcast(number):
    return Broadcast("a", "x", str(number))


def said(messages):
    return [message.payload for message in messages if isinstance(message, BroadcastMessage)]


def replies(messages):
    return [(message.client_id, message.status, message.payload) for message in messages if isinstance(message, Reply)]


OVERLOADED, RECOVERED = System("topic_overloaded:x"), System("topic_recovered:x")


def test_at_its_bound_a_mailbox_refuses_and_says_once_that_it_does_and_that_it_has_caught_up(held):
    channel, go_on = held(Mailbox(max_messages=3))  # one is at work, two wait
    for number in range(5):
        channel.tell(broadcast(number))
    channel.tell(Join("b", "x", "v", 1))
    go_on()
    outbound = channel.flush_outbox()
    assert said(outbound) == ["0", "1"]
    assert replies(outbound) == [("a", "error", "overloaded")] * 3 + [("b", "error", "overloaded")]
    assert [message for message in outbound if isinstance(message, System)] == [OVERLOADED]
    channel.handle(broadcast(9))
    assert [message for message in channel.flush_outbox() if isinstance(message, System)] == [RECOVERED]
    assert channel.dead_letter_count == 0


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"), [("drop_oldest", ["2", "3"], ["0", "1"]), ("drop_newest", ["0", "1"], ["2", "3"])]
)
def test_what_is_dropped_is_a_dead_letter_and_a_join_is_refused(held, overflow, kept, dropped):
    channel, go_on = held(Mailbox(max_messages=3, overflow=overflow))
    for number in range(4):
        channel.tell(broadcast(number))
    go_on()
    outbound = channel.flush_outbox()
    assert said(outbound) == kept
    assert replies(outbound) == []
    assert named(channel.dead_letters()) == [("overloaded", Broadcast("a", "x", payload)) for payload in dropped]


def test_each_event_that_finds_no_room_is_counted_though_one_may_cost_several(held):
    channel, go_on = held(Mailbox(max_bytes=440, overflow="drop_oldest"))
    for payload in ("one", "two", "large " * 40):
        channel.tell(Broadcast("a", "x", payload))
    go_on()
    assert said(channel.flush_outbox()) == ["large " * 40]
    assert (channel.metrics().shed, channel.dead_letter_count) == (2, 2)


def test_a_join_that_was_accepted_is_never_dropped_and_where_nothing_else_waits_the_next_is_refused(held):
    channel, go_on = held(Mailbox(max_messages=3, overflow="drop_oldest"))
    for client in "bcd":
        channel.tell(Join(client, "x", client, 1))
    channel.tell(broadcast("lost"))
    go_on()
    outbound = channel.flush_outbox()
    assert replies(outbound) == [("b", "ok", "joined"), ("c", "ok", "joined"), ("d", "error", "overloaded")]
    assert [letter.what.payload for letter in channel.dead_letters()] == ["lost"]
    assert channel.subscribers("x") == ("a", "b", "c")


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest", "drop_newest", "wait"])
def test_leaves_disconnects_crashes_and_reads_are_never_shed(held, overflow):
    channel, go_on = held(Mailbox(max_messages=1, overflow=overflow))
    channel.tell(Leave("nobody", "x"))
    channel.tell(Disconnect("a"))
    go_on()
    assert channel.subscribers("x") == ()
    assert ("nobody", "error", "not_joined") in replies(channel.flush_outbox())
    assert channel.dead_letter_count == 0


@pytest.mark.parametrize("event", [Publish("x", "p"), Send("a", "x", "e", "p")])
@pytest.mark.parametrize("overflow", ["refuse", "drop_newest"])
def test_what_the_program_sends_and_finds_no_room_is_a_dead_letter(held, overflow, event):
    channel, go_on = held(Mailbox(max_messages=1, overflow=overflow))
    assert channel.call(event) == ()
    go_on()
    ((why, what),) = named(channel.dead_letters())
    assert what == event
    assert why in ("overloaded", "refused")


def test_bytes_are_counted_and_one_event_can_be_too_large(held):
    channel, go_on = held(Mailbox(max_bytes=1000))
    channel.tell(Broadcast("a", "x", "p" * 2000))
    for _ in range(9):  # 104 bytes each, and what is at work counts no more
        channel.tell(Broadcast("a", "x", "pp"))
    channel.tell(Broadcast("a", "x", "pp"))
    go_on()
    outbound = channel.flush_outbox()
    assert len(said(outbound)) == 9
    assert replies(outbound) == [("a", "error", "overloaded")] * 2


def test_who_waits_is_let_in_and_what_is_told_is_refused(held):
    channel, go_on = held(Mailbox(max_messages=1, overflow="wait"))
    given = []
    channel._put_in(Delivery(broadcast("waits"), Given(given)), waits=True)
    channel.tell(broadcast("told"))
    go_on()
    outbound = channel.flush_outbox()
    assert said(outbound) == ["waits"]
    assert replies(outbound) == [("a", "error", "overloaded")]
    assert given == [None]


def test_a_call_that_waits_for_room_ends_at_its_timeout(held):
    channel, go_on = held(Mailbox(max_messages=1, overflow="wait"))
    with pytest.raises(ChannelTimeout, match="call"):
        channel.call(broadcast("waits"), timeout_s=0.05)
    go_on()
    assert said(channel.flush_outbox()) == ["waits"]


def test_a_topic_that_crashes_while_it_sheds_says_that_it_has_recovered(held):
    channel, go_on = held(Mailbox(max_messages=1, overflow="drop_oldest"), crash_timeout_s=30)
    channel.tell(broadcast("dropped"))
    channel.tell(Crash("enough", "x"))
    go_on()
    outbound = channel.flush_outbox()
    assert OVERLOADED in outbound
    assert System("topic_crashed:x") in outbound
    assert channel.flush_outbox() in ([], [RECOVERED]) or RECOVERED in outbound


def test_what_waited_in_a_box_is_handled_by_the_next_incarnation(held):
    channel, go_on = held(Mailbox(max_messages=3, overflow="drop_oldest"), rejoin="supervisor")
    channel.tell(Push("a", "x", "fail", ""))
    channel.tell(broadcast("behind"))
    go_on()
    outbound = channel.flush_outbox()
    assert replies(outbound) == [("a", "error", "topic_crashed")]
    assert said(outbound) == ["behind"]
    assert channel.subscribers("x") == ("a",)


def test_beyond_its_bound_the_supervisor_takes_nothing_that_is_told(held, monkeypatch):
    channel, go_on = held(Mailbox())
    monkeypatch.setattr(ingress, "MOST_MESSAGES", 0)
    with pytest.raises(Overloaded, match="0 events wait for the channel"):
        channel.tell(broadcast(1))
    go_on()
    channel.handle(broadcast(2))  # who waits is let in
    channel.tell(Leave("nobody", "x"))  # and what is never shed
    assert said(channel.flush_outbox()) == ["2"]


@pytest.mark.parametrize(
    "options", [{"max_messages": 0}, {"max_messages": True}, {"max_bytes": 0}, {"max_bytes": 1.5}, {"overflow": "drop"}]
)
def test_a_mailbox_that_can_not_be_is_refused(options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Mailbox(**options)


def test_the_outbox_forgets_the_oldest_and_counts_them():
    with Channel(max_outbox=100) as channel:
        channel.handle(Join("a", "x", "u", 1))
        for number in range(5000):
            channel.tell(broadcast(number))
        channel.subscribers("x")
        kept = said(channel.flush_outbox())
        assert kept[-1] == "4999"
        assert kept == [str(number) for number in range(5000 - len(kept), 5000)]
        assert len(kept) + channel._outbox.dropped == 5002
        assert len(kept) <= 100 + 1024  # what callers' threads put themselves is looked at now and then
        for number in range(50):
            channel.tell(broadcast(number))
        assert len(said(channel.flush_outbox())) == 50


def test_topics_and_members_have_bounds_where_they_are_given():
    with Channel(max_topics=2, max_members=1) as channel:
        given = [channel.call(Join(*who, 1)) for who in (("a", "x", "u"), ("b", "x", "u"), ("a", "y", "u"), ("a", "z", "u"))]
        assert [messages[0].payload for messages in given] == ["joined", "too_many_members", "joined", "too_many_topics"]
        channel.handle(Leave("a", "y"))
        assert channel.call(Join("a", "z", "u", 2))[0].payload == "joined"
        assert channel.topics() == ("x", "z")


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest", "drop_newest", "wait"])
def test_a_flood_is_shed_in_its_callers_threads_and_every_event_is_accounted_for(held, monkeypatch, overflow):
    monkeypatch.setattr(ingress, "_FLOOD", -1)  # as if many events waited for the supervisor all the time
    channel, go_on = held(Mailbox(max_messages=3, overflow=overflow), max_outbox=None)
    numbers = range(2_000)

    def tell(thread):
        for number in numbers:
            channel.tell(Broadcast("a", "x", f"{thread}.{number}"))

    threads = [threading.Thread(target=tell, args=(thread,)) for thread in range(2)]
    for thread in threads:
        thread.start()
    channel.tell(Join("b", "x", "v", 1))
    for thread in threads:
        thread.join()
    go_on()
    outbound = channel.flush_outbox()
    dropped = [letter.what.payload for letter in channel.dead_letters()]
    refused = replies(outbound).count(("a", "error", "overloaded"))
    assert len(said(outbound)) + channel.dead_letter_count + refused == 2 * len(numbers)
    assert (refused == 0) == (overflow in ("drop_oldest", "drop_newest"))
    for thread in "01":  # what was kept of each sender is in its order
        kept = [int(payload[2:]) for payload in said(outbound) if payload[0] == thread]
        assert kept == sorted(set(kept))
        assert not {f"{thread}.{number}" for number in kept} & set(dropped)
    channel.handle(broadcast("calm"))
    assert said(channel.flush_outbox()) == ["calm"]


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest", "drop_newest"])
def test_a_flood_that_is_closed_in_the_middle_leaves_nothing_unaccounted(held, monkeypatch, overflow):
    monkeypatch.setattr(ingress, "_FLOOD", -1)
    channel, go_on = held(Mailbox(max_messages=2, overflow=overflow), max_outbox=None)
    told = 0
    for number in range(500):
        channel.tell(broadcast(number))
        told += 1
    go_on()
    channel.close()
    outbound = channel.flush_outbox()
    refused = replies(outbound).count(("a", "error", "overloaded"))
    assert len(said(outbound)) + channel.dead_letter_count + refused == told
