"""The text of objects that are not ours: short, on one line, and had without trusting their code.

What a program hands us may have a `__repr__` or a `__str__` that raises, hangs, ends the process or is a hundred megabytes long.
So `shown` never calls one: it writes out what Python itself can write, and of all else the class. Only an exception has a text
that is wanted: `said` asks for it, and `failures.text_of` does so without waiting for it.
"""

import enum
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any

LIMIT = 200
"""The number of characters that `shown` writes, before `...`."""

LONG = 4_000
"""The number of characters that an exception's text has at most."""

_DEEP, _MANY = 3, 8  # so far `shown` looks into containers, and at so many of their items
_LARGE_INT = 10**40

_ARGS: Any = BaseException.args  # not what a class of the program's makes of it

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_NAMED = (type, type(lambda: 0), type(len))
_PATHS = (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)


def shown(value: object, limit: int = LIMIT) -> str:
    """The value for an error or a log: on one line, and nothing that a terminal would obey. No code but Python's is run."""
    return escaped(_shown(value, limit, _DEEP), limit)


def escaped(text: str, limit: int | None = LIMIT) -> str:
    """The text on one line: what can't be printed stands as its escape. None: however long it is."""
    text = str.__str__(text)
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}..."
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def named(actor: object) -> str:
    """The class and the URN of an actor, or of whom a reference leads to, as Pykka's own `str`, whatever its `__str__` is."""
    kind: Any = type(actor)
    try:
        kind = getattr(actor, "actor_class", kind)
        urn = str.__str__(actor.actor_urn)  # type: ignore[attr-defined]
    except BaseException:  # a class of the program's
        urn = "?"
    return escaped(f"{class_name(kind)} ({urn})")


def said(error: BaseException) -> str:
    """The class of what was raised, and its text, of at most 4,000 characters, such as UTF-8 can encode.

    The text is the program's code, and takes as long as it takes; but whatever it raises, it is the text that is missing.
    """
    return with_class(error, asked(error))


def with_class(error: BaseException, text: str) -> str:
    """The text of an exception behind its class."""
    return f"{class_name(type(error))}: {text[:LONG]}".encode(errors="backslashreplace").decode()


def asked(error: BaseException) -> str:
    """The text of an exception, if it has any."""
    try:
        return str.__str__(str(error))
    except BaseException:  # the program's code
        return "(its text can't be had)"


def runs_no_foreign_code(error: BaseException) -> bool:
    """Whether only Python's code and ours makes the text of an exception."""
    kind = type(error)
    if kind.__module__.startswith("lightspeed."):
        inner = getattr(error, "error", None)  # of another, which stands in its text
        return not isinstance(inner, BaseException) or runs_no_foreign_code(inner)
    how: Any = type.__getattribute__(kind, "__str__")
    owner = getattr(how, "__objclass__", None)
    if owner is BaseExceptionGroup:
        return True
    return owner is not None and owner.__module__ == "builtins" and all(type(arg) in _PLAIN for arg in _ARGS.__get__(error))


def class_name(kind: type) -> str:
    """The qualified name of a class, whatever its metaclass says."""
    name = type.__dict__["__qualname__"].__get__(kind)
    return name if isinstance(name, str) else "?"


def _shown(value: Any, limit: int, depth: int) -> str:
    kind = type(value)
    if kind in (str, bytes):
        return repr(value[: limit + 1])
    if kind is int and abs(value) > _LARGE_INT:
        return f"an int of {value.bit_length()} bits"
    if kind in _PLAIN or kind in _PATHS:
        return repr(value)
    if kind in _CONTAINERS:
        return _shown_items(value, limit, depth)
    if isinstance(kind, enum.EnumMeta):
        return f"{class_name(kind)}.{_shown_name(value)}"
    if kind in _NAMED:
        return f"<{'class' if kind is type else 'function'} {value.__qualname__}>"
    if issubclass(kind, BaseException):
        return f"<{class_name(kind)} exception>"
    fields = type.__getattribute__(kind, "__struct_fields__") if _is_ours(kind) else ()
    if fields and depth:
        items = (f"{name}={_shown(getattr(value, name, None), limit, depth - 1)}" for name in fields)
        return f"{class_name(kind)}({', '.join(items)})"
    return f"<{class_name(kind)} object>"


def _shown_name(member: Any) -> str:
    name = object.__getattribute__(member, "_name_")
    return name if type(name) is str else "?"


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("lightspeed.") and hasattr(kind, "__struct_fields__")


_CONTAINERS: dict[type, Any] = {tuple: "()", list: "[]", set: "{}", frozenset: ("frozenset({", "})"), dict: "{}"}


def _shown_items(values: Any, limit: int, depth: int) -> str:
    first, last = _CONTAINERS[type(values)]
    if not depth:
        return f"{first}...{last}"
    # Copied at once, since another thread may change it; and a dict's values not by its keys, whose `__eq__` is not ours.
    columns = [list(values), list(values.values())] if type(values) is dict else [list(values)]
    rows = list(zip(*(column[: _MANY + 1] for column in columns), strict=False))
    items = [": ".join(_shown(part, limit, depth - 1) for part in row) for row in rows[:_MANY]]
    if len(rows) > _MANY:
        items.append("...")
    return f"{first}{', '.join(items)}{',' if type(values) is tuple and len(values) == 1 else ''}{last}"
