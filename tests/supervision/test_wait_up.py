"""Waiting for a child that is not up: who is told when it is, and who is told that it will not be."""

import threading
import time

import pytest
from stage import end, in_phase, only_actors, ref_of, until, waiting

from lightspeed.actors import PooledActor, Shutdown
from lightspeed.actors.errors import (
    ChildNotFound,
    ChildStopped,
    Ignore,
    InsideActor,
    InvalidOption,
    SupervisorStopped,
    SupervisorTimeout,
)
from lightspeed.supervision import Backoff, ChildSpec
from lightspeed.supervision.messages import TerminateChild
from lightspeed.testing import Simulation

BACKOFF = Backoff(floor_s=10, jitter=0)


def fails(future, error):
    with pytest.raises(error) as caught:
        future.result(20)
    return caught.value


def test_one_that_is_up_is_given_at_once(stage):
    sup = stage.start("a")
    assert sup.wait_up("a") == ref_of(sup, "a")


def test_one_that_has_just_died_is_not_up_though_nobody_has_heard(stage):
    sup = stage.start("a", intensity=1000)
    ref = sup.wait_up("a")
    for _ in range(20):
        end(ref)
        before, ref = ref, sup.wait_up("a")
        assert ref != before


def test_it_waits_for_a_backoff_and_for_on_start(stage):
    sup = stage.start("a", backoff=BACKOFF)
    end(sup.wait_up("a"))
    in_phase(sup, "a", "restarting")
    go_on = stage.hold("a", "on_start")
    waits = [stage.soon(sup.wait_up, "a") for _ in range(2)]
    waiting(sup, 2)
    stage.clock.advance(10)
    in_phase(sup, "a", "starting")
    assert not any(wait.done() for wait in waits)
    go_on.set()
    assert [wait.result(20) for wait in waits] == [ref_of(sup, "a")] * 2
    waiting(sup, 0)


def test_it_waits_for_all_tries_of_a_restart(stage):
    sup = stage.start("a", backoff=BACKOFF, intensity=5)
    stage.fail("a", "on_start")
    end(sup.wait_up("a"))
    wait = stage.soon(sup.wait_up, "a")
    waiting(sup)
    stage.clock.advance(10)
    until(sup, lambda seen: seen["a"].phase == "restarting" and seen["a"].restarts == 2)
    del stage.script["a", "on_start"]
    stage.clock.advance(20)
    assert wait.result(20) == ref_of(sup, "a")


def test_it_waits_for_the_first_start_of_a_branch(pooled_stage):
    stage = pooled_stage
    go_on = stage.hold("b", "on_start")
    sup, started = stage.begin("a", "b", "c")
    stage.book.wait_for("on_start", "b")
    assert sup.wait_up("a") == ref_of(sup, "a")
    wait = stage.soon(sup.wait_up, "c")
    sup.count_children()
    assert not wait.done()
    go_on.set()
    started.get(timeout=20)
    assert wait.result(20) == ref_of(sup, "c")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_one_that_is_restarted_for_anothers_sake_is_waited_for(stage, strategy):
    sup = stage.start("a", "b", "c", strategy=strategy, backoff=BACKOFF)
    last = sup.wait_up("c")
    end(sup.wait_up("b"))
    in_phase(sup, "b", "restarting")
    wait = stage.soon(sup.wait_up, "c")
    if strategy == "one_for_one":
        assert wait.result(20) == last
        return
    waiting(sup)
    stage.clock.advance(10)
    assert wait.result(20) == ref_of(sup, "c") != last


# Those that will not be up


def test_one_that_is_unknown_is_refused(stage):
    with pytest.raises(ChildNotFound, match="no child 'b'"):
        stage.start("a").wait_up("b")


def test_one_that_was_terminated_is_refused_by_name_till_it_is_started(stage):
    sup = stage.start("a")
    sup.terminate_child("a")
    with pytest.raises(ChildStopped, match="child 'a' is stopped, and is not about to be started"):
        sup.wait_up("a")
    go_on = stage.hold("a", "on_start")
    restarts = stage.soon(sup.restart_child, "a")
    in_phase(sup, "a", "starting")
    wait = stage.soon(sup.wait_up, "a")
    waiting(sup)
    go_on.set()
    assert wait.result(20) == restarts.result(20)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_who_waits_is_told_when_the_restart_is_called_off(stage, strategy):
    sup = stage.start("a", "b", backoff=BACKOFF, strategy=strategy)
    end(sup.wait_up("a"))
    in_phase(sup, "a", "restarting")
    waits = [stage.soon(sup.wait_up, "a")]
    if strategy == "one_for_all":
        waits.append(stage.soon(sup.wait_up, "b"))
    waiting(sup, len(waits))
    sup.terminate_child("a")
    assert [fails(wait, ChildStopped).child_id for wait in waits] == ["a", "b"][: len(waits)]


def test_who_waits_is_told_when_the_child_is_forgotten(stage):
    sup = stage.start("a", backoff=BACKOFF)
    go_on = stage.hold("t", "on_start")
    starts = stage.soon(sup.start_child, stage.spec("t", kind="temporary"))
    in_phase(sup, "t", "starting")
    wait = stage.soon(sup.wait_up, "t")
    waiting(sup)
    sup.ask(TerminateChild("t"), block=False)
    go_on.set()
    starts.result(20)
    fails(wait, ChildNotFound)


@pytest.mark.parametrize("error", [Ignore, ValueError])
def test_who_waits_is_told_when_a_start_comes_to_nothing(stage, error):
    sup = stage.start("a")
    sup.terminate_child("a")
    go_on = stage.hold("a", "on_start", error())
    stage.soon(sup.restart_child, "a")
    in_phase(sup, "a", "starting")
    wait = stage.soon(sup.wait_up, "a")
    waiting(sup)
    go_on.set()
    fails(wait, ChildStopped)


def test_a_transient_one_that_ended_for_good_is_refused(stage):
    sup = stage.start(stage.spec("a", kind="transient"))
    end(sup.wait_up("a"), Shutdown())
    with pytest.raises(ChildStopped):
        sup.wait_up("a")


def test_who_waits_is_told_when_the_supervisor_stops(stage):
    sup = stage.start("a", backoff=BACKOFF)
    end(sup.wait_up("a"))
    in_phase(sup, "a", "restarting")
    wait = stage.soon(sup.wait_up, "a")
    waiting(sup)
    sup.stop()
    fails(wait, SupervisorStopped)
    with pytest.raises(SupervisorStopped):
        sup.wait_up("a")


def test_who_waits_is_told_when_the_supervisor_gives_up(stage):
    sup = stage.start("a", backoff=BACKOFF, intensity=1, period_s=60)
    stage.fail("a", "on_start")
    end(sup.wait_up("a"))
    in_phase(sup, "a", "restarting")
    wait = stage.soon(sup.wait_up, "a")
    waiting(sup)
    stage.clock.advance(10)
    fails(wait, SupervisorStopped)


def test_who_has_waited_long_enough_is_forgotten_and_the_others_wait_on(stage):
    sup = stage.start("a", backoff=BACKOFF)
    end(sup.wait_up("a"))
    in_phase(sup, "a", "restarting")
    wait = stage.soon(sup.wait_up, "a")
    waiting(sup)
    with pytest.raises(SupervisorTimeout, match=r"wait_up was not answered within 0.02 s"):
        sup.wait_up("a", timeout_s=0.02)
    waiting(sup, 1)
    stage.clock.advance(10)
    assert wait.result(20) == ref_of(sup, "a")


@pytest.mark.parametrize("timeout_s", [0, -1, "1", True, 31_536_001])
def test_a_timeout_that_is_none_is_refused(stage, timeout_s):
    sup = stage.start("a")
    for call in (sup.wait_up, sup.child("a").ask):
        with pytest.raises(InvalidOption, match="timeout_s"):
            call("a", timeout_s=timeout_s)


# Inside the supervisor's own children


def refusals_of(stage, name):
    """What the calls that this child makes in its on_start raise, in order."""
    raised = []

    def calling(call):
        def hook():
            try:
                call()
                raised.append(None)
            except Exception as error:
                raised.append(error)

        stage.script[name, "on_start"] = hook

    return raised, calling


@only_actors
def test_a_child_may_wait_for_a_sibling_and_for_itself_once_it_is_up(stage):
    sup = stage.start("a", "b", backoff=BACKOFF)
    a, b = sup.wait_up("a"), sup.wait_up("b")
    assert a.ask(lambda: sup.wait_up("a"), timeout=20) == a
    assert a.ask(lambda: sup.wait_up("b"), timeout=20) == b
    end(b)
    in_phase(sup, "b", "restarting")
    wait = a.ask(lambda: sup.wait_up("b"), block=False)
    waiting(sup)
    stage.clock.advance(10)
    assert wait.get(timeout=20) == ref_of(sup, "b") != b


@only_actors
@pytest.mark.parametrize("other", ["b", "c"])
def test_on_start_may_wait_for_a_sibling_that_is_up_and_is_refused_its_own_and_a_later_one(stage, other):
    raised, calling = refusals_of(stage, "b")
    calling(lambda: [sups[0].wait_up("a"), sups[0].wait_up(other)])
    sups = []
    go_on = stage.hold("a", "on_start")
    sup, started = stage.begin("a", "b", "c")
    sups.append(sup)
    go_on.set()
    started.get(timeout=20)
    assert [type(error) for error in raised] == [InsideActor]
    calling(lambda: sup.wait_up("b"))
    end(sup.wait_up("b"))
    sup.wait_up("b")
    assert [type(error) for error in raised] == [InsideActor, InsideActor]
    assert "wait_up waits, and was called inside" in str(raised[0])


def test_under_one_for_all_on_start_is_refused_to_wait_for_a_later_one(stage):
    sup = stage.start("a", "b", "c", strategy="one_for_all")
    raised, calling = refusals_of(stage, "b")
    calling(lambda: sup.wait_up("c"))
    end(sup.wait_up("a"))
    assert sup.wait_up("c") == ref_of(sup, "c")
    assert [type(error) for error in raised] == [InsideActor]


@only_actors
def test_two_that_wait_for_one_another_in_on_start_are_no_deadlock(stage):
    sup = stage.start("a", "b", intensity=5, backoff=BACKOFF)
    raised, calling = refusals_of(stage, "a")
    calling(lambda: sup.wait_up("b"))
    others, calling = refusals_of(stage, "b")
    calling(lambda: sup.wait_up("a"))
    for name in ("a", "b"):
        end(sup.wait_up(name))
        in_phase(sup, name, "restarting")
    stage.clock.advance(10)
    assert [sup.wait_up(name).is_alive() for name in ("a", "b")] == [True, True]
    assert sorted(type(error).__name__ for error in raised + others) == ["InsideActor", "NoneType"]


@only_actors
def test_a_child_that_waits_for_a_sibling_is_refused_when_it_is_to_be_stopped_first(stage):
    sup = stage.start("a", stage.spec("b", shutdown_s="infinity"), strategy="one_for_all", backoff=BACKOFF, intensity=5)
    a, b = sup.wait_up("a"), sup.wait_up("b")
    started = threading.Event()

    def wait_for_another():
        started.set()
        end(a)
        try:
            return sup.wait_up("a")
        except InsideActor as error:
            return error

    answer = b.ask(wait_for_another, block=False)
    assert started.wait(20)
    assert type(answer.get(timeout=20)) is InsideActor
    in_phase(sup, "a", "restarting")


# In a simulation


class Worker(PooledActor):
    def on_receive(self, message):
        if message == "fail":
            raise ValueError("ordered")
        return message() if callable(message) else message


def children_of(simulation, *names):
    return [ChildSpec(name, (Worker, (), {"pool": simulation.pool})) for name in names]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("seed", range(10))
def test_in_a_simulation_it_takes_as_long_as_the_backoff(seed, strategy):
    with Simulation(seed) as simulation:
        sup = simulation.supervisor(children_of(simulation, "a", "b"), backoff=BACKOFF, strategy=strategy)
        first = sup.wait_up("a")
        first.tell("fail")
        simulation.run()
        before = time.monotonic()
        with pytest.raises(SupervisorTimeout):
            sup.wait_up("a", timeout_s=9)
        assert simulation.now_s == 9
        assert sup.wait_up("a") != first
        assert simulation.now_s == 10
        assert sup.wait_up("b").ask("hello") == "hello"
        assert time.monotonic() - before < 9
