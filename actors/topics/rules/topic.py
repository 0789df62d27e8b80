"""One topic's state: its members, in subscription order, and their presence.

Everything that decides what an event does to a topic lives in this file. It knows no actor, thread, clock or channel.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from msgspec import field

from lightspeed.actors.topics.rules.events import (
    Broadcast,
    ClientEvent,
    Join,
    Leave,
    Publish,
    Push,
    Rejoin,
    Relayed,
    Send,
    TopicEvent,
)
from lightspeed.actors.topics.rules.outbound import (
    BroadcastMessage,
    Outbound,
    PresenceDiff,
    PushMessage,
    Reply,
    System,
    error,
    notice,
    set_aside,
)
from lightspeed.actors.topics.rules.presence import Diff, Entry, Presence, Roster, recipients_of
from lightspeed.actors.topics.rules.union import Union

Messages = tuple[Outbound, ...]


class TopicState(Presence, eq=False, gc=False):
    """Not for more than one thread: its owner is one topic actor.

    What it holds leads nowhere back to it, so the collector need not look at it (`gc=False`): with a million topics that counts.
    """

    many: ClassVar[int] = 32
    """From so many members on a roster is kept, and its snapshots are put together when somebody reads them; a smaller tuple is
    as quickly made, and a quiet topic keeps nothing for it."""
    roster: ClassVar[type[Roster]] = Roster
    union: ClassVar[Union | None] = None
    """As of a `BoundedTopic`."""

    topic: str
    users: dict[str, str] = field(default_factory=dict)
    """The members: client_id -> user_id, in subscription order."""
    size: int = 0
    """How many they are."""
    _recipients: Any = None  # of the last broadcast, if membership has not changed since
    _roster: Roster | None = None  # of many; None: they are few, or it has yet to be made

    def __len__(self) -> int:
        """How many members."""
        return len(self.users)

    @property
    def subscribers(self) -> tuple[str, ...]:
        """Client ids in subscription order."""
        return tuple(self.users)

    @property
    def presences(self) -> tuple[Entry, ...]:
        """Who is present, on all nodes."""
        return self.entries() if self.union is None else self.union.entries()

    @property
    def rejoins(self) -> tuple[Rejoin, ...]:
        """The events by which another state would have the same members, in subscription order, and the same metas.

        The supervisor asks for it when the actor has ended, or was given up and is stuck in the user's code.
        """
        rejoins = []
        for client_id, user_id in self.users.copy().items():
            meta = self.find_meta(client_id, user_id)
            if meta is not None:  # else it is leaving at this moment: an actor that was given up has come back
                rejoins.append(Rejoin(client_id, self.topic, user_id, meta.online_at_ms, meta.meta or None))
        return tuple(rejoins)

    def replay(self, rejoins: Iterable[Rejoin]) -> Messages:
        """Take members back, into a topic that nobody is in. Nobody asked for it: there are no replies, and one presence diff."""
        for event in rejoins:
            self._take(event)
        return self._all_joined()

    def _take(self, rejoin: Rejoin) -> None:
        TopicState.handle(self, rejoin)

    def _all_joined(self) -> Messages:
        """The diff by which everybody who is in it has come."""
        return (self._diff(self._everyone(), joins=self.entries()),) if self.users else ()

    def take_afar(self, diff: Diff) -> Messages:
        """Take over what other nodes show anew, or no more."""
        assert self.union is not None
        change = self.union.change(self.topic, diff.joins, diff.leaves)
        return (
            (self._diff(self._everyone(), change.joins, change.leaves),) if self.users and (change.joins or change.leaves) else ()
        )

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
        before = self.meta(client_id, user_id)
        if event.now_ms <= before.online_at_ms:
            out += ((seq, (Reply(client_id, self.topic, "ok", "rejoined"),)),)
            return
        text = before.meta if event.meta is None else event.meta
        left, old, old_key = self.going(client_id, user_id)
        come, new, new_key, meta = self.coming(client_id, event.user_id, event.now_ms, text)
        if user_id == event.user_id:  # where the old one stood
            new, new_key, meta = old, old_key, come.metas[0]
        messages = self._ok(event, "rejoined", self._everyone(), joins=(come,), leaves=(left,))
        out += ((seq, messages),)
        del old[old_key]
        new[new_key] = meta
        self.users[client_id] = event.user_id

    def _leave(self, event: Leave, seq: int, out: list[tuple[int, Messages]]) -> None:
        client_id, user_id = event.client_id, self.users.get(event.client_id)
        if user_id is None:
            out += ((seq, not_joined(event)),)
            return
        if event.now_ms is not None and self.is_stale(event):
            out += ((seq, (Reply(client_id, self.topic, "ok", "left"),)),)
            return
        left, table, key = self.going(client_id, user_id)
        roster = self._roster_of(self.size - 1)
        if roster is None:
            others = list(self.users)
            others.remove(client_id)
            messages = self._ok(event, "left", tuple(others), leaves=(left,))
        else:
            messages = self._ok(event, "left", roster.without_another(), leaves=(left,))
        out += ((seq, messages),)
        del table[key]
        del self.users[client_id]
        self.size -= 1
        self._recipients = self._roster = None
        if roster is not None:
            roster.remove(client_id)
            self._roster = roster  # it is whole again

    def _broadcast(self, event: Broadcast, seq: int, out: list[tuple[int, Messages]]) -> None:
        if event.client_id not in self.users:
            out += ((seq, not_joined(event)),)
            return
        recipients = self._recipients
        if recipients is None:
            recipients = self._recipients = self._everyone()
        message = BroadcastMessage(self.topic, event.payload, recipients, event.event)
        set_aside(message, event.client_id)
        out += ((seq, (message,)),)

    def _publish(self, event: Publish, seq: int, out: list[tuple[int, Messages]]) -> None:
        if self.users:
            self._recipients = self._everyone()
            out += ((seq, (BroadcastMessage(self.topic, event.payload, self._recipients, event.event),)),)
        else:
            out += ((seq, ()),)

    def _relayed(self, event: Relayed, seq: int, out: list[tuple[int, Messages]]) -> None:
        self._publish(event, seq, out)
        for message in out[-1][1]:
            set_aside(message, event.sender)

    def is_stale(self, event: Leave) -> bool:
        """Whether a member's leave is older than its last join or rejoin."""
        online_at_ms = self.meta(event.client_id, self.users[event.client_id]).online_at_ms
        return event.now_ms is not None and event.now_ms < online_at_ms

    def _everyone(self) -> Any:
        """What stands for the members in a message until somebody reads it."""
        if self._recipients is not None:
            return self._recipients
        self._roster = self._roster_of(self.size)
        return recipients_of(tuple(self.users)) if self._roster is None else self._roster.recipients

    def _roster_of(self, size: int) -> Roster | None:
        """The roster of the present members, where it is worth having in a topic that will have so many."""
        if size < self.many:
            return None
        return self.roster(self.users) if self._roster is None else self._roster

    def _push(self, event: Push | Send, seq: int, out: list[tuple[int, Messages]]) -> None:
        if event.client_id in self.users:
            out += ((seq, (PushMessage(event.client_id, self.topic, event.event, event.payload),)),)
        else:
            out += ((seq, not_joined(event)),)

    def _add(self, event: Join | Rejoin, payload: str, seq: int, out: list[tuple[int, Messages]]) -> None:
        client_id = event.client_id
        come, table, key, meta = self.coming(client_id, event.user_id, event.now_ms, event.meta or "")
        roster = self._roster_of(self.size + 1)
        if roster is None:  # the text itself where there is nobody else: it is what a million quiet topics have in the outbox
            messages = self._ok(event, payload, (*self.users, client_id) if self.size else client_id, joins=(come,))
        else:
            messages = self._ok(event, payload, roster.with_another(), joins=(come,))
        out += ((seq, messages),)
        table[key] = meta
        self.users[client_id] = event.user_id
        self.size += 1
        self._recipients = self._roster = None
        if roster is not None:
            roster.add(client_id)
            self._roster = roster  # it is whole again

    def _ok(
        self, event: ClientEvent, payload: str, to: Any, *, joins: tuple[Entry, ...] = (), leaves: tuple[Entry, ...] = ()
    ) -> Messages:
        return (Reply(event.client_id, self.topic, "ok", payload), self._diff(to, joins, leaves))

    def _diff(self, to: Any, joins: tuple[Entry, ...] = (), leaves: tuple[Entry, ...] = ()) -> PresenceDiff:
        """The diff for those in `to`: what `PresenceDiff` takes for its recipients."""
        diff = PresenceDiff(self.topic, Diff(self.topic, joins, leaves))
        set_aside(diff, to)
        return diff


class BoundedTopic(TopicState, eq=False, gc=False):
    """As `TopicState`, with a bound that most topics have not."""

    max_members: int | None = None
    """So many members it takes; a join beyond is refused. None: any number."""
    union: Union | None = None  # type: ignore[misc]
    """Who is present on all nodes of the channel's cluster, this one included; None: it has none."""

    def _add(self, event: Join | Rejoin, payload: str, seq: int, out: list[tuple[int, Messages]]) -> None:
        if self.max_members is not None and self.size >= self.max_members:
            out += ((seq, (error(event.client_id, self.topic, "too_many_members"),)),)
        else:
            super()._add(event, payload, seq, out)


_STEPS: dict[type, Callable[[TopicState, Any, int, list[tuple[int, Messages]]], None]] = {
    Join: TopicState._join,
    Rejoin: TopicState._rejoin,
    Leave: TopicState._leave,
    Broadcast: TopicState._broadcast,
    Push: TopicState._push,
    Publish: TopicState._publish,
    Relayed: TopicState._relayed,
    Send: TopicState._push,
}


def crash_messages(topic: str, members: Iterable[str], reason: str) -> Messages:
    """What a topic that had these members gives out when it goes down."""
    told = (notice(client_id, topic, "topic_crashed", reason) for client_id in members)
    return (System(f"topic_crashed:{topic}"), *told)


def not_joined(event: TopicEvent) -> Messages:
    """The answer to a leave, broadcast or push of a client that is no member. The program is not answered."""
    return refused(event, "not_joined")


def refused(event: TopicEvent, why: str) -> Messages:
    """The answer to an event that has no effect. The program is not answered."""
    return () if isinstance(event, (Publish, Send)) else (error(event.client_id, event.topic, why),)
