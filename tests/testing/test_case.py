import asyncio
from functools import partial

import pytest

from lightspeed.actors.errors import InvalidOption, InvariantBroken
from lightspeed.channel import FaultPlan, Join
from lightspeed.faults import Raise
from lightspeed.testing import (
    Case,
    Scenario,
    every_schedule,
    play,
    pytest_file,
    replay,
    search,
    shrink,
    sweep_crashes,
    write_recording,
)
from lightspeed.testing.case import without
from lightspeed.testing.recording import read_recording


def three_join(simulation):
    channel = simulation.channel()
    for name in "abc":
        simulation.client(channel, name).join("x")
    simulation.run()
    assert len(channel.subscribers("x")) == 3, "somebody is missing"


def test_what_came_of_a_run_is_counted_and_a_run_without_a_failure_has_no_error():
    outcome = play(Case(three_join, plan=FaultPlan((Raise(at=9),))))
    assert (outcome.error, outcome.sent, outcome.handled, outcome.fired) == (None, 3, 3, 0)
    assert outcome.steps > 3


def test_what_a_run_raises_is_what_came_of_it_and_names_its_kind_and_its_function():
    def at_once(simulation):
        raise KeyError("planted")

    assert play(Case(three_join, skip=frozenset([1]))).failure == "AssertionError in three_join"
    assert play(Case(lambda simulation: at_once(simulation))).failure == "KeyError in at_once"


def test_a_breach_is_named_by_its_rule():
    def scenario(simulation):
        simulation.always(lambda: False, "never so")
        simulation.run_for(1)

    outcome = play(Case(scenario))
    assert isinstance(outcome.error, InvariantBroken)
    assert outcome.failure == "never so"


def test_a_run_that_would_end_the_process_has_failed():
    def scenario(simulation):
        raise SystemExit(0)

    assert isinstance(play(Case(scenario)).error, SystemExit)


def test_ctrl_c_ends_more_than_the_run():
    def scenario(simulation):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(Case(scenario))


def never_iterated(simulation):
    yield
    raise AssertionError


async def never_either(simulation):
    yield
    raise AssertionError


NEVER_PLAYED = [never_iterated, never_either, partial(never_either), partial(partial(never_iterated))]


@pytest.mark.parametrize("scenario", [*NEVER_PLAYED, "chat", None])
def test_what_a_call_would_not_play_is_refused(scenario):
    with pytest.raises(InvalidOption, match="scenario must be a Scenario or a function of a Simulation, and no generator"):
        Case(scenario)


@pytest.mark.parametrize("scenario", NEVER_PLAYED)
def test_what_returns_something_that_is_yet_to_be_played_is_refused_when_it_is_played(scenario):
    outcome = play(Case(lambda simulation: scenario(simulation)))
    assert isinstance(outcome.error, InvalidOption)
    assert "a function of a Simulation" in outcome.text


@pytest.mark.parametrize("look_for", [search, sweep_crashes, every_schedule])
@pytest.mark.parametrize("scenario", NEVER_PLAYED)
def test_a_search_plays_no_generator(look_for, scenario):
    with pytest.raises(InvalidOption, match="scenario must be"):
        look_for(scenario)


async def fails_late(simulation):
    client = simulation.client(simulation.channel(), "a")
    client.join("x")
    client.leave("x")
    await asyncio.sleep(5)
    if len(client.received) != 3:
        raise ValueError(f"{len(client.received)} at {simulation.now_s:g} s")


class FailsLate:
    async def __call__(self, simulation):
        await fails_late(simulation)

    async def play(self, simulation):
        await fails_late(simulation)


AWAITED = [fails_late, FailsLate(), FailsLate().play, partial(fails_late), lambda simulation: fails_late(simulation)]


@pytest.mark.parametrize("scenario", AWAITED)
def test_a_play_may_be_a_coroutine(scenario):
    outcome = play(Case(scenario))
    assert (outcome.text, outcome.failure) == ("ValueError: 2 at 5 s", "ValueError in fails_late")
    assert (outcome.sent, outcome.handled) == (2, 2)
    assert play(outcome.exact).trace.hash == outcome.trace.hash


@pytest.mark.parametrize("look_for", [search, sweep_crashes, every_schedule])
def test_a_search_plays_coroutines(look_for):
    outcomes = []
    found = look_for(fails_late, progress=outcomes.append)
    assert found.is_as(outcomes[-1])
    small = shrink(found)
    assert (small.failure, small.text) == ("ValueError in fails_late", "ValueError: 0 at 5 s")
    assert small.case.skip == {0, 1}


def test_a_coroutine_that_was_played_is_recorded_and_replayed(tmp_path):
    found = play(Case(fails_late, seed=3))
    write_recording(found, tmp_path / "late.trace")
    again = replay(tmp_path / "late.trace", fails_late)
    assert again.divergence is None
    assert again.outcome.is_as(found)
    assert "find('" in pytest_file(found, "plays.py:fails_late")


class Evil(Exception):
    """Whatever is asked of it, it does harm."""

    def __str__(self):
        raise SystemExit("text")

    __repr__ = __hash__ = __str__

    def __eq__(self, other):
        raise SystemExit("equality")

    def add_note(self, note):
        raise SystemExit("note")


class Forging(Exception):
    def __str__(self):
        return "one\nlightspeed: 5 seeds: nothing failed\x1b[2J"


def raise_evil(simulation):
    raise Evil


def test_a_failure_that_has_no_text_is_a_failure_as_any(tmp_path):
    found = play(Case(raise_evil))
    assert (found.failure, repr(found)) == ("Evil in raise_evil", "Outcome(seed 0: Evil in raise_evil)")
    assert found.text == "Evil: (its text can't be had)"
    assert shrink(found).failure == found.failure
    write_recording(found, tmp_path / "a.trace", play_name="a.py:raise_evil")
    assert read_recording(tmp_path / "a.trace")[0].error == found.text
    assert f"# {found.text}" in pytest_file(found, "a.py:raise_evil")


def test_a_failure_that_keeps_something_else_where_notes_are_kept_is_one_too():
    def scenario(simulation):
        error = ValueError("planted")
        error.__notes__ = "x"
        raise error

    assert play(Case(scenario)).text == "ValueError: planted"


def test_a_text_forges_no_line():
    def scenario(simulation):
        raise Forging

    found = play(Case(scenario))
    assert found.text == "Forging: one lightspeed: 5 seeds: nothing failed\\x1b[2J"
    assert compile(pytest_file(found, "a.py:scenario"), "a.py", "exec")


@pytest.mark.parametrize("scenario", [Scenario.of([Join("a", "x", "u", 1)]), three_join, partial(three_join), type])
def test_whatever_can_be_called_may_be_played(scenario):
    assert Case(scenario).scenario is scenario


def test_the_exact_case_does_the_same_without_the_scheduler():
    outcome = play(Case(three_join, seed=5, scheduler="priority"))
    again = play(outcome.exact)
    assert again.trace.hash == outcome.trace.hash
    assert outcome.exact.choices == tuple(outcome.trace.choices) == again.case.choices


def test_what_never_held_fails_a_run_that_is_asked_for_it():
    def scenario(simulation):
        simulation.sometimes(lambda: False, "something")

    assert play(Case(scenario)).failure == "something"
    outcome = play(Case(scenario), asks_for_sometimes=False)
    assert (outcome.error, outcome.seen) == (None, {"something": False})


def test_without_leaves_all_others():
    assert without("abcd", frozenset([0, 2, 7])) == ("b", "d")
