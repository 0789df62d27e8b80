"""A topic written a second time, as plainly as can be, for the actors to be compared with. Pure.

It shares nothing with what it is compared with but the shapes of events and messages.
"""

from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Push, Rejoin, TopicEvent
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply, set_aside
from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta


class ReferenceTopic:
    """The members of one topic, and who is present."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.members: dict[str, tuple[str, int]] = {}
        """client -> user and time, in subscription order."""
        self.keys: dict[str, list[Meta]] = {}

    @property
    def presences(self) -> tuple[Entry, ...]:
        return tuple(Entry(key, tuple(metas)) for key, metas in self.keys.items())

    def handle(self, event: TopicEvent) -> tuple[Outbound, ...]:
        """What the relay gives out for it."""
        if isinstance(event, (Join, Rejoin)):
            return self._come(event)
        if event.client_id not in self.members:
            return (Reply(event.client_id, self.topic, "error", "not_joined"),)
        if isinstance(event, Broadcast):
            message = BroadcastMessage(self.topic, event.payload, tuple(self.members))
            set_aside(message, event.client_id)
            return (message,)
        if isinstance(event, Push):
            return (PushMessage(event.client_id, self.topic, event.event, event.payload),)
        assert isinstance(event, Leave)
        user, _ = self.members[event.client_id]
        leaves = self._vanish(event.client_id, user)
        del self.members[event.client_id]
        return (self._reply(event, "left"), self._diff(leaves=leaves))

    def fold(self, diff: Diff) -> None:
        """Take over what a presence diff says: who went, then who came; who did both keeps his place."""
        gone = {_client_of(meta): entry.key for entry in diff.leaves for meta in entry.metas}
        for client, key in gone.items():
            self._vanish(client, key)
        for entry in diff.joins:
            for meta in entry.metas:
                gone.pop(_client_of(meta), None)
                self._appear(_client_of(meta), entry.key, meta.online_at_ms)
        for client in gone:
            del self.members[client]

    def _come(self, event: Join | Rejoin) -> tuple[Outbound, ...]:
        done, known = "joined" if isinstance(event, Join) else "rejoined", self.members.get(event.client_id)
        if known is None:
            joins = self._appear(event.client_id, event.user_id, event.now_ms)
            return (self._reply(event, done), self._diff(joins=joins))
        if isinstance(event, Join):
            return (Reply(event.client_id, self.topic, "error", "already_joined"),)
        if event.now_ms <= known[1]:
            return (self._reply(event, done),)
        leaves = self._vanish(event.client_id, known[0])
        joins = self._appear(event.client_id, event.user_id, event.now_ms)  # it keeps its place in subscription order
        return (self._reply(event, done), self._diff(joins=joins, leaves=leaves))

    def _appear(self, client: str, user: str, now_ms: int) -> tuple[Entry, ...]:
        meta = Meta(f"{client}:{now_ms}", now_ms)
        self.members[client] = (user, now_ms)
        self.keys.setdefault(user, []).append(meta)
        return (Entry(user, (meta,)),)

    def _vanish(self, client: str, user: str) -> tuple[Entry, ...]:
        _, now_ms = self.members[client]
        meta = Meta(f"{client}:{now_ms}", now_ms)
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
