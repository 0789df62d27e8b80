"""The tree of a Supervisor, whatever those below it are at."""

import threading

import pytest
from stage import end, in_phase, ref_of, until

from lightspeed.actors import Ignore
from lightspeed.actors.errors import AskRing, StartFailed, SupervisorStopped, SupervisorTimeout
from lightspeed.supervision import Backoff, ChildSpec, Supervisor
from lightspeed.supervision.asking import wait_here
from lightspeed.supervision.children import Branch, Phase
from lightspeed.supervision.gathering import Gathering


def below(tree):
    return {child.id: child for child in tree.children}


def test_a_tree_goes_down_into_supervisors_in_the_order_of_starts(stage):
    inner = stage.spec_of_supervisor("inner", "c", children=[stage.spec_of_supervisor("innermost", "d")])
    sup = stage.start(children=[stage.spec("a"), inner, stage.spec("b")])
    assert str(sup.tree()) == (
        "Supervisor [running] supervisor\n"
        "|- a [running] worker\n"
        "|- inner [running] supervisor\n"
        "|  |- c [running] worker\n"
        "|  `- innermost [running] supervisor\n"
        "|     `- d [running] worker\n"
        "`- b [running] worker"
    )


def test_the_topmost_supervisor_has_the_name_of_its_class(pooled_stage):
    class Night(Supervisor):
        pass

    assert Night.start(**pooled_stage.options()).tree().id == "Night"


def test_a_restart_is_counted_where_it_was_wanted(stage):
    sup = stage.start("a", "b", strategy="one_for_all", intensity=5)
    for _ in range(2):
        first = ref_of(sup, "a")
        end(first, ValueError("planted"))
        until(sup, lambda seen, first=first: seen["a"].phase == seen["b"].phase == "running" and seen["a"].ref != first)
    assert {child.id: child.restarts for child in sup.tree().children} == {"a": 2, "b": 0}


def test_a_child_without_an_actor_shows_why(pooled_stage):
    stage = pooled_stage
    stage.fail("ignores", "on_start", Ignore())
    sup = stage.start("ignores", "waits", "terminated", backoff=Backoff(floor_s=3, jitter=0))
    sup.terminate_child("terminated")
    end(ref_of(sup, "waits"), ValueError("planted"))
    in_phase(sup, "waits", "restarting")
    phases = {child.id: child.phase for child in sup.tree().children}
    assert phases == {"ignores": "stopped", "waits": "restarting", "terminated": "stopped"}


def test_a_supervisor_that_waits_for_its_restart_has_no_children(pooled_stage):
    stage = pooled_stage
    sup = stage.start(children=[stage.spec_of_supervisor("inner", "a", intensity=0)], backoff=Backoff(floor_s=3, jitter=0))
    inner = ref_of(sup, "inner")
    end(ref_of(inner, "a"), ValueError("planted"))
    in_phase(sup, "inner", "restarting")
    assert str(sup.tree()).splitlines()[1:] == ["`- inner [restarting] supervisor, 1 restart"]


@pytest.mark.slow
def test_a_supervisor_below_that_does_not_answer_is_silent_and_hides_no_other(pooled_stage):
    stage = pooled_stage
    inside, go_on = threading.Event(), threading.Event()

    def blocks():
        inside.set()
        go_on.wait(20)
        raise Ignore

    branches = [stage.spec_of_supervisor(name, f"{name}'s") for name in ("first", "stuck", "last")]
    sup = stage.start(children=[stage.spec_of_supervisor("branch", children=branches), *branches[:1]])
    stuck = ref_of(ref_of(sup, "branch"), "stuck")
    starting = stage.soon(stuck.start_child, ChildSpec("blocks", blocks))
    assert inside.wait(20)
    assert str(sup.tree(timeout_s=0.5)) == (
        "Supervisor [running] supervisor\n"
        "|- branch [running] supervisor\n"
        "|  |- first [running] supervisor\n"
        "|  |  `- first's [running] worker\n"
        "|  |- stuck [silent] supervisor\n"
        "|  `- last [running] supervisor\n"
        "|     `- last's [running] worker\n"
        "`- first [running] supervisor\n"
        "   `- first's [running] worker"
    )
    with pytest.raises(SupervisorTimeout, match="tree"):
        stuck.tree(timeout_s=0.01)
    go_on.set()
    assert starting.result(20) is None
    assert below(stuck.tree()).keys() == {"stuck's", "blocks"}


def test_a_supervisor_below_that_died_behind_the_answer_of_the_one_above_is_ended(pooled_stage):
    stage = pooled_stage
    sup = stage.start(children=[stage.spec_of_supervisor("dead", "a"), stage.spec_of_supervisor("alive", "b")])
    answer = Branch(Phase.UP, sup.which_children())
    ref_of(sup, "dead").stop()
    gathering = Gathering(sup)
    gathering.told(sup, answer)
    assert str(wait_here(gathering.tree(timeout_s=20))) == (
        "Supervisor [running] supervisor\n|- dead [ended] supervisor\n`- alive [running] supervisor\n   `- b [running] worker"
    )


def test_a_supervisor_that_is_gone_has_no_tree(pooled_stage):
    sup = pooled_stage.start("a")
    sup.stop()
    for _ in range(2):
        with pytest.raises(SupervisorStopped):
            sup.tree()


def test_a_tree_is_refused_to_what_its_own_supervisor_is_just_running(pooled_stage):
    sup = pooled_stage.start("a")
    with pytest.raises(StartFailed) as caught:
        sup.start_child(ChildSpec("looks", lambda: sup.tree(timeout_s=20)))
    assert isinstance(caught.value.error, AskRing)
    assert below(sup.tree()).keys() == {"a"}


def test_a_supervisor_that_stops_shows_what_it_waits_for(pooled_stage):
    stage = pooled_stage
    sup = stage.start("a", "b")
    go_on = stage.hold("b", "on_stop")
    stopping = stage.soon(sup.stop)
    stage.book.wait_for("on_stop", "b")
    tree = sup.tree()
    assert (tree.phase, [child.phase for child in tree.children]) == ("stopping", ["running", "stopping"])
    go_on.set()
    assert stopping.result(20)


def test_a_deep_tree_is_no_trouble(pooled_stage):
    stage = pooled_stage
    spec = stage.spec("leaf")
    for depth in range(50):
        spec = ChildSpec(depth, (Supervisor, (), stage.options(children=[spec])))
    tree = stage.start(children=[spec]).tree()
    depth = 0
    while tree.children:
        (tree,), depth = tree.children, depth + 1
    assert (tree.id, depth) == ("leaf", 51)
