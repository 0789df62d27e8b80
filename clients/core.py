"""What a client is, whoever waits for it: a thread, or a coroutine."""

import weakref
from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar
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
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.actors.topics.rules.presence import Meta
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.clients.session import Session

Done = TypeVar("Done")
"""What a verb gives: the reply's payload, or a coroutine that does."""

Job = Generator[Any, Any, Any]
"""Gives each answer that is waited for."""


class Line(Protocol):
    """What a client needs of its channel."""

    do: Callable[[Job], Any]
    """Has the calling thread, or coroutine, wait for what a job waits for."""

    def call_for(self, event: Event) -> Generator[Any, Any, Messages]:
        """Handle the event, and return what was numbered with it; its client's reply comes into no inbox. A job."""
        ...

    def tell(self, event: Event) -> None: ...

    def check_may_wait(self, call: str) -> None:
        """
        Raises:
            InsideActor: the caller is inside an actor, a hook or a sink.
        """
        ...


class ClientCore(Generic[Done]):
    """What `Client` and `AsyncClient` have in common. But for the verbs nothing of it waits."""

    def __init__(self, line: Line, session: Session, meta: str) -> None:
        self._line, self._session, self._meta = line, session, meta
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

    def presence(self, topic: str) -> dict[str, tuple[Meta, ...]]:
        """Who is in a topic that it is in, by user, as of the last message that came into its inbox. Never waits."""
        return self._session.hub.presence(topic, self._session)

    def _waiter(self) -> Any:
        """What is released when whoever waits for this client is to go on; None: a lock, for a thread."""
        return None

    # Verbs

    def join(self, topic: str, meta: str | None = None) -> Done:
        """Become a member of the topic, and return the reply's payload: `joined`, or what the behaviour said.

        Args:
            meta: a text that stands in its presence. None, the default: the client's own.

        Raises:
            Refused: with the reply's status and payload, as `already_joined`.
        """
        return self._do(self._joining(topic, meta))

    def leave(self, topic: str) -> Done:
        """Leave the topic; an `auto_rejoin` that is under way is called off.

        Raises:
            Refused: as of `join`, as `not_joined`.
        """
        return self._do(self._leaving(topic))

    def update(self, topic: str, meta: str) -> Done:
        """Give its presence in the topic another text.

        Raises:
            Refused: as of `join`; `not_joined` where it is not in the topic.
        """
        return self._do(self._updating(topic, meta))

    def broadcast(self, topic: str, payload: str, event: str = "") -> Done:
        """Send something to all members, and wait until it has come about. None, where the behaviour does not reply.

        Raises:
            Refused: as of `join`, as `not_joined`, `overloaded`.
        """
        return self._do(Broadcast(self.client_id, topic, payload, event))

    def push(self, topic: str, event: str, payload: str) -> Done:
        """Send something to the topic; as `broadcast`."""
        return self._do(Push(self.client_id, topic, event, payload))

    def _do(self, event: Event) -> Done:
        """Have it handled."""
        raise NotImplementedError

    # Jobs

    def _do_event(self, event: Event) -> Job:
        """The payload of the reply to this event; None where it got none."""
        self._check_open()
        try:
            messages = yield from self._line.call_for(event)
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

    def _joining(self, topic: str, meta: str | None) -> Event:
        text = self._meta if meta is None else meta
        return Join(self.client_id, topic, self.user_id, self._session.next_ms(), text)

    def _leaving(self, topic: str) -> Event:
        self._session.stay_away(topic)
        return Leave(self.client_id, topic, self._session.next_ms())

    def _updating(self, topic: str, meta: str) -> Event:
        self._check_open()
        if not self._session.is_in(topic):
            raise Refused("error", "not_joined")
        return Rejoin(self.client_id, topic, self.user_id, self._session.next_ms(), meta)

    def _close(self) -> Job:
        session = self._session
        session.begin_end("it was closed")
        if session.has_left:
            self._finalizer.detach()
            return
        try:
            yield from self._line.call_for(session.farewell())
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

    def _check_open(self) -> None:
        if self._session.is_closed and not self._session.is_over:  # of a closed channel its own calls say so
            raise ClientClosed(self._session.why_closed)

    def _see_to_end(self, event: Event) -> None:
        """Where it was closed in the middle of a call, its farewell may have come before what it has joined by that."""
        if self._session.is_closed and isinstance(event, (Join, Rejoin)):
            self._session.take_back(event)

    def _check_read(self, timeout_s: float | None) -> None:
        if not len(self._session.inbox) and not (timeout_s is not None and timeout_s <= 0):
            self._line.check_may_wait("receive")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.client_id!r}{' closed' if self.is_closed else ''}>"


def check_most(most: int) -> None:
    if type(most) is not int or most < 1:
        raise InvalidOption("most", most, "must be an int from 1 up")


def _forgotten(session: Session) -> None:
    """A client was garbage, and nobody closed it. This must not wait."""
    if session.has_left or session.is_over:
        return
    try:
        if not session.is_closed:
            warn(f"unclosed client {session.client_id}: close() it, or use it in a with statement", ResourceWarning, stacklevel=2)
    finally:  # a warning may be an error
        session.leave_all("it was forgotten", cancels=False)
