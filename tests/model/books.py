"""What a channel has given out, held against what was flushed, or what its sink was given. Pure."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from operator import itemgetter

from lightspeed.actors.topics.rules.outbound import Outbound, System


class Books:
    """Of one channel without a sink."""

    def __init__(self) -> None:
        self._pending: list[tuple[int, tuple[Outbound, ...]]] = []  # given out, and not flushed
        self._last_seq = 0  # of those that were flushed
        self.keeps: Callable[[], bool] = lambda: True
        """Whether the channel's outbox keeps anything."""

    def give(self, seq: int, messages: tuple[Outbound, ...]) -> None:
        """These were given out under this number."""
        if messages:
            self._pending.append((seq, messages))

    def flush(self, messages: Iterable[Outbound], accepted: float) -> str | None:
        """These were taken out of the outbox; what had been `accepted` when it was asked for, to this number, must be among them.

        What is wrong with them; None: nothing.
        """
        if not self.keeps():
            return f"{messages} were flushed, and nothing is kept" if messages else None
        self._pending.sort(key=itemgetter(0))
        left, flushed = deque(messages), 0
        for seq, given in self._pending:
            if not left and seq > accepted:
                break
            taken = tuple(left.popleft() for _ in range(min(len(given), len(left))))
            if taken != given:
                return f"{taken} were flushed, where {given} were due"
            if seq < self._last_seq:
                return f"{taken}, of number {seq}, were flushed after those of number {self._last_seq}"
            self._last_seq, flushed = seq, flushed + 1
        del self._pending[:flushed]
        return f"{list(left)} were flushed, and had not been given out" if left else None

    def lost(self) -> str | None:
        """What was given out, and never flushed; None: nothing."""
        if not (self._pending and self.keeps()):
            return None
        return f"never flushed: {[message for _seq, given in self._pending for message in given]}"


class SinkBooks:
    """Of one channel with a sink: each topic's messages come in order, and the channel's own."""

    def __init__(self) -> None:
        self._lanes: defaultdict[str | None, deque[tuple[int, Outbound]]] = defaultdict(deque)

    def give(self, seq: int, topic: str | None, messages: tuple[Outbound, ...]) -> None:
        """These were given out about this topic, under this number."""
        self._lanes[topic].extend((seq, message) for message in messages)

    def deliver(self, message: Outbound) -> str | None:
        """The sink was given this. What is wrong with it; None: nothing."""
        for topic in self._lanes_of(message):
            lane = self._lanes[topic]
            if lane and lane[0][1] is message:
                lane.popleft()
                return None
        return f"the sink was given {message}, and it was another one's turn"

    def has_yet_to_give(self, seq: int, topic: str | None) -> bool:
        """Whether anything of this number has not come to the sink."""
        return any(number == seq for number, _message in self._lanes[topic])

    def _lanes_of(self, message: Outbound) -> Iterable[str | None]:
        if not isinstance(message, System):
            return (message.topic,)
        return (None, message.label.partition(":")[2], *self._lanes)  # some are about a topic, and don't name it

    def lost(self) -> str | None:
        """What the sink has not been given; None: nothing."""
        left = [message for lane in self._lanes.values() for _seq, message in lane]
        return f"the sink was not given {left}" if left else None
