"""What a crash capsule is: a header that anybody can read, and three pickles that only a replay loads.

Pure but for the time of day, which is an argument.
"""

import re
from typing import Any

import msgspec

from lightspeed.actors.errors import InvalidCapsule
from lightspeed.actors.text import class_name, shown
from lightspeed.capsules.redaction import REDACTED

FORMAT = "lightspeed capsule"
VERSION = 3

# What a header holds at most of a text, and of a list; so it stays below what a reader takes for one.
_TEXT, _LONG_TEXT, _LINES = 4_000, 100_000, 500
LARGEST_HEADER = 4_000_000

_CUT = re.compile(r"\.\.\. \(\d+ more\)")  # behind what was cut before
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


class Failure(msgspec.Struct, frozen=True):
    """What a topic failed of."""

    type: str
    """The exception's class, with its module."""
    text: str
    traceback: str = ""
    stuck: bool = False
    """Nothing was raised: it did not come back, and was given up. The traceback shows where it was then."""

    def __post_init__(self) -> None:
        for field, limit in (("type", _TEXT), ("text", _TEXT), ("traceback", _LONG_TEXT)):
            msgspec.structs.force_setattr(self, field, cut(getattr(self, field), limit))

    def is_as(self, other: "Failure") -> bool:
        """Whether the other is the same exception. Where in memory something stood does not count, nor what was redacted here."""
        if self.stuck or other.stuck:
            return self.stuck and other.stuck
        known = _ADDRESS.sub("0x", self.text).split(REDACTED)
        text = _ADDRESS.sub("0x", other.text)
        return self.type == other.type and re.fullmatch(".*".join(map(re.escape, known)), text, re.DOTALL) is not None


class Sizes(msgspec.Struct, frozen=True):
    """In bytes, in the order in which they stand behind the header."""

    state: int
    """The state as of the snapshot; 0: there is none."""
    steps: int
    """What was handled since, and what failed."""
    waiting: int
    """What waited in the inbox; 0: it was left out for its size."""

    @property
    def body(self) -> int:
        return self.state + self.steps + self.waiting


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of the file."""

    format: str = FORMAT
    version: int = VERSION
    library: str
    python: str
    time: str
    """UTC, ISO 8601."""
    topic: str
    incarnation: int
    behaviour: str | None
    """The qualified name of its class, or of what makes it; None: the plain relay."""
    handled: int
    """How many steps the actor had handled in its life."""
    since: int
    """How many of them after the snapshot: these are in the file."""
    waiting: int
    """How many waited in the inbox."""
    failed_on: str
    """What kind of step it failed on."""
    failure: Failure
    snapshot: str
    """`start`: the steps are all since the actor's start; `state`; or `none: <why>`, then it can't be replayed."""
    tokens: tuple[str, ...] = ()
    """What a token stands for."""
    redactions: tuple[str, ...] = ()
    """The names under which something was redacted."""
    cut: tuple[str, ...] = ()
    """What was left out for its size."""
    sizes: Sizes
    signed: bool
    key_id: str = ""
    """Which key it was signed with, so that another one can be told from an alteration. It gives nothing away of a good key."""

    def __post_init__(self) -> None:
        for field in ("topic", "behaviour", "failed_on", "snapshot"):
            value = getattr(self, field)
            if value is not None:
                msgspec.structs.force_setattr(self, field, cut(value, _TEXT))
        for field in ("tokens", "redactions"):
            values = tuple(cut(value, 200) for value in getattr(self, field)[:_LINES])
            msgspec.structs.force_setattr(self, field, values)

    @property
    def minor_python(self) -> str:
        """Code is pickled for one minor version of Python, and can be loaded by no other."""
        return minor(self.python)


def read_header(source: str, line: bytes) -> Header:
    """What the line says.

    Raises:
        InvalidCapsule: it is no header, or one of another version.
    """
    try:
        told: Any = msgspec.json.decode(line)
    except UnicodeDecodeError:
        raise InvalidCapsule(source, "no crash capsule: its first line is no UTF-8") from None
    except (msgspec.DecodeError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise InvalidCapsule(source, "no crash capsule: it does not begin with a header")
    if told.get("version") != VERSION:
        raise InvalidCapsule(source, f"a capsule of version {shown(told.get('version'), 20)}, and this reads version {VERSION}")
    try:
        header = msgspec.convert(told, Header)
    except msgspec.ValidationError as error:
        raise InvalidCapsule(source, f"its header is not whole: {error}") from None
    if min(header.sizes.state, header.sizes.steps, header.sizes.waiting) < 0:
        raise InvalidCapsule(source, "its header is not whole: a size is below 0")
    return header


def name_of(kind: type) -> str:
    """The qualified name of a class, with its module, whatever its metaclass says."""
    module = type.__dict__["__module__"].__get__(kind)
    return f"{module if type(module) is str else '?'}.{class_name(kind)}"


def minor(python: str) -> str:
    """`3.11` of `3.11.7`."""
    return ".".join(python.split(".")[:2])


def cut(text: str, limit: int) -> str:
    """At most so many characters of it, and such as UTF-8 can encode."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit or _CUT.fullmatch(text, limit) else f"{text[:limit]}... ({len(text) - limit} more)"
