"""Who of a channel's clients is where: it learns of all that is given out, and puts it into their inboxes.

Each topic is followed on its own actor's thread, in its order, so what is kept of one topic is changed by one thread at a time.
What is kept of all members of the channel, the index of their topics, is under a lock.
"""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lightspeed.actors.runtime import ReplyTo
from lightspeed.actors.topics.mail import Collected
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, PresenceDiff, PushMessage, Reply
from lightspeed.actors.topics.rules.presence import Entry, Meta
from lightspeed.actors.topics.rules.topic import Messages, TopicState
from lightspeed.clients.inbox import Gap, InboxQueue, put_all

if TYPE_CHECKING:
    from lightspeed.clients.session import Session

_MANY = 8  # topics of a client, from which on they are a dict


class _View:
    """What the clients in one topic see of it."""

    __slots__ = ("inboxes", "lock", "members", "presence", "recipients")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.members: dict[str, Session] = {}
        """Those of the clients who are in it."""
        self.lock = threading.RLock()
        self.presence: dict[str, tuple[Meta, ...]] = {entry.key: entry.metas for entry in entries}
        """Under the lock."""
        self.recipients: tuple[str, ...] | None = None
        self.inboxes: tuple[InboxQueue, ...] = ()
        """Of those among the recipients who are clients; put together anew where these have changed."""

    def fold(self, diff: PresenceDiff) -> None:
        """Take over a diff. One that it knows of already changes nothing."""
        with self.lock:
            for entry in diff.diff.leaves:
                left = tuple(meta for meta in self.presence.get(entry.key, ()) if meta not in entry.metas)
                if left:
                    self.presence[entry.key] = left  # a key that stays keeps its place
                else:
                    self.presence.pop(entry.key, None)
            for entry in diff.diff.joins:
                known = self.presence.get(entry.key, ())
                self.presence[entry.key] = known + tuple(meta for meta in entry.metas if meta not in known)


class Hub:
    """A `Follower`: the clients of one channel, and which topics each member of it is in."""

    def __init__(self) -> None:
        self.clients: dict[str, Session] = {}
        self.is_complete = False
        """Whether the index has everybody: who was in a topic before it began, the topics tell it each in its turn."""
        self._views: dict[str, _View] = {}
        self._down: dict[str, dict[str, Session]] = {}
        """Topics that ended, and the clients that were in them. Under the lock."""
        self._lock = threading.RLock()  # a finalizer may drop a client within a call
        self._dropped = 0
        # client -> its one topic, a tuple of a few, or a dict of many: a set for each client would cost 200 bytes.
        self._index: dict[str, str | tuple[str, ...] | dict[str, None]] = {}
        self._expected: dict[str, dict[str, list[int]]] = {}  # client -> topic -> the numbers of its joins under way

    # The index

    def find_topics(self, client_id: str) -> set[str]:
        with self._lock:
            found = self._index.get(client_id, ())
            names = {found} if isinstance(found, str) else set(found)
            return names.union(self._expected.get(client_id, ()))

    def expect(self, client_id: str, topic: str, seq: int) -> None:
        with self._lock:
            self._expected.setdefault(client_id, {}).setdefault(topic, []).append(seq)

    def expect_leave(self, client_id: str, topic: str | None, now_ms: int | None) -> None:
        client = self.clients.get(client_id)
        if client is not None:
            client.is_leaving(topic, now_ms)

    def _meet(self, client_id: str, topic: str, seq: int, *, is_topics: bool) -> None:
        """A join was answered: by the topic, and so has been what came before it; or by the supervisor, maybe ahead of that."""
        with self._lock:
            expected = self._expected.get(client_id, {})
            left = [other for other in expected.get(topic, ()) if other > seq or (other < seq and not is_topics)]
            if left:
                expected[topic] = left
            elif expected.pop(topic, None) and not expected:
                del self._expected[client_id]

    def _add(self, client_id: str, topic: str) -> None:
        known = self._index.get(client_id)
        if known is None:
            self._index[client_id] = topic
        elif isinstance(known, dict):
            known[topic] = None
        elif isinstance(known, str):
            if known != topic:
                self._index[client_id] = (known, topic)
        elif topic not in known:
            several = (*known, topic)
            self._index[client_id] = several if len(several) < _MANY else dict.fromkeys(several)

    def _discard(self, client_id: str, topic: str) -> None:
        known = self._index.get(client_id)
        if isinstance(known, dict):
            known.pop(topic, None)
            if not known:
                del self._index[client_id]
        elif isinstance(known, tuple):
            first, *others = (other for other in known if other != topic)
            self._index[client_id] = (first, *others) if others else first
        elif known == topic:
            del self._index[client_id]

    # What topics give out

    def adopt(self, topic: str, state: TopicState) -> None:
        with self._lock:
            for client_id in state.users:
                self._add(client_id, topic)
        for entry in state.entries():
            for meta in entry.metas:
                self._enter(topic, meta.client_id, meta, state)

    def put(self, seq: int, topic: str | None, messages: Messages, reply: ReplyTo | None, state: TopicState | None) -> None:
        if state is not None and state.union is not None:
            for own in state.union.own:
                self._count(own, state)
        for message in messages:
            if type(message) is BroadcastMessage:
                self._broadcast(message)
            elif type(message) is PresenceDiff:
                if state is None or state.union is None:
                    self._count(message, state)
                self._fold(message)
            elif type(message) is PushMessage:
                self._push(message)
            elif type(message) is Reply:
                self._answer(message, reply)
        if not self._expected:
            return
        for message in messages:  # behind what came of it: at every moment the index has it, or it is expected
            if type(message) is Reply and message.client_id in self._expected:
                self._meet(message.client_id, message.topic, seq, is_topics=state is not None)

    def _broadcast(self, message: BroadcastMessage) -> None:
        view = self._views.get(message.topic)
        if view is None:
            return
        recipients = message.recipients
        if view.recipients is not recipients:
            members = view.members
            present = (members.get(one) for one in recipients)  # a client may be dropped meanwhile
            view.inboxes = tuple(client.inbox for client in present if client is not None)
            view.recipients = recipients
        put_all(view.inboxes, message)

    def _push(self, message: PushMessage) -> None:
        client = self.clients.get(message.client_id)
        if client is None:
            return
        if not message.is_notice:
            client.inbox.put(message)
        elif message.event == "removed":  # of a crash `gone` tells
            client.is_out(message.topic, message.payload)

    def _answer(self, message: Reply, reply: ReplyTo | None) -> None:
        client = self.clients.get(message.client_id)
        if client is not None and not (isinstance(reply, Collected) and reply.is_clients):
            client.inbox.put(message)

    def _count(self, message: PresenceDiff, state: TopicState | None) -> None:
        """Members of this node came or went."""
        topic, joins, leaves = message.topic, message.diff.joins, message.diff.leaves
        came = {meta.client_id: meta for entry in joins for meta in entry.metas}
        left = [meta.client_id for entry in leaves for meta in entry.metas if meta.client_id not in came]
        if came and state is not None:
            came = _owned(came, state.users)
        with self._lock:
            for client_id in left:
                self._discard(client_id, topic)
            for client_id in came:
                self._add(client_id, topic)
        for client_id, meta in came.items():
            self._enter(topic, client_id, meta, state)
        view = self._views.get(topic)
        if view is None:
            return
        for client_id in left:
            client = view.members.pop(client_id, None)
            if client is not None:
                view.recipients = None
                client.exit(topic)
        if not view.members:
            self._views.pop(topic, None)

    def _fold(self, message: PresenceDiff) -> None:
        view = self._views.get(message.topic)
        if view is not None:
            view.fold(message)
            put_all([client.inbox for client in tuple(view.members.values())], message)

    def _enter(self, topic: str, client_id: str, meta: Meta, state: TopicState | None) -> None:
        client = self.clients.get(client_id)
        if client is None:
            return
        view = self._views.get(topic)
        if view is None:
            view = self._views[topic] = _View(() if state is None else state.presences)
        view.members[client.client_id] = client
        view.recipients = None
        if client.is_closed:  # meanwhile, and whoever dropped it may have looked before it stood here
            view.members.pop(client.client_id, None)
            return
        with self._lock:
            self._forget_fall(topic, client.client_id)
        client.enter(topic, meta)

    def gone(self, topic: str, members: Iterable[str], reason: str) -> None:
        view = self._views.pop(topic, None)
        fallen = {} if view is None else dict(view.members)
        with self._lock:
            for client_id in members:
                self._discard(client_id, topic)
            if fallen:
                self._down.setdefault(topic, {}).update(fallen)
        for client in fallen.values():
            client.fall(topic, reason)

    def up(self, topic: str) -> None:
        with self._lock:
            risen = tuple(self._down.pop(topic, {}).values())
        for client in risen:
            client.rise(topic)

    def missed(self, node: str, count: int, concerns: Callable[[str], bool]) -> None:
        views = [view for topic, view in list(self._views.items()) if concerns(topic)]
        inboxes = {id(client.inbox): client.inbox for view in views for client in tuple(view.members.values())}
        put_all(inboxes.values(), Gap(node, count))

    # The clients

    def presence(self, topic: str, client: "Session") -> dict[str, tuple[Meta, ...]]:
        """Who is in the topic, as the client sees it; empty where it is not in it."""
        view = self._views.get(topic)
        if view is None or view.members.get(client.client_id) is not client:
            return {}
        with view.lock:
            return dict(view.presence)

    @property
    def dropped(self) -> int:
        """How many messages found no room in an inbox, of closed clients too. Amid the end of a client it may miss its own."""
        return self._dropped + sum(client.inbox.dropped for client in tuple(self.clients.values()))

    def drop(self, client: "Session", topics: Iterable[str]) -> None:
        """The client is closed, and was in these topics, or would be told that they are up: its id is free."""
        with self._lock:
            self._dropped += client.inbox.dropped
            if self.clients.get(client.client_id) is client:
                del self.clients[client.client_id]
            for topic in topics:
                view = self._views.get(topic)
                if view is not None and view.members.get(client.client_id) is client:
                    view.members.pop(client.client_id, None)
                    view.recipients = None
                if self._down.get(topic, {}).get(client.client_id) is client:
                    self._forget_fall(topic, client.client_id)

    def _forget_fall(self, topic: str, client_id: str) -> None:
        """The client is not to be told that the topic is up. Under the lock."""
        waiting = self._down.get(topic, {})
        waiting.pop(client_id, None)
        if not waiting:
            self._down.pop(topic, None)

    def close(self) -> None:
        for client in tuple(self.clients.values()):
            client.rest()
            client.inbox.close("its channel was closed")
        self._views.clear()


def _owned(came: dict[str, Meta], users: dict[str, str]) -> dict[str, Meta]:
    """Who came, under the texts of the ids that the topic has itself, so that the index keeps no others."""
    if len(came) > 1:
        own = {client_id: client_id for client_id in users}
        return {own.get(client_id, client_id): meta for client_id, meta in came.items()}
    last = next(reversed(users), "")  # who has come now
    return {last: came[last]} if last in came else came
