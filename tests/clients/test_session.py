"""How a client comes back by itself: when, how often, and what calls it off."""

import threading
from contextlib import contextmanager

import pytest
from moved_clock import MovedPool

from lightspeed.channel import (
    Behaviour,
    Channel,
    Crash,
    Disconnect,
    InboxEmpty,
    Join,
    Leave,
    Meta,
    Push,
    Refused,
    Rejoin,
    Removed,
    Restart,
    Restarts,
    TopicDown,
    TopicUp,
)
from lightspeed.clients.session import REJOIN


class Clocked(MovedPool):
    """A clock that is moved, and a chance that is said."""

    def __init__(self):
        super().__init__()
        self.chance, self.ms = 0.5, 1_000

    def random(self):
        return self.chance

    def now_ms(self):
        return self.ms

    @property
    def due_s(self):
        """In how many seconds each try of a client is due."""
        calls = sorted((key, call.__qualname__) for key, call in list(self.calls.items()) if hasattr(call, "__qualname__"))
        return [round(at_s - self.now_s, 3) for (at_s, _number), name in calls if name.startswith("Session.")]


@contextmanager
def clocked(**options):
    clock = Clocked()
    with Channel(runtime=clock, timeout_s=10, rejoin_window_s=1_000, **options) as channel:
        yield channel, clock


def told(client):
    try:
        return client.receive_many(1_000, 0)
    except InboxEmpty:
        return []


def notices(client):
    return [one for one in told(client) if isinstance(one, (TopicDown, TopicUp, Removed))]


LATER_S = 100.0  # longer than any backoff


def test_it_comes_back_by_itself_with_what_stood_in_its_presence():
    with clocked() as (channel, clock), channel.client("a", "u", meta="red") as client:
        client.join("t", "blue")
        channel.handle(Crash("order", "t"))
        channel.handle(Restart("t"))
        assert client.topics == ()
        clock.ms = 2_000
        clock.run_for(LATER_S)
        assert channel.subscribers("t") == ("a",)
        assert client.topics == ("t",)
        assert client.presence("t") == {"u": (Meta("a:2000", 2_000, "blue"),)}
        assert notices(client) == [TopicDown("t", "order"), TopicUp("t")]
        assert clock.due_s == []


def test_it_does_not_where_it_is_not_to():
    with clocked() as (channel, clock), channel.client("a", "u", auto_rejoin=False) as client:
        client.join("t")
        channel.handle(Crash("order"))
        channel.handle(Restart())
        assert clock.due_s == []
        assert client.topics == ()


def test_it_tries_until_it_is_in_and_waits_longer_each_time():
    with clocked() as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Crash("order"))
        waits = []
        for _ in range(12):
            waits += clock.due_s
            clock.run_for(waits[-1] + 0.0005)
            assert channel.crashed
        assert waits == sorted(waits)
        assert (waits[0] < 0.05, waits[-1] > 4, max(waits) <= REJOIN.cap_s) == (True, True, True)
        channel.handle(Restart())
        clock.run_for(LATER_S)
        assert channel.subscribers("t") == ("a",)
        assert clock.due_s == []


def test_a_wait_is_anything_up_to_the_longest():
    firsts = []
    for chance in (0.0, 0.5, 0.999):
        with clocked() as (channel, clock), channel.client("a", "u") as client:
            clock.chance = chance
            client.join("t")
            channel.handle(Crash("order"))
            for _ in range(4):
                clock.run_for(clock.due_s[0] + 0.0005)
                assert channel.crashed
            firsts += clock.due_s
    assert firsts[0] == REJOIN.floor_s
    assert firsts[2] > 10 * firsts[0]
    assert firsts[0] < firsts[1] < firsts[2]


@pytest.mark.parametrize(("quiet_s", "begins_anew"), [(REJOIN.quiet_s - 1, False), (REJOIN.quiet_s, True)])
def test_its_waits_begin_anew_only_after_a_quiet_time(quiet_s, begins_anew):
    with clocked() as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Crash("order", "t"))
        first = clock.due_s
        channel.handle(Restart("t"))
        clock.run_for(first[0] + 0.0005)
        assert channel.subscribers("t") == ("a",)
        clock.run_for(quiet_s / 2)
        client.update("t", "news")  # which is no coming up
        clock.run_for(quiet_s / 2)
        channel.handle(Crash("order", "t"))
        assert (clock.due_s == first) is begins_anew


CALLS_OFF = {
    "leave": lambda channel, client: refused(lambda: client.leave("t")),
    "close": lambda channel, client: client.close(),
    "raw leave": lambda channel, client: channel.handle(Leave("a", "t")),
    "raw disconnect": lambda channel, client: channel.handle(Disconnect("a")),
    "sent leave": lambda channel, client: (client.send(Leave("a", "t")), channel.crashed),
    "forgotten channel's close": lambda channel, client: channel.close(),
}


def refused(call):
    with pytest.raises(Refused):
        call()


@pytest.mark.parametrize("is_up", [False, True])
@pytest.mark.parametrize("call_off", CALLS_OFF.values(), ids=CALLS_OFF)
def test_it_is_called_off(call_off, is_up):
    with clocked() as (channel, clock):
        client = channel.client("a", "u")
        client.join("t")
        channel.handle(Crash("order", "t"))
        if is_up:
            channel.handle(Restart("t"))
        assert len(clock.due_s) == 1
        call_off(channel, client)
        assert clock.due_s == []
        client.close()


def test_a_leave_of_an_older_connection_calls_nothing_off():
    with clocked() as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Crash("order", "t"))
        channel.handle(Leave("a", "t", 999))
        channel.handle(Disconnect("a", 999))
        channel.handle(Restart("t"))
        clock.run_for(LATER_S)
        assert channel.subscribers("t") == ("a",)


def test_a_join_of_the_programs_is_no_other_way_back():
    with clocked() as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Crash("order", "t"))
        channel.handle(Restart("t"))
        client.join("t")
        assert clock.due_s == []


def test_a_leave_while_the_try_is_on_its_way_takes_it_back():
    with clocked() as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Crash("order", "t"))
        channel.handle(Restart("t"))
        tell = client._session._tell

        def left_before(event, reply):
            client._session._tell = tell
            with pytest.raises(Refused, match="not_joined"):
                client.leave("t")
            tell(event, reply)

        client._session._tell = left_before
        clock.run_for(LATER_S)
        assert channel.subscribers("t") == ()
        assert client.topics == ()


def test_a_close_while_the_try_is_on_its_way_takes_it_back():
    with clocked() as (channel, clock):
        client = channel.client("a", "u")
        client.join("t")
        channel.handle(Crash("order", "t"))
        channel.handle(Restart("t"))
        tell = client._session._tell

        def closed_before(event, reply):
            client._session._tell = tell
            client.close()
            tell(event, reply)

        client._session._tell = closed_before
        clock.run_for(LATER_S)
        assert channel.subscribers("t") == ()


def test_a_close_waits_for_no_try_that_waits_for_it():
    """A timer's cancel waits for a call that is under way: nothing that such a call needs may be held meanwhile."""
    with Channel() as channel:
        client = channel.client("a", "u")
        client.join("t")
        session, begun, go_on = client._session, threading.Event(), threading.Event()
        rejoin = session._rejoin

        def begin(comeback):
            begun.set()
            go_on.wait(20)
            rejoin(comeback)

        session._rejoin = begin
        channel.handle(Crash("order", "t"))
        assert begun.wait(20)
        closer = threading.Thread(target=client.close)
        closer.start()
        while not session.is_closed:  # from here on it cancels
            channel.subscribers("t")
        go_on.set()
        closer.join(20)
        assert not closer.is_alive()


def test_where_no_thread_can_be_started_the_topic_is_not_harmed(monkeypatch):
    with Channel() as channel, channel.client("a", "u") as client:
        client.join("t")

        def fails(*_args):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(channel._runtime, "call_later", fails, raising=False)
        channel.handle(Crash("order", "t"))
        channel.handle(Restart("t"))
        assert client.join("t") == "joined"


# rejoin="supervisor"


def test_under_a_supervisor_that_brings_it_back_it_does_nothing():
    with clocked(rejoin="supervisor") as (channel, clock), channel.client("a", "u") as client:
        client.join("t", "blue")
        told(client)
        channel.handle(Crash("order", "t"))
        assert clock.due_s == []
        channel.handle(Restart("t"))
        assert channel.subscribers("t") == ("a",)
        assert clock.due_s == []
        messages = told(client)
        assert messages[:2] == [TopicDown("t", "order"), TopicUp("t")]
        assert len(messages) == 3
        assert client.topics == ("t",)
        assert client.presence("t")["u"][0].meta == "blue"


def test_under_a_supervisor_it_comes_back_where_it_is_not_in():
    with clocked(rejoin="supervisor") as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Crash("order", "t"))
        session = client._session
        for one in list(channel._supervisor.actor._topics.values()):
            one.trouble.rejoins = ()  # as if it had been forgotten
        channel.handle(Restart("t"))
        assert session.topics == ()
        assert len(clock.due_s) == 1
        clock.run_for(LATER_S)
        assert channel.subscribers("t") == ("a",)


@pytest.mark.parametrize("call_off", CALLS_OFF.values(), ids=CALLS_OFF)
def test_under_a_supervisor_too_it_stays_out_when_it_has_left_meanwhile(call_off):
    with clocked(rejoin="supervisor") as (channel, clock):
        client = channel.client("a", "u")
        client.join("t")
        channel.handle(Crash("order", "t"))
        call_off(channel, client)
        if call_off is not CALLS_OFF["forgotten channel's close"]:
            channel.handle(Restart("t"))
            clock.run_for(1)
            assert channel.subscribers("t") == ()
        assert client.topics == ()
        client.close()


class Refusing(Behaviour):
    def on_rejoin(self, room, _client_id, _user_id):
        room.refuse("no more")

    def on_push(self, *_args):
        raise ValueError("planted")


def test_who_is_not_let_back_in_is_told_and_does_not_try():
    with clocked(rejoin="supervisor", behaviours={"*": Refusing}) as (channel, clock), channel.client("a", "u") as client:
        client.join("t")
        told(client)
        with pytest.raises(Refused, match="topic_crashed"):
            client.push("t", "e", "p")
        assert channel.subscribers("t") == ()
        assert notices(client) == [TopicDown("t", "error"), TopicUp("t"), Removed("t", "no more")]
        assert clock.due_s == []


def test_a_disconnect_while_members_are_being_brought_back_leaves_too():
    """Between the supervisor's keeping and the topic nobody has them: they are in neither's books."""
    go_on, at_work = threading.Event(), threading.Event()

    class Slow(Behaviour):
        def on_rejoin(self, *_args):
            at_work.set()
            go_on.wait(20)

    with Channel(rejoin="supervisor", behaviours={"*": Slow}) as channel:
        channel.topics_of("a")
        channel.handle(Join("a", "t", "u", 1))
        channel.handle(Crash("order", "t"))
        channel.tell(Restart("t"))
        assert at_work.wait(20)
        channel.tell(Disconnect("a"))
        channel.tree()
        go_on.set()
        assert channel.subscribers("t") == ()
        assert channel.topics_of("a") == ()


@pytest.mark.parametrize("waiting", ["redeliver", "answer"])
@pytest.mark.parametrize("intensity", [0, 5])
def test_a_disconnect_behind_what_fails_the_topic_leaves_too(intensity, waiting):
    go_on = threading.Event()

    class Failing(Behaviour):
        def on_push(self, *_args):
            go_on.wait(20)
            raise ValueError("planted")

    restarts = Restarts(intensity=intensity, waiting=waiting)
    with Channel(rejoin="supervisor", behaviours={"*": Failing}, restarts=restarts) as channel, channel.client("b", "v") as other:
        with channel.client("a", "u") as client:
            client.join("t"), other.join("t")
            client.send(Push("a", "t", "e", "p"))
            client.send(Disconnect("a"))
            channel.tree()
            go_on.set()
        channel.handle(Restart("t"))
        assert channel.subscribers("t") == ("b",)


def test_a_client_that_is_made_while_its_topic_is_down_is_brought_back_into_it():
    with clocked(rejoin="supervisor") as (channel, _clock):
        channel.handle(Join("a", "t", "u", 1))
        channel.handle(Crash("order", "t"))
        with channel.client("a", "u") as client:
            channel.handle(Restart("t"))
            assert channel.subscribers("t") == ("a",)
            assert client.topics == ("t",)
            assert list(client.presence("t")) == ["u"]


def test_a_rejoin_of_the_programs_moves_it_to_another_user():
    with clocked() as (channel, _clock), channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Rejoin("a", "t", "v", 10**6))
        assert list(client.presence("t")) == ["v"]
