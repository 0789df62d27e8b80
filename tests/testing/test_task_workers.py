"""Tasks as children of a simulation's supervisor, and those that random trees have."""

import asyncio
import gc

import pytest

from lightspeed.actors.errors import SimulationMisused, SimulationStuck, StartFailed
from lightspeed.supervision import ChildSpec, Supervisor
from lightspeed.testing import (
    Case,
    Scenario,
    ScenarioChild,
    ScenarioTree,
    Sending,
    Simulation,
    TreeAct,
    play,
    replay,
    shrink,
    write_recording,
)
from lightspeed.testing.scenario_tree import TASK_BRANCH
from lightspeed.testing.task_workers import TASKS


async def forever():
    await asyncio.Event().wait()


# In a simulation


def test_a_task_runs_on_the_simulations_loop_in_virtual_time_and_is_stopped_at_the_end():
    log = []

    async def poll():
        try:
            while True:
                log.append(asyncio.get_running_loop().time())
                await asyncio.sleep(20)
        finally:
            log.append("over")

    with Simulation(1) as simulation:
        below = ChildSpec("below", (Supervisor, ([ChildSpec("a", poll)],), {}))
        ref = simulation.supervisor([below], loop=simulation.loop)
        simulation.run_for(50)
        assert log == [0, 20, 40]
        assert [child.id for child in ref.tree().children[0].children] == ["a"]
    assert log == [0, 20, 40, "over"]
    assert any(line.startswith("run\tloop\t") and line.endswith(".poll") for line in simulation.trace)


def test_a_task_without_a_loop_is_refused_as_ever_and_one_on_a_real_loop_too():
    with Simulation(1) as simulation:
        with pytest.raises(StartFailed, match="needs an event loop"):
            simulation.supervisor([ChildSpec("a", forever)])
        loop = asyncio.new_event_loop()
        with pytest.raises(SimulationMisused, match="the simulation's loop"):
            simulation.supervisor([ChildSpec("a", forever)], loop=loop)
        loop.close()


def test_one_of_another_simulation_is_refused():
    with Simulation(1) as other, Simulation(1) as simulation, pytest.raises(SimulationMisused, match="the simulation's loop"):
        simulation.supervisor(loop=other.loop)


def test_where_a_task_waits_is_said_though_it_is_an_actors():
    async def main(simulation):
        simulation.begin_supervisor([ChildSpec("a", forever)], loop=simulation.loop)
        await asyncio.Event().wait()

    with Simulation(1) as simulation, pytest.raises(SimulationStuck, match=r"forever waits at .*in forever"):
        simulation.loop.run_until_complete(main(simulation))


def test_of_a_run_that_ends_before_a_task_has_begun_python_says_nothing(recwarn):
    for steps in range(8):
        simulation = Simulation(1)
        simulation.begin_supervisor([ChildSpec("a", forever)], loop=simulation.loop)
        for _ in range(steps):
            simulation.step()
        simulation.abandon()
        del simulation
        gc.collect()
    assert list(recwarn) == []


# Of random trees


def played(worker, *whats, kind="permanent"):
    """The one child, when this was done to it, one act a second; and how many were abandoned."""
    tree = ScenarioTree((ScenarioChild("a", worker, kind),), intensity=1000)
    sendings = tuple(Sending(TreeAct(what, "a"), at_s) for at_s, what in enumerate(whats, start=1))
    with Simulation(1) as simulation:
        Scenario(sendings, tree=tree, rest_s=5.5)(simulation)
        view, counts = simulation._refs[0].which_child("a"), simulation._refs[0].count_children()
        return (view.phase, view.restarts), counts.abandoned


RUNNING, STOPPED = "running", "stopped"
PLAYED = [
    ("task", ("hello",), ((RUNNING, 0), 0)),
    ("task", ("fail", "end", "shut_down", "cancel"), ((RUNNING, 4), 0)),
    ("tidy_task", ("terminate_child", "restart_child", "cancel"), ((RUNNING, 1), 0)),
    ("failing_stop_task", ("terminate_child",), ((STOPPED, 0), 0)),
    ("returning_stop_task", ("cancel", "terminate_child"), ((STOPPED, 1), 0)),
    ("shaky_task", ("fail",), ((RUNNING, 1), 0)),
    ("shaky_task", ("fail", "fail"), ((RUNNING, 3), 0)),
    ("unneeded_task", ("fail",), ((STOPPED, 1), 0)),
    ("fleeting_task", ("fail", "fail"), ((RUNNING, 3), 0)),
    ("slow_start_task", ("hello", "hello", "cancel"), ((RUNNING, 1), 0)),
    ("slow_stop_task", ("terminate_child",), ((STOPPED, 0), 0)),
    ("stuck_stop_task", ("terminate_child",), ((STOPPED, 0), 1)),
    ("stuck_stop_task", ("terminate_child", "cancel"), ((STOPPED, 0), 0)),
    ("deaf_task", ("cancel", "terminate_child", "cancel"), ((STOPPED, 0), 1)),
    ("brief_task", (), ((RUNNING, 1), 0)),
    (TASK_BRANCH, ("fail",), ((RUNNING, 1), 0)),
    (TASK_BRANCH, ("cancel",), ((RUNNING, 1), 0)),
    (TASK_BRANCH, ("end",), ((RUNNING, 1), 0)),
]


@pytest.mark.parametrize(("worker", "whats", "due"), PLAYED)
def test_a_task_does_what_its_name_says(worker, whats, due):
    assert played(worker, *whats) == due


@pytest.mark.parametrize(
    ("what", "restarts"),
    [("fail", ("running", 1)), ("end", ("stopped", 0)), ("shut_down", ("stopped", 0)), ("cancel", ("stopped", 0))],
)
def test_only_a_task_that_fails_has_ended_abnormally(what, restarts):
    assert played("task", what, kind="transient") == (restarts, 0)


def test_a_task_that_does_not_come_up_in_time_is_given_up():
    with Simulation(1) as simulation:
        Scenario((), tree=ScenarioTree((ScenarioChild("a", "stuck_start_task"),)))(simulation)
        assert not simulation._refs[0].is_alive()


def test_a_tree_that_is_to_start_a_task_needs_the_loop_and_another_one_does_not():
    start = Sending(TreeAct("start_child", "a", ScenarioChild("a", "task")))
    assert Scenario((start,), tree=ScenarioTree()).has_tasks
    assert Scenario((), tree=ScenarioTree((ScenarioChild("a", TASK_BRANCH),))).has_tasks
    assert not Scenario((Sending(TreeAct("stop")),), tree=ScenarioTree((ScenarioChild("a"),))).has_tasks
    assert not any(line.startswith("start\tloop") for line in play(Case(Scenario((), tree=ScenarioTree()))).trace)


@pytest.mark.parametrize("worker", [*TASKS, TASK_BRANCH])
def test_each_is_the_same_from_its_json_and_in_each_run(worker):
    acts = [TreeAct(what, "a") for what in ("fail", "cancel", "terminate_child", "restart_child", "end")]
    scenario = Scenario(tuple(map(Sending, acts)), tree=ScenarioTree((ScenarioChild("a", worker),), intensity=9))
    assert Scenario.from_json(scenario.to_json()) == scenario
    runs = [play(Case(scenario, 7)) for _ in range(2)]
    assert [run.error for run in runs] == [None, None]
    assert runs[0].trace.hash == runs[1].trace.hash


class Watched(Scenario, frozen=True):
    """It fails where a was cancelled from outside."""

    def __call__(self, simulation):
        super().__call__(simulation)
        assert not any(line.startswith("end\t") and line.endswith("task\tcancelled") for line in simulation.trace)


def test_a_special_task_is_cut_down_to_a_task_and_is_replayed_from_its_file(tmp_path):
    children = (
        ScenarioChild("a", "slow_stop_task"),
        ScenarioChild("b", "tidy_task", shutdown_s=1.0),
        ScenarioChild("c", "branch"),
    )
    tree = ScenarioTree(children, strategy="one_for_all", intensity=5)
    assert tree.without(("children", "b", "worker", "task")).children[1] == ScenarioChild("b", "task", shutdown_s=1.0)
    sendings = tuple(Sending(TreeAct(what, "b"), 1.0) for what in ("hello", "cancel", "which_child"))
    assert ScenarioTree((ScenarioChild("a", TASK_BRANCH),)).parts[-1] == ("children", "a", "worker", "branch")
    small = shrink(play(Case(Watched(sendings, tree=tree))))
    scenario = small.case.scenario
    assert [sending.event for sending in scenario.sendings] == [TreeAct("cancel", "b")]
    assert scenario.tree == ScenarioTree((ScenarioChild("b", "task"),))
    write_recording(play(Case(Scenario(scenario.sendings, tree=tree), 3)), tmp_path / "a.trace")
    replayed = replay(tmp_path / "a.trace")
    assert (replayed.divergence, replayed.outcome.case.scenario.tree) == (None, tree)
