"""A topic written a second time, as plainly as can be, for the actors to be compared with. Pure.

It shares nothing with what it is compared with but the shapes of events and messages.
"""

from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Publish, Push, Rejoin, Send, TopicEvent
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply, set_aside
from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta


class ReferenceTopic:
    """The members of one topic, and who is present."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.members: dict[str, tuple[str, int, str]] = {}
        """client -> user, time and text, in subscription order."""
        self.keys: dict[str, list[Meta]] = {}

    @property
    def presences(self) -> tuple[Entry, ...]:
        return tuple(Entry(key, tuple(metas)) for key, metas in self.keys.items())

    def handle(self, event: TopicEvent) -> tuple[Outbound, ...]:
        """What the relay gives out for it."""
        if isinstance(event, (Join, Rejoin)):
            return self._come(event)
        if isinstance(event, Publish):
            return (BroadcastMessage(self.topic, event.payload, tuple(self.members), event.event),) if self.members else ()
        if isinstance(event, Send):
            is_in = event.client_id in self.members
            return (PushMessage(event.client_id, self.topic, event.event, event.payload),) if is_in else ()
        if event.client_id not in self.members:
            return (Reply(event.client_id, self.topic, "error", "not_joined"),)
        if isinstance(event, Broadcast):
            message = BroadcastMessage(self.topic, event.payload, tuple(self.members), event.event)
            set_aside(message, event.client_id)
            return (message,)
        if isinstance(event, Push):
            return (PushMessage(event.client_id, self.topic, event.event, event.payload),)
        assert isinstance(event, Leave)
        user, since_ms, _text = self.members[event.client_id]
        if event.now_ms is not None and event.now_ms < since_ms:
            return (self._reply(event, "left"),)
        leaves = self._vanish(event.client_id, user)
        del self.members[event.client_id]
        return (self._reply(event, "left"), self._diff(leaves=leaves))

    def replay(self, rejoins: list[Rejoin], now_s: float) -> tuple[Outbound, ...]:
        """What is given out as members are brought back, into a topic that nobody is in: one diff of all."""
        for rejoin in rejoins:
            self._come(rejoin)
        return (self._diff(joins=self.presences),) if self.members else ()

    def fold(self, diff: Diff) -> None:
        """Take over what a presence diff says: who went, then who came; who did both keeps his place."""
        gone = {_client_of(meta): entry.key for entry in diff.leaves for meta in entry.metas}
        for client, key in gone.items():
            self._vanish(client, key)
        for entry in diff.joins:
            for meta in entry.metas:
                gone.pop(_client_of(meta), None)
                self._appear(_client_of(meta), entry.key, meta.online_at_ms, meta.meta)
        for client in gone:
            del self.members[client]

    def _come(self, event: Join | Rejoin) -> tuple[Outbound, ...]:
        done, known = "joined" if isinstance(event, Join) else "rejoined", self.members.get(event.client_id)
        if known is None:
            joins = self._appear(event.client_id, event.user_id, event.now_ms, event.meta or "")
            return (self._reply(event, done), self._diff(joins=joins))
        if isinstance(event, Join):
            return (Reply(event.client_id, self.topic, "error", "already_joined"),)
        if event.now_ms <= known[1]:
            return (self._reply(event, done),)
        leaves = self._vanish(event.client_id, known[0])
        text = known[2] if event.meta is None else event.meta
        joins = self._appear(event.client_id, event.user_id, event.now_ms, text)  # it keeps its place in subscription order
        return (self._reply(event, done), self._diff(joins=joins, leaves=leaves))

    def _appear(self, client: str, user: str, now_ms: int, text: str) -> tuple[Entry, ...]:
        meta = Meta(f"{client}:{now_ms}", now_ms, text)
        self.members[client] = (user, now_ms, text)
        self.keys.setdefault(user, []).append(meta)
        return (Entry(user, (meta,)),)

    def _vanish(self, client: str, user: str) -> tuple[Entry, ...]:
        _, now_ms, text = self.members[client]
        meta = Meta(f"{client}:{now_ms}", now_ms, text)
        self.keys[user].remove(meta)
        if not self.keys[user]:
            del self.keys[user]
        return (Entry(user, (meta,)),)

    def _reply(self, event: TopicEvent, payload: str) -> Reply:
        return Reply(event.client_id, self.topic, "ok", payload)

    def _diff(self, joins: tuple[Entry, ...] = (), leaves: tuple[Entry, ...] = ()) -> PresenceDiff:
        diff = PresenceDiff(self.topic, Diff(self.topic, joins, leaves))
        set_aside(diff, tuple(self.members))
        return diff


def _client_of(meta: Meta) -> str:
    return meta.ref.rpartition(":")[0]
