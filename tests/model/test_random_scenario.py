import gc
import weakref
from collections import Counter

import pytest
from model.random_scenario import random_scenario

from lightspeed.channel import FaultPlan
from lightspeed.faults.fault import KINDS
from lightspeed.testing import Scenario, ScenarioOptions, Simulation, search_drawn

MANY = [random_scenario(seed) for seed in range(400)]


def test_the_same_seed_draws_the_same_and_another_one_another():
    assert [random_scenario(seed) for seed in range(20)] == MANY[:20]
    assert len({scenario.to_json() for scenario in MANY}) == len(MANY)


def test_as_many_events_are_drawn_as_are_asked_for_and_now_and_then_a_crowd_besides():
    for count in (0, 1, 7):
        assert {len(random_scenario(seed, count).sendings) for seed in range(100)} == {count, count + 33}
    crowded = [scenario for scenario in MANY if len(scenario.sendings) == 73]
    assert 0 < len(crowded) < len(MANY) / 8


def test_every_event_every_option_and_every_fault_is_drawn():
    events = Counter(type(sending.event).__name__ for scenario in MANY for sending in scenario.sendings)
    assert set(events) == {
        *("Join", "Rejoin", "Leave", "Broadcast", "Push", "Crash", "Restart", "Read", "TreeAct"),
        *("Disconnect", "Publish", "Send", "ClientAct"),
    }
    assert min(events.values()) > 200
    assert {sending.waits for scenario in MANY for sending in scenario.sendings} == {False, True}
    kinds = {type(fault) for scenario in MANY for fault in scenario.plan.faults}
    assert kinds == set(KINDS.values())
    for option in ("behaviours", "has_sink", "mailboxes", "rejoin", "restarts", "rejoin_window_s"):
        assert len({repr(getattr(scenario.options, option)) for scenario in MANY}) > 1, option


def test_without_faults_there_is_no_plan_and_the_events_are_the_same():
    plain = [random_scenario(seed, faults=False) for seed in range(50)]
    assert {scenario.plan for scenario in plain} == {FaultPlan()}
    assert [scenario.sendings for scenario in plain] == [scenario.sendings for scenario in MANY[:50]]


@pytest.mark.parametrize("scenario", MANY[:20])
def test_events_stand_in_the_order_of_their_moments_within_twenty_seconds(scenario):
    moments = [sending.at_s for sending in scenario.sendings]
    assert moments == sorted(moments)
    assert 0 <= moments[0] <= moments[-1] <= 20


def test_what_is_drawn_can_be_written_down():
    assert [Scenario.from_json(scenario.to_json()) for scenario in MANY] == MANY
    assert set(ScenarioOptions.__struct_fields__) >= {"behaviours", "rejoin", "restarts", "rejoin_window_s"}


@pytest.mark.slow
@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize(("scheduler", "first"), [("random", 0), ("priority", 1000), ("round_robin", 2000)])
def test_the_runtime_holds_its_invariants_over_many_seeds(scheduler, first, count):
    """Many more by `tests/model/fuzz.py`."""
    played = []
    found = search_drawn(random_scenario, range(first, first + count), scheduler=scheduler, progress=played.append)
    assert found is None, f"seed {found.case.seed}: {found.error}"
    assert len(played) == count
    assert sum(outcome.fired for outcome in played) > count


@pytest.mark.slow
def test_nothing_is_left_of_a_simulation_that_is_over():
    """Topics, cells and mail are past the collector: whatever leads back to a simulation by these keeps it for good."""
    over = []
    for seed in range(60):
        with Simulation(seed) as simulation:
            random_scenario(seed)(simulation)
        over.append(weakref.ref(simulation))
    del simulation
    gc.collect()
    assert [seed for seed, ref in enumerate(over) if ref() is not None] == []
