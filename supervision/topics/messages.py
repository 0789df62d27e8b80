"""What a supervisor actor is told, besides events, which come as deliveries, and what its topic actors report."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from lightspeed.actors.runtime import ReplyTo
from lightspeed.actors.topics.mail import Relay
from lightspeed.actors.topics.rules.events import Relayed
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.presence import Diff
from lightspeed.actors.topics.rules.topic import TopicState


class Flush(Struct):
    """Reply with the number of the last event accepted before this, once all events up to it are handled."""

    reply: ReplyTo
    last_seq: int | None = None
    """That number; None until the supervisor gets to it. Where the flush has to wait, others are accepted meanwhile."""


class AskTopic(Struct, frozen=True):
    """Reply with what the question says of the topic, or of an empty one where nobody is in it."""

    topic: str
    ask: Callable[[TopicState], Any]
    reply: ReplyTo


class AskCrashed(Struct, frozen=True):
    """Reply with whether the channel is down."""

    reply: ReplyTo


class AskCensus(Struct, frozen=True):
    """Reply with a dict of topic to number of members, as of the moment at which this was accepted."""

    reply: ReplyTo


class AskTree(Struct, frozen=True):
    """Reply with the channel's phase, and a dict of topic to `Tree`."""

    reply: ReplyTo


class AskTopicsOf(Struct, frozen=True):
    """Reply with the topics that the client is in, sorted, as of the events accepted before."""

    client_id: str
    reply: ReplyTo


class Follow(Struct, frozen=True):
    """From here on the follower learns of all that is given out; who is in the topics, these tell it.

    With a client: what it needs of those that this one is in, they tell it anew; reply when they have.
    """

    follower: Any
    reply: ReplyTo | None = None
    client_id: str | None = None


class EnterCluster(Struct, frozen=True):
    """From here on what is given out goes to other nodes, too. Told before all else."""

    relay: Relay


class Missed(Struct, frozen=True):
    """So many messages of another node, of the topics that these concern, did not come."""

    node: str
    count: int
    concerns: Callable[[str], bool]


class Arrived(Struct, frozen=True):
    """What came from other nodes, in order: what is said there, who came and went there (`Diff`), what of it is missing, and what
    is to be said here."""

    items: tuple[Relayed | Diff | Missed | System, ...]
    reply: ReplyTo | None = None
    """Told when all of it was passed on."""


class Recovered(Struct, frozen=True):
    """A topic that shed events has handled all that it was sent before."""

    topic: str


class Close(Struct, frozen=True):
    """Handle what was accepted, stop every topic actor, then stop. Whoever is busy after the timeout is abandoned."""

    timeout_s: float


class StopAll(Struct, frozen=True):
    """Of a close whose timeout runs: nobody is being counted any more."""
