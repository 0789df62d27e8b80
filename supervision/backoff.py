"""How long to wait before a restart: longer each time, up to a cap, and afresh after a quiet time.

Source: Akka's BackoffSupervisor, with a cap that the jitter never exceeds and a jitter that does not vanish there.
"""

import sys
from typing import Protocol

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.seconds import YEAR_S, check_seconds


class Randomness(Protocol):
    """What a `random.Random` can do."""

    def random(self) -> float:
        """At least 0 and below 1."""


class BackoffState(Struct, frozen=True, gc=False):
    """What is kept of one child; None stands for a child that has not failed yet."""

    base_s: float
    """The last delay, without its jitter."""
    up_s: float | None = None
    """When the child has come up since: its quiet time runs from then. None: it has not."""

    def up(self, now_s: float) -> "BackoffState":
        """The same, of a child that is up now."""
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
