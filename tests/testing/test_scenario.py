import sys

import pytest
from model.random_scenario import random_scenario

from lightspeed.actors.errors import InvalidEvent, InvalidOption
from lightspeed.channel import Broadcast, Crash, FaultPlan, Join, Restart
from lightspeed.faults import Corrupt
from lightspeed.testing import Scenario, Sending, Simulation
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
        b'{"sendings":[],"rset_s":1}',
        b'{"sendings":[],"options":{"rejoins":"supervisor"}}',
        b'{"sendings":[],"rest_s":-1}',
        b'{"sendings":[],"rest_s":1e999}',
        b'{"sendings":[{"event":{"type":"restart"},"at_s":-0.1}]}',
        b'{"sendings":[{"event":{"type":"restart"},"at":1}]}',
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
        FaultPlan((Corrupt("spoilt"),)),
        behaviours={"y": "lightspeed.channel:Behaviour"},
    )
    with Simulation(1) as simulation:
        scenario(simulation)
        (channel,) = simulation._channels
        assert "spoilt" in {getattr(message, "payload", None) for message in channel.flush_outbox()}
        assert simulation.now_s == 60


def test_names_lead_to_things_and_back(tmp_path):
    assert find("lightspeed.testing:Scenario.of") == Scenario.of
    assert name_of(random_scenario) == "model.random_scenario:random_scenario"
    assert name_of(lambda: None) is None
    file = tmp_path / "plays.py"
    file.write_text("def play(simulation): return 7\n")
    assert find(f"{file}:play")(None) == 7


@pytest.mark.parametrize("path", ["nowhere:x", "lightspeed.testing:nothing", "lightspeed.testing", "no.py:x", ""])
def test_a_name_of_nothing_is_refused(path):
    with pytest.raises(InvalidOption, match="module:name"):
        find(path)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(seconds):
    with pytest.raises(InvalidOption, match="rest_s must be a number of seconds from 0 up"):
        Scenario((), rest_s=seconds)
    with pytest.raises(InvalidOption, match="at_s must be a number of seconds from 0 up"):
        Scenario((Sending(Restart(), seconds),))


@pytest.mark.parametrize("seed", range(10))
def test_what_a_sender_sends_keeps_its_order_whatever_its_moments(seed):
    moments = (1.0, 1.0, 0.0, 2.0, 1.0, 2.0)
    sendings = [Sending(Broadcast("a", "x", str(number)), at_s) for number, at_s in enumerate(moments)]
    scenario = Scenario((Sending(Join("a", "x", "u", 1)), *sendings))
    with Simulation(seed) as simulation:
        scenario(simulation)
        (channel,) = simulation._channels
        assert [message.payload for message in simulation.client(channel, "a").received[1:]] == list("012345")
        assert simulation.now_s == 62


def test_a_module_that_would_end_the_process_names_nothing(tmp_path):
    (tmp_path / "script.py").write_text("raise SystemExit(0)")
    with pytest.raises(InvalidOption, match="SystemExit"):
        find(f"{tmp_path / 'script.py'}:play")


@pytest.fixture
def own_imports(monkeypatch):
    """What is imported or put on the path in a test is gone after it."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


FUTURE = """
from __future__ import annotations
import pickle
from dataclasses import dataclass, field
from beside_it import LIMIT
@dataclass
class Saved:
    players: dict[str, int] = field(default_factory=dict)
def play(simulation):
    return pickle.loads(pickle.dumps(Saved({"ann": LIMIT})))
"""


@pytest.mark.parametrize("name", ["future_play.py", "random.py", "a play.of-mine.py"])
def test_a_file_is_loaded_as_a_module_like_any(tmp_path, own_imports, name):
    (tmp_path / name).write_text(FUTURE)
    (tmp_path / "beside_it.py").write_text("LIMIT = 4\n")
    play = find(f"{tmp_path / name}:play")
    assert play(None).players == {"ann": 4}
    assert find(f"{tmp_path / name}:play") is play


def test_files_of_one_name_are_two_modules(tmp_path, own_imports):
    for number in (1, 2):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "same_play.py").write_text(f"def play(_): return {number}\n")
    assert [find(f"{tmp_path / number / 'same_play.py'}:play")(None) for number in "12"] == [1, 2]


def test_a_file_that_was_changed_is_loaded_again(tmp_path, own_imports):
    path = tmp_path / "changed_play.py"
    for number in (1, 20):
        path.write_text(f"def play(_): return {number}\n")
        assert find(f"{path}:play")(None) == number
    path.unlink()
    with pytest.raises(InvalidOption, match="No such file"):
        find(f"{path}:play")


@pytest.mark.parametrize("text", ["def play(:", "import nowhere_at_all", "raise SystemExit(3)", "x = 1"])
def test_a_file_that_is_no_play_is_refused_and_nothing_of_it_stays(tmp_path, own_imports, text):
    path = tmp_path / "broken_play.py"
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(InvalidOption, match="must name something"):
            find(f"{path}:play")
    assert ("broken_play" in sys.modules) == (text == "x = 1")


@pytest.mark.parametrize("seconds", [10**400, sys.maxsize, float("nan"), float("inf"), -1, "1", True, None])
def test_a_time_that_is_none_is_refused_by_name(seconds):
    with pytest.raises(InvalidOption, match="at_s must be a number of seconds"):
        Scenario((Sending(Restart(), at_s=seconds),))
    with pytest.raises(InvalidOption, match="rest_s must be a number of seconds"):
        Scenario((), rest_s=seconds)
