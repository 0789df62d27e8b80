"""The pickle of a capsule: with the code that it needs, and without what can't or must not go along.

The pickler sees each object, and gives what is to stand for it. Code of the user's goes by value: what `__main__`, a function or
any module of the user's defines can be loaded where it can't be imported. The standard library, installed packages and lightspeed
itself go by name.
"""

import io
import pickle
import types
from collections.abc import Callable, Iterable
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import msgspec

from lightspeed.actors.text import class_name, shown
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic, StoppedClock
from lightspeed.actors.topics.rules.events import Push
from lightspeed.actors.topics.rules.presence import Roster
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.actors.topics.rules.topic import BoundedTopic, TopicState
from lightspeed.capsules import rebuilt
from lightspeed.capsules.by_value import OWN_WAYS, ByValue, is_tied, is_users_name
from lightspeed.capsules.capsule import name_of
from lightspeed.capsules.redaction import REDACTED, Censor, looks_secret, may_speak, redact_json, without_spoken
from lightspeed.capsules.secrets import ABOUT_FIELDS, Token, is_pair, is_to_go, leaves_of

_NEST: list[Any] = []
for _ in range(50):
    _NEST = [_NEST]

LONG_ENOUGH = 8
"""A shorter secret, or one that could be a name in a program, is taken out of texts about the state, but not of those in it."""


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """`persistent_id` sees each object in turn: of a dict first itself, then each key and, right behind it, its value."""

    def __init__(self, file: io.BytesIO, clean: Callable[[str], str] | None) -> None:
        super().__init__(file, protocol=5)
        self.by_value = ByValue()
        self.tokens: list[str] = []
        self.redactions: list[str] = []
        self.secrets: set[str] = set()
        self.runs: list[str] = []
        self.texts: set[str] = set()
        self._clean = clean
        self._cleaned: set[str] = set()  # what stands for a text that was redacted is seen too
        self._before: Any = None  # the object that was seen last
        self._key: Any = None  # and the one before it
        self._dicts: list[dict[Any, Any]] = []  # those that have been seen; it keeps them, so that an id means one thing
        self._kept: list[Any] = []  # and these
        self._owners: dict[int, str] = {}  # by id of a dict: whose attributes it holds
        self._plain: set[int] = set()  # by id: dicts whose keys are no names of fields, and what else is no pair
        self._secret_pairs: dict[tuple[int, int], str] = {}  # by the ids of key and value: the name of both
        self._secret_values: dict[int, str] = {}  # by id of a value whose key is no text: its name
        self._secret_cells: dict[int, str] = {}  # by id of a closure's cell: the variable

    def persistent_id(self, obj: Any) -> Any:
        before, self._before = self._before, obj
        self._key = before
        if self._secret_pairs or self._secret_values:
            name = self._secret_pairs.get((id(before), id(obj))) or self._secret_values.get(id(obj))
            if name is not None:
                return self._redact(name, obj)
        kind = type(obj)
        if kind is str:
            if obj[:1] in _MAY_OPEN_JSON or self._clean is not None or may_speak(obj):
                return self._redact_text(obj)
            if len(obj) >= LONG_ENOUGH:
                self.texts.add(obj)
            return None
        if kind is bytes:
            return None if id(obj) in self._plain else self._redact_bytes(obj)
        if kind in (tuple, list):
            self._look_at_pair(obj)
        elif issubclass(kind, dict):
            self._look_into(obj)
            self._note_hashes(dict.keys(obj))
        elif kind in (set, frozenset):
            self._note_hashes(obj)
        return None

    def _note_hashes(self, keys: Iterable[Any]) -> None:
        self.runs += [class_name(kind) for kind in set(map(type, keys)) if kind not in _PLAIN and rebuilt.has_own_hash(kind)]

    def _look_into(self, obj: dict[Any, Any]) -> None:
        self._dicts.append(obj)
        if dict.__contains__(obj, "__doc__"):  # a class
            self._plain.update(id(dict.__getitem__(obj, name)) for name in ABOUT_FIELDS if dict.__contains__(obj, name))
        if id(obj) in self._plain:
            return
        owner = self._owners.get(id(obj), "")
        for key, value in list(dict.items(obj)):
            if looks_secret(key) and is_to_go(value):
                if type(key) in (str, bytes):
                    self._secret_pairs[id(key), id(value)] = f"{owner}{_text_of(key)}"
                else:  # it is no single object to the pickler: its value comes behind all that it is made of
                    self._secret_values[id(value)] = f"{owner}{_text_of(key)}"

    def _look_at_pair(self, obj: Any) -> None:
        """A name, and its value: as of a header."""
        if is_pair(obj) and id(obj) not in self._plain:
            self._kept.append(obj)
            self._secret_pairs[id(obj[0]), id(obj[1])] = _text_of(obj[0])

    def _redact(self, name: str, value: Any) -> tuple[str, Any]:
        self.redactions.append(name)
        self.secrets.update(leaves_of(value))
        return "redacted", _in_place_of(name, value)

    def _redact_text(self, text: str) -> tuple[str, str] | None:
        if text in self._cleaned:
            return None
        done = text
        redacted = redact_json(text) if text[:1] in _MAY_OPEN_JSON else None
        if redacted is not None:
            done, names, secrets = redacted
            self.redactions += (f"{name} (in JSON)" for name in names)
            self.secrets.update(secrets)
        done, names, secrets = without_spoken(done)
        self.redactions += names
        self.secrets.update(secrets)
        if self._clean is not None:
            cleaned = self._clean(done)
            if cleaned != done:
                self.redactions.append("a secret (in a text)")
                done = cleaned
        elif len(text) >= LONG_ENOUGH:
            self.texts.add(done)
        if done is text:
            return None
        self._cleaned.add(done)
        return "text", done

    def _redact_bytes(self, data: bytes) -> tuple[str, bytes] | None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            if self._clean is None:
                self.texts.add(data.decode("latin-1"))
                return None
            cleaned = self._clean(data.decode("latin-1")).encode("latin-1")
            return None if cleaned == data else ("text", cleaned)
        done = self._redact_text(text)
        return None if done is None else ("text", done[1].encode())

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        own = _OWN.get(kind)
        if own is not None:
            return own(self, obj)
        if kind in OWN_WAYS:
            made = OWN_WAYS[kind](obj)
            if kind is types.CodeType:
                self._kept.append(made)
                self._plain.add(id(made[1][0]))  # no text, whatever its bytes look like
            return made
        if issubclass(kind, type) or kind is types.FunctionType or kind is types.ModuleType:
            return self._code_of(obj, kind)
        if is_tied(kind):  # type: ignore[arg-type]
            return self._token(obj)
        if issubclass(kind, msgspec.Struct):
            return self._struct(obj, kind)
        try:
            reduce = self.dispatch_table.get(kind)
            how = None if issubclass(kind, BaseException) else obj.__reduce_ex__(5) if reduce is None else reduce(obj)
            made = rebuilt.reduced(obj, how)
        except BaseException as error:  # the object's own code, which says so if it can't be pickled
            if _is_of_the_whole(type(error)):
                raise
            return self._token(obj)
        if isinstance(made.parts, str) and is_users_name(getattr(obj, "__module__", None)):
            return self._token(obj)  # by name, it would be missed where it can't be imported
        if made.runs:
            self.runs.append(class_name(kind))
        return self._owned(class_name(kind), made.parts)

    def _code_of(self, obj: Any, kind: type) -> Any:
        self.by_value.send(obj)
        if kind is types.FunctionType and obj.__closure__ is not None:
            cells = zip(obj.__code__.co_freevars, obj.__closure__, strict=True)
            self._secret_cells.update({id(cell): name for name, cell in cells if looks_secret(name)})
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented:
            return reduced if kind is not types.ModuleType else self._owned(obj.__name__, self.dispatch_table[kind](obj))
        if isinstance(reduced, tuple):
            self._plain.update(id(arg) for arg in reduced[1] if type(arg) is dict)  # the members of an Enum, by name
            if issubclass(kind, type) and len(reduced) == 6:
                if rebuilt.runs_code_to_be_made(obj):
                    self.runs.append(class_name(obj))
                is_struct = issubclass(obj, msgspec.Struct)
                reduced = rebuilt.of_struct(obj, reduced) if is_struct else rebuilt.apart(reduced)
        return self._owned(obj.__name__, reduced)

    def _struct(self, obj: msgspec.Struct, kind: type[msgspec.Struct]) -> Any:
        if kind.__module__.startswith("lightspeed."):
            made = obj.__reduce__()
            self._kept.append(made)
            self._plain.add(id(made[1]))
            return made
        if rebuilt.find_in_class(kind, "__reduce__") is not rebuilt.find_in_class(msgspec.Struct, "__reduce__"):
            self.runs.append(class_name(kind))
            return self._owned(class_name(kind), obj.__reduce__())
        if rebuilt.find_in_class(kind, "__post_init__") is not None:
            self.runs.append(class_name(kind))
        return _make_struct, (kind, {name: getattr(obj, name) for name in kind.__struct_fields__})

    def _owned(self, owner: str, reduced: Any) -> Any:
        """Note whose attributes the state holds: as a dict, or a tuple of dicts and more."""
        if isinstance(reduced, tuple) and len(reduced) > 2:
            for part in reduced[2] if isinstance(reduced[2], tuple) else (reduced[2],):
                if type(part) is dict:
                    self._owners[id(part)] = f"{owner}."
        return reduced

    def _token(self, obj: Any) -> Any:
        kind = type(obj)
        name = self._name_of(obj)
        what = f"{name}: {name_of(kind)}" if name else name_of(kind)
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

    # What has a way of its own

    def _cell(self, cell: Any) -> Any:
        name = self._secret_cells.get(id(cell))
        try:
            value = cell.cell_contents
        except ValueError:  # it is empty
            name = value = None
        if name is not None and is_to_go(value):
            return types.CellType, (self._redact(name, value)[1],)
        return self.dispatch_table[types.CellType](cell)

    def _state(self, state: TopicState) -> Any:
        fields = {name: getattr(state, name) for name in type(state).__struct_fields__}
        self._plain.update((id(state.users), id(state._recipients), id(state._metas)))
        self._plain.update(id(metas) for metas in state._metas.values() if type(metas) is dict)
        if isinstance(state, BehavedTopic):
            self._plain.add(id(state._timers))
            clock = state.clock  # what runs the actor stays here; the topic finds the time of its snapshot
            fields["clock"] = StoppedClock(clock.monotonic_s(), clock.now_ms(), clock.random())
            if state._behaviour is not None:
                fields["make"] = Behaviour  # it has been made
        return type(state), (state.topic,), fields, None, None, _fill

    def _roster(self, roster: Roster) -> Any:
        self._plain.update((id(roster._places), id(roster._ids)))
        return roster.__reduce_ex__(5)

    def _push(self, push: Push) -> Any:
        payload = push.payload
        if payload and looks_secret(push.event) and redact_json(payload) is None:
            payload = self._redact(f"payload of push {push.event}", payload)[1]
        return Push, (push.client_id, push.topic, push.event, payload)


# A dict stands no further back than so many others that it holds.
_NEAR = 50

_PLAIN = (str, int, bytes, tuple)

_MAY_OPEN_JSON = frozenset("{[ \n\t\r")

_OWN: dict[type, Any] = {
    types.CellType: Pickler._cell,
    TopicState: Pickler._state,
    BoundedTopic: Pickler._state,
    BehavedTopic: Pickler._state,
    Roster: Pickler._roster,
    Push: Pickler._push,
}


def _in_place_of(name: str, value: Any) -> Any:
    """Something of the same kind, so that what only passes it on goes on as it did."""
    if type(value) is str:
        return REDACTED
    if type(value) is bytes:
        return REDACTED.encode()
    if type(value) in (int, float):
        return type(value)(0)
    return Token(f"{name}: it was redacted")


def _is_of_the_whole(kind: type[BaseException]) -> bool:
    """Whether such an error is not that of the object at which it came up."""
    return issubclass(kind, (KeyboardInterrupt, MemoryError)) or (issubclass(kind, RecursionError) and not _has_room())


def _has_room() -> bool:
    """Whether some more calls fit within one another here, of Python's functions and, which it counts apart, of those in C."""
    try:
        repr(_NEST)
        return _call_deeper(50)
    except RecursionError:
        return False


def _call_deeper(times: int) -> bool:
    return times == 0 or _call_deeper(times - 1)


def _text_of(name: Any) -> str:
    return str.__str__(name) if issubclass(type(name), str) else shown(name)


def _fill(state: TopicState, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(state, name, value)


def _make_struct(kind: type, fields: dict[str, Any]) -> Any:
    return kind(**fields)


# So many characters times secrets are looked at; with more, only those that are a secret as a whole are found in a state. A text
# costs about as much as its length and this.
_MOST_LOOKS, _EACH_TEXT = 100_000_000, 200


class Pickled(msgspec.Struct, frozen=True):
    """A pickle, and what is not in it."""

    data: bytes
    tokens: tuple[str, ...] = ()
    """What stands for something else: `<name>: <what it was>`."""
    redactions: tuple[str, ...] = ()
    """The names under which something was redacted."""
    secrets: frozenset[str] = frozenset()
    """The texts that were: for whoever writes other texts into the same capsule."""
    runs: tuple[str, ...] = ()
    """The classes whose own code it takes to load it."""


class TooLarge(Exception):
    """A pickle became larger than it may be."""


class TooDeep(Exception):
    """What was to be pickled is nested deeper than Python can follow."""

    def __init__(self) -> None:
        super().__init__("it is nested too deep")


class _Bounded(io.BytesIO):
    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any, /) -> int:
        if self._limit is not None and self.tell() + len(data) > self._limit:
            raise TooLarge(f"it is larger than {self._limit} bytes")
        return super().write(data)


def pickled(value: Any, limit: int | None = None, known: frozenset[str] = frozenset()) -> Pickled:
    """Pickle it. Any thread may call this.

    Args:
        known: secrets, beside those that stand in it under names that look secret.
        limit: so many bytes it may have. None, the default: as many as it takes.

    Raises:
        BaseException: it can't be pickled, even so; or what its values' own code raises.
    """
    made, texts = _dumped(value, limit, None)
    secrets = made.secrets | known
    if not secrets:
        return made
    censor = Censor(secret for secret in secrets if _can_be_told_from_a_name(secret))
    cost = sum(len(text) + _EACH_TEXT for text in texts) * len(secrets)
    looks = censor.clean if cost < _MOST_LOOKS else censor.whole
    if all(looks(text) == text for text in texts):
        return made
    again, _texts = _dumped(value, limit, looks)  # what is said of a secret where its name is not
    return msgspec.structs.replace(again, secrets=made.secrets | again.secrets)


def _dumped(value: Any, limit: int | None, clean: Callable[[str], str] | None) -> tuple[Pickled, set[str]]:
    with _Bounded(limit) as file:
        pickler = Pickler(file, clean)
        try:
            pickler.dump(value)
        except (RecursionError, pickle.PicklingError) as error:  # of which cloudpickle makes the other
            if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
                raise TooDeep from None
            raise
        finally:
            pickler.by_value.let_go()
        made = Pickled(
            file.getvalue(),
            tuple(dict.fromkeys(pickler.tokens)),
            tuple(dict.fromkeys(pickler.redactions)),
            frozenset(pickler.secrets),
            tuple(dict.fromkeys(pickler.runs)),
        )
        return made, pickler.texts


def _can_be_told_from_a_name(secret: str) -> bool:
    return len(secret) >= LONG_ENOUGH and not (secret.isidentifier() and secret.isalpha())


def unpickled(data: bytes) -> Any:
    """Load what `pickled` made. It runs code that stands in it.

    Raises:
        Exception: whatever that code raises.
    """
    return _Unpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        return pid[1]
