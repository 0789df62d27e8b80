"""A test that has asked for a simulation, with one seed; and all such tests of one run of pytest."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from lightspeed.actors.errors import InvalidOption, InvariantBroken
from lightspeed.actors.failures import text_of
from lightspeed.channel import FaultPlan
from lightspeed.testing.case import Case, Failure, Outcome, outcome_of
from lightspeed.testing.recording import Recording, divergence_of, lines_of, read_recording, write_recording
from lightspeed.testing.schedulers import Chosen
from lightspeed.testing.simulation import Simulation
from lightspeed.testing.trace import in_ours

__tracebackhide__ = in_ours  # asked by pytest
_LONGEST = 120  # of a file's name, in letters: file systems take 255 bytes
_OPTIONS = ("faults", "scheduler", "seeds")


class Trials:
    """Of one run.

    Args:
        replayed: a recording; the test that wrote it goes the same way again.

    Raises:
        OSError, InvalidOption: it can't be read, or no test wrote it.
    """

    def __init__(self, replayed: str | None) -> None:
        self.verdict = ""
        """What came of the replay, when there was one."""
        self._left = Counter[str]()  # of each test, how many seeds are still to come
        self._seen: dict[str, dict[str, bool]] = {}
        self._header: Recording | None = None
        self._replayed = None if replayed is None else Path(replayed)
        if replayed is not None:
            self._header, self._lines = read_recording(replayed)
            if "::" not in (self._header.play or ""):
                raise InvalidOption("recording", replayed, "must be of a test (`lightspeed replay` takes any)")

    @property
    def replayed_test(self) -> str | None:
        return None if self._header is None else self._header.play

    @property
    def replayed_seed(self) -> int:
        return 0 if self._header is None else self._header.seed

    def path_of(self, folder: Path, name: str) -> Path:
        """Where a trace goes: not where the one lies that is replayed, which may be played again."""
        path = folder / f"{name}.trace"
        is_taken = self._replayed is not None and path.exists() and path.samefile(self._replayed)
        return folder / f"{name}.again.trace" if is_taken else path

    def expect(self, node_ids: Iterable[str]) -> None:
        """These tests will be run."""
        self._left = Counter(map(_without_seed, node_ids))

    def begin(self, node_id: str, seed: int, args: Sequence[Any], options: Mapping[str, Any]) -> "Trial":
        """A test's simulation. Arguments as of the marker.

        Raises:
            InvalidOption: the marker has one that it can't have.
        """
        for option in (*args, *(name for name in options if name not in _OPTIONS)):
            raise InvalidOption("lightspeed_simulation", option, f"takes {', '.join(_OPTIONS)}, each by its name")
        return Trial(self, node_id, seed, options.get("scheduler", "random"), options.get("faults"), self._header)

    def see(self, node_id: str, seen: dict[str, bool]) -> None:
        """One seed of a test was played to its end, and these are its rules of `sometimes`.

        Raises:
            InvariantBroken: it was the last one, and a rule has held with none of them.
        """
        test = _without_seed(node_id)
        known = self._seen.setdefault(test, {})
        for name, held in seen.items():
            known[name] = known.get(name, False) or held
        self._left[test] -= 1
        never = [name for name, held in known.items() if not held]
        if never and self._left[test] <= 0:
            raise InvariantBroken(never[0], "it never held, with any seed")

    def miss(self, node_id: str) -> None:
        """One seed of a test has failed."""
        self._left[_without_seed(node_id)] -= 1

    def judge(self, again: Outcome) -> None:
        """What was recorded has been played again."""
        divergence = divergence_of(self._lines, lines_of(again.trace))
        self.verdict = f"it went the same way, {len(self._lines):,} lines" if divergence is None else str(divergence)


class Trial:
    """Made by `Trials.begin`."""

    def __init__(
        self, trials: Trials, node_id: str, seed: int, scheduler: str, faults: FaultPlan | None, replayed: Recording | None
    ) -> None:
        self.is_replay, self.is_written = replayed is not None, False
        self._trials, self._node_id = trials, node_id
        self.simulation = Simulation(
            seed, scheduler=scheduler if replayed is None else Chosen(replayed.choices), faults=faults, asks_for_sometimes=False
        )

    def close(self) -> None:
        """The test has returned.

        Raises:
            InvariantBroken: something is not as it must be.
        """
        try:
            self.simulation.close()
        except BaseException:
            self._trials.miss(self._node_id)
            raise
        self._trials.see(self._node_id, self.simulation.seen)

    def fail(self, error: BaseException) -> None:
        """The test has raised this."""
        self._trials.miss(self._node_id)
        self.simulation.__exit__(type(error), error, error.__traceback__)

    def write(self, folder: Path, error: BaseException | None) -> str:
        """Write its trace into the folder, which is made where it is missing. What is to be said of it in the test's report.

        What can't be written is told there too: a test that fails is to be reported all the same.
        """
        self.is_written = True
        simulation = self.simulation
        failure = error if isinstance(error, Failure) or error is None else RuntimeError(text_of(error))
        case = Case(_of_a_test, simulation.seed)  # the test brings all else
        outcome = outcome_of(case, failure, simulation)
        try:
            _make(folder)
            trace = str(self._trials.path_of(folder, _file_name(self._node_id)))
            write_recording(outcome, trace, play_name=self._node_id)
        except OSError as error:
            trace = f"not written: {error}"
        if self.is_replay:
            self._trials.judge(outcome)
        return (
            f"seed {simulation.seed}, {simulation.steps:,} steps, {simulation.now_s:g} s of virtual time\n"
            f"again: pytest {shlex.quote(self._node_id)} --lightspeed-seed {simulation.seed}\n"
            f"trace: {trace}"
        )


def _of_a_test(_simulation: Simulation) -> None:
    """Stands for a test's function, which pytest alone can call."""


def _without_seed(node_id: str) -> str:
    return re.sub(r"\bseed--?\d+", "seed", node_id)


def _file_name(node_id: str) -> str:
    name = re.sub(r"[^\w.-]+", "_", node_id).strip("_")
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}-{sha256(node_id.encode(errors='replace')).hexdigest()[:8]}"


def _make(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / ".gitignore").write_text("*\n")  # as the cache of pytest does: traces are nothing to be kept
