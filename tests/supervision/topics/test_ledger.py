"""Who comes back, and who does not; and that nothing is kept of anybody else."""

import pytest

from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.channel import Channel, Crash, Join, Leave, Push, Rejoin, Restart
from lightspeed.supervision.topics.roll import Ledger

ANN, BOB = Rejoin("ann", "x", "u", 1), Rejoin("bob", "x", "u", 1)


@pytest.fixture
def ledger():
    return Ledger(is_kept=True)


def kept(ledger):
    """How much is held."""
    return len(ledger._rejoins) + len(ledger._struck) + len(ledger._clients)


def test_who_was_struck_off_does_not_come_back_to_a_later_incarnation(ledger):
    ledger.put_back("x", (ANN, BOB))
    ledger.strike(Leave("ann", "x"), 4, more_end=False)
    assert ledger.due("x", 4) == (ANN, BOB)
    assert ledger.due("x", 5) == (BOB,)
    assert ledger.take("x", 5) == (BOB,)
    assert kept(ledger) == 0


def test_a_leave_of_somebody_who_is_nowhere_leaves_nothing(ledger):
    ledger.put_back("x", (ANN,))
    for number in range(100):
        ledger.strike(Leave(f"stranger {number}", "x"), 4, more_end=False)
        ledger.strike(Leave("ann", f"no such topic {number}"), 4, more_end=False)
    assert ledger._struck == {}


def test_while_an_actor_is_on_its_way_down_it_may_be_anybodys_and_then_only_whose_it_is(ledger):
    for client in ("ann", "stranger"):
        ledger.strike(Leave(client, "x"), 4, more_end=True)
    ledger.put_back("x", (ANN, BOB))
    ledger.forget_strangers("x")
    assert ledger._struck == {"x": {("ann", 4)}}
    assert ledger.take("x", 5) == (BOB,)
    assert kept(ledger) == 0


def test_where_nobody_was_in_it_nothing_is_kept(ledger):
    ledger.note(TopicState("x"))
    ledger.strike(Leave("ann", "x"), 4, more_end=True)
    ledger.forget_strangers("x")
    assert (kept(ledger), ledger.topics, "x" in ledger) == (0, [], False)


def test_one_that_is_not_kept_stays_empty():
    ledger = Ledger(is_kept=False)
    ledger.put_back("x", (ANN,))
    ledger.strike(Leave("ann", "x"), 4, more_end=True)
    assert kept(ledger) == 0


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
        aftermath = supervisor._aftermath
        assert kept(supervisor._ledger) == 0
        assert (aftermath._had_members, aftermath._histories._topics, supervisor._children._died_of) == ({}, {}, {})
        assert (supervisor._life.down, list(supervisor._children.live), supervisor._children.leaving) == ({}, ["x"], {})
