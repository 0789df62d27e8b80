import random
import sys
from collections import Counter
from itertools import pairwise
from typing import get_args

from model.random_scenario import random_scenario
from model.random_tree import RandomActs, random_tree

from lightspeed.testing.scenario_tree import BRANCH, TASK_BRANCH, What
from lightspeed.testing.task_workers import TASKS
from lightspeed.testing.workers import WORKERS

DRAWN = [(random_tree(random.Random(seed)), random.Random(seed)) for seed in range(200)]


def test_every_option_every_worker_and_every_act_is_drawn():
    trees = [tree for tree, _ in DRAWN]
    for option in ("strategy", "intensity", "period_s", "auto_shutdown", "backoff", "children"):
        assert len({repr(getattr(tree, option)) for tree in trees}) > 1, option
    children = [child for tree in trees for child in tree.children]
    assert {child.worker for child in children} == {*WORKERS, *TASKS, BRANCH, TASK_BRANCH}
    for option in ("kind", "significant", "shutdown_s"):
        assert len({repr(getattr(child, option)) for child in children}) > 1, option
    drawn = (RandomActs(rng, tree) for tree, rng in DRAWN)
    whats = Counter(acts.next().what for acts in drawn for _ in range(20))
    assert set(whats) == set(get_args(What))
    assert min(whats.values()) > 20


def test_a_child_is_often_terminated_and_started_again():
    drawn = [[acts.next() for _ in range(40)] for acts in (RandomActs(rng, tree) for tree, rng in DRAWN)]
    pairs = Counter((a.what, b.what, a.child == b.child) for acts in drawn for a, b in pairwise(acts))
    assert pairs["terminate_child", "restart_child", True] > 100


def test_one_of_seven_scenarios_has_a_tree_and_the_others_are_as_if_there_were_none(monkeypatch):
    drawn = [random_scenario(seed) for seed in range(400)]
    with_tree = [scenario for scenario in drawn if scenario.tree is not None]
    assert 40 < len(with_tree) < 80
    assert all(any(sending.sender == "keeper" for sending in scenario.sendings) for scenario in with_tree)
    monkeypatch.setattr(sys.modules["model.random_scenario"], "_TREES", 0.0)
    again = [random_scenario(seed) for seed in range(400)]
    assert [one for one, other in zip(drawn, again, strict=True) if one != other] == with_tree
