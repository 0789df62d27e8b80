import pytest
from model.random_scenario import random_scenario

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import FaultPlan
from lightspeed.cli.seeds import Asked, Played, Player, load

PLAYS = """
def fails(simulation):
    simulation.sometimes(lambda: simulation.seed == 1, name="one")
    simulation.sometimes(lambda: False, name="none")
    simulation.run_for(1)
    if simulation.seed >= 3:
        raise AssertionError
"""


@pytest.fixture
def plays(tmp_path):
    (tmp_path / "plays.py").write_text(PLAYS)
    return f"{tmp_path / 'plays.py'}:fails"


def asked(scenario, **options):
    fields = {"scheduler": "random", "plan": FaultPlan(), "sweeps": False, "bound": None, "most": 10}
    return Asked(scenario, **{**fields, **options})


def test_seeds_are_played_until_one_fails_and_counted_that_one_included(plays):
    played = Player(asked(plays)).seeds(range(10))
    assert (played.seeds, played.runs, played.failed) == (4, 4, 3)
    assert played.seen == {"one": True, "none": False}


def test_each_run_is_told_of(tmp_path):
    told = []
    (tmp_path / "five.json").write_bytes(random_scenario(5, 5).to_json())
    Player(asked(str(tmp_path / "five.json"), sweeps=True)).seeds([5], told.append)
    assert len(told) > 1


def test_of_orders_no_more_are_played_than_asked_for(tmp_path):
    (tmp_path / "one.json").write_bytes(random_scenario(1).to_json())
    played = Player(asked(str(tmp_path / "one.json"), bound=1, most=7)).seeds(range(2))
    assert (played.runs, played.cut_off) == (14, 2)


def test_what_was_played_adds_up():
    total = Played(seeds=1, runs=2, steps=3, fired=4, seen={"a": True, "b": False})
    total.add(Played(seeds=10, runs=20, steps=30, fired=40, cut_off=1, seen={"a": False, "b": False, "c": True}))
    assert total == Played(seeds=11, runs=22, steps=33, fired=44, cut_off=1, seen={"a": True, "b": False, "c": True})


def test_a_scenario_is_loaded_from_json_or_by_its_name(tmp_path, plays):
    (tmp_path / "three.json").write_bytes(random_scenario(3).to_json())
    assert load(str(tmp_path / "three.json")) == random_scenario(3)
    assert load(plays).__name__ == "fails"


@pytest.mark.parametrize("name", ["nothing", ".", "lightspeed.testing:__all__", "lightspeed.testing:nothing"])
def test_what_is_none_is_refused(name):
    with pytest.raises(InvalidOption):
        load(name)
