"""A fault that is planned: when it acts, and the kinds of fault that there are.

It acts at one *place*: on an event's way to the supervisor, as the event reaches the supervisor, in its topic, in a hook of the
topic's actor, or on the clock. There the events of each topic are numbered, from 1, and in a hook its calls. A fault acts where
all its triggers hold, and without a trigger each time.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from msgspec import Struct

from lightspeed.actors.checks import YEAR_S, are_seconds, puts_off
from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Patterns, Push, Rejoin, TopicEvent, event_label

Place = Literal["way", "supervisor", "topic", "on_start", "on_stop", "on_failure", "clock", "network"]

_LARGEST = 2**53  # JSON's numbers are exact to here everywhere
_EVENTS: dict[str, Any] = {str(event.__struct_config__.tag): event for event in (Join, Rejoin, Leave, Broadcast, Push)}
_MATCHED = frozenset(("type", *(name for event in _EVENTS.values() for name in event.__struct_fields__)))
_NEVER_EMPTY = frozenset(("client_id", "topic", "user_id"))


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do"):
    """The triggers, which all kinds have in common.

    Raises:
        InvalidOption: a field has a value that it can't have, or by its fields the fault could never act.
    """

    place: ClassVar[Place] = "topic"
    concerns: ClassVar[frozenset[str]] = frozenset(_EVENTS)
    """The types of events at which it can act."""
    is_of_events: ClassVar[bool] = False
    """Whether it acts on events alone, whatever its triggers."""
    is_the_end: ClassVar[bool] = False
    """Of what it has acted on."""

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
    """With this probability, above 0, at most 1: decided by the plan's seed, the topic and the number, and by nothing else."""
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
        if self.probability is not None and not (is_number(self.probability) and 0 < self.probability <= 1):
            raise InvalidOption("probability", self.probability, "must be a number above 0, at most 1, or None")
        if self.at is not None and self.every is not None and self.at % self.every:
            raise InvalidOption("at", self.at, f"must be a multiple of every, {self.every}, or {self._never}")
        if self.match is not None:
            _check_match(self.match)
            self._check_matches()
        if not (self.when is None or callable(self.when) or _is_import_path(self.when)):
            raise InvalidOption("when", self.when, "must be a callable, its name as module:function, or None")
        check_plain("when", self.when)
        if self.per not in ("topic", "all"):
            raise InvalidOption("per", self.per, "must be topic or all")

    def _check_matches(self) -> None:
        """There is an event that it can act at with all these fields, in a topic that it is for."""
        assert self.match is not None
        names = self.match.keys() - {"type"}
        labels = [self.match["type"]] if "type" in self.match else self.concerns
        if not any(label in self.concerns and names <= set(_EVENTS[label].__struct_fields__) for label in labels):
            rule = f"must fit one of {', '.join(sorted(self.concerns))}, or {self._never}"
            raise InvalidOption("match", self.match, rule)
        if "topic" in self.match and not Patterns("topic", {self.topic: True}).find(str(self.match["topic"])):
            raise InvalidOption("match", self.match, f"must name a topic that {self.topic} fits, or {self._never}")

    @property
    def _never(self) -> str:
        return f"the fault {self.__struct_config__.tag} can never act"

    @property
    def acts_at(self) -> Place:
        """Where its events are counted."""
        return self.place

    @property
    def acts_always(self) -> bool:
        """Whether nothing keeps it from acting each time, but that its topic is another."""
        others = (self.at, self.at_s, self.match, self.when, self.times)
        return all(trigger is None for trigger in others) and self.every in (None, 1) and self.probability in (None, 1)

    @property
    def ends_all(self) -> bool:
        """Whether none of those that stand behind it acts any more where it has acted."""
        return self.is_the_end

    @property
    def needs_event(self) -> bool:
        """Whether it acts on an event only: then `at_s` means the first one from that time on."""
        others = (self.at, self.every, self.probability, self.match, self.when)
        return self.is_of_events or any(trigger is not None for trigger in others)

    def leaves_nothing_to(self, other: "Fault") -> bool:
        """Whether the other, which stands behind it, can never act."""
        is_covered = self.topic in ("*", other.topic) or (self.topic[-1] == "*" and other.topic.startswith(self.topic[:-1]))
        is_reached = self.acts_at != other.acts_at or (other.at_s is not None and not other.needs_event)
        return self.ends_all and self.acts_always and is_covered and not is_reached

    def fits(self, event: TopicEvent | None) -> bool:
        """Whether it can act at the event, which has all that `match` wants; None, as in a hook, has nothing."""
        if event is None:
            return self.match is None
        return event_label(event) in self.concerns and all(
            (event_label(event) if name == "type" else getattr(event, name, None)) == value
            for name, value in (self.match or {}).items()
        )


def is_number(value: object) -> bool:
    """A float with an end, or an int of those that JSON's numbers are exact for, which all have a float."""
    return (type(value) is int and abs(value) <= _LARGEST) or (type(value) is float and math.isfinite(value))


def check_seconds(option: str, value: object, also: str = "") -> None:
    if not are_seconds(value):
        raise InvalidOption(option, value, f"must be a number of seconds from 0 up, at most a year {also}".rstrip())


def check_count(option: str, value: object, least: int) -> None:
    if value is not None and not (type(value) is int and least <= value <= _LARGEST):
        raise InvalidOption(option, value, f"must be an int from {least} up, or None")


def check_plain(option: str, call: object) -> None:
    """What it returns when it is called must be what it has to say, and no coroutine or generator, which is always true."""
    if puts_off(call):
        raise InvalidOption(option, call, "must be a plain function, and no async def or generator")


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
        if value is None or (value == "" and name in _NEVER_EMPTY):
            raise InvalidOption("match", match, f"must give {name} a value that an event can have")


def _is_import_path(value: object) -> bool:
    if type(value) is not str:
        return False
    module, _, name = value.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


Predicate = Callable[[Any, int], bool]
"""What `when` is, or names."""


class _OnEvent(Fault, frozen=True, kw_only=True, omit_defaults=True):
    is_of_events: ClassVar[bool] = True


class _ForSeconds(_OnEvent, frozen=True, omit_defaults=True):
    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds("seconds", self.seconds)


class _OnWay(_OnEvent, frozen=True, kw_only=True, omit_defaults=True):
    place: ClassVar[Place] = "way"


class Raise(Fault, frozen=True, omit_defaults=True, tag="raise"):
    """The topic's actor raises `InjectedFault`. With `at_s` alone each that is alive then does, also where it is idle."""

    hook: Literal["before", "after", "on_start", "on_stop", "on_failure"] = "before"
    """Before its event is handled, which is then answered `topic_crashed`; after it; or in a hook of the actor."""
    text: str = "planned"
    """It stands in the exception."""
    restart: int | None = None
    """Only in this incarnation of the topic: 0 is its first, k the one that its k-th start anew brought up. None: in any."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hook not in ("before", "after", "on_start", "on_stop", "on_failure"):
            raise InvalidOption("hook", self.hook, "must be before, after, on_start, on_stop or on_failure")
        check_text("text", self.text)
        check_count("restart", self.restart, 0)
        if self.match is not None and self.acts_at != "topic":
            raise InvalidOption("match", self.match, f"must not be given for {self.hook}, which has no event")

    @property
    def acts_always(self) -> bool:
        return super().acts_always and self.restart is None

    @property
    def ends_all(self) -> bool:
        return self.hook != "after"

    @property
    def acts_at(self) -> Place:
        return "topic" if self.hook in ("before", "after") else self.hook  # type: ignore[return-value]

    @property
    def needs_event(self) -> bool:
        return self.acts_at != "topic" or super().needs_event


class Slow(_ForSeconds, frozen=True, omit_defaults=True, tag="slow"):
    """The topic takes so long before it handles the event."""


class Hang(_OnEvent, frozen=True, omit_defaults=True, tag="hang"):
    """The topic never comes back from the event. One with a behaviour is given up at `event_timeout_s`; a relay only by a crash
    of the channel, after `crash_timeout_s`, and by the channel's end."""


class Full(_OnEvent, frozen=True, omit_defaults=True, tag="full"):
    """The topic refuses the event, as if too many waited: it is answered `unavailable`, and changes nothing."""


class Corrupt(_OnEvent, frozen=True, omit_defaults=True, tag="poison"):
    """The payload of a broadcast or a push is replaced before it is handled. At other events it does not act."""

    concerns: ClassVar[frozenset[str]] = frozenset(("broadcast", "push"))

    payload: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("payload", self.payload)


class LoseReply(_OnEvent, frozen=True, omit_defaults=True, tag="lose_reply"):
    """The event takes effect, but its `Reply` is lost, and a `handle` of it ends in `ChannelTimeout`."""


class DelayReply(_ForSeconds, frozen=True, omit_defaults=True, tag="delay_reply"):
    """The event takes effect, but its `Reply`, and the answer to a `handle`, come so much later, under the event's number. No
    flush waits for them."""


class Drop(_OnWay, frozen=True, omit_defaults=True, tag="drop"):
    """The event never reaches the supervisor. A `handle` of it ends in `ChannelTimeout`."""

    is_the_end: ClassVar[bool] = True


class Delay(_ForSeconds, frozen=True, omit_defaults=True, tag="delay"):
    """The event reaches the supervisor so much later, and is accepted then. Once the channel is closed it is lost."""

    place: ClassVar[Place] = "way"


class Duplicate(_OnWay, frozen=True, omit_defaults=True, tag="duplicate"):
    """The event reaches the supervisor twice. A `handle` of it returns after the first."""


class Reorder(_OnWay, frozen=True, omit_defaults=True, tag="reorder"):
    """The event is held back until others of its topic have passed it."""

    window: int
    """How many; from 1 up."""
    within_s: float = 1.0
    """After so many seconds it goes on in any case. Default 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window is None:
            raise InvalidOption("window", self.window, "must be an int from 1 up")
        check_count("window", self.window, 1)
        check_seconds("within_s", self.within_s)


class Jump(Fault, frozen=True, omit_defaults=True, tag="jump"):
    """The channel's clock jumps at `at_s`, its only trigger. Timers under way keep their delays."""

    place: ClassVar[Place] = "clock"

    by_s: float
    """By so many seconds, forth or back."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_number(self.by_s) and abs(self.by_s) <= YEAR_S):
            raise InvalidOption("by_s", self.by_s, "must be a number of seconds, at most a year")
        if self.at_s is None:
            raise InvalidOption("at_s", self.at_s, "must be given for a jump")
        for option in ("at", "every", "probability", "match", "when"):
            if getattr(self, option) is not None:
                raise InvalidOption(option, getattr(self, option), "must not be given for a jump, which has no event")


class FailSupervisor(Fault, frozen=True, omit_defaults=True, tag="fail_supervisor"):
    """The supervisor itself raises `InjectedFault` at an event that reaches it, or with `at_s` alone at that time. The channel is
    closed by it. Events are counted over all topics, whatever `per` says."""

    place: ClassVar[Place] = "supervisor"
    is_the_end: ClassVar[bool] = True

    text: str = "planned"
    """It stands in the exception."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("text", self.text)


KINDS: dict[str, type[Fault]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(Raise, Slow, Hang, Full, Corrupt, LoseReply, DelayReply),
        *(Drop, Delay, Duplicate, Reorder, Jump, FailSupervisor),
    )
}
"""Each kind by its name in JSON."""
