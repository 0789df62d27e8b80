"""Trees of supervision that are drawn by lot, and what is done to them."""

import random

from msgspec.structs import replace

from lightspeed.channel import Backoff
from lightspeed.supervision.rules import AutoShutdown, Kind
from lightspeed.supervision.spec import ShutdownS
from lightspeed.testing.scenario_tree import BRANCH, OF_ALL, TASK_BRANCH, ScenarioChild, ScenarioTree, TreeAct, What
from lightspeed.testing.task_workers import TASKS
from lightspeed.testing.workers import WORKERS

_IDS = ("a", "b", "c", "d", "e")
_WORKERS = (*["plain"] * 5, *["shaky"] * 2, *WORKERS, BRANCH)
_TASKS = (*["task"] * 3, *TASKS, TASK_BRANCH)
_WITH_TASKS = 0.4  # of all trees
_ARE_TASKS = 0.6  # of the children of those
_CANCELS = 10  # beside the other acts there
_ACTS: dict[What, int] = {
    "fail": 24,
    "end": 8,
    "shut_down": 4,
    "hello": 1,
    "cancel": 0,
    "terminate_child": 8,
    "restart_child": 6,
    "delete_child": 4,
    "start_child": 6,
    "which_child": 2,
    "which_children": 2,
    "count_children": 2,
    "tree": 2,
    "stop": 1,
}


def random_tree(rng: random.Random) -> ScenarioTree:
    """Up to five children, of which some never start, or never stop, in time."""
    auto_shutdown: AutoShutdown = rng.choice(("never", "any_significant", "all_significant"))
    ids = _IDS[: rng.randrange(1, len(_IDS) + 1)]
    tree = ScenarioTree(
        tuple(_child(rng, name, auto_shutdown) for name in ids),
        strategy=rng.choice(("one_for_one", "one_for_all", "rest_for_one")),
        intensity=rng.choice((0, 1, 3, 1000)),
        period_s=rng.choice((1.0, 5.0)),
        auto_shutdown=auto_shutdown,
        backoff=rng.choice((None, Backoff(floor_s=0.5, cap_s=4.0))),
    )
    if rng.random() >= _WITH_TASKS:
        return tree
    first, *others = tree.children
    is_one = replace(first, worker=rng.choice(_TASKS))
    return replace(tree, children=(is_one, *(_perhaps_task(rng, child) for child in others)))


class RandomActs:
    """What is done to a tree: often something to whom something was done just before, since that is where things go wrong."""

    def __init__(self, rng: random.Random, tree: ScenarioTree) -> None:
        self._rng, self._tree = rng, tree
        self._ids = _IDS[: len(tree.children) + 1]
        self._has_tasks = any(child.needs_loop for child in tree.children)
        self._acts = {**_ACTS, "cancel": _CANCELS} if self._has_tasks else _ACTS
        self._last: tuple[What, str] = ("hello", "a")

    def next(self) -> TreeAct:
        rng = self._rng
        what = rng.choices(list(self._acts), weights=list(self._acts.values()))[0]
        if what in OF_ALL:
            return TreeAct(what)
        name = rng.choice((self._last[1], rng.choice(self._ids)))
        if self._last == ("terminate_child", name) and rng.random() < 0.5:
            what = "restart_child"
        self._last = what, name
        if what != "start_child":
            return TreeAct(what, name)
        child = _child(rng, name, self._tree.auto_shutdown)
        return TreeAct(what, name, _perhaps_task(rng, child) if self._has_tasks else child)


def _perhaps_task(rng: random.Random, child: ScenarioChild) -> ScenarioChild:
    return replace(child, worker=rng.choice(_TASKS)) if rng.random() < _ARE_TASKS else child


def _child(rng: random.Random, name: str, auto_shutdown: AutoShutdown) -> ScenarioChild:
    kind: Kind = rng.choice(("permanent", "permanent", "transient", "temporary"))
    may_signify = auto_shutdown != "never" and kind != "permanent"
    worker, significant = rng.choice(_WORKERS), may_signify and rng.random() < 0.6
    shutdown_s: ShutdownS | None = rng.choice((None, None, 1.0, "brutal_kill", "infinity"))
    return ScenarioChild(name, worker, kind, significant, shutdown_s)
