"""What a Supervisor is asked, by `SupervisorRef`, and what it tells itself."""

from collections.abc import Hashable
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.pykka_inside import STOP
from lightspeed.supervision.children import ChildName, SupervisedChild
from lightspeed.supervision.spec import ChildSpec


class _Request(Struct, frozen=True, kw_only=True):
    name: ChildName | None = None
    """What the id stands for; None: it is to be found by whoever hears this."""
    caller: Any = None
    """The actor inside which it was called, if it was inside any."""


class StartChild(_Request, frozen=True):
    spec: ChildSpec

    @property
    def id(self) -> Hashable:
        return self.spec.id


class _OfChild(_Request, frozen=True):
    id: Hashable

    def __post_init__(self) -> None:
        hash(self.id)  # raises in the caller, where else it would in the supervisor


class TerminateChild(_OfChild, frozen=True):
    pass


class RestartChild(_OfChild, frozen=True):
    pass


class DeleteChild(_OfChild, frozen=True):
    pass


class WaitUp(_OfChild, frozen=True, eq=False):
    """Answered when the child is up."""

    past: pykka.ActorRef[Any] | None = None
    """An actor of the child's that is known to be of no use: the next one is waited for."""


class NoLonger(Struct, frozen=True):
    """Whoever asked this does not wait for the answer any more."""

    request: WaitUp


class WhichChild(_OfChild, frozen=True):
    pass


class WhichChildren(Struct, frozen=True):
    pass


class CountChildren(Struct, frozen=True):
    pass


class WhichBranch(Struct, frozen=True):
    pass


class StopInside(type(STOP)):  # type: ignore[misc]
    """A stop that somebody waits for inside an actor."""

    caller: Any = None


class LoopEnds(type(STOP)):  # type: ignore[misc]
    """A stop for want of an event loop: nobody has asked for it."""


class AllUp(Struct, frozen=True):
    """The first start is done: what waited for it goes on."""


class Retry(Struct, frozen=True):
    """Try to restart the child, unless this try was called off."""

    child: SupervisedChild
    tries: int
