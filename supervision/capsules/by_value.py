"""Which modules' code goes into a capsule by value: the user's. Others are there wherever it is replayed.

cloudpickle knows by a table of the process which do. Many threads may pickle at once, each as long as the program's code likes,
so that nobody may hold a lock meanwhile: a module stands in the table while anybody needs it there.
"""

import sys
import sysconfig
import threading
import types
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from lightspeed.actors.forks import in_forked_child

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
