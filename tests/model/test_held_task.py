"""Bugs of tasks are planted in the product: random trees find them where they draw tasks, and nowhere else."""

import asyncio
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from model.held_channel import Model
from model.held_task import HeldTask
from model.random_scenario import random_scenario

from lightspeed.actors.coroutines import LoopTask
from lightspeed.actors.errors import ExitReason, Ignore, Shutdown
from lightspeed.actors.tasks import TaskActor
from lightspeed.testing import Scenario, Simulation, search_drawn, shrink


@pytest.fixture(autouse=True)
def _held(monkeypatch):
    monkeypatch.setattr(Simulation, "observers", (Model,))


@contextmanager
def cancelled_is_stopped():
    """Being cancelled from outside counts as a stop: a transient child is not told from one that has ended normally."""
    ended = TaskActor._ended

    def end(actor, value, error):
        ended(actor, value, None if isinstance(error, asyncio.CancelledError) else error)

    with patch.object(TaskActor, "_ended", end):
        yield


@contextmanager
def over_when_cancelled():
    """A task that was told to stop counts as ended when it was cancelled, and not when it is."""
    with patch.object(LoopTask, "cancel", LoopTask.give_up):
        yield


@contextmanager
def given_up_and_left_alone():
    """What is given up is not cancelled."""
    end = TaskActor._lifecycle_end_of_given_up

    def end_alone(actor, *, was_up):
        with patch.object(LoopTask, "cancel", lambda task: None):
            end(actor, was_up=was_up)

    with patch.object(TaskActor, "_lifecycle_end_of_given_up", end_alone):
        yield


@contextmanager
def failure_is_an_end():
    """What a task raised is lost: it counts as having returned."""
    ended = TaskActor._ended

    def end(actor, value, error):
        ended(actor, value, error if isinstance(error, (asyncio.CancelledError, Shutdown, Ignore)) else None)

    with patch.object(TaskActor, "_ended", end):
        yield


@contextmanager
def never_up():
    """A task that has taken its first step is not up."""
    with patch.object(TaskActor, "come_up", lambda actor: None):
        yield


BUGS = {
    "cancelled is stopped": cancelled_is_stopped,
    "over when cancelled": over_when_cancelled,
    "given up and left alone": given_up_and_left_alone,
    "failure is an end": failure_is_an_end,
    "never up": never_up,
}


DRAWN = [(seed, scenario.has_tasks) for seed in range(1000) if (scenario := random_scenario(seed)).tree is not None]
WITH, WITHOUT = ([seed for seed, has_tasks in DRAWN if has_tasks is wanted] for wanted in (True, False))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_of_tasks_is_found_by_a_tree_with_tasks_and_cut_down_to_one(name):
    with BUGS[name]():
        found = search_drawn(random_scenario, WITH)
        assert found is not None
        assert found.failure == "tasks", found.error
        small = shrink(found)
        assert search_drawn(random_scenario, WITHOUT[:30]) is None
    scenario = small.case.scenario
    assert scenario.has_tasks
    assert len(scenario.tree.children) <= 2
    assert len(scenario.sendings) <= 3
    assert Scenario.from_json(scenario.to_json()) == scenario


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["random", "priority", "round_robin"])
def test_without_a_bug_nothing_is_found(scheduler):
    found = search_drawn(random_scenario, WITH, scheduler=scheduler)
    assert found is None, f"seed {found.case.seed}: {found.error}"


def test_of_the_trees_two_of_five_have_tasks():
    assert 0.3 < len(WITH) / len(DRAWN) < 0.5


# What is held against a coroutine


def raising(error):
    async def raise_it():
        raise error

    return raise_it


async def returning():
    pass


ENDS = {
    "returns": (returning, ExitReason("normal")),
    "raises": (raising(ERROR := ValueError("planted")), ExitReason("abnormal", ERROR)),
    "shuts down": (raising(SHUTDOWN := Shutdown("planted")), ExitReason("shutdown", SHUTDOWN)),
    "is cancelled": (raising(asyncio.CancelledError()), ExitReason("shutdown", Shutdown("it was cancelled"))),
    "is not needed": (raising(IGNORE := Ignore()), ExitReason("normal", IGNORE)),
}


def step(held):
    with pytest.raises(BaseException) as raised:  # noqa: PT011  # it ends of anything
        held.send(None)
    return raised.value


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("said", ENDS)
def test_a_task_ends_as_its_coroutine_does_and_not_else(how, said):
    broken = []
    held = HeldTask(ENDS[how][0](), "a", lambda rule, text: broken.append((rule, text)))
    held.check_end(ENDS[said][1], is_starting=False)
    assert broken.pop()[1].endswith("and goes on")
    step(held)
    held.check_end(ENDS[said][1], is_starting=False)
    assert (broken == []) is (how == said or (how, said) == ("is cancelled", "shuts down"))  # which is a shutdown, too
