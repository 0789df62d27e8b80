"""Who of those that could run runs next."""

import random
from collections.abc import Sequence
from typing import Any, Protocol

from lightspeed.actors.errors import InvalidOption


class Scheduler(Protocol):
    """Asked before each step. The same answers to the same questions are what makes a run repeatable."""

    def choose(self, ready: Sequence[Any], /) -> int:
        """An index into those who could run; there are at least two, in the order in which they became ready."""
        ...


class RoundRobin:
    """Whoever has waited longest."""

    def choose(self, _ready: Sequence[Any]) -> int:
        return 0


class Random:
    """Anyone, each as likely as any other."""

    def __init__(self, seed: object) -> None:
        self._random = random.Random(f"random {seed}").random

    def choose(self, ready: Sequence[Any]) -> int:
        return int(self._random() * len(ready))


class Priority:
    """Whoever has the highest of priorities that are drawn by lot; at `changes` moments, drawn too, who would run becomes last.

    It finds what takes few changes of turns, where `Random` makes so many that they cancel out.
    Source: Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs (ASPLOS 2010).

    Args:
        changes: from 0 up. Default 2.
        steps: about how many choices the run has; the changes lie within so many. Default 200.
    """

    def __init__(self, seed: object, *, changes: int = 2, steps: int = 200) -> None:
        self._random = random.Random(f"priority {seed}")
        self._priorities: dict[str, float] = {}
        self._changes = set(self._random.sample(range(steps), min(changes, steps)))
        self._step = 0

    def choose(self, ready: Sequence[Any]) -> int:
        for one in ready:
            if one._pooled_inbox.name not in self._priorities:
                self._priorities[one._pooled_inbox.name] = self._random.random()
        chosen = self._highest(ready)
        if self._step in self._changes:
            self._priorities[ready[chosen]._pooled_inbox.name] = -float(self._step)
            chosen = self._highest(ready)
        self._step += 1
        return chosen

    def _highest(self, ready: Sequence[Any]) -> int:
        return max(range(len(ready)), key=lambda index: self._priorities[ready[index]._pooled_inbox.name])


class Chosen:
    """As was chosen in another run; behind the end of that, whoever has waited longest."""

    def __init__(self, choices: Sequence[int]) -> None:
        self._choices = iter(choices)

    def choose(self, ready: Sequence[Any]) -> int:
        return max(0, min(next(self._choices, 0), len(ready) - 1))


def scheduler_of(name: str, seed: object) -> Scheduler:
    """The scheduler of this name: `random`, `round_robin` or `priority`.

    Raises:
        InvalidOption: there is none.
    """
    if name == "round_robin":
        return RoundRobin()
    if name == "random":
        return Random(seed)
    if name == "priority":
        return Priority(seed)
    raise InvalidOption("scheduler", name, "must be random, round_robin, priority or a Scheduler")
