"""What goes wrong on purpose: a plan of faults as a value, and how a channel's actors carry it out."""

from lightspeed.actors.errors import FaultsNotFired, InjectedFault
from lightspeed.faults.fault import (
    Corrupt,
    Delay,
    DelayReply,
    Drop,
    Duplicate,
    FailSupervisor,
    Fault,
    Full,
    Hang,
    Jump,
    LoseReply,
    Raise,
    Reorder,
    Slow,
)
from lightspeed.faults.plan import FaultPlan

__all__ = [
    "Corrupt",
    "Delay",
    "DelayReply",
    "Drop",
    "Duplicate",
    "FailSupervisor",
    "Fault",
    "FaultPlan",
    "FaultsNotFired",
    "Full",
    "Hang",
    "InjectedFault",
    "Jump",
    "LoseReply",
    "Raise",
    "Reorder",
    "Slow",
]
