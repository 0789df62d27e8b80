"""A topic with a behaviour, written a second time, for behaviours that are the same again when they are given the same again.

It makes a behaviour of its own and gives it what the other one was given. What comes of it is what the other must have given out.
"""

from collections.abc import Callable
from typing import Any, Literal

from model.reference import ReferenceTopic

from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Publish, Push, Rejoin, Send, TopicEvent
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.testing.clock import EPSILON_S

Messages = tuple[Outbound, ...]


class HookFailed(Exception):
    """The behaviour raised: its topic must fail, and the event has had no effect."""


class ReferenceRoom(ReferenceTopic):
    """As `ReferenceTopic`.

    Args:
        restarted_by: what the incarnation before it failed of; None: it did not.
    """

    def __init__(self, topic: str, make: Callable[[], Any], restarted_by: str | None) -> None:
        super().__init__(topic)
        self._make, self._restarted_by = make, restarted_by
        self._behaviour: Any = None
        self._room = _Room(self)
        self.timers: dict[str, float] = {}
        """When each that was started is due."""

    def ask(self, event: TopicEvent, now_s: float) -> Messages:
        """What it gives out for the event.

        Raises:
            HookFailed: a hook did.
        """
        return (*self._begin(now_s), *self._answer(event, now_s))

    def replay(self, rejoins: list[Rejoin], now_s: float) -> Messages:
        """What it gives out when members are brought back. Raises as `ask`."""
        given: list[Outbound] = [*self._begin(now_s)]
        for event in rejoins:
            self.handle(event)
            reply, more = self._call(now_s, event.client_id, "on_rejoin", event.client_id, event.user_id)
            given += [message for message in more if not isinstance(message, PresenceDiff)]
            if reply is not None and reply.status == "error":
                given.append(PushMessage(event.client_id, self.topic, "removed", reply.payload))
                self.handle(Leave(event.client_id, self.topic))
        return (*given, self._diff(joins=self.presences)) if self.members else tuple(given)

    def ring(self, now_s: float) -> Messages:
        """What it gives out when its timer that is due rings; nothing where none is. Raises as `ask`."""
        due = [name for name, due_s in self.timers.items() if due_s <= now_s + EPSILON_S]
        if not due:
            return ()
        name = min(due, key=self.timers.__getitem__)
        del self.timers[name]
        return self._call(now_s, None, "on_timer", name)[1]

    def end(self, now_s: float) -> Messages:
        """What it gives out, to nobody, when it is stopped. Raises as `ask`."""
        return () if self._behaviour is None else self._call(now_s, None, "on_stop")[1]

    def has_missed(self, now_s: float) -> str | None:
        """A timer that should have rung; None: there is none."""
        return next((name for name, due_s in self.timers.items() if due_s < now_s - EPSILON_S), None)

    def _begin(self, now_s: float) -> Messages:
        if self._behaviour is not None:
            return ()
        self._behaviour = self._make()
        if self._restarted_by is None:
            return self._call(now_s, None, "on_start")[1]
        return self._call(now_s, None, "on_restart", self._restarted_by)[1]

    def _answer(self, event: TopicEvent, now_s: float) -> Messages:
        if isinstance(event, Publish):
            return self._call(now_s, None, "on_publish", event.payload, name=event.event)[1] if self.members else ()
        if isinstance(event, Send):
            return self.handle(event)
        client = event.client_id
        is_member = client in self.members
        if isinstance(event, Rejoin) and is_member:
            return self._renew(event, now_s)
        if isinstance(event, (Join, Rejoin)):
            return self.handle(event) if is_member else self._admit(event, now_s)
        if not is_member or (isinstance(event, Leave) and event.now_ms is not None and event.now_ms < self.members[client][1]):
            return self.handle(event)
        if isinstance(event, Leave):
            reply, more = self._call(now_s, client, "on_leave", client, gone=client)
            usual, diff = self.handle(event)
            return (usual if reply is None else reply, diff, *more)
        if isinstance(event, Broadcast):
            reply, more = self._call(now_s, client, "on_broadcast", client, event.payload, name=event.event)
        else:
            assert isinstance(event, Push)
            reply, more = self._call(now_s, client, "on_push", client, event.event, event.payload)
        return more if reply is None else (reply, *more)

    def _renew(self, event: Rejoin, now_s: float) -> Messages:
        client = event.client_id
        if event.now_ms <= self.members[client][1]:
            return self.handle(event)
        reply, more = self._call(now_s, client, "on_rejoin", client, event.user_id)
        if client not in self.members:
            return (reply or Reply(client, self.topic, "error", "removed"), *more)
        if reply is not None and reply.status == "error":
            _, diff = self.handle(Leave(client, self.topic))
            return (reply, *more, PushMessage(client, self.topic, "removed", reply.payload), diff)
        usual, diff = self.handle(event)
        return (usual if reply is None else reply, diff, *more)

    def _admit(self, event: Join | Rejoin, now_s: float) -> Messages:
        usual, diff = self.handle(event)
        hook = "on_join" if isinstance(event, Join) else "on_rejoin"
        try:
            reply, more = self._call(now_s, event.client_id, hook, event.client_id, event.user_id)
        except HookFailed:
            self.handle(Leave(event.client_id, self.topic))
            raise
        if reply is not None and reply.status == "error":
            self.handle(Leave(event.client_id, self.topic))
            return (reply, *more)
        return (usual if reply is None else reply, diff, *more)

    def _call(
        self, now_s: float, client: str | None, hook: str, *args: Any, gone: str | None = None, name: str = ""
    ) -> tuple[Reply | None, Messages]:
        self._room.begin(client, gone, name)
        try:
            returned = getattr(self._behaviour, hook)(self._room, *args)
        except Exception as error:  # a hook may raise whatever it likes
            raise HookFailed(hook) from error
        if returned is not None:
            raise HookFailed(hook)
        for name, delay_s in self._room.timers.items():
            self.timers.pop(name, None)
            if delay_s is not None:
                self.timers[name] = now_s + delay_s
        given: list[Outbound] = []
        for message in self._room.given:
            given.append(message)
            if message in self._room.removals:
                self._room.removals.remove(message)
                assert isinstance(message, PushMessage)
                leaves = self._vanish(message.client_id, self.members[message.client_id][0])
                del self.members[message.client_id]
                given.append(self._diff(leaves=leaves))
        return self._room.reply_given, tuple(given)


class _Room:
    """What a behaviour may do, as of `Room`."""

    def __init__(self, reference: ReferenceRoom) -> None:
        self._reference = reference
        self.topic = reference.topic
        self.begin(None, None, "")

    def begin(self, client: str | None, gone: str | None, name: str) -> None:
        self._client, self._gone, self.event = client, set() if gone is None else {gone}, name
        self.removals: list[Outbound] = []
        self.reply_given: Reply | None = None
        self.given: list[Outbound] = []
        self.timers: dict[str, float | None] = {}

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(client for client in self._reference.members if client not in self._gone)

    @property
    def presences(self) -> tuple[Entry, ...]:
        gone = {f"{client}:{self._reference.members[client][1]}" for client in self._gone}
        left = (
            Entry(entry.key, tuple(meta for meta in entry.metas if meta.ref not in gone)) for entry in self._reference.presences
        )
        return tuple(entry for entry in left if entry.metas)

    def user_of(self, client_id: str) -> str:
        self._expect_member(client_id)
        return self._reference.members[client_id][0]

    def reply(self, payload: str) -> None:
        self._answer("ok", payload)

    def refuse(self, reason: str) -> None:
        self._answer("error", reason)

    def push(self, client_id: str, event: str, payload: str) -> None:
        self._expect_member(client_id)
        self.given.append(PushMessage(client_id, self.topic, event, payload))

    def broadcast(self, payload: str, *, but: str | None = None, event: str = "") -> None:
        recipients = tuple(client for client in self.members if client != but)
        self.given.append(BroadcastMessage(self.topic, payload, recipients, event))

    def remove(self, client_id: str, reason: str) -> None:
        self._expect_member(client_id)
        self.given.append(PushMessage(client_id, self.topic, "removed", reason))
        self.removals.append(self.given[-1])
        self._gone.add(client_id)

    def start_timer(self, name: str, delay_s: float) -> None:
        self.timers[name] = delay_s

    def cancel_timer(self, name: str) -> None:
        self.timers[name] = None

    def _answer(self, status: Literal["ok", "error"], payload: str) -> None:
        if self._client is None or self.reply_given is not None:
            raise ValueError("there is nobody to reply to, or he has his reply")
        self.reply_given = Reply(self._client, self.topic, status, payload)

    def _expect_member(self, client_id: str) -> None:
        if client_id not in self.members:
            raise ValueError(f"{client_id} is no member")
