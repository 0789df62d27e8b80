"""The channel as a coroutine holds it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, cast

from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import ChannelClosed, ChannelTimeout, InsideActor, InvalidOption, WrongLoop
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.loop import Loop, LoopDoor
from lightspeed.actors.runtime import Layer, Runtime
from lightspeed.actors.topics.mail import Delivery
from lightspeed.actors.topics.rules.events import Event, TopicEvent, check_event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.capsules import Capsules
from lightspeed.channel.core import GRACE_S, Answer, ChannelCore, Job, Wait
from lightspeed.channel.line import MAILS, ChannelLine
from lightspeed.channel.options import Adapter, check_seconds
from lightspeed.clients import Inbox
from lightspeed.clients.async_client import AsyncClient
from lightspeed.clients.session import Session
from lightspeed.faults import FaultPlan
from lightspeed.supervision import Tree
from lightspeed.supervision.asking import wait_on
from lightspeed.supervision.topics import Mailbox, Restarts, Sink
from lightspeed.supervision.topics.dead_letters import DeadLetter


class AsyncChannel(ChannelCore):
    """As `Channel`, for coroutines: what waits is awaited. It is bound to the event loop of its first use.

    By default all of it runs on that loop, and no thread is started. With `runtime=Pool()` topics run on a worker, beside the
    loop. A call that is cancelled may take effect all the same. An asynchronous context manager. It keeps no outbox: what comes
    out goes to its clients, or to a sink.

    Args:
        runtime: as of `Channel`. Default: `Loop()`, which is for this kind of channel only, and with which no topic has a thread
            of its own.

    Raises:
        WrongLoop: a call from another event loop, or another thread; but for `tell_threadsafe`, and what never waits.
            Else as of `Channel`.
    """

    _awaits = True

    def __init__(
        self,
        adapter: Adapter | None = None,
        *,
        on_outbound: Sink | None = None,
        timeout_s: float = 30.0,
        rejoin_window_s: float = 30.0,
        crash_timeout_s: float = 5.0,
        own_thread: Iterable[str] = (),
        behaviours: Mapping[str, Callable[[], Behaviour]] | None = None,
        event_timeout_s: float = 5.0,
        restarts: Restarts | None = None,
        rejoin: Literal["client", "supervisor"] = "client",
        mailboxes: Mapping[str, Mailbox] | Mailbox | None = None,
        max_topics: int | None = None,
        max_members: int | None = None,
        faults: FaultPlan | None = None,
        capsules: Capsules | None = None,
        layers: Sequence[Layer] = (),
        runtime: Runtime | None = None,
    ) -> None:
        runtime = Loop() if runtime is None else runtime
        self._door: LoopDoor | None = None
        self._on_loop = runtime if isinstance(runtime, Loop) else None
        own_thread = tuple(own_thread) if not isinstance(own_thread, str) else own_thread
        if own_thread and self._on_loop is not None:
            raise InvalidOption("own_thread", own_thread, "must be empty with the runtime Loop, which has no threads: use Pool()")
        super().__init__(
            adapter,
            on_outbound=on_outbound,
            timeout_s=timeout_s,
            rejoin_window_s=rejoin_window_s,
            crash_timeout_s=crash_timeout_s,
            own_thread=own_thread,
            behaviours=behaviours,
            event_timeout_s=event_timeout_s,
            restarts=restarts,
            rejoin=rejoin,
            mailboxes=mailboxes,
            outbox=False,
            max_topics=max_topics,
            max_members=max_members,
            faults=faults,
            capsules=capsules,
            layers=layers,
            runtime=runtime,
        )

    async def handle(self, event: Event) -> None:
        """As of `Channel`."""
        self._enter()
        actor = current_actor()
        if actor is not None:
            raise InsideActor("handle", actor)
        check_event(event)
        if type(event) not in MAILS and self._supervisor.handle_inline(Delivery(cast("TopicEvent", event))):
            return
        await self._do(self._handled(event))

    async def call(self, event: Event, timeout_s: float | None = None) -> tuple[Outbound, ...]:
        """As of `Channel`."""
        self._enter()
        actor = current_actor()
        if actor is not None:
            raise InsideActor("call", actor)
        if timeout_s is not None:
            check_seconds("timeout_s", timeout_s)
        return await self._do(self._call(event, timeout_s, is_clients=False))

    def tell(self, event: Event) -> None:
        """As of `Channel`: it never waits, and is not awaited."""
        self._enter()
        super().tell(event)

    def tell_threadsafe(self, event: Event) -> None:
        """As `tell`, from any thread; the event is told when the loop comes to it, and is a dead letter where it can't be then.

        Raises:
            InvalidEvent: as of `tell`. ChannelClosed: the channel, or its loop, is closed. WrongLoop: it has no loop yet.
        """
        check_event(event)
        door = self._door
        if door is None:
            raise WrongLoop("an AsyncChannel", "before that", "use it on its loop first")
        if self._ingress.is_shut:
            raise ChannelClosed
        door.call(lambda: self._tell_late(event))

    def client(
        self,
        client_id: str,
        user_id: str,
        *,
        meta: str = "",
        inbox: Inbox | None = None,
        auto_rejoin: bool = True,
        take_over: bool = False,
    ) -> "_Opening":
        """As of `Channel`, to be awaited; or `async with channel.client(...) as client:`."""

        def open_it() -> Coroutine[Any, Any, AsyncClient]:
            return self._open(self._session(client_id, user_id, meta, inbox, auto_rejoin=auto_rejoin, take_over=take_over), meta)

        return _Opening(open_it)

    async def _open(self, job: Job[Session], meta: str) -> AsyncClient:
        self._enter()
        return AsyncClient(ChannelLine(self), await self._do(job), meta, self._enter)

    async def topics_of(self, client_id: str) -> tuple[str, ...]:
        """As of `Channel`."""
        return await self._asked(self._find_topics_of(client_id))

    @property
    def crashed(self) -> Coroutine[Any, Any, bool]:
        """As of `Channel`, to be awaited: `await channel.crashed`."""
        return self._asked(self._is_crashed())

    @property
    def membership_count(self) -> Coroutine[Any, Any, int]:
        """As of `Channel`, to be awaited."""
        return self._asked(self._count_memberships())

    async def topics(self) -> tuple[str, ...]:
        """As of `Channel`."""
        return await self._asked(self._list_topics())

    async def subscribers(self, topic: str) -> tuple[str, ...]:
        """As of `Channel`."""
        answer: tuple[str, ...] = await self._asked(self._ask_topic("subscribers", topic))
        return answer

    async def presences(self, topic: str) -> tuple[Entry, ...]:
        """As of `Channel`."""
        answer: tuple[Entry, ...] = await self._asked(self._ask_topic("presences", topic))
        return answer

    async def tree(self) -> Tree:
        """As of `Channel`."""
        return await self._asked(self._draw_tree())

    async def close(self, timeout_s: float | None = None) -> None:
        """As of `Channel`. Where it is cancelled, the end goes on all the same."""
        self._enter()
        timeout_s = self._begin_close(timeout_s)
        if not timeout_s:
            return
        end_s = self._runtime.monotonic_s() + timeout_s + GRACE_S
        await self._answer(Wait("close", self._done, timeout_s + GRACE_S))
        busy = await self._join(max(0.0, end_s - self._runtime.monotonic_s()))
        self._end_close("close", timeout_s, busy)

    async def __aenter__(self) -> Self:
        self._enter()
        try:
            await self._do(self._see_entry())
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Waiting

    def _enter(self) -> LoopDoor:
        """The door of its loop, which must be the one that runs here; the first one is it.

        Raises:
            WrongLoop: it is not.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongLoop("an AsyncChannel", "where no event loop runs") from None
        door = self._door
        if door is None:
            self._ingress.check_process()
            door = self._door = LoopDoor(loop)
            if self._on_loop is not None:
                self._on_loop.bind(loop)
        elif door.loop is not loop:
            raise WrongLoop("an AsyncChannel", "by another event loop")
        return door

    async def _asked(self, job: Job[Answer]) -> Answer:
        self._enter()
        return await self._do(job)

    async def _do(self, job: Job[Answer]) -> Answer:
        """Have the calling coroutine wait for what the job waits for."""
        return await wait_on(job, self._answer)

    async def _answer(self, wait: Wait) -> Any:
        timeout_s = self._timeout_s if wait.timeout_s is None else wait.timeout_s
        reply = wait.reply
        assert isinstance(reply, PooledFuture)
        if not reply.is_set:
            waiter = self._enter().waiter()
            reply.tell(waiter)
            if not await waiter.wait(timeout_s):
                raise ChannelTimeout(wait.call, timeout_s)
        return reply.get()

    async def _join(self, timeout_s: float) -> list[str]:
        """Wait until all resources are given back; the names of those that are still busy then."""
        door, busy = self._enter(), list[str]()
        if self._on_loop is not None:
            waiter = door.waiter()
            self._on_loop.end(timeout_s, busy, waiter.release)
            await waiter.future
        if self._runtime is self._on_loop:
            return busy + self._runtime.join(0.0)
        waiter = door.waiter()

        def join() -> None:
            try:
                busy.extend(self._runtime.join(timeout_s))
            finally:
                waiter.release()

        threading.Thread(target=join, name="lightspeed close", daemon=True).start()  # threads are waited for by a thread
        await waiter.future
        return busy

    def _tell_late(self, event: Event) -> None:
        try:
            super().tell(event)
        except Exception:  # it was closed meanwhile, or too much waits
            self._dead_letters.add(DeadLetter(getattr(event, "topic", None), 0, "unhandled", event))


class _Opening:
    """A client that is about to be made: by `await`, or by `async with`."""

    def __init__(self, open_it: Callable[[], Coroutine[Any, Any, AsyncClient]]) -> None:
        self._open = open_it
        self._client: AsyncClient | None = None

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncClient:
        self._client = await self._open()
        return self._client

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
