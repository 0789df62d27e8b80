"""A client of a channel, as the program holds it."""

import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol, Self
from warnings import warn

from lightspeed.actors.errors import (
    ChannelClosed,
    ChannelTimeout,
    ClientClosed,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    Refused,
)
from lightspeed.actors.topics.rules.events import Broadcast, Event, Join, Leave, Push, Rejoin
from lightspeed.actors.topics.rules.outbound import Outbound, Reply
from lightspeed.actors.topics.rules.presence import Meta
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.clients.hub import Hub
from lightspeed.clients.inbox import Notice
from lightspeed.clients.session import Session


class Line(Protocol):
    """What a client needs of its channel."""

    def call_for(self, event: Event) -> Messages:
        """Handle the event, and return what was numbered with it; its client's reply comes into no inbox."""
        ...

    def tell(self, event: Event) -> None: ...

    def check_may_wait(self, call: str) -> None:
        """
        Raises:
            InsideActor: the calling thread is inside an actor, a hook or a sink.
        """
        ...


class Client:
    """One client of a channel in this process: what it is told comes into its inbox, in order. Made by `Channel.client`.

    Any thread may call any of it. It follows what is given out: a raw `Leave` of its id takes it out too. A context manager:
    closed, it has left everything. One that is forgotten warns, and leaves.

    Raises:
        ClientClosed: every call but `close` and reading what is left, when it is closed; it says why.
        InsideActor: a verb, or a wait, inside an actor, a hook or a sink, where it could wait for itself: use `send`.
        ChannelClosed, ChannelTimeout: a verb, as of `Channel.handle`.
    """

    def __init__(self, line: Line, hub: Hub, session: Session, meta: str) -> None:
        self._line, self._hub, self._session, self._meta = line, hub, session, meta
        self._finalizer = weakref.finalize(self, _forgotten, session)

    @property
    def client_id(self) -> str:
        return self._session.client_id

    @property
    def user_id(self) -> str:
        return self._session.user_id

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it is in, sorted. Never waits."""
        return self._session.topics

    @property
    def is_closed(self) -> bool:
        return self._session.is_closed

    @property
    def dropped(self) -> int:
        """How many messages found no room in its inbox."""
        return self._session.inbox.dropped

    def __len__(self) -> int:
        """How many messages wait in its inbox, about."""
        return len(self._session.inbox)

    def __bool__(self) -> bool:
        """True: an empty inbox makes it no less of a client."""
        return True

    # Verbs

    def join(self, topic: str, meta: str | None = None) -> str | None:
        """Become a member of the topic, and return the reply's payload: `joined`, or what the behaviour said.

        Args:
            meta: a text that stands in its presence. None, the default: the client's own.

        Raises:
            Refused: with the reply's status and payload, as `already_joined`.
        """
        session = self._session
        text = self._meta if meta is None else meta
        return self._do(Join(session.client_id, topic, session.user_id, session.next_ms(), text))

    def leave(self, topic: str) -> str | None:
        """Leave the topic; an `auto_rejoin` that is under way is called off.

        Raises:
            Refused: as of `join`, as `not_joined`.
        """
        self._session.stay_away(topic)
        return self._do(Leave(self.client_id, topic, self._session.next_ms()))

    def update(self, topic: str, meta: str) -> str | None:
        """Give its presence in the topic another text.

        Raises:
            Refused: as of `join`; `not_joined` where it is not in the topic.
        """
        self._check_open()
        if not self._session.is_in(topic):
            raise Refused("error", "not_joined")
        return self._do(Rejoin(self.client_id, topic, self.user_id, self._session.next_ms(), meta))

    def broadcast(self, topic: str, payload: str, event: str = "") -> str | None:
        """Send something to all members, and wait until it has come about. None, where the behaviour does not reply.

        Raises:
            Refused: as of `join`, as `not_joined`, `overloaded`.
        """
        return self._do(Broadcast(self.client_id, topic, payload, event))

    def push(self, topic: str, event: str, payload: str) -> str | None:
        """Send something to the topic; as `broadcast`."""
        return self._do(Push(self.client_id, topic, event, payload))

    def send(self, event: Event) -> None:
        """Hand over any event of its own and return at once; what comes of it comes into the inbox. It may be called anywhere.

        Raises:
            InvalidEvent: it is no event, or another client's.
            Overloaded: too much waits for the channel.
        """
        self._check_open()
        if getattr(event, "client_id", self.client_id) != self.client_id:
            raise InvalidEvent("client_id", event.client_id, f"must be the client's own, {self.client_id}")  # type: ignore[union-attr]
        self._line.tell(event)
        self._see_to_end(event)

    def _do(self, event: Event) -> str | None:
        self._check_open()
        try:
            messages = self._line.call_for(event)
        except ChannelTimeout:  # it was accepted all the same
            self._see_to_end(event)
            raise
        self._see_to_end(event)
        for message in messages:
            if isinstance(message, Reply) and message.client_id == self.client_id:
                if message.status == "error":
                    raise Refused(message.status, message.payload)
                return message.payload
        return None

    def _check_open(self) -> None:
        if self._session.is_closed and not self._session.is_over:  # of a closed channel its own calls say so
            raise ClientClosed(self._session.why_closed)

    def _see_to_end(self, event: Event) -> None:
        """Where it was closed in the middle of a call, its farewell may have come before what it has joined by that."""
        if self._session.is_closed and isinstance(event, (Join, Rejoin)):
            self._session.take_back(event)

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
        if type(most) is not int or most < 1:
            raise InvalidOption("most", most, "must be an int from 1 up")
        taken: list[Outbound | Notice] = []
        try:
            self._read(taken, most, timeout_s)
            return taken
        except BaseException:
            self._session.inbox.give_back(taken)
            raise

    def _read(self, taken: list[Outbound | Notice], most: int, timeout_s: float | None) -> None:
        inbox = self._session.inbox
        if not len(inbox) and not (timeout_s is not None and timeout_s <= 0):
            self._line.check_may_wait("receive")
        inbox.take(taken, most, timeout_s)

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

    def presence(self, topic: str) -> dict[str, tuple[Meta, ...]]:
        """Who is in a topic that it is in, by user, as of the last message that came into its inbox. Never waits."""
        return self._hub.presence(topic, self._session)

    # The end

    def close(self) -> None:
        """Leave everything; what is in the inbox can still be read. Again is harmless. Inside an actor it does not wait."""
        session = self._session
        session.begin_end("it was closed")
        if session.has_left:
            self._finalizer.detach()
            return
        try:
            self._line.call_for(session.farewell())
            session.has_left = True
        except ChannelClosed:  # by that it has left
            session.has_left = True
        except ChannelTimeout:  # it was accepted, and comes about
            session.has_left = True
            raise
        except InsideActor:  # in the middle of a call of the channel, which a signal handler has interrupted
            session.leave_all("it was closed", cancels=False)
        finally:
            session.end()
        self._finalizer.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.client_id!r}{' closed' if self.is_closed else ''}>"


def _forgotten(session: Session) -> None:
    """A client was garbage, and nobody closed it. This must not wait."""
    if session.has_left or session.is_over:
        return
    try:
        if not session.is_closed:
            warn(f"unclosed client {session.client_id}: close() it, or use it in a with statement", ResourceWarning, stacklevel=2)
    finally:  # a warning may be an error
        session.leave_all("it was forgotten", cancels=False)
