"""What a supervisor does with its children, in the steps of jobs: what it is asked, and what follows where one ends by itself."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pykka
from msgspec.structs import replace

import lightspeed.actors.errors as errors
from lightspeed.actors.text import shown
from lightspeed.supervision.children import Phase, SupervisedChild
from lightspeed.supervision.deadlines import Clock
from lightspeed.supervision.jobs import Steps
from lightspeed.supervision.messages import DeleteChild, RestartChild, Retry, StartChild, TerminateChild, WaitUp
from lightspeed.supervision.report import report_end, report_failed_start
from lightspeed.supervision.rules import Randomness, restarted_with, should_restart, shuts_down
from lightspeed.supervision.steps import ChildSteps

if TYPE_CHECKING:
    from lightspeed.supervision.supervisor import Supervisor


class ChildJobs(ChildSteps):
    """For the supervisor's own thread. Each try of a restart comes to it as a `Retry`: others get their turn between two.

    Args:
        randomness: for the jitter of backoffs.
    """

    def __init__(self, owner: "Supervisor", clock: Clock, randomness: Randomness) -> None:
        super().__init__(owner, clock)
        self._names, self._randomness, self._window = owner._names, randomness, owner._options.window()

    def named(self, message: Any) -> Any:
        """The request with the child's name: one that was made by hand, and not by a call of the reference, has none."""
        if message.name is not None:
            return message
        name = self._names.take if type(message) is StartChild else self._names.find
        return replace(message, name=name(message.id))

    def find(self, message: Any) -> SupervisedChild:
        """
        Raises:
            ChildNotFound: there is no such child.
        """
        child = self._table.get(self.named(message).name)
        if child is None:
            raise errors.ChildNotFound(message.id)
        return child

    def _add(self, message: StartChild) -> Steps:
        spec, name = message.spec, message.name
        assert name is not None
        there = self._table.get(name)
        if there is not None:
            self._names.give_back(name)
            raise errors.ChildAlreadyPresent(spec.id) if there.ref is None else errors.ChildAlreadyStarted(spec.id, there.ref)
        child = self._table.add(spec, name)
        try:
            ref = yield from self.start(child)
        except errors.StartFailed:
            self._table.remove(child)
            raise
        self.forget_temporary(child)
        return ref

    def _terminate(self, message: TerminateChild) -> Steps:
        child = self.find(message)
        yield from self.stop(child)

    def _start_again(self, message: RestartChild) -> Steps:
        child = self.find(message)
        _refuse_active(child)
        return (yield from self.start(child))

    def _delete(self, message: DeleteChild) -> Steps:
        child = self.find(message)
        _refuse_active(child)
        self._table.remove(child)
        return
        yield  # a job like the others

    def _wait_up(self, message: WaitUp) -> Steps:
        while (ref := self.up(message)) is None:
            child = self.find(message)
            if self._owner._is_left(child):
                raise errors.ChildStopped(child.spec.id)
            yield child
        return ref

    def up(self, message: WaitUp) -> pykka.ActorRef[Any] | None:
        """The actor that is waited for, if it is up. One that has just died is not, though nothing was heard of that yet."""
        assert message.name is not None
        child = self._table.get(message.name)
        ref = None if child is None or child.phase is not Phase.UP else child.ref
        return ref if ref is not None and ref != message.past and ref.is_alive() else None

    def recover(self, child: SupervisedChild) -> Steps:
        """What follows an end that was not asked for.

        Raises:
            RestartsExceeded, Shutdown: it is the supervisor's end too.
        """
        if child.phase is not Phase.ENDED:
            return  # meanwhile another job has stopped or restarted it
        spec, reason = child.spec, child.reason
        assert reason is not None
        restarts = should_restart(spec.kind, reason)
        report_end(spec.id, reason, self._left(), restarts=restarts)
        if restarts:
            yield from self._want(child, reason.error)
            return
        child.phase = Phase.STOPPED
        self.forget_temporary(child)
        if spec.significant and shuts_down(self._options.auto_shutdown, others_run=self._significant_run()):
            raise errors.Shutdown(f"its significant child {shown(spec.id)} ended")

    def retry(self, retry: Retry) -> Steps:
        """One try. Where it fails, the child whose start failed is the next to be tried.

        Raises:
            RestartsExceeded: it is the supervisor's end too.
        """
        child = retry.child
        if child.phase is not Phase.RESTARTING or child.tries != retry.tries:
            return  # called off
        yield from self._stop_others(child)  # whoever was started by hand meanwhile
        child.phase = Phase.STOPPED
        for other in restarted_with(self._options.strategy, self._table, child):
            try:
                yield from self.start(other)
            except errors.StartFailed as failure:
                report_failed_start(other.spec.id, failure.error, self._left())
                yield from self._want(other, failure.error)
                return

    def _want(self, child: SupervisedChild, error: BaseException | None) -> Steps:
        """Count a restart, stop who is restarted with it, and have it tried."""
        now_s = self._clock.monotonic_s()
        if not self._window.allow(now_s):
            raise errors.RestartsExceeded(child.spec.id, self._window.intensity, self._window.period_s, error)
        yield from self._stop_others(child)
        child.phase = Phase.RESTARTING
        child.tries += 1
        retry = Retry(child, child.tries)
        if self._options.backoff is None:
            self._me.tell(retry)
            return
        delay_s, child.backoff = self._options.backoff.next(child.backoff, now_s, self._randomness)
        self._deadlines.add(delay_s, partial(self._me.tell, retry))

    def _stop_others(self, child: SupervisedChild) -> Steps:
        for other in reversed(restarted_with(self._options.strategy, self._table, child)):
            if other is not child:
                yield from self.stop(other)

    def _significant_run(self) -> bool:
        return any(child.spec.significant and child.phase is not Phase.STOPPED for child in self._table)

    def _left(self) -> int:
        return self._window.left(self._clock.monotonic_s())


def _refuse_active(child: SupervisedChild) -> None:
    if child.phase is Phase.RESTARTING:
        raise errors.ChildRestarting(child.spec.id)
    if child.phase is not Phase.STOPPED:
        raise errors.ChildRunning(child.spec.id)


JOBS: dict[type, Callable[[ChildJobs, Any], Steps]] = {
    StartChild: ChildJobs._add,
    TerminateChild: ChildJobs._terminate,
    RestartChild: ChildJobs._start_again,
    DeleteChild: ChildJobs._delete,
    WaitUp: ChildJobs._wait_up,
}
