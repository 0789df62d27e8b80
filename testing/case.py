"""A case: a scenario, and all that a run of it hangs on. Played again it does the same again."""

from asyncio import CancelledError
from collections.abc import Callable, Iterable
from types import CoroutineType, TracebackType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from lightspeed.actors.checks import check_call, is_async, is_put_off
from lightspeed.actors.errors import ExpectationFailed, InvalidOption, InvariantBroken
from lightspeed.actors.failures import text_of
from lightspeed.actors.text import escaped
from lightspeed.channel import FaultPlan
from lightspeed.testing.asserts import __name__ as of_asserts
from lightspeed.testing.scenario import Scenario
from lightspeed.testing.schedulers import Chosen
from lightspeed.testing.simulation import Simulation
from lightspeed.testing.trace import Trace, kind_of

Play = Callable[[Simulation], object]
"""A function that plays in a simulation: makes channels and clients, lets them run, asserts what it likes. It may be `async`."""

Failure = Exception | SystemExit | CancelledError
"""What a run may fail of: a coroutine may end by being cancelled."""

_A_PLAY = "must be a Scenario or a function of a Simulation, and no generator"


class Case(Struct, frozen=True):
    """One run, before it is made.

    Raises:
        InvalidOption: the scenario can't be called, or a call of it would do nothing: it is a generator.
    """

    scenario: Scenario | Play
    seed: int = 0
    scheduler: str = "random"
    choices: tuple[int, ...] | None = None
    """What is chosen, wherever there is a choice; behind their end, whoever has waited longest. None: the scheduler's own."""
    skip: frozenset[int] = frozenset()
    """The numbers of events, as they are sent, from 0, that are not to be sent."""
    plan: FaultPlan = FaultPlan()
    """Faults for every channel, beyond its own."""

    def __post_init__(self) -> None:
        if not is_async(self.scenario):
            check_call("scenario", self.scenario, _A_PLAY)


class Outcome(Struct, frozen=True):
    """What came of a run."""

    case: Case
    error: Failure | None
    """What it failed of; None: it did not."""
    trace: Trace
    sent: int
    """How many events were sent, or skipped."""
    handled: int
    """How many messages topics handled."""
    steps: int
    fired: int
    """How often faults acted."""
    seen: dict[str, bool]
    """Of each rule of `Simulation.sometimes`, whether it has held."""

    def __repr__(self) -> str:
        return f"Outcome(seed {self.case.seed}: {'no failure' if self.error is None else escaped(self.failure)})"

    @property
    def text(self) -> str:
        """What it failed of, in words, on one line; empty where it did not. Of a group of exceptions its first one too."""
        texts = [text_of(error) for error in (self.error, self._cause) if error is not None]
        return escaped(": ".join(" ".join(text.split()) for text in dict.fromkeys(texts)), None)

    @property
    def failure(self) -> str:
        """What kind it is: the invariant, or the kind of exception and its function. A group is as its first exception."""
        if isinstance(self._cause, InvariantBroken):
            return self._cause.invariant
        where = "" if self._raised_at is None else f" in {self._raised_at.tb_frame.f_code.co_name}"
        return f"{kind_of(self._cause)}{where}"

    def is_as(self, other: "Outcome") -> bool:
        """Whether both failed in the same way: of the same kind, and an exception in the same line too."""
        return self.error is not None and (self.failure, self._line) == (other.failure, other._line)

    @property
    def _cause(self) -> BaseException | None:
        """The error; of a group, as a TaskGroup raises it, the first that is none."""
        error: BaseException | None = self.error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return error

    @property
    def _line(self) -> tuple[str, int] | None:
        place = None if isinstance(self._cause, InvariantBroken) else self._raised_at
        return None if place is None else (place.tb_frame.f_code.co_filename, place.tb_lineno)

    @property
    def _raised_at(self) -> TracebackType | None:
        place = None if self._cause is None else self._cause.__traceback__
        while place is not None and place.tb_next is not None and not self._is_of_asserts(place.tb_next):
            place = place.tb_next
        return place

    def _is_of_asserts(self, place: TracebackType) -> bool:
        """Whether it is where an assert of ours failed: which one it was, the play's own line says."""
        return isinstance(self._cause, ExpectationFailed) and place.tb_frame.f_globals.get("__name__") == of_asserts

    @property
    def exact(self) -> Case:
        """The case with the choices that were made: it does not hang on the scheduler any more."""
        return replace(self.case, choices=tuple(self.trace.choices))


def play(case: Case, *, asks_for_sometimes: bool = True) -> Outcome:
    """Play the case to its end, or to its failure.

    Args:
        asks_for_sometimes: whether it fails where a rule of `Simulation.sometimes` never held. Default True.
    """
    scheduler = case.scheduler if case.choices is None else Chosen(case.choices)
    simulation = Simulation(
        case.seed, scheduler=scheduler, faults=case.plan, skip=case.skip, asks_for_sometimes=asks_for_sometimes
    )
    error: Failure | None = None
    try:
        with simulation:
            played = case.scenario(simulation)
            if type(played) is CoroutineType:
                simulation.loop.run_until_complete(played)
            elif is_put_off(played):
                raise InvalidOption("scenario", case.scenario, _A_PLAY)
    except (Exception, SystemExit, CancelledError) as failure:  # the user's: what it raises is what came of it
        error = failure
    return outcome_of(case, error, simulation)


def outcome_of(case: Case, error: Failure | None, simulation: Simulation) -> Outcome:
    """What came of the case, played in this simulation."""
    counts = (simulation.sent, simulation.handled, simulation.steps, simulation.fired)
    return Outcome(case, error, simulation.trace, *counts, simulation.seen)


def without(items: Iterable[Any], indices: frozenset[int]) -> tuple[Any, ...]:
    """All but those."""
    return tuple(item for index, item in enumerate(items) if index not in indices)
