import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.actors.errors import InvalidOption
from lightspeed.supervision.rules import RestartWindow


def test_intensity_restarts_in_the_period_are_allowed_and_one_more_is_not():
    window = RestartWindow(2, 10)
    assert [window.allow(now_s) for now_s in (0, 1, 2, 9.9)] == [True, True, False, False]
    assert window.left(9.9) == 0


def test_the_window_slides():
    window = RestartWindow(2, 10)
    assert [window.allow(now_s) for now_s in (0, 9, 10.5, 18, 19.5)] == [True, True, True, False, True]
    assert (window.left(19.5), window.left(21), window.left(40)) == (0, 1, 2)


def test_a_restart_exactly_a_period_ago_still_counts():
    window = RestartWindow(1, 10)
    assert window.allow(5)
    assert not window.allow(15)
    assert window.allow(15.001)


def test_an_intensity_of_zero_allows_none():
    assert not RestartWindow(0, 1).allow(100)


def test_an_idle_one_is_small():
    assert sys.getsizeof(RestartWindow(3, 5.0)) <= 64


@pytest.mark.slow
@given(st.lists(st.floats(0, 5), max_size=40), st.integers(0, 4))
def test_no_period_ever_holds_more_than_intensity_and_none_is_refused_without_need(gaps_s, intensity):
    window, now_s, allowed = RestartWindow(intensity, 7.0), 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        recent = [time_s for time_s in allowed if time_s >= now_s - 7.0]
        assert window.left(now_s) == intensity - len(recent)
        assert window.allow(now_s) is (len(recent) < intensity)
        if len(recent) < intensity:
            allowed.append(now_s)


@pytest.mark.parametrize("intensity", [-1, 1.0, True, None, "3", 2**63, 10**400])
def test_an_intensity_that_is_none_is_refused(intensity):
    with pytest.raises(InvalidOption, match="intensity must be an int of 0 or above"):
        RestartWindow(intensity, 1)


@pytest.mark.parametrize("period_s", [0, -1, math.inf, math.nan, None, "5", True, sys.maxsize, 1e300, 10**400])
def test_a_period_that_is_none_is_refused(period_s):
    with pytest.raises(InvalidOption, match="period_s must be a number of seconds above 0 and at most a year"):
        RestartWindow(1, period_s)
