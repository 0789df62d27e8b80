"""Which seconds an option may be: such as every wait can take."""

import math

from lightspeed.actors.errors import InvalidOption

YEAR_S = 31_536_000
"""The most. Far above it threading's own waits overflow (`threading.TIMEOUT_MAX`), and an int may be too large for a float."""


def check_seconds(option: str, value: object) -> None:
    """
    Raises:
        InvalidOption: it is no number of seconds above 0 and at most a year.
    """
    if not (are_seconds(value) and value):
        raise InvalidOption(option, value, "must be a number of seconds above 0 and at most a year")


def check_above_0(option: str, value: object) -> None:
    """
    Raises:
        InvalidOption: it is no finite number of seconds above 0.
    """
    if not (type(value) in (int, float) and 0 < value < math.inf):  # type: ignore[operator]
        raise InvalidOption(option, value, "must be a finite number of seconds above 0")


def are_seconds(value: object) -> bool:
    """Whether it is a number of seconds from 0 up and at most a year."""
    return type(value) in (int, float) and 0 <= value <= YEAR_S  # type: ignore[operator]
