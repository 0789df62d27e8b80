"""How a supervisor starts, stops and gives up one child, in the steps of a job."""

from collections.abc import Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import NORMAL, Ignore, InvalidOption, NotSupervisable, StartFailed, StartTimeout
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.stopping import give_up, stop_soon
from lightspeed.actors.tasks import TaskActor
from lightspeed.actors.watching import place_of, tell_when_up, unwatch, watch
from lightspeed.actors.workers import blocking
from lightspeed.supervision.children import Phase, SupervisedChild, is_supervisor
from lightspeed.supervision.deadlines import Clock
from lightspeed.supervision.jobs import Steps
from lightspeed.supervision.keeper import placed
from lightspeed.supervision.report import line_of, report_abandoned, report_bad_stop, supervisor_of
from lightspeed.supervision.spec import ChildSpec

if TYPE_CHECKING:
    from lightspeed.supervision.supervisor import Supervisor


class ChildSteps:
    """For the supervisor's own thread. The supervisor is told `Up` and `Down`, and sets the child's phase accordingly.

    Args:
        clock: for deadlines, backoffs and the window of restarts.
    """

    def __init__(self, owner: "Supervisor", clock: Clock) -> None:
        self._owner, self._me, self._options, self._table = owner, owner.actor_ref, owner._options, owner._table
        self._deadlines, self._clock = owner._deadlines, clock

    def start(self, child: SupervisedChild) -> Steps:
        """Returns the actor's reference when it is up; None where it ignored its start, and then it has none.

        Raises:
            StartFailed: then it has no actor.
        """
        child.phase, child.reason = Phase.STARTING, None  # the last error holds the dead actor
        try:
            ref = self._begin(child)
        except BaseException as error:  # what a start runs is the user's; whatever it raises is the child's failure
            child.phase = Phase.STOPPED
            if issubclass(type(error), Ignore):
                return None
            raise StartFailed(child.spec.id, error) from error
        if tell_when_up(ref, self._me):
            self.come_up(child)
            return ref
        timeout_s = self._options.start_timeout_s
        yield from self._wait(child, None if is_supervisor(child) else timeout_s)  # it has deadlines of its own
        if child.phase is Phase.STARTING and place_of(ref)._lifecycle_is_up():
            self.come_up(child)  # its word of that waits in our inbox, behind much else
        if child.phase is Phase.STARTING:
            self._abandon(child, "in its start")
            raise StartFailed(child.spec.id, StartTimeout(timeout_s))
        if child.phase is Phase.ENDED:
            if child.reason is not NORMAL:
                return _failed_start(child)
            self._owner._recover_soon(child)  # somebody stopped it before it was up: it has not failed
        return ref

    def come_up(self, child: SupervisedChild) -> None:
        """Note that a child is up: its on_start has returned."""
        child.phase = Phase.UP
        if child.backoff is not None:
            child.backoff = child.backoff.up(self._clock.monotonic_s())

    def stop(self, child: SupervisedChild) -> Steps:
        """Afterwards it is stopped, and forgotten if it is temporary."""
        is_killed = child.spec.shutdown_s == "brutal_kill"
        if child.phase in (Phase.STARTING, Phase.UP):
            child.phase = Phase.STOPPING
            assert child.ref is not None
            if not is_killed:
                stop_soon(child.ref)
        if child.phase is Phase.STOPPING:
            if not is_killed:
                yield from self._wait(child, child.spec.stop_within_s)
            if child.phase is Phase.STOPPING:
                self._abandon(child, "in its stop")
            elif child.reason is not None and child.reason.kind == "abnormal":
                report_bad_stop(child.spec.id, child.reason)
        child.phase = Phase.STOPPED
        self.forget_temporary(child)

    def forget_temporary(self, child: SupervisedChild) -> None:
        """Nothing is kept of a temporary child that is stopped."""
        if child.spec.kind == "temporary" and child.phase is Phase.STOPPED and self._table.holds(child):
            self._table.remove(child)

    def _begin(self, child: SupervisedChild) -> pykka.ActorRef[Any]:
        place = self._owner.for_branches if child.spec.is_supervisor else {}
        with blocking, placed(place):  # should it block, the other supervisors go on
            started = child.spec.begin()
        ref = self.task(child.spec, started) if issubclass(type(started), Coroutine) else self._reference(started)
        if not isinstance(child.spec.start, tuple) and place_of(ref)._lifecycle_exit is NORMAL:
            raise InvalidOption("start", ref, "must start an actor, and gave one that has stopped")
        if self._is_anothers(ref) or not self._table.bind(child, ref):
            raise InvalidOption("start", ref, "must start an actor for this child alone")
        watch(ref, self._me)
        return ref

    def task(self, spec: ChildSpec, coroutine: Coroutine[Any, Any, Any]) -> pykka.ActorRef[Any]:
        """The actor of what a start has made.

        Raises:
            InvalidOption: there is no event loop to run it on.
        """
        tasks = self._owner.tasks
        if tasks is None:
            coroutine.close()
            rule = "starts a task, which needs an event loop: use AsyncSupervisor, or give the option loop"
            raise InvalidOption("start", spec.start, rule)
        return PooledRef(TaskActor._pooled_start(tasks, coroutine))

    def _reference(self, started: Any) -> pykka.ActorRef[Any]:
        """What a start has returned, if it can be a child. Else whoever it has started is not left alive."""
        if not issubclass(type(started), pykka.ActorRef):
            found = list(_references_in(started))
            for one in found:
                if not self._is_anothers(one):
                    give_up(one)
            if found:
                raise InvalidOption("start", started, "must return the reference to an actor, and that alone")
            raise NotSupervisable(started)
        try:
            place_of(started)
        except NotSupervisable:
            stop_soon(started)
            raise
        ref: pykka.ActorRef[Any] = started
        return ref

    def _is_anothers(self, ref: pykka.ActorRef[Any]) -> bool:
        """Whether it is somebody's child, or is this supervisor or one above it."""
        actor: Any = ref._actor_weakref()
        me: Any = self._me._actor_weakref()
        return actor is not None and (supervisor_of(actor) is not None or actor in line_of(me))

    def _abandon(self, child: SupervisedChild, when: str) -> None:
        """Go on without an actor that does not come to its end: nothing can end it but itself."""
        ref = self._table.unbind(child)
        self._table.abandoned += 1
        child.phase = Phase.STOPPED
        report_abandoned(child.spec.id, ref, when)
        unwatch(ref, self._me)
        self._owner._give_up(ref)

    def _wait(self, child: SupervisedChild, timeout_s: float | None) -> Steps:
        """Until the child has left its phase, or so many seconds; None is for ever."""
        phase = child.phase
        deadline = None if timeout_s is None else self._deadlines.add(timeout_s, partial(self._owner._wake, child))
        try:
            while child.phase is phase and not (deadline is not None and deadline.has_passed):
                yield child
        finally:
            if deadline is not None:
                deadline.is_off = True


def _references_in(started: Any) -> Iterator[pykka.ActorRef[Any]]:
    """Those that can be had of what is no reference: a proxy, an actor, or some of these in a tuple or a list."""
    kind = type(started)
    if issubclass(kind, pykka.ActorRef):
        yield started
    elif issubclass(kind, (pykka.ActorProxy, pykka.Actor)):
        yield started.actor_ref
    elif kind in (tuple, list):
        for one in started:
            if type(one) not in (tuple, list):
                yield from _references_in(one)


def _failed_start(child: SupervisedChild) -> None:
    """What it ended of before it was up: `Ignore` is no failure."""
    assert child.reason is not None
    child.phase = Phase.STOPPED
    if not child.reason.is_ignored:
        assert child.reason.error is not None
        raise StartFailed(child.spec.id, child.reason.error)


def give_up_all(ref: pykka.ActorRef[Any]) -> None:
    """As `give_up`. What a supervisor has below it is given up in the calling thread: it may itself be what hangs."""
    give_up(ref)
    give_up_children = getattr(ref.actor_class, "_give_up_children", None)
    if give_up_children is not None:
        give_up_children(ref._actor)  # type: ignore[attr-defined]
