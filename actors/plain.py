"""Whether a call does at once what it is for, or makes something that is yet to be awaited or asked for more."""

import functools
import inspect
import types

from lightspeed.actors.errors import InvalidOption

_FUNCTIONS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_WRITTEN = (types.FunctionType, types.MethodType)
_PUT_OFF = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


def puts_off(call: object) -> bool:
    """Whether it is known to be a coroutine or generator function, a partial of one, or an object that is called as one."""
    while type(call) is functools.partial:
        call = call.func
    own = None if issubclass(type(call), type) else inspect.getattr_static(type(call), "__call__", None)
    return any(is_one(function) for function in (call, own) if _is_one_of(_WRITTEN, function) for is_one in _FUNCTIONS)


def check_call(option: str, call: object, rule: str = "must be a plain function") -> None:
    """
    Raises:
        InvalidOption: it can't be called, or puts off what it is for.
    """
    if not callable(call) or puts_off(call):
        raise InvalidOption(option, call, rule)


def is_put_off(value: object) -> bool:
    """Whether this is what such a function returns. A coroutine that has not begun is closed: else Python warns of it."""
    if type(value) is types.CoroutineType and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
        value.close()
    return _is_one_of(_PUT_OFF, value)


def _is_one_of(kinds: tuple[type, ...], value: object) -> bool:
    return any(type(value) is kind for kind in kinds)  # not by `in`: a class's own class may say how it is compared
