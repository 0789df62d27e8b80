import sys
import threading

import pytest

from lightspeed.actors.timers import Timers


@pytest.fixture
def timers():
    timers = Timers()
    yield timers
    assert timers.join(5) == []


def test_calls_come_when_they_are_due_whatever_the_order_in_which_they_were_put_off(timers):
    called, last = [], threading.Event()
    timers.call_later(0.03, lambda: (called.append(3), last.set()))
    timers.call_later(0.01, lambda: called.append(1))
    timers.call_later(0.02, lambda: called.append(2))
    assert last.wait(5)
    assert called == [1, 2, 3]


def test_a_cancelled_call_never_comes_and_the_thread_ends_with_the_last(timers):
    called = []
    late = [timers.call_later(60, lambda: called.append(1)) for _ in range(200)]
    for timer in late:
        timer.cancel()
        timer.cancel()
    assert timers.join(5) == []
    assert called == []
    assert len(timers._due) == 0


def test_a_cancel_waits_for_a_call_that_is_under_way(timers):
    inside, go_on, log = threading.Event(), threading.Event(), []
    timer = timers.call_later(0, lambda: (inside.set(), go_on.wait(5), log.append("called")))
    assert inside.wait(5)
    canceller = threading.Thread(target=lambda: (timer.cancel(), log.append("cancelled")))
    canceller.start()
    go_on.set()
    canceller.join(5)
    assert log == ["called", "cancelled"]


def test_a_call_may_cancel_itself_and_put_off_another(timers):
    done = threading.Event()
    timers_of_it = []

    def first():
        timers_of_it[0].cancel()
        timers.call_later(0.001, done.set)

    timers_of_it.append(timers.call_later(0.005, first))
    assert done.wait(5)


def test_join_says_that_something_is_still_due():
    timers = Timers()
    timer = timers.call_later(60, lambda: None)
    assert timers.join(0.01) == ["Timers"]
    timer.cancel()
    assert timers.join(5) == []


def test_after_its_end_the_thread_is_started_again(timers):
    for _ in range(3):
        called = threading.Event()
        timers.call_later(0, called.set)
        assert called.wait(5)
        assert timers.join(5) == []


@pytest.mark.slow
def test_many_threads_put_off_and_cancel_at_once(timers):
    called = []

    def hammer():
        for number in range(1000):
            timer = timers.call_later(0.0001 * (number % 5), lambda: called.append(1))
            if number % 2:
                timer.cancel()
        timers.call_later(0.001, lambda: called.append("end"))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert timers.join(10) == []
    assert called.count("end") == 4
    assert called.count(1) >= 2000


def test_one_that_is_further_off_than_a_wait_can_be_delays_nobody(timers):
    rung = threading.Event()
    far = timers.call_later(sys.maxsize, lambda: None)
    timers.call_later(0.001, rung.set)
    assert rung.wait(20)
    again = threading.Event()
    timers.call_later(0.001, again.set)
    assert again.wait(20)
    far.cancel()
