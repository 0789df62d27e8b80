"""A channel written a second time, as plainly as can be and with nothing of ours but the shapes, to compare with."""

from hypothesis import strategies as st

from lightspeed.channel import (
    Broadcast,
    BroadcastMessage,
    Crash,
    Diff,
    Disconnect,
    Entry,
    Join,
    Leave,
    Meta,
    PresenceDiff,
    Publish,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    Send,
    System,
)
from lightspeed.testing import strategies


class NaiveChannel:
    """Members stand in one list of [topic, client, user, time, text] and are searched for; presence is lists in dicts."""

    def __init__(self):
        self.crashed = False
        self.members = []
        self.keys = {}  # topic -> key -> metas
        self.down = []

    def find(self, topic, client):
        return next((m for m in self.members if m[0] == topic and m[1] == client), None)

    def subscribers(self, topic):
        return tuple(m[1] for m in self.members if m[0] == topic)

    def topics(self):
        return {m[0] for m in self.members}

    def presences(self, topic):
        return tuple(Entry(key, tuple(metas)) for key, metas in self.keys.get(topic, {}).items())

    def appear(self, topic, client, user, now_ms, text):
        meta = Meta(f"{client}:{now_ms}", now_ms, text)
        self.keys.setdefault(topic, {}).setdefault(user, []).append(meta)
        return (Entry(user, (meta,)),)

    def vanish(self, topic, client, user, now_ms, text):
        meta = Meta(f"{client}:{now_ms}", now_ms, text)
        self.keys[topic][user].remove(meta)
        if not self.keys[topic][user]:
            del self.keys[topic][user]
        return (Entry(user, (meta,)),)

    def handle(self, event):
        if isinstance(event, Crash) and event.topic is not None:
            return self.crash_one(event.topic, event.reason)
        if isinstance(event, Restart) and event.topic is not None:
            if event.topic not in self.down:
                return [System("already_running")]
            self.down.remove(event.topic)
            return [System(f"topic_restarted:{event.topic}")]
        if isinstance(event, Crash):
            if self.crashed:
                return [System("already_crashed")]
            self.crashed, self.members, self.keys = True, [], {}
            return [System(f"crashed:{event.reason}")]
        if isinstance(event, Restart):
            if not self.crashed:
                return [System("already_running")]
            self.crashed, self.down = False, []
            return [System("restarted")]
        if isinstance(event, Disconnect):
            topics = [] if self.crashed else sorted(m[0] for m in self.members if m[1] == event.client_id)
            return self.run(Leave(event.client_id, topic, event.now_ms) for topic in topics)
        if isinstance(event, Publish):
            clients = self.subscribers(event.topic)
            return [BroadcastMessage(event.topic, event.payload, clients, event.event)] if clients else []
        client, topic = event.client_id, event.topic
        if isinstance(event, Send):
            is_in = self.find(topic, client) is not None
            return [PushMessage(client, topic, event.event, event.payload)] if is_in else []
        if self.crashed or topic in self.down:
            return [Reply(client, topic, "error", "crashed")]
        member = self.find(topic, client)
        if isinstance(event, (Join, Rejoin)):
            done = "joined" if isinstance(event, Join) else "rejoined"
            if member is None:
                self.members.append([topic, client, event.user_id, event.now_ms, event.meta or ""])
                joins = self.appear(topic, *self.members[-1][1:])
                return [Reply(client, topic, "ok", done), PresenceDiff(topic, Diff(topic, joins, ()))]
            if isinstance(event, Join):
                return [Reply(client, topic, "error", "already_joined")]
            if event.now_ms <= member[3]:
                return [Reply(client, topic, "ok", done)]
            leaves = self.vanish(*member)
            member[2:] = [event.user_id, event.now_ms, member[4] if event.meta is None else event.meta]
            joins = self.appear(*member)
            return [Reply(client, topic, "ok", done), PresenceDiff(topic, Diff(topic, joins, leaves))]
        if member is None:
            return [Reply(client, topic, "error", "not_joined")]
        if isinstance(event, Broadcast):
            return [BroadcastMessage(topic, event.payload, self.subscribers(topic), event.event)]
        if isinstance(event, Push):
            return [PushMessage(client, topic, event.event, event.payload)]
        if event.now_ms is not None and event.now_ms < member[3]:
            return [Reply(client, topic, "ok", "left")]
        self.members.remove(member)
        leaves = self.vanish(*member)
        return [Reply(client, topic, "ok", "left"), PresenceDiff(topic, Diff(topic, (), leaves))]

    def crash_one(self, topic, reason):
        if self.crashed or topic in self.down:
            return [System("already_crashed")]
        clients = self.subscribers(topic)
        if not clients:
            return [System(f"unknown_topic:{topic}")]
        self.members = [member for member in self.members if member[0] != topic]
        del self.keys[topic]
        self.down.append(topic)
        told = [PushMessage(client, topic, "topic_crashed", reason) for client in clients]
        return [System(f"topic_crashed:{topic}"), *told]

    def run(self, events):
        return [message for event in events for message in self.handle(event)]


clients, topics, users = st.sampled_from("abcd"), st.sampled_from(["x", "y", "z"]), st.sampled_from(["u", "v"])
times, texts = st.integers(0, 5), st.text(max_size=3)
topic_events = strategies.topic_events("abcd", "xyz", "uv")
events = strategies.events("abcd", "xyz", "uv")


def state_of(channel, topics="xyz"):
    """What can be read of a channel, ours or the naive one."""
    return {
        "crashed": channel.crashed,
        "topics": set(channel.topics()),
        "subscribers": {topic: channel.subscribers(topic) for topic in topics},
        "presences": {topic: channel.presences(topic) for topic in topics},
    }
