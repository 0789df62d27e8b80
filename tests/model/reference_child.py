"""A supervised child as it must be, and what its supervisor has to do next.

It decides nothing: `reference_supervisor.py` does. Its stages are called as `which_children` calls them.
"""

from collections.abc import Generator
from enum import Enum
from typing import Any

import pykka
from model.healing import Delay, ReferenceBackoff
from msgspec import Struct

from lightspeed.actors.errors import ExitReason
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.text import class_name, shown
from lightspeed.supervision.spec import ChildSpec

_WORKER_SHUTDOWN_S = 5.0  # what docs/supervision.md says, of a child that does not say it


class Stage(Enum):
    DOWN = "stopped"
    STARTING = "starting"
    UP = "running"
    STOPPING = "stopping"
    ENDED = "ended"
    """By itself, and nothing has come of it yet."""
    DUE = "restarting"


def told(value: Any) -> str:
    """As it stands in the text of an error, which is the same for the same run: an actor by its name in the trace."""
    if not isinstance(value, PooledRef):
        return shown(value)
    return getattr(value._actor._pooled_inbox, "name", f"an idle {class_name(value.actor_class)}")


class ReferenceChild(Struct, eq=False):
    """From the moment at which its supervisor has it to that at which it forgets it."""

    spec: ChildSpec
    is_supervisor: bool
    stage: Stage = Stage.DOWN
    ref: pykka.ActorRef[Any] | None = None
    """Its actor, where it has one that was not given up."""
    reason: ExitReason | None = None
    restarts: int = 0
    """How often one was wanted for its own sake."""
    backoff: ReferenceBackoff | None = None
    delay: Delay | None = None
    """How long its restart waits, while it is due."""

    @property
    def stop_within_s(self) -> float | None:
        """None: it may take as long as it likes."""
        limit = self.spec.shutdown_s
        if limit is None:
            return None if self.is_supervisor else _WORKER_SHUTDOWN_S
        return None if limit == "infinity" else float(limit)

    @property
    def is_killed(self) -> bool:
        """Whether it is given up as soon as it was told to stop."""
        return self.spec.shutdown_s == "brutal_kill"


class Ask(Struct, eq=False):
    """A request, until it is answered."""

    message: Any

    def __str__(self) -> str:
        return f"{type(self.message).__name__} of {shown(self.message.id)}"


class Due(Struct, eq=False, kw_only=True):
    """What a supervisor has to do next; `rule` is broken where it does not."""

    rule: str


class Begin(Due, eq=False):
    """To start the child's actor."""

    child: ReferenceChild

    def __str__(self) -> str:
        return f"{shown(self.child.spec.id)} was to be started"


class Stop(Due, eq=False):
    """To tell the child's actor to stop."""

    child: ReferenceChild

    def __str__(self) -> str:
        return f"{shown(self.child.spec.id)} was to be stopped"


class GiveUp(Due, eq=False):
    """To give up the child's actor, and nothing else."""

    child: ReferenceChild

    def __str__(self) -> str:
        return f"{shown(self.child.spec.id)} was to be given up"


class Wait(Due, eq=False):
    """Nothing, until the child has left its stage; at that moment, and not before, it is given up."""

    child: ReferenceChild
    stage: Stage
    until_s: float | None
    """None: it is never given up."""

    def __str__(self) -> str:
        return f"{shown(self.child.spec.id)} is {self.stage.value}"


class Answer(Due, eq=False):
    """To answer the request."""

    ask: Ask
    error: type[Exception] | None = None
    value: Any = None

    def __str__(self) -> str:
        return f"{self.ask} was to be answered {told(self.value) if self.error is None else self.error.__name__}"


class End(Due, eq=False):
    """To begin its own end, of this."""

    error: type[Exception]

    def __str__(self) -> str:
        return f"it was to end of {self.error.__name__}"


Steps = Generator[Due, Any, Any]
