"""How a supervisor treats its topics."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from lightspeed.actors.checks import check_above_0, check_one_of, check_seconds
from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.topics.rules.events import Patterns
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.supervision.rules import Backoff, check_intensity


class Restarts(Struct, frozen=True, kw_only=True):
    """What becomes of a topic whose code raised. One value serves any number of channels.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    intensity: int | None = 3
    """So many restarts of one topic are allowed in `period_s`; one more, and it stays down until `Restart(topic)`. Default 3.
    None: it is never given up; then a `backoff` must be given."""
    period_s: float = 5.0
    """In seconds; a channel takes a year at most. Default 5."""
    backoff: Backoff | None = None
    """How long a topic waits before it comes up. None, the default: not at all."""
    channel_intensity: int | None = None
    """So many restarts of all topics together are allowed in `channel_period_s`; one more, and the channel crashes. None, the
    default: any number."""
    channel_period_s: float = 5.0
    """In seconds; a channel takes a year at most. Default 5."""
    waiting: Literal["redeliver", "answer"] = "redeliver"
    """What becomes of events that had been accepted and not been handled: the next actor handles them (the default), or they
    are answered `topic_crashed`."""
    max_waiting: int = 1000
    """So many events wait for a topic that is coming up; one more is answered `unavailable`. From 0 up. Default 1,000."""
    tell_reason: bool = False
    """Whether members are told the text of the exception that their topic failed of. False, the default: they are told `error`,
    since that text may hold what is not for them; it is logged."""

    def __post_init__(self) -> None:
        if self.intensity is None and self.backoff is None:
            raise InvalidOption("intensity", None, "must be a number where there is no backoff: nothing would hold it up")
        check_intensity("intensity", 0 if self.intensity is None else self.intensity)
        check_intensity("channel_intensity", 0 if self.channel_intensity is None else self.channel_intensity)
        for option in ("period_s", "channel_period_s"):
            check_above_0(option, getattr(self, option))
        check_one_of("waiting", self.waiting, ("redeliver", "answer"))
        for option, fits, rule in (
            ("backoff", self.backoff is None or isinstance(self.backoff, Backoff), "must be a Backoff or None"),
            ("max_waiting", type(self.max_waiting) is int and self.max_waiting >= 0, "must be an int from 0 up"),
            ("tell_reason", type(self.tell_reason) is bool, "must be a bool"),
        ):
            if not fits:
                raise InvalidOption(option, getattr(self, option), rule)


class Mailbox(Struct, frozen=True):
    """What waits for one topic, and what becomes of more: a topic that falls behind takes no memory without end.

    Never shed are leaves, disconnects, crashes, restarts, reads and timers. A topic that starts and stops shedding says so by
    `System("topic_overloaded:<topic>")` and `System("topic_recovered:<topic>")`.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    max_messages: int = 10_000
    """So many messages wait. From 1 up. Default 10,000."""
    max_bytes: int = 64 * 1024 * 1024
    """So much they have together: the characters of their texts, and 100 each. Default 64 MiB."""
    overflow: Literal["refuse", "drop_oldest", "drop_newest", "wait"] = "refuse"
    """`refuse`, the default: the event is answered `overloaded`. `drop_oldest`: the oldest broadcast, push, publish or send that
    waits is a dead letter. `drop_newest`: the event itself is. `wait`: who waits for an event's effect (`handle`, `call`, a
    client's verbs) waits longer, up to its timeout, and what is told is refused. A join that can't be taken is always refused."""

    def __post_init__(self) -> None:
        for option in ("max_messages", "max_bytes"):
            value = getattr(self, option)
            if type(value) is not int or value < 1:
                raise InvalidOption(option, value, "must be an int from 1 up")
        check_one_of("overflow", self.overflow, ("refuse", "drop_oldest", "drop_newest", "wait"))


DEFAULT_MAILBOX = Mailbox()


class Options(Struct, frozen=True):
    """Checked by whoever makes it, but for the length of periods.

    Raises:
        InvalidOption: a period of restarts is longer than a year.
    """

    rejoin_window_s: float = 30.0
    """How long a restarted topic waits for its first rejoin before its actor is stopped."""
    crash_timeout_s: float = 5.0
    """How long none of the topic actors that crash may come to its end before those left are abandoned."""
    own_thread: Patterns[bool] = Patterns("own_thread", {})
    """The topics whose actors have a thread of their own."""
    restarts: Restarts = Restarts()
    """What becomes of a topic that fails."""
    behaviours: Patterns[Callable[[], Behaviour]] = Patterns("behaviours", {})
    """What makes the behaviour of a topic; where no pattern fits it is the plain relay."""
    event_timeout_s: float = 5.0
    """How long a behaviour may take over one event before its actor is given up."""
    rejoin: Literal["client", "supervisor"] = "client"
    """Who brings members back: the clients, or the supervisor, from what it saw of the topic's state when it went down."""
    mailboxes: Patterns[Mailbox] = Patterns("mailboxes", {})
    """What waits for a topic; where no pattern fits, `DEFAULT_MAILBOX`."""
    max_topics: int | None = None
    """So many topics there are; a join to one more is refused. None: any number."""
    max_members: int | None = None
    """So many members a topic takes; a join of one more is refused. None: any number."""
    is_clustered: bool = False
    """Whether there are other nodes: the relay to them is told before all else."""

    def __post_init__(self) -> None:
        for option in ("period_s", "channel_period_s"):
            check_seconds(option, getattr(self.restarts, option))
