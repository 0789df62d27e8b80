"""The supervisor as a coroutine holds it: it runs on the event loop, and its verbs are awaited."""

import asyncio
import warnings
import weakref
from collections.abc import Coroutine, Hashable, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack, cast

import pykka

import lightspeed.supervision.asking as asking
import lightspeed.supervision.messages as messages
from lightspeed.actors.errors import ExitReason, InvalidOption, PoolClosed, SupervisorStopped, WrongLoop
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.loop import LoopDoor
from lightspeed.actors.tasks import TaskPool
from lightspeed.supervision.asking import TIMEOUT_S, Job, Wait
from lightspeed.supervision.children import ChildCounts, ChildView
from lightspeed.supervision.deadlines import Clock
from lightspeed.supervision.gathering import Gathering
from lightspeed.supervision.keeper import Keeper
from lightspeed.supervision.messages import Answer
from lightspeed.supervision.ref import Address, Patience, SupervisorRef, tell_each
from lightspeed.supervision.rules import Randomness
from lightspeed.supervision.spec import ChildSpec, SupervisorArgs
from lightspeed.supervision.supervisor import Supervisor
from lightspeed.supervision.tree import Tree


class AsyncSupervisorRef:
    """A reference to a Supervisor for coroutines: as `SupervisorRef`, and what waits there is awaited.

    It is bound to the event loop of its first use. A call that is cancelled may take effect all the same.

    Args:
        ref: the supervisor, as `Supervisor.start` returns it, or `await supervisor.wait_up(child_id)` of one with branches.

    Raises:
        WrongLoop: a call from another event loop, or another thread. Else as of `SupervisorRef`.
        InvalidOption: the reference is no supervisor's.
    """

    def __init__(self, ref: pykka.ActorRef[Any]) -> None:
        if not isinstance(ref, SupervisorRef):
            raise InvalidOption("ref", ref, "must be a supervisor's")
        self._ref = ref
        self._door: LoopDoor | None = None

    @property
    def ref(self) -> SupervisorRef:
        """The reference for other threads, whose calls wait, and for `watch`."""
        return self._ref

    async def start_child(self, spec: ChildSpec, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any] | None:
        """As of `SupervisorRef`."""
        self._enter()  # first: from here on the child's id is known
        return await self._do(asking.to_start(self._ref, spec, timeout_s))

    async def terminate_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """As of `SupervisorRef`."""
        await self._do(asking.of_child(self._ref, messages.TerminateChild, child_id, timeout_s))

    async def restart_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any] | None:
        """As of `SupervisorRef`."""
        return await self._do(asking.of_child(self._ref, messages.RestartChild, child_id, timeout_s))

    async def delete_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """As of `SupervisorRef`."""
        await self._do(asking.of_child(self._ref, messages.DeleteChild, child_id, timeout_s))

    async def which_child(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> ChildView:
        """As of `SupervisorRef`."""
        return await self._do(asking.of_child(self._ref, messages.WhichChild, child_id, timeout_s))

    async def which_children(self, *, timeout_s: float | None = TIMEOUT_S) -> list[ChildView]:
        """As of `SupervisorRef`."""
        return await self._do(asking.ask(self._ref, messages.WhichChildren(), timeout_s))

    async def count_children(self, *, timeout_s: float | None = TIMEOUT_S) -> ChildCounts:
        """As of `SupervisorRef`."""
        return await self._do(asking.ask(self._ref, messages.CountChildren(), timeout_s))

    async def wait_up(self, child_id: Hashable, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any]:
        """As of `SupervisorRef`."""
        return await self._do(asking.when_up(self._ref, child_id, None, timeout_s))

    async def wait_end(self, *, timeout_s: float | None = None) -> ExitReason:
        """As of `SupervisorRef`."""
        return await self._do(asking.when_ended(self._ref, timeout_s))

    def child(self, path: Hashable) -> "AsyncChildAddress":
        """As of `SupervisorRef`: not awaited."""
        return AsyncChildAddress(self, path)

    async def tell_all(self, message: Any, *, timeout_s: float | None = TIMEOUT_S) -> int:
        """As of `SupervisorRef`."""
        return tell_each(await self.which_children(timeout_s=timeout_s), message)

    async def tree(self, *, timeout_s: float | None = TIMEOUT_S) -> Tree:
        """As of `SupervisorRef`."""
        asking.check_timeout(timeout_s)
        return await self._do(Gathering(self._ref).tree(timeout_s))

    async def stop(self, *, timeout_s: float | None = None) -> bool:
        """Stop its children in reverse, and it; whether it lived. Where this is cancelled, its end goes on all the same.

        Raises:
            InsideActor: called inside one of its own children, or below.
            SupervisorTimeout: it has not ended in so many seconds. None, the default: it has for ever.
        """
        return await self._do(asking.to_stop(self._ref, timeout_s))

    def _enter(self) -> LoopDoor:
        """The door of its loop, which must be the one that runs here; the first one is it.

        Raises:
            WrongLoop: it is not. SupervisorStopped: its own was closed, with the supervisor on it.
        """
        self._ref._actor._pooled_pool.check_process()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongLoop("an AsyncSupervisor", "where no event loop runs", "") from None
        if self._door is None:
            self._door = LoopDoor(loop)
            self._begin(loop)
        elif self._door.loop is not loop:
            _see_end(self._ref)
            raise WrongLoop("an AsyncSupervisor", "by another event loop", "")
        return self._door

    def _begin(self, _loop: asyncio.AbstractEventLoop) -> None:
        """It is bound to this loop."""

    async def _do(self, job: Job[Answer]) -> Answer:
        return await asking.wait_on(job, partial(asking.answer, self._enter()))


class AsyncChildAddress(Address):
    """A `ChildAddress` for coroutines: what it gives is awaited, `ref` too."""

    def __init__(self, supervisor: AsyncSupervisorRef, path: Hashable) -> None:
        super().__init__(supervisor._ref, path)
        self._asks = supervisor

    @property
    def ref(self) -> Coroutine[Any, Any, pykka.ActorRef[Any] | None]:
        """As of `ChildAddress`: `await address.ref`."""
        return self._asks._do(self._find_living())

    async def tell(self, message: Any) -> None:
        """As of `ChildAddress`."""
        self._tell(await self.ref, message)

    async def ask(self, message: Any, *, timeout_s: float | None = TIMEOUT_S) -> Any:
        """As of `ChildAddress`."""
        patience = Patience(self._supervisor, timeout_s)
        ref = await self._asks._do(self._wait_up(patience))
        reply = ref.ask(message, block=False)
        assert isinstance(reply, PooledFuture)
        return await asking.answer(self._asks._enter(), Wait(reply, patience.left_s()))

    async def wait_up(self, *, timeout_s: float | None = TIMEOUT_S) -> pykka.ActorRef[Any]:
        """As of `ChildAddress`."""
        return await self._asks._do(self._wait_up(Patience(self._supervisor, timeout_s)))


class AsyncSupervisor(AsyncSupervisorRef):
    """A `Supervisor` for coroutines, on the event loop of its first use: no thread is needed, and none started.

    Its children may be tasks of the loop, and actors on threads. So may those of a `Supervisor` below it, which runs on the loop
    too, unless it is given a pool. `async with` starts its children, and stops it at the end; or `start` and `stop` do. A call
    that is cancelled may take effect all the same.

    Args:
        children: as all options, of `Supervisor`. The clock is the loop's, unless another one is given.

    Raises:
        WrongLoop: a call from another event loop, or another thread. Else as of `SupervisorRef`.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        **options: Unpack[SupervisorArgs],
    ) -> None:
        self._pool = TaskPool()
        loop = cast("Any", self._pool)
        self._actor = Supervisor(children, clock=clock, randomness=randomness, pool=self._pool, loop=loop, **options)
        super().__init__(self._actor.actor_ref)

    async def start(self) -> Self:
        """Start its children, if nothing has yet, and return when all are up. Every other call begins that, too.

        Raises:
            StartFailed: a child could not be started; those before it were stopped.
            SupervisorStopped: it was stopped before.
        """
        if self._door is not None and not self._ref.is_alive():
            raise SupervisorStopped
        await self._do(_up(self._actor._first_start))
        return self

    async def __aenter__(self) -> Self:
        """As `start`. Where that is cancelled, it is stopped."""
        try:
            return await self.start()
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def __aexit__(self, _type: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop it.

        Raises:
            RestartsExceeded: it had given up. Not where the block itself has failed, but for want of it.
        """
        await self.stop()
        reason = await self.wait_end()
        if reason.kind == "abnormal" and (error is None or isinstance(error, SupervisorStopped)):
            assert reason.error is not None
            raise reason.error

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pool.bind(loop)
        self._actor.keeper = Keeper(self._pool)
        self._actor._start_actor_loop()
        weakref.finalize(self, _forgotten, self._ref)


def _up(first_start: PooledFuture) -> Job[None]:
    yield Wait(first_start, None)


def _forgotten(supervisor: SupervisorRef) -> None:
    """Nobody has the AsyncSupervisor any more, or its loop is closed."""
    if supervisor.is_alive():
        warnings.warn("an AsyncSupervisor was never stopped", ResourceWarning, stacklevel=1)
        with suppress(PoolClosed):  # its loop is closed, and this was its end
            supervisor.stop(block=False)


def _see_end(supervisor: SupervisorRef) -> None:
    """
    Raises:
        SupervisorStopped: it is on a loop that is closed.
    """
    pool = supervisor._actor._pooled_pool
    if isinstance(pool, TaskPool) and pool.is_over:
        _forgotten(supervisor)
        raise SupervisorStopped
