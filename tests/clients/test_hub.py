"""What is known of all members of a channel: the index of their topics, and the clients among them, whatever happens."""

import gc
import random
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightspeed.actors.errors import ClientClosed, InboxEmpty, LightspeedError, Refused
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.channel import (
    Behaviour,
    BroadcastMessage,
    Channel,
    ClientExists,
    Crash,
    Disconnect,
    Inbox,
    Join,
    Lagged,
    Leave,
    Mailbox,
    PresenceDiff,
    Publish,
    Push,
    Rejoin,
    Reply,
    Restart,
)
from lightspeed.clients.hub import Hub
from lightspeed.supervision.topics import TopicSupervisor
from lightspeed.testing import Simulation

IDS, TOPICS = ("a", "b", "c"), ("t", "u", "v")


class Unwatched(Simulation):
    """Its model knows nothing of the index: here that is held to what the topics say."""

    observers = ()


class Moody(Behaviour):
    """Refuses, removes and fails as it is told."""

    def on_push(self, room, client_id, event, payload):
        if event == "fail":
            raise ValueError("planted")
        if event == "remove":
            room.remove(payload if payload in room.members else client_id, "enough")


one_event = st.one_of(
    st.builds(Join, st.sampled_from(IDS), st.sampled_from(TOPICS), st.sampled_from("xy"), st.integers(0, 9)),
    st.builds(Rejoin, st.sampled_from(IDS), st.sampled_from(TOPICS), st.sampled_from("xy"), st.integers(0, 9)),
    st.builds(Leave, st.sampled_from(IDS), st.sampled_from(TOPICS), st.none() | st.integers(0, 9)),
    st.builds(Disconnect, st.sampled_from(IDS), st.none() | st.integers(0, 9)),
    st.builds(Push, st.sampled_from(IDS), st.sampled_from(TOPICS), st.sampled_from(("fail", "remove")), st.sampled_from(IDS)),
    st.builds(Crash, st.just("order"), st.none() | st.sampled_from(TOPICS)),
    st.builds(Restart, st.none() | st.sampled_from(TOPICS)),
)


def agree(channel, clients=()):
    """The index is of the same mind as the topics, and the clients as both."""
    topics_of = {client_id: set() for client_id in (*IDS, *(client.client_id for client in clients))}
    for topic in channel.topics():
        for client_id in channel.subscribers(topic):
            topics_of.setdefault(client_id, set()).add(topic)
    assert {client_id: set(channel.topics_of(client_id)) for client_id in topics_of} == topics_of
    for client in clients:
        assert set(client.topics) == topics_of[client.client_id]
        for topic in client.topics:
            shown = {entry.key: entry.metas for entry in channel.presences(topic)}
            assert client.presence(topic) == shown
            assert list(client.presence(topic)) == list(shown)


@pytest.mark.slow
@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
@settings(max_examples=30)
@given(
    events=st.lists(one_event, max_size=25), begins=st.integers(0, 25), seed=st.integers(0, 2**32), rests=st.sampled_from((1, 4))
)
def test_the_index_and_the_clients_agree_with_the_topics(rejoin, events, begins, seed, rests):
    with Unwatched(seed) as simulation:
        channel = simulation.channel(behaviours={"u": Moody}, rejoin=rejoin, outbox=True)
        clients = []
        for number, event in enumerate(events):
            if number == begins:
                clients += [channel.client(client_id, client_id, auto_rejoin=False) for client_id in IDS[:2]]
            channel.tell(event)
            if number % rests == 0:
                channel.flush_outbox()  # whoever was told to crash has ended: that is when its members are out
                agree(channel, clients)
        channel.flush_outbox()
        agree(channel, clients)
        channel.handle(Restart())
        agree(channel, clients)
        for client in clients:
            client.close()
        agree(channel)
        for client_id in IDS:
            channel.handle(Disconnect(client_id))
        hub = channel._hub
        if channel.topics() == ():
            assert (hub._expected, hub._views) == ({}, {})


def test_an_id_in_many_topics_is_known_in_all_and_in_none_when_it_has_left():
    with Channel() as channel:
        channel.topics_of("a")
        topics = [f"t{number:02}" for number in range(20)]
        for count, topic in enumerate(topics, 1):
            channel.handle(Join("a", topic, "u", 1))
            assert channel.topics_of("a") == tuple(topics[:count])
        for count, topic in enumerate(topics, 1):
            channel.handle(Leave("a", topic))
            assert channel.topics_of("a") == tuple(topics[count:])
        assert channel._hub._index == {}


class SupervisorFirst:
    """A scheduler: the supervisor has taken in hand all that there is before a topic handles anything."""

    def choose(self, ready):
        return next((place for place, one in enumerate(ready) if isinstance(one, TopicSupervisor)), 0)


def test_a_join_that_is_refused_ahead_of_another_does_not_hide_it():
    """The mailbox is full behind the first one, and what the supervisor answers is answered at once."""
    with Simulation(scheduler=SupervisorFirst()) as simulation:
        channel = simulation.channel(mailboxes=Mailbox(max_messages=1), on_outbound=[].append)
        assert channel.topics_of("a") == ()
        for _ in range(2):
            channel.tell(Join("a", "t", "u", 1))
        assert channel.topics_of("a") == ("t",)
        channel.handle(Leave("a", "t"))
        for _ in range(2):
            channel.tell(Join("a", "t", "u", 1))
        channel.handle(Disconnect("a"))
        assert channel.topics() == ()
        assert channel._hub._expected == {}


def test_a_join_is_expected_until_the_index_has_it(monkeypatch):
    """The supervisor may ask in the middle of what the topic gives out."""
    hub, found, fold = Hub(), [], Hub._count

    def ask_before(self, message, state):
        found.append(hub.find_topics("a"))
        fold(self, message, state)

    monkeypatch.setattr(Hub, "_count", ask_before)
    state = TopicState("t")
    hub.expect("a", "t", 1)
    hub.put(1, "t", state.handle(Join("a", "t", "u", 1)), None, state)
    assert found == [{"t"}]
    assert (hub.find_topics("a"), hub._expected) == ({"t"}, {})


def test_the_answer_to_a_join_is_that_to_all_before_it_if_the_topic_gives_it():
    """Such as one whose answer is lost."""
    hub, state = Hub(), TopicState("t")
    for seq in (1, 2, 4):
        hub.expect("a", "t", seq)
    hub.put(2, "t", (Reply("a", "t", "error", "overloaded"),), None, None)
    assert hub._expected == {"a": {"t": [1, 4]}}
    hub.put(3, "t", (Reply("a", "t", "error", "not_joined"),), None, state)
    assert hub._expected == {"a": {"t": [4]}}
    hub.put(4, "t", (Reply("a", "t", "ok", "joined"),), None, state)
    assert hub._expected == {}


def test_the_index_begins_with_whoever_is_there():
    with Channel() as channel:
        for topic in TOPICS:
            channel.handle(Join("a", topic, "u", 1))
        channel.handle(Disconnect("a"))
        assert channel.topics() == ()


def test_topics_of_takes_a_text():
    with Channel() as channel, pytest.raises(LightspeedError, match="client_id"):
        channel.topics_of(5)


LARGE = [(100_000, 1), (10_000, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("begins", [pytest.param("before", marks=pytest.mark.long), "behind"])
@pytest.mark.parametrize(
    ("ids", "topics_each"), [(10_000, 1), (2_000, 5), *(pytest.param(*pair, marks=pytest.mark.long) for pair in LARGE)]
)
def test_the_index_takes_at_most_120_bytes_a_membership(ids, topics_each, begins):
    with Channel(outbox=False) as channel:
        if begins == "before":
            channel.topics_of("nobody")
        for client in range(ids):
            for topic in range(topics_each):
                channel.tell(Join(f"client{client}", f"topic{topic}", f"client{client}", 1))
        assert channel.membership_count == ids * topics_each
        if begins == "before":
            held = channel._hub._index
            assert len(held) == ids
            gc.collect()
            tracemalloc.start()
            again = {}
            for key, value in held.items():  # as it grew, and what the topics have anyway is theirs
                again[key] = value if isinstance(value, str) else (*value,)
            size = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            own = {id(client_id) for topic in range(topics_each) for client_id in channel.subscribers(f"topic{topic}")}
            strangers = sum(id(client_id) not in own for client_id in held)
            assert strangers == 0
        else:
            gc.collect()
            tracemalloc.start()
            channel.topics_of("nobody")
            size = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        assert size <= 120 * ids * topics_each


# A race

ROUNDS = [
    pytest.param(15, marks=pytest.mark.slow),
    pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(3_000)]),
]
STEPS = 12  # of each thread, in a round


class Racer:
    """One of several threads, each of which does what chance says to what all share."""

    def __init__(self, channel, seed, living, heard, lock):
        self.channel, self.random, self.living, self.heard, self.lock = channel, random.Random(seed), living, heard, lock
        self.number = 0

    def __call__(self):
        for _ in range(STEPS):
            self.step()

    def hear(self, client, messages):
        """No client is told the same thing twice."""
        with self.lock:
            heard = self.heard.setdefault(client, set())
            for message in messages:
                if isinstance(message, BroadcastMessage):
                    assert message.payload not in heard
                    heard.add(message.payload)

    def step(self):
        draw, channel = self.random, self.channel
        client_id, topic = draw.choice("abcdef"), draw.choice(TOPICS)
        client = self.living.get(client_id)
        what = draw.random()
        try:
            if client is None or what < 0.04:
                inbox = Inbox(max_messages=draw.choice((5, 1_000)), overflow=draw.choice(("drop_oldest", "close", "drop_newest")))
                made = channel.client(client_id, draw.choice("xy"), inbox=inbox, take_over=draw.random() < 0.5)
                with self.lock:
                    former = self.living.get(client_id)
                    self.living[client_id] = made
                if former is not None:
                    former.close()
            elif what < 0.07:
                client.close()
            elif what < 0.3:
                client.join(topic)
            elif what < 0.45:
                client.leave(topic)
            elif what < 0.6:
                self.number += 1
                client.broadcast(topic, f"{id(self)}:{self.number}")
            elif what < 0.68:
                client.update(topic, str(self.number))
            elif what < 0.72:
                client.push(topic, draw.choice(("fail", "remove")), draw.choice("abcdef"))
            elif what < 0.76:
                client.send(Join(client_id, topic, "x", 0))
            elif what < 0.8:
                channel.tell(Disconnect(client_id, draw.choice((None, 0))))
            elif what < 0.83:
                channel.tell(Crash("order", topic))
            elif what < 0.84:
                channel.handle(Crash("order"))
            elif what < 0.88:
                channel.handle(Restart(draw.choice((None, topic))))
            else:
                self.hear(client, client.receive_many(draw.choice((1, 100)), 0))
        except (Refused, ClientClosed, ClientExists, InboxEmpty):
            pass


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_whatever_eight_threads_do_no_ghost_is_left(rejoin, rounds):
    living, heard, lock = {}, {}, threading.Lock()
    with Channel(behaviours={"u": Moody}, rejoin=rejoin, rejoin_window_s=0.2) as channel, ThreadPoolExecutor(8) as threads:
        racers = [Racer(channel, seed, living, heard, lock) for seed in range(8)]
        for _ in range(rounds):
            for done in [threads.submit(racer) for racer in racers]:
                done.result(60)
            come_to_rest(channel, living)
            agree(channel, living.values())
            for client_id in "abcdef":
                assert client_id in living or channel.topics_of(client_id) == ()
            hear_all(channel, living)
            heard.clear()
        for client in living.values():
            client.close()
        assert (channel.topics(), channel._hub._index, channel._hub.clients) == ((), {}, {})
        assert (channel._hub._views, channel._hub._expected, channel._hub._down) == ({}, {}, {})


def come_to_rest(channel, living):
    """All is up, nobody is on the way back, and only living clients are left."""
    channel.handle(Restart())
    for topic in TOPICS:
        channel.handle(Restart(topic))
    for client_id, client in tuple(living.items()):
        for topic in TOPICS:
            if not client.is_closed and topic not in client.topics:
                try:
                    client.leave(topic)  # calls a way back off
                except (Refused, ClientClosed):
                    pass
        if client.is_closed:
            client.close()
            del living[client_id]
    timers_done = threading.Event()
    channel._runtime.call_later(0, timers_done.set)  # they are called one by one: a try that was under way has been made
    assert timers_done.wait(20)
    for _ in range(2):  # what was told; and what came of that
        assert channel.membership_count >= 0


def hear_all(channel, living):
    """Each living client in a topic hears each broadcast once, and in order; and what it has not heard its inbox tells of."""
    for client in living.values():
        try:
            client.receive_many(100_000, 0)
        except InboxEmpty:
            pass
    for topic in TOPICS:
        for number in range(4):
            channel.handle(Publish(topic, str(number)))
    for client in living.values():
        heard = []
        try:
            heard = client.receive_many(100_000, 0)
        except (InboxEmpty, ClientClosed):
            pass
        lost = sum(message.count for message in heard if isinstance(message, Lagged))
        told = [(message.topic, message.payload) for message in heard if isinstance(message, BroadcastMessage)]
        assert len(set(told)) == len(told)
        for topic in TOPICS:
            assert [number for name, number in told if name == topic] == sorted(number for name, number in told if name == topic)
        if client.is_closed:  # it was too slow for this
            continue
        assert {message.topic for message in heard if not isinstance(message, Lagged)} <= set(client.topics)
        if any(other.is_closed for other in living.values()):  # what was missed may be the diff by which that one left
            assert len(told) + lost >= 4 * len(client.topics)
            assert lost or len(told) == 4 * len(client.topics)
        else:
            assert len(heard) - bool(lost) + lost == len(told) + lost == 4 * len(client.topics)


def test_what_reaches_a_client_is_all_that_was_said_while_it_was_in():
    """Speakers in threads of their own, and listeners who come and go."""
    with Channel() as channel:
        listeners = [channel.client(f"l{number}", "l", inbox=Inbox(max_messages=100_000)) for number in range(4)]
        speakers = [channel.client(f"s{number}", "s", inbox=Inbox(max_messages=1)) for number in range(3)]
        for client in (*listeners, *speakers):
            client.join("t")

        def speak(client):
            for number in range(200):
                client.broadcast("t", f"{client.client_id}:{number}")

        def come_and_go(client):
            for _ in range(20):
                client.leave("t")
                client.join("t")

        threads = [threading.Thread(target=speak, args=(client,)) for client in speakers]
        threads += [threading.Thread(target=come_and_go, args=(client,)) for client in listeners[:2]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for client in listeners[2:]:
            assert said(client) == {speaker.client_id: list(range(200)) for speaker in speakers}
        for client in listeners[:2]:
            for heard in said(client).values():
                assert heard == sorted(set(heard))
        for client in speakers:
            assert client.dropped == sum(message.count for message in client.receive_many(9, 0) if isinstance(message, Lagged))
        for client in (*listeners, *speakers):
            client.close()


def said(client):
    heard = {}
    for message in client.receive_many(100_000, 0):
        if isinstance(message, BroadcastMessage):
            speaker, number = message.payload.split(":")
            heard.setdefault(speaker, []).append(int(number))
    return heard


def test_a_client_that_is_closed_at_the_moment_it_enters_is_no_member():
    hub = Hub()

    class Closing:
        client_id, inbox, is_closed = "a", None, True

        def enter(self, *_args):
            raise AssertionError("it is closed")

    hub.clients["a"] = Closing()
    with Simulation() as simulation:
        channel = simulation.channel()
        channel.handle(Join("a", "t", "u", 1))
        diff = next(one for one in channel.flush_outbox() if isinstance(one, PresenceDiff))
    hub.put(1, "t", (diff,), None, None)
    assert hub._views == {}
