"""Whether a call does at once what it is for, or makes something that is yet to be awaited or asked for more."""

import functools
import inspect
import types
from typing import Any

_FUNCTIONS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_PUT_OFF = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


def puts_off(call: object) -> bool:
    """Whether it is known to be a coroutine or generator function, a partial of one, or an object that is called as one."""
    while type(call) is functools.partial:
        call = call.func
    own: Any = None if isinstance(call, type) else vars(type(call)).get("__call__")
    return any(is_one(function) for function in (call, own) if type(function) in _WRITTEN for is_one in _FUNCTIONS)


def is_put_off(value: object) -> bool:
    """Whether this is what such a function returns; it is closed, so that Python does not warn that nobody awaits it."""
    if type(value) not in _PUT_OFF:
        return False
    if not isinstance(value, types.AsyncGeneratorType):
        value.close()  # type: ignore[attr-defined]
    return True


_WRITTEN = (types.FunctionType, types.MethodType)
