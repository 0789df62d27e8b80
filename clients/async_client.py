"""A client of an `AsyncChannel`, as a coroutine holds it."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from lightspeed.actors.errors import ClientClosed
from lightspeed.actors.loop import LoopWaiter
from lightspeed.actors.topics.rules.events import Broadcast, Event, Push
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.clients.core import ClientCore, Line, check_most
from lightspeed.clients.inbox import Notice
from lightspeed.clients.session import Session


class AsyncClient(ClientCore):
    """As `Client`, for coroutines: a verb is awaited. Made by `AsyncChannel.client`.

    For the channel's event loop only. A verb that is cancelled may take effect all the same; a reader that is cancelled takes no
    message with it. An asynchronous context manager: closed, it has left everything.

    Raises:
        WrongLoop: another loop, or another thread, calls. Else as of `Client`.
    """

    def __init__(self, line: Line, session: Session, meta: str, enter: Callable[[], Any]) -> None:
        super().__init__(line, session, meta)
        self._enter = enter

    async def join(self, topic: str, meta: str | None = None) -> str | None:
        """As of `Client`."""
        return await self._do(self._joining(topic, meta))

    async def leave(self, topic: str) -> str | None:
        """As of `Client`."""
        return await self._do(self._leaving(topic))

    async def update(self, topic: str, meta: str) -> str | None:
        """As of `Client`."""
        return await self._do(self._updating(topic, meta))

    async def broadcast(self, topic: str, payload: str, event: str = "") -> str | None:
        """As of `Client`."""
        return await self._do(Broadcast(self.client_id, topic, payload, event))

    async def push(self, topic: str, event: str, payload: str) -> str | None:
        """As of `Client`."""
        return await self._do(Push(self.client_id, topic, event, payload))

    async def _do(self, event: Event) -> str | None:
        self._enter()
        payload: str | None = await self._line.do(self._do_event(event))
        return payload

    async def receive(self, timeout_s: float | None = None) -> Outbound | Notice:
        """As of `Client`."""
        return (await self.receive_many(1, timeout_s))[0]

    async def receive_many(self, most: int, timeout_s: float | None = None) -> list[Outbound | Notice]:
        """As of `Client`."""
        door = self._enter()
        check_most(most)
        self._check_read(timeout_s)
        taken: list[Outbound | Notice] = []
        steps = self._session.inbox.taking(taken, most, timeout_s, lambda: LoopWaiter(door))
        is_told = None
        try:
            while True:
                waiter, left_s = steps.send(is_told)
                is_told = await waiter.wait(left_s)
        except StopIteration:
            return taken
        finally:
            steps.close()

    def _waiter(self) -> LoopWaiter:
        return LoopWaiter(self._enter())

    def __aiter__(self) -> AsyncIterator[Outbound | Notice]:
        return self

    async def __anext__(self) -> Outbound | Notice:
        try:
            return await self.receive()
        except ClientClosed:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """As of `Client`."""
        self._enter()
        await self._line.do(self._close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.close()
