"""The tree of a channel: what is seen of topics that live, fail, wait or are down. Other questions: test_topic_supervisor."""

import threading

import pytest

from lightspeed.actors.topics.rules.life import ChannelLife
from lightspeed.channel import (
    Backoff,
    Behaviour,
    Channel,
    ChannelClosed,
    Crash,
    InsideActor,
    Join,
    Leave,
    Push,
    PushMessage,
    Reply,
    Restart,
    Restarts,
    System,
    new_cluster_ready,
)

pytestmark = pytest.mark.usefixtures("runtime")

BACKOFF = Restarts(backoff=Backoff(floor_s=100, cap_s=100, jitter=0))
FAIL = Push("a", "x", "fail", "planted")


class Frail(Behaviour):
    """Fails or blocks in a push."""

    go_on: threading.Event
    inside: threading.Event

    def on_push(self, room, client_id, event, payload):
        if event == "fail":
            raise ValueError(payload)
        self.inside.set()
        assert self.go_on.wait(20)


@pytest.fixture(autouse=True)
def frail():
    Frail.go_on, Frail.inside = threading.Event(), threading.Event()
    yield
    Frail.go_on.set()


def frail_channel(*topics, **options):
    """Client `a` is in each of the topics."""
    channel = Channel(behaviours={"*": Frail}, **options)
    for topic in topics:
        channel.handle(Join("a", topic, "ann", 1))
    return channel


def seen(channel):
    """Of each topic, all but its name and type."""
    return {node.id: (node.phase, node.incarnation, node.members, node.restarts) for node in channel.tree().children}


def test_a_tree_shows_topics_by_name_with_incarnation_and_members():
    with Channel() as channel:
        for client, topic in (("a", "y"), ("a", "x"), ("b", "y")):
            channel.handle(Join(client, topic, "ann", 1))
        assert str(channel.tree()) == (
            "single_node [running] supervisor\n"
            "|- x [running] topic, incarnation 2, 1 member\n"
            "`- y [running] topic, incarnation 1, 2 members"
        )
        channel.handle(Leave("a", "x"))
        assert seen(channel) == {"y": ("running", 1, 2, 0)}


def test_a_tree_has_the_name_of_the_adapter():
    with new_cluster_ready("n1", "c") as channel:
        assert str(channel.tree()) == "cluster_ready:c/n1 [running] supervisor"


def test_a_topic_that_failed_and_came_up_has_the_next_incarnation_and_a_restart():
    with frail_channel("x", "y", rejoin="supervisor") as channel:
        channel.handle(FAIL)
        assert channel.subscribers("x") == ("a",)
        assert seen(channel) == {"x": ("running", 3, 1, 1), "y": ("running", 2, 1, 0)}


def test_a_topic_that_is_put_off_is_restarting_and_is_not_waited_for():
    with frail_channel("x", "y", rejoin="supervisor", restarts=BACKOFF) as channel:
        channel.handle(FAIL)
        channel.tell(Push("a", "x", "fail", "behind"))
        assert seen(channel) == {"x": ("restarting", 3, 1, 1), "y": ("running", 2, 1, 0)}  # who will come back is in it


def test_a_topic_that_was_given_up_is_told_from_one_that_was_crashed():
    with frail_channel("x", "y", restarts=Restarts(intensity=0)) as channel:
        channel.handle(FAIL)
        channel.handle(Crash("by hand", "y"))
        assert seen(channel) == {"x": ("given_up", None, 0, 0), "y": ("crashed", None, 0, 0)}
        channel.handle(Restart("x"))
        channel.handle(Restart("y"))
        assert seen(channel) == {"x": ("running", 3, 0, 0), "y": ("running", 4, 0, 0)}


def test_of_a_crashed_channel_the_topics_that_come_up_again_are_down():
    with frail_channel("x", "y", "z") as channel:
        channel.handle(Crash("by hand", "z"))
        channel.handle(Crash("all"))
        tree = channel.tree()
        assert tree.phase == "crashed"
        assert seen(channel) == {"x": ("down", None, 0, 0), "y": ("down", None, 0, 0), "z": ("crashed", None, 0, 0)}
        channel.handle(Restart())
        assert channel.tree().phase == "running"
        assert seen(channel) == {"x": ("running", 4, 0, 0), "y": ("running", 5, 0, 0)}


def test_with_a_ledger_a_topic_that_is_put_off_goes_down_with_the_channel():
    with frail_channel("x", rejoin="supervisor", restarts=BACKOFF) as channel:
        channel.handle(FAIL)
        channel.handle(Crash("all"))
        assert seen(channel) == {"x": ("down", None, 0, 1)}
        channel.handle(Restart())
        assert channel.subscribers("x") == ("a",)
        assert seen(channel) == {"x": ("running", 3, 1, 1)}


def test_a_topic_at_work_is_not_waited_for_and_has_the_members_of_before():
    with frail_channel("x") as channel:
        channel.tell(Push("a", "x", "block", ""))
        channel.tell(Join("b", "x", "ben", 2))
        assert Frail.inside.wait(20)
        (topic,) = channel.tree().children
        assert (topic.phase, topic.members, topic.is_at_work) == ("running", 1, True)
        Frail.go_on.set()
        assert channel.subscribers("x") == ("a", "b")
        (topic,) = channel.tree().children
        assert (topic.members, topic.is_at_work) == (2, False)


def test_a_topic_on_its_way_down_is_stopping_and_its_successor_starting():
    with frail_channel("x") as channel:
        channel.tell(Push("a", "x", "block", ""))
        assert Frail.inside.wait(20)
        channel.tell(Crash("all"))
        stopping = channel.tree()
        assert stopping.phase == "crashed"
        assert [(node.phase, node.incarnation, node.members, node.is_at_work) for node in stopping.children] == [
            ("stopping", 1, 0, True)
        ]
        channel.tell(Restart())
        assert seen(channel) == {"x": ("starting", 2, 0, 0)}
        Frail.go_on.set()
        assert channel.subscribers("x") == ()
        assert seen(channel) == {"x": ("running", 2, 0, 0)}


def test_a_topic_that_is_counted_for_a_crash_holds_up_no_tree():
    with frail_channel("x", "y") as channel:
        channel.tell(Push("a", "x", "block", ""))
        assert Frail.inside.wait(20)
        channel.tell(Crash("by hand", "x"))
        channel.tell(Crash("behind it"))
        assert seen(channel) == {"x": ("running", 1, 1, 0), "y": ("running", 2, 1, 0)}
        Frail.go_on.set()
        channel.flush_outbox()
        assert seen(channel)["x"] == ("crashed", None, 0, 0)


def test_a_topic_whose_sink_does_not_return_is_at_work_and_an_idle_one_is_not():
    inside, go_on = threading.Event(), threading.Event()

    def sink(message):
        if isinstance(message, PushMessage):
            inside.set()
            assert go_on.wait(20)

    with Channel(on_outbound=sink) as channel:
        for topic in ("idle", "stuck"):
            channel.handle(Join("a", topic, "u", 1))
        for _ in range(3):
            channel.tell(Push("a", "stuck", "e", "p"))
        assert inside.wait(5)
        assert {node.id: node.is_at_work for node in channel.tree().children} == {"idle": False, "stuck": True}
        go_on.set()
        channel.flush_outbox()
        assert {node.id: node.is_at_work for node in channel.tree().children} == {"idle": False, "stuck": False}


def test_a_topic_that_is_down_is_at_work_while_the_sink_does_not_return_from_what_it_answered():
    inside, go_on = threading.Event(), threading.Event()

    def sink(message):
        if message == Reply("a", "x", "error", "crashed"):
            inside.set()
            assert go_on.wait(20)

    with Channel(on_outbound=sink) as channel:
        for event in (Join("a", "x", "u", 1), Crash("r", "x")):
            channel.handle(event)
        channel.tell(Push("a", "x", "e", "p"))
        assert inside.wait(5)
        assert [(node.phase, node.is_at_work) for node in channel.tree().children] == [("crashed", True)]
        go_on.set()


def test_a_closed_channel_has_no_tree():
    channel = Channel()
    channel.close()
    for _ in range(2):
        with pytest.raises(ChannelClosed):
            channel.tree()


def test_a_tree_is_refused_inside_a_sink():
    refused = []

    def sink(message):
        if isinstance(message, System):
            with pytest.raises(InsideActor):
                channel.tree()
            refused.append(message)

    with Channel(on_outbound=sink) as channel:
        channel.handle(Crash("all"))
    assert refused == [System("crashed:all")]


def test_a_channels_life_knows_what_is_down_by_itself():
    life = ChannelLife()
    life.down.update(x="crashed", y="given_up")
    assert life.answer(Restart("x"), topic_exists=False) == (System("topic_restarted:x"),)
    assert life.down == {"y": "given_up"}
    assert life.answer(Restart("x"), topic_exists=False) == (System("already_running"),)
    life.answer(Crash("all"), topic_exists=False)
    life.answer(Restart(), topic_exists=False)
    assert life.down == {}
