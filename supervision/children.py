"""A supervisor's children, in the order of their start: each found by its name, and by the reference to its actor.

The ids of children are the program's objects: their hash and eq may raise, hang, or end the thread. So they are asked in the
thread of whoever names a child; the supervisor goes by `ChildName`s, each of which is itself and nothing else.
"""

import threading
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.errors import ExitReason
from lightspeed.supervision.rules import BackoffState, Kind
from lightspeed.supervision.spec import ChildSpec
from lightspeed.supervision.tree import ChildPhase


class ChildName:
    """What stands for an id: the same one for equal ids, as long as a child has it, or is to have it."""

    __slots__ = ("hash_of_id", "id", "uses")

    def __init__(self, child_id: Hashable, hash_of_id: int) -> None:
        self.id, self.hash_of_id = child_id, hash_of_id
        self.uses = 0


class ChildNames:
    """Of one supervisor. Any thread may use it; no code of the program's is run under its lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, tuple[ChildName, ...]] = {}

    def find(self, child_id: Hashable) -> ChildName:
        """The name of a child that there is, or else a new one, nobody's. Runs the id's code, which may raise anything."""
        number = hash(child_id)
        return _same(child_id, self._known.get(number, ())) or ChildName(child_id, number)

    def take(self, child_id: Hashable) -> ChildName:
        """As `find`, for a child that is to be: it is known from here on, until it was given back as often as it was taken."""
        number = hash(child_id)
        while True:
            known = self._known.get(number, ())
            name = _same(child_id, known) or ChildName(child_id, number)
            with self._lock:
                if self._known.get(number, ()) is known:
                    name.uses += 1
                    if name.uses == 1:
                        self._known[number] = (*known, name)
                    return name

    def give_back(self, name: ChildName) -> None:
        """There is no such child, or it is not to be after all."""
        with self._lock:
            name.uses -= 1
            if name.uses == 0:
                rest = tuple(other for other in self._known[name.hash_of_id] if other is not name)
                if rest:
                    self._known[name.hash_of_id] = rest
                else:
                    del self._known[name.hash_of_id]


def _same(child_id: Hashable, known: tuple[ChildName, ...]) -> ChildName | None:
    for name in known:
        if name.id is child_id or name.id == child_id:
            return name
    return None


class Phase(Enum):
    """Where a child stands; its value is what `which_children` says."""

    _value_: ChildPhase
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
    phase: ChildPhase
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

    def views(self) -> list[ChildView]:
        return [view_of(child) for child in self]

    def counts(self) -> ChildCounts:
        supervisors = sum(is_supervisor(child) for child in self)
        specs = len(self._by_name)
        return ChildCounts(specs, len(self._by_ref), supervisors, specs - supervisors, self.abandoned)


def is_supervisor(child: SupervisedChild) -> bool:
    """Whether it is a Supervisor, as far as its spec or its actor shows."""
    return child.spec.is_supervisor or hasattr(getattr(child.ref, "actor_class", None), "_supervised_start")


def view_of(child: SupervisedChild) -> ChildView:
    """A child as others may see it."""
    return ChildView(child.spec.id, child.ref, child.phase.value, child.spec.kind, is_supervisor(child), child.tries)
