"""What of a channel is down, as its own words say: `System` messages, read in the order in which they were given out. Pure.

An order has its number from its acceptance, and may be carried out later, where it must wait for a count. What arises by itself
is numbered when it arises. So of two changes the one with the higher number may have come first; and where that can't be told,
it is said that it can't.
"""

from msgspec import Struct

from lightspeed.actors.topics.rules.outbound import Outbound, System


class Change(Struct, frozen=True):
    """Something went down, or came up."""

    seq: int
    topic: str | None
    """None: the channel, and with its restart every topic."""
    goes_down: bool
    by_order: bool


class Downs:
    """Of one channel."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._last_seq = 0
        self.is_down = False
        """The channel, now."""
        self.is_closed = False
        """Or about to be."""
        self.given_up_s = 0.0
        """When an actor of it was given up last, by which others get more time."""
        self._topics: set[str] = set()

    def enter(self, seq: int, messages: tuple[Outbound, ...], *, by_order: bool) -> None:
        """These were given out under this number; `by_order`: that of a crash or a restart."""
        for message in messages:
            change = _change(seq, message.label, by_order=by_order) if type(message) is System else None
            if change is not None:
                self._changes.append(change)
                self._last_seq = max(self._last_seq, seq)
                self.is_down, self._topics = _after(change, self.is_down, self._topics)

    def channel(self, seq: int) -> bool | None:
        """Whether the channel was down when this number was dealt with; None: that can't be told."""
        if seq > self._last_seq:
            return self.is_down
        known = self._as_of(seq)
        return None if known is None else known[0]

    def topic(self, topic: str, seq: int) -> bool | None:
        """Whether the topic was, by itself. As of `channel`."""
        if seq > self._last_seq:
            return topic in self._topics
        known = self._as_of(seq, topic)
        return None if known is None else topic in known[1]

    def _as_of(self, seq: int, topic: str | None = None) -> tuple[bool, set[str]] | None:
        is_down, topics = False, set[str]()
        for change in self._changes:
            if change.topic not in (None, topic) or (change.by_order and change.seq > seq):
                continue
            if change.topic is None and change.seq > seq:
                return None
            is_down, topics = _after(change, is_down, topics)
        return is_down, topics


def _change(seq: int, label: str, *, by_order: bool) -> Change | None:
    what, _, topic = label.partition(":")
    if what in ("crashed", "restarted"):
        return Change(seq, None, what == "crashed", by_order)
    if what == "topic_given_up" or (what == "topic_crashed" and by_order):
        return Change(seq, topic, True, by_order)
    if what == "topic_restarted":
        return Change(seq, topic, False, by_order)
    return None


def _after(change: Change, is_down: bool, topics: set[str]) -> tuple[bool, set[str]]:
    if change.topic is None:
        return change.goes_down, topics if change.goes_down else set()
    return is_down, topics | {change.topic} if change.goes_down else topics - {change.topic}
