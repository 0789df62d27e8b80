"""What others hold of a Supervisor, and ask of it.

What a tree of supervisors says of itself is gathered by messages. Each supervisor is asked as soon as the one above it has
answered, and nobody waits but the caller. So one that does not answer hides only what is below it.
"""

import threading
from collections.abc import Hashable
from typing import Any

import pykka

from lightspeed.actors.checks import are_seconds
from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import (
    ChildNotFound,
    InForkedChild,
    InvalidOption,
    PoolClosed,
    SupervisorStopped,
    SupervisorTimeout,
)
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import has_no_thread
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.text import shown
from lightspeed.supervision.children import Branch, ChildCounts, ChildView, Phase
from lightspeed.supervision.latch import Latch
from lightspeed.supervision.messages import (
    CountChildren,
    DeleteChild,
    NoLonger,
    RestartChild,
    StartChild,
    StopInside,
    TerminateChild,
    WaitUp,
    WhichBranch,
    WhichChild,
    WhichChildren,
)
from lightspeed.supervision.spec import ChildSpec
from lightspeed.supervision.tree import ChildPhase, Tree


class Gathering:
    """One question to a supervisor and to all those below it."""

    def __init__(self, top: PooledRef) -> None:
        self._top = top
        self._done = PooledFuture(top._actor)
        self._latch = Latch(self._done)
        self._lock = threading.Lock()
        self._branches: dict[PooledRef, Branch | None] = {}  # who has answered; None: was found dead
        self._asked = {top}

    def tree(self, timeout_s: float | None) -> Tree:
        """
        Raises:
            SupervisorStopped: the topmost one is gone.
            SupervisorTimeout: the topmost one did not answer in time. Others that did not are `silent`.
        """
        self._ask(self._top)
        self._latch.close()
        try:
            self._done.get(timeout=timeout_s)
        except pykka.Timeout:
            if self._top not in self._branches:
                assert timeout_s is not None
                raise SupervisorTimeout("tree", timeout_s) from None
        with self._lock:
            branches = dict(self._branches)
        branch = branches.pop(self._top)
        if branch is None:
            raise SupervisorStopped
        return Tree(self._top.actor_class.__name__, "supervisor", branch.phase.value, children=_trees(branch, branches))

    def told(self, ref: PooledRef, branch: Branch | None) -> None:
        """Called by whoever answers, and so it does not wait. Again is harmless."""
        with self._lock:
            if ref in self._branches:
                return
            self._branches[ref] = branch
            below = [] if branch is None else [other for other in _supervisors(branch) if other not in self._asked]
            self._asked.update(below)
        for supervisor in below:
            self._ask(supervisor)
        self._latch.set()

    def _ask(self, ref: PooledRef) -> None:
        self._latch.part()
        answer: Any = _Answer(self, ref)
        envelope = Envelope(WhichBranch(), reply_to=answer)
        try:
            ref._actor._pooled_put(envelope)
        except RuntimeError as error:
            if isinstance(error, InForkedChild) or not (isinstance(error, PoolClosed) or has_no_thread(error)):
                raise
            self.told(ref, None)  # nobody is left to run it, or no thread is


class _Answer:
    """Where one supervisor's answer goes; what an `Envelope` takes for a future."""

    def __init__(self, gathering: Gathering, ref: PooledRef) -> None:
        self._gathering, self._ref = gathering, ref

    def set(self, value: Any = None) -> None:
        self._gathering.told(self._ref, value)

    def set_exception(self, _exc_info: Any = None) -> None:
        self._gathering.told(self._ref, None)


def _supervisors(branch: Branch) -> list[PooledRef]:
    """In order, and not by where they lie in memory: a simulation of the same seed asks in the same one."""
    return [view.ref for view in branch.children if view.is_supervisor and isinstance(view.ref, PooledRef)]


def _trees(branch: Branch, branches: dict[PooledRef, Branch | None]) -> tuple[Tree, ...]:
    return tuple(_tree(view, branches) for view in branch.children)


def _tree(view: ChildView, branches: dict[PooledRef, Branch | None]) -> Tree:
    if not (view.is_supervisor and isinstance(view.ref, PooledRef)):
        return Tree(view.id, "supervisor" if view.is_supervisor else "worker", view.phase, restarts=view.restarts)
    if view.ref not in branches:
        return Tree(view.id, "supervisor", "silent", restarts=view.restarts)
    branch = branches[view.ref]
    if branch is None:
        return Tree(view.id, "supervisor", Phase.ENDED.value, restarts=view.restarts)
    return Tree(view.id, "supervisor", view.phase, restarts=view.restarts, children=_trees(branch, branches))


TIMEOUT_S = 30.0
"""How long a call waits unless it is told otherwise."""


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
        """The number of children, by kind. Answered at once, whatever else is under way."""
        counts: ChildCounts = self._call("count_children", CountChildren(), timeout_s)
        return counts

    def wait_up(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any]:
        """A child's actor: at once if it is up, else when its start, or its restart with the backoff before it, is done.

        Raises:
            ChildNotFound: there is none of that id, or not any more.
            ChildStopped: it has no actor, and nothing is under way that would start one.
        """
        return self._wait_up(child_id, None, timeout_s)

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

        Supervisors among them are left out, and so is what is below those.
        """
        refs = [view.ref for view in self.which_children(timeout_s=timeout_s) if not view.is_supervisor]
        return sum(_told(ref, message) for ref in refs if ref is not None)

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

    def _wait_up(self, child_id: Hashable, past: pykka.ActorRef[Any] | None, timeout_s: float | None) -> pykka.ActorRef[Any]:
        supervisor: Any = self._actor
        supervisor._pooled_pool.check_process()
        request = WaitUp(child_id, name=supervisor._names.find(child_id), caller=current_actor(), past=past)
        try:
            ref: pykka.ActorRef[Any] = self._call("wait_up", request, timeout_s)
        except BaseException:  # a signal handler's too
            if self.is_alive():
                self._leave(request)
            raise
        return ref

    def _leave(self, request: WaitUp) -> None:
        try:
            self._actor._pooled_put(NoLonger(request), helps=True)
        except PoolClosed:
            pass  # it keeps nothing that anybody will come to

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


class ChildAddress:
    """A child by its place under a supervisor: it leads to whichever actor the child has now. Any thread may use it.

    The supervisors are asked when no living actor is known, and no oftener. Any call may raise what `SupervisorRef` does.
    """

    def __init__(self, supervisor: SupervisorRef, path: Hashable) -> None:
        hash(path)  # raises here, where else it would at the first use
        self._supervisor, self._ids = supervisor, _ids_of(path)
        self._known: pykka.ActorRef[Any] | None = None

    @property
    def ref(self) -> pykka.ActorRef[Any] | None:
        """The child's living actor, in its on_start too; None where it has none now.

        Raises:
            ChildNotFound: there is no such child.
        """
        return self._living() or self._find()

    def tell(self, message: Any) -> None:
        """Tell the child's living actor, which may end before it comes to it. Waits for nobody but the supervisors' word.

        Raises:
            pykka.ActorDeadError: it has none now.
            ChildNotFound: there is no such child.
        """
        ref = self.ref
        if ref is None:
            raise pykka.ActorDeadError(f"child {shown(self._ids[-1])} has no living actor")
        ref.tell(message)

    def ask(self, message: Any, *, timeout_s: float | None = TIMEOUT_S) -> Any:
        """Wait until the child is up, ask it, once, and wait for the answer.

        Args:
            timeout_s: for both together.

        Raises:
            SupervisorTimeout, ChildNotFound, ChildStopped: as of `wait_up`; it was not asked.
            pykka.Timeout: it was up, and did not answer in time.
            pykka.ActorDeadError: it ended before it answered. It may have handled the message.
        """
        patience = _Patience(self._supervisor, timeout_s)
        ref = self._wait_up(patience)
        return ref.ask(message, timeout=patience.left_s())

    def wait_up(self, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any]:
        """The child's actor, once it and the supervisors above it are up; as of `SupervisorRef.wait_up`.

        Raises:
            SupervisorTimeout: that took longer.
            ChildNotFound: there is no such child, or no such supervisor on the way.
            ChildStopped: it, or one on the way, has no actor, and nothing is under way that would start one.
        """
        return self._wait_up(_Patience(self._supervisor, timeout_s))

    def _living(self) -> pykka.ActorRef[Any] | None:
        """The last actor that was known to be up, if it lives: then it is the child's yet."""
        known = self._known
        return known if known is not None and known.is_alive() else None

    def _find(self) -> pykka.ActorRef[Any] | None:
        ref: pykka.ActorRef[Any] | None = self._supervisor
        phase: ChildPhase = "running"
        for child_id in self._ids:
            if ref is None:
                return None
            supervisor = _supervisor(ref, child_id)
            try:
                view = supervisor.which_child(child_id)
            except (SupervisorStopped, ChildNotFound) as error:
                if supervisor is self._supervisor or (phase != "starting" and isinstance(error, ChildNotFound)):
                    raise
                return None  # the one above is about to restart the supervisor, or that has yet to come to the child
            ref, phase = view.ref, view.phase
        if phase == "running":
            self._known = ref
        return ref if ref is not None and ref.is_alive() else None

    def _wait_up(self, patience: "_Patience") -> pykka.ActorRef[Any]:
        try:
            ref = self._known = self._living() or self._await(len(self._ids) - 1, None, patience)
        except SupervisorTimeout:
            raise patience.error from None
        return ref

    def _await(self, depth: int, past: pykka.ActorRef[Any] | None, patience: "_Patience") -> pykka.ActorRef[Any]:
        """The actor of the id at this depth, once it is up and is not the one that is known to be of no use."""
        above: pykka.ActorRef[Any] | None = None
        while True:
            above = self._supervisor if depth == 0 else self._await(depth - 1, above, patience)
            child_id = self._ids[depth]
            try:
                return _supervisor(above, child_id)._wait_up(child_id, past, patience.left_s())
            except SupervisorStopped:
                if depth == 0:
                    raise


class _Patience:
    """How long all that one call waits for may take together, by the clock of the supervisor's pool."""

    def __init__(self, supervisor: SupervisorRef, timeout_s: float | None) -> None:
        _check_timeout(timeout_s)
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
    def error(self) -> SupervisorTimeout:
        """The error of a call that has taken longer."""
        assert self._timeout_s is not None
        return SupervisorTimeout("wait_up", self._timeout_s)


def _ids_of(path: Hashable) -> tuple[Hashable, ...]:
    if isinstance(path, str):
        return tuple(path.split("/"))
    if not isinstance(path, tuple):
        return (path,)
    if not path:
        raise InvalidOption("path", path, "must name a child")
    return path


def _supervisor(ref: pykka.ActorRef[Any], child_id: Hashable) -> SupervisorRef:
    """The one that is to know the child.

    Raises:
        ChildNotFound: it is no supervisor, and has no children.
    """
    if not isinstance(ref, SupervisorRef):
        raise ChildNotFound(child_id)
    return ref


def _told(ref: pykka.ActorRef[Any], message: Any) -> bool:
    """Whether the actor lived, and so was told the message."""
    try:
        ref.tell(message)
    except (pykka.ActorDeadError, PoolClosed):
        return False
    return True


def _check_timeout(timeout_s: object) -> None:
    if timeout_s is not None and not (are_seconds(timeout_s) and timeout_s):
        raise InvalidOption("timeout_s", timeout_s, "must be None, or a number of seconds above 0 and at most a year")
