"""What waits for one client: any actor puts, on its own thread, and never waits for who reads.

Under an inbox's lock nothing is called but what is here, so that a slow reader slows nobody. Two topics that put at one moment
can each find the last room: then there is one message more than the bound says.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
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
        if self._inbox.waiters:
            self._inbox.waiters.popleft().release()

    def give_up(self) -> None:
        """Look no more."""
        with self._inbox._lock:
            if self in self._inbox.waiters:
                self._inbox.waiters.remove(self)


class InboxQueue:
    """The inbox itself.

    Where there is room, a message is put without the lock: it is appended, and then it is looked whether somebody waits. Who
    waits has entered himself, and then looks once more whether there is a message. One of the two sees the other. All else,
    reading too, is under the lock.

    Args:
        on_slow: called, under no lock, where the client is to be closed since its inbox is full.
    """

    __slots__ = ("_bytes", "_lock", "_on_slow", "_options", "_wait", "_why_closed", "dropped", "items", "room", "waiters")

    def __init__(self, options: Inbox, wait: Wait, on_slow: Callable[[], None]) -> None:
        self._options, self._wait, self._on_slow = options, wait, on_slow
        self._lock = threading.Lock()
        self.items: deque[Any] = deque()
        self.room = options.max_messages if options.max_bytes is None else 0
        """With fewer messages in it, one is appended without a further look."""
        self._bytes = 0
        self.waiters: deque[threading.Lock | Look] = deque()
        self._why_closed: str | None = None
        self.dropped = 0
        """How many messages found no room."""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def is_closed(self) -> bool:
        return self._why_closed is not None

    def put(self, message: Outbound | Notice) -> None:
        put_all((self,), message)

    def put_slowly(self, message: Outbound | Notice) -> None:
        """Put it where it is not known that there is room."""
        with self._lock:
            is_slow = self._why_closed is None and not self._make_room(message)
        if is_slow:
            self._on_slow()

    def wake(self) -> None:
        """There is something for one of those who wait."""
        with self._lock:
            if self.waiters:
                self.waiters.popleft().release()

    @property
    def why_closed(self) -> str | None:
        """None: it is open."""
        return self._why_closed

    def look(self) -> tuple[list[Outbound | Notice], Look]:
        """What is in it, in order, and stays in it; and how to wait for more. To be given up."""
        look = Look(self)
        with self._lock:
            if self._why_closed is None:
                self.waiters.append(look)
            else:
                look.release()  # nothing more comes
            return [Lagged(item.count) if type(item) is _Gap else item for item in list(self.items)], look

    def take_out(self, message: Outbound | Notice) -> bool:
        """Take this one out, wherever it stands; False: it is there no more."""
        with self._lock:
            for place, item in enumerate(list(self.items)):
                if item is message:
                    del self.items[place]
                    self._bytes -= 0 if self._options.max_bytes is None else _size_of(item)
                    return True
        return False

    def close(self, why: str) -> None:
        """Nothing more comes in; what is in it can be read."""
        with self._lock:
            self.room = 0
            if self._why_closed is None:
                self._why_closed = why
            while self.waiters:
                self.waiters.popleft().release()

    def take_now(self, most: int) -> list[Any]:
        """Up to so many messages that are there; none where there is none.

        Raises:
            ClientClosed: there is none, and the client is closed.
        """
        if not self.items and self._why_closed is None:
            return []
        with self._lock:
            if not self.items and self._why_closed is not None:
                raise ClientClosed(self._why_closed)
            return self._take(most)

    def take(self, most: int, timeout_s: float | None) -> list[Any]:
        """From 1 up to so many messages, as soon as there is one.

        Raises:
            InboxEmpty: there was none within the timeout.
            ClientClosed: the client is closed, and its inbox empty.
        """
        while True:
            waiter = threading.Lock()
            waiter.acquire()
            self.waiters.append(waiter)
            is_told = False
            try:
                taken = self.take_now(most)
                if taken:
                    return taken
                is_told = self._wait(waiter, timeout_s)
            finally:
                if not is_told:
                    self._give_up(waiter)
            taken = self.take_now(most)
            if taken:
                return taken
            if not is_told:
                raise InboxEmpty(timeout_s or 0)

    def _give_up(self, waiter: threading.Lock) -> None:
        """Wait no more; if it was this one's turn at last, it is another's."""
        with self._lock:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            elif self.items and self.waiters:
                self.waiters.popleft().release()

    def _take(self, most: int) -> list[Any]:
        items = self.items
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
                    self._drop(self.items, at_end=True)
                    return True
                case "latest":
                    self._keep_latest(message)
            while self.items and not self._has_room(size):
                self._drop_oldest()
        self.items.append(message)
        self._bytes += size
        if self.waiters:
            self.waiters.popleft().release()
        return True

    def _has_room(self, size: int) -> bool:
        options = self._options
        is_gap_first = bool(self.items) and type(self.items[0]) is _Gap
        has_bytes = options.max_bytes is None or self._bytes + size <= options.max_bytes
        return has_bytes and len(self.items) - is_gap_first < options.max_messages

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
        items = self.items
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
        seen, stays, missing = {_kind_of(message)}, deque[bool](), 0
        for item in reversed(list(self.items)):
            kind = _kind_of(item)
            stays.appendleft(type(item) is not _Gap and kind not in seen)
            seen.add(kind)
        for stay in stays:  # who finds room meanwhile stands behind them
            item = self.items.popleft()
            if stay:
                self.items.append(item)
            elif type(item) is _Gap:
                missing += item.count
            else:
                missing += 1
                self.dropped += 1
                self._bytes -= 0 if self._options.max_bytes is None else _size_of(item)
        if missing:
            self.items.appendleft(_Gap(missing))


def put_all(inboxes: Iterable[InboxQueue], message: Outbound | Notice) -> None:
    """Put the same message into each: the way of a broadcast to many, so nothing is called where there is room."""
    for inbox in inboxes:
        items = inbox.items
        if len(items) < inbox.room:
            items.append(message)
            if inbox.waiters:
                inbox.wake()
        else:
            inbox.put_slowly(message)


def _kind_of(message: Any) -> tuple[type, str | None]:
    return type(message), getattr(message, "topic", None)


def _size_of(message: Any) -> int:
    if type(message) is _Gap:
        return 0
    fields = (getattr(message, field) for field in message.__struct_fields__ if field != "recipients")
    return 100 + sum(len(value) for value in fields if type(value) is str)
