"""How a supervisor treats its topics."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from lightspeed.actors.checks import check_above_0, check_seconds
from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.topics.rules.events import Patterns
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.supervision.rules import Backoff, check_intensity


class Restarts(Struct, frozen=True, kw_only=True):
    """What becomes of a topic whose code raised. One value serves any number of channels.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    intensity: int = 3
    """So many restarts of one topic are allowed in `period_s`; one more, and it stays down until `Restart(topic)`. Default 3."""
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

    def __post_init__(self) -> None:
        check_intensity("intensity", self.intensity)
        check_intensity("channel_intensity", 0 if self.channel_intensity is None else self.channel_intensity)
        for option in ("period_s", "channel_period_s"):
            check_above_0(option, getattr(self, option))
        for option, fits, rule in (
            ("backoff", self.backoff is None or isinstance(self.backoff, Backoff), "must be a Backoff or None"),
            ("waiting", type(self.waiting) is str and self.waiting in ("redeliver", "answer"), "must be redeliver or answer"),
            ("max_waiting", type(self.max_waiting) is int and self.max_waiting >= 0, "must be an int from 0 up"),
        ):
            if not fits:
                raise InvalidOption(option, getattr(self, option), rule)


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

    def __post_init__(self) -> None:
        for option in ("period_s", "channel_period_s"):
            check_seconds(option, getattr(self.restarts, option))
