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
    `close`: the client is closed as too slow. Where messages are missing, a `Lagged` says how many. A message of more than
    `max_bytes` finds no room in any inbox: under the first three it is what is dropped."""

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


class InboxQueue:
    """The inbox itself. Its lock is re-entrant, since a finalizer may close it in the middle of a call.

    Args:
        now_s: the clock by which `wait` goes, in seconds.
        on_slow: called, under no lock, where the client is to be closed since its inbox is full.
    """

    __slots__ = (
        "_bytes",
        "_gaps",
        "_items",
        "_lock",
        "_now_s",
        "_on_slow",
        "_options",
        "_wait",
        "_waiters",
        "_why_closed",
        "dropped",
    )

    def __init__(self, options: Inbox, wait: Wait, now_s: Callable[[], float], on_slow: Callable[[], None]) -> None:
        self._options, self._wait, self._now_s, self._on_slow = options, wait, now_s, on_slow
        self._lock = threading.RLock()
        self._items: deque[Any] = deque()
        self._gaps = 0  # so many of the items are no messages
        self._bytes = 0
        self._waiters: deque[threading.Lock] = deque()
        self._why_closed: str | None = None
        self.dropped = 0
        """How many messages found no room."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, message: Outbound | Notice) -> None:
        with self._lock:
            options = self._options
            if self._why_closed is not None:
                return
            if options.max_bytes is None and len(self._items) - self._gaps < options.max_messages:
                self._items.append(message)
                self._wake()
                return
            is_slow = not self._make_room(message)
        if is_slow:
            self._on_slow()

    def close(self, why: str) -> None:
        """Nothing more comes in; what is in it can be read."""
        with self._lock:
            if self._why_closed is None:
                self._why_closed = why
            while self._waiters:
                self._wake()

    def take(self, taken: list[Outbound | Notice], most: int, timeout_s: float | None) -> None:
        """Move up to so many messages to the list, 1 at least, as soon as there is one.

        They are there or here, whatever hits the calling thread; where it is hit later, `give_back` them.

        Raises:
            InboxEmpty: there was none within the timeout.
            ClientClosed: the client is closed, and its inbox empty.
        """
        end_s = None if timeout_s is None or timeout_s <= 0 else self._now_s() + timeout_s
        left_s = timeout_s
        while True:
            with self._lock:
                if self._items:
                    self._move(taken, most)
                    return
                if self._why_closed is not None:
                    raise ClientClosed(self._why_closed)
                if left_s is not None and left_s <= 0:
                    raise InboxEmpty(timeout_s or 0)
                waiter = threading.Lock()
                waiter.acquire()
                self._waiters.append(waiter)
            is_told = False
            try:
                is_told = self._wait(waiter, left_s)
            finally:
                if not is_told:
                    self._give_up(waiter)
            if end_s is not None:  # another reader may have been quicker: it waits for the rest of its time
                left_s = end_s - self._now_s() if is_told else 0

    def give_back(self, taken: list[Outbound | Notice]) -> None:
        """Have what was taken, and could not be handed over, be the next that is taken, whoever does it."""
        with self._lock:
            for message in reversed(taken):
                if type(message) is Lagged:
                    self._items.appendleft(_Gap(message.count))
                    self._gaps += 1
                else:
                    self._items.appendleft(message)
                    self._bytes += self._counted(message)
            if self._items:
                self._wake()

    def _give_up(self, waiter: threading.Lock) -> None:
        """Wait no more; if it was this one's turn at last, it is another's."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif self._items:
                self._wake()

    def _wake(self) -> None:
        if self._waiters:
            try:
                waiter = self._waiters.popleft()
            except IndexError:  # a finalizer has closed it at this moment
                return
            waiter.release()

    def _move(self, taken: list[Any], most: int) -> None:
        items = self._items
        while items and len(taken) < most:
            message = items[0]
            size, gap = self._counted(message), 0
            if type(message) is _Gap:
                message, gap = Lagged(message.count), 1
            taken += (message,)  # from here on nothing is called, until the next turn
            del items[0]
            self._bytes -= size
            self._gaps -= gap

    def _counted(self, message: Any) -> int:
        return 0 if self._options.max_bytes is None else _size_of(message)

    def _make_room(self, message: Outbound | Notice) -> bool:
        """Take it in if there is room, or as the options say; False where the client is to be closed."""
        options, size = self._options, self._counted(message)
        if not self._has_room(size):
            is_too_large = options.max_bytes is not None and size > options.max_bytes
            if options.overflow == "close":
                self.dropped += 1
                return False
            if options.overflow == "drop_newest" or is_too_large:
                self._miss_one_more()
                self._wake()
                return True
            if options.overflow == "latest":
                self._keep_latest(message)
            while not self._has_room(size):
                self._drop_oldest()
        self._items.append(message)
        self._bytes += size
        self._wake()
        return True

    def _has_room(self, size: int) -> bool:
        options = self._options
        has_bytes = options.max_bytes is None or self._bytes + size <= options.max_bytes
        return has_bytes and len(self._items) - self._gaps < options.max_messages

    def _miss_one_more(self) -> None:
        """Note that one is missing at the end."""
        items = self._items
        self.dropped += 1
        if items and type(items[-1]) is _Gap:
            items[-1].count += 1
        else:
            items.append(_Gap(1))
            self._gaps += 1

    def _drop_oldest(self) -> None:
        """Drop the first message; what is missing before and behind it is one gap with it."""
        missing = self._take_gaps()
        self._bytes -= self._counted(self._items.popleft())
        self.dropped += 1
        missing += 1 + self._take_gaps()
        self._items.appendleft(_Gap(missing))
        self._gaps += 1

    def _take_gaps(self) -> int:
        """How many are missing in front."""
        items, missing = self._items, 0
        while items and type(items[0]) is _Gap:
            missing += items.popleft().count
            self._gaps -= 1
        return missing

    def _keep_latest(self, message: Outbound | Notice) -> None:
        """Of each topic and kind only the last one stays; where the first of them stood it shows how many are missing."""
        seen, kept, missing, behind = {_kind_of(message)}, deque[Any](), 0, 0
        for item in reversed(self._items):
            if type(item) is _Gap:
                missing, behind = missing + item.count, len(kept)
            elif _kind_of(item) in seen:
                missing, behind = missing + 1, len(kept)
                self.dropped += 1
                self._bytes -= self._counted(item)
            else:
                seen.add(_kind_of(item))
                kept.appendleft(item)
        if missing:
            kept.insert(len(kept) - behind, _Gap(missing))
        self._items, self._gaps = kept, 1 if missing else 0


def _kind_of(message: Any) -> tuple[type, str | None]:
    return type(message), getattr(message, "topic", None)


def _size_of(message: Any) -> int:
    if type(message) is _Gap:
        return 0
    fields = (getattr(message, field) for field in message.__struct_fields__ if field != "recipients")
    return 100 + sum(len(value) for value in fields if type(value) is str)
