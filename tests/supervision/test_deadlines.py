import pykka
import pytest
from stage import HandClock

from lightspeed.supervision.deadlines import Alarms, Deadlines


@pytest.fixture
def rung():
    return []


@pytest.fixture
def clock():
    return HandClock()


class Owner:
    """Who is told what is due."""

    def __init__(self, tell):
        self.tell = tell


@pytest.fixture
def deadlines(clock, rung):
    def ring(due):
        rung.append(clock.monotonic_s())
        due.pass_by()

    return Deadlines(clock, Owner(ring))


def test_calls_come_at_their_time_and_in_its_order(clock, deadlines):
    done = []
    for delay_s in (3, 1, 2):
        deadlines.add(delay_s, lambda delay_s=delay_s: done.append((delay_s, clock.monotonic_s())))
    for _ in range(8):
        clock.advance(0.5)
    assert done == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_one_that_was_called_off_does_not_come(clock, deadlines):
    done = []
    first, second = (deadlines.add(1, lambda name=name: done.append(name)) for name in "ab")
    first.is_off = True
    clock.advance(1)
    assert done == ["b"]
    assert second.has_passed
    assert not first.has_passed


def test_ten_thousand_that_are_called_off_take_one_timer_and_no_room(clock, deadlines, rung):
    for _ in range(10_000):
        deadlines.add(5, lambda: None).is_off = True
        clock.advance(0.001)
    assert len(clock._timers) <= 1
    assert len(deadlines._heap) <= 1
    assert len(rung) <= 3


def test_a_call_may_add_another(clock, deadlines):
    done = []
    deadlines.add(1, lambda: deadlines.add(1, lambda: done.append(clock.monotonic_s())))
    clock.advance(1)
    clock.advance(1)
    assert done == [2.0]


def test_cleared_is_silent(clock, deadlines, rung):
    deadlines.add(1, lambda: None)
    deadlines.clear()
    clock.advance(10)
    assert rung == []
    deadlines.add(1, lambda: None)
    clock.advance(1)
    assert rung == [11.0]


def test_where_no_timer_can_be_started_the_rest_works(deadlines, clock):
    def no_more(_delay_s, _call):
        raise RuntimeError("can't start new thread")

    clock.call_later = no_more
    deadline = deadlines.add(1, lambda: None)
    del clock.call_later
    deadlines.add(2, lambda: None)
    clock.advance(2)
    assert deadline.has_passed


def test_what_is_further_off_than_any_timer_can_wait_is_set_on_the_clock_by_the_year_and_delays_nobody():
    class Clock:
        now_s, set_s, calls = 0.0, (), ()

        def monotonic_s(self):
            return self.now_s

        def call_later(self, delay_s, call):
            self.set_s, self.calls = (*self.set_s, delay_s), (*self.calls, call)
            return type("Timer", (), {"cancel": lambda _timer: None})()

    clock, rung, done = Clock(), [], []
    deadlines = Deadlines(clock, Owner(rung.append))
    deadlines.add(40_000_000, lambda: done.append("far"))
    deadlines.add(1, lambda: done.append("near"))
    assert clock.set_s == (31_536_000, 1)
    clock.now_s = 1.0
    clock.calls[1]()
    rung.pop().pass_by()
    assert done == ["near"]
    clock.now_s = 31_536_001.0
    clock.calls[2]()
    rung.pop().pass_by()
    assert clock.set_s[2:] == (31_536_000, 40_000_000 - 31_536_001)
    assert done == ["near"]
    clock.now_s = 40_000_000.0
    clock.calls[-1]()
    rung.pop().pass_by()
    assert done == ["near", "far"]


def test_an_alarm_rings_after_its_delay_unless_it_is_called_off(clock):
    rung = []
    alarms = Alarms(clock, Owner(rung.append))
    dues = [alarms.add(delay_s, str) for delay_s in (2, 1)]
    alarms.call_off(dues[0])
    assert [alarms.is_pending(due) for due in dues] == [False, True]
    clock.advance(3)
    assert rung == [dues[1]]
    assert not alarms.is_pending(dues[1])


def test_alarms_that_are_cleared_do_not_ring(clock):
    rung = []
    alarms = Alarms(clock, Owner(rung.append))
    alarms.add(1, str)
    alarms.clear()
    clock.advance(3)
    assert rung == []


def test_an_owner_that_has_died_meanwhile_is_told_nothing(clock):
    def tell(_due):
        raise pykka.ActorDeadError("planted")

    alarms = Alarms(clock, Owner(tell))
    due = alarms.add(1, str)
    clock.advance(1)
    assert not alarms.is_pending(due)


def test_one_that_is_called_off_when_its_owner_was_told_already_is_not_carried_out(clock):
    inbox, done = [], []
    alarms = Alarms(clock, Owner(inbox.append))
    due = alarms.add(1, lambda: done.append(True))
    clock.advance(1)
    alarms.call_off(due)
    inbox.pop().pass_by()
    assert done == []
    assert not due.has_passed
