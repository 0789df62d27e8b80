"""What waits for one client: any actor puts, on its own thread, and never waits for who reads.

Under an inbox's lock nothing is called but what is here, so that a slow reader slows nobody. Two topics that put at one moment
can each find the last room: then there is one message more than the bound says.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, Literal, Protocol

from msgspec import Struct

from lightspeed.actors.errors import ClientClosed, InboxEmpty, InvalidOption
from lightspeed.actors.topics.rules.events import size_of
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


class Gap(Struct, frozen=True):
    """So many messages of another node did not come to this one; some may have been for a topic that the client is in."""

    node: str
    count: int


Notice = TopicDown | TopicUp | Removed | Lagged | Gap
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


_popleft = deque[Any].popleft

Wait = Callable[[threading.Lock, float | None], bool]
"""How a reader waits for a lock to be released: True, or False after so many seconds."""


class Door(Protocol):
    """The way to those who wait for a message, of all clients of a channel. Any thread calls it, which may hold locks."""

    def tell(self, waiter: Any) -> object:
        """Tell one of them that it is its turn."""
        ...

    def flush(self) -> object:
        """See to it that those who were told hear of it."""
        ...


class _Locks:
    """To threads, each of which waits for a lock."""

    def tell(self, waiter: threading.Lock) -> None:
        waiter.release()

    def flush(self) -> None: ...


_LOCKS = _Locks()


class Look:
    """Who looks at what is in an inbox, and waits for more: told of the next that comes, it takes no reader's turn.

    Args:
        waiter: what is released when something has come: a taken lock, or what stands for one.
    """

    __slots__ = ("_inbox", "waiter")

    def __init__(self, inbox: "InboxQueue", waiter: Any) -> None:
        self._inbox, self.waiter = inbox, waiter

    def wait(self, timeout_s: float | None) -> bool:
        """Wait, in a thread, until something has come since; False: nothing has in time."""
        return self._inbox._wait(self.waiter, timeout_s)

    def release(self) -> None:
        """Called in its turn among those who wait: the next one is told, too."""
        self.waiter.release()
        self._inbox.wake()

    def give_up(self) -> None:
        """Look no more."""
        try:
            self._inbox.waiters.remove(self)
        except ValueError:
            pass  # it has been told


class InboxQueue:
    """The inbox itself. Its lock is re-entrant, since a finalizer may close it in the middle of a call.

    Where there is room, a message is put without the lock: it is appended, and then it is looked whether somebody waits. Who
    waits has entered himself, and then looks once more whether there is a message. One of the two sees the other. All else,
    reading too, is under the lock.

    Args:
        now_s: the clock by which `wait` goes, in seconds.
        on_slow: called, under no lock, where the client is to be closed since its inbox is full.
    """

    __slots__ = (
        *("_bytes", "_gaps", "_is_counted", "_lock", "_now_s", "_on_slow", "_options", "_wait"),
        *("door", "dropped", "items", "room", "waiters", "why_closed"),
    )

    def __init__(self, options: Inbox, wait: Wait, now_s: Callable[[], float], on_slow: Callable[[], None]) -> None:
        self._options, self._wait, self._now_s, self._on_slow = options, wait, now_s, on_slow
        self._is_counted = options.max_bytes is not None
        self._lock = threading.RLock()
        self.items: deque[Any] = deque()
        self._gaps = 0  # so many of the items are no messages
        self._bytes = 0
        self.room = options.max_messages if options.max_bytes is None else 0
        """With fewer messages in it, one is appended without a further look."""
        self.waiters: deque[Any] = deque()
        """Those who wait for a message: taken locks, or what else the door tells; and `Look`s."""
        self.door: Door = _LOCKS
        self.why_closed: str | None = None
        """None: it is open."""
        self.dropped = 0
        """How many messages found no room."""

    def __len__(self) -> int:
        return len(self.items)

    def put(self, message: Outbound | Notice) -> None:
        put_all((self,), message)

    def put_slowly(self, message: Outbound | Notice) -> None:
        """Put it where it is not known that there is room."""
        with self._lock:
            is_slow = self.why_closed is None and not self._make_room(message)
        if is_slow:
            self._on_slow()

    def wake(self) -> None:
        """There is something for one of those who wait."""
        self.tell_next()
        self.door.flush()

    def tell_next(self) -> None:
        """As `wake`, for who flushes the door by himself. No lock is needed: who is taken out of the line is told by one only."""
        try:
            waiter = self.waiters.popleft()
        except IndexError:  # nobody does, or not any more
            return
        if type(waiter) is Look:
            waiter.release()
        else:
            self.door.tell(waiter)

    def look(self, waiter: Any = None) -> tuple[list[Outbound | Notice], Look]:
        """What is in it, in order, and stays in it; and how to wait for more, by default in a thread. To be given up."""
        look = Look(self, _taken_lock() if waiter is None else waiter)
        with self._lock:
            if self.why_closed is None:
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
                    self._bytes -= self._counted(item)
                    return True
        return False

    def close(self, why: str) -> None:
        """Nothing more comes in; what is in it can be read."""
        with self._lock:
            self.room = 0
            if self.why_closed is None:
                self.why_closed = why
            while self.waiters:
                InboxQueue.tell_next(self)  # from any thread: a finalizer's
            self.door.flush()

    def take(self, taken: list[Outbound | Notice], most: int, timeout_s: float | None) -> None:
        """Move up to so many messages to the list, 1 at least, as soon as there is one.

        They are there or here, whatever hits the calling thread; where it is hit later, `give_back` them.

        Raises:
            InboxEmpty: there was none within the timeout.
            ClientClosed: the client is closed, and its inbox empty.
        """
        if self.take_now(taken, most):
            return
        left_s = timeout_s
        end_s = None if timeout_s is None else self._now_s() + timeout_s
        while left_s is None or left_s > 0:
            waiter, is_told = _taken_lock(), False
            try:
                self.waiters.append(waiter)
                if self.take_now(taken, most):
                    return
                is_told = self._wait(waiter, left_s)
            finally:
                if not is_told:
                    self.give_up(waiter)
            if self.take_now(taken, most):
                return
            if end_s is not None:  # another reader may have been quicker: it waits for the rest of its time
                left_s = end_s - self._now_s() if is_told else 0
        raise InboxEmpty(timeout_s or 0)

    def take_now(self, taken: list[Any], most: int) -> bool:
        """Move what is there, until there are so many messages in the list: whether there was something. It does not wait.

        Raises:
            ClientClosed: the client is closed, its inbox empty, and so is the list.
        """
        if not self.items and self.why_closed is None:
            return False
        with self._lock:
            return self._take(taken, most)

    def _take(self, taken: list[Any], most: int) -> bool:
        items, count = self.items, len(self.items)
        if not count:
            if self.why_closed is not None and not taken:
                raise ClientClosed(self.why_closed)
            return False
        if self._gaps or self._is_counted:
            self._take_one_by_one(taken, most)
        elif count > 1 and most > 1:  # one call, which no code of Python's interrupts
            taken.extend(map(_popleft, repeat(items, min(most - len(taken), count))))
        else:
            taken += (items[0],)  # nothing is called until it is here alone
            del items[0]
        return True

    def give_back(self, taken: list[Outbound | Notice]) -> None:
        """Have what was taken, and could not be handed over, be the next that is taken, whoever does it."""
        with self._lock:
            for message in reversed(taken):
                if type(message) is Lagged:
                    self.items.appendleft(_Gap(message.count))
                    self._gaps += 1
                else:
                    self.items.appendleft(message)
                    self._bytes += self._counted(message)
            if self.items:
                self.wake()

    def give_up(self, waiter: Any) -> None:
        """Wait no more; if it was this one's turn at last, it is another's."""
        try:
            self.waiters.remove(waiter)
        except ValueError:  # whoever put something has taken it from the line
            if self.items:
                self.wake()

    def _take_one_by_one(self, taken: list[Any], most: int) -> None:
        items = self.items
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
        return size_of(message) if self._is_counted and type(message) is not _Gap else 0

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
                self.wake()
                return True
            if options.overflow == "latest":
                self._keep_latest(message)
            while not self._has_room(size):
                self._drop_oldest()
        self.items.append(message)
        self._bytes += size
        self.wake()
        return True

    def _has_room(self, size: int) -> bool:
        options = self._options
        has_bytes = options.max_bytes is None or self._bytes + size <= options.max_bytes
        return has_bytes and len(self.items) - self._gaps < options.max_messages

    def _miss_one_more(self) -> None:
        """Note that one is missing at the end."""
        items = self.items
        self.dropped += 1
        if items and type(items[-1]) is _Gap:
            items[-1].count += 1
        else:
            items.append(_Gap(1))
            self._gaps += 1

    def _drop_oldest(self) -> None:
        """Drop the first message; what is missing before and behind it is one gap with it."""
        missing = self._take_gaps()
        self._bytes -= self._counted(self.items.popleft())
        self.dropped += 1
        missing += 1 + self._take_gaps()
        self.items.appendleft(_Gap(missing))
        self._gaps += 1

    def _take_gaps(self) -> int:
        """How many are missing in front."""
        items, missing = self.items, 0
        while items and type(items[0]) is _Gap:
            missing += items.popleft().count
            self._gaps -= 1
        return missing

    def _keep_latest(self, message: Outbound | Notice) -> None:
        """Of each topic and kind only the last one stays; where the first of them stood it shows how many are missing."""
        seen, stays, gap = {_kind_of(message)}, deque[bool](), _Gap(0)
        for item in reversed(list(self.items)):
            stays.appendleft(type(item) is not _Gap and _kind_of(item) not in seen)
            seen.add(_kind_of(item))
        for stay in stays:  # who finds room meanwhile stands behind them
            item = self.items.popleft()
            if stay:
                self.items.append(item)
                continue
            if not gap.count:
                self.items.append(gap)
            gap.count += item.count if type(item) is _Gap else 1
            self.dropped += type(item) is not _Gap
            self._bytes -= self._counted(item)
        self._gaps = 1 if gap.count else 0


class OneThreadInbox(InboxQueue):
    """The inbox of a client whose whole channel is on one event loop: who reads waits for a future of that. On one thread nobody
    is locked out, and a lock would cost as much as all the rest.
    """

    __slots__ = ()

    take_now = InboxQueue._take

    def tell_next(self) -> None:
        try:
            waiter = self.waiters.popleft()
        except IndexError:
            return
        if type(waiter) is Look:
            waiter.release()
        elif not waiter.done():
            try:
                waiter.set_result(True)
            except RuntimeError:
                pass  # the loop is closed, and nobody waits there any more


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def put_all(inboxes: Iterable[InboxQueue], message: Outbound | Notice) -> None:
    """Put the same message into each: the way of a broadcast to many, so nothing is called where there is room and nobody waits.
    Those who wait are woken together."""
    told = None
    try:
        for inbox in inboxes:
            items = inbox.items
            if len(items) < inbox.room:
                items.append(message)
                if inbox.waiters:
                    told = inbox
                    inbox.tell_next()
            else:
                inbox.put_slowly(message)
    finally:
        if told is not None:
            told.door.flush()


def _kind_of(message: Any) -> tuple[type, str | None]:
    return type(message), getattr(message, "topic", None)
