"""Events and messages as JSON: one object, `type` first, no spaces, UTF-8."""

import json
from typing import Any

import msgspec

from lightspeed.actors.errors import InvalidEvent
from lightspeed.actors.topics.rules.events import EVENTS, Event, check_event, event_label
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.actors.topics.rules.presence import Entry

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_CLASSES: dict[str, type] = {str(event.__struct_config__.tag): event for event in EVENTS}  # type: ignore[attr-defined]


def encode(value: Event | Outbound | Entry) -> bytes:
    """One line of JSON, without the line's end.

    Raises:
        InvalidEvent: it is none of these, an event breaks a rule, or a message holds what JSON in UTF-8 can't.
    """
    if not isinstance(value, (Outbound, Entry)):
        check_event(value)
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError) as error:
        raise InvalidEvent("value", value, f"must be writable as JSON ({error})") from None


def decode_event(line: bytes | str) -> Event:
    """The event that a line of JSON holds, checked. Keys may come in any order.

    Raises:
        InvalidEvent: it is no JSON, no event, or a field is missing, unknown or breaks a rule.
    """
    try:
        event = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        event = _decode_slowly(line, str(error))
    check_event(event)
    return event


def _decode_slowly(line: bytes | str, reason: str) -> Event:
    """What the fast decoder can't read, or what is wrong with it in our own words.

    It stops at the first of two equal keys, where the last one counts, and at a lone surrogate with a reason that is none."""
    fields = _fields_of(line, reason)
    kind = fields.pop("type", None)
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise InvalidEvent("type", kind, f"must be one of {', '.join(_CLASSES)}")
    cls = _CLASSES[kind]
    for field in msgspec.structs.fields(cls):
        if field.required and field.name not in fields:
            raise InvalidEvent(field.name, line, f"must be given for a {kind}")
    for name, value in fields.items():
        if name not in cls.__struct_fields__:  # type: ignore[attr-defined]
            raise InvalidEvent(name, value, f"is no field of a {kind}")
    event: Event = cls(**fields)
    return event


def _fields_of(line: bytes | str, reason: str) -> dict[str, Any]:
    try:
        fields = json.loads(line if isinstance(line, str) else bytes(line).decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidEvent("line", line, f"must be JSON in UTF-8 ({error})") from None
    except (ValueError, RecursionError):  # no JSON, or beyond what Python reads of it
        raise InvalidEvent("line", line, f"must be JSON in UTF-8 ({reason})") from None
    if not isinstance(fields, dict):
        raise InvalidEvent("line", line, "must be a JSON object")
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


__all__ = ["decode_event", "encode", "event_label"]
