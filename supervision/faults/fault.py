"""A fault that is planned: when it acts.

It acts at one *place*: on an event's way to the supervisor, as the event reaches the supervisor, in its topic, in a hook of the
topic's actor, or on the clock. There the events of each topic are numbered, from 1, and in a hook its calls. A fault acts where
all its triggers hold, and without a trigger each time.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.events import Broadcast, Join, Leave, Push, Rejoin, TopicEvent, event_label
from lightspeed.actors.patterns import Patterns

Place = Literal["way", "supervisor", "topic", "on_start", "on_stop", "on_failure", "clock"]

LONGEST_S = 31_536_000  # a year: above it threading's own waits overflow on some platforms
_LARGEST = 2**53  # JSON's numbers are exact to here everywhere
_MATCHED = frozenset(
    ("type", *(name for event in (Join, Rejoin, Leave, Broadcast, Push) for name in event.__struct_fields__)),
)


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do"):
    """The triggers, which all kinds have in common.

    Raises:
        InvalidOption: a field has a value that it can't have.
    """

    place: ClassVar[Place] = "topic"

    topic: str = "*"
    """The topics that it is for: a name, a prefix as `room:*`, or `*` for all, the default."""
    at: int | None = None
    """At the event of this number, counted over all incarnations of the topic."""
    every: int | None = None
    """At each event whose number it divides."""
    at_s: float | None = None
    """At this time, in seconds since the channel began: see each kind for whether it waits for an event. Once for each topic, or
    once with `per="all"`."""
    probability: float | None = None
    """With this probability, from 0 to 1. It is decided by the plan's seed, the topic and the number, and by nothing else."""
    match: dict[str, str | int] | None = None
    """At an event with all these fields, `type` (join, rejoin, leave, broadcast, push) among them."""
    when: Any = None
    """Where this holds: a callable of (event, members) that gives a bool, or its name as `module:function`. In a hook there is
    no event: None. How many members there are is known in the topic and in its hooks; elsewhere it is 0."""
    times: int | None = None
    """It acts at most so often. None, the default: any number of times."""
    per: Literal["topic", "all"] = "topic"
    """What `at` and `every` count: the events of each topic by themselves, the default, or of all topics that it is for."""

    def __post_init__(self) -> None:
        for option in ("at", "every", "times"):
            check_count(option, getattr(self, option), 1)
        check_text("topic", self.topic)
        Patterns("topic", {self.topic: True})
        if self.at_s is not None:
            check_seconds("at_s", self.at_s, "or None")
        if self.probability is not None and not (is_number(self.probability) and 0 <= self.probability <= 1):
            raise InvalidOption("probability", self.probability, "must be a number from 0 to 1, or None")
        if self.match is not None:
            _check_match(self.match)
        if not (self.when is None or callable(self.when) or _is_import_path(self.when)):
            raise InvalidOption("when", self.when, "must be a callable, its name as module:function, or None")
        if self.per not in ("topic", "all"):
            raise InvalidOption("per", self.per, "must be topic or all")

    @property
    def acts_at(self) -> Place:
        """Where its events are counted."""
        return self.place

    @property
    def needs_event(self) -> bool:
        """Whether it acts on an event only: then `at_s` means the first one from that time on."""
        others = (self.at, self.every, self.probability, self.match, self.when)
        return any(trigger is not None for trigger in others)

    def fits(self, event: TopicEvent | None) -> bool:
        """Whether the event has all that `match` wants; None, as in a hook, has nothing."""
        if self.match is None:
            return True
        return event is not None and all(
            (event_label(event) if name == "type" else getattr(event, name, None)) == value for name, value in self.match.items()
        )


def is_number(value: object) -> bool:
    """A float with an end, or an int of those that JSON's numbers are exact for, which all have a float."""
    return (type(value) is int and abs(value) <= _LARGEST) or (type(value) is float and math.isfinite(value))


def check_seconds(option: str, value: object, also: str = "") -> None:
    if not (is_number(value) and 0 <= value <= LONGEST_S):  # type: ignore[operator]
        raise InvalidOption(option, value, f"must be a number of seconds from 0 up, at most a year {also}".rstrip())


def check_count(option: str, value: object, least: int) -> None:
    if value is not None and not (type(value) is int and least <= value <= _LARGEST):
        raise InvalidOption(option, value, f"must be an int from {least} up, or None")


def check_text(option: str, value: object) -> None:
    if type(value) is not str:
        raise InvalidOption(option, value, "must be a str")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidOption(option, value, "must be text that UTF-8 can encode") from None


def _check_match(match: object) -> None:
    if type(match) is not dict or not match:
        raise InvalidOption("match", match, "must be a dict of an event's fields, or None")
    for name, value in match.items():
        if name not in _MATCHED:
            raise InvalidOption("match", name, f"must name fields of an event: {', '.join(sorted(_MATCHED))}")
        if name == "now_ms":
            check_count("match", value, 0)
        else:
            check_text("match", value)


def _is_import_path(value: object) -> bool:
    if type(value) is not str:
        return False
    module, _, name = value.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


Predicate = Callable[[Any, int], bool]
"""What `when` is, or names."""
