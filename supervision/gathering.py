"""What a tree of supervisors says of itself, gathered by messages.

Each supervisor is asked as soon as the one above it has answered, and nobody waits but the caller. So one that does not answer
hides only what is below it.
"""

import threading
from typing import Any

import pykka

from lightspeed.actors.errors import InForkedChild, PoolClosed, SupervisorStopped, SupervisorTimeout
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import has_no_thread
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.supervision.asking import Job, Wait
from lightspeed.supervision.children import Branch, ChildView, Phase
from lightspeed.supervision.latch import Latch
from lightspeed.supervision.messages import WhichBranch
from lightspeed.supervision.tree import Tree


class Gathering:
    """One question to a supervisor and to all those below it."""

    def __init__(self, top: PooledRef) -> None:
        self._top = top
        self._done = PooledFuture(top._actor)
        self._latch = Latch(self._done)
        self._lock = threading.Lock()
        self._branches: dict[PooledRef, Branch | None] = {}  # who has answered; None: was found dead
        self._asked = {top}

    def tree(self, timeout_s: float | None) -> Job[Tree]:
        """
        Raises:
            SupervisorStopped: the topmost one is gone.
            SupervisorTimeout: the topmost one did not answer in time. Others that did not are `silent`.
        """
        self._ask(self._top)
        self._latch.close()
        try:
            yield Wait(self._done, timeout_s)
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
