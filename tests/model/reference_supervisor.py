"""A supervisor written a second time: what it has to do about its children, step by step, in what order.

Each job is a generator of what is due. It is taken up again when that was seen to be done. It shares no rule with what it is
compared with.
"""

from collections.abc import Callable, Iterable
from typing import Any

from model.healing import Delay, ReferenceBackoff, ReferenceWindow
from model.reference_child import (
    Answer,
    Ask,
    Begin,
    End,
    GiveUp,
    ReferenceChild,
    Stage,
    Steps,
    Stop,
    Wait,
)
from msgspec.structs import replace

from lightspeed.actors.errors import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ExitReason,
    Ignore,
    RestartsExceeded,
    Shutdown,
    StartFailed,
)
from lightspeed.supervision.messages import DeleteChild, RestartChild, StartChild, TerminateChild
from lightspeed.supervision.spec import ChildSpec, SupervisorOptions
from lightspeed.supervision.supervisor import Supervisor


class _NotStartedError(Exception):
    """A start has failed."""


class ReferenceSupervisor:
    """Of one supervisor.

    Args:
        now_s: by the supervisor's clock.
        recover_soon: has `recover` done when what is under way with the child is done.
    """

    def __init__(
        self, options: SupervisorOptions, now_s: Callable[[], float], recover_soon: Callable[[ReferenceChild], None]
    ) -> None:
        self._options, self._now_s, self._recover_soon = options, now_s, recover_soon
        self._window = ReferenceWindow(options.intensity, options.period_s)
        self.children: dict[Any, ReferenceChild] = {}
        """In the order of their start."""
        self.abandoned = 0

    # Of itself

    def start_all(self, specs: Iterable[ChildSpec]) -> Steps:
        for spec in specs:
            child = self._add(spec)
            try:
                yield from self._start(child, "strategy")
            except _NotStartedError:
                yield End(StartFailed, rule="strategy")
            self._forget_temporary(child)

    def stop_all(self) -> Steps:
        for child in reversed(list(self.children.values())):
            yield from self._stop(child, "reverse_stop")

    def recover(self, child: ReferenceChild) -> Steps:
        """The child has ended by itself."""
        if child.stage is not Stage.ENDED:
            return  # what was done before has seen to it
        assert child.reason is not None
        if _comes_back(child.spec, child.reason):
            yield from self._want(child)
            return
        child.stage = Stage.DOWN
        self._forget_temporary(child)
        if child.spec.significant and self._ends_with_it():
            yield End(Shutdown, rule="significance")

    def try_again(self, child: ReferenceChild, number: int) -> Steps:
        """The moment of the restart that was wanted so many times has come."""
        if child.stage is not Stage.DUE or child.restarts != number:
            return  # it was called off
        yield from self._stop_others(child)
        child.stage = Stage.DOWN
        for other in self._group(child):
            try:
                yield from self._start(other, "kinds" if other is child else "strategy")
            except _NotStartedError:
                yield from self._want(other)
                return

    def _want(self, child: ReferenceChild) -> Steps:
        now_s = self._now_s()
        if not self._window.has_room(now_s):
            yield End(RestartsExceeded, rule="restarts")
        self._window.count(now_s)
        delay = Delay(now_s, 0.0, 0.0)
        if self._options.backoff is not None:
            child.backoff = child.backoff or ReferenceBackoff(self._options.backoff)
            delay = child.backoff.next(now_s)
            child.backoff.down()
        yield from self._stop_others(child)
        child.stage = Stage.DUE
        child.restarts += 1
        child.delay = replace(delay, since_s=self._now_s())  # those who are stopped with it may take their time

    def _stop_others(self, child: ReferenceChild) -> Steps:
        for other in reversed(self._group(child)):
            if other is not child:
                yield from self._stop(other, "strategy")

    def _group(self, child: ReferenceChild) -> list[ReferenceChild]:
        """Who is started again with it, in order."""
        if self._options.strategy == "one_for_one":
            return [child]
        everyone = list(self.children.values())
        while self._options.strategy == "rest_for_one" and everyone[0] is not child:
            del everyone[0]
        return everyone

    def _ends_with_it(self) -> bool:
        """Whether a significant child that has ended for good is the end of its supervisor."""
        if self._options.auto_shutdown == "all_significant":
            return all(child.stage is Stage.DOWN for child in self.children.values() if child.spec.significant)
        return self._options.auto_shutdown == "any_significant"

    # Of one child

    def _start(self, child: ReferenceChild, rule: str, *, is_new: bool = False) -> Steps:
        """Its actor; None where it ignored its start. One that is new stands in the order in which they begin.

        Raises:
            _NotStartedError: it has failed.
        """
        child.stage, child.reason = Stage.STARTING, None
        ref, error, is_up = yield Begin(child, rule=rule)
        if is_new:
            self.children[child.spec.id] = self.children.pop(child.spec.id)
        if error is not None:
            child.stage = Stage.DOWN
            if isinstance(error, Ignore):
                return None
            raise _NotStartedError
        child.ref = ref
        if is_up:
            self.come_up(child)
            return ref
        limit_s = None if child.is_supervisor else self._now_s() + self._options.start_timeout_s
        yield Wait(child, Stage.STARTING, limit_s, rule=rule)
        if child.stage is Stage.UP:
            return ref
        reason = child.reason
        if reason is not None and reason.kind == "normal" and reason.error is None:
            self._recover_soon(child)
            return ref
        child.stage = Stage.DOWN
        if reason is not None and reason.kind == "normal":
            return None
        raise _NotStartedError

    def come_up(self, child: ReferenceChild) -> None:
        """Its on_start has returned."""
        child.stage = Stage.UP
        if child.backoff is not None:
            child.backoff.up(self._now_s())

    def _stop(self, child: ReferenceChild, rule: str) -> Steps:
        if child.is_killed and child.stage in (Stage.STARTING, Stage.UP):
            yield GiveUp(child, rule=rule)
            child.stage = Stage.DOWN
        if child.stage in (Stage.STARTING, Stage.UP):
            child.stage = Stage.STOPPING
            yield Stop(child, rule=rule)
        if child.stage is Stage.STOPPING:
            limit_s = child.stop_within_s
            yield Wait(child, Stage.STOPPING, None if limit_s is None else self._now_s() + limit_s, rule=rule)
        child.stage = Stage.DOWN
        self._forget_temporary(child)

    def _add(self, spec: ChildSpec) -> ReferenceChild:
        kind = spec.start[0] if isinstance(spec.start, tuple) else None
        is_supervisor = isinstance(kind, type) and issubclass(kind, Supervisor)
        child = self.children[spec.id] = ReferenceChild(spec, is_supervisor)
        return child

    def _forget_temporary(self, child: ReferenceChild) -> None:
        is_done = child.stage is Stage.DOWN and child.spec.kind == "temporary"
        if is_done and self.children.get(child.spec.id) is child:
            del self.children[child.spec.id]

    # Of requests

    def carry_out(self, ask: Ask) -> Steps:
        """Do what was asked for, and answer."""
        refusal = self._refusal(ask.message)
        if refusal is not None:
            yield Answer(ask, refusal, rule="requests")
            return
        try:
            value = yield from _JOBS[type(ask.message)](self, ask.message)
        except _NotStartedError:
            yield Answer(ask, StartFailed, rule="requests")
        else:
            yield Answer(ask, value=value, rule="requests")

    def _refusal(self, message: Any) -> type[Exception] | None:
        there = self.children.get(message.id)
        if type(message) is StartChild:
            if there is not None:
                return ChildAlreadyPresent if there.ref is None else ChildAlreadyStarted
            return None
        if there is None:
            return ChildNotFound
        if type(message) is TerminateChild or there.stage is Stage.DOWN:
            return None
        return ChildRestarting if there.stage is Stage.DUE else ChildRunning

    def _start_child(self, message: StartChild) -> Steps:
        child = self._add(message.spec)
        try:
            ref = yield from self._start(child, "requests", is_new=True)
        except _NotStartedError:
            del self.children[message.id]
            raise
        self._forget_temporary(child)
        return ref

    def _terminate_child(self, message: TerminateChild) -> Steps:
        yield from self._stop(self.children[message.id], "requests")

    def _restart_child(self, message: RestartChild) -> Steps:
        return (yield from self._start(self.children[message.id], "requests"))

    def _delete_child(self, message: DeleteChild) -> Steps:
        del self.children[message.id]
        return
        yield  # a job like the others


def _comes_back(spec: ChildSpec, reason: ExitReason) -> bool:
    if spec.kind == "transient":
        return reason.kind == "abnormal"
    return spec.kind == "permanent"


_JOBS: dict[type, Callable[[ReferenceSupervisor, Any], Steps]] = {
    StartChild: ReferenceSupervisor._start_child,
    TerminateChild: ReferenceSupervisor._terminate_child,
    RestartChild: ReferenceSupervisor._restart_child,
    DeleteChild: ReferenceSupervisor._delete_child,
}
