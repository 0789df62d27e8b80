"""What goes into a capsule by value and in ways of its own: the code of the user's modules, and objects of certain classes.

cloudpickle knows by a table of the process which modules go by value; others are there wherever it is replayed. Many threads may
pickle at once, each as long as the program's code likes, so that nobody may hold a lock meanwhile: a module stands in the table
while anybody needs it there.
"""

import asyncio
import concurrent.futures
import functools
import io
import marshal
import os
import sys
import sysconfig
import threading
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pykka
from loguru import logger as user_logger

from lightspeed.actors.process import in_forked_child

_lock = threading.RLock()  # reentrant: a collected object's `__del__` may lead back here
_users: dict[str, int] = {}  # by name of a module that we have registered: how many need it

_STANDARD = tuple(Path(path).resolve() for key in ("stdlib", "platstdlib") if (path := sysconfig.get_path(key)))


class ByValue:
    """What one pickling needs of it; to be let go of behind it."""

    def __init__(self) -> None:
        self._modules: dict[str, types.ModuleType] = {}

    def send(self, obj: Any) -> None:
        """Have a module of the user's, or that of a class or a function, go by value."""
        name: Any = obj.__name__ if type(obj) is types.ModuleType else getattr(obj, "__module__", None)
        module = sys.modules.get(name) if type(name) is str else None
        if module is None or name in self._modules or not is_the_users(module):
            return
        with _lock:
            if name in _users or name not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                _users[name] = _users.get(name, 0) + 1
                self._modules[name] = module

    def let_go(self) -> None:
        with _lock:
            for name, module in self._modules.items():
                _users[name] -= 1
                if not _users[name]:
                    del _users[name]
                    cloudpickle.unregister_pickle_by_value(module)


def is_users_name(name: object) -> bool:
    """Whether what is defined in the module of that name goes by value."""
    module = sys.modules.get(name) if type(name) is str else None
    return name == "__main__" or (module is not None and is_the_users(module))


def is_the_users(module: types.ModuleType) -> bool:
    """Neither lightspeed's, nor the standard library's, nor an installed package's."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if name == "__main__" or name.split(".")[0] == "lightspeed" or not isinstance(file, str) or not file.endswith(".py"):
        return False
    return _is_a_users_file(file)


@in_forked_child
def _after_fork() -> None:
    """Whoever pickled in the parent does so no more here."""
    global _lock
    _lock = threading.RLock()
    _users.clear()


@lru_cache(maxsize=1000)
def _is_a_users_file(file: str) -> bool:
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _STANDARD)


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
        *("actors.errors", "actors.topics.rules.behaved_topic", "actors.topics.rules.events", "actors.topics.rules.outbound"),
        *("actors.topics.rules.presence", "actors.topics.rules.room", "actors.topics.rules.topic"),
        *("capsules.replay", "capsules.secrets", "supervision.rules"),
    )
)


@lru_cache(maxsize=1000)
def is_tied(kind: type) -> bool:
    """Whether it means nothing in another process, so that a token stands for it."""
    if issubclass(kind, _TIED_TO_THE_PROCESS) or (issubclass(kind, io.IOBase) and not issubclass(kind, _NO_FILES)):
        return True
    module = kind.__module__
    return isinstance(module, str) and module.startswith("lightspeed.") and module not in _OUR_VALUES


def _cached_property(cached: "functools.cached_property[Any]") -> Any:
    return _make_cached_property, (cached.func, cached.attrname)  # it holds a lock until Python 3.12


def _lru_cache(cached: Any) -> Any:
    if not is_users_name(cached.__module__):
        return cached.__reduce__()
    return _make_lru_cache, (cached.__wrapped__, cached.cache_parameters())


def _make_cached_property(function: Any, name: str | None) -> "functools.cached_property[Any]":
    cached = functools.cached_property(function)
    cached.attrname = name
    return cached


def _make_lru_cache(function: Any, parameters: dict[str, Any]) -> Any:
    return lru_cache(**parameters)(function)


def _loguru() -> Any:
    return user_logger


OWN_WAYS: dict[type, Callable[[Any], Any]] = {
    types.CodeType: lambda code: (marshal.loads, (marshal.dumps(code),)),  # a capsule is read by the Python that wrote it
    type(threading.Lock()): lambda _lock: (threading.Lock, ()),  # a fresh one: whoever held it is not there in a replay
    type(threading.RLock()): lambda _lock: (threading.RLock, ()),
    threading.Condition: lambda condition: (threading.Condition, (condition._lock,)),
    type(user_logger): lambda _logger: (_loguru, ()),
    functools.cached_property: _cached_property,
    type(lru_cache(lambda: None)): _lru_cache,
    typing.NewType: lambda new_type: (typing.NewType, (new_type.__name__, new_type.__supertype__)),
}
"""What stands for one of such a class, as `__reduce_ex__` gives it."""
