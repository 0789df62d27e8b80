import subprocess
import sys
from random import Random

from hypothesis import find, given, settings
from hypothesis import strategies as st

from lightspeed.actors.topics.rules.events import check_event
from lightspeed.channel import Crash, FaultPlan, Join, Restart, event_label
from lightspeed.testing import Case, play, strategies


def test_every_kind_of_event_is_drawn_and_none_that_breaks_a_rule():
    kinds = set()

    @settings(max_examples=500, derandomize=True)
    @given(strategies.events())
    def see(event):
        check_event(event)
        kinds.add(event_label(event))

    see()
    assert kinds == {
        *("join", "rejoin", "leave", "broadcast", "push", "crash", "restart"),
        *("disconnect", "publish", "send"),
    }


@given(strategies.topic_events(["me"], ["here"], ["u"], most_ms=0, longest=0))
def test_events_are_of_those_clients_topics_and_times_that_are_asked_for(event):
    assert getattr(event, "client_id", "me") == "me"
    assert getattr(event, "topic", "here") == "here"
    assert (getattr(event, "now_ms", 0) or 0) == 0
    assert (getattr(event, "payload", ""), getattr(event, "meta", "") or "") == ("", "")


@given(strategies.operator_events(["here"]))
def test_an_operator_crashes_and_restarts_only(event):
    assert isinstance(event, (Crash, Restart))
    assert event.topic in (None, "here")


@given(strategies.plans(most_faults=2))
def test_a_plan_goes_to_json_and_back(plan):
    assert len(plan.faults) <= 2
    assert FaultPlan.from_json(plan.to_json()) == plan


@settings(max_examples=50)
@given(strategies.scenarios(most_events=15), st.integers(0, 3))
def test_the_runtime_keeps_its_rules_in_every_scenario(scenario, seed):
    outcome = play(Case(scenario, seed))
    if outcome.error is not None:
        raise outcome.error


def test_scenarios_shrink_to_what_it_takes():
    def has_join(scenario):
        return any(type(sending.event) is Join for sending in scenario.sendings)

    joins = find(strategies.scenarios(), has_join, settings=settings(max_examples=500, database=None), random=Random(1))
    assert [type(sending.event) for sending in joins.sendings] == [Join]


def test_where_hypothesis_is_missing_the_error_says_how_to_get_it():
    for module in ("strategies", "machine"):
        code = f"import sys; sys.modules['hypothesis'] = None; import lightspeed.testing.{module}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert 'need Hypothesis: pip install "lightspeed-channels[testing]"' in done.stderr
