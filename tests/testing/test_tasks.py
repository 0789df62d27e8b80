"""How tasks and calls of a simulated loop are called, and where a task waits."""

import asyncio
from functools import partial

import pytest

from lightspeed.testing import Simulation
from lightspeed.testing.tasks import called, waiting_at


class Evil:
    """It answers nothing that is asked of it."""

    def __getattribute__(self, name):
        raise SystemExit(name)

    def __call__(self):
        pass


class Plain:
    def method(self):
        pass


def plain():
    pass


async def awaited():
    pass


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (plain, "plain"),
        (partial(partial(plain, 1), 2), "plain"),
        (Plain().method, "Plain.method"),
        (Plain, "type"),
        ([].append, "list.append"),
        (print, "print"),
    ],
)
def test_a_call_is_called_by_its_function_or_its_class(what, name):
    assert called(what) == name


def test_nothing_is_asked_of_an_object():
    assert called(Evil()) == "Evil"


def test_a_coroutine_is_called_by_its_function_and_nothing_in_a_name_ends_a_line():
    coroutine = awaited()
    assert called(coroutine) == "awaited"
    coroutine.__qualname__ = "one\ntwo"
    assert called(coroutine) == "one\\ntwo"
    coroutine.close()


def test_where_a_task_waits_is_said_from_the_outside_in():
    class Wrapped:
        def __await__(self):
            yield from asyncio.sleep(1).__await__()

    async def outer():
        await Wrapped()

    with Simulation(1) as simulation:
        task = simulation.loop.create_task(outer())
        unbegun = simulation.loop.create_task(outer())
        simulation.step()
        line = outer.__code__.co_firstlineno
        assert waiting_at(task).startswith(f"test_tasks.py:{line + 1} in outer > test_tasks.py:{line - 2} in __await__")
        assert waiting_at(unbegun) == f"test_tasks.py:{line} in outer"
        simulation.run_for(1)
        assert waiting_at(task) == ""
