"""The delays; after what Akka's specs of its BackoffSupervisor expect of them."""

import math
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.actors.errors import InvalidOption
from lightspeed.supervision.rules import Backoff, BackoffState


class Fixed:
    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def delays(backoff, count, randomness=None, every_s=0.0):
    """The delays of so many failures, each `every_s` after the last restart."""
    state, now_s, found = None, 1000.0, []
    for _ in range(count):
        delay_s, state = backoff.next(state, now_s, Fixed(0.5) if randomness is None else randomness)
        found.append(delay_s)
        state = state.up(now_s + delay_s)
        now_s += delay_s + every_s
    return found


def test_each_delay_is_longer_by_the_factor_up_to_the_cap():
    assert delays(Backoff(floor_s=1, cap_s=10, factor=2, jitter=0), 6) == [1, 2, 4, 8, 10, 10]
    assert delays(Backoff(floor_s=2, cap_s=100, factor=3, jitter=0), 4) == [2, 6, 18, 54]
    assert delays(Backoff(floor_s=2, cap_s=100, factor=1, jitter=0), 3) == [2, 2, 2]


@pytest.mark.parametrize(
    ("failures", "floor_s", "cap_s", "delay_s"),
    [(1, 0, 0, 0), (1, 300, 420, 300), (3, 5, 7, 7), (3, 5, 604_800, 20), (30, 300, 600, 600), (30, 1e7, 1e7, 1e7)],
)
def test_correctly_calculate_the_delay(failures, floor_s, cap_s, delay_s):
    assert delays(Backoff(floor_s=floor_s, cap_s=cap_s, jitter=0, quiet_s=1), failures)[-1] == delay_s


def test_ten_thousand_failures_overflow_nothing():
    assert delays(Backoff(floor_s=1, cap_s=1e7, factor=1e300, jitter=0), 10_000)[-1] == 1e7


@pytest.mark.slow
@given(
    st.floats(0, 10),
    st.floats(0, 100),
    st.floats(1, 10),
    st.floats(0, 1),
    st.integers(),
)
def test_jitter_exceeds_neither_floor_nor_cap(floor_s, more_s, factor, jitter, seed):
    backoff = Backoff(floor_s=floor_s, cap_s=floor_s + more_s, factor=factor, jitter=jitter)
    for delay_s in delays(backoff, 12, random.Random(seed)):
        assert floor_s <= delay_s <= floor_s + more_s


def test_jitter_is_a_share_of_the_delay_and_is_there_at_the_cap_too():
    backoff = Backoff(floor_s=1, cap_s=8, factor=2, jitter=0.25)
    assert delays(backoff, 5, Fixed(0.0)) == [1, 1.5, 3, 6, 6]
    assert delays(backoff, 5, Fixed(1.0)) == [1.25, 2.5, 5, 8, 8]


def test_the_same_randomness_gives_the_same_delays():
    assert delays(Backoff(), 9, random.Random(7)) == delays(Backoff(), 9, random.Random(7))
    assert delays(Backoff(), 9, random.Random(7)) != delays(Backoff(), 9, random.Random(8))


def test_after_a_quiet_time_it_starts_afresh():
    backoff = Backoff(floor_s=1, cap_s=100, factor=2, jitter=0, quiet_s=30)
    assert delays(backoff, 4, every_s=29.9) == [1, 2, 4, 8]
    assert delays(backoff, 4, every_s=30) == [1, 1, 1, 1]


def test_a_wait_is_no_quiet_time():
    backoff = Backoff(floor_s=60, cap_s=600, factor=2, jitter=0, quiet_s=30)
    assert delays(backoff, 3) == [60, 120, 240]


def test_a_start_that_takes_long_and_fails_is_no_quiet_time():
    backoff, state, found = Backoff(floor_s=1, cap_s=100, factor=2, jitter=0, quiet_s=30), None, []
    for now_s in (0, 1000, 2000):
        delay_s, state = backoff.next(state, now_s, Fixed(0.5))
        found.append(delay_s)
    assert found == [1, 2, 4]
    assert backoff.next(state.up(3000), 3030, Fixed(0.5))[0] == 1
    assert backoff.next(state.up(3000), 3029, Fixed(0.5))[0] == 8


def test_what_is_kept_of_a_child_is_tiny():
    assert sys.getsizeof(BackoffState(1.0, 2.0)) <= 48


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("floor_s", -1),
        ("floor_s", math.nan),
        ("cap_s", 0.1),
        ("cap_s", math.inf),
        ("factor", 0.5),
        ("factor", "2"),
        ("jitter", 1.1),
        ("jitter", True),
        ("quiet_s", 0),
        ("quiet_s", None),
        *((option, value) for option in ("floor_s", "cap_s", "quiet_s") for value in (sys.maxsize, 1e10, 10**400, True, "9")),
        ("factor", 10**400),
    ],
)
def test_an_option_that_breaks_a_rule_is_refused_by_name(option, value):
    with pytest.raises(InvalidOption, match=option) as caught:
        Backoff(**{option: value})
    assert caught.value.option == option


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match="flor_s"):
        Backoff(flor_s=1)
