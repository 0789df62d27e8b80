"""The channel's own life, and the whole channel as one pure value.

`ChannelLife` decides what needs no topic; the supervisor actor asks it, and so does `ChannelState`, the channel without
actors: what the actors do is this, spread over them.
"""

from lightspeed.actors.events import Crash, Event, Join, Rejoin, Restart
from lightspeed.actors.outbound import System, error
from lightspeed.actors.presence import Entry
from lightspeed.actors.topic import Messages, TopicState, not_joined


class ChannelLife:
    """Running or crashed.

    | event   | running            | crashed           |
    |---------|--------------------|-------------------|
    | Crash   | crashed:<reason>   | already_crashed   |
    | Restart | already_running    | restarted         |
    | others  | go to their topic  | Reply crashed     |
    """

    def __init__(self) -> None:
        self.crashed = False

    def answer(self, event: Event, *, topic_exists: bool) -> Messages | None:
        """What the event gives out where no topic has a say in it; None where its topic must handle it.

        `topic_exists` says whether the event's topic has a state already: a join or a rejoin makes one, others don't.
        """
        if isinstance(event, Crash):
            label = "already_crashed" if self.crashed else f"crashed:{event.reason}"
            self.crashed = True
            return (System(label),)
        if isinstance(event, Restart):
            label = "restarted" if self.crashed else "already_running"
            self.crashed = False
            return (System(label),)
        if self.crashed:
            return (error(event.client_id, event.topic, "crashed"),)
        if topic_exists or isinstance(event, (Join, Rejoin)):
            return None
        return not_joined(event)


class ChannelState:
    """A channel in one thread, without actors. Events have been checked."""

    def __init__(self) -> None:
        self._life = ChannelLife()
        self._topics: dict[str, TopicState] = {}

    @property
    def crashed(self) -> bool:
        return self._life.crashed

    @property
    def membership_count(self) -> int:
        return sum(map(len, self._topics.values()))

    def topics(self) -> tuple[str, ...]:
        return tuple(sorted(self._topics))

    def subscribers(self, topic: str) -> tuple[str, ...]:
        return self._topics[topic].subscribers if topic in self._topics else ()

    def presences(self, topic: str) -> tuple[Entry, ...]:
        return self._topics[topic].presences if topic in self._topics else ()

    def handle(self, event: Event) -> Messages:
        """Let the event take effect and return what it gives out, in order."""
        topic = getattr(event, "topic", None)
        answer = self._life.answer(event, topic_exists=topic in self._topics)
        if answer is None:
            assert not isinstance(event, (Crash, Restart))
            state = self._topics.setdefault(event.topic, TopicState(event.topic))
            answer = state.handle(event)
            if not state:
                del self._topics[event.topic]
        elif self._life.crashed:
            self._topics.clear()
        return answer
