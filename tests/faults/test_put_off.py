from moved_clock import MovedPool

from lightspeed.faults.harm import PutOff


def test_a_call_comes_once_after_its_delay():
    clock, called = MovedPool(), []
    put_off = PutOff(clock, lambda: called.append("lost"))
    put_off.later(2, lambda: called.append("late"))
    put_off.later(1, lambda: called.append("soon"))
    clock.run_for(1)
    assert called == ["soon"]
    clock.run_for(5)
    put_off.end()
    assert called == ["soon", "late"]


def test_what_is_pending_at_the_end_is_lost_and_so_is_what_comes_after():
    clock, lost = MovedPool(), []
    put_off = PutOff(clock, lambda: lost.append(1))
    put_off.later(1, lambda: lost.append("called"))
    put_off.later(1, lambda: lost.append("called"), counts=False)
    put_off.end()
    put_off.end()
    assert (lost, clock.calls) == ([1], {})
    put_off.later(1, lambda: lost.append("called"))
    put_off.later(1, lambda: lost.append("called"), counts=False)
    clock.run_for(9)
    assert lost == [1, 1]
