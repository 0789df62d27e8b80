import sys

import pytest

from lightspeed.channel import Backoff, Channel, InvalidOption, Restarts
from lightspeed.supervision.topics.histories import Histories, Verdict


class Half:
    def random(self):
        return 0.5


def test_each_topic_has_its_own_window_and_one_more_restart_is_one_too_many():
    histories = Histories(Restarts(intensity=2, period_s=10), Half())
    assert [histories.judge("a", now_s) for now_s in (0, 1)] == [Verdict(0.0, 1, False), Verdict(0.0, 0, False)]
    assert histories.judge("b", 1) == Verdict(0.0, 1, False)
    assert histories.judge("a", 2) == Verdict(None, 0, False)
    assert histories.judge("a", 3) == Verdict(0.0, 1, False)  # it was restarted by order, and begins afresh


def test_what_lies_outside_the_window_does_not_count():
    histories = Histories(Restarts(intensity=1, period_s=10), Half())
    assert [histories.judge("a", now_s).delay_s for now_s in (0, 10.5, 21, 22)] == [0.0, 0.0, 0.0, None]


def test_no_restart_at_all_may_be_allowed():
    assert Histories(Restarts(intensity=0), Half()).judge("a", 0) == Verdict(None, 0, False)


def test_the_delay_grows_as_the_backoff_says():
    histories = Histories(Restarts(intensity=9, backoff=Backoff(floor_s=1, factor=2, jitter=0)), Half())
    assert [histories.judge("a", now_s).delay_s for now_s in (0, 2, 5)] == [1, 2, 4]
    assert histories.judge("b", 5).delay_s == 1


def test_the_channel_fails_when_its_topics_together_fail_too_often():
    histories = Histories(Restarts(channel_intensity=2, channel_period_s=10), Half())
    assert [histories.judge(topic, 0).channel_fails for topic in "abcd"] == [False, False, True, True]
    assert not histories.judge("e", 11).channel_fails


def test_the_histories_of_topics_that_have_been_quiet_are_thrown_out():
    histories = Histories(Restarts(period_s=10), Half())
    for number in range(5000):
        histories.judge(str(number), number)
    assert len(histories._topics) < 2100
    assert histories.judge("4999", 5000).restarts_left == 1


@pytest.mark.parametrize(
    "options",
    [
        {"intensity": -1},
        {"intensity": True},
        {"period_s": 0},
        {"backoff": 1.0},
        {"channel_intensity": "3"},
        {"channel_period_s": -1},
        {"waiting": "drop"},
        {"max_waiting": -1},
        {"max_waiting": 1.5},
    ],
    ids=str,
)
def test_an_option_of_a_wrong_value_is_refused(options):
    with pytest.raises(InvalidOption):
        Restarts(**options)


def test_restarts_are_counted_until_the_topic_is_given_up():
    histories = Histories(Restarts(intensity=2), Half())
    assert histories.restarts("x") == 0
    for expected in (1, 2, 0, 1):
        histories.judge("x", 1.0)
        assert (histories.restarts("x"), histories.restarts("y")) == (expected, 0)


@pytest.mark.parametrize("option", ["period_s", "channel_period_s"])
@pytest.mark.parametrize("value", [31_536_001, 1e300, sys.maxsize, 10**400])
def test_a_period_longer_than_a_year_is_refused_by_the_channel_that_is_given_it(option, value):
    restarts = Restarts(**{option: value})
    with pytest.raises(InvalidOption, match=f"{option} must be a number of seconds above 0 and at most a year"):
        Channel(restarts=restarts)


@pytest.mark.parametrize("option", ["intensity", "channel_intensity"])
def test_an_intensity_beyond_every_count_is_refused_by_name(option):
    with pytest.raises(InvalidOption, match=rf"^{option}"):
        Restarts(**{option: sys.maxsize + 1})


@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf")])
def test_a_period_of_the_channel_that_is_none_is_refused_by_its_own_name(value):
    with pytest.raises(InvalidOption, match=r"^channel_period_s"):
        Restarts(channel_period_s=value)
