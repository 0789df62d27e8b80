from itertools import pairwise
from types import SimpleNamespace

import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.testing import Chosen, Priority, Random, RoundRobin, Simulation
from lightspeed.testing.schedulers import scheduler_of


def crowd(*names):
    return [SimpleNamespace(_pooled_inbox=SimpleNamespace(name=name)) for name in names]


@pytest.mark.parametrize("kind", [Random, Priority])
def test_the_same_seed_makes_the_same_choices_and_another_one_others(kind):
    def choices(seed):
        scheduler = kind(seed)
        return [scheduler.choose(crowd(*"abcde")) for _ in range(100)]

    assert choices(1) == choices(1)
    assert len({tuple(choices(seed)) for seed in range(10)}) > 1


def test_random_chooses_everyone():
    scheduler = Random(1)
    assert {scheduler.choose(crowd(*"abc")) for _ in range(100)} == {0, 1, 2}


def test_round_robin_takes_whoever_has_waited_longest():
    assert RoundRobin().choose(crowd(*"abc")) == 0


def test_priority_stays_with_one_until_a_change_puts_him_last():
    scheduler = Priority(1, changes=1, steps=20)
    chosen = [scheduler.choose(crowd(*"abc")) for _ in range(20)]
    turns = [chosen[0], *(after for before, after in pairwise(chosen) if after != before)]
    assert len(turns) == 2
    assert turns[0] != turns[1]


def test_chosen_repeats_and_then_takes_the_first_and_never_one_who_is_not_there():
    scheduler = Chosen([2, 5, -5])
    assert [scheduler.choose(crowd(*"abc")) for _ in range(4)] == [2, 2, 0, 0]


def test_a_name_that_is_none_is_refused():
    assert isinstance(scheduler_of("round_robin", 0), RoundRobin)
    with pytest.raises(InvalidOption, match="scheduler must be random, round_robin, priority or a Scheduler, got 'fair'"):
        Simulation(scheduler="fair")
