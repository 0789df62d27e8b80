"""What a supervisor does about children that end by themselves, in the steps of jobs."""

from functools import partial
from typing import Any

import pykka

from lightspeed.actors.errors import RestartsExceeded, Shutdown, StartFailed
from lightspeed.actors.text import shown
from lightspeed.supervision.children import ChildTable, Phase, SupervisedChild
from lightspeed.supervision.deadlines import Clock, Deadlines
from lightspeed.supervision.jobs import Steps
from lightspeed.supervision.messages import Retry
from lightspeed.supervision.report import report_end, report_failed_start
from lightspeed.supervision.rules import Randomness, restarted_with, should_restart, shuts_down
from lightspeed.supervision.spec import SupervisorOptions
from lightspeed.supervision.steps import ChildSteps


class RestartJobs:
    """For the supervisor's own thread.

    Args:
        me: the supervisor: every try of a restart comes to it as a `Retry`, so that others get their turn between two tries.
    """

    def __init__(
        self,
        me: pykka.ActorRef[Any],
        options: SupervisorOptions,
        table: ChildTable,
        steps: ChildSteps,
        deadlines: Deadlines,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._me, self._options, self._table, self._steps = me, options, table, steps
        self._deadlines, self._clock, self._randomness = deadlines, clock, randomness
        self._window = options.window()

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
        self._steps.forget_temporary(child)
        if spec.significant and shuts_down(self._options.auto_shutdown, others_run=self._significant_run()):
            raise Shutdown(f"its significant child {shown(spec.id)} ended")

    def restart(self, retry: Retry) -> Steps:
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
                yield from self._steps.start(other)
            except StartFailed as failure:
                report_failed_start(other.spec.id, failure.error, self._left())
                yield from self._want(other, failure.error)
                return

    def _want(self, child: SupervisedChild, error: BaseException | None) -> Steps:
        """Count a restart, stop who is restarted with it, and have it tried."""
        now_s = self._clock.monotonic_s()
        if not self._window.allow(now_s):
            raise RestartsExceeded(child.spec.id, self._window.intensity, self._window.period_s, error)
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
                yield from self._steps.stop(other)

    def _significant_run(self) -> bool:
        return any(child.spec.significant and child.phase is not Phase.STOPPED for child in self._table)

    def _left(self) -> int:
        return self._window.left(self._clock.monotonic_s())
