"""How many restarts are allowed in a period: a window that slides."""

import sys

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.seconds import check_seconds


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
