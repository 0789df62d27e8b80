"""What can be asked of a supervisor; after OTP's child administration cases, and named after them."""

import gc
import logging
import os
import threading
import weakref

import pytest
from stage import counts, end, in_phase, only_actors, ref_of, settled, until, views

from lightspeed.actors import Ignore, PooledActor
from lightspeed.actors.errors import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    InForkedChild,
    SupervisorTimeout,
)
from lightspeed.supervision import Backoff, ChildSpec, Supervisor


def test_child_adm(stage):
    sup = stage.start("a")
    first = ref_of(sup, "a")
    assert counts(sup) == [1, 1, 0, 1]
    with pytest.raises(ChildAlreadyStarted) as caught:
        sup.start_child(stage.spec("a"))
    assert caught.value.ref == first
    for call in (sup.terminate_child, sup.restart_child, sup.delete_child):
        with pytest.raises(ChildNotFound, match="no child 'hej'"):
            call("hej")
    for call in (sup.restart_child, sup.delete_child):
        with pytest.raises(ChildRunning, match="child 'a' runs"):
            call("a")

    assert sup.terminate_child("a") is None
    assert not first.is_alive()
    assert (views(sup)["a"].ref, views(sup)["a"].phase) == (None, "stopped")
    assert counts(sup) == [1, 0, 0, 1]
    sup.terminate_child("a")
    with pytest.raises(ChildAlreadyPresent, match="child 'a' is present already"):
        sup.start_child(stage.spec("a"))

    second = sup.restart_child("a")
    assert second.is_alive()
    assert second != first
    assert counts(sup) == [1, 1, 0, 1]

    sup.terminate_child("a")
    assert sup.delete_child("a") is None
    with pytest.raises(ChildNotFound):
        sup.restart_child("a")
    assert sup.which_children() == []
    assert counts(sup) == [0, 0, 0, 0]

    assert sup.start_child(stage.spec("a")) == ref_of(sup, "a")
    with pytest.raises(ChildNotFound):
        sup.terminate_child(ref_of(sup, "a"))
    assert counts(sup) == [1, 1, 0, 1]


def test_child_adm_simple(stage):
    """Children that come and go: a temporary one is forgotten at its end, whoever brings it."""
    sup = stage.start()
    for number in range(3):
        sup.start_child(stage.spec(number, kind="temporary"))
    sup.terminate_child(0)
    end(ref_of(sup, 1), ValueError("planted"))
    assert list(settled(sup)) == [2]
    assert counts(sup) == [1, 1, 0, 1]
    with pytest.raises(ChildNotFound):
        sup.restart_child(0)
    assert sup.start_child(stage.spec(0, kind="temporary")).is_alive()


def test_which_children(stage):
    sup = stage.start()
    assert sup.which_children() == []
    with pytest.raises(ChildNotFound):
        sup.which_child("a")
    first, second = (sup.start_child(stage.spec(name)) for name in "ab")
    assert [(view.id, view.ref, view.is_supervisor) for view in sup.which_children()] == [
        ("a", first, False),
        ("b", second, False),
    ]
    assert sup.which_child("b") == sup.which_children()[1]
    sup.terminate_child("a")
    assert (sup.which_child("a").ref, sup.which_child("a").phase) == (None, "stopped")
    sup.delete_child("a")
    with pytest.raises(ChildNotFound):
        sup.which_child("a")


def test_a_child_that_ignored_its_start_can_be_tried_again(stage):
    stage.fail("a", "on_start", Ignore())
    sup = stage.start("a")
    assert sup.restart_child("a") is None
    stage.script.clear()
    assert sup.restart_child("a").is_alive()


def test_an_id_that_can_not_be_one_is_refused_in_the_caller(pooled_stage):
    sup = pooled_stage.start("a")
    for call in (sup.terminate_child, sup.restart_child, sup.delete_child, sup.which_child):
        with pytest.raises(TypeError, match="unhashable"):
            call([])
    assert sup.count_children().active == 1


def test_what_concerns_one_child_waits_for_what_is_under_way_with_it(stage):
    sup = stage.start()
    go_on = stage.hold("a", "on_start")
    starting = stage.soon(sup.start_child, stage.spec("a"))
    stage.book.wait_for("on_start", "a")
    again = stage.soon(sup.start_child, stage.spec("a"))
    in_phase(sup, "a", "starting")
    assert not again.done()
    go_on.set()
    ref = starting.result(20)
    assert isinstance(again.exception(20), ChildAlreadyStarted)
    assert again.exception().ref == ref


def test_what_concerns_another_child_does_not_wait_for_it(stage):
    """Under one_for_one; a child that blocks for ever is nobody else's business."""
    sup = stage.start("b")
    stage.hold("a", "on_start")
    stage.hold("b", "on_stop")
    starting = stage.soon(sup.start_child, stage.spec("a"))
    stopping = stage.soon(sup.terminate_child, "b")
    in_phase(sup, "a", "starting")
    in_phase(sup, "b", "stopping")
    assert sup.start_child(stage.spec("c")).is_alive()
    end(ref_of(sup, "c"), ValueError("planted"))
    in_phase(sup, "c", "running")
    sup.terminate_child("c")
    sup.delete_child("c")
    assert not any(call.done() for call in (starting, stopping))
    stage.clock.advance(5)
    assert stopping.result(20) is None
    assert starting.exception(20) is not None
    assert sup.count_children().abandoned == 2


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_under_the_other_strategies_one_thing_goes_after_the_other(stage, strategy):
    sup = stage.start("a", strategy=strategy)
    go_on = stage.hold("b", "on_start")
    starting = stage.soon(sup.start_child, stage.spec("b"))
    in_phase(sup, "b", "starting")
    stopping = stage.soon(sup.terminate_child, "a")
    in_phase(sup, "b", "starting")
    assert not stopping.done()
    go_on.set()
    starting.result(20)
    stopping.result(20)
    assert stage.book.lines == [("on_start", "a"), ("on_start", "b"), ("on_stop", "a")]


def test_a_call_that_is_not_answered_in_time_raises_and_takes_effect_all_the_same(stage):
    sup = stage.start()
    go_on = stage.hold("a", "on_start")
    with pytest.raises(SupervisorTimeout, match=r"start_child was not answered within 0\.01 s"):
        sup.start_child(stage.spec("a"), timeout_s=0.01)
    go_on.set()
    in_phase(sup, "a", "running")


def test_a_supervisor_that_is_held_up_by_an_init_holds_up_no_other_and_no_caller(pooled_stage):
    inside, go_on = threading.Event(), threading.Event()

    class Slow(PooledActor):
        def __init__(self):
            super().__init__(pool=pooled_stage.pool)
            inside.set()
            go_on.wait(20)

    held, other = pooled_stage.start(), pooled_stage.start("a")
    pooled_stage.script["b", "on_start"] = lambda: None
    starting = pooled_stage.soon(held.start_child, ChildSpec("slow", Slow))
    assert inside.wait(20)
    with pytest.raises(SupervisorTimeout):
        held.which_children(timeout_s=0.01)
    assert other.start_child(pooled_stage.spec("b")).is_alive()
    go_on.set()
    assert starting.result(20).is_alive()


def test_an_init_that_blocks_in_a_restart_leaves_the_worker_to_other_supervisors(pooled_stage):
    inside, go_on = threading.Event(), threading.Event()
    slow = []

    class Slow(PooledActor):
        def __init__(self):
            super().__init__(pool=pooled_stage.pool)
            if slow:
                inside.set()
                go_on.wait(20)

        def on_receive(self, message):
            raise message

    held, other = pooled_stage.start(ChildSpec("slow", Slow)), pooled_stage.start("a")
    slow.append(True)
    end_soon = ref_of(held, "slow")
    end_soon.tell(ValueError("planted"))
    assert inside.wait(20)
    assert len(other.which_children(timeout_s=20)) == 1
    end(ref_of(other, "a"), ValueError("planted"))
    in_phase(other, "a", "running")
    go_on.set()
    in_phase(held, "slow", "running")


def test_hanging_restart_loop(stage):
    """A child whose restart fails again and again can be seen, is refused what makes no sense, and is terminated."""
    sup = stage.start("a", intensity=3, backoff=Backoff(floor_s=1, cap_s=1, jitter=0))
    stage.fail("a", "on_start")
    end(ref_of(sup, "a"), ValueError("planted"))
    stage.clock.advance(1)
    in_phase(sup, "a", "restarting")
    with pytest.raises(ChildAlreadyPresent):
        sup.start_child(stage.spec("a"))
    for call in (sup.restart_child, sup.delete_child):
        with pytest.raises(ChildRestarting, match="child 'a' is about to be restarted"):
            call("a")
    assert counts(sup) == [1, 0, 0, 1]
    sup.terminate_child("a")
    assert views(sup)["a"].phase == "stopped"
    stage.clock.advance(10)
    assert views(sup)["a"].phase == "stopped"
    stage.script.clear()
    assert sup.restart_child("a").is_alive()


def test_hanging_restart_loop_without_a_pause(stage):
    """Between two tries come other messages, though there is no pause: a stop is one of them."""
    sup = stage.start("a", intensity=10**9, period_s=31_536_000)
    stage.fail("a", "on_start")
    ref_of(sup, "a").tell(lambda: 1 / 0)
    stage.book.wait_for("on_start", "a", count=20)
    assert sup.count_children(timeout_s=20).specs == 1
    sup.terminate_child("a", timeout_s=20)
    assert views(sup)["a"].phase == "stopped"
    tries = len(stage.book.of("on_start"))
    stage.script.clear()
    assert sup.restart_child("a").is_alive()
    assert len(stage.book.of("on_start")) == tries + 1


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_hanging_restart_loop_rest_for_one(stage, strategy):
    sup = stage.start("a", "b", "c", strategy=strategy, intensity=8, backoff=Backoff(floor_s=1, jitter=0))
    stage.fail("b", "on_start")
    end(ref_of(sup, "b"), ValueError("planted"))
    in_phase(sup, "b", "restarting")
    stage.clock.advance(1)
    in_phase(sup, "b", "restarting")
    with pytest.raises(ChildAlreadyPresent):
        sup.start_child(stage.spec("b"))
    with pytest.raises(ChildRestarting):
        sup.restart_child("b")
    phases = [view.phase for view in sup.which_children()]
    assert phases == (
        ["running", "restarting", "stopped"] if strategy == "rest_for_one" else ["stopped", "restarting", "stopped"]
    )
    sup.terminate_child("b")
    assert views(sup)["b"].phase == "stopped"
    stage.script.clear()
    assert sup.restart_child("b").is_alive()


def test_hanging_restart_loop_simple(stage):
    sup = stage.start(intensity=8, backoff=Backoff(floor_s=1, jitter=0))
    sup.start_child(stage.spec("a", kind="transient"))
    stage.fail("a", "on_start")
    end(ref_of(sup, "a"), ValueError("planted"))
    in_phase(sup, "a", "restarting")
    stage.clock.advance(1)
    in_phase(sup, "a", "restarting")
    assert sup.stop()
    assert stage.book.of("on_stop") == []


@pytest.mark.slow
def test_tree(stage):
    """What ends in one branch is restarted there; and what was added by hand to a branch goes with it."""
    sup = stage.start(
        stage.spec_of_supervisor("one", "a", "b", intensity=4),
        stage.spec_of_supervisor("two", intensity=0),
        stage.spec_of_supervisor("three", kind="transient"),
        strategy="one_for_all",
        intensity=4,
    )
    one, two = ref_of(sup, "one"), ref_of(sup, "two")
    sup.terminate_child("three")
    assert counts(sup) == [3, 2, 3, 0]
    assert counts(one) == [2, 2, 0, 2]
    assert counts(two) == [0, 0, 0, 0]
    two.start_child(stage.spec("c"))
    before = ref_of(one, "a")
    end(before, ValueError("planted"))
    after = settled(one)
    assert after["a"].ref != before
    assert counts(two) == [1, 1, 0, 1]

    end(ref_of(two, "c"), ValueError("planted"))  # one too many for it
    until(sup, lambda seen: all(view.phase == "running" and view.ref not in (one, two) for view in seen.values()))
    assert counts(sup) == [3, 3, 3, 0]
    assert counts(ref_of(sup, "one")) == [2, 2, 0, 2]
    assert counts(ref_of(sup, "two")) == [0, 0, 0, 0]
    sup.stop()


def test_a_supervisor_whose_child_does_not_start_fails_its_own_start_above(stage):
    sup = stage.start("a")
    stage.fail("c", "on_start")
    with pytest.raises(Exception, match=r"child 'sup' could not be started: StartFailed.*child 'c' could not be started"):
        sup.start_child(stage.spec_of_supervisor("sup", "b", "c"))
    assert stage.book.of("on_stop") == ["b"]
    assert list(views(sup)) == ["a"]


def test_a_supervisor_above_waits_for_all_that_is_below(stage):
    go_on = stage.hold("b", "on_start")
    starting = stage.soon(stage.start, stage.spec_of_supervisor("sup", "a", "b"), "c")
    stage.book.wait_for("on_start", "b")
    assert not starting.done()
    stage.clock.advance(4)  # it has deadlines of its own: nobody else's are counted
    assert stage.book.of("on_start") == ["a", "b"]
    go_on.set()
    starting.result(20)
    assert stage.book.of("on_start") == ["a", "b", "c"]


@only_actors
def test_a_supervisor_started_by_a_callable_is_a_supervisor_too(stage):
    sup = stage.start(ChildSpec("sup", lambda: Supervisor.start(**stage.options("a"))))
    assert counts(sup) == [1, 1, 1, 0]
    assert counts(ref_of(sup, "sup")) == [1, 1, 0, 1]
    sup.stop()
    assert stage.book.of("on_stop") == ["a"]


def test_child_unlink(stage):
    """A child that hides from its supervisor: it can't, and its terminate has a deadline anyhow."""
    sup = stage.start(stage.spec("a", shutdown_s=1))
    stage.hold("a", "on_stop")
    terminating = stage.soon(sup.terminate_child, "a")
    in_phase(sup, "a", "stopping")
    stage.clock.advance(1)
    assert terminating.result(20) is None
    assert sup.count_children().abandoned == 1
    assert views(sup)["a"].phase == "stopped"


def test_a_child_that_ends_when_it_was_abandoned_disturbs_nobody(stage):
    sup = stage.start(stage.spec("a", shutdown_s="brutal_kill"))
    go_on = stage.hold("a", "on_stop")
    abandoned = ref_of(sup, "a")
    sup.terminate_child("a")
    stage.script.clear()
    successor = sup.restart_child("a")
    go_on.set()
    end(abandoned)
    assert ref_of(sup, "a") == successor
    assert successor.is_alive()
    assert stage.book.of("on_start") == ["a", "a"]


def test_count_children(stage):
    sup = stage.start()
    for number in range(20):
        sup.start_child(stage.spec(number, kind="temporary"))
    assert counts(sup) == [20, 20, 0, 20]
    for view in sup.which_children():
        end(view.ref, ValueError("planted"))
    assert settled(sup) == {}
    assert counts(sup) == [0, 0, 0, 0]


def test_count_children_supervisor(stage):
    sup = stage.start()
    for number in range(20):
        sup.start_child(stage.spec_of_supervisor(number))
    assert counts(sup) == [20, 20, 20, 0]
    sup.terminate_child(3)
    assert counts(sup) == [20, 19, 20, 0]


def test_count_restarting_children(stage):
    sup = stage.start("a", "b", "c", intensity=20, backoff=Backoff(floor_s=1, cap_s=1, jitter=0))
    for name in "ab":
        stage.fail(name, "on_start")
        end(ref_of(sup, name), ValueError("planted"))
        in_phase(sup, name, "restarting")
    assert counts(sup) == [3, 1, 0, 3]
    stage.clock.advance(1)
    stage.book.wait_for("on_start", "b", count=2)
    until(sup, lambda seen: [view.phase for view in seen.values()] == ["restarting", "restarting", "running"])
    assert counts(sup) == [3, 1, 0, 3]
    stage.script.clear()
    stage.clock.advance(1)
    settled(sup)
    assert counts(sup) == [3, 3, 0, 3]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("how", [None, ValueError("planted"), "terminate"], ids=["normal", "abnormal", "terminate"])
def test_do_not_save_child_specs_for_temporary_children(stage, strategy, how):
    sup = stage.start(stage.spec("a", kind="temporary"), strategy=strategy)
    sup.terminate_child("a") if how == "terminate" else end(ref_of(sup, "a"), how)
    assert settled(sup) == {}
    assert sup.start_child(stage.spec("a", kind="temporary")).is_alive()


def test_do_not_save_start_parameters_for_temporary_children(pooled_stage):
    """What a temporary child was started with is let go when it ends (OTP: when it has started)."""

    class Large:
        pass

    large = Large()
    gone = weakref.ref(large)
    sup = pooled_stage.start()

    class Child(PooledActor):
        def __init__(self, _large):
            super().__init__(pool=pooled_stage.pool)

    sup.start_child(ChildSpec("a", (Child, (large,), {}), kind="temporary"))
    del large
    end(ref_of(sup, "a"))
    assert settled(sup) == {}
    assert gone() is None


def test_nothing_is_kept_of_an_actor_that_was_restarted(stage, monkeypatch):
    monkeypatch.setattr(logging.getLogger("pykka"), "disabled", True)  # what pytest catches of it, it keeps
    sup = stage.start("a")
    gone = threading.Event()
    actor = weakref.ref(ref_of(sup, "a")._actor_weakref(), lambda _ref: gone.set())
    end(ref_of(sup, "a"), ValueError("planted"))
    in_phase(sup, "a", "running")
    for _ in range(200):  # an error and its traceback lead round in a ring, and the worker that ran it has yet to put it away
        gc.collect()
        if gone.wait(0.05):
            break
    assert actor() is None


def test_order_of_children(stage):
    names = ["ch7", "ch3", "ch10", "ch2", "ch5"]
    sup = stage.start(*names, strategy="rest_for_one")
    assert stage.book.of("on_start") == names
    assert list(views(sup)) == names
    stage.book.lines.clear()
    end(ref_of(sup, "ch10"), ValueError("planted"))
    settled(sup)
    assert stage.book.of("on_stop") == ["ch5", "ch2"]
    assert stage.book.of("on_start") == ["ch10", "ch2", "ch5"]
    assert list(views(sup)) == names
    stage.book.lines.clear()
    sup.stop()
    assert stage.book.of("on_stop") == names[::-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_each_call_of_the_parents_supervisor_is_refused_by_name(stage):
    sup = stage.start("a")
    calls = [sup.which_children, sup.count_children, sup.tree, sup.stop]
    calls += [lambda: sup.which_child("a"), lambda: sup.terminate_child("a"), lambda: sup.start_child(stage.spec("b"))]
    child = os.fork()
    if child == 0:
        try:
            for call in calls:
                with pytest.raises(InForkedChild):
                    call()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert counts(sup) == [1, 1, 0, 1]
