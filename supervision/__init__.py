"""The supervisor of any Pykka actors, as OTP has it."""

from lightspeed.actors.errors import (
    AlreadyUp,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildError,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStopped,
    RestartsExceeded,
    StartFailed,
    StartTimeout,
    SupervisorStopped,
    SupervisorTimeout,
    WrongLoop,
)
from lightspeed.actors.tasks import starting
from lightspeed.supervision.async_supervisor import AsyncChildAddress, AsyncSupervisor, AsyncSupervisorRef
from lightspeed.supervision.children import ChildCounts, ChildView
from lightspeed.supervision.ref import ChildAddress, SupervisorRef
from lightspeed.supervision.rules import Backoff, RestartWindow
from lightspeed.supervision.spec import ChildSpec
from lightspeed.supervision.supervisor import Supervisor
from lightspeed.supervision.tree import Tree

__all__ = [
    "AlreadyUp",
    "AsyncChildAddress",
    "AsyncSupervisor",
    "AsyncSupervisorRef",
    "Backoff",
    "ChildAddress",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildCounts",
    "ChildError",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStopped",
    "ChildView",
    "RestartWindow",
    "RestartsExceeded",
    "StartFailed",
    "StartTimeout",
    "Supervisor",
    "SupervisorRef",
    "SupervisorStopped",
    "SupervisorTimeout",
    "Tree",
    "WrongLoop",
    "starting",
]
