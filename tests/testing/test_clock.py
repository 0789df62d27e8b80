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


def test_what_was_cancelled_is_not_kept_for_long():
    clock = VirtualClock()
    kept = [clock.call_later(number, print) for number in range(100)]
    for _ in range(1_000):
        clock.call_later(1_000, print).cancel()
    assert clock.kept <= 300
    assert clock.advance(200) == kept[:1]
    for timer in kept:
        timer.cancel()
    for _ in range(300):
        clock.call_later(1_000, print).cancel()
    assert clock.kept <= 64
    assert clock.is_idle


def test_it_knows_the_next_moment_and_the_last_of_what_was_put_off_by_then():
    clock = VirtualClock()
    assert (clock.next_s(), clock.last_s(10), clock.count) == (float("inf"), 0, 0)
    first = clock.call_later(1, print)
    clock.call_at(5, print)
    clock.call_at(9, print)
    assert (clock.next_s(), clock.last_s(1), clock.last_s(2), clock.last_s(3)) == (1, 1, 5, 9)
    first.cancel()
    assert (clock.next_s(), clock.last_s(1), clock.count) == (5, 0, 3)


def test_what_is_past_is_due_now():
    clock = VirtualClock()
    clock.advance(5)
    timer = clock.call_at(3, print)
    assert clock.advance(9) == [timer]
    assert clock.now_s == 5
