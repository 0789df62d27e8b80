"""What goes into a capsule in a way of its own, and what must not go at all, by its class."""

import asyncio
import concurrent.futures
import functools
import io
import marshal
import os
import threading
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pykka
from loguru import logger as user_logger

from lightspeed.supervision.capsules.by_value import is_users_name

# They could be pickled, but not so that it means anything elsewhere.
_TIED_TO_THE_PROCESS: tuple[type, ...] = (
    *(pykka.ActorRef, pykka.Actor, pykka.ActorProxy, pykka.Future, concurrent.futures.Future, concurrent.futures.Executor),
    *(asyncio.Future, asyncio.AbstractEventLoop, threading.Thread, threading.local, type(os.environ)),
)
_NO_FILES = (io.BytesIO, io.StringIO)

# Of lightspeed's own only values go along: whatever else there is leads to actors.
_OUR_VALUES = frozenset(
    f"lightspeed.{module}"
    for module in (
        *("actors.behaved_topic", "actors.behaviour", "actors.errors", "actors.events", "actors.exits", "actors.outbound"),
        *("actors.presence", "actors.recipients", "actors.room", "actors.topic"),
        *("supervision.capsules.steps", "supervision.capsules.token"),
        *("supervision.backoff", "supervision.restart_window"),
    )
)


@lru_cache(maxsize=1000)
def is_tied(kind: type) -> bool:
    """Whether it means nothing in another process, so that a token stands for it."""
    if issubclass(kind, _TIED_TO_THE_PROCESS) or (issubclass(kind, io.IOBase) and not issubclass(kind, _NO_FILES)):
        return True
    module = kind.__module__
    return isinstance(module, str) and module.startswith("lightspeed.") and module not in _OUR_VALUES


def _code(code: types.CodeType) -> Any:
    return marshal.loads, (marshal.dumps(code),)  # a capsule is read by the Python that wrote it


def _cached_property(cached: "functools.cached_property[Any]") -> Any:
    return _make_cached_property, (cached.func, cached.attrname)  # it holds a lock until Python 3.12


def _lru_cache(cached: Any) -> Any:
    if not is_users_name(cached.__module__):
        return cached.__reduce__()
    return _make_lru_cache, (cached.__wrapped__, cached.cache_parameters())


def _new_type(new_type: Any) -> Any:
    return typing.NewType, (new_type.__name__, new_type.__supertype__)


def _lock(lock: Any) -> Any:
    """A fresh one: whoever held it is not there in a replay."""
    return threading.Lock, ()


def _rlock(lock: Any) -> Any:
    return threading.RLock, ()


def _condition(condition: threading.Condition) -> Any:
    return threading.Condition, (condition._lock,)  # type: ignore[attr-defined]


def _logger(_logger: Any) -> Any:
    return _loguru, ()


def _make_cached_property(function: Any, name: str | None) -> "functools.cached_property[Any]":
    cached = functools.cached_property(function)
    cached.attrname = name
    return cached


def _make_lru_cache(function: Any, parameters: dict[str, Any]) -> Any:
    return lru_cache(**parameters)(function)


def _loguru() -> Any:
    return user_logger


OWN_WAYS: dict[type, Callable[[Any], Any]] = {
    types.CodeType: _code,
    type(threading.Lock()): _lock,
    type(threading.RLock()): _rlock,
    threading.Condition: _condition,
    type(user_logger): _logger,
    functools.cached_property: _cached_property,
    type(lru_cache(lambda: None)): _lru_cache,
    typing.NewType: _new_type,
}
"""What stands for one of such a class, as `__reduce_ex__` gives it."""
