import pytest
from moved_clock import MOVED

from lightspeed.channel import Channel, ChannelClosed, FaultPlan, Join, Push, PushMessage
from lightspeed.faults import FailSupervisor

pytestmark = pytest.mark.usefixtures("runtime")


def assert_closed(channel):
    with pytest.raises(ChannelClosed):
        channel.handle(Join("b", "x", "u", 1))
    with pytest.raises(ChannelClosed):
        channel.topics()
    channel.close()
    channel.close()


def test_a_supervisor_that_fails_at_an_event_closes_the_channel_in_good_order():
    channel = Channel(faults=FaultPlan((FailSupervisor(at=3),)))
    for topic in "xy":
        channel.handle(Join("a", topic, "u", 1))
    channel.tell(Push("a", "x", "e", "p"))
    channel.close()
    assert_closed(channel)
    assert channel.faults.fired == (1,)
    assert not [message for message in channel.flush_outbox() if isinstance(message, PushMessage)]


def test_who_handles_the_event_at_which_it_fails_does_not_wait_for_good():
    channel = Channel(faults=FaultPlan((FailSupervisor(at=1),)))
    with pytest.raises(ChannelClosed):
        channel.handle(Join("a", "x", "u", 1))
    assert_closed(channel)


def test_it_fails_at_a_time_with_nothing_to_do(runtime):
    clock = MOVED[runtime]()
    channel = Channel(faults=FaultPlan((FailSupervisor(at_s=5),)), runtime=clock)
    channel.handle(Join("a", "x", "u", 1))
    clock.run_for(4.9)
    assert channel.topics() == ("x",)
    clock.run_for(0.2)
    channel._done.get(timeout=10)
    assert_closed(channel)
    assert channel.faults.fired == (1,)


def test_what_a_predicate_raises_is_its_failure():
    def when(event, members):
        raise KeyError(event.topic)

    channel = Channel(faults=FaultPlan((FailSupervisor(when=when),)), timeout_s=0.2)
    channel.tell(Join("a", "x", "u", 1))
    channel.close()
    assert_closed(channel)
    assert channel.faults.fired == (0,)


def test_a_supervisor_that_is_meant_never_does_not_fail():
    with Channel(faults=FaultPlan((FailSupervisor(topic="y"), FailSupervisor(at_s=1000)))) as channel:
        channel.handle(Join("a", "x", "u", 1))
        assert channel.topics() == ("x",)
    assert channel.faults.fired == (0, 0)
