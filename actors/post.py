"""What a topic actor is given at its birth, and what it is told.

A `Post` is shared by two threads. The actor puts what it is at work on into `in_hand`, and takes it out again before what it did
counts; when the actor is dead or abandoned, the supervisor takes what is there. One `pop` gives it to one of them only, so
each delivery is handled or answered exactly once. `members` and `settled` are written by the actor alone, and read by the
supervisor when the actor has settled all that it was sent, or is dead.
"""

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from lightspeed.actors.events import Event
from lightspeed.actors.runtime import Reply
from lightspeed.actors.topic import Messages, TopicState


class Query(Struct, frozen=True):
    """A question to a topic's state, answered in its turn."""

    ask: Callable[[TopicState], Any]


class Delivery(Struct, gc=False):
    """One thing for a supervisor to route and a topic to handle."""

    request: Event | Query
    reply: Reply | None = None
    """Told when it has taken full effect; None where nobody waits."""
    seq: int = 0
    """The number under which the supervisor has accepted it; 0 until then."""


class Outlet(Protocol):
    """Where a topic's messages go."""

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> bool:
        """Take the messages of one event, then give `value` to the reply. Never blocks. Whether `deliver` has to be called."""

    def deliver(self, topic: str | None) -> None:
        """Run user code on what waits for the topic. May block as long as that code does."""


class TopicEmpty(Struct, frozen=True):
    """A topic actor has no members after what it handled last. `reply` has yet to be told."""

    post: "Post"
    reply: Reply | None


class TopicDown(Struct, frozen=True):
    """A topic actor is dead: `error` is what it died of, None where it was stopped."""

    post: "Post"
    error: BaseException | None


class Post:
    """One incarnation of one topic."""

    __slots__ = ("in_hand", "incarnation", "members", "outlet", "report", "settled", "topic")

    def __init__(self, topic: str, incarnation: int, outlet: Outlet, report: Callable[[Any], None]) -> None:
        self.topic = topic
        self.incarnation = incarnation
        self.outlet = outlet
        self.report = report
        """Tells the supervisor that the topic is empty or down. Never raises."""
        self.in_hand: list[Delivery] = []
        """What the actor is at work on: one or none."""
        self.members = 0
        self.settled = 0
        """How many deliveries the actor has handled and handed to the outlet."""
