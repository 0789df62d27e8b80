"""What keeps actors alive: the supervisor that any Pykka program can use, and that of a channel's topics with all it needs."""

from lightspeed.supervision.backoff import Backoff
from lightspeed.supervision.child_spec import ChildSpec
from lightspeed.supervision.child_table import ChildCounts, ChildView
from lightspeed.supervision.dead_letters import DeadLetter, DeadLetters
from lightspeed.supervision.door import Door
from lightspeed.supervision.options import Capsules, Options, Restarts
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.restart_window import RestartWindow
from lightspeed.supervision.sink import Sink, SinkActor, SinkLanes
from lightspeed.supervision.supervisor import Supervisor
from lightspeed.supervision.supervisor_ref import SupervisorRef
from lightspeed.supervision.topic_supervisor import TopicSupervisor

__all__ = [
    "Backoff",
    "Capsules",
    "ChildCounts",
    "ChildSpec",
    "ChildView",
    "DeadLetter",
    "DeadLetters",
    "Door",
    "Options",
    "Outbox",
    "RestartWindow",
    "Restarts",
    "Sink",
    "SinkActor",
    "SinkLanes",
    "Supervisor",
    "SupervisorRef",
    "TopicSupervisor",
]
