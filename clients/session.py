"""A client as its channel holds it: where it is, what waits for it, and how it comes back.

The program's `Client` leads here, and not the other way round: so a client that the program forgets is noticed.
"""

import threading
from collections.abc import Callable
from typing import Any

from lightspeed.actors.errors import LightspeedError
from lightspeed.actors.runtime import Runtime, Timer
from lightspeed.actors.topics.mail import Collected
from lightspeed.actors.topics.rules.events import Disconnect, Event, Rejoin
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.clients.hub import Hub
from lightspeed.clients.inbox import Inbox, InboxQueue, Removed, TopicDown, TopicUp, Wait
from lightspeed.supervision.rules import Backoff, BackoffState

REJOIN = Backoff(floor_s=0.02, cap_s=10.0, jitter=1.0, quiet_s=30.0)
"""How long a client waits before it rejoins: as long as chance says, so that not all come at once."""

Tell = Callable[[Event, Any], None]
"""Hands an event over to the channel, and who is told when it has taken effect. Never waits."""


class _Return(Collected):
    """Who waits for a rejoin that the client makes by itself: the session, not a thread."""

    __slots__ = ("_is_back",)

    def __init__(self, is_back: Callable[[bool], None]) -> None:
        super().__init__(self, is_clients=True)
        self._is_back = is_back

    def set(self, _value: Any = None) -> None:
        self._is_back(any(isinstance(message, Reply) and message.status == "ok" for message in self.messages))

    def set_exception(self, _exc_info: Any = None) -> None:
        """The channel is at its end: there is nothing to come back to."""


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
        wait: Wait,
        auto_rejoin: bool,
        is_brought_back: bool,
    ) -> None:
        self.client_id, self.user_id = client_id, user_id
        self.inbox = InboxQueue(inbox, wait, self._close_slow)
        self._hub, self._runtime, self._tell = hub, runtime, tell
        self._auto_rejoin, self._is_brought_back = auto_rejoin, is_brought_back
        self._lock = threading.RLock()  # a timer of a simulation may come within a call
        self._topics: dict[str, str] = {}
        """What it is in, and the text of its presence there."""
        self._last_ms = -1
        self._texts: dict[str, str] = {}
        """Of topics that ended: the text with which it comes back."""
        self._returns: dict[str, Timer | None] = {}
        """Topics that it comes back to: the timer of its next try, or None while one is under way."""
        self._backoffs: dict[str, BackoffState] = {}
        self.is_closed = False

    @property
    def topics(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._topics))

    def is_in(self, topic: str) -> bool:
        return topic in self._topics

    def next_ms(self) -> int:
        """A time for its next event: above all that it gave before."""
        with self._lock:
            self._last_ms = max(self._runtime.now_ms(), self._last_ms + 1)
            return self._last_ms

    # What the hub tells

    def enter(self, topic: str, online_at_ms: int, text: str) -> None:
        with self._lock:
            self._topics[topic] = text
            self._texts.pop(topic, None)
            self._last_ms = max(self._last_ms, online_at_ms)
            self._call_off(topic)
            if topic in self._backoffs:
                self._backoffs[topic] = self._backoffs[topic].up(self._runtime.monotonic_s())

    def exit(self, topic: str) -> None:
        with self._lock:
            self._topics.pop(topic, None)
            self._backoffs.pop(topic, None)

    def fall(self, topic: str, reason: str) -> None:
        with self._lock:
            text = self._topics.pop(topic, None)
            if text is not None and self._auto_rejoin:
                self._texts[topic] = text
            self.inbox.put(TopicDown(topic, reason))
            if self._auto_rejoin and not self._is_brought_back and not self.is_closed:
                self._come_back(topic)

    def rise(self, topic: str) -> None:
        with self._lock:
            self.inbox.put(TopicUp(topic))
            if self._auto_rejoin and self._is_brought_back and not self.is_closed:
                self._come_back(topic)

    def is_out(self, topic: str, reason: str) -> None:
        with self._lock:
            self._topics.pop(topic, None)
            self._texts.pop(topic, None)
            self._call_off(topic)
            self.inbox.put(Removed(topic, reason))

    # Coming back

    def stay_away(self, topic: str) -> None:
        """The program wants to leave the topic: the client does not come back to it."""
        with self._lock:
            self._call_off(topic)
            self._backoffs.pop(topic, None)
            self._texts.pop(topic, None)

    def rest(self) -> None:
        with self._lock:
            self._auto_rejoin = False
            for topic in tuple(self._returns):
                self._call_off(topic)

    def _call_off(self, topic: str) -> None:
        timer = self._returns.pop(topic, None)
        if timer is not None:
            timer.cancel()

    def _come_back(self, topic: str) -> None:
        self._call_off(topic)
        delay_s, state = REJOIN.next(self._backoffs.get(topic), self._runtime.monotonic_s(), self._runtime)
        self._backoffs[topic] = state
        self._returns[topic] = self._runtime.call_later(delay_s, lambda: self._rejoin(topic))

    def _rejoin(self, topic: str) -> None:
        """Called by a timer: it must not wait."""
        with self._lock:
            if self.is_closed or topic not in self._returns or topic in self._topics:
                return
            self._returns[topic] = None
            event = Rejoin(self.client_id, topic, self.user_id, self.next_ms(), self._texts.get(topic))
        try:
            self._tell(event, _Return(lambda is_back: self._came_back(topic, is_back)))
        except (LightspeedError, RuntimeError):  # too much waits, no thread can be started, or the channel is closed
            self._came_back(topic, False)

    def _came_back(self, topic: str, is_back: bool) -> None:
        with self._lock:
            if topic in self._returns and not is_back and not self.is_closed:
                self._come_back(topic)
            else:
                self._returns.pop(topic, None)

    # The end

    def begin_end(self, why: str) -> bool:
        """Nothing comes to it any more. False where that was so already."""
        with self._lock:
            if self.is_closed:
                return False
            self.is_closed = True
            for topic in tuple(self._returns):
                self._call_off(topic)
            topics = tuple(self._topics)
            self._topics.clear()
        self._hub.drop(self, topics)
        self.inbox.close(why)
        return True

    def farewell(self) -> Disconnect:
        """The event by which it leaves everything. Who comes later under its id stays."""
        return Disconnect(self.client_id, self.next_ms())

    def leave_all(self, why: str) -> None:
        """Close it without waiting, from any thread."""
        if self.begin_end(why):
            try:
                self._tell(self.farewell(), None)
            except (LightspeedError, RuntimeError):  # the channel is closed, and so it has left
                pass

    def _close_slow(self) -> None:
        self.leave_all("it was too slow: its inbox was full")
