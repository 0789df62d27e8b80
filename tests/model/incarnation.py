"""One incarnation of a topic, held against another that was given the same: a relay, or a behaviour that can be made twice.

Of any other behaviour it can be said what its messages amount to, and not what they should be.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any

from model.reference import ReferenceTopic
from model.reference_room import HookFailed, ReferenceRoom
from msgspec import Struct

from lightspeed.actors.errors import InjectedFault, TopicStuck
from lightspeed.actors.failures import text_of
from lightspeed.actors.topics.mail import Delivery, TopicCell
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.events import Patterns, Rejoin, TopicEvent
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply, unread
from lightspeed.actors.topics.rules.presence import Recipients
from lightspeed.faults import Fault
from lightspeed.supervision.topics.options import Mailbox, Restarts

Messages = tuple[Outbound, ...]
Breach = Callable[[str, str], None]


class Rules(Struct, frozen=True):
    """What of its channel's options a topic is held to."""

    restarts: Restarts
    rejoin_window_s: float
    event_timeout_s: float
    crash_timeout_s: float
    mailboxes: Patterns[Mailbox]
    has_ledger: bool
    trusts_clock: bool
    """Whether the channel's clock does not jump."""
    may_hang: bool
    """Whether anything may not come back from what it does, so that others go on without it."""
    spoils_replies: Set[type[Fault]]
    """Faults that take replies away."""
    repeatable: Mapping[Any, Any]
    """Behaviours that do the same again when they are given the same again."""


class Incarnation:
    """For the witness. Each method says by `breach` what is wrong."""

    def __init__(self, cell: TopicCell, actor: Any, rules: Rules, breach: Breach, now_s: float) -> None:
        self._actor = actor
        self.cell, self._rules, self._breach, self.began_s = cell, rules, breach, now_s
        self.name = f"{cell.topic}#{cell.incarnation}"
        self.is_alive = True
        self.leaves_since_s: float | None = None
        """When it was told to stop or to crash; None: it was not."""
        self.at_work_since_s = now_s
        """When it was given what it is at work on."""
        self.had_members = False
        self._unread: list[tuple[Recipients | PresenceDiff, tuple[str, ...]]] = []
        self.emptied_by: TopicEvent | None = None
        """The event by which the last of its members left."""
        self._twin: ReferenceRoom | None = None
        twin = None if cell.behaved is None else rules.repeatable.get(cell.behaved.make)
        if twin is not None and cell.behaved is not None:
            self._twin = ReferenceRoom(cell.topic, twin, cell.behaved.restarted_by)
        self.reference = ReferenceTopic(cell.topic) if self._twin is None else self._twin

    @property
    def members(self) -> tuple[str, ...]:
        """Client ids in subscription order."""
        return tuple(self.reference.members)

    @property
    def is_leaving(self) -> bool:
        """It was told to stop or to crash."""
        return self.leaves_since_s is not None

    @property
    def has_more(self) -> bool:
        """Whether it has more to do, were it to answer a question only."""
        return self.is_held or bool(self._actor._pooled_inbox or self._actor._pooled_taken)

    @property
    def is_held(self) -> bool:
        """Whether something is in its hand, though nobody is ready."""
        return self.cell in self.cell.in_flight

    def handle(self, delivery: Delivery, messages: Messages, faults: Set[type[Fault]], now_s: float) -> None:
        """It has handled an event, and gave this out."""
        event, had_members = delivery.request, bool(self.reference.members)
        if delivery.is_quiet and event.client_id not in self.reference.members:
            if messages:
                self._breach("model", f"{event}, of a client that has gone, gave {messages}")
            return
        if self._twin is None and self.cell.behaved is not None:
            replies = [message for message in messages if isinstance(message, Reply)]
            if len(replies) > 1:
                self._breach("accounted_for", f"{event} was answered twice: {replies}")
            self._fold(messages)
        else:
            self._compare_event(event, messages, faults, now_s)
        if had_members and not self.reference.members:
            self.emptied_by = event

    def _compare_event(self, event: TopicEvent, messages: Messages, faults: Set[type[Fault]], now_s: float) -> None:
        try:
            due = self.reference.handle(event) if self._twin is None else self._twin.ask(event, now_s)
        except HookFailed as failure:
            self._breach("model", f"{self.name} gave {messages} for {event}, where its {failure} fails")
            return
        if faults & self._rules.spoils_replies:
            due = tuple(message for message in due if not isinstance(message, Reply))
        if not self._is_same(messages, due):
            self._breach("model", f"{event} gave {messages}, where {due} was due")
        self.had_members = self.had_members or bool(self.reference.members)

    def _is_same(self, messages: Messages, due: Messages) -> bool:
        return self._has_same_values(messages, due) and self._has_same_beside(messages, due)

    def _has_same_beside(self, messages: Messages, due: Messages) -> bool:
        """What is no part of their values: whom a diff is for, read when others have come and gone; whom a broadcast is from."""
        for message, other in zip(messages, due, strict=True):
            if isinstance(message, PresenceDiff) and isinstance(other, PresenceDiff):
                self._unread.append((message, other.recipients))
        pairs = zip(messages, due, strict=True) if self._twin is None else ()  # a twin's hooks don't say whom a broadcast is from
        return all(getattr(message, "sender", None) == getattr(other, "sender", None) for message, other in pairs)

    def _has_same_values(self, messages: Messages, due: Messages) -> bool:
        first = messages[0] if messages else None
        recipients = unread(first) if type(first) is BroadcastMessage else None
        if recipients is None or len(messages) != 1:
            return messages == due
        if len(due) != 1 or not isinstance(due[0], BroadcastMessage):
            return False
        assert isinstance(first, BroadcastMessage)
        self._unread.append((recipients, due[0].recipients))  # it is read when others have come and gone
        return first.payload == due[0].payload

    def ring(self, messages: Messages, now_s: float) -> None:
        """It gave this out of itself."""
        if self._twin is None:
            self._fold(messages)
        elif messages:
            self._compare(messages, lambda twin: twin.ring(now_s))

    def take_back(self, members: dict[str, tuple[str, int, str]], unsure: Set[str], messages: Messages, now_s: float) -> None:
        """It gave this out as members came back. `unsure`: of whom it is not known whether they do."""
        rejoins = [Rejoin(client, self.cell.topic, *rest) for client, rest in members.items()]
        self._check_told(members, messages)
        if self._twin is None or unsure:
            self._twin = None
            self._check_comeback(rejoins, unsure, messages)
            self._fold(messages)
            order = [client for client in members if client in self.reference.members]  # a diff is in the order of its keys
            self.reference.members = {client: self.reference.members[client] for client in (*order, *self.reference.members)}
        else:
            self._compare(messages, lambda twin: twin.replay(rejoins, now_s), "rejoin")

    def fail(self, error: BaseException, in_flight: Any, comes_back: bool, now_s: float) -> None:
        """It died of this. `comes_back`: members were to be brought back, and have not been."""
        if self._twin is None or isinstance(error, (InjectedFault, TopicStuck)) or in_flight is None or comes_back:
            return
        try:
            if type(in_flight) is Delivery:
                self._twin.ask(in_flight.request, now_s)
            else:
                self._twin.ring(now_s)
        except HookFailed:
            return
        self._breach("model", f"{self.name} failed of {text_of(error)}, where its behaviour fails of nothing")

    def stop(self, now_s: float) -> int | None:
        """It was stopped. How many messages that gives out, to nobody; None: that can't be told."""
        if self._twin is None:
            return 0 if self.cell.behaved is None else None
        return len(self._twin.end(now_s))

    def check(self, now_s: float) -> None:
        """It is at rest."""
        missed = None if self._twin is None else self._twin.has_missed(now_s)
        if missed is not None:
            self._breach("model", f"a timer of {self.name}, {missed!r}, has not rung")
        self.check_state()

    def check_state(self) -> None:
        """It is at rest, or has ended as it was told: it holds what it was seen to have become."""
        cell, state = self.cell, self.cell.state
        for recipients, members in self._unread:
            read = recipients.recipients if isinstance(recipients, PresenceDiff) else tuple(recipients)
            if read != members:
                self._breach("model", f"recipients {read}, read later, where {members} were due")
        self._unread.clear()
        if state is None or not cell.settled:
            return
        if isinstance(state, BehavedTopic) and not state.presences and not self.reference.members:
            return
        if state.subscribers != self.members:
            self._breach("model", f"{self.name} has {state.subscribers}, where {self.members} were due")
        if state.presences != self.reference.presences:
            self._breach("presence", f"{self.name} has {state.presences}, where {self.reference.presences} was due")

    def _compare(self, messages: Messages, ask: Callable[[ReferenceRoom], Messages], invariant: str = "model") -> None:
        assert self._twin is not None
        try:
            due = ask(self._twin)
        except HookFailed as failure:
            self._breach(invariant, f"{self.name} gave {messages}, where its {failure} fails")
            return
        if due != messages:
            self._breach(invariant, f"{self.name} gave {messages} of itself, where {due} was due")
        self.had_members = self.had_members or bool(self.reference.members)

    def _fold(self, messages: Messages) -> None:
        for message in messages:
            if isinstance(message, PresenceDiff):
                try:
                    self.reference.fold(message.diff)
                except (KeyError, ValueError):
                    self._breach("presence", f"{message} does not fit {self.reference.presences}")
        self.had_members = self.had_members or bool(self.reference.members)

    def _check_told(self, members: dict[str, tuple[str, int, str]], messages: Messages) -> None:
        """Nobody asked to come back: there is no reply, and only who is refused is told so, once."""
        replies = [message for message in messages if isinstance(message, Reply)]
        told = _removed(messages)
        if replies or len(set(told)) < len(told) or not members.keys() >= set(told):
            self._breach("rejoin", f"{self.name} gave {messages} as {list(members)} came back")

    def _check_comeback(self, rejoins: list[Rejoin], unsure: Set[str], messages: Messages) -> None:
        if self.cell.behaved is None and any(not isinstance(message, PresenceDiff) for message in messages):
            self._breach("rejoin", f"{self.name} gave {messages} as members came back")
        diffs = [message.diff for message in messages if isinstance(message, PresenceDiff)]
        comers = [(entry.key, meta) for diff in diffs for entry in diff.joins for meta in entry.metas]
        came = sorted((meta.client_id, key, meta.online_at_ms) for key, meta in comers)
        due = sorted((event.client_id, event.user_id, event.now_ms) for event in rejoins)
        if len(diffs) > 1:
            self._breach("rejoin", f"{self.name} gave {len(diffs)} diffs as members came back")
        refused = set(_removed(messages))
        unsure = unsure | refused  # they are told, and do not come
        sure = [one for one in due if one[0] not in unsure]
        is_wrong = [one for one in came if one[0] not in unsure] != sure or not set(came) <= set(due)
        if is_wrong or refused.intersection(client for client, _user, _at_ms in came):
            self._breach("rejoin", f"{came} came back to {self.name}, where {due} were due, and refused were {sorted(refused)}")


def _removed(messages: Messages) -> list[str]:
    """Who was told that it is out."""
    return [message.client_id for message in messages if isinstance(message, PushMessage) and message.is_notice]
