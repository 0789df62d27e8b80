"""Cutting a failing case down to what it takes to fail: events, faults and their triggers, options, trees, and turns.

Each cut is tried with the choices that are left, with whoever has waited longest in turn, and with the choices of some seeds. It
stands where the case still fails in the same way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from msgspec import structs

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import FaultPlan
from lightspeed.testing.case import Case, Outcome, Play, play, without
from lightspeed.testing.scenario import Scenario, ScenarioOptions

# So many other orders are tried after each cut: of bugs that need one change of turns more than half show within these.
_SEEDS = range(8)

# Of so many events there are 190 pairs, which take a second or two to try.
_FEW_ENOUGH_FOR_PAIRS = 20

# A fault that is tried without the others is tried at these.
_SOON = range(1, 5)

# No fault is tried at a later number: a topic of a case that was cut down has few events.
_LAST_NUMBER = 40


def shrink(found: Outcome, *, progress: Callable[[Outcome], object] | None = None) -> Outcome:
    """The smallest case that was found to fail in the same way, and its outcome.

    Args:
        found: one that failed.
        progress: called with each smaller one.

    Raises:
        InvalidOption: it did not fail.
    """
    if found.error is None:
        raise InvalidOption("found", found.case, "must be an outcome that failed")
    return _Shrinking(found, progress).smallest()


class _Shrinking:
    def __init__(self, found: Outcome, progress: Callable[[Outcome], object] | None) -> None:
        self._best, self._found, self._progress = found, found, progress

    def smallest(self) -> Outcome:
        self._try([self._best.exact])
        left = None
        while left != (left := self._left()):
            self._cut_events()
            self._cut_faults()
            self._cut_triggers()
            if isinstance(self._best.case.scenario, Scenario):
                self._cut_options()
                self._cut_tree()
                self._cut_times()
            if left == self._left():
                self._cut_pairs()
        self._cut_turns()
        return self._best

    def _left(self) -> tuple[object, ...]:
        """Each round that changes it is followed by another one: none of it grows."""
        case = self._best.case
        return len(self._events()), tuple(_faults_of(case)), len(_changed(case.scenario)), len(_parts_of(case.scenario))

    def _cut_pairs(self) -> None:
        """Two events that only go together, such as a crash and its restart. One pair: then others may go alone."""
        events = self._events()
        if len(events) <= _FEW_ENOUGH_FOR_PAIRS:
            pairs = map(frozenset, combinations(reversed(events), 2))
            any(self._try(_orders(_skipping(self._best.case, pair))) for pair in pairs)

    def _cut_events(self) -> None:
        """Ever smaller pieces, from the last to the first. Source: delta debugging, Zeller and Hildebrandt 2002."""
        length = len(self._events())
        while length:
            events = self._events()
            for start in reversed(range(0, len(events), length)):  # the last first: where one goes, those behind it move up
                piece = frozenset(events[start : start + length])
                cut = _skipping(self._best.case, piece)
                moved = _earlier(cut, len(piece))
                if not self._try(_orders(cut)) and moved != cut:
                    self._try(_orders(moved))
            length //= 2

    def _events(self) -> list[int]:
        """Numbers of those that are left."""
        case = self._best.case
        if isinstance(case.scenario, Scenario):
            return list(range(len(case.scenario.sendings)))
        return [number for number in range(self._best.sent) if number not in case.skip]

    def _cut_times(self) -> None:
        """All at once, and no longer than that."""
        for fields in ({"at_s": 0.0}, {"waits": False}):
            sendings = tuple(structs.replace(sending, **fields) for sending in self._scenario.sendings)
            self._try_scenario(structs.replace(self._scenario, sendings=sendings))
        self._try_scenario(structs.replace(self._scenario, rest_s=0.0))

    def _cut_faults(self) -> None:
        case = self._best.case
        faults = _faults_of(case)
        if len(faults) > 1:  # one may do, where all that goes before it is otherwise
            counted = [index for index, fault in enumerate(faults) if _is_counted(fault)]
            any(self._try(_orders(_alone(case, index, at))) for index in counted for at in _SOON)
        for index in reversed(range(len(_faults_of(self._best.case)))):
            self._try(_orders(_with_fault(self._best.case, index, None)))

    def _cut_triggers(self) -> None:
        """A fault that is drawn by lot, or comes again and again, to one that comes once: no event more or less changes that."""
        for index, fault in enumerate(_faults_of(self._best.case)):
            if _is_counted(fault):
                last = min(len(self._events()), _LAST_NUMBER) if fault.at is None else fault.at
                plain = (structs.replace(_at(fault, number), times=1) for number in range(1, last + 1))
                cases = (_with_fault(self._best.case, index, other) for other in plain if other != fault)
                any(self._try([case]) for case in cases)

    def _cut_options(self) -> None:
        for option in _changed(self._scenario):
            plain = structs.replace(self._scenario.options, **{option: getattr(ScenarioOptions(), option)})
            self._try_scenario(structs.replace(self._scenario, options=plain))

    def _cut_tree(self) -> None:
        """All of it, or its children, their options and its own."""
        for part in _parts_of(self._scenario):
            tree = self._scenario.tree
            if tree is None:
                return
            try:
                less = structs.replace(self._scenario, tree=tree.without(part) if part else None)
            except InvalidOption:
                continue  # the rest does not go together without it, or something is done to it
            self._try_scenario(less)

    def _cut_turns(self) -> None:
        """To where whoever has waited longest comes next, as often as can be."""
        if self._try([structs.replace(self._best.case, choices=())]):
            return
        self._try([self._best.exact])
        choices = list(self._best.case.choices or ())
        length = len(choices)
        while length:
            for start in range(0, len(choices), length):
                piece = choices[start : start + length]
                if any(piece):
                    plain = (*choices[:start], *[0] * len(piece), *choices[start + length :])
                    if self._try([structs.replace(self._best.case, choices=plain)]):
                        choices = list(plain)
            length //= 2
        while choices and not choices[-1]:
            choices.pop()
        self._try([structs.replace(self._best.case, choices=tuple(choices))])

    @property
    def _scenario(self) -> Scenario:
        """What is left of it, where it is data."""
        assert isinstance(self._best.case.scenario, Scenario)
        return self._best.case.scenario

    def _try_scenario(self, less: Scenario) -> None:
        if less != self._scenario:
            self._try(_orders(structs.replace(self._best.case, scenario=less)))

    def _try(self, cases: Iterable[Case]) -> bool:
        outcomes = (play(case, asks_for_sometimes=False) for case in cases)
        outcome = next((outcome for outcome in outcomes if outcome.is_as(self._found)), None)
        if outcome is None:
            return False
        self._best = outcome
        if self._progress is not None:
            self._progress(outcome)
        return True


def _orders(case: Case) -> Iterator[Case]:
    """The case with the choices that it has, with none, and with those of seeds."""
    yield case
    yield structs.replace(case, choices=())
    for seed in _SEEDS:  # what is left of it may fail by another order only
        yield structs.replace(case, seed=seed, choices=None)


def _skipping(case: Case, numbers: frozenset[int]) -> Case:
    if isinstance(case.scenario, Scenario):
        left = without(case.scenario.sendings, numbers)
        return structs.replace(case, scenario=structs.replace(case.scenario, sendings=left))
    return structs.replace(case, skip=case.skip | numbers)


def _faults_of(case: Case) -> Sequence[Any]:
    own = case.scenario.plan.faults if isinstance(case.scenario, Scenario) else ()
    return (*own, *case.plan.faults)


def _is_counted(fault: Any) -> bool:
    """Whether it comes at numbers, or by lot."""
    return (fault.probability, fault.every, fault.at) != (None, None, None) and fault.at_s is None


def _at(fault: Any, number: int) -> Any:
    return _changed_to(fault, probability=None, every=None, at=number)


def _changed_to(fault: Any, **fields: object) -> Any:
    """Or the fault as it is, where it could never act so."""
    try:
        return structs.replace(fault, **fields)
    except InvalidOption:
        return fault


def _with_fault(case: Case, index: int, other: Any) -> Case:
    """With another in its place, or with none."""
    return _each_fault(case, lambda number, fault: other if number == index else fault)


def _alone(case: Case, index: int, at: int) -> Case:
    """With none of the faults but that one, at that number."""
    return _each_fault(case, lambda number, fault: _at(fault, at) if number == index else None)


def _earlier(case: Case, by: int) -> Case:
    """Every fault that comes at a number comes so many before it, as where so many events are cut before it."""
    return _each_fault(
        case, lambda _, fault: _changed_to(fault, at=fault.at - by) if fault.at is not None and fault.at > by else fault
    )


def _each_fault(case: Case, change: Callable[[int, Any], Any]) -> Case:
    """With what that makes of each, by its number in `_faults_of`; None: it goes."""
    faults = [change(number, fault) for number, fault in enumerate(_faults_of(case))]
    own = len(case.scenario.plan.faults) if isinstance(case.scenario, Scenario) else 0  # the others are the case's
    if isinstance(case.scenario, Scenario):
        plan = _plan(faults[:own], case.scenario.plan.seed)
        case = structs.replace(case, scenario=structs.replace(case.scenario, plan=plan))
    return structs.replace(case, plan=_plan(faults[own:], case.plan.seed))


def _plan(faults: Sequence[Any], seed: int) -> FaultPlan:
    return FaultPlan(tuple(fault for fault in faults if fault is not None), seed)


def _parts_of(scenario: Scenario | Play) -> list[tuple[str, ...]]:
    """Of its tree; none stands for all of it."""
    if not isinstance(scenario, Scenario) or scenario.tree is None:
        return []
    return [(), *scenario.tree.parts]


def _changed(scenario: Scenario | Play) -> list[str]:
    if not isinstance(scenario, Scenario):
        return []
    plain = ScenarioOptions()
    return [name for name in ScenarioOptions.__struct_fields__ if getattr(scenario.options, name) != getattr(plain, name)]
