"""How supervisors stop; after the stop group of OTP's supervisor_SUITE, and named after its cases."""

import pykka
import pytest
from stage import Ear, end, in_phase, ref_of, views

from lightspeed.actors import Shutdown, watch
from lightspeed.actors.errors import SupervisorStopped
from lightspeed.supervision import Backoff


def test_children_stop_in_reverse_each_after_the_one_behind_it(stage):
    sup = stage.start("a", "b", "c")
    go_on = stage.hold("b", "on_stop")
    stopping = sup.stop(block=False)
    stage.book.wait_for("on_stop", "b")
    assert stage.book.of("on_stop") == ["c", "b"]
    assert sup.is_alive()
    go_on.set()
    assert stopping.get(timeout=20)
    assert stage.book.of("on_stop") == ["c", "b", "a"]
    assert not sup.is_alive()


def test_what_a_child_was_told_before_its_stop_is_handled(stage):
    sup = stage.start("a")
    ref_of(sup, "a").tell(lambda: stage.book.write("handled", "a"))
    sup.stop()
    assert stage.book.of("handled") == ["a"]


def test_sup_stop_infinity(stage):
    sup = stage.start(stage.spec("a", shutdown_s="infinity"))
    go_on = stage.hold("a", "on_stop")
    stopping = sup.stop(block=False)
    stage.book.wait_for("on_stop", "a")
    stage.clock.advance(1e9)
    assert in_phase(sup, "a", "stopping").ref is not None
    go_on.set()
    assert stopping.get(timeout=20)
    assert stage.book.of("on_stop") == ["a"]


def test_sup_stop_timeout(stage):
    sup = stage.start("a", stage.spec("b", shutdown_s=1))
    stage.hold("b", "on_stop")
    stopping = sup.stop(block=False)
    stage.book.wait_for("on_stop", "b")
    in_phase(sup, "b", "stopping")
    stage.clock.advance(0.9)
    assert views(sup)["b"].phase == "stopping"
    assert sup.count_children().abandoned == 0
    stage.clock.advance(0.2)
    assert stopping.get(timeout=20)
    assert stage.book.of("on_stop") == ["b", "a"]


def test_sup_stop_timeout_dynamic(stage):
    sup = stage.start()
    for name in ("a", "b"):
        sup.start_child(stage.spec(name, kind="temporary", shutdown_s=1))
    go_on = stage.hold("b", "on_stop")
    stuck, ear = ref_of(sup, "b"), Ear()
    watch(stuck, ear)
    stopping = sup.stop(block=False)
    stage.book.wait_for("on_stop", "b")
    in_phase(sup, "b", "stopping")
    stage.clock.advance(1)
    assert stopping.get(timeout=20)
    assert stage.book.of("on_stop") == ["b", "a"]
    go_on.set()
    assert ear.next().reason.kind == "normal"


def test_sup_stop_brutal_kill(stage):
    sup = stage.start("a", stage.spec("b", shutdown_s="brutal_kill"))
    go_on = stage.hold("b", "on_stop")
    ear = Ear()
    watch(ref_of(sup, "b"), ear)
    assert sup.stop()
    assert "a" in stage.book.of("on_stop")
    assert ear.downs == []
    go_on.set()
    assert ear.next().reason.kind == "normal"


def test_sup_stop_brutal_kill_dynamic(stage):
    sup = stage.start()
    ears = []
    for number in range(10):
        ears.append(Ear())
        watch(sup.start_child(stage.spec(str(number), kind="temporary", shutdown_s="brutal_kill")), ears[-1])
    assert sup.stop()
    assert {ear.next().reason.kind for ear in ears} == {"normal"}


@pytest.mark.parametrize("kind", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("how", [None, Shutdown("test"), ValueError("planted")], ids=["normal", "shutdown", "abnormal"])
def test_sup_stop_race(stage, kind, how):
    """Children that end by themselves while it stops are not restarted, and it ends well."""
    sup = stage.start("first", stage.spec("a", kind=kind), stage.spec("b", kind=kind), "last")
    go_on = stage.hold("last", "on_stop")
    refs = [ref_of(sup, name) for name in ("a", "b")]
    stopping = sup.stop(block=False)
    stage.book.wait_for("on_stop", "last")
    for ref in refs:
        end(ref, how)
    go_on.set()
    assert stopping.get(timeout=20)
    assert stage.book.of("on_start") == ["first", "a", "b", "last"]
    assert stage.book.of("on_stop")[-1] == "first"


@pytest.mark.parametrize("kind", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("error", [ValueError("planted"), SystemExit(), Shutdown()])
def test_sup_stop_non_shutdown_exit_dynamic(stage, kind, error):
    """Children that fail in their stop are stopped all the same."""
    sup = stage.start()
    for name in "abc":
        sup.start_child(stage.spec(name, kind=kind))
        stage.fail(name, "on_stop", error)
    assert sup.stop()
    assert stage.book.of("on_stop") == ["c", "b", "a"]


def test_a_stop_during_a_restart_stops_who_is_starting_too(stage):
    sup = stage.start("a", "b", strategy="one_for_all")
    go_on = stage.hold("b", "on_start")
    end(ref_of(sup, "a"), ValueError("planted"))
    stage.book.wait_for("on_start", "b", count=2)
    stopping = sup.stop(block=False)
    go_on.set()
    assert stopping.get(timeout=20)
    assert stage.book.of("on_start") == ["a", "b", "a", "b"]
    assert stage.book.of("on_stop") == ["b", "b", "a"]


def test_a_stop_during_a_restart_waits_for_a_blocked_start_no_longer_than_for_a_stop(stage):
    sup = stage.start("a", stage.spec("b", shutdown_s=2), start_timeout_s=100)
    stage.hold("b", "on_start")
    end(ref_of(sup, "b"), ValueError("planted"))
    in_phase(sup, "b", "starting")
    stopping = sup.stop(block=False)
    in_phase(sup, "b", "stopping")
    stage.clock.advance(2)
    assert stopping.get(timeout=20)
    assert stage.book.of("on_stop") == ["a"]


def test_a_stop_calls_a_retry_off(stage):
    sup = stage.start("a", backoff=Backoff())
    end(ref_of(sup, "a"), ValueError("planted"))
    in_phase(sup, "a", "restarting")
    assert sup.stop()
    stage.clock.advance(100)
    assert stage.book.of("on_start") == ["a"]


def test_while_it_stops_it_refuses_what_is_asked_and_says_how_far_it_is(stage):
    sup = stage.start("a", "b")
    go_on = stage.hold("a", "on_stop")
    stopping = sup.stop(block=False)
    stage.book.wait_for("on_stop", "a")
    assert {name: view.phase for name, view in until_stopping(sup).items()} == {"a": "stopping", "b": "stopped"}
    for call in (sup.terminate_child, sup.restart_child, sup.delete_child):
        with pytest.raises(SupervisorStopped):
            call("b")
    with pytest.raises(SupervisorStopped):
        sup.start_child(stage.spec("c"))
    go_on.set()
    assert stopping.get(timeout=20)


def until_stopping(sup):
    in_phase(sup, "a", "stopping")
    return views(sup)


def test_a_dead_supervisor_is_answered_for(pooled_stage):
    sup = pooled_stage.start("a")
    sup.stop()
    calls = [sup.which_children, sup.count_children, lambda: sup.terminate_child("a"), lambda: sup.restart_child("a")]
    for call in (*calls, lambda: sup.delete_child("a"), lambda: sup.start_child(pooled_stage.spec("a"))):
        with pytest.raises(SupervisorStopped, match="the supervisor is stopping or has stopped"):
            call()
    assert not sup.stop()


def test_a_job_under_way_is_answered_when_the_supervisor_stops(stage):
    sup = stage.start()
    go_on = stage.hold("a", "on_start")
    starting = stage.soon(sup.start_child, stage.spec("a"))
    stage.book.wait_for("on_start", "a")
    behind = stage.soon(sup.terminate_child, "a")
    in_phase(sup, "a", "starting")
    stopping = sup.stop(block=False)
    assert isinstance(starting.exception(20), SupervisorStopped)
    assert isinstance(behind.exception(20), SupervisorStopped)
    go_on.set()
    assert stopping.get(timeout=20)


@pytest.mark.parametrize("how", [lambda sup: sup.stop(block=False).get(timeout=20), lambda sup: sup._actor.stop()])
def test_every_way_to_stop_an_actor_stops_it(stage, how):
    sup, ear = stage.start("a", "b"), Ear()
    watch(sup, ear)
    how(sup)
    assert ear.next().reason.kind == "normal"
    assert stage.book.of("on_stop") == ["b", "a"]


def test_several_stops_are_all_answered_when_it_has_ended(stage):
    sup = stage.start("a")
    go_on = stage.hold("a", "on_stop")
    stops = [sup.stop(block=False) for _ in range(3)]
    stage.book.wait_for("on_stop", "a")
    for stop in stops:
        with pytest.raises(pykka.Timeout):
            stop.get(timeout=0)
    go_on.set()
    for stop in stops:
        stop.get(timeout=20)
    assert not sup.is_alive()


def test_pykkas_stop_all_ends_a_tree(stage):
    """It stops children first, which may be restarted; in the end there is nobody."""
    stage.start("a", stage.spec_of_supervisor("sup", "b", "c"), intensity=100)
    pykka.ActorRegistry.stop_all(timeout=20)
    assert pykka.ActorRegistry.get_all() == []


def test_a_fault_of_its_own_ends_it_in_good_order(stage, monkeypatch):
    sup, ear = stage.start("a", "b"), Ear()
    watch(sup, ear)

    def faulty(_restarts, _child):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr("lightspeed.supervision.child_jobs.ChildJobs.recover", faulty)
    end(ref_of(sup, "b"))
    assert isinstance(ear.next().reason.error, ZeroDivisionError)
    assert stage.book.of("on_stop") == ["b", "a"]


def test_a_fault_in_its_very_end_still_tells_every_child_to_stop(stage, monkeypatch):
    sup, ear = stage.start("a", "b"), Ear()
    watch(sup, ear)

    def faulty(_supervisor):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr("lightspeed.supervision.supervisor.Supervisor._stop_all", faulty)
    sup.stop(block=False)
    assert isinstance(ear.next().reason.error, ZeroDivisionError)
    stage.book.wait_for("on_stop", "a")
    stage.book.wait_for("on_stop", "b")
