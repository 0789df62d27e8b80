"""What keeps actors alive: the supervisor that any Pykka program can use, and that of a channel's topics with all it needs."""

from lightspeed.supervision.backoff import Backoff
from lightspeed.supervision.child_spec import ChildSpec
from lightspeed.supervision.child_table import ChildCounts, ChildView
from lightspeed.supervision.dead_letters import DeadLetter, DeadLetters
from lightspeed.supervision.door import Door
from lightspeed.supervision.faults.fault import Fault
from lightspeed.supervision.faults.fault_plan import FaultPlan
from lightspeed.supervision.faults.faulty_runtime import FaultyRuntime
from lightspeed.supervision.faults.injector import Injector
from lightspeed.supervision.faults.kinds import (
    Delay,
    DelayReply,
    Drop,
    Duplicate,
    FailSupervisor,
    Full,
    Hang,
    Jump,
    LoseReply,
    Poison,
    Raise,
    Reorder,
    Slow,
)
from lightspeed.supervision.faults.pauses import Pauses
from lightspeed.supervision.options import Capsules, Options, Restarts
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.restart_window import RestartWindow
from lightspeed.supervision.sink import Sink, SinkActor, SinkLanes
from lightspeed.supervision.supervisor import Supervisor
from lightspeed.supervision.supervisor_ref import SupervisorRef
from lightspeed.supervision.topic_supervisor import TopicSupervisor
from lightspeed.supervision.tree import Tree

__all__ = [
    "Backoff",
    "Capsules",
    "ChildCounts",
    "ChildSpec",
    "ChildView",
    "DeadLetter",
    "DeadLetters",
    "Delay",
    "DelayReply",
    "Door",
    "Drop",
    "Duplicate",
    "FailSupervisor",
    "Fault",
    "FaultPlan",
    "FaultyRuntime",
    "Full",
    "Hang",
    "Injector",
    "Jump",
    "LoseReply",
    "Options",
    "Outbox",
    "Pauses",
    "Poison",
    "Raise",
    "Reorder",
    "RestartWindow",
    "Restarts",
    "Sink",
    "SinkActor",
    "SinkLanes",
    "Slow",
    "Supervisor",
    "SupervisorRef",
    "TopicSupervisor",
    "Tree",
]
