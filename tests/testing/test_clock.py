from lightspeed.testing.clock import VirtualClock


def test_what_is_due_comes_in_the_order_of_its_times_and_then_of_its_calls():
    clock, came = VirtualClock(), []
    for delay_s, name in ((2, "c"), (1, "a"), (1, "b"), (5, "d")):
        clock.call_later(delay_s, lambda name=name: came.append(name))
    for timer in (*clock.advance(10), *clock.advance(10)):
        timer.call()
    assert (came, clock.now_s) == (["a", "b", "c"], 2)


def test_it_stands_at_the_limit_where_nothing_is_due_and_never_goes_back():
    clock = VirtualClock()
    assert clock.advance(3) == []
    assert clock.advance(1) == []
    assert clock.now_s == 3


def test_what_was_cancelled_does_not_come():
    clock = VirtualClock()
    clock.call_later(1, print).cancel()
    kept = clock.call_later(2, print)
    assert not clock.is_idle
    assert clock.advance(5) == [kept]
    kept.cancel()
    kept.cancel()
    assert clock.is_idle
