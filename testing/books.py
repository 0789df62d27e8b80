"""What a channel has given out, in order of number, held at the end against what was flushed. Pure."""

from collections.abc import Iterable
from operator import itemgetter

from lightspeed.actors.outbound import Outbound


class Books:
    """Of one channel."""

    def __init__(self) -> None:
        self._given: list[tuple[int, tuple[Outbound, ...]]] = []
        self._flushed: list[Outbound] = []

    def give(self, seq: int, messages: tuple[Outbound, ...]) -> None:
        """These were given out under this number."""
        self._given.append((seq, messages))

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
