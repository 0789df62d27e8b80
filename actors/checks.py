"""Options that are refused by name: seconds that no wait can take, and calls that only put off what they are for."""

import functools
import inspect
import math
import types
from typing import Any

from lightspeed.actors.errors import InvalidOption

YEAR_S = 31_536_000
"""The most. Far above it threading's own waits overflow (`threading.TIMEOUT_MAX`), and an int may be too large for a float."""


def check_seconds(option: str, value: object) -> None:
    """Refuse an option that is no time to wait.

    Raises:
        InvalidOption: it is no number of seconds above 0 and at most a year.
    """
    if not (are_seconds(value) and value):
        raise InvalidOption(option, value, "must be a number of seconds above 0 and at most a year")


def check_above_0(option: str, value: object) -> None:
    """Refuse an option that is no period.

    Raises:
        InvalidOption: it is no finite number of seconds above 0.
    """
    if not (type(value) in (int, float) and 0 < value < math.inf):  # type: ignore[operator]
        raise InvalidOption(option, value, "must be a finite number of seconds above 0")


def check_one_of(option: str, value: object, words: tuple[str, ...]) -> None:
    """Refuse an option that is none of these words.

    Raises:
        InvalidOption: it is none, or no str itself.
    """
    if not (type(value) is str and value in words):
        raise InvalidOption(option, value, f"must be one of {', '.join(words)}")


def are_seconds(value: object) -> bool:
    """Whether the value is a number of seconds from 0 up and at most a year."""
    return type(value) in (int, float) and 0 <= value <= YEAR_S  # type: ignore[operator]


_FUNCTIONS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_WRITTEN = (types.FunctionType, types.MethodType)
_PUT_OFF = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


def puts_off(call: Any) -> bool:
    """Whether a call is known to be a coroutine or generator function, a partial of one, or an object that is called as one."""
    return any(is_one(function) for function in _functions_of(call) for is_one in _FUNCTIONS)


def is_async(call: Any) -> bool:
    """Whether a call is known to be a coroutine function, a partial of one, or an object that is called as one."""
    return any(map(inspect.iscoroutinefunction, _functions_of(call)))


def _functions_of(call: Any) -> list[Any]:
    """What was written of it in Python: no code of its class's is run for it."""
    while type(call) is functools.partial:
        call = call.func
    own = None if issubclass(type(call), type) else inspect.getattr_static(type(call), "__call__", None)
    return [function for function in (call, own) if _is_one_of(_WRITTEN, function)]


def check_call(option: str, call: object, rule: str = "must be a plain function") -> None:
    """Refuse an option that is no plain function.

    Raises:
        InvalidOption: it can't be called, or puts off what it is for.
    """
    if not callable(call) or puts_off(call):
        raise InvalidOption(option, call, rule)


def is_put_off(value: object) -> bool:
    """Whether a value is a coroutine or generator. A coroutine that has not begun is closed: else Python warns of it."""
    if type(value) is types.CoroutineType and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
        value.close()
    return _is_one_of(_PUT_OFF, value)


def _is_one_of(kinds: tuple[type, ...], value: object) -> bool:
    return any(type(value) is kind for kind in kinds)  # not by `in`: a class's own class may say how it is compared
