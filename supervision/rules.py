"""Who is restarted when a child ends, how often, and after how long: a restart policy as values. Values in, values out.

Source: OTP's supervisor behaviour (strategies, restart types, significant children, intensity in a period that slides), and
Akka's BackoffSupervisor, with a cap that the jitter never exceeds and a jitter that does not vanish there.
"""

import sys
from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from lightspeed.actors.checks import YEAR_S, check_seconds
from lightspeed.actors.errors import ExitReason, InvalidOption

Kind = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

KINDS = ("permanent", "transient", "temporary")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
AUTO_SHUTDOWNS = ("never", "any_significant", "all_significant")

T = TypeVar("T")


def should_restart(kind: Kind, reason: ExitReason) -> bool:
    """Whether a child that ended by itself is started again: permanent always, transient after a failure, temporary never."""
    return kind == "permanent" or (kind == "transient" and reason.kind == "abnormal")


def restarted_with(strategy: Strategy, children: Iterable[T], ended: T) -> list[T]:
    """The children that are stopped, the last first, and started again, the first first, when this one of them has ended.

    Args:
        children: all of them, in the order of their start. Under one_for_one it is not looked at.
    """
    if strategy == "one_for_one":
        return [ended]
    everyone = list(children)
    return everyone if strategy == "one_for_all" else everyone[everyone.index(ended) :]


def shuts_down(auto_shutdown: AutoShutdown, *, others_run: bool) -> bool:
    """Whether the supervisor ends when a significant child has ended by itself and is not restarted.

    Args:
        others_run: whether another significant child is left.
    """
    return auto_shutdown == "any_significant" or (auto_shutdown == "all_significant" and not others_run)


def check_intensity(option: str, value: object) -> None:
    """
    Raises:
        InvalidOption: it is no int from 0 to `sys.maxsize`.
    """
    if type(value) is not int or not 0 <= value <= sys.maxsize:
        raise InvalidOption(option, value, f"must be an int of 0 or above, at most {sys.maxsize}")


class RestartWindow(Struct, gc=False):
    """`intensity` restarts in `period_s` are allowed, one more is not. Source: OTP's rule, its bound included.

    An idle one holds no more than its two options: there may be one for each of a hundred thousand topics.

    Raises:
        InvalidOption: intensity is no int from 0 to `sys.maxsize`, or period_s no number of seconds above 0 and at most a year.
    """

    intensity: int
    period_s: float
    _times_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_intensity("intensity", self.intensity)
        check_seconds("period_s", self.period_s)

    def allow(self, now_s: float) -> bool:
        """Count a restart; False if it is one too many, and then it was not counted."""
        recent = self._recent(now_s)
        allowed = len(recent) < self.intensity
        self._times_s = (*recent, now_s) if allowed else recent
        return allowed

    def left(self, now_s: float) -> int:
        """How many more restarts are allowed now."""
        return self.intensity - len(self._recent(now_s))

    def _recent(self, now_s: float) -> tuple[float, ...]:
        times_s = self._times_s
        if not times_s or times_s[0] >= now_s - self.period_s:
            return times_s
        return tuple(time_s for time_s in times_s if time_s >= now_s - self.period_s)


class Randomness(Protocol):
    """What a `random.Random` can do."""

    def random(self) -> float:
        """At least 0 and below 1."""
        ...


class BackoffState(Struct, frozen=True, gc=False):
    """What is kept of one child; None stands for a child that has not failed yet."""

    base_s: float
    """The last delay, without its jitter."""
    up_s: float | None = None
    """When the child has come up since: its quiet time runs from then. None: it has not."""

    def up(self, now_s: float) -> "BackoffState":
        """The state of the backoff of a child that is up now."""
        return BackoffState(self.base_s, now_s)


class Backoff(Struct, frozen=True, kw_only=True, gc=False):
    """The options; one value serves any number of children.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    floor_s: float = 0.2
    """The first delay, and the least; from 0 up. Default 0.2."""
    cap_s: float = 30.0
    """The longest delay, jitter included; from floor_s up. Default 30."""
    factor: float = 2.0
    """By how much each delay is longer than the one before; from 1 up. Default 2."""
    jitter: float = 0.2
    """By which share of itself a delay may be shorter or longer, so that many don't start at once; 0 to 1. Default 0.2."""
    quiet_s: float = 60.0
    """A child that ran so long since it came up last begins at the floor again; above 0. Default 60."""

    def __post_init__(self) -> None:
        _check("floor_s", self.floor_s, 0, YEAR_S, "must be a number of seconds from 0 up, at most a year")
        _check("cap_s", self.cap_s, self.floor_s, YEAR_S, "must be a number of seconds from floor_s up, at most a year")
        _check("factor", self.factor, 1, sys.float_info.max, "must be a finite number of 1 or above")
        _check("jitter", self.jitter, 0, 1, "must be a number from 0 to 1")
        check_seconds("quiet_s", self.quiet_s)

    def next(self, state: BackoffState | None, now_s: float, randomness: Randomness) -> tuple[float, BackoffState]:
        """The delay of a restart that is wanted now, in seconds, and the child's next state."""
        if state is None or (state.up_s is not None and now_s - state.up_s >= self.quiet_s):
            base_s = self.floor_s
        else:
            base_s = min(self.cap_s, state.base_s * self.factor)
        least_s = max(self.floor_s, base_s * (1 - self.jitter))
        most_s = min(self.cap_s, base_s * (1 + self.jitter))
        delay_s = min(most_s, least_s + (most_s - least_s) * randomness.random())  # rounding must not exceed the cap
        return delay_s, BackoffState(base_s)


def _check(option: str, value: object, least: float, most: float, rule: str) -> None:
    if not (type(value) in (int, float) and least <= value <= most):  # type: ignore[operator]
        raise InvalidOption(option, value, rule)
