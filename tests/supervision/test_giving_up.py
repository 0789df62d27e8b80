"""A child that is killed or abandoned handles nothing more, and a branch that is given up leaves nobody behind."""

import threading

import pykka
import pytest
from msgspec.structs import replace
from stage import Ear, in_phase, only_actors, raiser, ref_of

from lightspeed.actors import PooledActor, watch
from lightspeed.actors.errors import SupervisorStopped
from lightspeed.actors.pool import ActorPool
from lightspeed.actors.stopping import give_up
from lightspeed.supervision import ChildSpec
from lightspeed.supervision.deadlines import Due


def at_work(stage, ref):
    """Have the actor be at work on one message until what is returned is set."""
    begun, go_on = threading.Event(), threading.Event()
    stage._held.append(go_on)

    def work():
        begun.set()
        go_on.wait(20)

    ref.tell(work)
    assert begun.wait(20)
    return go_on


@only_actors
@pytest.mark.parametrize("how", ["killed", "abandoned"])
def test_of_what_waits_nothing_is_handled_and_asks_are_answered(stage, how):
    sup = stage.start(stage.spec("a", shutdown_s="brutal_kill" if how == "killed" else 1))
    ref, ear, handled = ref_of(sup, "a"), Ear(), []
    watch(ref, ear)
    go_on = at_work(stage, ref)
    for number in range(100):
        ref.tell(lambda number=number: handled.append(number))
    answer = ref.ask("x", block=False)
    terminating = stage.soon(sup.terminate_child, "a")
    if how == "abandoned":
        in_phase(sup, "a", "stopping")
        stage.clock.advance(1)
    terminating.result(20)
    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=20)
    assert not ref.is_alive()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell(lambda: handled.append("late"))
    assert ear.downs == []
    go_on.set()
    assert ear.next().reason.kind == "normal"
    assert handled == []
    assert stage.book.of("on_stop") == ["a"]


def test_an_idle_one_that_is_killed_has_its_end(stage):
    sup = stage.start(stage.spec("a", shutdown_s="brutal_kill"))
    ref, ear = ref_of(sup, "a"), Ear()
    watch(ref, ear)
    sup.terminate_child("a")
    assert not ref.is_alive()
    assert ear.next().reason.kind == "normal"
    assert stage.book.of("on_stop") == ["a"]


@only_actors
def test_one_that_fails_in_what_it_has_in_hand_has_one_end(stage):
    sup = stage.start(stage.spec("a", shutdown_s="brutal_kill"))
    ref, ear, begun, go_on = ref_of(sup, "a"), Ear(), threading.Event(), threading.Event()
    watch(ref, ear)

    def fail():
        begun.set()
        go_on.wait(20)
        raise ValueError("in hand")

    ref.tell(fail)
    assert begun.wait(20)
    sup.terminate_child("a")
    go_on.set()
    ear.next()
    assert len(ear.downs) == 1
    assert stage.book.of("on_failure") == []


@only_actors
def test_one_that_stops_itself_in_what_it_has_in_hand_has_one_end(stage):
    sup = stage.start(stage.spec("a", shutdown_s="brutal_kill"))
    ref, ear, begun, go_on = ref_of(sup, "a"), Ear(), threading.Event(), threading.Event()
    watch(ref, ear)

    def stop():
        begun.set()
        go_on.wait(20)
        ref._actor_weakref().stop()

    ref.tell(stop)
    assert begun.wait(20)
    sup.terminate_child("a")
    go_on.set()
    ear.next()
    assert stage.book.of("on_stop") == ["a"]


def test_one_that_was_given_up_before_its_start_never_starts():
    busy, ear, ends = ActorPool(), Ear(), []

    class Waiting(PooledActor):
        def __init__(self):
            super().__init__(pool=busy)

        def on_start(self):
            ends.append("on_start")

        def on_stop(self):
            ends.append("on_stop")

        def on_end(self, error):
            ends.append("on_end")

    class Holder(PooledActor):
        def on_receive(self, message):
            message.wait(20)

    go_on = threading.Event()
    holder = Holder.start(pool=busy)
    holder.tell(go_on)
    ref = Waiting.start()
    watch(ref, ear)
    give_up(ref)
    go_on.set()
    ear.next()
    assert ends == ["on_end"]
    holder.stop()
    assert busy.close(20) == []


def test_to_give_up_the_dead_is_harmless(stage):
    sup = stage.start("a")
    ref = ref_of(sup, "a")
    sup.terminate_child("a")
    give_up(ref)
    give_up(ref)
    assert stage.book.of("on_stop") == ["a"]


def branch_of(stage, *names, **options):
    return replace(stage.spec_of_supervisor("branch", *names, **options), shutdown_s=1)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_a_branch_that_is_abandoned_leaves_nobody_behind(stage, strategy):
    inner = stage.spec_of_supervisor("inner", "c", "d")
    stuck = stage.spec("stuck", shutdown_s="infinity")
    top = stage.start(branch_of(stage, "a", inner, stuck, strategy=strategy))
    below = ref_of(top, "branch")
    healthy = [ref_of(below, "a"), *(ref_of(ref_of(below, "inner"), name) for name in "cd")]
    ears = [Ear() for _ in healthy]
    for ref, ear in zip(healthy, ears, strict=True):
        watch(ref, ear)
    stage.hold("stuck", "on_stop")
    terminating = stage.soon(top.terminate_child, "branch")
    stage.book.wait_for("on_stop", "stuck")
    stage.clock.advance(1)
    terminating.result(20)
    assert not any(ref.is_alive() for ref in healthy)
    assert {ear.next().reason.kind for ear in ears} == {"normal"}
    assert sorted(stage.book.of("on_stop")) == ["a", "c", "d", "stuck"]
    assert top.count_children().abandoned == 1


@only_actors
def test_a_branch_that_hangs_itself_leaves_nobody_behind(stage):
    """In the __init__ of a child, which is in its own turn."""
    hangs, go_on, late = threading.Event(), threading.Event(), []
    stage._held.append(go_on)

    def start():
        hangs.set()
        go_on.wait(20)
        late.append(stage.kind.start(stage, "late"))
        return late[0]

    top = stage.start(branch_of(stage, "a"))
    below, ear = ref_of(top, "branch"), Ear()
    healthy = ref_of(below, "a")
    stage.soon(below.start_child, ChildSpec("late", start))
    assert hangs.wait(20)
    terminating = stage.soon(top.terminate_child, "branch")
    in_phase(top, "branch", "stopping")
    stage.clock.advance(1)
    terminating.result(20)
    assert not healthy.is_alive()
    watch(below, ear)
    go_on.set()
    ear.next()
    assert not late[0].is_alive()


def test_what_a_branch_is_asked_when_it_is_given_up_is_answered(stage):
    top = stage.start(branch_of(stage, stage.spec("stuck", shutdown_s="infinity")))
    below = ref_of(top, "branch")
    stage.hold("stuck", "on_stop")
    asked = stage.soon(below.terminate_child, "stuck")
    stage.book.wait_for("on_stop", "stuck")
    terminating = stage.soon(top.terminate_child, "branch")
    in_phase(top, "branch", "stopping")
    stage.clock.advance(1)
    terminating.result(20)
    assert isinstance(asked.exception(20), SupervisorStopped)
    assert ref_of(top, "branch") is None
    with pytest.raises(SupervisorStopped):
        below.which_children()


def test_a_supervisor_that_fails_of_itself_leaves_nobody_behind(pooled_stage):
    ref = pooled_stage.start("a", "b")
    children, ear = [ref_of(ref, name) for name in "ab"], Ear()
    watch(ref, ear)
    ref.tell(Due(raiser(AssertionError("planted"))))
    assert ear.next().reason.kind == "abnormal"
    assert not any(child.is_alive() for child in children)
