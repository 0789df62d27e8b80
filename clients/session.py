"""A client as its channel holds it: where it is, what waits for it, and how it comes back.

The program's `Client` leads here, and not the other way round: so a client that the program forgets is noticed.
"""

import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from lightspeed.actors.errors import ChannelClosed, LightspeedError
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Runtime, Timer
from lightspeed.actors.topics.mail import Collected
from lightspeed.actors.topics.rules.events import Disconnect, Event, Join, Leave, Rejoin
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.actors.topics.rules.presence import Meta
from lightspeed.clients.hub import Hub
from lightspeed.clients.inbox import Inbox, InboxQueue, OneThreadInbox, Removed, TopicDown, TopicUp
from lightspeed.supervision.rules import Backoff, BackoffState

REJOIN = Backoff(floor_s=0.02, cap_s=10.0, jitter=1.0, quiet_s=30.0)
"""How long a client waits before it rejoins: as long as chance says, so that not all come at once."""

Tell = Callable[[Event, Any], None]
"""Hands an event over to the channel, and who is told when it has taken effect. Never waits."""


class _Comeback(Struct, eq=False):
    """One way back to a topic."""

    topic: str
    text: str | None
    """What stood in its presence there."""
    timer: Timer | None = None
    """Of its next try; None: one is under way."""
    is_called_off: bool = False


class _Outcome(Collected):
    """Who waits for an event that the client sends by itself: the session, not a thread."""

    __slots__ = ("_is_done",)

    def __init__(self, is_done: Callable[[bool], None]) -> None:
        super().__init__(self, is_clients=True)
        self._is_done = is_done

    def set(self, value: Any = None) -> None:
        self._is_done(any(isinstance(message, Reply) and message.status == "ok" for message in self.messages))

    def set_exception(self, _exc_info: Any = None) -> None:
        """The channel is at its end: there is nothing to come back to."""


def _unheard() -> _Outcome:
    """For an event of which nobody wants to know, whose reply comes into no inbox."""
    return _Outcome(lambda _is_ok: None)


class Session:
    """One living client. Topics' actors call it, each on its own thread, and so does its program: one lock guards it."""

    def __init__(
        self,
        hub: Hub,
        runtime: Runtime,
        tell: Tell,
        client_id: str,
        user_id: str,
        *,
        inbox: Inbox,
        auto_rejoin: bool,
        is_brought_back: bool,
        after_ms: int = -1,
    ) -> None:
        self.client_id, self.user_id = client_id, user_id
        kind = OneThreadInbox if runtime.is_one_thread else InboxQueue
        self.inbox = kind(inbox, runtime.wait, runtime.monotonic_s, self._close_slow)
        self.hub, self._runtime, self._tell = hub, runtime, tell
        self._was_in: tuple[str, ...] = ()
        self._auto_rejoin, self._is_brought_back = auto_rejoin, is_brought_back
        self._lock = threading.RLock()  # a timer of a simulation may come within a call, and a finalizer anywhere
        self._topics: dict[str, Meta] = {}
        """Those that it is in, and its presence there."""
        self._lost: dict[str, Meta] = {}
        """Those that it comes back to, and its presence there before."""
        self._fallen: set[str] = set()
        """Those that ended, and have not come up since."""
        self._leaving: dict[str, int | None] = {}
        """Of those that it is in, a leave that was accepted and has not been handled."""
        self._returns: dict[str, _Comeback] = {}
        self._backoffs: dict[str, BackoffState] = {}
        self.last_ms = after_ms
        """The highest time that it gave, or has."""
        self._farewell_ms = -1
        self.is_over = False
        """Whether the channel is closed."""
        self.is_closed = False
        self.why_closed = ""
        self.has_left = False
        """Whether the channel was told that it leaves everything."""

    @property
    def topics(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._topics))

    def is_in(self, topic: str) -> bool:
        return topic in self._topics

    def next_ms(self) -> int:
        """A time for its next event: above all that it gave before."""
        with self._lock:
            self.last_ms = max(self._runtime.now_ms(), self.last_ms + 1)
            return self.last_ms

    # What the hub tells

    def enter(self, topic: str, meta: Meta) -> None:
        """The client is a member of the topic, and this is its presence there."""
        with self._lock:
            if self.is_closed:
                return
            is_new = topic not in self._topics
            self._topics[topic] = meta
            self.last_ms = max(self.last_ms, meta.online_at_ms)
            self._fallen.discard(topic)
            self._leaving.pop(topic, None)
            timer = self._end_return(topic)
            if is_new and topic in self._backoffs:
                self._backoffs[topic] = self._backoffs[topic].up(self._runtime.monotonic_s())
        _cancel(timer)

    def exit(self, topic: str) -> None:
        """The client has left."""
        with self._lock:
            self._topics.pop(topic, None)
            self._leaving.pop(topic, None)
            self._backoffs.pop(topic, None)

    def fall(self, topic: str, reason: str) -> None:
        """The topic has ended, and the client was in it."""
        with self._lock:
            meta = self._topics.pop(topic, None)
            if not self.is_closed:
                self._fallen.add(topic)
            wants_back = meta is not None and self._auto_rejoin and not self.is_closed and not self._has_left(topic, meta)
            self._leaving.pop(topic, None)
        self.inbox.put(TopicDown(topic, reason))
        if wants_back and meta is not None:
            with self._lock:
                if not self.is_closed:
                    self._lost[topic] = meta
                    if not self._is_brought_back:
                        self._come_back(topic)

    def rise(self, topic: str) -> None:
        """The topic has come up again, after such an end."""
        with self._lock:
            self._fallen.discard(topic)
        self.inbox.put(TopicUp(topic))
        with self._lock:
            if self._is_brought_back and topic in self._lost:
                self._come_back(topic)

    def is_out(self, topic: str, reason: str) -> None:
        """The topic's behaviour put the client out."""
        with self._lock:
            self._topics.pop(topic, None)
        self.stay_away(topic)
        self.inbox.put(Removed(topic, reason))

    def is_leaving(self, topic: str | None, now_ms: int | None) -> None:
        """A leave of the topic was accepted, or of all, whoever sent it, of this time."""
        with self._lock:
            for name in (*self._topics, *self._lost) if topic is None else (topic,):
                if name in self._topics:
                    self._leaving[name] = now_ms
            lost = {topic: self._lost.get(topic)} if topic is not None else dict(self._lost)
        for name, meta in lost.items():
            if meta is not None and not _is_stale(now_ms, meta):
                self.stay_away(name)

    def _has_left(self, topic: str, meta: Meta) -> bool:
        """Whether a leave was on its way to the topic when that ended."""
        return topic in self._leaving and not _is_stale(self._leaving[topic], meta)

    # Coming back

    def stay_away(self, topic: str) -> None:
        """The client is not to be in the topic: it does not come back to it."""
        with self._lock:
            timer = self._call_off(topic)
            self._backoffs.pop(topic, None)
        _cancel(timer)

    def rest(self) -> None:
        """The channel is closed: there is nothing to come back to."""
        with self._lock:
            self.is_over = self.is_closed = self.has_left = True
            self.why_closed = self.why_closed or "its channel was closed"
            timers = self._forget_topics()[1]
        for timer in timers:
            _cancel(timer)

    def _call_off(self, topic: str) -> Timer | None:
        """What is to be cancelled when the lock is given back: a cancel waits for a call that is under way."""
        if topic in self._returns:
            self._returns[topic].is_called_off = True
        return self._end_return(topic)

    def _end_return(self, topic: str) -> Timer | None:
        self._lost.pop(topic, None)
        comeback = self._returns.pop(topic, None)
        return None if comeback is None else comeback.timer

    def _forget_topics(self) -> tuple[tuple[str, ...], list[Timer | None]]:
        topics = (*self._topics, *self._fallen)
        timers = [self._call_off(topic) for topic in tuple(self._returns)]
        for kept in (self._topics, self._lost, self._fallen, self._leaving, self._backoffs):
            kept.clear()
        return topics, timers

    def _come_back(self, topic: str) -> None:
        """Under the lock."""
        comeback = _Comeback(topic, self._lost[topic].meta or None)
        delay_s, self._backoffs[topic] = REJOIN.next(self._backoffs.get(topic), self._runtime.monotonic_s(), self._runtime)
        self._returns[topic] = comeback
        try:
            comeback.timer = self._runtime.call_later(delay_s, lambda: self._rejoin(comeback))
        except RuntimeError as error:  # no thread can be started: it is of no topic's doing, and must harm none
            del self._returns[topic]
            log("error", "client {} does not come back to topic {}", self.client_id, topic, error=error)

    def _rejoin(self, comeback: _Comeback) -> None:
        """Called by a timer: it must not wait."""
        with self._lock:
            comeback.timer = None
            if self.is_closed or self._returns.get(comeback.topic) is not comeback:
                return
            # Whom the supervisor brings back, maybe just now, has this time again: to that topic the rejoin is no news.
            now_ms = self._lost[comeback.topic].online_at_ms if self._is_brought_back else self.next_ms()
            event = Rejoin(self.client_id, comeback.topic, self.user_id, now_ms, comeback.text)
        try:
            self._tell(event, _Outcome(lambda is_back: self._came_back(comeback, is_back)))
        except ChannelClosed:
            return
        except (LightspeedError, RuntimeError):  # too much waits, or no thread can be started
            self._came_back(comeback, False)
        else:
            if comeback.is_called_off:  # before the channel heard of it
                self.take_back(event)

    def _came_back(self, comeback: _Comeback, is_back: bool) -> None:
        with self._lock:
            if self._returns.get(comeback.topic) is not comeback or self.is_closed:
                return
            if is_back:
                self._end_return(comeback.topic)
            else:
                self._come_back(comeback.topic)

    def take_back(self, event: Join | Rejoin) -> None:
        """Leave a topic that the client has joined by this event while it was being closed; a later join stays."""
        try:
            self._tell(Leave(event.client_id, event.topic, event.now_ms), _unheard())
        except (LightspeedError, RuntimeError):  # the channel is closed, and so it has left
            pass

    # The end

    def begin_end(self, why: str, *, cancels: bool = True) -> bool:
        """Nothing comes to it any more. False where that was so already.

        Args:
            cancels: whether what was put off is called off; else it comes, and does nothing. A finalizer must not wait for that.
        """
        with self._lock:
            if self.is_closed:
                return False
            self._farewell_ms = self.next_ms()
            self.is_closed, self.why_closed = True, why
            self._was_in, timers = self._forget_topics()
        self.inbox.close(why)
        if cancels:
            for timer in timers:
                _cancel(timer)
        return True

    def farewell(self) -> Disconnect:
        """The event by which it leaves everything. Who comes later under its id stays."""
        return Disconnect(self.client_id, self._farewell_ms)

    def end(self) -> None:
        """Free the id, when the farewell was said, or can't be."""
        self.hub.drop(self, self._was_in)

    def leave_all(self, why: str, *, cancels: bool = True) -> None:
        """Close it without waiting, from any thread."""
        self.begin_end(why, cancels=cancels)
        if self.has_left:
            return
        try:
            self._tell(self.farewell(), _unheard())
            self.has_left = True
        except (LightspeedError, RuntimeError):  # the channel is closed, and so it has left
            pass
        finally:
            self.end()

    def _close_slow(self) -> None:
        self.leave_all("it was too slow: its inbox was full")


def _is_stale(now_ms: int | None, meta: Meta) -> bool:
    return now_ms is not None and now_ms < meta.online_at_ms


def _cancel(timer: Timer | None) -> None:
    if timer is not None:
        timer.cancel()
