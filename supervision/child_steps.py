"""How a supervisor starts and stops one child, in the steps of a job."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pykka

from lightspeed.actors.blocking import blocking
from lightspeed.actors.errors import Ignore, InvalidOption, NotSupervisable, StartFailed, StartTimeout
from lightspeed.actors.exits import NORMAL
from lightspeed.actors.stopping import stop_soon
from lightspeed.actors.watching import place_of, tell_when_up, unwatch, watch
from lightspeed.supervision.child_table import ChildTable, Phase, SupervisedChild, is_supervisor
from lightspeed.supervision.crash_report import report_abandoned, report_bad_stop
from lightspeed.supervision.deadlines import Deadlines
from lightspeed.supervision.lanes import Steps


class ChildSteps:
    """For the supervisor's own thread.

    Args:
        me: the supervisor, which is told `Up` and `Down` and sets the child's phase accordingly.
        wake: takes up the job that waits for the child.
        recover_soon: sees to a child that has ended by itself, when the job under way is done.
    """

    def __init__(
        self,
        me: pykka.ActorRef[Any],
        table: ChildTable,
        deadlines: Deadlines,
        start_timeout_s: float,
        wake: Callable[[SupervisedChild], None],
        recover_soon: Callable[[SupervisedChild], None],
    ) -> None:
        self._me, self._table, self._deadlines = me, table, deadlines
        self._start_timeout_s, self._wake, self._recover_soon = start_timeout_s, wake, recover_soon

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
            if isinstance(error, Ignore):
                return None
            raise StartFailed(child.spec.id, error) from error
        if tell_when_up(ref, self._me):
            child.phase = Phase.UP
            return ref
        yield from self._wait(child, None if is_supervisor(child) else self._start_timeout_s)  # it has deadlines of its own
        if child.phase is Phase.STARTING:
            self._abandon(child, "in its start")
            raise StartFailed(child.spec.id, StartTimeout(self._start_timeout_s))
        if child.phase is Phase.ENDED:
            if child.reason is not NORMAL:
                return _failed_start(child)
            self._recover_soon(child)  # on_start has returned, and somebody stopped it at once
        return ref

    def stop(self, child: SupervisedChild) -> Steps:
        """Afterwards it is stopped, and forgotten if it is temporary."""
        if child.phase in (Phase.STARTING, Phase.UP):
            child.phase = Phase.STOPPING
            assert child.ref is not None
            stop_soon(child.ref)
        if child.phase is Phase.STOPPING:
            if child.spec.shutdown_s != "brutal_kill":
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
        with blocking:  # should it, the other supervisors go on
            ref: pykka.ActorRef[Any] = child.spec.begin()
        try:
            place_of(ref)
        except NotSupervisable:
            if isinstance(ref, pykka.ActorRef):
                stop_soon(ref)
            raise
        if not self._table.bind(child, ref):
            raise InvalidOption("start", ref, "must start an actor for this child alone")
        watch(ref, self._me)
        return ref

    def _abandon(self, child: SupervisedChild, when: str) -> None:
        """Go on without an actor that does not come to its end: nothing can end it but itself. It is told to stop."""
        ref = self._table.unbind(child)
        self._table.abandoned += 1
        child.phase = Phase.STOPPED
        report_abandoned(child.spec.id, ref, when)
        unwatch(ref, self._me)
        stop_soon(ref)

    def _wait(self, child: SupervisedChild, timeout_s: float | None) -> Steps:
        """Until the child has left its phase, or so many seconds; None is for ever."""
        phase = child.phase
        deadline = None if timeout_s is None else self._deadlines.add(timeout_s, partial(self._wake, child))
        try:
            while child.phase is phase and not (deadline is not None and deadline.has_passed):
                yield child
        finally:
            if deadline is not None:
                deadline.call_off()


def _failed_start(child: SupervisedChild) -> None:
    """What it ended of before it was up: `Ignore` is no failure."""
    assert child.reason is not None
    child.phase = Phase.STOPPED
    if not child.reason.is_ignored:
        assert child.reason.error is not None
        raise StartFailed(child.spec.id, child.reason.error)
