"""What others hold of a Supervisor: its reference, with OTP's calls, and addresses of children."""

from collections.abc import Hashable, Iterable
from typing import Any

import pykka

import lightspeed.actors.errors as errors
import lightspeed.supervision.asking as asking
import lightspeed.supervision.messages as messages
from lightspeed.actors.context import asker
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.tasks import TaskActor
from lightspeed.actors.text import shown
from lightspeed.supervision.asking import TIMEOUT_S, Job
from lightspeed.supervision.children import ChildCounts, ChildView
from lightspeed.supervision.gathering import Gathering
from lightspeed.supervision.messages import Answer
from lightspeed.supervision.spec import ChildSpec
from lightspeed.supervision.tree import ChildPhase, Tree


class SupervisorRef(PooledRef):
    """A reference to a Supervisor, with OTP's calls. Any thread may call them, and any actor, unless the answer would wait for
    that actor itself: for its end, as where a child terminates itself or stops its supervisor, or for its on_start.

    Args:
        timeout_s: how long to wait for the answer, above 0 and at most a year; None is for ever. Default 30.

    Raises:
        InsideActor: the answer would wait for the actor that calls, or for a supervisor above it.
        AskRing: it would wait for a child whose on_start or on_stop asks that actor.
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
        return self._call(asking.to_start(self, spec, timeout_s))

    def terminate_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """Stop a child, within its `shutdown_s`, or call its restart off. It stays in the list, unless it is temporary.

        Raises:
            ChildNotFound: there is none of that id.
        """
        self._call(asking.of_child(self, messages.TerminateChild, child_id, timeout_s))

    def restart_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any] | None:
        """Start a child that has no actor; the answer is as of `start_child`.

        Raises:
            ChildNotFound, ChildRunning, ChildRestarting: it is not of that kind.
            StartFailed: as of `start_child`, but the child stays in the list.
        """
        return self._call(asking.of_child(self, messages.RestartChild, child_id, timeout_s))

    def delete_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """Forget a child that has no actor.

        Raises:
            ChildNotFound, ChildRunning, ChildRestarting: it is not of that kind.
        """
        self._call(asking.of_child(self, messages.DeleteChild, child_id, timeout_s))

    def which_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> ChildView:
        """One child, at the same cost among however many. Answered at once, whatever else is under way.

        Raises:
            ChildNotFound: there is none of that id.
        """
        return self._call(asking.of_child(self, messages.WhichChild, child_id, timeout_s))

    def which_children(self, *, timeout_s: float | None = TIMEOUT_S) -> list[ChildView]:
        """All children, in the order of their start. Answered at once, whatever else is under way."""
        return self._call(asking.ask(self, messages.WhichChildren(), timeout_s))

    def count_children(self, *, timeout_s: float | None = TIMEOUT_S) -> ChildCounts:
        """The number of children, by kind. Answered at once, whatever else is under way."""
        return self._call(asking.ask(self, messages.CountChildren(), timeout_s))

    def wait_up(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any]:
        """A child's actor: at once if it is up, else when its start, or its restart with the backoff before it, is done.

        Raises:
            ChildNotFound: there is none of that id, or not any more.
            ChildStopped: it has no actor, and nothing is under way that would start one.
        """
        return self._call(asking.when_up(self, child_id, None, timeout_s))

    def wait_end(self, *, timeout_s: float | None = None) -> errors.ExitReason:
        """Wait until it has ended, for ever by default, and return why: it was stopped, shut down or failed."""
        return self._call(asking.when_ended(self, timeout_s))

    def child(self, path: Hashable) -> "ChildAddress":
        """A child's address, which stays good when the child is restarted. Nobody is asked: the child need not be there yet.

        Args:
            path: the child's id. A str goes down a tree: `"web/1"` is child `"1"` of the supervisor that is child `"web"`. So
                does a tuple of ids, of whatever kind, slashes included.

        Raises:
            InvalidOption: it is an empty tuple.
        """
        return ChildAddress(self, path)

    def tell_all(self, message: Any, *, timeout_s: float | None = TIMEOUT_S) -> int:
        """Tell each child that lives a message, in the order of their start, and return how many were told.

        Supervisors among them are left out, and so is what is below those. So are tasks, which take no messages.
        """
        return tell_each(self.which_children(timeout_s=timeout_s), message)

    def tree(self, *, timeout_s: float | None = TIMEOUT_S) -> Tree:
        """All that it supervises, down into supervisors; `str` of it is a text. Answered at once, whatever else is under way.

        A supervisor below that is gone is `ended` in it. One that does not answer in time is `silent`, and this takes that long.
        """
        asking.check_timeout(timeout_s)
        return self._call(Gathering(self).tree(timeout_s))

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """As of Pykka's reference.

        Raises:
            InsideActor: it was called inside one of its own children, or below, and would wait for that. Not if block is False.
        """
        if block:
            self._refuse_on_loop("stop")
        caller = asker() if block else None
        if caller is None or not self.is_alive():
            return super().stop(block=block, timeout=timeout)
        request = messages.StopInside()
        request.caller = caller
        return self._await_stop(request, timeout)

    def _call(self, job: Job[Answer]) -> Answer:
        self._refuse_on_loop("a call of a Supervisor")
        return asking.wait_here(job)

    def _refuse_on_loop(self, call: str) -> None:
        supervisor: Any = self._actor
        if supervisor.tasks is not None and supervisor.tasks.is_here:
            raise errors.InsideActor(call, "the thread of the event loop of its tasks", "await it of an AsyncSupervisorRef")


class Address:
    """A child by its place under a supervisor: it leads to whichever actor the child has now."""

    def __init__(self, supervisor: SupervisorRef, path: Hashable) -> None:
        hash(path)  # raises here, where else it would at the first use
        self._supervisor, self._ids = supervisor, _ids_of(path)
        self._known: pykka.ActorRef[Any] | None = None

    def _living(self) -> pykka.ActorRef[Any] | None:
        """The last actor that was known to be up, if it lives: then it is the child's yet."""
        known = self._known
        return known if known is not None and known.is_alive() else None

    def _find_living(self) -> Job[pykka.ActorRef[Any] | None]:
        return self._living() or (yield from self._find())

    def _tell(self, ref: pykka.ActorRef[Any] | None, message: Any) -> None:
        if ref is None:
            raise pykka.ActorDeadError(f"child {shown(self._ids[-1])} has no living actor")
        ref.tell(message)

    def _find(self) -> Job[pykka.ActorRef[Any] | None]:
        ref: pykka.ActorRef[Any] | None = self._supervisor
        phase: ChildPhase = "running"
        for child_id in self._ids:
            if ref is None:
                return None
            supervisor = _supervisor(ref, child_id)
            try:
                view = yield from asking.of_child(supervisor, messages.WhichChild, child_id, TIMEOUT_S)
            except (errors.SupervisorStopped, errors.ChildNotFound) as error:
                if supervisor is self._supervisor or (phase != "starting" and isinstance(error, errors.ChildNotFound)):
                    raise
                return None  # the one above is about to restart the supervisor, or that has yet to come to the child
            ref, phase = view.ref, view.phase
        if phase == "running":
            self._known = ref
        return ref if ref is not None and ref.is_alive() else None

    def _wait_up(self, patience: "Patience") -> Job[pykka.ActorRef[Any]]:
        try:
            ref = self._known = self._living() or (yield from self._await(len(self._ids) - 1, None, patience))
        except errors.SupervisorTimeout:
            raise patience.error from None
        return ref

    def _await(self, depth: int, past: pykka.ActorRef[Any] | None, patience: "Patience") -> Job[pykka.ActorRef[Any]]:
        """The actor of the id at this depth, once it is up and is not the one that is known to be of no use."""
        above: pykka.ActorRef[Any] | None = None
        while True:
            above = self._supervisor if depth == 0 else (yield from self._await(depth - 1, above, patience))
            child_id = self._ids[depth]
            try:
                return (yield from asking.when_up(_supervisor(above, child_id), child_id, past, patience.left_s()))
            except errors.SupervisorStopped:
                if depth == 0:
                    raise


class ChildAddress(Address):
    """A child by its place under a supervisor: it leads to whichever actor the child has now. Any thread may use it.

    The supervisors are asked when no living actor is known, and no oftener. Any call may raise what `SupervisorRef` does.
    """

    @property
    def ref(self) -> pykka.ActorRef[Any] | None:
        """The child's living actor, in its on_start too; None where it has none now.

        Raises:
            ChildNotFound: there is no such child.
        """
        return self._living() or self._supervisor._call(self._find())

    def tell(self, message: Any) -> None:
        """Tell the child's living actor, which may end before it comes to it. Waits for nobody but the supervisors' word.

        Raises:
            pykka.ActorDeadError: it has none now.
            ChildNotFound: there is no such child.
        """
        self._tell(self.ref, message)

    def ask(self, message: Any, *, timeout_s: float | None = TIMEOUT_S) -> Any:
        """Wait until the child is up, ask it, once, and wait for the answer.

        Args:
            timeout_s: for both together.

        Raises:
            SupervisorTimeout, ChildNotFound, ChildStopped: as of `wait_up`; it was not asked.
            pykka.Timeout: it was up, and did not answer in time.
            pykka.ActorDeadError: it ended before it answered. It may have handled the message.
        """
        patience = Patience(self._supervisor, timeout_s)
        ref = self._living() or self._supervisor._call(self._wait_up(patience))
        return ref.ask(message, timeout=patience.left_s())

    def wait_up(self, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any]:
        """The child's actor, once it and the supervisors above it are up; as of `SupervisorRef.wait_up`.

        Raises:
            SupervisorTimeout: that took longer.
            ChildNotFound: there is no such child, or no such supervisor on the way.
            ChildStopped: it, or one on the way, has no actor, and nothing is under way that would start one.
        """
        patience = Patience(self._supervisor, timeout_s)
        return self._living() or self._supervisor._call(self._wait_up(patience))


class Patience:
    """How long all that one call waits for may take together, by the clock of the supervisor's pool."""

    def __init__(self, supervisor: SupervisorRef, timeout_s: float | None) -> None:
        asking.check_timeout(timeout_s)
        self._timeout_s, self._now_s = timeout_s, supervisor._actor._pooled_pool.monotonic_s
        self._since_s = self._now_s()

    def left_s(self) -> float | None:
        """
        Raises:
            SupervisorTimeout: nothing is left.
        """
        if self._timeout_s is None:
            return None
        left_s = self._timeout_s - (self._now_s() - self._since_s)
        if left_s <= 0:
            raise self.error
        return left_s

    @property
    def error(self) -> errors.SupervisorTimeout:
        """The error of a call that has taken longer."""
        assert self._timeout_s is not None
        return errors.SupervisorTimeout("wait_up", self._timeout_s)


def _ids_of(path: Hashable) -> tuple[Hashable, ...]:
    if isinstance(path, str):
        return tuple(path.split("/"))
    if not isinstance(path, tuple):
        return (path,)
    if not path:
        raise errors.InvalidOption("path", path, "must name a child")
    return path


def _supervisor(ref: pykka.ActorRef[Any], child_id: Hashable) -> SupervisorRef:
    """The one that is to know the child.

    Raises:
        ChildNotFound: it is no supervisor, and has no children.
    """
    if not isinstance(ref, SupervisorRef):
        raise errors.ChildNotFound(child_id)
    return ref


def tell_each(views: Iterable[ChildView], message: Any) -> int:
    """Tell each of these children that lives a message, but supervisors and tasks; how many were told."""
    refs = [view.ref for view in views if not view.is_supervisor]
    return sum(_told(ref, message) for ref in refs if ref is not None and not issubclass(ref.actor_class, TaskActor))


def _told(ref: pykka.ActorRef[Any], message: Any) -> bool:
    """Whether the actor lived, and so was told the message."""
    try:
        ref.tell(message)
    except (pykka.ActorDeadError, errors.PoolClosed):
        return False
    return True
