import random

import pytest
from model.healing import Healing, ReferenceBackoff, ReferenceWindow

from lightspeed.channel import Backoff, PushMessage, Restarts, System
from lightspeed.supervision import RestartWindow

CRASHED = (
    System("topic_crashed:x"),
    PushMessage("a", "x", "topic_crashed", "why"),
    PushMessage("b", "x", "topic_crashed", "why"),
)
RESTARTED, GIVEN_UP = (System("topic_restarted:x"),), (System("topic_given_up:x"),)
JITTERED = Backoff(floor_s=1, cap_s=4, factor=2, jitter=0.5)


def failed(times=1, *, trusts_clock=True, told=True, **options):
    healing = Healing("x", Restarts(tell_reason=True, **options), trusts_clock=trusts_clock)
    for number in range(times):
        healing.fail(("a", "b"), "why")
        if told or number < times - 1:
            assert healing.give(CRASHED, 0) is None
        if number < times - 1:
            assert healing.give(RESTARTED, 0) is None
    return healing


def test_members_are_told_and_the_topic_comes_up():
    healing = failed()
    assert healing.is_put_off
    assert healing.give(RESTARTED, 0) is None
    assert healing.wrong_at_rest(1000) is None


@pytest.mark.parametrize(
    "messages", [CRASHED[:1], CRASHED[:2], CRASHED[::-1], (CRASHED[0], CRASHED[2], CRASHED[1]), (*CRASHED, CRASHED[1])]
)
def test_who_is_not_told_or_told_otherwise_is_a_breach(messages):
    assert failed(told=False).give(messages, 0) is not None


def test_what_never_comes_is_a_breach_when_all_is_at_rest():
    assert "nobody was told" in failed(told=False).wrong_at_rest(0)
    assert "not restarted within" in failed().wrong_at_rest(0.1)
    assert "not given up" in failed(4).wrong_at_rest(0)


def test_what_follows_of_nothing_is_a_breach():
    healing = Healing("x", Restarts(), trusts_clock=True)
    assert "nothing had failed" in healing.give(CRASHED, 0)
    assert "nothing was to be" in healing.give(RESTARTED, 0)
    assert "may be restarted" in healing.give(GIVEN_UP, 0)
    assert healing.give((System("odd"),), 0) is not None


def test_it_is_given_up_when_it_failed_too_often_and_not_before():
    assert failed(4).give(GIVEN_UP, 0) is None
    assert "to be given up" in failed(4).give(RESTARTED, 0)
    assert "may be restarted" in failed(3).give(GIVEN_UP, 0)
    again = failed(4)
    again.give(GIVEN_UP, 0)
    again.fail(("a", "b"), "why")
    assert again.give(CRASHED, 0) is None
    assert again.give(RESTARTED, 0) is None  # its failures are forgotten with that


def test_with_a_clock_that_jumps_it_may_be_either_at_any_time():
    for messages in (RESTARTED, GIVEN_UP):
        for times in (1, 4):
            assert failed(times, trusts_clock=False).give(messages, 77) is None


def test_a_topic_comes_up_within_its_backoff():
    healing = failed(backoff=JITTERED)
    assert healing.wrong_at_rest(1.4) is None
    assert healing.give(RESTARTED, 1.2) is None
    assert "after 0.5 s" in failed(backoff=JITTERED).give(RESTARTED, 0.5)
    assert "after 1.6 s" in failed(backoff=JITTERED).give(RESTARTED, 1.6)
    assert "within 1.5 s" in failed(backoff=JITTERED).wrong_at_rest(1.6)


def test_what_is_called_off_is_not_waited_for():
    healing = failed(4)
    healing.call_off()
    assert healing.wrong_at_rest(0) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_window_is_that_of_the_options_to_the_letter(seed):
    rng = random.Random(seed)
    intensity, period_s = rng.randrange(4), rng.choice((1, 2.5))
    ours, other, now_s = ReferenceWindow(intensity, period_s), RestartWindow(intensity, period_s), 0.0
    for _ in range(100):
        now_s += rng.choice((0, 0.25, 0.5, 1))
        allowed = other.allow(now_s)
        assert ours.has_room(now_s) == allowed
        if allowed:
            ours.count(now_s)


@pytest.mark.parametrize("seed", range(20))
def test_every_delay_of_a_backoff_lies_within_what_is_said_of_it(seed):
    rng = random.Random(seed)
    backoff = Backoff(
        floor_s=rng.choice((0, 0.5)), cap_s=rng.choice((0.5, 4)), factor=rng.choice((1, 3)), jitter=rng.random(), quiet_s=5
    )
    ours, state, now_s = ReferenceBackoff(backoff), None, 0.0
    for _ in range(100):
        delay_s, state = backoff.next(state, now_s, rng)
        assert ours.next(now_s).fits(now_s + delay_s)
        ours.down()
        now_s += delay_s
        if rng.random() < 0.8:  # else it did not come up
            ours.up(now_s)
            state = state.up(now_s)
        now_s += rng.choice((0, 1, 4.9, 5, 5.1, 20))
