"""What `lightspeed simulate` plays with some seeds, in this process or in several."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

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
        self.add(Played(runs=1, steps=outcome.steps, fired=outcome.fired, seen=outcome.seen))

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


# So many seeds are handed to a process at once: some tenths of a second, against a millisecond to hand them over.
_BATCH = 50


@contextmanager
def processes(asked: Asked, seeds: range, jobs: int) -> Iterator[Iterator[Played]]:
    """What comes of the seeds, some at a time, in their order. The processes end with the `with`, whatever they are at.

    Raises:
        InvalidOption: one ended without an answer.
    """
    most = 1 if asked.sweeps or asked.bound is not None else _BATCH
    size = min(most, -(-len(seeds) // jobs))
    starts = seeds[::size]
    workers = [_Worker(asked) for _ in range(min(jobs, len(starts)))]
    try:
        yield _in_order(workers, (seeds[number * size : (number + 1) * size] for number in range(len(starts))), len(starts))
    finally:
        for worker in workers:
            worker.end()


def _in_order(workers: list["_Worker"], batches: Iterator[range], count: int) -> Iterator[Played]:
    left, played = enumerate(batches), dict[int, Played]()
    busy: dict[Any, _Worker] = {worker.ours: worker for worker in workers}
    for worker in workers:
        worker.take(*next(left))
    for due in range(count):
        while due not in played:
            for ready in wait(list(busy)):
                worker = busy.pop(ready)
                played[worker.number] = worker.answer()
                following = next(left, None)
                if following is not None:
                    worker.take(*following)
                    busy[worker.ours] = worker
        yield played.pop(due)


class _Worker:
    def __init__(self, asked: Asked) -> None:
        context = multiprocessing.get_context("spawn")
        self.ours, theirs = context.Pipe()
        self._asked, self._process = asked, context.Process(target=_serve, args=(asked, theirs), daemon=True)
        with without_interrupts():  # Ctrl-C reaches all, and the command ends them
            self._process.start()
        theirs.close()  # so that its death is the end of what we read

    def take(self, number: int, seeds: range) -> None:
        self.number, self._seeds = number, seeds
        self.ours.send(seeds)

    def answer(self) -> Played:
        try:
            played: Played = self.ours.recv()
        except (EOFError, OSError):
            self._process.join()
            seeds, status = f"{self._seeds[0]} to {self._seeds[-1]}", self._process.exitcode
            rule = f"must not end its process, as it did, with status {status}, with one of the seeds {seeds}"
            raise InvalidOption("SCENARIO", self._asked.scenario, rule) from None
        return played

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.ours.close()


def _serve(asked: Asked, theirs: "Connection[Played, range]") -> None:
    player = Player(asked)
    while True:
        try:
            seeds = theirs.recv()
        except EOFError:
            return  # the command is gone
        theirs.send(player.seeds(seeds))


@contextmanager
def without_interrupts() -> Iterator[None]:
    """What is started meanwhile never sees a Ctrl-C; this process sees it afterwards."""
    if sys.platform == "win32":
        yield  # nothing of the kind is inherited there
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else it is started by the first of them, which lets them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
