import pytest

from lightspeed.actors.errors import InvalidEvent, InvalidOption
from lightspeed.channel import Broadcast, Crash, FaultPlan, Join, Poison, Restart
from lightspeed.testing import Scenario, Sending, Simulation, random_scenario
from lightspeed.testing.scenario import OPERATOR, find, name_of


def test_a_scenario_is_the_same_from_its_json():
    for seed in range(50):
        scenario = random_scenario(seed)
        assert Scenario.from_json(scenario.to_json()) == scenario


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"sendings":[{"event":{"type":"jump"}}]}',
        b'{"sendings":[],"options":{"rejoin":"never"}}',
        b"\xff",
    ],
)
def test_what_is_no_scenario_is_refused(text):
    with pytest.raises(InvalidOption, match="scenario"):
        Scenario.from_json(text)


def test_an_event_that_breaks_a_rule_is_refused_when_the_scenario_is_made():
    with pytest.raises(InvalidEvent):
        Scenario((Sending(Join("", "x", "u", 1)),))


def test_crashes_are_sent_by_the_operator_and_events_by_their_client():
    assert [Sending(event).sender for event in (Crash("r"), Restart("x"), Broadcast("a", "x", "p"))] == [OPERATOR, OPERATOR, "a"]


def test_it_is_played_with_its_plan_and_options():
    scenario = Scenario.of(
        [Join("a", "x", "u", 1), Broadcast("a", "x", "p")],
        FaultPlan((Poison("spoilt"),)),
        behaviours={"y": "lightspeed.channel:Behaviour"},
    )
    with Simulation(1) as simulation:
        scenario(simulation)
        (channel,) = [channel for channel, _witness in simulation._channels]
        assert "spoilt" in {getattr(message, "payload", None) for message in channel.flush_outbox()}
        assert simulation.now_s == 60


def test_names_lead_to_things_and_back(tmp_path):
    assert find("lightspeed.testing:Scenario.of") == Scenario.of
    assert name_of(random_scenario) == "lightspeed.testing.random_scenario:random_scenario"
    assert name_of(lambda: None) is None
    file = tmp_path / "plays.py"
    file.write_text("def play(simulation): return 7\n")
    assert find(f"{file}:play")(None) == 7


@pytest.mark.parametrize("path", ["nowhere:x", "lightspeed.testing:nothing", "lightspeed.testing", "no.py:x", ""])
def test_a_name_of_nothing_is_refused(path):
    with pytest.raises(InvalidOption, match="module:name"):
        find(path)
