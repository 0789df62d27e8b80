"""A supervisor's children, in the order of their start: each found by its name, and by the reference to its actor."""

from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.exits import ExitReason
from lightspeed.supervision.backoff import BackoffState
from lightspeed.supervision.child_names import ChildName, ChildNames
from lightspeed.supervision.child_spec import ChildSpec
from lightspeed.supervision.rules import Kind


class Phase(Enum):
    """Where a child stands; its value is what `which_children` says."""

    STOPPED = "stopped"
    """No actor, and none is wanted: it was terminated, ended for good, or ignored its start."""
    STARTING = "starting"
    UP = "running"
    STOPPING = "stopping"
    ENDED = "ended"
    """It ended by itself, and nothing has been done about it yet."""
    RESTARTING = "restarting"
    """It waits for the next try of its restart."""


class SupervisedChild(Struct, eq=False):
    """A child as its supervisor sees it, through all its incarnations."""

    spec: ChildSpec
    name: ChildName
    phase: Phase = Phase.STOPPED
    ref: pykka.ActorRef[Any] | None = None
    """Its actor, where it has one that is not abandoned."""
    reason: ExitReason | None = None
    """Why the last actor ended."""
    waiter: Hashable = None
    """The lane of the job that waits for it to leave its phase."""
    tries: int = 0
    """How often a restart was wanted; the number of a try that is due tells it from one that was called off."""
    backoff: BackoffState | None = None


class ChildView(Struct, frozen=True):
    """A child as `which_child` and `which_children` show it."""

    id: Hashable
    ref: pykka.ActorRef[Any] | None
    """None where it has no actor."""
    phase: str
    """`running`, `starting`, `stopping`, `stopped`, `restarting`, or `ended`, which lasts until the supervisor has seen to it."""
    kind: Kind
    is_supervisor: bool
    restarts: int
    """How often its end had it restarted so far, or tried to be. Restarts for another's sake don't count."""


class Branch(Struct, frozen=True):
    """A supervisor and its children, as it sees them itself."""

    phase: Phase
    children: list[ChildView]


class ChildCounts(Struct, frozen=True):
    """What `count_children` answers."""

    specs: int
    """Children, with an actor or without."""
    active: int
    """Those with an actor."""
    supervisors: int
    """Those that are supervisors."""
    workers: int
    """Those that are not."""
    abandoned: int
    """Actors that were given up so far, since they did not start or stop in time."""


class ChildTable:
    """For the supervisor's own thread, but for a look at all of them. Of what it forgets it gives the name back."""

    def __init__(self, names: ChildNames) -> None:
        self._names = names
        self.abandoned = 0
        self._by_name: dict[ChildName, SupervisedChild] = {}
        self._by_ref: dict[pykka.ActorRef[Any], SupervisedChild] = {}

    def __iter__(self) -> Iterator[SupervisedChild]:
        return iter(list(self._by_name.values()))

    def get(self, name: ChildName) -> SupervisedChild | None:
        return self._by_name.get(name)

    def add(self, spec: ChildSpec, name: ChildName) -> SupervisedChild:
        """A new child, behind all others."""
        assert name not in self._by_name
        child = self._by_name[name] = SupervisedChild(spec, name)
        return child

    def remove(self, child: SupervisedChild) -> None:
        """Forget a child without an actor."""
        assert child.ref is None
        del self._by_name[child.name]
        self._names.give_back(child.name)

    def holds(self, child: SupervisedChild) -> bool:
        return self._by_name.get(child.name) is child

    def bind(self, child: SupervisedChild, ref: pykka.ActorRef[Any]) -> bool:
        """This is the child's actor now; False, and nothing done, if it is another child's."""
        if self._by_ref.setdefault(ref, child) is not child:
            return False
        child.ref = ref
        return True

    def by_ref(self, ref: pykka.ActorRef[Any]) -> SupervisedChild | None:
        """Whose actor it is; None where it is abandoned, or nobody's."""
        return self._by_ref.get(ref)

    def unbind(self, child: SupervisedChild) -> pykka.ActorRef[Any]:
        """The child has no actor from here on: what its last one still reports is fenced off."""
        ref, child.ref = child.ref, None
        assert ref is not None
        del self._by_ref[ref]
        return ref

    def counts(self) -> ChildCounts:
        supervisors = sum(is_supervisor(child) for child in self)
        specs = len(self._by_name)
        return ChildCounts(specs, len(self._by_ref), supervisors, specs - supervisors, self.abandoned)


def is_supervisor(child: SupervisedChild) -> bool:
    """Whether it is a Supervisor, as far as its spec or its actor shows."""
    return child.spec.is_supervisor or hasattr(getattr(child.ref, "actor_class", None), "_supervised_start")


def view_of(child: SupervisedChild) -> ChildView:
    """It as others may see it."""
    return ChildView(child.spec.id, child.ref, child.phase.value, child.spec.kind, is_supervisor(child), child.tries)
