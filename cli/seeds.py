"""What `lightspeed simulate` plays with some seeds, in this process or another one."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import FaultPlan
from lightspeed.cli.streams import read_file
from lightspeed.testing import Case, Outcome, Play, Scenario, every_schedule, play, sweep_crashes
from lightspeed.testing.scenario import find


class Asked(Struct, frozen=True):
    """What is to be played."""

    scenario: str
    """A name, or a file of JSON."""
    scheduler: str
    plan: FaultPlan
    sweeps: bool
    bound: int | None
    """Every order with so many changes of turns; None: one order."""
    most: int
    """Of a seed no more than so many orders."""


class Played(Struct):
    """What came of some seeds."""

    seeds: int = 0
    runs: int = 0
    steps: int = 0
    fired: int = 0
    cut_off: int = 0
    """With how many seeds there were more orders to play."""
    failed: int | None = None
    """The seed that failed, which ended it."""
    seen: dict[str, bool] = {}
    """Of each rule of `Simulation.sometimes`, whether it held with any."""

    def count(self, outcome: Outcome) -> None:
        self.runs += 1
        self.steps += outcome.steps
        self.fired += outcome.fired
        for name, held in outcome.seen.items():
            self.seen[name] = self.seen.get(name, False) or held

    def add(self, other: "Played") -> None:
        self.seeds += other.seeds
        self.runs += other.runs
        self.steps += other.steps
        self.fired += other.fired
        self.cut_off += other.cut_off
        for name, held in other.seen.items():
            self.seen[name] = self.seen.get(name, False) or held


class Player:
    """Plays what is asked for.

    Raises:
        InvalidOption: the scenario is none.
        OSError: its file can't be read.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._scenario = load(asked.scenario)

    def seeds(self, seeds: Iterable[int], progress: Callable[[Outcome], object] | None = None) -> Played:
        """Until one fails. `progress`: called with each outcome."""
        played = Played()

        def count(outcome: Outcome) -> None:
            played.count(outcome)
            if progress is not None:
                progress(outcome)

        for seed in seeds:
            before = played.runs
            played.seeds += 1
            if self.seed(seed, count) is not None:
                played.failed = seed
                break
            played.cut_off += self._asked.bound is not None and played.runs - before == self._asked.most
        return played

    def seed(self, seed: int, progress: Callable[[Outcome], object]) -> Outcome | None:
        """What failed with this one."""
        asked, scenario = self._asked, self._scenario
        if asked.sweeps:
            return sweep_crashes(scenario, seed=seed, scheduler=asked.scheduler, plan=asked.plan, progress=progress)
        if asked.bound is not None:
            bounds = {"bound": asked.bound, "most": asked.most}
            return every_schedule(scenario, seed=seed, plan=asked.plan, progress=progress, **bounds)
        outcome = play(Case(scenario, seed, asked.scheduler, plan=asked.plan), asks_for_sometimes=False)
        progress(outcome)
        return None if outcome.error is None else outcome


def load(scenario: str) -> Scenario | Play:
    """A function by its name, or a scenario from a file."""
    if Path(scenario).is_file():
        return Scenario.from_json(read_file("SCENARIO", scenario))
    if ":" not in scenario:
        raise InvalidOption("SCENARIO", scenario, "must be a file of JSON that is there, or module:function")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, "")  # a console script has its own folder there, and not the current one
    found = find(scenario)
    if not callable(found):
        raise InvalidOption("SCENARIO", scenario, "must name a function of a Simulation")
    return found
