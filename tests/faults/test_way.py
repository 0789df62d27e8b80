import pytest
from moved_clock import MOVED

from lightspeed.channel import Channel, ChannelTimeout, Crash, FaultPlan, Join, Mailbox, Push, PushMessage
from lightspeed.faults import Delay, Drop, Duplicate, Reorder

pytestmark = pytest.mark.usefixtures("runtime")


def joined(*plan, **options):
    channel = Channel(faults=FaultPlan(plan), **options)
    for topic in "xy":
        channel.handle(Join("a", topic, "u", 1))
    channel.flush_outbox()
    return channel


def push(channel, *payloads, topic="x"):
    for payload in payloads:
        channel.tell(Push("a", topic, "e", payload))


def pushed(channel):
    return [message.payload for message in channel.flush_outbox() if isinstance(message, PushMessage)]


def test_a_dropped_event_never_arrives():
    with joined(Drop(topic="x", at=3)) as channel:
        push(channel, "1", "2", "3")
        push(channel, "1", "2", topic="y")
        assert pushed(channel) == ["1", "3", "1", "2"]
        assert channel.faults.fired == (1,)


def test_a_handle_of_a_dropped_event_ends_by_its_timeout():
    with joined(Drop(at=2), timeout_s=0.1) as channel:
        with pytest.raises(ChannelTimeout):
            channel.handle(Push("a", "x", "e", "p"))
        channel.handle(Push("a", "x", "e", "q"))
        assert pushed(channel) == ["q"]


def test_what_was_dropped_or_came_twice_does_not_wait_for_the_supervisor():
    for plan in ((Drop(at=2),), (Duplicate(at=2),), (Duplicate(at=2), Drop(at=2)), (Duplicate(at=2), Reorder(1, at=2))):
        with joined(*plan) as channel:
            push(channel, "1", "2")
            assert "2" in pushed(channel)
            assert channel.metrics().waiting == 0


def test_a_double_takes_as_much_room_in_a_mailbox_as_the_event():
    with joined(Duplicate(topic="x", at=2), mailboxes=Mailbox(max_bytes=120)) as channel:
        push(channel, "large " * 10)
        assert pushed(channel) == []
        assert channel.metrics().shed == 2


def test_a_delayed_event_is_accepted_when_it_arrives(runtime):
    clock = MOVED[runtime]()
    with joined(Delay(2, at=2), Delay(3, at=2), runtime=clock) as channel:
        push(channel, "1", "2")
        clock.run_for(4.9)
        assert pushed(channel) == ["2"]
        clock.run_for(0.2)
        assert pushed(channel) == ["1"]
    assert channel.faults.lost == 0


def test_what_is_delayed_beyond_the_end_is_counted_as_lost(runtime):
    with joined(Delay(1000, at=2), Reorder(5, 1000, at=3), runtime=MOVED[runtime]()) as channel:
        push(channel, "1", "2", "3")
        assert pushed(channel) == ["3"]
    assert channel.faults.lost == 2
    assert pushed(channel) == []


def test_a_double_arrives_twice_and_a_handle_returns_after_the_first():
    with joined(Duplicate(topic="x", at=2), Duplicate(topic="x", at=2)) as channel:
        channel.handle(Push("a", "x", "e", "p"))
        push(channel, "q")
        assert pushed(channel) == ["p", "p", "p", "q"]


def test_an_event_that_is_held_goes_on_when_so_many_of_its_topic_have_passed_it(runtime):
    with joined(Reorder(2, topic="x", at=2), runtime=MOVED[runtime]()) as channel:
        push(channel, "1", "2")
        push(channel, "y", "y", "y", topic="y")
        push(channel, "3", "4")
        assert pushed(channel) == ["2", "y", "y", "y", "3", "1", "4"]


def test_an_event_that_nobody_passes_goes_on_when_its_time_is_over(runtime):
    clock = MOVED[runtime]()
    with joined(Reorder(2, within_s=3, topic="x", at=2), runtime=clock) as channel:
        push(channel, "1", "2")
        clock.run_for(2.9)
        assert pushed(channel) == ["2"]
        clock.run_for(0.2)
        assert pushed(channel) == ["1"]
        push(channel, "3", "4")
        assert pushed(channel) == ["3", "4"]
    assert channel.faults.lost == 0


def test_one_that_was_passed_does_not_come_again_when_its_time_is_over(runtime):
    clock = MOVED[runtime]()
    with joined(Reorder(1, within_s=3, at=2), runtime=clock) as channel:
        push(channel, "1", "2")
        clock.run_for(4)
        assert pushed(channel) == ["2", "1"]


def test_a_double_can_be_late_and_a_dropped_one_is_not_doubled(runtime):
    clock = MOVED[runtime]()
    with joined(Duplicate(at=2), Delay(1, at=2), Drop(at=3), Duplicate(at=3), runtime=clock) as channel:
        push(channel, "1", "2")
        assert pushed(channel) == []
        clock.run_for(1)
        assert pushed(channel) == ["1", "1"]
        assert channel.faults.fired == (1, 1, 1, 0)


def test_orders_and_questions_go_straight_on():
    with Channel(faults=FaultPlan((Drop(),))) as channel:
        channel.tell(Join("a", "x", "u", 1))
        channel.handle(Crash("r"))
        assert channel.crashed
        assert channel.faults.fired == (1,)


def test_with_real_timers_a_delayed_event_arrives():
    with joined(Delay(0.01, at=2)) as channel:
        channel.handle(Push("a", "x", "e", "p"))
        assert pushed(channel) == ["p"]
