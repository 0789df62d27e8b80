"""What goes wrong on purpose: a plan of faults as a value, and how a channel's actors carry it out."""

from lightspeed.faults.fault import (
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
    Poison,
    Raise,
    Reorder,
    Slow,
)
from lightspeed.faults.harm import Pauses
from lightspeed.faults.injector import Injector
from lightspeed.faults.plan import FaultPlan
from lightspeed.faults.runtime import FaultyRuntime

__all__ = [
    "Delay",
    "DelayReply",
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
    "Pauses",
    "Poison",
    "Raise",
    "Reorder",
    "Slow",
]
