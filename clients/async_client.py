"""A client of an `AsyncChannel`, as a coroutine holds it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import ClientClosed, InboxEmpty, InsideActor
from lightspeed.actors.loop import LoopDoor, LoopWaiter
from lightspeed.actors.topics.rules.events import Event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.clients.core import ClientCore, Line, check_most
from lightspeed.clients.inbox import Notice
from lightspeed.clients.session import Session


class AsyncClient(ClientCore[Coroutine[Any, Any, str | None]]):
    """As `Client`, for coroutines: a verb is awaited. Made by `AsyncChannel.client`.

    For the channel's event loop only. A verb that is cancelled may take effect all the same; a reader that is cancelled takes no
    message with it. An asynchronous context manager: closed, it has left everything.

    Raises:
        WrongLoop: another loop, or another thread, calls. Else as of `Client`.
    """

    def __init__(self, line: Line, session: Session, meta: str, enter: Callable[[], LoopDoor]) -> None:
        super().__init__(line, session, meta)
        self._enter = enter
        session.inbox.door = enter()  # who reads stands in the line as a bare future

    async def _do(self, event: Event) -> str | None:
        self._enter()
        payload: str | None = await self._line.do(self._do_event(event))
        return payload

    async def receive(self, timeout_s: float | None = None) -> Outbound | Notice:
        """As of `Client`."""
        door, inbox = self._enter(), self._session.inbox
        taken: list[Outbound | Notice] = []
        if (inbox.items or inbox.why_closed is not None) and inbox.take_now(taken, 1):
            return taken[0]
        left_s, end_s = timeout_s, None if timeout_s is None else door.loop.time() + timeout_s
        if left_s is None or left_s > 0:
            actor = current_actor()
            if actor is not None:
                raise InsideActor("receive", actor)
        while left_s is None or left_s > 0:  # as in `InboxQueue.take`: a coroutine more for both would be a tenth of the time
            waiter, is_told = door.loop.create_future(), False
            try:
                inbox.waiters.append(waiter)
                if not inbox.items and inbox.why_closed is None:  # and not only before it stood in the line
                    is_told = await (waiter if left_s is None else door.wait(waiter, left_s))
            finally:
                if not is_told:
                    inbox.give_up(waiter)
            if inbox.take_now(taken, 1):
                return taken[0]
            if end_s is not None:
                left_s = end_s - door.loop.time()
        raise InboxEmpty(timeout_s or 0)

    async def receive_many(self, most: int, timeout_s: float | None = None) -> list[Outbound | Notice]:
        """As of `Client`."""
        check_most(most)
        taken = [await self.receive(timeout_s)]
        if most > 1:
            self._session.inbox.take_now(taken, most)
        return taken

    def _waiter(self) -> LoopWaiter:
        return self._enter().waiter()

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

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
