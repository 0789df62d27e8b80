"""What a test says of a channel's clients, in virtual time and in real time."""

import gc
import threading
import time
from contextlib import contextmanager

import pytest

from lightspeed.actors.errors import ExpectationFailed, InsideActor, InvalidOption
from lightspeed.channel import (
    Backoff,
    Behaviour,
    Broadcast,
    Channel,
    Crash,
    Join,
    Leave,
    Publish,
    Push,
    Rejoin,
    Restart,
    Restarts,
    Send,
)
from lightspeed.clients import Inbox, Lagged, TopicDown, TopicUp
from lightspeed.testing import (
    Case,
    Simulation,
    assert_broadcast,
    assert_presence,
    assert_push,
    assert_reply,
    play,
    refute_broadcast,
    refute_presence,
    refute_push,
    refute_reply,
)


@contextmanager
def simulated(**options):
    with Simulation() as simulation:
        yield simulation.channel(**options)


@contextmanager
def real(**options):
    with Channel(**options) as channel:
        yield channel


@pytest.fixture(params=[simulated, real])
def room(request):
    """Two clients in one room, who have read all there was; and their channel."""
    with request.param() as channel, channel.client("a", "ann", meta="red") as ann, channel.client("b", "bob") as bob:
        for client in (ann, bob):
            client.join("room:1")
        ann.receive_many(10), bob.receive_many(10)
        yield channel, ann, bob


class Greeter(Behaviour):
    def on_join(self, room, client_id, user_id):
        room.start_timer("greet", 60.0)

    def on_timer(self, room, name):
        room.broadcast("welcome", event="greeting")


# A real client, in virtual time


def test_the_verbs_of_a_client_work_in_a_simulation():
    with Simulation() as simulation:
        channel = simulation.channel()
        ann, bob = channel.client("a", "ann"), channel.client("b", "bob")
        assert (ann.join("x"), bob.join("x"), ann.update("x", "busy")) == ("joined", "joined", "rejoined")
        assert (ann.broadcast("x", "hello"), ann.push("x", "e", "p")) == (None, None)
        assert bob.presence("x")["ann"][0].meta == "busy"
        assert bob.leave("x") == "left"
        assert (ann.topics, bob.topics, channel.subscribers("x")) == (("x",), (), ("a",))
        kinds = [type(message).__name__ for message in bob.receive_many(10)]
        assert kinds == ["PresenceDiff", "PresenceDiff", "BroadcastMessage"]


def test_a_receive_with_a_timeout_waits_in_virtual_time_alone():
    with Simulation() as simulation:
        client = simulation.channel(behaviours={"x": Greeter}).client("a", "ann")
        client.join("x")
        client.receive()
        began_s = time.monotonic()
        with pytest.raises(TimeoutError):
            client.receive(59.0)
        assert simulation.now_s == 59.0
        assert client.receive(2.0).payload == "welcome"
        assert simulation.now_s == 60.0
        assert time.monotonic() - began_s < 5


def test_one_that_comes_back_by_itself_does_so_in_virtual_time():
    with Simulation() as simulation:
        channel = simulation.channel()
        client, other = channel.client("a", "ann"), channel.client("b", "bob", auto_rejoin=False)
        client.join("x"), other.join("x")
        channel.handle(Crash("ordered", "x"))
        simulation.run_for(3600)
        channel.handle(Restart("x"))
        assert client.topics == ()
        simulation.run_for(11)
        assert (client.topics, other.topics, channel.subscribers("x")) == (("x",), (), ("a",))
        assert [type(message) for message in other.receive_many(10)][-2:] == [TopicDown, TopicUp]
        assert simulation.now_s == 3611


def test_one_that_a_ledger_brings_back_is_told_so():
    with Simulation() as simulation:
        channel = simulation.channel(rejoin="supervisor", restarts=Restarts(backoff=Backoff(floor_s=2.0, cap_s=2.0)))
        client = channel.client("a", "ann")
        client.join("x")
        client.receive_many(10)
        channel.handle(Crash("ordered", "x"))
        channel.handle(Restart("x"))
        simulation.run_for(20)
        told = client.receive_many(10)
        assert [type(message) for message in told][:2] == [TopicDown, TopicUp]
        assert client.topics == ("x",)


def test_a_simulation_ends_without_a_word_of_clients_that_nobody_closed(recwarn):
    def leave_open(simulation):
        channel = simulation.channel()
        for name in "ab":
            channel.client(name, name).join("x")

    with Simulation() as simulation:
        leave_open(simulation)
        kept = simulation.channel().client("a", "ann")
        kept.join("x")
    assert kept.is_closed
    simulation = Simulation()
    abandoned = simulation.channel().client("a", "ann")
    abandoned.join("x")
    simulation.abandon()
    assert abandoned.is_closed
    del kept, abandoned, simulation
    gc.collect()
    assert recwarn.list == []


def test_verbs_of_clients_and_calls_are_counted_and_may_be_skipped_as_events_are():
    def race(simulation):
        channel = simulation.channel()
        with channel.client("a", "ann") as client:
            client.join("x")
            channel.call(Join("b", "x", "bob", 1))
            client.broadcast("x", "hello")
            assert channel.subscribers("x") == ("a", "b")

    assert (play(Case(race)).error, play(Case(race)).sent) == (None, 3)
    assert play(Case(race, skip=frozenset([1]))).failure == "AssertionError in race"


def test_a_simulation_with_clients_goes_the_same_way_again():
    def chat(simulation):
        channel = simulation.channel(restarts=Restarts(intensity=None, backoff=Backoff(floor_s=0.1, cap_s=1.0)))
        for name in "abc":
            simulation.client(channel, "op").do(lambda name=name: channel.client(name, name).join("x"))
        simulation.run()
        channel.handle(Crash("ordered", "x"))
        channel.handle(Restart("x"))
        simulation.run_for(60)

    assert len({play(Case(chat, seed)).trace.hash for seed in (7, 7)}) == 1
    assert len({play(Case(chat, seed)).trace.hash for seed in range(5)}) > 1


# What comes


def test_a_reply_to_what_was_sent_is_taken_out_of_the_inbox(room):
    _channel, ann, _bob = room
    ann.send(Join("a", "room:1", "ann", 5))
    ann.send(Rejoin("a", "room:2", "ann", 5))
    reply = assert_reply(ann, status="error", payload="already_joined", topic="room:1")
    assert (reply.client_id, reply.topic) == ("a", "room:1")
    assert assert_reply(ann).payload == "rejoined"
    refute_reply(ann)


def test_a_push_and_a_broadcast_are_found_behind_others_which_stay_in_the_inbox_in_order(room):
    channel, ann, bob = room
    for payload in ("one", "two", "three"):
        bob.broadcast("room:1", payload, event="said")
    channel.handle(Send("a", "room:1", "private", "psst"))
    channel.handle(Publish("room:1", "news"))
    assert assert_push(ann, event="private", payload="psst").topic == "room:1"
    assert assert_broadcast(ann, payload="two").event == "said"
    assert assert_broadcast(ann, payload=lambda text: text.startswith("n"), event="").sender is None
    assert [message.payload for message in ann.receive_many(10)] == ["one", "three"]
    assert assert_broadcast(bob, event="said") is not assert_broadcast(bob, event="said", topic=...)


def test_what_is_there_is_taken_without_a_wait(room):
    channel, ann, _bob = room
    channel.handle(Send("a", "room:1", "e", "p"))
    assert_push(ann, within_s=0)
    with pytest.raises(ExpectationFailed):
        assert_push(ann, within_s=0)


def test_what_comes_later_is_waited_for_in_virtual_time():
    with simulated(behaviours={"x": Greeter}) as channel:
        client = channel.client("a", "ann")
        client.join("x")
        refute_broadcast(client, within_s=59)
        assert_broadcast(client, event="greeting", within_s=2)
        assert channel.simulation.now_s == 60


def test_what_another_thread_sends_later_is_waited_for_in_real_time():
    with real() as channel, channel.client("a", "ann") as client:
        client.join("x")

        def chatter():
            for number in range(1000):
                channel.handle(Publish("x", str(number)))

        thread = threading.Thread(target=chatter)
        thread.start()
        assert assert_broadcast(client, payload="999", within_s=30).topic == "x"
        thread.join()
        assert len(client) == 1000


def test_one_who_looks_takes_no_other_readers_turn():
    with real() as channel, channel.client("a", "ann") as client:
        client.join("x")
        client.receive()
        read, begun = [], threading.Barrier(3)

        def look():
            begun.wait(10)
            refute_push(client, event="never", within_s=0.3)

        def receive():
            begun.wait(10)
            read.append(client.receive(10).payload)

        threads = [threading.Thread(target=work) for work in (look, receive)]
        for thread in threads:
            thread.start()
        begun.wait(10)
        channel.handle(Send("a", "x", "e", "for the reader"))
        for thread in threads:
            thread.join(10)
        assert read == ["for the reader"]


def test_of_a_closed_client_what_is_left_is_found_and_nothing_is_waited_for(room):
    channel, ann, _bob = room
    channel.handle(Send("a", "room:1", "e", "p"))
    ann.close()
    assert_push(ann, event="e", within_s=3600)
    refute_push(ann, within_s=3600)
    with pytest.raises(ExpectationFailed, match="it is closed, since it was closed, and its inbox is empty"):
        assert_push(ann, within_s=3600)


def test_one_whose_inbox_drops_the_message_meanwhile_looks_on():
    with simulated() as channel:
        client = channel.client("a", "ann", inbox=Inbox(max_messages=1))
        client.join("x")
        dropped = []

        def wanted(payload):
            if not dropped:
                dropped.append(payload)
                channel.handle(Publish("x", "second"))
            return True

        channel.handle(Publish("x", "first"))
        assert assert_broadcast(client, payload=wanted).payload == "second"
        assert type(client.receive(0)) is Lagged


# What does not come


def test_what_is_refuted_is_waited_for_and_stays_in_the_inbox(room):
    channel, ann, _bob = room
    refute_push(ann)
    refute_broadcast(ann)
    refute_reply(ann)
    channel.handle(Publish("room:1", "news", "weather"))
    refute_broadcast(ann, payload="other")
    refute_broadcast(ann, event=lambda name: name == "sport")
    with pytest.raises(
        ExpectationFailed, match=r"^a was to be given no broadcast with event 'weather' within 0\.1 s, and was: B"
    ):
        refute_broadcast(ann, event="weather")
    assert ann.receive(0).payload == "news"


def test_a_refute_in_a_simulation_costs_no_time():
    with simulated() as channel:
        client = channel.client("a", "ann")
        client.join("x")
        began_s = time.monotonic()
        for _ in range(100):
            refute_push(client, within_s=3600)
        assert time.monotonic() - began_s < 5
        assert channel.simulation.now_s == 360_000


# Who is there


def test_presence_is_who_is_there_and_nobody_else(room):
    channel, ann, bob = room
    assert_presence(ann, "room:1", {"ann": 1, "bob": 1})
    assert_presence(ann, "room:1", {"bob": ..., "ann": ["red"], "cid": 0})
    assert_presence(ann, "room:1", {"ann": lambda metas: metas[0].client_id == "a", "bob": (ann.presence("room:1")["bob"][0],)})
    assert_presence(ann, "room:1", lambda seen: set(seen) == {"ann", "bob"})
    assert set(assert_presence(ann, "room:1", ...)) == {"ann", "bob"}
    refute_presence(ann, "room:1", {"ann": 1})
    bob.update("room:1", "blue")
    channel.tell(Join("a2", "room:1", "ann", 7))
    seen = assert_presence(ann, "room:1", {"ann": 2, "bob": ["blue"]})
    assert [meta.client_id for meta in seen["ann"]] == ["a", "a2"]
    bob.send(Leave("b", "room:1"))
    assert_presence(ann, "room:1", {"ann": 2})
    assert_presence(bob, "room:1", {}, within_s=30)
    refute_presence(ann, "room:1", {"ann": 2, "bob": 1})
    assert assert_presence(ann, "elsewhere", {}) == {}


def test_presence_of_one_who_comes_back_is_waited_for():
    with simulated() as channel:
        client = channel.client("a", "ann")
        client.join("x")
        channel.handle(Crash("ordered", "x"))
        assert_presence(client, "x", {})
        channel.handle(Restart("x"))
        refute_presence(client, "elsewhere", {"ann": 1}, within_s=30)
        assert_presence(client, "x", {"ann": 1})


def test_a_presence_that_is_not_as_it_is_said_is_told(room):
    _channel, ann, _bob = room
    with pytest.raises(ExpectationFailed) as raised:
        assert_presence(ann, "room:1", {"ann": 2, "bob": ...}, within_s=0.01)
    text = (
        "a was to see {'ann': 2, 'bob': ...} in 'room:1' within 0.01 s, and sees {'ann': 1 ['red'], 'bob': 1}; its inbox is empty"
    )
    assert str(raised.value) == text
    with pytest.raises(
        ExpectationFailed, match=r"^a was not to see \{'ann': 1, 'bob': \('',\)\} in 'room:1' within 9 s, and sees"
    ):
        refute_presence(ann, "room:1", {"ann": 1, "bob": [""]}, within_s=9)


# What a failure says, and what is refused


def test_a_failure_says_what_was_wanted_and_what_came_instead_in_order(room):
    channel, ann, _bob = room
    for number in range(25):
        channel.handle(Send("a", "room:1", "count", f"{number}\n"))

    def is_long(payload):
        return len(payload) > 10

    with pytest.raises(ExpectationFailed) as raised:
        assert_push(ann, event="count", payload=is_long, within_s=0.01)
    first, second, *lines = str(raised.value).split("\n")
    wanted = "a was to be given a push with event 'count', a payload for which is_long holds within 0.01 s, and was not"
    assert first == f"{wanted}; in its inbox are, in order:"
    assert second == "  ... 5 before these"
    assert lines[0] == r"  PushMessage(client_id='a', topic='room:1', event='count', payload='5\n')"
    assert lines[-1] == r"  PushMessage(client_id='a', topic='room:1', event='count', payload='24\n')"
    assert len(lines) == 20
    assert isinstance(raised.value, AssertionError)
    assert len(ann) == 25


def test_two_asserts_that_fail_in_a_play_are_two_failures():
    def chat(simulation):
        client = simulation.channel().client("a", "ann")
        if simulation.random.random() < 0.5:
            assert_push(client)
        assert_push(client, event="e")

    outcomes = [play(Case(chat, seed)) for seed in range(10)]
    assert {outcome.failure for outcome in outcomes} == {"ExpectationFailed in chat"}
    assert {outcome.is_as(outcomes[0]) for outcome in outcomes} == {True, False}


@pytest.mark.parametrize("call", [assert_push, assert_broadcast, refute_push, refute_broadcast])
@pytest.mark.parametrize("wanted", [{"payload": 1}, {"event": None}, {"topic": b"x"}, {"within_s": -1}, {"within_s": "1"}])
def test_what_can_t_be_asked_for_is_refused_by_name(call, wanted):
    with simulated() as channel, pytest.raises(InvalidOption, match=f"^{next(iter(wanted))} must be"):
        call(channel.client("a", "ann"), **wanted)


@pytest.mark.parametrize("presence", [3, "ann", {"ann": "red"}, {"ann": True}, {"ann": None}])
def test_a_presence_that_can_t_be_is_refused(presence):
    with simulated() as channel:
        client = channel.client("a", "ann")
        for call in (assert_presence, refute_presence):
            with pytest.raises(InvalidOption, match=r"^presence must"):
                call(client, "x", presence)


async def later(_payload):
    """Of no use here: nobody would run it."""


def test_a_predicate_that_does_not_say_whether_it_holds_is_refused(room):
    channel, ann, _bob = room
    channel.handle(Send("a", "room:1", "e", "p"))
    with pytest.raises(InvalidOption, match=r"^payload must return whether it holds"):
        assert_push(ann, payload=lambda payload: None)
    with pytest.raises(InvalidOption, match=r"^payload must"):
        assert_push(ann, payload=later)
    with pytest.raises(InvalidOption, match=r"^presence must return whether it holds"):
        assert_presence(ann, "room:1", lambda seen: None)


def test_only_a_client_of_a_channel_has_an_inbox():
    with Simulation() as simulation, pytest.raises(InvalidOption, match=r"^client must be a client that Channel\.client made"):
        assert_push(simulation.client(simulation.channel(), "a"))


def test_an_assert_within_a_hook_is_refused_where_it_would_wait():
    refused = []

    class Room(Behaviour):
        def on_push(self, room, client_id, event, payload):
            for within_s in (0, 1):
                try:
                    refute_push(clients[0], within_s=within_s)
                except InsideActor as error:
                    refused.append((within_s, error.call))

    with simulated(behaviours={"x": Room}) as channel:
        clients = [channel.client("a", "ann")]
        clients[0].join("x")
        channel.handle(Push("a", "x", "e", "p"))
        channel.handle(Broadcast("a", "x", "p"))
        clients.clear()
    assert refused == [(1, "an assert that waits")]
