"""Mailboxes of topics that were put off, or whose events faults refuse."""

from lightspeed.channel import Backoff, Broadcast, FaultPlan, Join, Leave, Restarts
from lightspeed.faults import Full, Raise
from lightspeed.supervision.topics import Mailbox
from lightspeed.testing import Simulation


def test_who_joined_meanwhile_is_seen_when_it_comes_up_and_it_stops_when_he_has_left():
    with Simulation() as simulation:
        channel = simulation.channel(
            mailboxes=Mailbox(max_messages=3, overflow="drop_oldest"),
            restarts=Restarts(backoff=Backoff(floor_s=1.0, cap_s=1.0)),
            faults=FaultPlan((Raise(at=2, times=1),)),
        )
        channel.handle(Join("a", "x", "ann", 0))
        channel.handle(Join("b", "x", "bob", 0))  # fails it
        channel.tell(Join("c", "x", "cid", 1))
        simulation.run_for(5)
        assert channel.subscribers("x") == ("c",)
        channel.handle(Leave("c", "x"))
        assert channel.tree().children == ()


def test_what_a_fault_refuses_as_full_waits_no_more():
    with Simulation() as simulation:
        channel = simulation.channel(mailboxes=Mailbox(max_bytes=300), faults=FaultPlan((Full(every=2, times=5),)))
        channel.handle(Join("a", "x", "ann", 0))
        for number in range(10):
            channel.handle(Broadcast("a", "x", str(number)))
        answers = [getattr(message, "payload", "") for message in channel.flush_outbox()]
        assert answers.count("unavailable") == 5
        assert "overloaded" not in answers
