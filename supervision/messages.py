"""What a Supervisor is asked, by `SupervisorRef`, and what it tells itself."""

from collections.abc import Hashable
from typing import Any, ClassVar, Generic, TypeVar

import pykka
from msgspec import Struct

from lightspeed.actors.pykka_inside import STOP
from lightspeed.supervision.children import ChildCounts, ChildName, ChildView, SupervisedChild
from lightspeed.supervision.spec import ChildSpec

Answer = TypeVar("Answer")


class Request(Struct, Generic[Answer], frozen=True):
    """What is asked of a supervisor; its parameter is the kind of answer."""

    call: ClassVar[str]
    """By which call."""


class _OfChild(Request[Answer], frozen=True, kw_only=True):
    name: ChildName | None = None
    """What the id stands for; None: it is to be found by whoever hears this."""
    caller: Any = None
    """The actor inside which it was called, if it was inside any."""


class StartChild(_OfChild[pykka.ActorRef[Any] | None], frozen=True):
    call = "start_child"
    spec: ChildSpec

    @property
    def id(self) -> Hashable:
        return self.spec.id


class OfChild(_OfChild[Answer], frozen=True):
    """One that names a child that there should be."""

    id: Hashable

    def __post_init__(self) -> None:
        hash(self.id)  # raises in the caller, where else it would in the supervisor


class TerminateChild(OfChild[None], frozen=True):
    call = "terminate_child"


class RestartChild(OfChild[pykka.ActorRef[Any] | None], frozen=True):
    call = "restart_child"


class DeleteChild(OfChild[None], frozen=True):
    call = "delete_child"


class WaitUp(OfChild[pykka.ActorRef[Any]], frozen=True, eq=False):
    """Answered when the child is up."""

    call = "wait_up"
    past: pykka.ActorRef[Any] | None = None
    """An actor of the child's that is known to be of no use: the next one is waited for."""


class NoLonger(Struct, frozen=True):
    """Whoever asked this does not wait for the answer any more."""

    request: WaitUp


class WhichChild(OfChild[ChildView], frozen=True):
    call = "which_child"


class WhichChildren(Request[list[ChildView]], frozen=True):
    call = "which_children"


class CountChildren(Request[ChildCounts], frozen=True):
    call = "count_children"


class WhichBranch(Struct, frozen=True):
    pass


class StopInside(type(STOP)):  # type: ignore[misc]
    """A stop that somebody waits for inside an actor."""

    call = "stop"
    caller: Any = None


class LoopEnds(type(STOP)):  # type: ignore[misc]
    """A stop for want of an event loop: nobody has asked for it."""


class AllUp(Struct, frozen=True):
    """The first start is done: what waited for it goes on."""


class Retry(Struct, frozen=True):
    """Try to restart the child, unless this try was called off."""

    child: SupervisedChild
    tries: int
