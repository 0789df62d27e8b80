"""What goes into a capsule as a pickle: with the code that it needs, and without what can't or must not go along.

Code of the user's goes by value: what `__main__`, a function or any module of the user's defines can be loaded where it can't be
imported. The standard library, installed packages and lightspeed itself go by name.
"""

import asyncio
import concurrent.futures
import functools
import io
import marshal
import os
import pickle
import sys
import sysconfig
import threading
import types
import typing
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import msgspec
import pykka
from loguru import logger as user_logger

from lightspeed.actors.behaved_topic import BehavedTopic
from lightspeed.actors.behaviour import Behaviour
from lightspeed.actors.events import Push
from lightspeed.actors.presence import Presence
from lightspeed.actors.recipients import Roster
from lightspeed.actors.topic import TopicState
from lightspeed.supervision.capsules.redaction import REDACTED, looks_secret, may_be_secret, redact_json
from lightspeed.supervision.capsules.token import Token

# They could be pickled, but not so that it means anything elsewhere.
_TIED_TO_THE_PROCESS: tuple[type, ...] = (
    *(pykka.ActorRef, pykka.Actor, pykka.ActorProxy, pykka.Future, concurrent.futures.Future, concurrent.futures.Executor),
    *(asyncio.Future, asyncio.AbstractEventLoop, threading.Thread, threading.local, threading.Event, threading.Condition),
    *(threading.Semaphore, threading.Barrier, type(os.environ)),
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

_CODE = (types.BuiltinFunctionType, types.ModuleType, type)

# In a class: by name of field what is no value.
_ABOUT_FIELDS = ("__annotations__", "__dataclass_fields__")

# cloudpickle knows by a table of the process which modules go by value. Reentrant: a __reduce__ of the user's may lead back here.
_by_value = threading.RLock()


class Pickled(msgspec.Struct, frozen=True):
    """A pickle, and what is not in it."""

    data: bytes
    tokens: tuple[str, ...] = ()
    """What stands for something else: `<name>: <what it was>`."""
    redactions: tuple[str, ...] = ()
    """The names under which something was redacted."""
    secrets: frozenset[str] = frozenset()
    """The texts that were: for whoever writes other texts into the same capsule."""


def pickled(value: Any) -> Pickled:
    """Pickle it. Any thread may call this.

    Raises:
        Exception: it can't be pickled, even so.
    """
    with _by_value, io.BytesIO() as file:
        pickler = _Pickler(file)
        try:
            pickler.dump(value)
        finally:
            for module in pickler.registered:
                cloudpickle.unregister_pickle_by_value(module)
        return Pickled(
            file.getvalue(),
            tuple(dict.fromkeys(pickler.tokens)),
            tuple(dict.fromkeys(pickler.redactions)),
            frozenset(pickler.secrets),
        )


def unpickled(data: bytes) -> Any:
    """Load what `pickled` made. It runs code that stands in it.

    Raises:
        Exception: whatever that code raises.
    """
    return _Unpickler(io.BytesIO(data)).load()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """`persistent_id` sees each object in turn: of a dict first itself, then each key and, right behind it, its value."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.registered: list[types.ModuleType] = []
        self.tokens: list[str] = []
        self.redactions: list[str] = []
        self.secrets: set[str] = set()
        self._before: Any = None  # the object that was seen last
        self._key: Any = None  # and the one before it
        self._dicts: list[dict[Any, Any]] = []  # those that have been seen; it keeps them, so that an id means one thing
        self._owners: dict[int, str] = {}  # by id of a dict: whose attributes it holds
        self._plain: set[int] = set()  # by id: dicts whose keys are no names of fields
        self._secret_pairs: dict[tuple[int, int], str] = {}  # by the ids of key and value: the name of both
        self._secret_cells: dict[int, str] = {}  # by id of a closure's cell: the variable

    def persistent_id(self, obj: Any) -> Any:
        before, self._before = self._before, obj
        self._key = before
        if self._secret_pairs:
            name = self._secret_pairs.get((id(before), id(obj)))
            if name is not None:
                return self._redact(name, obj)
        if type(obj) is str:
            return self._redact_json(obj) if obj[:1] in _MAY_OPEN_JSON else None
        if isinstance(obj, dict):
            self._look_into(obj)
        return None

    def _look_into(self, obj: dict[Any, Any]) -> None:
        self._dicts.append(obj)
        self._plain.update(id(obj[name]) for name in _ABOUT_FIELDS if name in obj)
        if id(obj) in self._plain:
            return
        owner = self._owners.get(id(obj), "")
        for key, value in list(obj.items()):
            if looks_secret(key) and _is_to_go(value):
                self._secret_pairs[id(key), id(value)] = owner + str(key)

    def _redact(self, name: str, value: Any) -> tuple[str, Any]:
        self.redactions.append(name)
        self._note(value)
        return "redacted", _in_place_of(name, value)

    def _note(self, value: Any) -> None:
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, (str, int, float)):
            self.secrets.add(str(value))
        elif isinstance(value, dict):
            for inner in value.values():
                self._note(inner)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for inner in value:
                self._note(inner)

    def _redact_json(self, text: str) -> tuple[str, str] | None:
        redacted = redact_json(text)
        if redacted is None:
            return None
        text, names, secrets = redacted
        self.redactions += (f"{name} (in JSON)" for name in names)
        self.secrets.update(secrets)
        return "text", text

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        own = _OWN.get(kind)
        if own is not None:
            return own(self, obj)
        if issubclass(kind, type) or kind is types.FunctionType or kind is types.ModuleType:
            self._send_by_value(obj)
            if kind is types.FunctionType and obj.__closure__ is not None:
                cells = zip(obj.__code__.co_freevars, obj.__closure__, strict=True)
                self._secret_cells.update({id(cell): name for name, cell in cells if looks_secret(name)})
            reduced = super().reducer_override(obj)
            if reduced is NotImplemented and kind is not types.ModuleType:
                return reduced
            if isinstance(reduced, tuple):
                self._plain.update(id(arg) for arg in reduced[1] if type(arg) is dict)  # the members of an Enum, by name
            return self._owned(obj.__name__, reduced if reduced is not NotImplemented else self.dispatch_table[kind](obj))
        if _is_tied(kind):  # type: ignore[arg-type]
            return self._token(obj)
        if isinstance(obj, msgspec.Struct) and any(map(looks_secret, kind.__struct_fields__)):
            return _make_struct, (kind, {name: getattr(obj, name) for name in kind.__struct_fields__})
        try:
            reduce = self.dispatch_table.get(kind)
            reduced = obj.__reduce_ex__(5) if reduce is None else reduce(obj)
        except Exception:  # the object's own code, which says so if it can't be pickled
            return self._token(obj)
        if isinstance(reduced, str) and _is_users_name(getattr(obj, "__module__", None)):
            return self._token(obj)  # by name, it would be missed where it can't be imported
        return self._owned(kind.__name__, reduced)

    def _owned(self, owner: str, reduced: Any) -> Any:
        """Note whose attributes the state holds: as a dict, or a tuple of dicts."""
        if isinstance(reduced, tuple) and len(reduced) > 2:
            for part in reduced[2] if isinstance(reduced[2], tuple) else (reduced[2],):
                if type(part) is dict:
                    self._owners[id(part)] = f"{owner}."
        return reduced

    def _token(self, obj: Any) -> Any:
        kind = type(obj)
        name = self._name_of(obj)
        what = f"{name}: {kind.__module__}.{kind.__qualname__}" if name else f"{kind.__module__}.{kind.__qualname__}"
        self.tokens.append(what)
        return Token, (what,)

    def _name_of(self, obj: Any) -> str:
        """The key under which it stands in a dict, if it does: it is right behind the key that it was come to."""
        key = self._key
        if type(key) is str:
            for holder in self._dicts[-_NEAR:]:
                if dict.get(holder, key) is obj:
                    return self._owners.get(id(holder), "") + key
        return ""

    def _send_by_value(self, obj: Any) -> None:
        name = obj.__name__ if type(obj) is types.ModuleType else getattr(obj, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and _is_the_users(module) and name not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self.registered.append(module)

    # What has a way of its own

    def _code(self, code: types.CodeType) -> Any:
        return marshal.loads, (marshal.dumps(code),)  # a capsule is read by the Python that wrote it

    def _cell(self, cell: Any) -> Any:
        name = self._secret_cells.get(id(cell))
        if name is not None and cell != types.CellType() and _is_to_go(cell.cell_contents):
            return types.CellType, (self._redact(name, cell.cell_contents)[1],)
        return self.dispatch_table[types.CellType](cell)

    def _state(self, state: TopicState) -> Any:
        fields = {name: getattr(state, name) for name in type(state).__struct_fields__}
        self._plain.add(id(state.users))
        if isinstance(state, BehavedTopic):
            self._plain.add(id(state._timers))
            if state._behaviour is not None:
                fields["make"] = Behaviour  # it has been made
        return type(state), (state.topic,), fields, None, None, _fill

    def _presence(self, presence: Presence) -> Any:
        self._plain.add(id(presence._metas))
        self._plain.update(id(metas) for metas in presence._metas.values() if type(metas) is dict)
        return presence.__reduce__()

    def _roster(self, roster: Roster) -> Any:
        self._plain.add(id(roster._places))
        return roster.__reduce_ex__(5)

    def _push(self, push: Push) -> Any:
        payload = push.payload
        if payload and looks_secret(push.event) and redact_json(payload) is None:
            payload = self._redact(f"payload of push {push.event}", payload)[1]
        return Push, (push.client_id, push.topic, push.event, payload)

    def _cached_property(self, cached: "functools.cached_property[Any]") -> Any:
        return _make_cached_property, (cached.func, cached.attrname)  # it holds a lock until Python 3.12

    def _lru_cache(self, cached: Any) -> Any:
        if not _is_users_name(cached.__module__):
            return cached.__reduce__()
        return _make_lru_cache, (cached.__wrapped__, cached.cache_parameters())

    def _new_type(self, new_type: Any) -> Any:
        return typing.NewType, (new_type.__name__, new_type.__supertype__)

    def _logger(self, _logger: Any) -> Any:
        return _loguru, ()


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        return pid[1]


# A dict stands no further back than so many others that it holds.
_NEAR = 50

_MAY_OPEN_JSON = frozenset("{[ \n\t\r")

_OWN: dict[type, Any] = {
    types.CodeType: _Pickler._code,
    types.CellType: _Pickler._cell,
    TopicState: _Pickler._state,
    BehavedTopic: _Pickler._state,
    Presence: _Pickler._presence,
    Roster: _Pickler._roster,
    Push: _Pickler._push,
    type(user_logger): _Pickler._logger,
    functools.cached_property: _Pickler._cached_property,
    type(lru_cache(lambda: None)): _Pickler._lru_cache,
    typing.NewType: _Pickler._new_type,
}


def _is_to_go(value: Any) -> bool:
    """Of what stands under a name that looks secret. Code is none, nor what stands for an attribute, as a property."""
    return may_be_secret(value) and not isinstance(value, (*_CODE, Token)) and not hasattr(type(value), "__get__")


def _in_place_of(name: str, value: Any) -> Any:
    """Something of the same kind, so that what only passes it on goes on as it did."""
    if type(value) is str:
        return REDACTED
    if type(value) is bytes:
        return REDACTED.encode()
    if type(value) in (int, float):
        return type(value)(0)
    return Token(f"{name}: it was redacted")


@lru_cache(maxsize=1000)
def _is_tied(kind: type) -> bool:
    if issubclass(kind, _TIED_TO_THE_PROCESS) or (issubclass(kind, io.IOBase) and not issubclass(kind, _NO_FILES)):
        return True
    module = kind.__module__
    return isinstance(module, str) and module.startswith("lightspeed.") and module not in _OUR_VALUES


_STANDARD = tuple(Path(path).resolve() for key in ("stdlib", "platstdlib") if (path := sysconfig.get_path(key)))


def _is_users_name(name: object) -> bool:
    """Whether what is defined in the module of that name goes by value."""
    module = sys.modules.get(name) if isinstance(name, str) else None
    return name == "__main__" or (module is not None and _is_the_users(module))


def _is_the_users(module: types.ModuleType) -> bool:
    """Neither lightspeed's, nor the standard library's, nor an installed package's."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if name == "__main__" or name.split(".")[0] == "lightspeed" or not isinstance(file, str) or not file.endswith(".py"):
        return False
    return _is_a_users_file(file)


@lru_cache(maxsize=1000)
def _is_a_users_file(file: str) -> bool:
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _STANDARD)


def _fill(state: TopicState, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(state, name, value)


def _make_struct(kind: type, fields: dict[str, Any]) -> Any:
    return kind(**fields)


def _make_cached_property(function: Any, name: str | None) -> "functools.cached_property[Any]":
    cached = functools.cached_property(function)
    cached.attrname = name
    return cached


def _make_lru_cache(function: Any, parameters: dict[str, Any]) -> Any:
    return lru_cache(**parameters)(function)


def _loguru() -> Any:
    return user_logger
