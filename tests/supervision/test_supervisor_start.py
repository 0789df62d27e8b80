"""How supervisors start; after the start group of OTP's supervisor_SUITE, and named after its cases."""

import queue
import threading

import pykka
import pytest
from stage import Ear, counts, end, in_phase, only_actors, raiser, ref_of, settled, until, views

from lightspeed.actors import Ignore, PooledActor, Shutdown, Supervisable, default_pool, watch
from lightspeed.actors.errors import InvalidOption, NotSupervisable, StartFailed, StartTimeout, SupervisorStopped
from lightspeed.supervision import Backoff, ChildSpec, Supervisor


def test_sup_start_normal(stage):
    sup = stage.start("a", "b")
    assert [(view.id, view.phase, view.ref.is_alive()) for view in sup.which_children()] == [
        ("a", "running", True),
        ("b", "running", True),
    ]
    assert stage.book.lines == [("on_start", "a"), ("on_start", "b")]
    assert sup.stop()
    assert not sup.is_alive()


def test_start_returns_when_each_on_start_has_and_each_waits_for_the_one_before(stage):
    go_on = stage.hold("a", "on_start")
    starting = stage.soon(stage.start, "a", "b")
    stage.book.wait_for("on_start", "a")
    assert not starting.done()
    assert stage.book.lines == [("on_start", "a")]
    go_on.set()
    assert starting.result(20).count_children().active == 2


def test_sup_start_ignore_init(pooled_stage):
    """A supervisor that is not needed: its start raises Ignore, and the one above keeps it without an actor."""
    sup = pooled_stage.start(ChildSpec("sup", raiser(Ignore())), "a")
    assert [(view.id, view.phase) for view in sup.which_children()] == [("sup", "stopped"), ("a", "running")]


def test_sup_start_ignore_child(stage):
    stage.fail("a", "on_start", Ignore())
    sup = stage.start()
    assert sup.start_child(stage.spec("a")) is None
    assert sup.start_child(stage.spec("b")).is_alive()
    assert views(sup)["a"].ref is None
    assert counts(sup) == [2, 1, 0, 2]


def test_sup_start_ignore_temporary_child(stage):
    stage.fail("a", "on_start", Ignore())
    sup = stage.start(stage.spec("a", kind="temporary"), stage.spec("b", kind="temporary"))
    assert list(views(sup)) == ["b"]


def test_sup_start_ignore_temporary_child_start_child(stage):
    stage.fail("a", "on_start", Ignore())
    sup = stage.start()
    assert sup.start_child(stage.spec("a", kind="temporary")) is None
    assert sup.start_child(stage.spec("b", kind="temporary")).is_alive()
    assert list(views(sup)) == ["b"]
    assert counts(sup) == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("strategy", "none_for_one"),
        ("intensity", -1),
        ("intensity", "infinity"),
        ("period_s", 0),
        ("period_s", "infinity"),
        ("auto_shutdown", "sometimes"),
        ("backoff", 3),
        ("start_timeout_s", 0),
        ("start_timeout_s", None),
    ],
)
def test_sup_flags(option, value):
    with pytest.raises(InvalidOption, match=option) as caught:
        Supervisor.start(**{option: value})
    assert caught.value.option == option


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match="intensty"):
        Supervisor.start(intensty=3)


def test_sup_start_error_return(pooled_stage):
    """What is no child at all is refused before anything starts."""
    for children in (["a"], [3], [pooled_stage.spec("a"), pooled_stage.spec("a")]):
        with pytest.raises(InvalidOption, match="children"):
            Supervisor.start(children, pool=pooled_stage.supervisors)
    assert pooled_stage.book.lines == []


@pytest.mark.parametrize("error", [ValueError("planted"), SystemExit(), Shutdown("not now")])
def test_sup_start_fail(stage, error):
    """One fails, and those before it are stopped in reverse; those behind it are never started."""
    stage.fail("c", "on_start", error)
    with pytest.raises(StartFailed) as caught:
        stage.start("a", "b", "c", "d")
    assert (caught.value.child_id, caught.value.error, caught.value.__cause__) == ("c", error, error)
    assert stage.book.of("on_start") == ["a", "b", "c"]
    assert stage.book.of("on_stop") == ["b", "a"]
    assert pykka.ActorRegistry.get_all() == []


def test_sup_start_child_returns_error(stage):
    sup = stage.start("a")
    stage.fail("b", "on_start")
    with pytest.raises(StartFailed, match="child 'b' could not be started: ValueError"):
        sup.start_child(stage.spec("b"))
    for start in (raiser(OSError()), raiser(SystemExit()), lambda: None, lambda: ref_of(sup, "a")):
        with pytest.raises(StartFailed):
            sup.start_child(ChildSpec("c", start))
    assert list(settled(sup)) == ["a"]


def test_sup_start_restart_child_returns_error(stage):
    sup = stage.start("a")
    sup.terminate_child("a")
    stage.fail("a", "on_start")
    with pytest.raises(StartFailed):
        sup.restart_child("a")
    assert [(view.id, view.phase) for view in sup.which_children()] == [("a", "stopped")]


def test_what_init_raises_fails_the_start(pooled_stage):
    class Stillborn(PooledActor):
        def __init__(self):
            raise ValueError("planted")

    sup = pooled_stage.start()
    with pytest.raises(StartFailed, match="planted"):
        sup.start_child(ChildSpec("a", Stillborn))
    assert sup.which_children() == []


def test_a_child_that_does_not_start_in_time_is_abandoned_and_what_it_does_later_counts_no_more(stage):
    sup = stage.start("a", start_timeout_s=5)
    go_on = stage.hold("b", "on_start")
    starting = stage.soon(sup.start_child, stage.spec("b"))
    stage.book.wait_for("on_start", "b")
    stuck, ear = ref_of(sup, "b"), Ear()
    watch(stuck, ear)
    stage.clock.advance(4.9)
    assert views(sup)["b"].phase == "starting"
    stage.clock.advance(0.2)
    with pytest.raises(StartFailed) as caught:
        starting.result(20)
    assert isinstance(caught.value.error, StartTimeout)
    assert sup.count_children().abandoned == 1
    go_on.set()
    assert ear.next().reason.kind == "normal"
    assert list(views(sup)) == ["a"]


@only_actors
@pytest.mark.parametrize("error", [ValueError("planted"), SystemExit(), Shutdown("planted")])
def test_a_child_that_fails_of_the_first_that_it_is_told_was_up(stage, error):
    class Doomed(stage.kind):
        def __init__(self, *args):
            super().__init__(*args)
            if not stage.book.lines:
                self.actor_ref.tell(raiser(error))  # nothing can stand before it

    sup = stage.start(stage.spec("a", cls=Doomed))
    stage.book.wait_for("on_start", "a", count=2)
    assert (in_phase(sup, "a", "running").restarts, sup.is_alive()) == (1, True)


@only_actors
@pytest.mark.slow
def test_a_child_that_others_let_fail_as_soon_as_they_know_of_it_was_up(stage):
    begun = queue.SimpleQueue()

    class Known(stage.kind):
        def on_start(self):
            begun.put(self.actor_ref)

    def let_fail():
        for ref in iter(begun.get, None):
            ref.tell(raiser(ValueError("planted")))

    sup, failing = stage.start("b"), stage.soon(let_fail)
    try:
        for _ in range(300):
            ear = Ear()
            watch(sup.start_child(stage.spec("a", cls=Known, kind="temporary")), ear)  # which never raises StartFailed
            assert ear.next().reason.kind == "abnormal"
            until(sup, lambda seen: list(seen) == ["b"])
    finally:
        begun.put(None)
    assert failing.result(20) is None


@only_actors
def test_a_child_that_never_comes_up_fails_of_nothing_that_it_is_told(stage):
    sup = stage.start("b", start_timeout_s=5)
    go_on = stage.hold("a", "on_start")
    starting = stage.soon(sup.start_child, stage.spec("a"))
    stage.book.wait_for("on_start", "a")
    ref, ear = ref_of(sup, "a"), Ear()
    ref.tell(raiser(ValueError("planted")))
    watch(ref, ear)
    stage.clock.advance(5)
    with pytest.raises(StartFailed) as caught:
        starting.result(20)
    assert isinstance(caught.value.error, StartTimeout)
    go_on.set()
    assert ear.next().reason.kind == "normal"
    assert list(views(sup)) == ["b"]


@only_actors
def test_a_child_that_ends_in_its_on_start_fails_of_that_and_of_nothing_that_it_is_told(stage):
    sup = stage.start("b")
    go_on, error = stage.hold("a", "on_start"), OSError("planted")
    held = stage.script["a", "on_start"]

    def end():
        held()
        raise error

    stage.script["a", "on_start"] = end
    starting = stage.soon(sup.start_child, stage.spec("a"))
    stage.book.wait_for("on_start", "a")
    ref_of(sup, "a").tell(raiser(ValueError("told")))
    go_on.set()
    with pytest.raises(StartFailed) as caught:
        starting.result(20)
    assert caught.value.error is error
    assert list(views(sup)) == ["b"]


def test_one_that_came_up_while_its_supervisor_was_held_up_is_not_abandoned(pooled_stage):
    """Its word of that waits behind the deadline's."""
    stage = pooled_stage
    sup, inside, release = stage.start(start_timeout_s=5), threading.Event(), threading.Event()
    stage._held.append(release)

    class Slow(PooledActor):
        def __init__(self):
            super().__init__(pool=stage.pool)
            inside.set()
            release.wait(20)

    go_on = stage.hold("a", "on_start")
    starting = stage.soon(sup.start_child, stage.spec("a"))
    stage.book.wait_for("on_start", "a")
    ref = in_phase(sup, "a", "starting").ref
    slow = stage.soon(sup.start_child, ChildSpec("slow", Slow))
    assert inside.wait(20)
    stage.clock.advance(5)
    go_on.set()
    assert ref.ask("are you up?", timeout=20) == "are you up?"
    release.set()
    assert starting.result(20) == ref
    assert slow.result(20).is_alive()
    assert ref.is_alive()
    assert sup.count_children().abandoned == 0


def test_a_first_start_that_takes_too_long_ends_the_supervisor(stage):
    stage.hold("b", "on_start")
    sup, starting = stage.begin("a", "b", start_timeout_s=1)
    in_phase(sup, "b", "starting")
    stage.clock.advance(1)
    with pytest.raises(StartFailed) as caught:
        starting.get(timeout=20)
    assert isinstance(caught.value.error, StartTimeout)
    assert stage.book.of("on_stop") == ["a"]


def test_a_stop_during_the_first_start_ends_it(stage):
    go_on = stage.hold("b", "on_start")
    sup, starting = stage.begin("a", "b", "c")
    in_phase(sup, "b", "starting")
    stopping = sup.stop(block=False)
    go_on.set()
    assert stopping.get(timeout=20)
    with pytest.raises(SupervisorStopped):
        starting.get(timeout=20)
    assert stage.book.of("on_start") == ["a", "b"]
    assert stage.book.of("on_stop") == ["b", "a"]


def test_what_comes_during_the_first_start_waits_for_it(stage):
    go_on = stage.hold("b", "on_start")
    sup, _starting = stage.begin("a", "b")
    stage.book.wait_for("on_start", "b")
    adding = stage.soon(sup.start_child, stage.spec("c"))
    assert end(ref_of(sup, "a"), ValueError("planted")).kind == "abnormal"
    assert views(sup)["a"].phase == "ended"
    go_on.set()
    assert adding.result(20).is_alive()
    assert {name: view.phase for name, view in settled(sup).items()} == dict.fromkeys("abc", "running")


def test_a_request_during_a_first_start_that_fails_is_answered(stage):
    go_on = stage.hold("a", "on_start")
    sup, _starting = stage.begin("a")
    stage.book.wait_for("on_start", "a")
    adding = stage.soon(sup.start_child, stage.spec("c"))
    assert views(sup)["a"].phase == "starting"
    sup.stop(block=False)
    go_on.set()
    assert isinstance(adding.exception(20), SupervisorStopped)


@only_actors
@pytest.mark.parametrize(
    "start",
    [
        lambda stage: stage.kind,
        lambda stage: (stage.kind, (stage, "a"), {}),
        lambda stage: lambda: stage.kind.start(stage, "a"),
    ],
    ids=["class", "class_and_arguments", "callable"],
)
def test_a_child_is_given_by_its_class_with_arguments_or_without_or_as_a_callable(stage, start):
    sup = stage.start()
    spec = ChildSpec("a", start(stage))
    if spec.start == (stage.kind, (), {}):  # this class needs arguments
        with pytest.raises(StartFailed, match="missing 2 required"):
            sup.start_child(spec)
    else:
        assert sup.start_child(spec).is_alive()


def test_a_class_that_hides_its_ends_is_refused_by_name(pooled_stage):
    class Stock(pykka.ThreadingActor):
        pass

    with pytest.raises(NotSupervisable, match="Stock"):
        ChildSpec("a", Stock)
    with pytest.raises(NotSupervisable, match="Stock"):
        ChildSpec("a", (Stock, (), {}))
    with pytest.raises(NotSupervisable, match="dict"):
        ChildSpec("a", dict)
    sup = pooled_stage.start()
    refs = []

    def start_one():
        refs.append(Stock.start())
        return refs[-1]

    with pytest.raises(StartFailed, match="Stock can't be watched"):
        sup.start_child(ChildSpec("a", start_one))
    assert refs[0].actor_stopped.wait(20)


class Plain(Supervisable, pykka.ThreadingActor):
    pass


def test_child_specs_significance_needs_an_end_and_somebody_whom_it_concerns(pooled_stage):
    with pytest.raises(InvalidOption, match="significant must be False for a permanent child"):
        ChildSpec("a", Plain, significant=True)
    significant = ChildSpec("a", Plain, kind="transient", significant=True)
    with pytest.raises(InvalidOption, match="significant"):
        Supervisor.start([significant])
    sup = pooled_stage.start()
    with pytest.raises(InvalidOption, match="significant"):
        sup.start_child(significant)
    with pytest.raises(InvalidOption, match="ChildSpec"):
        sup.start_child("hej")


def test_options_are_the_supervisors_own(pooled_stage):
    sup = pooled_stage.start("a", backoff=Backoff(floor_s=3, jitter=0))
    end(ref_of(sup, "a"), ValueError("planted"))
    assert views(sup)["a"].phase == "restarting"
    pooled_stage.clock.advance(3)
    assert settled(sup)["a"].phase == "running"


def test_supervisors_have_a_pool_of_their_own_by_default():
    assert Supervisor()._pooled_pool is default_pool("supervisors") is not default_pool()


WHAT_IS_NO_REFERENCE = {
    "a proxy": lambda ref: ref.proxy(),
    "an actor": lambda ref: ref._actor_weakref(),
    "a pair": lambda ref: (ref, "more"),
    "a pair with a proxy": lambda ref: ["more", ref.proxy()],
}


@only_actors
@pytest.mark.parametrize("what", WHAT_IS_NO_REFERENCE)
def test_a_start_that_returns_no_reference_is_refused_and_leaves_nobody_alive(stage, what):
    sup, started = stage.start("b"), []

    def start():
        started.append(stage.kind.start(stage, "a"))
        return WHAT_IS_NO_REFERENCE[what](started[0])

    with pytest.raises(StartFailed, match="must return the reference to an actor, and that alone"):
        sup.start_child(ChildSpec("a", start))
    assert not started[0].is_alive()
    assert list(views(sup)) == ["b"]


@pytest.mark.parametrize("value", [None, 7, "a", (), object(), pykka.ThreadingFuture()])
def test_a_start_that_returns_something_else_is_refused(stage, value):
    sup = stage.start("b")
    with pytest.raises(StartFailed, match="can't be watched or supervised"):
        sup.start_child(ChildSpec("a", lambda: value))
    assert list(views(sup)) == ["b"]


@only_actors
def test_a_start_that_returns_an_actor_that_has_stopped_is_refused(stage):
    sup, dead = stage.start(), stage.kind.start(stage, "dead")
    end(dead)
    with pytest.raises(StartFailed, match="gave one that has stopped"):
        sup.start_child(ChildSpec("a", lambda: dead))


def test_a_start_that_returns_somebodys_child_or_a_supervisor_above_is_refused_and_harms_nobody(stage):
    top = stage.start("a", stage.spec_of_supervisor("branch", "b"))
    branch, other = ref_of(top, "branch"), stage.start("c")
    for ref in (ref_of(top, "a"), ref_of(other, "c"), branch, top):
        for start in (lambda ref=ref: ref, lambda ref=ref: ref.proxy()):
            with pytest.raises(StartFailed):
                branch.start_child(ChildSpec("d", start))
            assert ref.is_alive()
    assert list(views(branch)) == ["b"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(), RecursionError()])
def test_whatever_a_start_raises_is_the_childs_failure(stage, error):
    sup = stage.start("b")

    def start():
        raise error

    with pytest.raises(StartFailed) as caught:
        sup.start_child(ChildSpec("a", start))
    assert caught.value.error is error
    assert list(views(sup)) == ["b"]


class Unspeakable(Exception):
    """Whatever it is asked for, it raises."""

    def __str__(self):
        raise RuntimeError("detached")

    __repr__ = __str__


class Unanswering(Unspeakable):
    @property
    def __class__(self):
        raise RuntimeError("detached")

    @property
    def __traceback__(self):
        raise RuntimeError("detached")


@pytest.mark.parametrize("error", [Unspeakable, Unanswering])
def test_an_exception_that_answers_nothing_is_a_failed_start_and_no_more(stage, error):
    sup = stage.start("b")

    def fail():
        raise error

    with pytest.raises(StartFailed):
        sup.start_child(ChildSpec("a", fail))
    assert sup.which_child("b").phase == "running"


@pytest.mark.parametrize("hook", ["on_start", "on_receive"])
def test_one_that_has_no_text_is_the_childs_failure_and_no_more(stage, hook):
    sup = stage.start("b", intensity=5)

    def fail():
        raise Unspeakable

    if hook == "on_start":
        stage.script["a", "on_start"] = fail
        with pytest.raises(StartFailed):
            sup.start_child(stage.spec("a"))
    else:
        ref_of(sup, "b").tell(fail)
        stage.book.wait_for("on_start", "b", count=2)
    in_phase(sup, "b", "running")
