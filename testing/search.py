"""Looking for a failure: by seeds, by a crash at each message, by each schedule."""

import time
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from lightspeed.actors.checks import check_call
from lightspeed.actors.errors import InvalidOption, InvariantBroken
from lightspeed.channel import FaultPlan
from lightspeed.faults import Raise
from lightspeed.testing.case import Case, Outcome, Play, play
from lightspeed.testing.scenario import Scenario


def search(
    scenario: Scenario | Play,
    seeds: Iterable[int] = range(1000),
    *,
    scheduler: str = "random",
    plan: FaultPlan | None = None,
    within_s: float | None = None,
    progress: Callable[[Outcome], object] | None = None,
) -> Outcome | None:
    """Play it with each seed until it fails.

    Args:
        scenario: what to play: a `Scenario`, or any function of a `Simulation`.
        plan: faults for every channel, beyond its own.
        within_s: the search ends after so many seconds of real time. None, the default: after the last seed.
        progress: called with each outcome.

    Returns:
        The first that failed; None if none did.

    Raises:
        InvariantBroken: none failed, but a rule of `Simulation.sometimes` held with no seed.
    """
    plan = FaultPlan() if plan is None else plan
    return _search((Case(scenario, seed, scheduler, plan=plan) for seed in seeds), within_s, progress)


def search_drawn(
    draw: Callable[[int], Scenario],
    seeds: Iterable[int] = range(1000),
    *,
    scheduler: str = "random",
    within_s: float | None = None,
    progress: Callable[[Outcome], object] | None = None,
) -> Outcome | None:
    """As `search`, with another scenario for each seed: what `draw` makes of it, such as `random_scenario`."""
    check_call("draw", draw, "must be a plain function of a seed")
    return _search((Case(draw(seed), seed, scheduler) for seed in seeds), within_s, progress)


def _search(cases: Iterable[Case], within_s: float | None, progress: Callable[[Outcome], object] | None) -> Outcome | None:
    started_s, seen = time.monotonic(), dict[str, bool]()
    for case in cases:
        outcome = _played(case, progress)
        if outcome.error is not None:
            return outcome
        for name, held in outcome.seen.items():
            seen[name] = seen.get(name, False) or held
        if within_s is not None and time.monotonic() - started_s > within_s:
            break
    never = [name for name, held in seen.items() if not held]
    if never:
        raise InvariantBroken(never[0], "it never held, with any seed")
    return None


def sweep_crashes(
    scenario: Scenario | Play,
    *,
    seed: int = 0,
    scheduler: str = "random",
    hook: str = "before",
    plan: FaultPlan | None = None,
    progress: Callable[[Outcome], object] | None = None,
) -> Outcome | None:
    """Play it once as it is, and then once for each message that its topics handled, with a crash of the topic there.

    Args:
        hook: where each crash lies: `before` the message is handled, the default, or `after`.
        plan: faults for every channel, beyond its own and that crash.
        progress: called with each outcome.

    Returns:
        The first that failed, the one without a crash among them; None if none did.
    """
    if hook not in ("before", "after"):
        raise InvalidOption("hook", hook, "must be before or after")
    plan = FaultPlan() if plan is None else plan
    whole = Case(scenario, seed, scheduler, plan=plan)
    first = _played(whole, progress, asks_for_sometimes=True)
    if first.error is not None:
        return first
    crashes = (Raise(hook=hook, at=number, per="all", times=1) for number in range(1, first.handled + 1))  # type: ignore[arg-type]
    cases = (replace(whole, plan=FaultPlan((*plan.faults, crash), plan.seed)) for crash in crashes)
    return next((outcome for case in cases if (outcome := _played(case, progress)).error is not None), None)


def every_schedule(
    scenario: Scenario | Play,
    *,
    seed: int = 0,
    bound: int = 2,
    most: int = 10_000,
    plan: FaultPlan | None = None,
    progress: Callable[[Outcome], object] | None = None,
) -> Outcome | None:
    """Play it in every order in which at most `bound` times somebody else is chosen than who has waited longest.

    Args:
        bound: from 0 up. Default 2, by which most known bugs show; the number of orders grows with its power.
        most: it ends after so many orders. Default 10,000.
        plan: faults for every channel, beyond its own.
        progress: called with each outcome.

    Returns:
        The first that failed; None if none did.
    """
    choices: tuple[int, ...] | None = ()
    plan = FaultPlan() if plan is None else plan
    for _ in range(most):
        outcome = _played(Case(scenario, seed, choices=choices, plan=plan), progress)
        if outcome.error is not None:
            return outcome
        choices = _next_order(outcome.trace.choices, outcome.trace.widths, bound)
        if choices is None:
            return None
    return None


def _played(case: Case, progress: Callable[[Outcome], object] | None, *, asks_for_sometimes: bool = False) -> Outcome:
    outcome = play(case, asks_for_sometimes=asks_for_sometimes)
    if progress is not None:
        progress(outcome)
    return outcome


def _next_order(choices: list[int], widths: list[int], bound: int) -> tuple[int, ...] | None:
    """The next in a search that changes the last choice first; None: that was the last."""
    for index in reversed(range(len(choices))):
        turns = sum(choice > 0 for choice in choices[:index])
        if choices[index] + 1 < widths[index] and turns < bound:
            return (*choices[:index], choices[index] + 1)
    return None
