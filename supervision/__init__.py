"""What keeps topics alive: the supervisor actor, its children, and where their messages go."""

from lightspeed.supervision.backoff import Backoff
from lightspeed.supervision.dead_letters import DeadLetter, DeadLetters
from lightspeed.supervision.door import Door
from lightspeed.supervision.options import Options, Restarts
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.sink import Sink, SinkActor, SinkLanes
from lightspeed.supervision.topic_supervisor import TopicSupervisor

__all__ = [
    "Backoff",
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
