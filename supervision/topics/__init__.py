"""The supervisor of a channel's topics, and all that it needs."""

from lightspeed.supervision.topics.dead_letters import DeadLetter, DeadLetters
from lightspeed.supervision.topics.ingress import Door
from lightspeed.supervision.topics.options import Options, Restarts
from lightspeed.supervision.topics.outlet import Outbox, Sink, SinkActor, SinkLanes
from lightspeed.supervision.topics.transitions import TopicSupervisor

__all__ = [
    "DeadLetter",
    "DeadLetters",
    "Door",
    "Options",
    "Outbox",
    "Restarts",
    "Sink",
    "SinkActor",
    "SinkLanes",
    "TopicSupervisor",
]
