"""What is asked of a supervisor inside its own children: it is answered, or refused at once, and nobody waits for himself."""

import threading

import pytest
from stage import in_phase, only_actors, ref_of, views, waiting

from lightspeed.actors.errors import (
    AskRing,
    ChildNotFound,
    ChildRunning,
    InsideActor,
    StartFailed,
    SupervisorStopped,
    SupervisorTimeout,
)
from lightspeed.supervision.report import line_of, supervisor_of


def inside(ref, call, *args):
    """What the call comes to inside the actor: what it returns, or the class of what it raises."""

    def attempt():
        try:
            return call(*args)
        except BaseException as error:
            return type(error)

    return ref.ask(attempt, timeout=20)


@only_actors
def test_a_child_that_terminates_itself_is_refused_and_goes_on(stage):
    sup = stage.start("a")
    ref = ref_of(sup, "a")
    assert inside(ref, sup.terminate_child, "a") is InsideActor
    assert inside(ref, lambda: 1) == 1
    assert sup.count_children().abandoned == 0


@only_actors
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_inside_a_child_all_that_does_not_wait_for_it_is_answered(stage, strategy):
    sup = stage.start("a", "b", strategy=strategy)
    ref = ref_of(sup, "a")
    assert inside(ref, sup.restart_child, "a") is ChildRunning
    assert inside(ref, sup.delete_child, "a") is ChildRunning
    assert inside(ref, sup.terminate_child, "b") is None
    assert inside(ref, sup.restart_child, "b").is_alive()
    assert inside(ref, sup.start_child, stage.spec("c")).is_alive()
    assert inside(ref, sup.which_child, "a").ref == ref
    assert inside(ref, sup.count_children).specs == 3
    assert len(inside(ref, sup.tree).children) == 3


@only_actors
def test_a_child_that_stops_its_supervisor_and_waits_is_refused(stage):
    sup = stage.start("a")
    ref = ref_of(sup, "a")
    assert inside(ref, sup.stop) is InsideActor
    assert sup.is_alive()
    assert inside(ref, lambda: sup.stop(block=False)) is not None
    assert sup.actor_stopped.wait(20)


@only_actors
def test_somebody_else_may_stop_it_inside_his_actor(stage):
    sup, other = stage.start("a"), stage.start("b")
    assert inside(ref_of(other, "b"), sup.stop) is True
    assert inside(ref_of(other, "b"), sup.stop) is False


@only_actors
def test_a_child_that_terminates_or_stops_a_branch_above_it_is_refused(stage):
    top = stage.start(stage.spec_of_supervisor("branch", "a"))
    branch = ref_of(top, "branch")
    ref = ref_of(branch, "a")
    for call, args in ((top.terminate_child, ("branch",)), (top.stop, ()), (branch.stop, ()), (branch.terminate_child, ("a",))):
        assert inside(ref, call, *args) is InsideActor
    assert top.is_alive()
    assert branch.is_alive()
    assert list(line_of(ref._actor_weakref())) == [ref._actor_weakref(), branch._actor, top._actor]
    assert supervisor_of(top._actor) is None


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_in_its_own_start_a_child_is_refused_what_waits_for_that(stage, strategy):
    sup, found = stage.start("b", strategy=strategy), []

    def attempt():
        for call in (sup.terminate_child, sup.restart_child, sup.delete_child):
            with pytest.raises((InsideActor, ChildRunning)):
                call("a", timeout_s=20)
            found.append(call)

    stage.script["a", "on_start"] = attempt
    assert sup.start_child(stage.spec("a"), timeout_s=20).is_alive()
    assert len(found) == 3


def test_in_the_first_start_a_child_is_refused_what_waits_for_all(stage):
    found = []

    def attempt():
        for call in (lambda: ref.start_child(stage.spec("c")), lambda: ref.terminate_child("b"), ref.stop):
            with pytest.raises(InsideActor):
                call()
            found.append(call)

    stage.hold("a", "on_start")
    stage.script["b", "on_start"] = attempt
    ref, starting = stage.begin("a", "b")
    stage.book.wait_for("on_start", "a")
    stage._held[0].set()
    starting.get(timeout=20)
    assert len(found) == 3


def test_in_its_own_stop_a_child_is_refused_what_waits_for_that(stage):
    sup, found = stage.start("a"), []

    def attempt():
        for call in (sup.terminate_child, sup.restart_child):
            with pytest.raises((InsideActor, ChildRunning)):
                call("a")
        with pytest.raises(InsideActor):
            sup.stop()
        found.append("all")

    stage.script["a", "on_stop"] = attempt
    sup.terminate_child("a")
    assert found == ["all"]
    assert sup.count_children().abandoned == 0


@only_actors
def test_two_that_terminate_each_other_do_not_wait_for_each_other(stage):
    sup = stage.start("a", "b", "c")
    answers = []
    stage.script["a", "on_stop"] = stage.script["b", "on_stop"] = lambda: None

    def attempt(victim):
        try:
            answers.append(sup.terminate_child(victim, timeout_s=20))
        except (InsideActor, SupervisorStopped) as error:
            answers.append(type(error))

    refs = [ref_of(sup, name) for name in "ab"]
    for ref, victim in zip(refs, "ba", strict=True):
        ref.tell(lambda victim=victim: attempt(victim))
    for name in "ab":
        in_phase(sup, name, "stopped")
    assert sup.count_children().abandoned == 0
    assert InsideActor in answers or answers in ([], [None])  # one may have been gone before it could ask


@only_actors
def test_what_stands_behind_its_own_end_is_refused(stage):
    """Under one_for_all: the restart of all comes first, and waits for the one who asks."""
    sup = stage.start("a", "b", "c", strategy="one_for_all", intensity=5)
    go_on, found = stage.hold("c", "on_stop"), []

    def attempt():
        terminating = stage.soon(sup.terminate_child, "c")
        in_phase(sup, "c", "stopping")
        ref_of(sup, "b").tell(lambda: 1 / 0)
        in_phase(sup, "b", "ended")
        stage.soon(go_on.set)
        try:
            found.append(sup.start_child(stage.spec("d"), timeout_s=20))
        except InsideActor as error:
            found.append(type(error))
        terminating.result(20)

    ref = ref_of(sup, "a")
    ref.tell(attempt)
    stage.book.wait_for("on_start", "a", count=2)
    assert found == [InsideActor]
    in_phase(sup, "c", "running")
    assert sup.count_children().abandoned == 0


def attempted(call, *args, **options):
    try:
        return call(*args, **options)
    except Exception as error:
        return error


def asks_a(stage, sup):
    """The start of "b" asks "a", when what is returned is set."""
    go_on, ref = stage.hold("b", "on_start"), ref_of(sup, "a")
    held = stage.script["b", "on_start"]

    def on_start():
        held()
        stage.book.write("answer", ref.ask("hello"))

    stage.script["b", "on_start"] = on_start
    return go_on


@only_actors
@pytest.mark.parametrize("call", ["start_child", "wait_up"])
def test_who_waits_for_the_start_of_one_that_asks_him_does_not_wait_for_ever(stage, call):
    """Whoever closes the ring is refused."""
    sup = stage.start("a", start_timeout_s=1000)
    asks_a(stage, sup).set()
    starting = stage.soon(sup.start_child, stage.spec("b")) if call == "wait_up" else None
    while starting is not None and "b" not in views(sup):
        pass
    spec = stage.spec("b") if call == "start_child" else "b"
    found = ref_of(sup, "a").ask(lambda: attempted(getattr(sup, call), spec), timeout=20)
    if isinstance(found, AskRing):
        assert [name.split()[0] for name in found.ring] == [stage.kind.__name__] * 3
        stage.book.wait_for("answer", "hello")
        in_phase(sup, "b", "running")
    elif call == "start_child":
        assert isinstance(found, StartFailed)
        assert isinstance(found.error, AskRing)
    else:
        outcome = attempted(starting.result, 20)  # where it asked before "a" did, it is up
        assert isinstance(found, ChildNotFound) if isinstance(outcome, StartFailed) else found == outcome
    assert sup.count_children().abandoned == 0


@only_actors
def test_one_whose_start_asks_who_waits_for_it_is_refused(stage):
    sup = stage.start("a", start_timeout_s=1000)
    go_on = asks_a(stage, sup)
    starting = stage.soon(sup.start_child, stage.spec("b"))
    in_phase(sup, "b", "starting")
    found = ref_of(sup, "a").ask(lambda: attempted(sup.wait_up, "b"), block=False)
    waiting(sup)
    go_on.set()
    with pytest.raises(StartFailed) as caught:
        starting.result(20)
    assert isinstance(caught.value.error, AskRing)
    assert isinstance(found.get(timeout=20), ChildNotFound)


@only_actors
def test_who_begins_to_wait_for_the_start_of_one_that_asks_him_is_refused(stage):
    sup = stage.start("a", start_timeout_s=1000)
    go_on, has_asked = asks_a(stage, sup), threading.Event()
    starting = stage.soon(sup.start_child, stage.spec("b"))
    in_phase(sup, "b", "starting")
    b = ref_of(sup, "b")._actor_weakref()
    found = ref_of(sup, "a").ask(lambda: (has_asked.wait(20), attempted(sup.wait_up, "b"))[1], block=False)
    go_on.set()
    while b._lifecycle_waits_for is None:  # nothing else shows that it waits
        pass
    has_asked.set()
    assert isinstance(found.get(timeout=20), AskRing)
    assert starting.result(20).is_alive()
    stage.book.wait_for("answer", "hello")


@only_actors
def test_who_waits_no_more_for_a_start_may_be_asked_by_it(stage):
    sup = stage.start("a", start_timeout_s=1000)
    go_on = asks_a(stage, sup)
    found = ref_of(sup, "a").ask(lambda: attempted(sup.start_child, stage.spec("b"), timeout_s=0.01), timeout=20)
    assert isinstance(found, SupervisorTimeout)
    ref_of(sup, "a").tell(lambda: (go_on.set(), sup.which_children()))
    stage.book.wait_for("answer", "hello")
    in_phase(sup, "b", "running")


@only_actors
def test_who_waits_for_the_start_of_one_that_asks_another_gets_it(stage):
    sup = stage.start("a", "c", start_timeout_s=1000)
    c = ref_of(sup, "c")
    stage.script["b", "on_start"] = lambda: stage.book.write("answer", c.ask("hello"))
    found = ref_of(sup, "a").ask(lambda: attempted(sup.start_child, stage.spec("b")), timeout=20)
    assert found == ref_of(sup, "b")
    stage.book.wait_for("answer", "hello")


def test_a_childs_init_that_asks_its_own_supervisor_fails_its_start(pooled_stage):
    sup = pooled_stage.start()

    class Curious(pooled_stage.kind):
        def __init__(self, stage, name):
            super().__init__(stage, name)
            sup.which_children()

    with pytest.raises(Exception, match="ring of asks") as caught:
        sup.start_child(pooled_stage.spec("a", cls=Curious))
    assert isinstance(caught.value.error, AskRing)
