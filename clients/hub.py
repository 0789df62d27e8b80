"""Who of a channel's clients is where: it learns of all that is given out, and puts it into their inboxes.

Each topic is followed on its own actor's thread, in its order, so what is kept of one topic is changed by one thread at a time.
What is kept of all members of the channel, the index of their topics, is under a lock.
"""

import threading
from collections.abc import Iterable
from typing import Protocol

from lightspeed.actors.runtime import ReplyTo
from lightspeed.actors.topics.mail import Collected
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, PresenceDiff, PushMessage, Reply
from lightspeed.actors.topics.rules.presence import Entry, Meta
from lightspeed.actors.topics.rules.topic import Messages, TopicState
from lightspeed.clients.inbox import InboxQueue, put_all

_MANY = 8  # topics of a client, from which on they are a dict


class Follows(Protocol):
    """A client, as the hub knows it."""

    client_id: str
    inbox: InboxQueue

    def enter(self, topic: str, online_at_ms: int, text: str) -> None:
        """The client is a member of the topic, since this time and with this text."""
        ...

    def exit(self, topic: str) -> None:
        """The client has left."""
        ...

    def fall(self, topic: str, reason: str) -> None:
        """The topic has ended, and the client was in it."""
        ...

    def rise(self, topic: str) -> None:
        """The topic has come up again, after such an end."""
        ...

    def is_out(self, topic: str, reason: str) -> None:
        """The topic's behaviour put the client out."""
        ...

    def rest(self) -> None:
        """The channel is closed: there is nothing to come back to."""
        ...

    def begin_end(self, why: str) -> bool:
        """Nothing comes to it any more. False where that was so already."""
        ...


class _View:
    """What the clients in one topic see of it."""

    __slots__ = ("inboxes", "lock", "members", "presence", "recipients")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.members: dict[str, Follows] = {}
        """Those of the clients who are in it."""
        self.lock = threading.Lock()
        self.presence: dict[str, tuple[Meta, ...]] = {entry.key: entry.metas for entry in entries}
        """Under the lock."""
        self.recipients: tuple[str, ...] | None = None
        self.inboxes: tuple[InboxQueue, ...] = ()
        """Of those among the recipients who are clients; put together anew where these have changed."""

    def fold(self, diff: PresenceDiff) -> None:
        """Take over a diff. One that it knows of already changes nothing."""
        with self.lock:
            for entry in diff.diff.leaves:
                left = tuple(meta for meta in self.presence.pop(entry.key, ()) if meta not in entry.metas)
                if left:
                    self.presence[entry.key] = left
            for entry in diff.diff.joins:
                known = self.presence.get(entry.key, ())
                self.presence[entry.key] = known + tuple(meta for meta in entry.metas if meta not in known)


class Hub:
    """A `Follower`: the clients of one channel, and which topics each member of it is in."""

    def __init__(self) -> None:
        self.clients: dict[str, Follows] = {}
        self.is_complete = False
        """Whether the index has everybody: who was in a topic before it began, the topics tell it each in its turn."""
        self._views: dict[str, _View] = {}
        self._down: dict[str, dict[str, Follows]] = {}
        """Topics that ended, and the clients that were in them."""
        self._lock = threading.Lock()
        # client -> its one topic, a tuple of a few, or a dict of many: a set for each client would cost 200 bytes.
        self._index: dict[str, str | tuple[str, ...] | dict[str, None]] = {}
        self._expected: dict[str, dict[str, int]] = {}  # client -> topic -> the number of the last join under way

    # The index

    def find_topics(self, client_id: str) -> set[str]:
        with self._lock:
            found = self._index.get(client_id, ())
            names = {found} if isinstance(found, str) else set(found)
            return names.union(self._expected.get(client_id, ()))

    def expect(self, client_id: str, topic: str, seq: int) -> None:
        with self._lock:
            self._expected.setdefault(client_id, {})[topic] = seq

    def _meet(self, client_id: str, topic: str, seq: int) -> None:
        """A join was answered. If it was the last one under way, the index says where the client is."""
        with self._lock:
            expected = self._expected.get(client_id, {})
            if expected.get(topic) == seq:
                del expected[topic]
                if not expected:
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
            left = tuple(other for other in known if other != topic)
            self._index[client_id] = left if len(left) > 1 else left[0]
        elif known == topic:
            del self._index[client_id]

    # What topics give out

    def adopt(self, topic: str, state: TopicState) -> None:
        with self._lock:
            for client_id in state.users:
                self._add(client_id, topic)
        for entry in state.presences:
            for meta in entry.metas:
                self._enter(topic, meta, state)

    def put(self, seq: int, topic: str | None, messages: Messages, reply: ReplyTo | None, state: TopicState | None) -> None:
        for message in messages:
            if type(message) is BroadcastMessage:
                self._broadcast(message)
            elif type(message) is PresenceDiff:
                self._fold(message, state)
            elif type(message) is PushMessage:
                self._push(message)
            elif type(message) is Reply:
                self._answer(message, seq, reply)

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

    def _answer(self, message: Reply, seq: int, reply: ReplyTo | None) -> None:
        if message.client_id in self._expected:
            self._meet(message.client_id, message.topic, seq)
        client = self.clients.get(message.client_id)
        if client is not None and not (isinstance(reply, Collected) and reply.is_clients):
            client.inbox.put(message)

    def _fold(self, message: PresenceDiff, state: TopicState | None) -> None:
        topic, joins, leaves = message.topic, message.diff.joins, message.diff.leaves
        came = {meta.client_id: meta for entry in joins for meta in entry.metas}
        left = [meta.client_id for entry in leaves for meta in entry.metas if meta.client_id not in came]
        with self._lock:
            for client_id in left:
                self._discard(client_id, topic)
            for client_id in came:
                self._add(client_id, topic)
        view = self._views.get(topic)
        if view is not None:
            view.fold(message)
        for meta in came.values():
            self._enter(topic, meta, state)
        view = self._views.get(topic)
        if view is None:
            return
        for client_id in left:
            client = view.members.pop(client_id, None)
            if client is not None:
                view.recipients = None
                client.exit(topic)
        if not view.members:
            del self._views[topic]
        put_all([client.inbox for client in tuple(view.members.values())], message)

    def _enter(self, topic: str, meta: Meta, state: TopicState | None) -> None:
        client = self.clients.get(meta.client_id)
        if client is None:
            return
        view = self._views.get(topic)
        if view is None:
            view = self._views[topic] = _View(() if state is None else state.presences)
        view.members[meta.client_id] = client
        view.recipients = None
        if topic in self._down:
            self._down[topic].pop(meta.client_id, None)
        client.enter(topic, meta.online_at_ms, meta.meta)

    def gone(self, topic: str, members: Iterable[str], reason: str) -> None:
        with self._lock:
            for client_id in members:
                self._discard(client_id, topic)
        view = self._views.pop(topic, None)
        if view is not None:
            self._down.setdefault(topic, {}).update(view.members)
            for client in tuple(view.members.values()):
                client.fall(topic, reason)

    def up(self, topic: str) -> None:
        for client in self._down.pop(topic, {}).values():
            client.rise(topic)

    # The clients

    def presence(self, topic: str, client_id: str) -> dict[str, tuple[Meta, ...]]:
        """Who is in the topic, as the client sees it; empty where it is not in it."""
        view = self._views.get(topic)
        if view is None or client_id not in view.members:
            return {}
        with view.lock:
            return dict(view.presence)

    def drop(self, client: Follows, topics: Iterable[str]) -> None:
        """The client is closed: nothing comes to it any more."""
        if self.clients.get(client.client_id) is client:
            del self.clients[client.client_id]
        for topic in topics:
            view = self._views.get(topic)
            if view is not None and view.members.get(client.client_id) is client:
                view.members.pop(client.client_id, None)
                view.recipients = None
        for topic, waiting in tuple(self._down.items()):
            if waiting.get(client.client_id) is client:
                waiting.pop(client.client_id, None)
                if not waiting:
                    self._down.pop(topic, None)

    def close(self) -> None:
        for client in tuple(self.clients.values()):
            client.rest()
            client.inbox.close("its channel was closed")
