"""A supervisor in a simulation: those among its children take part too, and what is on no pool or loop of it is refused."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar

import pykka
from msgspec.structs import replace

from lightspeed.actors.errors import SimulationMisused
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.stopping import stop_soon
from lightspeed.actors.tasks import TaskActor, TaskPool
from lightspeed.actors.text import named, shown
from lightspeed.supervision import ChildSpec, Supervisor, Tree
from lightspeed.supervision.messages import StartChild
from lightspeed.testing.loop import SimulatedLoop
from lightspeed.testing.pool import SimulatedPool


class SeenSpec(ChildSpec, frozen=True, kw_only=True):
    """A child's spec whose start is seen by the simulated supervisor."""

    began: Callable[["SeenSpec", Any, BaseException | None], Any]
    refuse: Callable[["SeenSpec", object], Exception]
    task: Callable[[ChildSpec, Coroutine[Any, Any, Any]], pykka.ActorRef[Any]]

    def begin(self) -> Any:
        kind = self.start[0] if isinstance(self.start, tuple) else None
        if isinstance(kind, type) and issubclass(kind, pykka.ThreadingActor):
            raise self.refuse(self, kind)  # before there is a thread
        try:
            ref = super().begin()
            if issubclass(type(ref), Coroutine):
                ref = self.task(self, ref)  # here, so that the start is seen with its actor
        except BaseException as error:
            self.began(self, None, error)
            raise
        return self.began(self, ref, None)


class SimulatedSupervisor(Supervisor):
    """Supervisors below it take part too, with the same clock and randomness, where they were given none.

    Raises:
        SimulationMisused: by the step in which a child was started that is not on the simulation's pool, nor on a loop of it.
    """

    home: ClassVar[Mapping[str, Any]] = {}
    """The simulation's pool, clock and randomness, in a subclass for each simulation."""
    kind: ClassVar[type["SimulatedSupervisor"]]
    """The class of which all are that take part."""

    def __init__(self, children: Iterable[ChildSpec] = (), **options: Any) -> None:
        self._sim_pool: SimulatedPool = self.home["pool"]
        options = {**self.home, **options}
        if options["pool"] is not self._sim_pool:
            raise SimulationMisused("a supervisor of a simulation is on the simulation's pool, and on no other")
        super().__init__([self.see(spec) for spec in children], **options)
        if self.tasks is not None and not is_of(self._sim_pool, self.tasks):
            raise SimulationMisused("tasks of a simulation run on the simulation's loop, and on no other")
        self._sim_pool.at_rest.append(self.check_at_rest)
        self._sim_pool.asked(self, "to start", self._first_start)

    def _lifecycle_answer(self, envelope: Envelope[Any]) -> None:
        message = envelope.message
        if type(message) is StartChild:
            envelope = Envelope(replace(message, spec=self.see(message.spec)), reply_to=envelope.reply_to)
        super()._lifecycle_answer(envelope)

    def on_end(self, error: BaseException | None) -> None:
        self._sim_pool.at_rest.remove(self.check_at_rest)
        super().on_end(error)

    def actor_of(self, child_id: object) -> pykka.ActorRef[Any] | None:
        """The actor of a child that has one."""
        return next((child.ref for child in self._table if child.spec.id == child_id), None)

    def looked_at(self, tree: Tree | None, error: Exception | None) -> None:
        """The supervisor's tree was asked for, and was this, or the call has raised this: for a subclass that looks at it."""

    def see(self, spec: Any) -> Any:
        """The spec of a child that takes part."""
        if not isinstance(spec, ChildSpec) or isinstance(spec, SeenSpec):
            return spec  # what is none is refused
        fields = {name: getattr(spec, name) for name in ChildSpec.__struct_fields__}
        if spec.is_supervisor:
            kind, args, kwargs = fields["start"]
            fields["start"] = (simulated(kind, self.home, self.kind), args, kwargs)
        return SeenSpec(**fields, began=self.began, refuse=self.refuse, task=self.task)

    def task(self, spec: ChildSpec, coroutine: Coroutine[Any, Any, Any]) -> pykka.ActorRef[Any]:
        """The actor of a child that is a task: for a subclass that looks at the coroutine."""
        return self._jobs.task(spec, coroutine)

    def began(self, spec: SeenSpec, ref: Any, error: BaseException | None) -> Any:
        """A child was started, or its start has raised this; gives what stands for its reference."""
        if isinstance(error, SimulationMisused):  # a supervisor that was given another pool
            raise self.refuse(spec, spec.start[0])  # type: ignore[index]
        if isinstance(ref, pykka.ActorRef) and not is_on(self._sim_pool, ref):
            stop_soon(ref)
            raise self.refuse(spec, ref)
        return ref  # what is none is refused

    def refuse(self, spec: ChildSpec, actor: object) -> Exception:
        """What is raised twice: here it fails the start, and then it ends the simulation."""
        who = named(actor) if isinstance(actor, pykka.ActorRef) else shown(actor)
        text = f"child {shown(spec.id)}, {who}, is not on the simulation's pool: be a PooledActor with pool=simulation.pool"
        self._sim_pool.break_by(SimulationMisused(text))
        return SimulationMisused(text)

    def check_at_rest(self) -> None:
        """Nobody is ready."""
        self._check_below(self)

    def let_go(self) -> None:
        """Nothing runs any more: a task of it that has not begun never does, and Python does not warn of that."""
        for child in self._table:
            actor = None if child.ref is None else child.ref._actor_weakref()
            if isinstance(actor, TaskActor):
                actor._lifecycle_take_out()
            elif isinstance(actor, SimulatedSupervisor):
                actor.let_go()

    def _check_below(self, supervisor: Supervisor) -> None:
        """Supervisors that a callable started take no part; but those below them must be on the pool."""
        for child in supervisor._table:
            if child.ref is None:
                continue
            if not is_on(self._sim_pool, child.ref):
                stop_soon(child.ref)
                self.refuse(child.spec, child.ref)
            elif issubclass(child.ref.actor_class, Supervisor) and not issubclass(child.ref.actor_class, SimulatedSupervisor):
                self._check_below(child.ref._actor)  # type: ignore[attr-defined]


def simulated(kind: type[Supervisor], home: Mapping[str, Any], base: type[SimulatedSupervisor]) -> type[SimulatedSupervisor]:
    """The class, taking part in the simulation of this pool, clock and randomness, as `base` does."""
    if issubclass(kind, SimulatedSupervisor):
        return kind
    bases = (base,) if kind is Supervisor else (kind, base)
    return type("SimulatedSupervisor" if kind is Supervisor else kind.__name__, bases, {"home": home, "kind": base})


def is_on(pool: SimulatedPool, ref: pykka.ActorRef[Any]) -> bool:
    """Whether the actor is on this pool, or a task of one of its simulation's loops."""
    return isinstance(ref, PooledRef) and (ref._actor._pooled_pool is pool or is_of(pool, ref._actor._pooled_pool))


def is_of(pool: SimulatedPool, tasks: object) -> bool:
    """Whether these are the tasks of a loop of the pool's simulation."""
    return isinstance(tasks, TaskPool) and isinstance(tasks.loop, SimulatedLoop) and tasks.loop._pool is pool
