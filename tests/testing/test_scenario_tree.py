"""A tree is data, as all of a scenario; what is done to it is done by one keeper, in order."""

import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import Backoff, Join
from lightspeed.testing import Case, Scenario, ScenarioChild, ScenarioTree, Sending, Simulation, TreeAct, play, shrink
from lightspeed.testing.scenario_tree import BRANCH, KEEPER
from lightspeed.testing.workers import WORKERS

TREE = ScenarioTree(
    (
        ScenarioChild("a"),
        ScenarioChild("b", "shaky", "transient", significant=True, shutdown_s="brutal_kill"),
        ScenarioChild("c", BRANCH, shutdown_s=1.5),
    ),
    strategy="rest_for_one",
    intensity=3,
    period_s=1.0,
    auto_shutdown="any_significant",
    backoff=Backoff(floor_s=0.5),
)


def acts(*whats):
    return tuple(Sending(TreeAct(*what.split())) for what in whats)


def test_a_scenario_with_a_tree_is_the_same_from_its_json():
    start = TreeAct("start_child", "d", ScenarioChild("d", kind="temporary"))
    scenario = Scenario((*acts("fail a", "tree", "stop"), Sending(start, 1.0, waits=True)), tree=TREE)
    assert Scenario.from_json(scenario.to_json()) == scenario


@pytest.mark.parametrize(
    "text",
    [
        '{"sendings":[{"event":{"type":"tree","what":"stop"}}]}',
        '{"sendings":[{"event":{"type":"tree","what":"dance"}}],"tree":{}}',
        '{"sendings":[{"event":{"type":"tree","what":"stop","child":"a"}}],"tree":{}}',
        '{"sendings":[{"event":{"type":"tree","what":"fail"}}],"tree":{}}',
        '{"sendings":[{"event":{"type":"tree","what":"fail","child":"a","chidl":"a"}}],"tree":{}}',
        '{"sendings":[{"event":{"type":"tree","what":"start_child","child":"a"}}],"tree":{}}',
        '{"sendings":[{"event":{"type":"tree","what":"start_child","child":"a","starts":{"id":"b"}}}],"tree":{}}',
        '{"sendings":[{"event":{"type":"tree","what":"start_child","child":"a",'
        '"starts":{"id":"a","kind":"temporary","significant":true}}}],"tree":{}}',
        '{"sendings":[],"tree":{"children":[{"id":"a"},{"id":"a"}]}}',
        '{"sendings":[],"tree":{"children":[{"id":"a","worker":"lazy"}]}}',
        '{"sendings":[],"tree":{"children":[{"id":"a","kind":"lasting"}]}}',
        '{"sendings":[],"tree":{"children":[{"id":"a","shutdown_s":-1}]}}',
        '{"sendings":[],"tree":{"children":[{"id":"a","significant":true}]}}',
        '{"sendings":[],"tree":{"children":[{"id":"a","kind":"transient","significant":true}]}}',
        '{"sendings":[],"tree":{"children":[{"id":"a","start":"x"}]}}',
        '{"sendings":[],"tree":{"intensity":-1}}',
        '{"sendings":[],"tree":{"strategy":"one_for_none"}}',
        '{"sendings":[],"tree":{"strategies":"one_for_one"}}',
    ],
)
def test_a_tree_that_cannot_be_and_what_cannot_be_done_to_it_are_refused(text):
    with pytest.raises(InvalidOption, match="scenario"):
        Scenario.from_json(text)


def played(simulation, *whats, tree=TREE, waits=False):
    """One act a second, when all have started."""
    sendings = tuple(Sending(TreeAct(*what.split()), at_s, waits) for at_s, what in enumerate(whats, start=1))
    Scenario(sendings, tree=tree)(simulation)
    return simulation._refs[0]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    ("whats", "due"),
    [
        ((), [("a", "running", 0), ("b", "running", 0)]),
        (("fail a",), [("a", "running", 1), ("b", "running", 0)]),
        (("shut_down a", "hello a", "hello c", "tree"), [("a", "running", 1), ("b", "running", 0)]),
        (("end b",), [("a", "running", 0), ("b", "stopped", 0)]),
        (("terminate_child a", "delete_child a"), [("b", "running", 0)]),
        (("terminate_child a", "restart_child a", "which_child a", "which_child c"), [("a", "running", 0), ("b", "running", 0)]),
        (("terminate_child b", "which_children", "count_children"), [("a", "running", 0), ("b", "stopped", 0)]),
    ],
)
def test_what_is_done_is_done(whats, due, waits):
    tree = ScenarioTree((ScenarioChild("a"), ScenarioChild("b", kind="transient")))
    with Simulation(1) as simulation:
        ref = played(simulation, *whats, tree=tree, waits=waits)
        assert [(view.id, view.phase, view.restarts) for view in ref.which_children()] == due


def test_a_child_is_started_and_is_of_its_worker():
    with Simulation(1) as simulation:
        children = [ScenarioChild(name, name) for name in (*WORKERS, BRANCH)]
        Scenario(tuple(Sending(TreeAct("start_child", child.id, child)) for child in children), tree=ScenarioTree())(simulation)
        ref = simulation._refs[0]
        kinds = {view.id: view.ref.actor_class.__name__ for view in ref.which_children() if view.ref is not None}
        assert set(kinds) | {"shaky", "unneeded"} == {*WORKERS, BRANCH} - {"stuck_start"} | {"shaky", "unneeded"}
        assert all(kinds[name] in (WORKERS[name].__name__, "SimulatedSupervisor") for name in kinds if name != BRANCH)


def test_a_branch_fails_by_one_of_its_own_and_ends_by_a_stop():
    tree = ScenarioTree((ScenarioChild("c", BRANCH, "transient"),))
    for what, due in (("fail c", ("running", 1)), ("end c", ("stopped", 0))):
        with Simulation(1) as simulation:
            view = played(simulation, what, tree=tree).which_child("c")
            assert (view.phase, view.restarts) == due


def test_it_is_stopped_and_what_comes_after_is_no_matter():
    with Simulation(1) as simulation:
        assert not played(simulation, "stop", "fail a", "tree", "which_children", "terminate_child a", "stop").is_alive()


def test_one_that_does_not_start_is_no_failure():
    with Simulation(1) as simulation:
        tree = ScenarioTree((ScenarioChild("a", "stuck_start"),))
        assert not played(simulation, "which_children", tree=tree).is_alive()


def test_a_keeper_does_it_in_order_and_the_others_of_the_scenario_go_on():
    scenario = Scenario((Sending(Join("a", "x", "u", 1)), *acts("fail a", "tree")), tree=TREE)
    assert [sending.sender for sending in scenario.sendings] == ["a", KEEPER, KEEPER]
    lines = list(play(Case(scenario)).trace)
    assert lines.index("run\tclient keeper\ttree fail a") < lines.index("run\tclient keeper\ttree tree")


def test_what_is_left_out_of_a_tree_is_each_child_each_option_and_what_is_special_of_a_child():
    assert [child.id for child in TREE.without(("children", "b")).children] == ["a", "c"]
    assert TREE.without(("children", "b", "worker")).children[1].worker == "plain"
    assert TREE.without(("intensity",)).intensity == 1
    with pytest.raises(InvalidOption):
        TREE.without(("auto_shutdown",))
    left = TREE
    for part in TREE.parts[:3]:
        left = left.without(part)
    while left.parts:
        left = left.without(left.parts[0])
    assert left == ScenarioTree()


class Watched(Scenario, frozen=True):
    """It fails where b was restarted."""

    def __call__(self, simulation):
        super().__call__(simulation)
        ref = simulation._refs[0]
        assert not [view for view in ref.which_children() if view.id == "b" and view.restarts]


def test_what_of_a_tree_it_does_not_take_to_fail_is_cut():
    children = (ScenarioChild("a", "slow_stop"), ScenarioChild("b", "late_stopping", shutdown_s=1.0), ScenarioChild("c", BRANCH))
    tree = ScenarioTree(children, strategy="one_for_all", intensity=5, period_s=1.0, backoff=Backoff())
    small = shrink(play(Case(Watched(acts("hello a", "fail b", "which_children", "end c"), tree=tree))))
    scenario = small.case.scenario
    assert [sending.event for sending in scenario.sendings] == [TreeAct("fail", "b")]
    assert scenario.tree == ScenarioTree((ScenarioChild("b"),))


class Failing(Scenario, frozen=True):
    def __call__(self, simulation):
        super().__call__(simulation)
        raise ValueError("in any case")


def test_a_tree_that_it_does_not_take_goes_with_all_that_is_done_to_it():
    small = shrink(play(Case(Failing(acts("fail a", "stop"), tree=TREE))))
    assert (small.case.scenario.tree, small.case.scenario.sendings) == (None, ())
