"""One topic's state: its members, in subscription order, and their presence.

Everything that decides what an event does to a topic lives in this file. It knows no actor, thread, clock or channel.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from msgspec import Struct, field

from lightspeed.actors.events import Broadcast, Join, Leave, Push, Rejoin, TopicEvent
from lightspeed.actors.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply, System, error
from lightspeed.actors.presence import Diff, Entry, Presence
from lightspeed.actors.recipients import Roster, recipients_of

Messages = tuple[Outbound, ...]


class TopicState(Struct, eq=False, gc=False):
    """Not for more than one thread: its owner is one topic actor.

    What it holds leads nowhere back to it, so the collector need not look at it (`gc=False`): with a million topics that counts.
    """

    many: ClassVar[int] = 32
    """From so many members on a roster is kept, and its snapshots are put together when somebody reads them; a smaller tuple is
    as quickly made."""
    roster: ClassVar[type[Roster]] = Roster

    topic: str
    users: dict[str, str] = {}
    """The members: client_id -> user_id, in subscription order."""
    _presence: Presence = field(default_factory=Presence)
    _recipients: Any = None  # of the last broadcast, if membership has not changed since
    _roster: Roster | None = None  # made for the first broadcast to many

    def __len__(self) -> int:
        """How many members."""
        return len(self.users)

    @property
    def subscribers(self) -> tuple[str, ...]:
        """Client ids in subscription order."""
        return tuple(self.users)

    @property
    def presences(self) -> tuple[Entry, ...]:
        return self._presence.entries()

    @property
    def rejoins(self) -> tuple[Rejoin, ...]:
        """The events by which another state would have the same members, in subscription order, and the same metas.

        The supervisor asks for it when the actor has ended, or was given up and is stuck in the user's code.
        """
        rejoins = []
        for client_id, user_id in self.users.copy().items():
            online_at_ms = self._presence.find_online_at_ms(client_id, user_id)
            if online_at_ms is not None:  # else it is leaving at this moment: an actor that was given up has come back
                rejoins.append(Rejoin(client_id, self.topic, user_id, online_at_ms))
        return tuple(rejoins)

    def replay(self, rejoins: Iterable[Rejoin]) -> Messages:
        """Take members back. Nobody asked for it, so it gives presence diffs and no replies; but who is refused is told."""
        return tuple(message for event in rejoins for message in self.handle(event) if not _is_ok(message))

    def handle(self, event: TopicEvent) -> Messages:
        """Let the event take effect and return what it gives out, in order. The event has been checked."""
        return _STEPS[type(event)](self, event)

    def _join(self, event: Join) -> Messages:
        if event.client_id in self.users:
            return (error(event.client_id, self.topic, "already_joined"),)
        return self._ok(event, "joined", joins=self._add(event))

    def _rejoin(self, event: Rejoin) -> Messages:
        user_id = self.users.get(event.client_id)
        if user_id is None:
            return self._ok(event, "rejoined", joins=self._add(event))
        if event.now_ms <= self._presence.online_at_ms(event.client_id, user_id):
            return (Reply(event.client_id, self.topic, "ok", "rejoined"),)
        leaves = (self._presence.untrack(event.client_id, user_id),)
        self.users[event.client_id] = event.user_id
        joins = (self._presence.track(event.client_id, event.user_id, event.now_ms),)
        return self._ok(event, "rejoined", joins=joins, leaves=leaves)

    def _leave(self, event: Leave) -> Messages:
        user_id = self.users.pop(event.client_id, None)
        if user_id is None:
            return not_joined(event)
        self._recipients = None
        if self._roster is not None:
            self._roster.remove(event.client_id)
        return self._ok(event, "left", leaves=(self._presence.untrack(event.client_id, user_id),))

    def _broadcast(self, event: Broadcast) -> Messages:
        if event.client_id not in self.users:
            return not_joined(event)
        recipients = self._recipients
        if recipients is None:
            recipients = self._recipients = self._gather()
        return (BroadcastMessage(self.topic, event.payload, recipients),)

    def _gather(self) -> Any:
        """What stands for them in a message until somebody reads it."""
        if self._roster is None:
            if len(self.users) < self.many:
                return recipients_of(tuple(self.users))
            self._roster = self.roster(self.users)
        return self._roster.recipients

    def _push(self, event: Push) -> Messages:
        if event.client_id not in self.users:
            return not_joined(event)
        return (PushMessage(event.client_id, self.topic, event.event, event.payload),)

    def _add(self, event: Join | Rejoin) -> tuple[Entry, ...]:
        self.users[event.client_id] = event.user_id
        self._recipients = None
        if self._roster is not None:
            self._roster.add(event.client_id)
        return (self._presence.track(event.client_id, event.user_id, event.now_ms),)

    def _ok(self, event: TopicEvent, payload: str, *, joins: tuple[Entry, ...] = (), leaves: tuple[Entry, ...] = ()) -> Messages:
        diff = Diff(self.topic, joins, leaves)
        return (Reply(event.client_id, self.topic, "ok", payload), PresenceDiff(self.topic, diff))


_STEPS: dict[type, Callable[[TopicState, Any], Messages]] = {
    Join: TopicState._join,
    Rejoin: TopicState._rejoin,
    Leave: TopicState._leave,
    Broadcast: TopicState._broadcast,
    Push: TopicState._push,
}


def _is_ok(message: Outbound) -> bool:
    return type(message) is Reply and message.status == "ok"


def crash_messages(topic: str, members: Iterable[str], reason: str) -> Messages:
    """What a topic that had these members gives out when it goes down."""
    told = (PushMessage(client_id, topic, "topic_crashed", reason) for client_id in members)
    return (System(f"topic_crashed:{topic}"), *told)


def not_joined(event: TopicEvent) -> Messages:
    """The answer to a leave, broadcast or push of a client that is no member."""
    return (error(event.client_id, event.topic, "not_joined"),)
