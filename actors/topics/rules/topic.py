"""One topic's state: its members, in subscription order, and their presence.

Everything that decides what an event does to a topic lives in this file. It knows no actor, thread, clock or channel.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from msgspec import Struct, field

from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Push, Rejoin, TopicEvent
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply, System, error
from lightspeed.actors.topics.rules.presence import Diff, Entry, Presence, Roster, recipients_of

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
    size: int = 0
    """How many they are."""
    _presence: Presence = field(default_factory=Presence)
    _recipients: Any = None  # of the last broadcast, if membership has not changed since
    _roster: Roster | None = None  # made for the first broadcast to many
    _changes: list[tuple[str, bool]] = []  # who came (True) or left since the last one

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
        out: list[tuple[int, Messages]] = []
        self.handle_into(event, 0, out)
        return out[0][1]

    def handle_into(self, event: TopicEvent, seq: int, out: list[tuple[int, Messages]]) -> None:
        """As `handle`; what it gives out is added to the list, under the number. The event takes effect whole, or not at all.

        In each step below all that is changed, and what is given out, is changed by statements that stand together and call
        nothing: no exception of the calling thread's (an alarm, a Ctrl-C, a recursion too deep) comes in between.
        """
        _STEPS[type(event)](self, event, seq, out)

    def _join(self, event: Join, seq: int, out: list[tuple[int, Messages]]) -> None:
        if event.client_id in self.users:
            out += ((seq, (error(event.client_id, self.topic, "already_joined"),)),)
        else:
            self._add(event, "joined", seq, out)

    def _rejoin(self, event: Rejoin, seq: int, out: list[tuple[int, Messages]]) -> None:
        client_id, user_id = event.client_id, self.users.get(event.client_id)
        if user_id is None:
            self._add(event, "rejoined", seq, out)
            return
        if event.now_ms <= self._presence.online_at_ms(client_id, user_id):
            out += ((seq, (Reply(client_id, self.topic, "ok", "rejoined"),)),)
            return
        left, old, old_key = self._presence.going(client_id, user_id)
        come, new, new_key, meta = self._presence.coming(client_id, event.user_id, event.now_ms)
        if user_id == event.user_id:  # where the old one stood
            new, new_key, meta = old, old_key, come.metas[0]
        messages = self._ok(event, "rejoined", joins=(come,), leaves=(left,))
        out += ((seq, messages),)
        del old[old_key]
        new[new_key] = meta
        self.users[client_id] = event.user_id

    def _leave(self, event: Leave, seq: int, out: list[tuple[int, Messages]]) -> None:
        client_id, user_id = event.client_id, self.users.get(event.client_id)
        if user_id is None:
            out += ((seq, not_joined(event)),)
            return
        left, table, key = self._presence.going(client_id, user_id)
        messages = self._ok(event, "left", leaves=(left,))
        self._keep_roster_short()
        out += ((seq, messages),)
        del table[key]
        del self.users[client_id]
        self.size -= 1
        self._recipients = None
        if self._roster is not None:
            self._changes += ((client_id, False),)

    def _broadcast(self, event: Broadcast, seq: int, out: list[tuple[int, Messages]]) -> None:
        if event.client_id not in self.users:
            out += ((seq, not_joined(event)),)
            return
        recipients = self._recipients
        if recipients is None:
            recipients = self._recipients = self._gather()
        out += ((seq, (BroadcastMessage(self.topic, event.payload, recipients),)),)

    def _gather(self) -> Any:
        """What stands for them in a message until somebody reads it."""
        roster, changes, self._roster, self._changes = self._roster, self._changes, None, []  # until it is whole again
        if roster is None:
            if self.size < self.many:
                return recipients_of(tuple(self.users))
            roster = self.roster(self.users)
            changes = []
        for client_id, came in changes:
            (roster.add if came else roster.remove)(client_id)
        self._roster = roster
        return roster.recipients

    def _push(self, event: Push, seq: int, out: list[tuple[int, Messages]]) -> None:
        if event.client_id in self.users:
            out += ((seq, (PushMessage(event.client_id, self.topic, event.event, event.payload),)),)
        else:
            out += ((seq, not_joined(event)),)

    def _add(self, event: Join | Rejoin, payload: str, seq: int, out: list[tuple[int, Messages]]) -> None:
        client_id = event.client_id
        come, table, key, meta = self._presence.coming(client_id, event.user_id, event.now_ms)
        messages = self._ok(event, payload, joins=(come,))
        self._keep_roster_short()
        out += ((seq, messages),)
        table[key] = meta
        self.users[client_id] = event.user_id
        self.size += 1
        self._recipients = None
        if self._roster is not None:
            self._changes += ((client_id, True),)

    def _keep_roster_short(self) -> None:
        """Without broadcasts nobody needs the roster: then it is made anew when somebody does."""
        if self._roster is not None and len(self._changes) > 2 * self.many + self.size:
            self._roster, self._changes = None, []

    def _ok(self, event: TopicEvent, payload: str, *, joins: tuple[Entry, ...] = (), leaves: tuple[Entry, ...] = ()) -> Messages:
        diff = Diff(self.topic, joins, leaves)
        return (Reply(event.client_id, self.topic, "ok", payload), PresenceDiff(self.topic, diff))


_STEPS: dict[type, Callable[[TopicState, Any, int, list[tuple[int, Messages]]], None]] = {
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
