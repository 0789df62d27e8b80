"""The kinds of fault that can be planned: what each does."""

from typing import ClassVar, Literal

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.events import Broadcast, Push, TopicEvent
from lightspeed.actors.seconds import YEAR_S
from lightspeed.supervision.faults.fault import Fault, Place, check_count, check_seconds, check_text, is_number


class _OnEvent(Fault, frozen=True, kw_only=True, omit_defaults=True):
    @property
    def needs_event(self) -> bool:
        return True


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


class Slow(_OnEvent, frozen=True, omit_defaults=True, tag="slow"):
    """The topic takes so long before it handles the event."""

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds("seconds", self.seconds)


class Hang(_OnEvent, frozen=True, omit_defaults=True, tag="hang"):
    """The topic never comes back from the event. One with a behaviour is given up at `event_timeout_s`; a relay only by a crash
    of the channel, after `crash_timeout_s`, and by the channel's end."""


class Full(_OnEvent, frozen=True, omit_defaults=True, tag="full"):
    """The topic refuses the event, as if too many waited: it is answered `unavailable`, and changes nothing."""


class Poison(_OnEvent, frozen=True, omit_defaults=True, tag="poison"):
    """The payload of a broadcast or a push is replaced before it is handled. At other events it does not act."""

    concerns: ClassVar[frozenset[str]] = frozenset(("broadcast", "push"))

    payload: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("payload", self.payload)

    def fits(self, event: TopicEvent | None) -> bool:
        return isinstance(event, (Broadcast, Push)) and super().fits(event)


class LoseReply(_OnEvent, frozen=True, omit_defaults=True, tag="lose_reply"):
    """The event takes effect, but its `Reply` is lost, and a `handle` of it ends in `ChannelTimeout`."""


class DelayReply(_OnEvent, frozen=True, omit_defaults=True, tag="delay_reply"):
    """The event takes effect, but its `Reply`, and the answer to a `handle`, come so much later, under the event's number. No
    flush waits for them."""

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds("seconds", self.seconds)


class Drop(_OnWay, frozen=True, omit_defaults=True, tag="drop"):
    """The event never reaches the supervisor. A `handle` of it ends in `ChannelTimeout`."""

    @property
    def ends_all(self) -> bool:
        return True


class Delay(_OnWay, frozen=True, omit_defaults=True, tag="delay"):
    """The event reaches the supervisor so much later, and is accepted then. Once the channel is closed it is lost."""

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds("seconds", self.seconds)


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

    text: str = "planned"
    """It stands in the exception."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("text", self.text)

    @property
    def ends_all(self) -> bool:
        return True


KINDS: dict[str, type[Fault]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(Raise, Slow, Hang, Full, Poison, LoseReply, DelayReply),
        *(Drop, Delay, Duplicate, Reorder, Jump, FailSupervisor),
    )
}
"""Each kind by its name in JSON."""
