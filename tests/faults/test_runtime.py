import pytest
from moved_clock import MOVED

from lightspeed.actors import Pool
from lightspeed.actors.topics import TopicActor
from lightspeed.channel import Channel, FaultPlan, InvalidOption, Join, Push, PushMessage, Restarts, System
from lightspeed.faults import Hang, Jump, Raise
from lightspeed.faults.topic import FaultyTopic
from lightspeed.supervision.topics import TopicSupervisor

pytestmark = pytest.mark.usefixtures("runtime")


class Seen(Pool):
    """A runtime that notes what it starts."""

    def __init__(self):
        super().__init__()
        self.roles = []

    def start(self, role, *args):
        self.roles.append(role)
        return super().start(role, *args)


def test_without_a_plan_the_actors_are_of_the_plain_classes():
    seen = Seen()
    with Channel(runtime=seen) as channel:
        channel.handle(Join("a", "x", "u", 1))
        assert channel.faults is None
        assert channel._runtime is seen
    assert seen.roles == [TopicSupervisor, TopicActor]


def test_with_a_plan_all_topics_are_of_one_class_which_fails():
    seen = Seen()
    with Channel(runtime=seen, faults=FaultPlan()) as channel:
        for topic in "xy":
            channel.handle(Join("a", topic, "u", 1))
        channel.faults.expect_all()
    assert issubclass(seen.roles[1], FaultyTopic)
    assert seen.roles[1] is seen.roles[2]
    assert seen.roles[1].__name__ == "TopicActor"


def test_what_is_no_plan_is_refused():
    with pytest.raises(InvalidOption, match="faults must be a FaultPlan or None"):
        Channel(faults=[Hang()])


def test_one_plan_serves_several_channels_each_with_counts_of_its_own():
    plan = FaultPlan((Raise(at=2),))
    for _ in range(2):
        with Channel(faults=plan) as channel:
            channel.handle(Join("a", "x", "u", 1))
            channel.handle(Push("a", "x", "e", "p"))
            assert channel.faults.fired == (1,)


def test_at_a_time_idle_topics_that_are_meant_raise_and_heal(runtime):
    clock = MOVED[runtime]()
    with Channel(faults=FaultPlan((Raise(topic="x*", at_s=5), Raise(at_s=5, restart=1))), runtime=clock) as channel:
        for topic in ("x1", "x2", "y"):
            channel.handle(Join("a", topic, "u", 1))
        channel.flush_outbox()
        clock.run_for(4.9)
        assert channel.topics() == ("x1", "x2", "y")
        clock.run_for(0.2)
        assert (channel.subscribers("x1"), channel.subscribers("x2"), channel.subscribers("y")) == ((), (), ("a",))
    labels = sorted(message.label for message in channel.flush_outbox() if isinstance(message, System))
    assert labels == ["topic_crashed:x1", "topic_crashed:x2", "topic_restarted:x1", "topic_restarted:x2"]
    assert channel.faults.fired == (2, 0)


def test_a_time_after_the_end_never_comes():
    with Channel(faults=FaultPlan((Raise(at_s=1000), Jump(5, at_s=1000)))) as channel:
        channel.handle(Join("a", "x", "u", 1))
    assert channel.faults.fired == (0, 0)
    assert channel.faults.lost == 0


@pytest.mark.parametrize(("by_s", "is_given_up"), [(60, False), (0, True), (-1, True)])
def test_when_the_clock_jumps_what_was_long_ago_counts_no_more(runtime, by_s, is_given_up):
    clock = MOVED[runtime]()
    plan = FaultPlan((Raise(match={"type": "push"}), Jump(by_s, at_s=1)))
    with Channel(faults=plan, runtime=clock, restarts=Restarts(intensity=1, period_s=30)) as channel:
        for at in range(2):
            channel.handle(Join("a", "x", "u", at))
            channel.handle(Push("a", "x", "e", "p"))
            clock.run_for(1)
        labels = [message.label for message in channel.flush_outbox() if isinstance(message, System)]
    assert ("topic_given_up:x" in labels) is is_given_up
    assert channel.faults.fired == (2, 1)


def test_topics_with_a_thread_of_their_own_fail_by_plan_too():
    with Channel(faults=FaultPlan((Raise(at=2),)), own_thread=["*"]) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "e", "p"))
        assert channel.faults.fired == (1,)
        assert not [message for message in channel.flush_outbox() if type(message) is PushMessage and message.event == "e"]
