"""Who is restarted and when; after the kinds and the strategies of OTP's supervisor_SUITE, and named after its cases."""

import random

import pykka
import pytest
from stage import Ear, counts, end, in_phase, only_actors, ref_of, settled, views

from lightspeed.actors import Ignore, Shutdown, watch
from lightspeed.actors.errors import RestartsExceeded, StartFailed, SupervisorStopped
from lightspeed.supervision import Backoff

ABNORMAL = ValueError("planted")


def alive_after(stage, kind, how):
    """Whether a child of the kind has another actor after such an end, and whether it is in the list."""
    sup = stage.start("bystander")
    first = sup.start_child(stage.spec("a", kind=kind))
    end(first, how)
    after = settled(sup)
    assert stage.book.of("on_start").count("bystander") == 1
    return "a" in after and after["a"].ref is not None and after["a"].ref != first, "a" in after


def test_permanent_normal(stage):
    assert alive_after(stage, "permanent", None) == (True, True)


def test_transient_normal(stage):
    assert alive_after(stage, "transient", None) == (False, True)


def test_temporary_normal(stage):
    assert alive_after(stage, "temporary", None) == (False, False)


def test_permanent_shutdown(stage):
    assert alive_after(stage, "permanent", Shutdown("info")) == (True, True)


def test_transient_shutdown(stage):
    assert alive_after(stage, "transient", Shutdown("info")) == (False, True)


def test_temporary_shutdown(stage):
    assert alive_after(stage, "temporary", Shutdown("info")) == (False, False)


def test_permanent_abnormal(stage):
    assert alive_after(stage, "permanent", ABNORMAL) == (True, True)


def test_transient_abnormal(stage):
    assert alive_after(stage, "transient", ABNORMAL) == (True, True)


def test_temporary_abnormal(stage):
    assert alive_after(stage, "temporary", ABNORMAL) == (False, False)


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_transient_base_exception(stage, error):
    assert alive_after(stage, "transient", error) == (True, True)


@only_actors
@pytest.mark.parametrize("message", [SystemExit(), Shutdown("in an ask")])
def test_an_end_in_an_ask_is_one_too(stage, message):
    sup = stage.start("a")

    def fail():
        raise message

    asked = ref_of(sup, "a").ask(fail, block=False)
    with pytest.raises((SystemExit, pykka.ActorDeadError)):
        asked.get(timeout=20)
    stage.book.wait_for("on_start", "a", count=2)
    assert settled(sup)["a"].phase == "running"


@pytest.mark.parametrize("hook", ["on_stop", "on_failure"])
def test_a_failure_in_a_last_hook_is_an_end_like_any_other(stage, hook):
    sup = stage.start(stage.spec("a", kind="transient"))
    stage.fail("a", hook, SystemExit())
    end(ref_of(sup, "a"), None if hook == "on_stop" else ABNORMAL)
    assert settled(sup)["a"].phase == "running"
    stage.script.clear()


@only_actors
def test_an_end_at_once_after_the_start_is_one_too(stage):
    """on_start has returned, and the actor has stopped itself: started, and ended."""
    sup = stage.start()
    actors = []

    class Brief(stage.kind):
        def on_start(self):
            super().on_start()
            actors.append(self)
            if len(actors) == 1:
                self.stop()

    assert sup.start_child(stage.spec("a", cls=Brief)) is not None
    stage.book.wait_for("on_start", "a", count=2)
    assert settled(sup)["a"].phase == "running"


def test_temporary_bystander(stage):
    """A temporary child that is stopped since its neighbour is restarted is not started again."""
    for strategy in ("one_for_all", "rest_for_one"):
        sup = stage.start("a", stage.spec("b", kind="temporary"), strategy=strategy)
        end(ref_of(sup, "a"))
        assert list(settled(sup)) == ["a"]
        assert counts(sup) == [1, 1, 0, 1]


def test_multiple_restarts(stage):
    sup = stage.start("a", intensity=1, period_s=1)
    for _ in range(5):
        end(ref_of(sup, "a"), ABNORMAL)
        settled(sup)
        stage.clock.advance(1.1)
    assert stage.book.of("on_start") == ["a"] * 6
    sup.terminate_child("a")
    sup.delete_child("a")


def exceed(sup, child_id="a"):
    """End the child until its supervisor gives up, and return why it did."""
    ear = Ear()
    watch(sup, ear)
    try:
        while True:
            end(settled(sup)[child_id].ref, ABNORMAL)
    except SupervisorStopped:
        return ear.next().reason


def test_one_for_one(stage):
    sup = stage.start("a", "b", intensity=2)
    first, second = ref_of(sup, "a"), ref_of(sup, "b")
    end(first, ABNORMAL)
    after = settled(sup)
    assert after["b"].ref == second
    assert after["a"].ref != first
    assert counts(sup) == [2, 2, 0, 2]
    reason = exceed(sup, "b")
    assert isinstance(reason.error, RestartsExceeded)
    assert (reason.kind, reason.error.child_id, reason.error.error) == ("abnormal", "b", ABNORMAL)
    assert str(reason.error) == "more than 2 restarts in 5 s, the last one wanted by child 'b'"
    assert stage.book.of("on_start") == ["a", "b", "a", "b"]
    assert stage.book.of("on_stop") == ["a"]


def fail_restarts(stage, name):
    """The child's first start is good, and no other."""
    stage.fail(name, "on_start")


@pytest.mark.parametrize(
    ("strategy", "faulty", "stopped"),
    [
        ("one_for_one", "a", ["c", "b"]),
        ("one_for_all", "b", ["c", "b", "a", "a", "a", "a"]),
        ("rest_for_one", "b", ["c", "a"]),
    ],
    ids=["one_for_one_escalation", "one_for_all_escalation", "rest_for_one_escalation"],
)
def test_escalation(stage, strategy, faulty, stopped):
    """A restart that fails is tried again, each try counts, and in the end the supervisor fails."""
    sup, ear = stage.start("a", "b", "c", strategy=strategy, intensity=4), Ear()
    watch(sup, ear)
    fail_restarts(stage, faulty)
    first = "a" if strategy == "one_for_all" else faulty
    end(ref_of(sup, first), ABNORMAL)
    reason = ear.next().reason
    assert isinstance(reason.error, RestartsExceeded)
    assert stage.book.of("on_start").count(faulty) == 5
    if strategy == "one_for_all":
        assert stage.book.of("on_stop") == ["c", "b", "a", "a", "a", "a"]
    else:
        assert stage.book.of("on_stop") == stopped


def test_one_for_all(stage):
    sup = stage.start("a", "b", "c", strategy="one_for_all", intensity=2)
    before = {view.ref for view in sup.which_children()}
    end(ref_of(sup, "b"), ABNORMAL)
    after = {view.ref for view in settled(sup).values()}
    assert not before & after
    assert stage.book.of("on_stop") == ["c", "a"]
    assert stage.book.of("on_start") == ["a", "b", "c"] * 2
    assert counts(sup) == [3, 3, 0, 3]
    assert isinstance(exceed(sup).error, RestartsExceeded)


def test_one_for_all_starts_whoever_is_in_the_list(stage):
    """Who was terminated before, too; as OTP's does."""
    sup = stage.start("a", "b", strategy="one_for_all")
    sup.terminate_child("b")
    end(ref_of(sup, "a"), ABNORMAL)
    assert {view.phase for view in settled(sup).values()} == {"running"}


def test_one_for_all_other_child_fails_restart(stage):
    """A restart in which another child fails begins again, and stops who had been restarted."""
    sup = stage.start("a", "b", strategy="one_for_all", intensity=3)
    stage.book.lines.clear()
    tries = []

    def fail_once():
        tries.append(1)
        if len(tries) == 1:
            raise ABNORMAL

    stage.script["b", "on_start"] = fail_once
    end(ref_of(sup, "a"), ABNORMAL)
    stage.book.wait_for("on_start", "b", count=2)
    settled(sup)
    starts_and_stops = [line for line in stage.book.lines if line[0] != "on_failure"]
    assert starts_and_stops == [
        *(("on_stop", "b"), ("on_start", "a"), ("on_start", "b")),
        *(("on_stop", "a"), ("on_start", "a"), ("on_start", "b")),
    ]


def test_rest_for_one(stage):
    sup = stage.start("a", "b", "c", strategy="rest_for_one", intensity=2)
    before = {name: view.ref for name, view in views(sup).items()}
    end(before["b"], ABNORMAL)
    after = {name: view.ref for name, view in settled(sup).items()}
    assert [after[name] == before[name] for name in "abc"] == [True, False, False]
    assert stage.book.of("on_stop") == ["c"]
    assert stage.book.of("on_start") == ["a", "b", "c", "b", "c"]
    assert isinstance(exceed(sup, "c").error, RestartsExceeded)


def test_rest_for_one_other_child_fails_restart(stage):
    """A restart in which a later child fails goes on from there: who was restarted before it stays."""
    sup = stage.start("a", "b", "c", strategy="rest_for_one", intensity=3)
    stage.book.lines.clear()
    tries = []

    def fail_once():
        tries.append(1)
        if len(tries) == 1:
            raise ABNORMAL

    stage.script["b", "on_start"] = fail_once
    end(ref_of(sup, "a"), ABNORMAL)
    stage.book.wait_for("on_start", "b", count=2)
    settled(sup)
    assert stage.book.of("on_stop") == ["c", "b"]
    assert stage.book.of("on_start") == ["a", "b", "b", "c"]


def test_simple_one_for_one(stage):
    """Children that were added: the one that fails is restarted, and the bound is that of the supervisor."""
    sup = stage.start(intensity=2)
    first, second = (sup.start_child(stage.spec(name)) for name in "ab")
    end(first, ABNORMAL)
    assert settled(sup)["b"].ref == second
    assert isinstance(exceed(sup, "b").error, RestartsExceeded)


def test_simple_one_for_one_escalation(stage):
    sup, ear = stage.start(intensity=4), Ear()
    watch(sup, ear)
    for name in "ab":
        sup.start_child(stage.spec(name))
    fail_restarts(stage, "a")
    end(ref_of(sup, "a"), ABNORMAL)
    assert isinstance(ear.next().reason.error, RestartsExceeded)
    assert stage.book.of("on_stop") == ["b"]


def test_simple_one_for_one_shutdown(stage):
    """Of children that take their time, those within their deadline stop, and those beyond are abandoned."""
    sup = stage.start()
    for name in "abc":
        sup.start_child(stage.spec(name, shutdown_s=2))
    slow, gone = stage.hold("a", "on_stop"), stage.hold("c", "on_stop")
    ear = Ear()
    watch(ref_of(sup, "c"), ear)
    stopping = sup.stop(block=False)
    in_phase(sup, "c", "stopping")
    stage.clock.advance(2)
    in_phase(sup, "a", "stopping")
    stage.clock.advance(1.9)
    slow.set()
    assert stopping.get(timeout=20)
    assert ear.downs == []
    gone.set()
    ear.next()


@pytest.mark.parametrize("kind", ["permanent", "transient"])
def test_simple_one_for_one_restart_ignore(stage, kind):
    """A child that ignores its restart is left without an actor, and that is no failure."""
    sup = stage.start("b", intensity=1)
    ref = sup.start_child(stage.spec("a", kind=kind))
    stage.fail("a", "on_start", Ignore())
    end(ref, ABNORMAL)
    stage.book.wait_for("on_start", "a", count=2)
    assert in_phase(sup, "a", "stopped").ref is None
    assert stage.book.of("on_start") == ["b", "a", "a"]
    stage.script.clear()
    assert sup.restart_child("a").is_alive()


def test_another_child_that_ends_during_a_restart_is_restarted_after_it(stage):
    sup = stage.start("a", "b", "c", strategy="rest_for_one", intensity=3)
    go_on = stage.hold("c", "on_start")
    end(ref_of(sup, "b"), ABNORMAL)
    stage.book.wait_for("on_start", "c", count=2)
    end(ref_of(sup, "a"), ABNORMAL)
    stage.script.clear()
    go_on.set()
    stage.book.wait_for("on_start", "a", count=2)
    settled(sup)
    assert stage.book.of("on_start") == ["a", "b", "c", "b", "c", "a", "b", "c"]
    assert {view.phase for view in sup.which_children()} == {"running"}


def test_an_end_that_a_restart_has_seen_to_is_not_counted_again(stage):
    sup = stage.start("a", "b", strategy="one_for_all", intensity=1)
    go_on = stage.hold("b", "on_stop")
    end(ref_of(sup, "a"), ABNORMAL)
    in_phase(sup, "b", "stopping")
    stage.fail("b", "on_stop")  # for the next one; this one goes on and stops
    go_on.set()
    stage.book.wait_for("on_start", "b", count=2)
    stage.script.clear()
    assert {view.phase for view in settled(sup).values()} == {"running"}


# Backoff; after Akka's specs of BackoffSupervisor and BackoffOnRestartSupervisor


def crash(sup, name="a", how=ABNORMAL):
    """End the child, and see that it waits for its restart: then the clock may go on."""
    end(ref_of(sup, name), how)
    in_phase(sup, name, "restarting")


def test_restart_the_child_with_an_exponential_back_off(stage):
    sup = stage.start("a", intensity=9, backoff=Backoff(floor_s=0.2, cap_s=10, factor=2, jitter=0))
    for delay_s in (0.2, 0.4, 0.8):
        crash(sup)
        stage.clock.advance(delay_s - 0.01)
        assert views(sup)["a"].phase == "restarting"
        stage.clock.advance(0.02)
        in_phase(sup, "a", "running")
    assert stage.book.of("on_start") == ["a"] * 4


def test_start_child_again_when_it_stops(stage):
    sup = stage.start("a", backoff=Backoff(floor_s=3, jitter=0))
    crash(sup, how=None)
    stage.clock.advance(3)
    assert in_phase(sup, "a", "running")


def test_a_child_that_was_quiet_starts_afresh(stage):
    sup = stage.start("a", intensity=9, backoff=Backoff(floor_s=1, factor=10, cap_s=1000, jitter=0, quiet_s=60))
    for _ in range(3):
        crash(sup)
        stage.clock.advance(1)
        settled(sup)
        stage.clock.advance(60)


def test_each_child_has_a_backoff_of_its_own(stage):
    sup = stage.start("a", "b", intensity=9, backoff=Backoff(floor_s=1, factor=10, cap_s=1000, jitter=0))
    crash(sup)
    stage.clock.advance(1)
    settled(sup)
    crash(sup)
    crash(sup, "b")
    stage.clock.advance(1)
    assert in_phase(sup, "b", "running")
    assert views(sup)["a"].phase == "restarting"


def test_jitter_comes_from_the_randomness_that_was_passed_in(stage):
    backoff = Backoff(floor_s=10, cap_s=100, jitter=1)
    sup = stage.start("a", backoff=backoff, randomness=random.Random(5))
    expected_s, _state = backoff.next(None, 0.0, random.Random(5))
    crash(sup)
    stage.clock.advance(expected_s - 0.001)
    assert views(sup)["a"].phase == "restarting"
    stage.clock.advance(0.002)
    assert in_phase(sup, "a", "running")


def test_accept_commands_while_child_is_terminating(stage):
    sup = stage.start("a", "b")
    go_on = stage.hold("a", "on_failure")
    dying = ref_of(sup, "a")
    dying.tell(lambda: 1 / 0)
    stage.book.wait_for("on_failure", "a")
    assert views(sup)["a"].ref == dying
    sup.terminate_child("b")
    go_on.set()
    stage.book.wait_for("on_start", "a", count=2)
    assert settled(sup)["a"].ref != dying


def test_respect_max_nr_of_retries_and_within_time_range(stage):
    backoff = Backoff(floor_s=1, cap_s=1, jitter=0)
    sup, ear = stage.start("a", intensity=3, period_s=4, backoff=backoff), Ear()
    watch(sup, ear)
    for _ in range(4):  # every 2 s: never more than three in 4 s
        crash(sup)
        stage.clock.advance(1)
        in_phase(sup, "a", "running")
        stage.clock.advance(1)
    for _ in range(2):  # and now every second
        crash(sup)
        stage.clock.advance(1)
        in_phase(sup, "a", "running")
    end(ref_of(sup, "a"), ABNORMAL)
    assert isinstance(ear.next().reason.error, RestartsExceeded)


def test_stop_on_exceptions_as_dictated(stage):
    """What is not restarted waits for no backoff."""
    sup = stage.start(stage.spec("a", kind="transient"), backoff=Backoff(cap_s=100))
    end(ref_of(sup, "a"), Shutdown())
    assert views(sup)["a"].phase == "stopped"


def test_a_restart_that_fails_waits_longer_for_the_next_try(stage):
    sup = stage.start("a", intensity=9, backoff=Backoff(floor_s=1, factor=2, cap_s=100, jitter=0))
    stage.fail("a", "on_start")
    crash(sup)
    for count, delay_s in ((2, 1), (3, 2), (4, 4)):
        in_phase(sup, "a", "restarting")
        stage.clock.advance(delay_s)
        stage.book.wait_for("on_start", "a", count=count)
    in_phase(sup, "a", "restarting")
    stage.script.clear()
    stage.clock.advance(8)
    assert in_phase(sup, "a", "running")


def test_the_error_of_a_failed_start_is_that_of_the_last_try(stage):
    sup, ear = stage.start("a", intensity=1), Ear()
    watch(sup, ear)
    stage.fail("a", "on_start", OSError("disk"))
    end(ref_of(sup, "a"), ABNORMAL)
    error = ear.next().reason.error
    assert isinstance(error.error, OSError)
    assert not isinstance(error, StartFailed)
