"""A client of a channel, as the program holds it."""

from collections.abc import Iterator
from typing import Any, Self

from lightspeed.actors.errors import ClientClosed
from lightspeed.actors.topics.rules.events import Event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.clients.core import ClientCore, check_most
from lightspeed.clients.inbox import Notice


class Client(ClientCore[str | None]):
    """One client of a channel in this process: what it is told comes into its inbox, in order. Made by `Channel.client`.

    Any thread may call any of it. It follows what is given out: a raw `Leave` of its id takes it out too. A context manager:
    closed, it has left everything. One that is forgotten warns, and leaves.

    Raises:
        ClientClosed: every call but `close` and reading what is left, when it is closed; it says why.
        InsideActor: a verb, or a wait, inside an actor, a hook or a sink, where it could wait for itself: use `send`.
        ChannelClosed, ChannelTimeout: a verb, as of `Channel.handle`.
    """

    def _do(self, event: Event) -> str | None:
        payload: str | None = self._line.do(self._do_event(event))
        return payload

    # What it is told

    def receive(self, timeout_s: float | None = None) -> Outbound | Notice:
        """What is next for this client.

        Args:
            timeout_s: how long to wait; 0: not at all. None, the default: as long as it takes.

        Raises:
            InboxEmpty: nothing came in time.
            ClientClosed: it is closed, and everything was read.
        """
        taken: list[Outbound | Notice] = []
        try:
            self._read(taken, 1, timeout_s)
            return taken[0]
        except BaseException:  # the caller's own, as a Ctrl-C is
            self._session.inbox.give_back(taken)
            raise

    def receive_many(self, most: int, timeout_s: float | None = None) -> list[Outbound | Notice]:
        """From 1 up to `most` messages, as soon as there is one; as `receive`."""
        check_most(most)
        taken: list[Outbound | Notice] = []
        try:
            self._read(taken, most, timeout_s)
            return taken
        except BaseException:
            self._session.inbox.give_back(taken)
            raise

    def _read(self, taken: list[Outbound | Notice], most: int, timeout_s: float | None) -> None:
        self._check_read(timeout_s)
        self._session.inbox.take(taken, most, timeout_s)

    def __iter__(self) -> Iterator[Outbound | Notice]:
        """Everything in order, until it is closed and its inbox empty."""
        return iter(self._receive_or_end, None)  # no generator, in which a message could be when its reader is interrupted

    def _receive_or_end(self) -> Any:
        taken: list[Outbound | Notice] = []
        try:
            self._read(taken, 1, None)
            return taken[0]
        except ClientClosed:
            return None
        except BaseException:
            self._session.inbox.give_back(taken)
            raise

    # The end

    def close(self) -> None:
        """Leave everything; what is in the inbox can still be read. Again is harmless. Inside an actor it does not wait."""
        self._line.do(self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
