"""What a topic actor is given at its birth, and what it is told.

A `Post` is shared by two threads. The supervisor appends deliveries; the topic actor takes each from the left before it
handles it. When an actor is dead or abandoned, the supervisor takes what is left. One `popleft` gives a delivery to one
of them only, so each is handled or answered exactly once; one `pop` from `in_hand` decides likewise whether what the actor is
at work on counts, or was answered when the actor was abandoned. `members` and `settled` are written by the actor alone, and read
by the supervisor when the actor has settled all that it was sent, or is dead.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from lightspeed.actors.events import Crash, TopicEvent
from lightspeed.actors.runtime import Reply
from lightspeed.actors.topic import Messages, TopicState


class Query(Struct, frozen=True):
    """A question to a topic's state, answered in its turn."""

    ask: Callable[[TopicState], Any]


class Delivery(Struct):
    """One thing for a topic to handle."""

    seq: int
    """The number under which the supervisor accepted it."""
    request: TopicEvent | Crash | Query
    reply: Reply | None
    """Told when it has taken full effect; None where nobody waits."""


class Outlet(Protocol):
    """Where a topic's messages go."""

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> None:
        """Take the messages of one event, then give `value` to the reply. Never blocks."""

    def deliver(self, topic: str | None) -> None:
        """Run user code on what waits for the topic, if there is any. May block as long as that code does."""


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

    __slots__ = ("_report", "in_hand", "incarnation", "members", "outlet", "pending", "settled", "topic")

    def __init__(self, topic: str, incarnation: int, outlet: Outlet, report: Callable[[Any], None]) -> None:
        self.topic = topic
        self.incarnation = incarnation
        self.outlet = outlet
        self.pending: deque[Delivery] = deque()
        self.in_hand: list[Delivery] = []
        """What the actor is at work on: one or none."""
        self.members = 0
        self.settled = 0
        """How many deliveries the actor has handled and handed to the outlet."""
        self._report = report

    def take_back(self) -> list[Delivery]:
        """What is in hand, one or none: for the actor when it has handled it, for the supervisor when the actor is down."""
        try:
            return [self.in_hand.pop()]
        except IndexError:
            return []

    def take_waiting(self) -> list[Delivery]:
        """What a dead or abandoned actor had yet to take, in order. For the supervisor."""
        waiting = []
        while self.pending:
            try:
                waiting.append(self.pending.popleft())
            except IndexError:  # an abandoned actor was quicker
                break
        return waiting

    def report(self, what: TopicEmpty | TopicDown) -> None:
        """Tell the supervisor. Never raises."""
        self._report(what)
