from moved_clock import MovedPool

from lightspeed.faults.context import DelayedCalls


def test_a_call_comes_once_after_its_delay():
    clock, called = MovedPool(), []
    delayed = DelayedCalls(clock, lambda: called.append("lost"))
    delayed.later(2, lambda: called.append("late"))
    delayed.later(1, lambda: called.append("soon"))
    clock.run_for(1)
    assert called == ["soon"]
    clock.run_for(5)
    delayed.end()
    assert called == ["soon", "late"]


def test_what_is_pending_at_the_end_is_lost_and_so_is_what_comes_after():
    clock, lost = MovedPool(), []
    delayed = DelayedCalls(clock, lambda: lost.append(1))
    delayed.later(1, lambda: lost.append("called"))
    delayed.later(1, lambda: lost.append("called"), counts=False)
    delayed.end()
    delayed.end()
    assert (lost, clock.calls) == ([1], {})
    delayed.later(1, lambda: lost.append("called"))
    delayed.later(1, lambda: lost.append("called"), counts=False)
    clock.run_for(9)
    assert lost == [1, 1]
