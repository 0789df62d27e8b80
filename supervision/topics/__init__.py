"""The supervisor of a channel's topics, and all that it needs."""

from lightspeed.supervision.topics.counts import Counts, NodeCounts
from lightspeed.supervision.topics.dead_letters import DeadLetter, DeadLetters
from lightspeed.supervision.topics.ingress import Ingress
from lightspeed.supervision.topics.options import Mailbox, Options, Restarts
from lightspeed.supervision.topics.outlet import Outbox, Sink, SinkActor, SinkQueues
from lightspeed.supervision.topics.supervisor import TopicSupervisor

__all__ = [
    "Counts",
    "DeadLetter",
    "DeadLetters",
    "Ingress",
    "Mailbox",
    "NodeCounts",
    "Options",
    "Outbox",
    "Restarts",
    "Sink",
    "SinkActor",
    "SinkQueues",
    "TopicSupervisor",
]
