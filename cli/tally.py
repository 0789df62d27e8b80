"""What a played trace came to, as a table."""

from collections import Counter
from collections.abc import Iterable, Iterator

from lightspeed.channel import BroadcastMessage, Event, Outbound, PushMessage, Reply, System, event_label, outbound_label

_EVENTS = ("join", "rejoin", "leave", "broadcast", "push", "crash", "restart")
_MESSAGES = ("reply", "push_message", "broadcast_message", "presence_diff", "system")


class Tally:
    """Counts as the trace goes by; it keeps nothing of it."""

    def __init__(self) -> None:
        self._events: Counter[str] = Counter()
        self._messages: Counter[str] = Counter()
        self._deliveries = 0
        self._survived = 0

    def count_events(self, events: Iterable[Event]) -> None:
        self._events.update(map(event_label, events))

    def count_messages(self, messages: Iterable[Outbound]) -> None:
        for message in messages:
            self._messages[outbound_label(message)] += 1
            if isinstance(message, BroadcastMessage):
                self._deliveries += len(message.recipients)
            elif isinstance(message, (Reply, PushMessage)):
                self._deliveries += 1
            elif message == System("restarted"):
                self._survived += 1

    def rows(self, members: int, topics: int, elapsed_s: float) -> Iterator[str]:
        """The table. A delivery is a message to one client: a reply, a push, or a broadcast once for each recipient."""
        events = self._events.total()
        rows: list[tuple[str, int]] = [("events", events)]
        rows += [(f"  {label}", self._events[label]) for label in _EVENTS]
        rows += [("outbound", self._messages.total())]
        rows += [(f"  {label}", self._messages[label]) for label in _MESSAGES]
        rows += [("deliveries", self._deliveries), ("crashes survived", self._survived)]
        rows += [("members at the end", members), ("topics at the end", topics)]
        rows += [("events per second", round(events / elapsed_s) if elapsed_s else 0)]
        width = max(len(f"{value:,}") for _, value in rows)
        for label, value in rows:
            yield f"{label:<22}{value:>{width},}"
