"""Significant children; after the significant group of OTP's supervisor_SUITE, and named after its cases."""

import pytest
from stage import Ear, end, ref_of, settled, views

from lightspeed.actors import Shutdown, watch
from lightspeed.actors.errors import SupervisorStopped

ABNORMAL = ValueError("planted")
ENDS = [None, Shutdown(), ABNORMAL]
MODES = ["never", "any_significant", "all_significant"]


def ended(sup):
    """What became of it: an Ear that hears its end."""
    ear = Ear()
    watch(sup, ear)
    return ear


def lives(sup):
    """It does, also when all has settled."""
    try:
        settled(sup)
    except SupervisorStopped:
        return False
    return sup.is_alive()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ENDS)
def test_nonsignificant_temporary(stage, mode, how):
    sup = stage.start(stage.spec("a", kind="temporary"), stage.spec("b", kind="temporary"), auto_shutdown=mode)
    end(ref_of(sup, "a"), how)
    sup.terminate_child("b")
    assert lives(sup)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ENDS)
def test_nonsignificant_transient(stage, mode, how):
    sup = stage.start(stage.spec("a", kind="transient"), stage.spec("b", kind="transient"), auto_shutdown=mode)
    end(ref_of(sup, "a"), how)
    sup.terminate_child("b")
    assert lives(sup)


def three(stage, mode, kind):
    significant = [stage.spec(name, kind=kind, significant=True) for name in "ab"]
    return stage.start(*significant, stage.spec("c", kind=kind), auto_shutdown=mode, intensity=5)


@pytest.mark.parametrize("kind", ["temporary", "transient"])
@pytest.mark.parametrize("how", ENDS)
def test_significant_any(stage, kind, how):
    """significant_temporary and significant_transient, any_significant."""
    sup = three(stage, "any_significant", kind)
    ear = ended(sup)
    sup.terminate_child("b")
    assert lives(sup)
    end(ref_of(sup, "a"), how)
    if kind == "transient" and how is ABNORMAL:
        assert lives(sup)  # it was restarted
        return
    reason = ear.next().reason
    assert reason.kind == "shutdown"
    assert str(reason.error) == "shutdown: its significant child 'a' ended"
    assert stage.book.of("on_stop")[-1] == "c"


@pytest.mark.parametrize("kind", ["temporary", "transient"])
@pytest.mark.parametrize("how", ENDS[:2])
def test_significant_all(stage, kind, how):
    """significant_temporary and significant_transient, all_significant."""
    sup = three(stage, "all_significant", kind)
    ear = ended(sup)
    end(ref_of(sup, "c"), how)
    end(ref_of(sup, "a"), how)
    assert lives(sup)
    end(ref_of(sup, "b"), how)
    assert ear.next().reason.kind == "shutdown"


def test_significant_all_the_last_is_told_to_stop(stage):
    """A terminate is no end by itself; so the supervisor stays, and goes with the next that ends."""
    sup = three(stage, "all_significant", "transient")
    ear = ended(sup)
    sup.terminate_child("a")
    sup.terminate_child("b")
    assert lives(sup)
    end(sup.restart_child("a"))
    assert ear.next().reason.kind == "shutdown"


def test_significant_simple(stage):
    sup = stage.start(auto_shutdown="all_significant")
    ear = ended(sup)
    refs = [sup.start_child(stage.spec(number, kind="temporary", significant=True)) for number in range(10)]
    for ref in refs[:-1]:
        end(ref)
    assert lives(sup)
    end(refs[-1])
    assert ear.next().reason.kind == "shutdown"


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("mode", MODES[1:])
def test_significant_bystander(stage, strategy, mode):
    """A significant child that is stopped since another one is restarted is no reason."""
    children = [stage.spec(name, kind="transient", significant=name != "b") for name in "abc"]
    sup = stage.start(*children, strategy=strategy, auto_shutdown=mode, intensity=5)
    end(ref_of(sup, "b"), ABNORMAL)
    assert lives(sup)
    assert {view.phase for view in views(sup).values()} == {"running"}


@pytest.mark.parametrize("significant", [True, False])
def test_significant_escalation(stage, significant):
    inner = stage.spec_of_supervisor(
        "inner",
        stage.spec("a", kind="transient", significant=True),
        auto_shutdown="any_significant",
        kind="transient",
        significant=significant,
    )
    sup = stage.start(inner, "b", auto_shutdown="any_significant")
    ear, inner_ear = ended(sup), ended(ref_of(sup, "inner"))
    end(ref_of(ref_of(sup, "inner"), "a"))
    assert inner_ear.next().reason.kind == "shutdown"
    if significant:
        assert ear.next().reason.kind == "shutdown"
    else:
        assert lives(sup)
        assert views(sup)["inner"].phase == "stopped"
