"""What waits for one client: any actor puts, on its own thread, and never waits for who reads.

Under an inbox's lock nothing is called but what is here, so that a slow reader slows nobody.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from lightspeed.actors.errors import ClientClosed, InboxEmpty, InvalidOption
from lightspeed.actors.topics.rules.outbound import Outbound


class TopicDown(Struct, frozen=True):
    """A topic that the client was in has ended by a failure or a crash: the client is in it no more."""

    topic: str
    reason: str
    """Of the crash that was ordered; of a failure `error`, or what it was where the channel tells its members."""


class TopicUp(Struct, frozen=True):
    """A topic of which a `TopicDown` was told has come up again."""

    topic: str


class Removed(Struct, frozen=True):
    """The topic's behaviour put the client out, or did not let it back in."""

    topic: str
    reason: str


class Lagged(Struct, frozen=True):
    """So many messages are missing here: the inbox had no room for them."""

    count: int


Notice = TopicDown | TopicUp | Removed | Lagged
"""What no user can send: it comes of the channel alone."""


class Inbox(Struct, frozen=True):
    """How much waits for a client's reader, and what becomes of more.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    max_messages: int = 1000
    """So many messages. From 1 up. Default 1,000."""
    max_bytes: int | None = None
    """So much they have together: the characters of their texts, and 100 each. None, the default: any number."""
    overflow: Literal["drop_oldest", "drop_newest", "latest", "close"] = "drop_oldest"
    """`drop_oldest`, the default; `drop_newest`: the one that arrives; `latest`: of each topic and kind only the last one stays;
    `close`: the client is closed as too slow. Where messages are missing, a `Lagged` says how many."""

    def __post_init__(self) -> None:
        for option, value in (("max_messages", self.max_messages), ("max_bytes", self.max_bytes)):
            if not ((value is None and option == "max_bytes") or (type(value) is int and value >= 1)):
                raise InvalidOption(option, value, "must be an int from 1 up")
        if type(self.overflow) is not str or self.overflow not in ("drop_oldest", "drop_newest", "latest", "close"):
            raise InvalidOption("overflow", self.overflow, "must be drop_oldest, drop_newest, latest or close")


class _Gap(Struct):
    """Here messages are missing."""

    count: int


Wait = Callable[[threading.Lock, float | None], bool]
"""How a reader waits for a lock to be released: True, or False after so many seconds."""


class Look:
    """Who looks at what is in an inbox, and waits for more: told of the next that comes, it takes no reader's turn."""

    __slots__ = ("_inbox", "_lock")

    def __init__(self, inbox: "InboxQueue") -> None:
        self._inbox, self._lock = inbox, threading.Lock()
        self._lock.acquire()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until something has come since; False: nothing has in time."""
        return self._inbox._wait(self._lock, timeout_s)

    def release(self) -> None:
        """Called under the inbox's lock, in its turn among those who wait: the next one is told, too."""
        self._lock.release()
        if self._inbox._waiters:
            self._inbox._waiters.popleft().release()

    def give_up(self) -> None:
        """Look no more."""
        with self._inbox._lock:
            if self in self._inbox._waiters:
                self._inbox._waiters.remove(self)


class InboxQueue:
    """The inbox itself.

    Args:
        on_slow: called, under no lock, where the client is to be closed since its inbox is full.
    """

    __slots__ = ("_bytes", "_items", "_lock", "_on_slow", "_options", "_wait", "_waiters", "_why_closed", "dropped")

    def __init__(self, options: Inbox, wait: Wait, on_slow: Callable[[], None]) -> None:
        self._options, self._wait, self._on_slow = options, wait, on_slow
        self._lock = threading.Lock()
        self._items: deque[Any] = deque()
        self._bytes = 0
        self._waiters: deque[threading.Lock | Look] = deque()
        self._why_closed: str | None = None
        self.dropped = 0
        """How many messages found no room."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, message: Outbound | Notice) -> None:
        with self._lock:
            items, options = self._items, self._options
            if self._why_closed is not None:
                return
            if len(items) < options.max_messages and options.max_bytes is None:
                items.append(message)
                if self._waiters:
                    self._waiters.popleft().release()
                return
            is_slow = not self._make_room(message)
        if is_slow:
            self._on_slow()

    @property
    def why_closed(self) -> str | None:
        """None: it is open."""
        return self._why_closed

    def look(self) -> tuple[list[Outbound | Notice], Look]:
        """What is in it, in order, and stays in it; and how to wait for more. To be given up."""
        look = Look(self)
        with self._lock:
            if self._why_closed is None:
                self._waiters.append(look)
            else:
                look.release()  # nothing more comes
            return [Lagged(item.count) if type(item) is _Gap else item for item in self._items], look

    def take_out(self, message: Outbound | Notice) -> bool:
        """Take this one out, wherever it stands; False: it is there no more."""
        with self._lock:
            for place, item in enumerate(self._items):
                if item is message:
                    del self._items[place]
                    self._bytes -= 0 if self._options.max_bytes is None else _size_of(item)
                    return True
        return False

    def close(self, why: str) -> None:
        """Nothing more comes in; what is in it can be read."""
        with self._lock:
            if self._why_closed is None:
                self._why_closed = why
            while self._waiters:
                self._waiters.popleft().release()

    def take(self, most: int, timeout_s: float | None) -> list[Outbound | Notice]:
        """From 1 up to so many messages, as soon as there is one.

        Raises:
            InboxEmpty: there was none within the timeout.
            ClientClosed: the client is closed, and its inbox empty.
        """
        is_over = timeout_s is not None and timeout_s <= 0
        while True:
            with self._lock:
                if self._items:
                    return self._take(most)
                if self._why_closed is not None:
                    raise ClientClosed(self._why_closed)
                if is_over:
                    raise InboxEmpty(timeout_s or 0)
                waiter = threading.Lock()
                waiter.acquire()
                self._waiters.append(waiter)
            is_told = False
            try:
                is_told = self._wait(waiter, timeout_s)
            finally:
                if not is_told:
                    self._give_up(waiter)
            is_over = not is_told

    def _give_up(self, waiter: threading.Lock) -> None:
        """Wait no more; if it was this one's turn at last, it is another's."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif self._items and self._waiters:
                self._waiters.popleft().release()

    def _take(self, most: int) -> list[Any]:
        items = self._items
        taken = [items.popleft() for _ in range(min(most, len(items)))]
        if self._options.max_bytes is not None:
            self._bytes -= sum(_size_of(message) for message in taken)
        for place, message in enumerate(taken):
            if type(message) is _Gap:
                taken[place] = Lagged(message.count)
        return taken

    def _make_room(self, message: Outbound | Notice) -> bool:
        """Take it in if there is room, or as the options say; False where the client is to be closed."""
        size = 0 if self._options.max_bytes is None else _size_of(message)
        if not self._has_room(size):
            match self._options.overflow:
                case "close":
                    return False
                case "drop_newest":
                    self._drop(self._items, at_end=True)
                    return True
                case "latest":
                    self._keep_latest(message)
            while self._items and not self._has_room(size):
                self._drop_oldest()
        self._items.append(message)
        self._bytes += size
        if self._waiters:
            self._waiters.popleft().release()
        return True

    def _has_room(self, size: int) -> bool:
        options = self._options
        is_gap_first = bool(self._items) and type(self._items[0]) is _Gap
        has_bytes = options.max_bytes is None or self._bytes + size <= options.max_bytes
        return has_bytes and len(self._items) - is_gap_first < options.max_messages

    def _drop(self, items: deque[Any], *, at_end: bool, count: int = 1) -> None:
        """Note that so many are missing at this end."""
        self.dropped += count
        place = -1 if at_end else 0
        if items and type(items[place]) is _Gap:
            items[place].count += count
        elif at_end:
            items.append(_Gap(count))
        else:
            items.appendleft(_Gap(count))

    def _drop_oldest(self) -> None:
        items = self._items
        gap = items.popleft() if type(items[0]) is _Gap else None
        count = 0 if gap is None else gap.count
        if items:
            oldest = items.popleft()
            self._bytes -= 0 if self._options.max_bytes is None else _size_of(oldest)
            if type(oldest) is _Gap:
                count += oldest.count
            else:
                count, self.dropped = count + 1, self.dropped + 1
            items.appendleft(_Gap(count))

    def _keep_latest(self, message: Outbound | Notice) -> None:
        """Of each topic and kind only the last one stays; where the first of them stood it shows how many are missing."""
        seen, kept, missing = {_kind_of(message)}, deque[Any](), 0
        for item in reversed(self._items):
            if type(item) is _Gap:
                missing += item.count
            elif _kind_of(item) in seen:
                missing += 1
                self.dropped += 1
                self._bytes -= 0 if self._options.max_bytes is None else _size_of(item)
            else:
                seen.add(_kind_of(item))
                kept.appendleft(item)
        if missing:
            kept.appendleft(_Gap(missing))
        self._items = kept


def _kind_of(message: Any) -> tuple[type, str | None]:
    return type(message), getattr(message, "topic", None)


def _size_of(message: Any) -> int:
    if type(message) is _Gap:
        return 0
    fields = (getattr(message, field) for field in message.__struct_fields__ if field != "recipients")
    return 100 + sum(len(value) for value in fields if type(value) is str)
