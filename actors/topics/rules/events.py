"""What goes into a channel: ten events, the rules that each must keep, and patterns that name topics.

To make an event never raises for the values of its fields; `check_event` is the one door at which they are judged.

A pattern says which topics are meant: `room:lobby` is that one, `room:*` every topic whose name begins with `room:`, `*` every
topic.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct

from lightspeed.actors.errors import InvalidEvent, InvalidOption


class _Event(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, repr_omit_defaults=True):
    """What all events are."""


class Join(_Event, frozen=True, tag="join"):
    """A client becomes a member of a topic."""

    client_id: str
    """One connection or device of a user. Not empty."""
    topic: str
    """Not empty."""
    user_id: str
    """The presence key: all clients of one user stand under it. Not empty."""
    now_ms: int
    """When it joins, in milliseconds since the Unix epoch; from 0 up."""
    meta: str = ""
    """Any text of the program's that stands in the presence: a colour, a device; JSON by habit."""


class Rejoin(_Event, frozen=True, tag="rejoin"):
    """A client comes back, after a crash or a reconnect. May be repeated safely: an equal or older one changes nothing."""

    client_id: str
    """As in `Join`."""
    topic: str
    """As in `Join`."""
    user_id: str
    """As in `Join`; it may differ from the one that the client joined with."""
    now_ms: int
    """As in `Join`."""
    meta: str | None = None
    """None, the default: the presence keeps the text that it has. A text replaces it: so a presence is updated."""


class Leave(_Event, frozen=True, tag="leave"):
    """A member leaves a topic."""

    client_id: str
    """Not empty."""
    topic: str
    """Not empty."""
    now_ms: int | None = None
    """Where it is older than the join or rejoin of the member, it is stale and changes nothing: the clean-up of an old connection
    can't take out the new one. None, the default: it is never stale."""


class Disconnect(_Event, frozen=True, tag="disconnect"):
    """A client leaves every topic that it is in, as by a `Leave` of each."""

    client_id: str
    """Not empty."""
    now_ms: int | None = None
    """As in `Leave`."""


class Broadcast(_Event, frozen=True, tag="broadcast"):
    """A member sends a message to every member of the topic, itself too."""

    client_id: str
    """Not empty."""
    topic: str
    """Not empty."""
    payload: str
    """Any text; nothing here reads it."""
    event: str = ""
    """The message's name, if it has one. Any text."""


class Publish(_Event, frozen=True, tag="publish"):
    """The program sends a message to every member of the topic. Where nobody is in it, nothing happens."""

    topic: str
    """Not empty."""
    payload: str
    """Any text."""
    event: str = ""
    """As in `Broadcast`."""


class Relayed(Publish, frozen=True, gc=False, tag="relayed"):
    """What was given out to a topic's members on another node. No user can send it."""

    sender: str | None = None
    """As of a `BroadcastMessage`."""


class Push(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag="push"):
    """A member is sent a message that nobody else gets."""

    client_id: str
    """Not empty."""
    topic: str
    """Not empty."""
    event: str
    """The message's name. Any text."""
    payload: str
    """Any text."""


class Send(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag="send"):
    """The program sends a message to one member of the topic."""

    client_id: str
    """Not empty."""
    topic: str
    """Not empty."""
    event: str
    """As in `Push`."""
    payload: str
    """Any text."""


class Crash(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, tag="crash"):
    """Every topic actor fails, or the one of the topic named; its state dies with it."""

    reason: str
    """Any text. It stands in what is given out of the crash, and in the exception."""
    topic: str | None = None
    """The one topic that crashes. None, the default: the whole channel."""


class Restart(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, tag="restart"):
    """A crashed channel, or the one topic named, comes up again, empty."""

    topic: str | None = None
    """The one topic that is down. None, the default: the whole channel."""


ClientEvent = Join | Rejoin | Leave | Broadcast | Push
"""Who sent it is answered, or told why not."""
TopicEvent = ClientEvent | Publish | Send
Event = TopicEvent | Disconnect | Crash | Restart

# 640 digits are what every Python writes as text, whatever sys.set_int_max_str_digits says; a ref must be writable.
MOST_DIGITS = 640
LARGEST_MS = 10**MOST_DIGITS - 1

EVENTS: tuple[type, ...] = (Join, Rejoin, Leave, Broadcast, Push, Crash, Restart, Disconnect, Publish, Send)
_MAY_BE_NONE = frozenset(((Crash, "topic"), (Restart, "topic"), (Rejoin, "meta"), (Leave, "now_ms"), (Disconnect, "now_ms")))
_NOT_EMPTY = ("client_id", "topic", "user_id")
_FIELDS: dict[type, tuple[str, ...]] = {event: event.__struct_fields__ for event in EVENTS}  # type: ignore[attr-defined]


def event_label(event: Event) -> str:
    """The event's name: one of join, rejoin, leave, broadcast, push, crash, restart, disconnect, publish, send.

    Raises:
        InvalidEvent: it is none of the ten events.
    """
    _fields_of(event)
    return str(event.__struct_config__.tag)


def check_event(event: object) -> None:
    """Refuse what is not one of the ten events or breaks a rule of a field.

    Raises:
        InvalidEvent: it names the field, the value and the rule.
    """
    is_plain = _PLAIN.get(type(event))
    if is_plain is not None and is_plain(event):
        return
    for field in _fields_of(event):
        value = getattr(event, field)
        if value is None and (type(event), field) in _MAY_BE_NONE:
            continue
        if field == "now_ms":
            _check_time(field, value)
        else:
            _check_text(field, value)


# Nearly every event holds plain ASCII: to see that costs a fifth of looking at each field by its rule. They refuse nothing.


def _is_plain_join(event: Join | Rejoin) -> bool:
    client_id, topic, user_id, now_ms = event.client_id, event.topic, event.user_id, event.now_ms
    meta = event.meta
    return (
        (type(meta) is str and meta.isascii() if meta is not None else type(event) is Rejoin)
        and type(client_id) is type(topic) is type(user_id) is str
        and type(now_ms) is int
        and 0 <= now_ms <= LARGEST_MS
        and client_id != "" != topic
        and user_id != ""
        and client_id.isascii()
        and topic.isascii()
        and user_id.isascii()
    )


def _is_plain_broadcast(event: Broadcast) -> bool:
    client_id, topic, payload, name = event.client_id, event.topic, event.payload, event.event
    return (
        type(client_id) is type(topic) is type(payload) is type(name) is str
        and client_id != "" != topic
        and client_id.isascii()
        and topic.isascii()
        and payload.isascii()
        and name.isascii()
    )


_PLAIN: dict[type, Callable[[Any], bool]] = {Join: _is_plain_join, Rejoin: _is_plain_join, Broadcast: _is_plain_broadcast}


def _fields_of(event: object) -> tuple[str, ...]:
    fields = _FIELDS.get(type(event))
    if fields is None:
        raise InvalidEvent(
            "event", event, "must be a Join, Rejoin, Leave, Broadcast, Push, Crash, Restart, Disconnect, Publish or Send"
        )
    return fields


def size_of(what: Any) -> int:
    """What an event, a message or a notice counts where it waits, in bytes: the characters of all its texts, and 100.

    What a presence diff or recipients lead to is the topic's, and counts nothing.
    """
    if type(what) is Broadcast:  # nearly all are: it costs a third of looking at each field
        return 100 + len(what.client_id) + len(what.topic) + len(what.payload) + len(what.event)
    size = 100
    for name in what.__struct_fields__:
        if name != "recipients":
            value = getattr(what, name)
            if type(value) is str:
                size += len(value)
    return size


_ITSELF = " itself, and not of a subclass"


def _check_text(field: str, value: object) -> None:
    if type(value) is not str:
        raise InvalidEvent(field, value, f"must be a str{_ITSELF if isinstance(value, str) else ''}")
    if not value and field in _NOT_EMPTY:
        raise InvalidEvent(field, value, "must not be empty")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidEvent(field, value, "must be text that UTF-8 can encode") from None


def _check_time(field: str, value: object) -> None:
    if type(value) is not int:
        raise InvalidEvent(field, value, f"must be an int{_ITSELF if isinstance(value, int) else ''}")
    if value < 0:
        raise InvalidEvent(field, value, "must be 0 or above")
    if value > LARGEST_MS:
        raise InvalidEvent(field, f"{value.bit_length()} bits", "must have at most 640 digits")


Value = TypeVar("Value")


class Patterns(Generic[Value]):
    """A value for each pattern; a topic has that of its own name, or else of the longest prefix that fits.

    Raises:
        InvalidOption: a pattern is no str, is empty, or has a `*` elsewhere than at its end. It names `option`.
    """

    def __init__(self, option: str, values: Mapping[str, Value]) -> None:
        for pattern in values:
            if type(pattern) is not str or not pattern or "*" in pattern[:-1]:
                raise InvalidOption(option, pattern, "must be a topic's name, or a prefix with a * at its end")
        self._names = {pattern: value for pattern, value in values.items() if not pattern.endswith("*")}
        prefixes = sorted((pattern[:-1] for pattern in values if pattern.endswith("*")), key=len, reverse=True)
        self._prefixes = [(prefix, values[f"{prefix}*"]) for prefix in prefixes]

    def values(self) -> list[Value]:
        """All of them, in no order that counts."""
        return [*self._names.values(), *(value for _prefix, value in self._prefixes)]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._names or self._prefixes)

    def prefix_of(self, topic: str) -> str | None:
        """The pattern with a `*` that a topic has its value by; None where its own name is one, or none fits."""
        if topic in self._names:
            return None
        return next((f"{prefix}*" for prefix, _value in self._prefixes if topic.startswith(prefix)), None)

    def find(self, topic: str) -> Value | None:
        """None: no pattern fits."""
        if topic in self._names:
            return self._names[topic]
        return next((value for prefix, value in self._prefixes if topic.startswith(prefix)), None)
