"""What others hold of a Supervisor, and ask of it."""

from collections.abc import Hashable
from typing import Any

import pykka

from lightspeed.actors.current import current_actor
from lightspeed.actors.errors import InForkedChild, InvalidOption, PoolClosed, SupervisorStopped, SupervisorTimeout
from lightspeed.actors.pooled_future import PooledFuture
from lightspeed.actors.pooled_ref import PooledRef
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.seconds import are_seconds
from lightspeed.supervision.child_spec import ChildSpec
from lightspeed.supervision.child_table import ChildCounts, ChildView
from lightspeed.supervision.gathering import Gathering
from lightspeed.supervision.supervisor_messages import (
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    StopInside,
    TerminateChild,
    WhichChild,
    WhichChildren,
)
from lightspeed.supervision.tree import Tree

TIMEOUT_S = 30.0
"""How long a call waits unless it is told otherwise."""


class SupervisorRef(PooledRef):
    """A reference to a Supervisor, with OTP's calls. Any thread may call them, and any actor, unless the answer would wait for
    that actor itself: for its end, as where a child terminates itself or stops its supervisor, or for its on_start.

    Args:
        timeout_s: how long to wait for the answer, above 0 and at most a year; None is for ever. Default 30.

    Raises:
        InsideActor: the answer would wait for the actor that calls, or for a supervisor above it.
        SupervisorStopped: the supervisor is stopping or gone.
        SupervisorTimeout: no answer came in time; what was asked may still take effect.
        InForkedChild: this process was forked from the supervisor's.
    """

    __slots__ = ()

    def start_child(self, spec: ChildSpec, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any] | None:
        """Add a child, and return its actor when its on_start has returned; None where that raised `Ignore`.

        Raises:
            ChildAlreadyStarted: a child of that id runs.
            ChildAlreadyPresent: there is one without an actor; restart or delete it.
            StartFailed: its start raised something, or took longer than `start_timeout_s`; then the child was not added.
            InvalidOption: it is no ChildSpec, or significant where `auto_shutdown` is never.
        """
        supervisor: Any = self._actor
        supervisor._pooled_pool.check_process()  # before any lock of its own: another thread may have held it at the fork
        spec = supervisor._options.check_child(spec)
        _check_timeout(timeout_s)
        request = StartChild(spec, name=supervisor._names.take(spec.id), caller=current_actor())
        ref: pykka.ActorRef[Any] | None = self._call("start_child", request, timeout_s)
        return ref

    def terminate_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """Stop a child, within its `shutdown_s`, or call its restart off. It stays in the list, unless it is temporary.

        Raises:
            ChildNotFound: there is none of that id.
        """
        self._ask_of("terminate_child", TerminateChild, child_id, timeout_s)

    def restart_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any] | None:
        """Start a child that has no actor; the answer is as of `start_child`.

        Raises:
            ChildNotFound, ChildRunning, ChildRestarting: it is not of that kind.
            StartFailed: as of `start_child`, but the child stays in the list.
        """
        ref: pykka.ActorRef[Any] | None = self._ask_of("restart_child", RestartChild, child_id, timeout_s)
        return ref

    def delete_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """Forget a child that has no actor.

        Raises:
            ChildNotFound, ChildRunning, ChildRestarting: it is not of that kind.
        """
        self._ask_of("delete_child", DeleteChild, child_id, timeout_s)

    def which_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> ChildView:
        """One child, at the same cost among however many. Answered at once, whatever else is under way.

        Raises:
            ChildNotFound: there is none of that id.
        """
        view: ChildView = self._ask_of("which_child", WhichChild, child_id, timeout_s)
        return view

    def which_children(self, *, timeout_s: float | None = TIMEOUT_S) -> list[ChildView]:
        """All children, in the order of their start. Answered at once, whatever else is under way."""
        views: list[ChildView] = self._call("which_children", WhichChildren(), timeout_s)
        return views

    def count_children(self, *, timeout_s: float | None = TIMEOUT_S) -> ChildCounts:
        """How many there are. Answered at once, whatever else is under way."""
        counts: ChildCounts = self._call("count_children", CountChildren(), timeout_s)
        return counts

    def tree(self, *, timeout_s: float | None = TIMEOUT_S) -> Tree:
        """All that it supervises, down into supervisors; `str` of it is a text. Answered at once, whatever else is under way.

        A supervisor below that is gone is `ended` in it. One that does not answer in time is `silent`, and this takes that long.
        """
        _check_timeout(timeout_s)
        return Gathering(self).tree(timeout_s)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """As of Pykka's reference.

        Raises:
            InsideActor: it was called inside one of its own children, or below, and would wait for that. Not if block is False.
        """
        caller = current_actor() if block else None
        if caller is None or not self.is_alive():
            return super().stop(block=block, timeout=timeout)
        request = StopInside()
        request.caller = caller
        return self._await_stop(request, timeout)

    def _ask_of(self, what: str, request: Any, child_id: Hashable, timeout_s: float | None) -> Any:
        supervisor: Any = self._actor
        supervisor._pooled_pool.check_process()
        name = supervisor._names.find(child_id)  # here, and not there: the id's hash and eq are the caller's code
        return self._call(what, request(child_id, name=name, caller=current_actor()), timeout_s)

    def _call(self, what: str, request: Any, timeout_s: float | None) -> Any:
        _check_timeout(timeout_s)
        future = PooledFuture(self._actor)
        try:
            self._actor._pooled_put(Envelope(request, reply_to=future), helps=True)
            return future.get(timeout=timeout_s)
        except InForkedChild:
            raise
        except (pykka.ActorDeadError, PoolClosed):
            raise SupervisorStopped from None
        except pykka.Timeout:
            assert timeout_s is not None
            raise SupervisorTimeout(what, timeout_s) from None


def _check_timeout(timeout_s: object) -> None:
    if timeout_s is not None and not (are_seconds(timeout_s) and timeout_s):
        raise InvalidOption("timeout_s", timeout_s, "must be None, or a number of seconds above 0 and at most a year")
