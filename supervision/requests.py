"""What a supervisor is asked to do with a child, in the steps of a job."""

from collections.abc import Callable
from typing import Any

import pykka
from msgspec.structs import replace

from lightspeed.actors.errors import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStopped,
    StartFailed,
)
from lightspeed.supervision.children import ChildNames, ChildTable, Phase, SupervisedChild
from lightspeed.supervision.jobs import Steps
from lightspeed.supervision.messages import DeleteChild, RestartChild, StartChild, TerminateChild, WaitUp
from lightspeed.supervision.steps import ChildSteps


class ChildRequests:
    """For the supervisor's own thread.

    Args:
        is_left: whether a child is stopped, and nothing is under way that could start it.
    """

    def __init__(
        self, table: ChildTable, names: ChildNames, steps: ChildSteps, is_left: Callable[[SupervisedChild], bool]
    ) -> None:
        self._table, self._names, self._steps, self._is_left = table, names, steps, is_left

    def named(self, message: Any) -> Any:
        """The request with the child's name: one that was made by hand, and not by a call of the reference, has none."""
        if message.name is not None:
            return message
        name = self._names.take if type(message) is StartChild else self._names.find
        return replace(message, name=name(message.id))

    def steps_of(self, message: Any) -> Steps:
        """What is to be done."""
        return JOBS[type(message)](self, message)

    def find(self, message: Any) -> SupervisedChild:
        """
        Raises:
            ChildNotFound: there is no such child.
        """
        child = self._table.get(self.named(message).name)
        if child is None:
            raise ChildNotFound(message.id)
        return child

    def start(self, message: StartChild) -> Steps:
        spec, name = message.spec, message.name
        assert name is not None
        there = self._table.get(name)
        if there is not None:
            self._names.give_back(name)
            raise ChildAlreadyPresent(spec.id) if there.ref is None else ChildAlreadyStarted(spec.id, there.ref)
        child = self._table.add(spec, name)
        try:
            ref = yield from self._steps.start(child)
        except StartFailed:
            self._table.remove(child)
            raise
        self._steps.forget_temporary(child)
        return ref

    def terminate(self, message: TerminateChild) -> Steps:
        child = self.find(message)
        yield from self._steps.stop(child)

    def restart(self, message: RestartChild) -> Steps:
        child = self.find(message)
        _refuse_active(child)
        return (yield from self._steps.start(child))

    def delete(self, message: DeleteChild) -> Steps:
        child = self.find(message)
        _refuse_active(child)
        self._table.remove(child)
        return
        yield  # a job like the others

    def wait_up(self, message: WaitUp) -> Steps:
        while (ref := self.up(message)) is None:
            child = self.find(message)
            if self._is_left(child):
                raise ChildStopped(child.spec.id)
            yield child
        return ref

    def up(self, message: WaitUp) -> pykka.ActorRef[Any] | None:
        """The actor that is waited for, if it is up. One that has just died is not, though nothing was heard of that yet."""
        assert message.name is not None
        child = self._table.get(message.name)
        ref = None if child is None or child.phase is not Phase.UP else child.ref
        return ref if ref is not None and ref != message.past and ref.is_alive() else None


def _refuse_active(child: SupervisedChild) -> None:
    if child.phase is Phase.RESTARTING:
        raise ChildRestarting(child.spec.id)
    if child.phase is not Phase.STOPPED:
        raise ChildRunning(child.spec.id)


JOBS: dict[type, Callable[[ChildRequests, Any], Steps]] = {
    StartChild: ChildRequests.start,
    TerminateChild: ChildRequests.terminate,
    RestartChild: ChildRequests.restart,
    DeleteChild: ChildRequests.delete,
    WaitUp: ChildRequests.wait_up,
}

CALLS = {
    StartChild: "start_child",
    TerminateChild: "terminate_child",
    RestartChild: "restart_child",
    DeleteChild: "delete_child",
    WaitUp: "wait_up",
}
