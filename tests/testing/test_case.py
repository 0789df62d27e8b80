from functools import partial

import pytest

from lightspeed.actors.errors import InvalidOption, InvariantBroken
from lightspeed.channel import FaultPlan, Join, Raise
from lightspeed.testing import Case, Scenario, play
from lightspeed.testing.case import without


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


async def never_awaited(simulation):
    raise AssertionError


def never_iterated(simulation):
    yield
    raise AssertionError


async def never_either(simulation):
    yield
    raise AssertionError


@pytest.mark.parametrize("scenario", [never_awaited, never_iterated, never_either, partial(never_awaited), "chat", None])
def test_what_a_call_would_not_play_is_refused(scenario):
    with pytest.raises(InvalidOption, match="scenario must be a Scenario or a plain function of a Simulation"):
        Case(scenario)


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
