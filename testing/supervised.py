"""A supervisor in a simulation: it is held to what it promises of its children, by what it hears and what it then does.

kinds             a permanent child is always restarted, a transient one after an abnormal end, a temporary one never; none begins
                  for another reason, none has two living actors, and of nothing else does the supervisor end
strategy          with a child that is restarted those are stopped and started whom the strategy names, in order: each when the
                  one before it is up, or those behind it are down
restarts          it restarts them as often as its options allow, after their backoff; it gives up with one more, and not before
significance      it ends when a significant child has ended for good, where `auto_shutdown` says so, and not else
given_up          who is given up is dead at once, and handles nothing that waits; nobody below it is left
reverse_stop      at its end it stops its children in reverse, each when those behind it are down or given up in time; it has
                  ended, and a stop is answered, when the last one is
requests          what it is asked to do with a child is done before it is answered, or refused as the child stands
views             what is read of its children, or returned by a start, is what is so
"""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

import pykka
from msgspec.structs import replace

from lightspeed.actors.context import here
from lightspeed.actors.errors import NORMAL, ChildNotFound, InvalidOption, InvariantBroken, SimulationMisused
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.stopping import stop_soon
from lightspeed.actors.text import named, shown
from lightspeed.actors.watching import Down, Up
from lightspeed.supervision import ChildSpec, Supervisor, SupervisorRef
from lightspeed.supervision.messages import (
    AllUp,
    CountChildren,
    DeleteChild,
    RestartChild,
    Retry,
    StartChild,
    TerminateChild,
    WhichBranch,
    WhichChild,
    WhichChildren,
)
from lightspeed.supervision.report import supervisor_of
from lightspeed.testing.invariants.supervisor_witness import SupervisorWitness
from lightspeed.testing.pool import SimulatedPool

_JOBS = (StartChild, TerminateChild, RestartChild, DeleteChild)
_LOOKS = (WhichBranch, WhichChild, WhichChildren, CountChildren)


class _SeenSpec(ChildSpec, frozen=True, kw_only=True):
    began: Callable[["_SeenSpec", Any, BaseException | None], Any]
    refuse: Callable[["_SeenSpec", object], Exception]

    def begin(self) -> Any:
        if isinstance(self.start, tuple) and issubclass(self.start[0], pykka.ThreadingActor):
            raise self.refuse(self, self.start[0])  # before there is a thread
        try:
            ref = super().begin()
        except BaseException as error:
            self.began(self, None, error)
            raise
        return self.began(self, ref, None)


class _Seen(PooledRef):
    """A child as its supervisor holds it: a stop that the supervisor tells it is seen, also where it is dead."""

    __slots__ = ("_supervisor",)

    def __init__(self, actor: Any, supervisor: "SimulatedSupervisor") -> None:
        super().__init__(actor)
        self._supervisor = supervisor

    def tell(self, message: Any) -> None:
        if message is STOP and here.spot.actor is self._supervisor:
            self._supervisor.witness.stopped(self)
        super().tell(message)


class _SeenSupervisor(_Seen, SupervisorRef):
    __slots__ = ()


class _SeenReply:
    """What an `Envelope` takes for a future: the witness sees its answer first."""

    def __init__(self, inner: Any, sees: Callable[[BaseException | None, Any], None]) -> None:
        self._inner, self._sees = inner, sees

    def set(self, value: Any = None) -> None:
        self._sees(None, value)
        self._inner.set(value)

    def set_exception(self, exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> None:
        self._sees(exc_info[1], None)
        self._inner.set_exception(exc_info)


class SimulatedSupervisor(Supervisor):
    """Supervisors below it take part too, with the same clock and randomness, where they were given none.

    Raises:
        SimulationMisused: by the step in which a child was started that is not on the simulation's pool.
    """

    home: Mapping[str, Any] = {}
    """The simulation's pool, clock and randomness, in a subclass for each simulation."""

    def __init__(self, children: Iterable[ChildSpec] = (), **options: Any) -> None:
        self._sim_pool: SimulatedPool = self.home["pool"]
        options = {**self.home, **options}
        if options["pool"] is not self._sim_pool:
            raise SimulationMisused("a supervisor of a simulation is on the simulation's pool, and on no other")
        super().__init__([self._see(spec) for spec in children], **options)
        self.witness = SupervisorWitness(self._options, options["clock"].monotonic_s, self._break)
        self._sim_pool.at_rest.append(self._check_at_rest)
        self._sim_pool.asked(self, "to start", self._first_start)

    # What it hears

    def on_start(self) -> None:
        self.witness.starts(self._specs)
        super().on_start()
        self.witness.step_over()

    def on_receive(self, message: Any) -> Any:
        kind, witness = type(message), self.witness
        if kind is Down:
            witness.hears_down(message.ref, message.reason)
        elif kind is Up:
            witness.hears_up(message.ref, is_up=message.ref._actor._mortal_is_up() or not message.ref.is_alive())
        elif kind is Retry:
            witness.hears_retry(message.child.spec, message.tries)
        elif kind is AllUp:
            witness.all_up()
        try:
            answer = super().on_receive(message)
        except ChildNotFound:
            witness.looked(message, None)
            raise
        if kind in _LOOKS:
            witness.looked(message, answer)
        witness.step_over()
        return answer

    def _mortal_answer(self, envelope: Envelope[Any]) -> None:
        message = envelope.message
        reply: Any = envelope.reply_to
        if isinstance(message, type(STOP)) and reply is not None:
            reply = _SeenReply(reply, lambda _error, _value: self.witness.stop_answered())
        elif type(message) in _JOBS and reply is not None:
            message = replace(message, spec=self._see(message.spec)) if type(message) is StartChild else message
            ask = self.witness.hears_ask(message)
            reply = _SeenReply(reply, lambda error, value: self.witness.answered(ask, error, value))
        super()._mortal_answer(Envelope(message, reply_to=reply))
        self.witness.step_over()

    def _stop(self) -> None:
        self.witness.hears_stop()
        super()._stop()
        self.witness.step_over()

    # What it does

    def _begin_end(self, error: BaseException | None) -> None:
        if not self._is_ending:
            self.witness.begins_end(error)
        super()._begin_end(error)

    def on_end(self, error: BaseException | None) -> None:
        self.witness.has_ended(error)
        self._sim_pool.at_rest.remove(self._check_at_rest)
        super().on_end(error)

    def _give_up(self, ref: Any) -> None:
        super()._give_up(ref)
        self.witness.given_up(ref)

    def _see(self, spec: Any) -> Any:
        if not isinstance(spec, ChildSpec):
            return spec  # which is refused
        fields = {name: getattr(spec, name) for name in ChildSpec.__struct_fields__}
        if spec.is_supervisor:
            kind, args, kwargs = fields["start"]
            fields["start"] = (simulated(kind, self.home), args, kwargs)
        return _SeenSpec(**fields, began=self._began, refuse=self._refuse)

    def _began(self, spec: _SeenSpec, ref: Any, error: BaseException | None) -> Any:
        if error is None and not isinstance(ref, pykka.ActorRef):
            self.witness.is_over = True
            return ref  # which is refused
        if isinstance(error, SimulationMisused):  # a supervisor that was given another pool
            raise self._refuse(spec, spec.start[0])  # type: ignore[index]
        if ref is not None and not _is_on(self._sim_pool, ref):
            stop_soon(ref)
            raise self._refuse(spec, ref)
        begun: Any = ref
        seen = None if ref is None else (_SeenSupervisor if isinstance(ref, SupervisorRef) else _Seen)(begun._actor, self)
        if seen is not None and (supervisor_of(seen._actor) is not None or _has_stopped(spec, seen)):
            self.witness.began(spec, None, InvalidOption("start", seen, "must start an actor for this child alone"), is_up=False)
            return seen
        self.witness.began(spec, seen, error, is_up=seen is not None and seen._actor._mortal_is_up())
        return seen

    def _refuse(self, spec: ChildSpec, actor: object) -> Exception:
        """Raised twice: here it fails the start, and then it ends the simulation."""
        self.witness.is_over = True
        who = named(actor) if isinstance(actor, pykka.ActorRef) else shown(actor)
        text = f"child {shown(spec.id)}, {who}, is not on the simulation's pool: be a PooledActor with pool=simulation.pool"
        self._sim_pool.break_by(SimulationMisused(text))
        return SimulationMisused(text)

    def _check_at_rest(self) -> None:
        self._check_below(self)
        self.witness.check(lambda: self._which_children(WhichChildren()))

    def _check_below(self, supervisor: Supervisor) -> None:
        """Supervisors that a callable started take no part; but those below them must be on the pool."""
        for child in supervisor._table:
            if child.ref is None:
                continue
            if not _is_on(self._sim_pool, child.ref):
                stop_soon(child.ref)
                self._refuse(child.spec, child.ref)
            elif issubclass(child.ref.actor_class, Supervisor) and not issubclass(child.ref.actor_class, SimulatedSupervisor):
                self._check_below(child.ref._actor)  # type: ignore[attr-defined]

    def _break(self, invariant: str, text: str) -> None:
        self._sim_pool.break_by(InvariantBroken(invariant, text))


def simulated(kind: type[Supervisor], home: Mapping[str, Any]) -> type[SimulatedSupervisor]:
    """The class, taking part in the simulation of this pool, clock and randomness."""
    if issubclass(kind, SimulatedSupervisor):
        return kind
    bases = (SimulatedSupervisor,) if kind is Supervisor else (kind, SimulatedSupervisor)
    return type("SimulatedSupervisor" if kind is Supervisor else kind.__name__, bases, {"home": home})


def _is_on(pool: SimulatedPool, ref: pykka.ActorRef[Any]) -> bool:
    return isinstance(ref, PooledRef) and ref._actor._pooled_pool is pool


def _has_stopped(spec: ChildSpec, ref: PooledRef) -> bool:
    return not isinstance(spec.start, tuple) and ref._actor._mortal_exit is NORMAL
