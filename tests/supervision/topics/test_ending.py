"""The supervisor fails, or is stopped by others: nobody waits in vain, and nothing vanishes unseen."""

import threading

import pykka
import pytest

from lightspeed.actors import Pool
from lightspeed.actors.topics import TopicState
from lightspeed.channel import Channel, ChannelClosed, Crash, Join, Leave, Push, Rejoin, Reply, System
from lightspeed.supervision.topics import TopicSupervisor

pytestmark = pytest.mark.usefixtures("runtime", "on_workers")


class Planted(Exception):
    pass


def fail(*_args, **_options):
    raise Planted


@pytest.fixture
def hold(monkeypatch):
    """A push is at work from `inside` until `go_on`."""
    handle = TopicState.handle

    class Hold:
        inside, go_on = threading.Event(), threading.Event()

    def work(state, event):
        if isinstance(event, Push):
            Hold.inside.set()
            assert Hold.go_on.wait(20)
        return handle(state, event)

    monkeypatch.setattr(TopicState, "handle", work)
    return Hold


@pytest.fixture
def broken(monkeypatch):
    """The supervisor fails when the topic `bad` begins."""
    add = TopicSupervisor._add
    monkeypatch.setattr(
        TopicSupervisor, "_add", lambda self, name, **options: fail() if name == "bad" else add(self, name, **options)
    )


def unhandled(channel):
    return [letter.what for letter in channel.dead_letters() if letter.why == "unhandled"]


def test_who_waits_for_the_event_over_which_the_supervisor_failed_is_told_at_once(broken):
    channel = Channel()
    channel.handle(Join("a", "good", "u", 1))
    with pytest.raises(ChannelClosed):
        channel.handle(Join("a", "bad", "u", 1))
    assert unhandled(channel) == [Join("a", "bad", "u", 1)]
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.handle(Join("a", "good", "u", 1))
    assert channel.flush_outbox()[0] == Reply("a", "good", "ok", "joined")
    assert channel.dead_letter_count == 1


def test_what_was_told_and_stood_behind_that_is_handled_or_lost_but_not_forgotten(broken, hold):
    channel = Channel(runtime=Pool())
    channel.handle(Join("a", "good", "u", 1))
    holder = threading.Thread(target=channel.tell, args=(Push("a", "good", "e", "p"),))  # in which the supervisor is held up
    holder.start()
    assert hold.inside.wait(10)
    for topic in ("bad", "other", "bad"):
        channel.tell(Join("b", topic, "u", 2))
    hold.go_on.set()
    holder.join()
    channel.close()
    assert unhandled(channel) == [Join("b", "bad", "u", 2)] * 2
    assert Reply("b", "other", "ok", "joined") in channel.flush_outbox()


@pytest.mark.parametrize("ask", [lambda c: c.topics(), lambda c: c.subscribers("x"), lambda c: c.flush_outbox()], ids=range(3))
def test_who_asks_a_supervisor_that_fails_is_told_at_once(monkeypatch, ask):
    for name in ("_answer", "_settle"):
        monkeypatch.setattr(TopicSupervisor, name, fail)
    monkeypatch.setattr("lightspeed.supervision.topics.router.Census", fail)
    channel = Channel()
    try:
        assert ask(channel) == []  # a flush gives what there is
    except ChannelClosed:
        pass
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.tell(Leave("a", "x"))
    assert channel.dead_letters() == ()


def test_what_a_topic_left_is_not_forgotten_where_the_supervisor_fails_to_replace_it(monkeypatch, hold):
    monkeypatch.setattr(TopicSupervisor, "_heal", fail)
    answers = []

    def wait_for(event):
        try:
            answers.append(channel.handle(event))
        except ChannelClosed:
            answers.append(event)

    work = TopicState.handle
    monkeypatch.setattr(TopicState, "handle", lambda state, event: (work(state, event), isinstance(event, Push) and fail())[0])
    channel = Channel(own_thread=["*"], runtime=Pool())
    channel.handle(Join("a", "x", "u", 1))
    channel.tell(Push("a", "x", "e", "p"))
    assert hold.inside.wait(10)
    waits = threading.Thread(target=wait_for, args=(Rejoin("b", "x", "u", 2),))
    waits.start()
    child = channel._supervisor.actor._topics["x"].live
    while child.sent < 3:
        assert not channel.crashed
    hold.go_on.set()
    waits.join(20)
    assert answers == [Rejoin("b", "x", "u", 2)] == unhandled(channel)
    channel.close()
    assert Reply("a", "x", "error", "topic_crashed") in channel.flush_outbox()


def test_what_waits_for_a_count_is_not_lost_when_others_stop_the_channel(hold):
    channel = Channel(own_thread=["*"], runtime=Pool(), crash_timeout_s=0.05)
    channel.handle(Join("a", "x", "u", 1))
    channel.flush_outbox()
    channel.tell(Push("a", "x", "e", "p"))
    assert hold.inside.wait(10)
    for event in (Crash("r", "x"), Leave("b", "x"), Crash("all"), Leave("c", "y")):
        channel.tell(event)
    pykka.ActorRegistry.stop_all(block=False)
    channel._done.get(timeout=20)
    hold.go_on.set()
    outbound = channel.flush_outbox()
    for message in (
        System("topic_crashed:x"),
        System("crashed:all"),
        *(Reply(*who, "error", "crashed") for who in (("b", "x"), ("c", "y"))),
        Reply("a", "x", "error", "topic_crashed"),
    ):
        assert outbound.count(message) == 1
    channel.close()
