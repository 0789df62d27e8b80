import threading

import pytest
from moved_clock import MOVED

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    Channel,
    ChannelTimeout,
    Crash,
    FaultPlan,
    Join,
    Leave,
    PresenceDiff,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    Restarts,
    System,
)
from lightspeed.faults import Corrupt, Duplicate, Full, Hang, InjectedFault, Raise, Slow

pytestmark = pytest.mark.usefixtures("runtime")

JOIN, PUSH = Join("a", "x", "u", 1), Push("a", "x", "e", "p")
JOINED, PUSHED = Reply("a", "x", "ok", "joined"), PushMessage("a", "x", "e", "p")
CRASHED = [
    System("topic_crashed:x"),
    PushMessage("a", "x", "topic_crashed", "error"),
    System("topic_restarted:x"),
]


def out(channel):
    return [message for message in channel.flush_outbox() if not isinstance(message, PresenceDiff)]


def outcome(plan, *events, told=False, **options):
    """What comes out of the events under the plan, all of which must have fired."""
    with Channel(faults=FaultPlan(plan), **options) as channel:
        for event in events:
            (channel.tell if told else channel.handle)(event)
        channel.handle(Join("b", "other", "v", 1))  # whatever happened, the channel goes on
        channel.subscribers("x")  # whoever failed on the way here has been seen to
    channel.faults.expect_all()
    return [message for message in out(channel) if getattr(message, "topic", "x") != "other"]


def both(*plan):
    """A test runs with events that are told, and with ones that are handled."""
    return [pytest.param(plan, told, id=f"{'told' if told else 'handled'}") for told in (True, False)]


@pytest.mark.parametrize(("plan", "told"), both(Raise(at=2)))
def test_an_event_before_which_the_topic_raises_is_answered_and_has_no_effect(plan, told):
    assert outcome(plan, JOIN, PUSH, told=told) == [JOINED, Reply("a", "x", "error", "topic_crashed"), *CRASHED]


@pytest.mark.parametrize(("plan", "told"), both(Raise("after", at=2)))
def test_an_event_after_which_the_topic_raises_has_had_its_effect(plan, told):
    assert outcome(plan, JOIN, PUSH, told=told) == [JOINED, PUSHED, *CRASHED]


def test_a_topic_that_raises_after_the_last_member_left_answers_all_the_same():
    assert Reply("a", "x", "ok", "left") in outcome((Raise("after", at=2),), JOIN, Leave("a", "x"))


@pytest.mark.parametrize(("plan", "told"), both(Raise("on_start", topic="x", restart=0)))
def test_a_topic_that_fails_in_on_start_heals_and_handles_what_waited(plan, told):
    healed = [System("topic_crashed:x"), System("topic_restarted:x")]
    assert sorted(map(str, outcome(plan, JOIN, PUSH, told=told))) == sorted(map(str, [*healed, JOINED, PUSHED]))


def test_a_topic_that_always_fails_in_on_start_is_given_up_and_its_events_are_answered():
    messages = outcome((Raise("on_start", topic="x"),), JOIN, restarts=Restarts(intensity=2))
    assert messages.count(System("topic_crashed:x")) == 3
    assert messages[-1] == System("topic_given_up:x")
    assert Reply("a", "x", "error", "topic_crashed") in messages


def test_a_topic_fails_in_the_restart_that_is_meant():
    messages = outcome((Raise(at=2), Raise("on_start", restart=1)), JOIN, PUSH, Rejoin("a", "x", "u", 2))
    assert messages.count(System("topic_restarted:x")) == 2
    assert Reply("a", "x", "ok", "rejoined") in messages


@pytest.mark.parametrize("stop", [Leave("a", "x"), None], ids=["leave", "close"])
def test_a_topic_that_fails_in_on_stop_is_down_and_who_waited_is_answered(stop):
    with Channel(faults=FaultPlan((Raise("on_stop"),))) as channel:
        channel.handle(JOIN)
        if stop is not None:
            channel.handle(stop)
            assert channel.topics() == ()
            assert channel.handle(JOIN) is None
    channel.faults.expect_all()
    assert channel.faults.fired == (2 if stop is not None else 1,)


def test_a_topic_that_fails_in_on_failure_heals_as_of_what_it_failed_of():
    events = JOIN, PUSH
    assert outcome((Raise(at=2), Raise("on_failure")), *events)[2:] == CRASHED


def test_a_channel_wide_crash_survives_topics_that_fail_on_their_way_down():
    plan = Raise("on_failure"), Raise("on_start", restart=1)
    messages = outcome(plan, JOIN, Crash("r"), Restart(), Rejoin("a", "x", "u", 2))
    assert Reply("a", "x", "ok", "rejoined") in messages


def test_what_is_raised_says_what_the_plan_says():
    restarts = Restarts(tell_reason=True)
    given = outcome((Raise(text="boom", at=2),), JOIN, PUSH, restarts=restarts)
    assert PushMessage("a", "x", "topic_crashed", "InjectedFault: boom") in given
    assert issubclass(InjectedFault, Exception)


@pytest.mark.parametrize(("plan", "told"), both(Full(at=2)))
def test_what_a_full_topic_refuses_is_answered_and_changes_nothing(plan, told):
    refused = Reply("a", "x", "error", "unavailable")
    assert outcome(plan, JOIN, Leave("a", "x"), PUSH, told=told) == [JOINED, refused, PUSHED]


def test_a_topic_that_refuses_its_first_join_is_not_left_behind():
    with Channel(faults=FaultPlan((Full(at=1),))) as channel:
        channel.handle(JOIN)
        assert channel.topics() == ()
        channel.handle(JOIN)
        assert out(channel) == [Reply("a", "x", "error", "unavailable"), JOINED]


@pytest.mark.parametrize(("plan", "told"), both(Corrupt("bad")))
def test_a_poisoned_payload_is_what_the_topic_handles(plan, told):
    messages = outcome(plan, JOIN, PUSH, Broadcast("a", "x", "p"), told=told)
    assert [message.payload for message in messages] == ["joined", "bad", "bad"]


def test_faults_that_are_due_at_once_all_act_in_the_plans_order():
    plan = Corrupt("bad", at=2), Raise("after", match={"payload": "bad"}), Duplicate(at=2)
    messages = outcome(plan, JOIN, PUSH)
    assert PushMessage("a", "x", "e", "bad") in messages
    assert Reply("a", "x", "error", "not_joined") in messages  # the double came to the next incarnation
    assert outcome((Full(at=2), Raise("after", at=2)), JOIN, PUSH)[1:] == [Reply("a", "x", "error", "unavailable"), *CRASHED]


def test_what_a_predicate_raises_fails_the_topic_and_the_event_is_answered():
    def when(event, members):
        assert (event.payload, members) == ("p", 1)
        raise KeyError("mine")

    with Channel(faults=FaultPlan((Raise(at=2, when=when),))) as channel:
        channel.handle(JOIN)
        channel.handle(PUSH)
        assert PushMessage("a", "x", "topic_crashed", "error") in out(channel)


# Topics that take their time


def fired(channel):
    """Set when a fault of the channel's has fired."""
    event = threading.Event()
    channel.faults.on_fire = lambda index, topic: event.set()
    return event


@pytest.mark.parametrize("behaviours", [{}, {"*": Behaviour}], ids=["relay", "behaviour"])
def test_a_slow_topic_handles_its_event_when_the_time_is_over_and_holds_up_no_other(runtime, behaviours):
    clock = MOVED[runtime]()
    with Channel(faults=FaultPlan((Slow(3, at=2),)), runtime=clock, behaviours=behaviours, event_timeout_s=60) as channel:
        channel.handle(JOIN)
        before = len(clock.calls)
        channel.tell(PUSH)
        clock.wait_for_calls(before + 1)
        channel.handle(Join("b", "y", "v", 1))
        clock.run_for(2.9)
        assert channel.subscribers("y") == ("b",)
        clock.run_for(0.2)
        assert out(channel) == [JOINED, PUSHED, Reply("b", "y", "ok", "joined")]


@pytest.mark.parametrize("kind", [Hang(at=2), Slow(1000, at=2)], ids=["hang", "slow"])
def test_a_behaviour_that_does_not_come_back_is_given_up_and_its_event_is_answered(runtime, kind):
    clock = MOVED[runtime]()
    with Channel(faults=FaultPlan((kind,)), runtime=clock, behaviours={"*": Behaviour}, event_timeout_s=4) as channel:
        channel.handle(JOIN)
        has_fired = fired(channel)
        channel.tell(PUSH)
        assert has_fired.wait(10)
        for _ in range(6):
            clock.run_for(1)
            assert not channel.crashed  # by then the supervisor has looked
        channel.handle(Rejoin("a", "x", "u", 2))
        messages = out(channel)
        assert messages[1] == Reply("a", "x", "error", "topic_crashed")
        assert Reply("a", "x", "ok", "rejoined") in messages
        assert PUSHED not in messages
        assert channel.abandoned_count == 1
    assert channel.dead_letter_count == 0  # when it came back, it left its event alone


def test_a_relay_that_does_not_come_back_goes_with_a_crash_of_the_channel():
    with Channel(faults=FaultPlan((Hang(at=2),)), crash_timeout_s=0.05) as channel:
        channel.handle(JOIN)
        has_fired = fired(channel)
        channel.tell(PUSH)
        assert has_fired.wait(10)
        channel.tell(PUSH)
        channel.handle(Crash("r"))
        channel.handle(Restart())
        channel.handle(Rejoin("a", "x", "u", 2))
        messages = out(channel)
        assert messages[1:3] == [Reply("a", "x", "error", "topic_crashed"), Reply("a", "x", "error", "crashed")]
        assert Reply("a", "x", "ok", "rejoined") in messages


def test_a_close_gives_up_who_hangs_and_nothing_is_left_behind():
    channel = Channel(faults=FaultPlan((Hang(at=2),)))
    for topic in "xyz":
        channel.handle(Join("a", topic, "u", 1))
        channel.tell(Push("a", topic, "e", "p"))
    channel.handle(Join("a", "w", "u", 1))
    while sum(channel.faults.fired) < 3:
        channel.subscribers("w")  # so long as they are on their way
    channel.close(timeout_s=0.1)
    answers = [message for message in out(channel) if isinstance(message, Reply)]
    assert answers.count(Reply("a", "x", "error", "topic_crashed")) == 1
    assert channel.abandoned_count == 3
    # that no thread and no actor is left, conftest.py sees


def test_a_handle_of_an_event_on_which_a_relay_hangs_does_not_end():
    channel = Channel(faults=FaultPlan((Hang(at=2),)), timeout_s=0.1)
    channel.handle(JOIN)
    with pytest.raises(ChannelTimeout):
        channel.handle(PUSH)
    channel.close()
    assert Reply("a", "x", "error", "topic_crashed") in out(channel)
