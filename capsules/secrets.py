"""What is secret of values, by the names under which it stands, and the token that stands for what can't or must not be pickled.

No object of the program's is asked for anything.
"""

import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from lightspeed.actors.errors import TokenUsed
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.events import Push
from lightspeed.capsules.rebuilt import find_in_class, is_pythons, vars_of
from lightspeed.capsules.redaction import looks_secret, may_be_secret, redact_json, without_spoken

# Python looks these up in the class, so that each must be there to be refused by name.
_USES = (
    *("__call__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__await__", "__iter__", "__next__", "__len__"),
    *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__int__", "__float__", "__index__", "__bytes__", "__str__"),
    *("__add__", "__radd__", "__sub__", "__mul__", "__lt__", "__le__", "__gt__", "__ge__"),
)


class Token:
    """A token can be held, compared and passed on. Whoever uses it gets a `TokenUsed` that says what it was."""

    __slots__ = ("_what",)
    _what: str

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # Python's own questions, such as those of copy and pickle
        raise TokenUsed(self._what)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise TokenUsed(self._what)

    def __repr__(self) -> str:
        return f"<Token {self._what}>"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return Token, (self._what,)


def _refuse(token: Token, *_args: Any, **_options: Any) -> NoReturn:
    raise TokenUsed(token._what)


for _use in _USES:
    setattr(Token, _use, _refuse)


# So many objects are looked at. What is behind them is further from the failure than its text is likely to reach.
_MOST = 100_000

# Such numbers a text shows whole.
_LARGEST = 10**100

ABOUT_FIELDS = ("__annotations__", "__dataclass_fields__", "__slots__", "__match_args__", "_fields")
"""In a class: the names of fields, and by name what is no value."""

_CODE = (types.BuiltinFunctionType, types.ModuleType, Token)
_FUNCTIONS = (types.FunctionType, types.MethodType)


def is_to_go(value: Any) -> bool:
    """Of what stands under a name that looks secret. Code is none, nor what stands for an attribute, as a property."""
    kind = type(value)
    if not may_be_secret(value) or kind in _CODE or issubclass(kind, type):
        return False
    return find_in_class(kind, "__get__") is None


def is_pair(value: Any) -> bool:
    """Whether it is a name that looks secret, and its value."""
    return len(value) == 2 and type(value[0]) in (str, bytes) and looks_secret(value[0]) and is_to_go(value[1])


def leaves_of(value: Any) -> set[str]:
    """The texts and numbers in a value that is secret as a whole, as texts."""
    found = set()
    for leaf in _within(value):
        kind = type(leaf)
        if issubclass(kind, str):
            found.add(str.__str__(leaf))
        elif issubclass(kind, (bytes, bytearray)):
            found.add(bytes(leaf).decode("latin-1"))
        elif kind in (int, float) and -_LARGEST < leaf < _LARGEST:
            found.add(str(leaf))
    return found


def secrets_in(values: Iterable[Any]) -> set[str]:
    """The texts of what stands under names that look secret in any of these, or in what they lead to."""
    found: set[str] = set()
    waiting, seen = deque(values), set[int]()
    while waiting and len(seen) < _MOST:
        value = waiting.popleft()
        kind = type(value)
        if kind is str:
            found.update(_of_text(value))
        elif kind is bytes:
            found.update(_of_text(value.decode("latin-1")))
        elif id(value) not in seen and kind not in _ATOMS:
            seen.add(id(value))
            for name, inner in _named_in(value, kind):
                if name is not None and looks_secret(name) and is_to_go(inner):
                    found |= leaves_of(inner)
                else:
                    waiting.append(inner)
    return found


_ATOMS = (int, float, bool, type(None), types.CodeType, types.BuiltinFunctionType)


def _of_text(text: str) -> Iterable[str]:
    redacted = redact_json(text) if text[:1] in ("{", "[") else None
    return (*without_spoken(text)[2], *(redacted[2] if redacted else ()))


def _within(value: Any) -> Iterator[Any]:
    """A value and all that is in it, once each; so deep and so round as it may be."""
    waiting, seen = [value], set[int]()
    while waiting and len(seen) < _MOST:
        value = waiting.pop()
        if id(value) not in seen:
            seen.add(id(value))
            yield value
            if type(value) not in (*_ATOMS, str, bytes):
                waiting += [inner for _name, inner in _named_in(value, type(value))]


def _named_in(value: Any, kind: type) -> Iterator[tuple[Any, Any]]:
    """What is in it, by the name under which it stands there; None: by none."""
    if issubclass(kind, dict):
        yield from list(dict.items(value))
    elif issubclass(kind, (list, tuple)):
        yield from _of_sequence(value, kind)
    elif issubclass(kind, (set, frozenset, deque)):
        yield from ((None, inner) for inner in kind.__iter__(value)) if is_pythons(kind) else ()
    elif kind in _FUNCTIONS:
        yield from _of_function(value)
    elif issubclass(kind, type):
        yield from (
            () if is_pythons(value) else ((name, held) for name, held in value.__dict__.items() if name not in ABOUT_FIELDS)
        )
    elif kind.__module__.startswith("lightspeed.") and not issubclass(kind, BaseException):
        yield from _of_ours(value, kind)
        return
    if kind is not types.ModuleType:
        yield from vars_of(value).items()
    if issubclass(kind, BaseException):
        yield from ((None, inner) for inner in (*_ARGS.__get__(value), value.__cause__, value.__context__))


def _of_ours(value: Any, kind: type) -> Iterator[tuple[Any, Any]]:
    """Who is in a topic is called as clients like; of that no name tells what is secret."""
    if issubclass(kind, BehavedTopic):
        yield None, value._behaviour
    elif issubclass(kind, Push):
        yield value.event, value.payload


_ARGS: Any = BaseException.args  # not what a class of the program's makes of it


def _of_sequence(value: Any, kind: type) -> Iterator[tuple[Any, Any]]:
    items = list(list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value))
    fields = getattr(kind, "_fields", None) if issubclass(kind, tuple) else None
    if kind in (list, tuple) and is_pair(items):
        yield items[0], items[1]
    elif type(fields) is tuple and len(fields) == len(items):
        yield from zip(fields, items, strict=True)
    else:
        yield from ((None, inner) for inner in items)


def _of_function(value: Any) -> Iterator[tuple[Any, Any]]:
    if type(value) is types.MethodType:
        yield None, value.__self__
        value = value.__func__
    if type(value) is not types.FunctionType:
        return
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is empty
            pass
    held = value.__globals__
    yield from ((name, held[name]) for name in value.__code__.co_names if name in held)
