"""What a channel has given out, in order of number, held at the end against what was flushed and against its own life. Pure.

outbox   what is flushed is all that was given out, in the order of acceptance, once
life     what was accepted while the channel or the topic was down is refused, and no topic handles it
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter

from lightspeed.actors.outbound import Outbound, System

_EVERYTHING = ""  # for a topic's name, which is never empty


class Books:
    """Of one channel."""

    def __init__(self) -> None:
        self._given: list[tuple[int, tuple[Outbound, ...]]] = []
        self._flushed: list[Outbound] = []
        self._handled: list[tuple[int, str]] = []
        self._changes: list[tuple[int, str, bool]] = []  # at which number, which topic or everything, and whether it went down

    def give(self, seq: int, messages: tuple[Outbound, ...], *, by_order: bool) -> None:
        """These were given out under this number; `by_order`: that of a crash or a restart."""
        self._given.append((seq, messages))
        for message in messages:
            if type(message) is System:
                for change in _changes(seq, message.label, by_order=by_order):
                    self._enter(change)

    def handle(self, seq: int, topic: str) -> None:
        """A topic has handled the event of this number."""
        self._handled.append((seq, topic))

    def _enter(self, change: tuple[int, str, bool]) -> None:
        seq, what, goes_down = change
        if not goes_down:  # an order that had to wait for a count: it ends also what came about meanwhile, under later numbers
            self._changes = [old for old in self._changes if old[0] < seq or what not in (_EVERYTHING, old[1])]
        self._changes.append(change)

    def flush(self, messages: Iterable[Outbound]) -> None:
        """These were taken out of the outbox."""
        self._flushed += messages

    def lost(self) -> str | None:
        """What is wrong with what was flushed; None: nothing."""
        due = [message for _seq, messages in sorted(self._given, key=itemgetter(0)) for message in messages]
        if due == self._flushed:
            return None
        for number, (message, flushed) in enumerate(zip(due, self._flushed, strict=False)):
            if message != flushed:
                return f"message {number} that was flushed is {flushed}, where {message} was due"
        return f"{len(self._flushed)} messages were flushed, where {len(due)} were given out"

    def handled_while_down(self) -> str | None:
        """An event that a topic handled although it was accepted while it was to be refused; None: there is none."""
        down: set[str] = set()
        changes = iter([*sorted(self._changes), (1 << 62, "", False)])
        change = next(changes)
        for seq, topic in sorted(self._handled):
            while change[0] < seq:
                _change(down, change[1], goes_down=change[2])
                change = next(changes)
            if down & {topic, _EVERYTHING}:
                return f"number {seq} was accepted while {topic} was down, and handled by it"
        return None


def _changes(seq: int, label: str, *, by_order: bool) -> Iterator[tuple[int, str, bool]]:
    what, _, topic = label.partition(":")
    if what == "crashed":
        yield seq, _EVERYTHING, True
    elif what == "restarted":
        yield seq, _EVERYTHING, False
    elif what == "topic_given_up" or (what == "topic_crashed" and by_order):
        yield seq, topic, True
    elif what == "topic_restarted":
        yield seq, topic, False


def _change(down: set[str], what: str, *, goes_down: bool) -> None:
    if goes_down:
        down.add(what)
    elif what == _EVERYTHING:
        down.clear()
    else:
        down.discard(what)
