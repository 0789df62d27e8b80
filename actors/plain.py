"""Whether a call does at once what it is for, or makes something that is yet to be awaited or asked for more."""

import functools
import inspect
import types

_FUNCTIONS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_WRITTEN = (types.FunctionType, types.MethodType)
_PUT_OFF = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


def puts_off(call: object) -> bool:
    """Whether it is known to be a coroutine or generator function, a partial of one, or an object that is called as one."""
    while type(call) is functools.partial:
        call = call.func
    own = None if issubclass(type(call), type) else inspect.getattr_static(type(call), "__call__", None)
    return any(is_one(function) for function in (call, own) if _is_one_of(_WRITTEN, function) for is_one in _FUNCTIONS)


def is_put_off(value: object) -> bool:
    """Whether this is what such a function returns; it is closed, so that Python does not warn that nobody awaits it."""
    if not _is_one_of(_PUT_OFF, value):
        return False
    if not isinstance(value, types.AsyncGeneratorType):
        value.close()  # type: ignore[attr-defined]
    return True


def _is_one_of(kinds: tuple[type, ...], value: object) -> bool:
    return any(type(value) is kind for kind in kinds)  # not by `in`: a class's own class may say how it is compared
