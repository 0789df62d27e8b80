"""The channel's own life, and the whole channel as one pure value.

`ChannelLife` decides what needs no topic; the supervisor actor asks it, and so does `ChannelState`, the channel without
actors: what the actors do is this, spread over them.
"""

from typing import Literal

from lightspeed.actors.topics.rules.events import Crash, Disconnect, Event, Join, Leave, Rejoin, Restart, TopicEvent
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.actors.topics.rules.topic import BoundedTopic, Messages, TopicState, crash_messages, not_joined, refused


class ChannelLife:
    """Running or crashed, as a whole and each topic by itself.

    | event          | running            | topic down         | channel crashed   |
    |----------------|--------------------|--------------------|-------------------|
    | Crash          | crashed:<reason>   | crashed:<reason>   | already_crashed   |
    | Restart        | already_running    | already_running    | restarted         |
    | Crash(topic)   | the topic's to say | already_crashed    | already_crashed   |
    | Restart(topic) | already_running    | topic_restarted:   | as if it were not |
    | Disconnect     | is a Leave of each topic that the client is in    | nothing           |
    | Publish, Send  | go to their topic  | nothing            | nothing           |
    | others         | go to their topic  | Reply crashed      | Reply crashed     |

    A channel-wide restart brings every topic up.
    """

    def __init__(self) -> None:
        self.crashed = False
        self.down: dict[str, Literal["crashed", "given_up"]] = {}
        """Topics that are down by themselves, and why."""

    def answer(self, event: TopicEvent | Crash | Restart, *, topic_exists: bool) -> Messages | None:
        """What the event gives out where no topic has a say in it; None where its topic must handle it.

        `topic_exists` says whether the event's topic has a state already: a join or a rejoin makes one, others don't.
        """
        if isinstance(event, (Crash, Restart)):
            return self._change(event, topic_exists=topic_exists)
        if self.crashed or event.topic in self.down:
            return refused(event, "crashed")
        if topic_exists or isinstance(event, (Join, Rejoin)):
            return None
        return not_joined(event)

    def _change(self, event: Crash | Restart, *, topic_exists: bool) -> Messages | None:
        if isinstance(event, Restart):
            return (System(self._restart(event.topic)),)
        if self.crashed or event.topic in self.down:
            return (System("already_crashed"),)
        if event.topic is None:
            self.crashed = True
            return (System(f"crashed:{event.reason}"),)
        return None if topic_exists else (System(f"unknown_topic:{event.topic}"),)

    def _restart(self, topic: str | None) -> str:
        if topic is not None and topic in self.down:
            del self.down[topic]
            return f"topic_restarted:{topic}"
        if topic is not None or not self.crashed:
            return "already_running"
        self.crashed = False
        self.down.clear()
        return "restarted"


class ChannelState:
    """A channel in one thread, without actors. Events have been checked."""

    def __init__(self, *, max_topics: int | None = None, max_members: int | None = None) -> None:
        self._life = ChannelLife()
        self._topics: dict[str, TopicState] = {}
        self._max_topics, self._max_members = max_topics, max_members

    @property
    def crashed(self) -> bool:
        return self._life.crashed

    @property
    def membership_count(self) -> int:
        return sum(map(len, self._topics.values()))

    def topics(self) -> tuple[str, ...]:
        return tuple(sorted(self._topics))

    def topics_of(self, client_id: str) -> tuple[str, ...]:
        return tuple(sorted(topic for topic, state in self._topics.items() if client_id in state.users))

    def subscribers(self, topic: str) -> tuple[str, ...]:
        return self._topics[topic].subscribers if topic in self._topics else ()

    def presences(self, topic: str) -> tuple[Entry, ...]:
        return self._topics[topic].presences if topic in self._topics else ()

    def handle(self, event: Event) -> Messages:
        """Let the event take effect and return what it gives out, in order."""
        if isinstance(event, Disconnect):
            leaves = [Leave(event.client_id, topic, event.now_ms) for topic in self.topics_of(event.client_id)]
            return tuple(message for leave in leaves for message in self.handle(leave))
        answer = self._life.answer(event, topic_exists=event.topic in self._topics)
        if answer is None:
            assert event.topic is not None
            return self._let_topic_handle(event.topic, event)
        if self._life.crashed:
            self._topics.clear()
        return answer

    def _let_topic_handle(self, topic: str, event: TopicEvent | Crash | Restart) -> Messages:
        assert not isinstance(event, Restart)
        if isinstance(event, Crash):
            self._life.down[topic] = "crashed"
            return crash_messages(topic, self._topics.pop(topic).subscribers, event.reason)
        if topic not in self._topics and self._max_topics is not None and len(self._topics) >= self._max_topics:
            return refused(event, "too_many_topics")
        state = self._topics.setdefault(topic, BoundedTopic(topic, max_members=self._max_members))
        messages = state.handle(event)
        if not state:
            del self._topics[topic]
        return messages
