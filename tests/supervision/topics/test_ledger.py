"""Who comes back, and who does not; and that nothing is kept of anybody else."""

from math import inf

import pytest

from lightspeed.channel import Channel, Crash, Join, Leave, Push, Rejoin, Restart
from lightspeed.supervision.topics.topic import Topic, Trouble

ANN, BOB = Rejoin("ann", "x", "u", 1), Rejoin("bob", "x", "u", 1)


@pytest.fixture
def topic():
    return Topic("x", None, Trouble())


def test_who_was_struck_off_does_not_come_back_to_a_later_incarnation(topic):
    trouble = topic.trouble
    trouble.put_back((ANN, BOB), 1)
    trouble.strike(Leave("ann", "x"), 4)
    assert trouble.due(4) == (ANN, BOB)
    assert trouble.due(5) == (BOB,)
    assert trouble.take(5) == (BOB,)
    assert topic.tidy()


def test_a_leave_of_somebody_who_is_nowhere_leaves_nothing(topic):
    topic.trouble.put_back((ANN,), 1)
    for number in range(100):
        topic.trouble.strike(Leave(f"stranger {number}", "x"), 4)
    assert not topic.trouble.struck


def test_while_an_actor_is_on_its_way_down_it_may_be_anybodys_and_then_only_whose_it_is(topic):
    trouble = topic.trouble
    trouble.leaving = object()
    for client in ("ann", "stranger"):
        trouble.strike(Leave(client, "x"), 4)
    trouble.put_back((ANN, BOB), 1)
    trouble.leaving = None
    trouble.forget_strangers()
    assert trouble.struck == {("ann", 4, inf)}
    assert trouble.take(5) == (BOB,)
    assert topic.tidy()


def test_where_nobody_was_in_it_nothing_is_kept(topic):
    topic.trouble.leaving = object()
    topic.trouble.strike(Leave("ann", "x"), 4)
    topic.trouble.put_back((), 1)
    topic.trouble.leaving = None
    topic.trouble.forget_strangers()
    assert topic.tidy()
    assert topic.trouble is None


@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_members_are_noted_where_the_supervisor_brings_them_back_and_only_there(rejoin):
    with Channel(rejoin=rejoin) as channel:
        channel.handle(Join("ann", "x", "u", 1))
        channel.handle(Crash("r", "x"))
        channel.handle(Leave("ann", "x"))
        topic = channel._supervisor.actor._topics.get("x")
        assert (topic is not None) == (rejoin == "supervisor")


@pytest.mark.parametrize("options", [{}, {"on_outbound": lambda message: None}])
def test_what_strangers_name_leaves_nothing_behind(options):
    with Channel(rejoin="supervisor", **options) as channel:
        channel.handle(Join("ann", "x", "u", 1))
        channel.handle(Crash("r", "x"))
        for number in range(50):
            for event in (Leave("ann", f"t{number}"), Push("c", f"t{number}", "e", "p"), Crash("r", f"t{number}")):
                channel.tell(event)
            for event in (Restart(f"t{number}"), Leave(f"c{number}", "x")):
                channel.tell(event)
        channel.handle(Crash("all"))
        for number in range(50):
            channel.tell(Leave(f"c{number}", "y"))
        channel.handle(Restart())
        channel.flush_outbox()
        assert channel.subscribers("x") == ("ann",)
        supervisor = channel._supervisor.actor
        assert [(topic.name, topic.trouble) for topic in supervisor._topics.values()] == [("x", None)]
        assert (supervisor._leaving, supervisor._life.down, supervisor._histories._topics) == ({}, {}, {})
