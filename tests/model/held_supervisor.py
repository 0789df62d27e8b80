"""A supervisor that is held to what it promises of its children, by what it hears and what it then does.

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
tasks             a task ends as its coroutine does: normally by returning, abnormally by raising, by a shutdown where it was
                  cancelled from outside; it is up with its first step, or the end of the start that it names; who is told to
                  stop, or given up, is cancelled
views             what is read of its children, or returned by a start, is what is so
"""

from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any

import pykka
from model.held_task import HeldTask
from model.reference_child import Stage
from model.supervisor_witness import SupervisorWitness
from msgspec.structs import replace

from lightspeed.actors.context import here
from lightspeed.actors.errors import NORMAL, ChildNotFound, InvalidOption, InvariantBroken
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.watching import Down, Up
from lightspeed.supervision import ChildSpec, SupervisorRef, Tree
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
from lightspeed.testing.supervised import SeenSpec, SimulatedSupervisor

_JOBS = (StartChild, TerminateChild, RestartChild, DeleteChild)
_LOOKS = (WhichBranch, WhichChild, WhichChildren, CountChildren)


class _Seen(PooledRef):
    """A child as its supervisor holds it: a stop that the supervisor tells it is seen, also where it is dead."""

    __slots__ = ("_supervisor",)

    def __init__(self, actor: Any, supervisor: "HeldSupervisor") -> None:
        super().__init__(actor)
        self._supervisor = supervisor

    def tell(self, message: Any) -> None:
        if message is STOP and here.context.actor is self._supervisor:
            self._supervisor.stops(self)
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


class HeldSupervisor(SimulatedSupervisor):
    """All that it hears and does is seen by a witness."""

    def __init__(self, children: Iterable[ChildSpec] = (), **options: Any) -> None:
        super().__init__(children, **options)
        now_s = {**self.home, **options}["clock"].monotonic_s
        self.witness = SupervisorWitness(self._options, now_s, self._break)
        self._held: dict[Any, HeldTask] = {}
        """The coroutines of its tasks, by their actors."""

    # What it hears

    def on_start(self) -> None:
        self.witness.starts(self._specs)
        super().on_start()
        self.witness.step_over()

    def on_receive(self, message: Any) -> Any:
        kind, witness = type(message), self.witness
        if kind is Down:
            if (held := self._held.get(message.ref._actor)) is not None:
                held.check_end(message.reason, is_starting=self._is_starting(message.ref))
            witness.hears_down(message.ref, message.reason)
        elif kind is Up:
            witness.hears_up(message.ref, is_up=message.ref._actor._lifecycle_is_up())
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

    def _lifecycle_answer(self, envelope: Envelope[Any]) -> None:
        message = envelope.message
        reply: Any = envelope.reply_to
        if isinstance(message, type(STOP)) and reply is not None:
            reply = _SeenReply(reply, lambda _error, _value: self.witness.stop_answered())
        elif type(message) in _JOBS and reply is not None:
            message = replace(message, spec=self.see(message.spec)) if type(message) is StartChild else message
            ask = self.witness.hears_ask(message)
            reply = _SeenReply(reply, lambda error, value: self.witness.answered(ask, error, value))
        super()._lifecycle_answer(Envelope(message, reply_to=reply))
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
        super().on_end(error)

    def stops(self, ref: pykka.ActorRef[Any]) -> None:
        """It has told a child's actor to stop."""
        if (held := self._held.get(ref._actor_weakref())) is not None:
            held.is_told = True
        self.witness.stopped(ref)

    def _give_up(self, ref: Any) -> None:
        if (held := self._held.get(ref._actor)) is not None:
            held.is_told = held.is_given_up = True
        super()._give_up(ref)
        self.witness.given_up(ref)

    def _give_up_children(self) -> None:
        for child in self._table:
            if child.ref is not None and (held := self._held.get(child.ref._actor_weakref())) is not None:
                held.is_told = held.is_given_up = True
        super()._give_up_children()

    def task(self, spec: ChildSpec, coroutine: Coroutine[Any, Any, Any]) -> pykka.ActorRef[Any]:
        held = HeldTask(coroutine, spec.id, self._break)
        ref: Any = super().task(spec, held)
        self._held[ref._actor] = held

        def check() -> None:
            held.check(is_starting=self._is_starting(ref))
            if held.is_over:
                self._sim_pool.at_rest.remove(check)

        self._sim_pool.at_rest.append(check)
        return ref

    def _is_starting(self, ref: Any) -> bool:
        """Whether a task is taken to start, and not by its own wish."""
        child = self.witness.child_of(ref)
        return child is not None and child.stage is Stage.STARTING and not ref._actor.is_starting

    def began(self, spec: SeenSpec, ref: Any, error: BaseException | None) -> Any:
        if error is None and not isinstance(ref, pykka.ActorRef):
            self.witness.is_over = True
            return ref  # which is refused
        ref = super().began(spec, ref, error)
        seen = None if ref is None else (_SeenSupervisor if isinstance(ref, SupervisorRef) else _Seen)(ref._actor, self)
        if seen is not None and (supervisor_of(seen._actor) is not None or _has_stopped(spec, seen)):
            self.witness.began(spec, None, InvalidOption("start", seen, "must start an actor for this child alone"), is_up=False)
            return seen
        self.witness.began(spec, seen, error, is_up=seen is not None and seen._actor._lifecycle_is_up())
        return seen

    def actor_of(self, child_id: object) -> pykka.ActorRef[Any] | None:
        return self.witness.actor_of(child_id)

    def looked_at(self, tree: Tree | None, error: Exception | None) -> None:
        if tree is None:
            self.witness.gathered_nothing(error)
        else:
            self.witness.gathered(tree)

    def refuse(self, spec: ChildSpec, actor: object) -> Exception:
        self.witness.is_over = True
        return super().refuse(spec, actor)

    def check_at_rest(self) -> None:
        super().check_at_rest()
        self.witness.check(self._table.views)

    def _break(self, invariant: str, text: str) -> None:
        self._sim_pool.break_by(InvariantBroken(invariant, text))


def _has_stopped(spec: ChildSpec, ref: PooledRef) -> bool:
    return not isinstance(spec.start, tuple) and ref._actor._lifecycle_exit is NORMAL
