"""What happened in a simulation, step by step, as lines of text; and its hash, by which two runs are told apart.

A line is what was done, to whom, and with what, apart by tabs. No line holds an address, a time of day or a number that differs
from machine to machine.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from lightspeed.actors.errors import LightspeedError
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.text import shown
from lightspeed.actors.topics.mail import Delivery, Order, Question, RestoreMembers
from lightspeed.actors.topics.rules.events import Broadcast, Crash, Join, Leave, Push, Rejoin, Restart

EVENTS = frozenset((Broadcast, Crash, Join, Leave, Push, Rejoin, Restart))
_STRUCTS = type(Join)
_NAME: Any = type.__dict__["__name__"]
_PLAIN = frozenset((str, int, float, bool, type(None)))
_LONGEST = 200  # of a user's own message


def _as_plain(value: object) -> object:
    return f"a {kind_of(value)}"


def in_ours(excinfo: Any) -> bool:
    """Whether what pytest is to show was raised by the simulation itself: then no line of ours says more than its text."""
    return issubclass(excinfo.type, LightspeedError)


_encode = msgspec.json.Encoder(enc_hook=_as_plain).encode


class Act(Struct, frozen=True, eq=False):
    """What somebody in a simulation does in his turn, besides to send an event."""

    name: str
    """As it stands in the trace."""
    call: Callable[[], object]


class Trace:
    """Appended to by one simulation."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        """Each a line in parts. The last may be an event, or messages that were given out, to be written when it is read."""
        self.choices: list[int] = []
        """What the scheduler chose, wherever there was a choice."""
        self.widths: list[int] = []
        """From among how many."""

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return map(_line, self.entries)

    @property
    def hash(self) -> str:
        """Equal for equal runs, on any machine."""
        return hash_of(self)


def hash_of(lines: Iterable[str]) -> str:
    """What tells these lines from others."""
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()


def _line(entry: tuple[Any, ...]) -> str:
    last = entry[-1]
    if type(last) is str:
        return "\t".join(entry)
    written = " ".join(_json(message) for message in last) if type(last) is tuple else _json(last)
    return "\t".join((*entry[:-1], written))


def _json(value: Any) -> str:
    try:
        return _encode(value).decode()
    except ValueError:  # a behaviour gave out a text that UTF-8 does not know
        return json.dumps(msgspec.to_builtins(value, enc_hook=_as_plain), separators=(",", ":"))


def printable(name: str) -> str:
    """A name as it stands in a line: what would end the line, or a field of it, is written as Python writes it."""
    name = str.__str__(name)
    return name if name.isprintable() else repr(name)[1:-1]


def kind_of(value: object) -> str:
    """The name of its class, whatever the class's own says."""
    return str.__str__(_NAME.__get__(type(value)))


def note(error: BaseException, text: str) -> None:
    """Have it printed below an exception, which may be of any class."""
    try:
        BaseException.add_note(error, text)
    except TypeError:
        pass  # it keeps something else where notes are kept


def described(message: Any) -> Any:
    """What stands for a message in the trace: an event itself, which never changes, and for others a text."""
    kind = type(message)
    if kind is Delivery:
        return message.request
    return message if is_event(kind) else _text(message)


def is_event(kind: type) -> bool:
    """Whether it is one of the seven: no class of a program's is asked for its hash."""
    return type(kind) is _STRUCTS and kind in EVENTS


def _text(message: Any) -> str:
    """Messages of others by their type."""
    kind = type(message)
    if kind is Act:
        return printable(message.name)
    if kind is Order:
        return f"order {_json(message.request)}"
    if kind is Envelope:
        what = described(message.message)
        what = what if type(what) is str else _json(what)
        return what if message.reply_to is None else f"ask {what}"
    if message is STOP:
        return "stop"
    if kind is RestoreMembers:
        return f"replay {' '.join(map(_json, message.rejoins))}"
    if kind is Question:
        return "question"
    if type(kind) is type and kind in _PLAIN:
        return _plain_text(message)[:_LONGEST]
    return kind_of(message)


def _plain_text(message: Any) -> str:
    """As `repr`, but of a large one no more than its beginning."""
    if type(message) is str:
        return repr(message[:_LONGEST])
    is_large = type(message) is int and message.bit_length() > _LONGEST * 4
    return shown(message) if is_large else repr(message)


class TracedRandom(random.Random):
    """Every number that is drawn stands in the trace."""

    def __new__(cls, seed: object, _trace: Trace) -> "TracedRandom":
        return super().__new__(cls, str(seed))  # type: ignore[call-arg]

    def __init__(self, seed: object, trace: Trace) -> None:
        self._entries = trace.entries
        super().__init__(f"draws {seed}")

    def random(self) -> float:
        number = super().random()
        self._entries.append(("draw", repr(number)))
        return number

    def getrandbits(self, k: int) -> int:
        number = super().getrandbits(k)
        self._entries.append(("draw", repr(number)))
        return number
