"""The supervisor's topic actors: who lives, who is leaving, and what each was sent.

A topic has at most one actor at a time. `live` holds the child that takes deliveries. A child that was told to stop or to
crash goes to the end of its topic's queue in `leaving`; its successor is started when the last before it is down, and until
then what the successor is sent waits in its post.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import pykka

from lightspeed.actors.events import Crash
from lightspeed.actors.logs import logger
from lightspeed.actors.outbound import error
from lightspeed.actors.post import Delivery, Post, Query
from lightspeed.actors.runtime import Reply, Runtime
from lightspeed.actors.topic import Messages, TopicState
from lightspeed.actors.topic_actor import TopicActor
from lightspeed.supervision.latch import Latch
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.sink import SinkLanes


class Child:
    """One incarnation of a topic, as its supervisor sees it."""

    __slots__ = ("awaits_rejoin", "crashed", "held", "latches", "post", "ref", "sent", "stops")

    def __init__(self, post: Post, *, awaits_rejoin: bool) -> None:
        self.post = post
        self.ref: pykka.ActorRef[Any] | None = None  # None: not started yet
        self.sent = 0
        self.awaits_rejoin = awaits_rejoin
        self.crashed = False
        self.stops = False
        self.held: list[tuple[int, Messages, Reply | None]] = []  # answers about the topic that must come after its own
        self.latches: list[Reply] = []  # told when it is down

    @property
    def is_busy(self) -> bool:
        return self.sent != self.post.settled


class Children:
    """For the supervisor's thread only."""

    def __init__(self, runtime: Runtime, outlet: Outbox | SinkLanes, report: Callable[[Any], None]) -> None:
        self._runtime, self._outlet, self._report = runtime, outlet, report
        self._incarnation = 0
        self._touched: set[Child] = set()  # sent something since the last settle
        self.live: dict[str, Child] = {}
        self.leaving: dict[str, deque[Child]] = {}

    def add(self, topic: str, *, awaits_rejoin: bool = False) -> Child:
        """A new child, with the next incarnation. It is started by its first delivery, or by `start`."""
        self._incarnation += 1
        post = Post(topic, self._incarnation, self._outlet, self._report)
        child = self.live[topic] = Child(post, awaits_rejoin=awaits_rejoin)
        return child

    def deliver(self, child: Child, delivery: Delivery) -> None:
        """Send it; where the child can't be started, answer it."""
        child.sent += 1
        child.post.pending.append(delivery)
        self._touched.add(child)
        if child.ref is not None:
            self._tell(child, delivery)
        else:
            self.start(child)

    def start(self, child: Child) -> None:
        """Start the actor and send it all that waited, unless one of the topic is still leaving."""
        queue = self.leaving.get(child.post.topic)
        if queue and queue[0] is not child:
            return
        try:
            child.ref = self._runtime.start(TopicActor, child.post)
        except Exception as failure:  # the world's: no more threads, or whatever the runtime's kind of actor is short of
            self._give_up(child, failure)
            return
        for delivery in list(child.post.pending):
            self._tell(child, delivery)
        if child.stops:
            child.ref.stop(block=False)

    def crash(self, child: Child, seq: int, event: Crash) -> None:
        """Send the crash to the tail of its inbox: what it was sent before is handled before."""
        child.crashed = True
        self.deliver(child, Delivery(seq, event, None))
        self._leave(child)

    def stop(self, child: Child) -> None:
        """Stop it when it has handled all that it was sent."""
        child.stops = True
        self._leave(child)
        if child.ref is not None:
            child.ref.stop(block=False)
        else:
            self.start(child)

    def remove(self, post: Post) -> Child | None:
        """Take out the child that is dead; None if it was already, as an abandoned one is: its report is fenced off."""
        topic = post.topic
        queue = self.leaving.get(topic)
        if queue and queue[0].post is post:
            child = queue.popleft()
            if not queue:
                del self.leaving[topic]
        elif topic in self.live and self.live[topic].post is post:
            child = self.live.pop(topic)
        else:
            return None
        self._touched.discard(child)
        return child

    def start_successor(self, of: Child) -> None:
        """Start who comes next in the topic. One that only awaits rejoins is not needed where nobody was a member."""
        topic = of.post.topic
        queue = self.leaving.get(topic)
        child = queue[0] if queue else self.live.get(topic)
        if child is None or child.ref is not None:
            return
        if child.awaits_rejoin and not of.post.members and not child.post.pending and not child.stops:
            del self.live[topic]
        else:
            self.start(child)

    def answer(self, delivery: Delivery, why: str) -> None:
        """Answer what no actor will handle: an event is refused, a query is answered as of an empty topic."""
        request, reply = delivery.request, delivery.reply
        if isinstance(request, Crash):
            return
        if isinstance(request, Query):
            if reply is not None:
                reply.set(request.ask(TopicState("")))
            return
        self._put_out(delivery.seq, request.topic, (error(request.client_id, request.topic, why),), reply)

    def emit(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None) -> None:
        """Put out what no topic actor emits; behind all that the topic's actors, if any, have yet to emit."""
        queue = self.leaving.get(topic) if topic is not None else None
        if queue:
            queue[-1].held.append((seq, messages, reply))
        else:
            self._put_out(seq, topic, messages, reply)

    def release(self, child: Child) -> None:
        """Emit what was held until this child is down."""
        for seq, messages, reply in child.held:
            self._put_out(seq, child.post.topic, messages, reply)

    def settle(self, latch: Latch) -> None:
        """Have the latch wait for all that was sent so far."""
        touched, self._touched = self._touched, set()
        for child in touched:
            if child.is_busy and self.live.get(child.post.topic) is child:
                self.deliver(child, Delivery(0, Query(_nothing), latch.part()))
        for queue in self.leaving.values():
            queue[-1].latches.append(latch.part())

    def everyone_leaving(self) -> list[Child]:
        return [child for queue in self.leaving.values() for child in queue]

    def _put_out(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None) -> None:
        self._outlet.put(seq, topic, messages, reply)
        self._outlet.ring(topic)

    def _leave(self, child: Child) -> None:
        if self.live.get(child.post.topic) is child:
            del self.live[child.post.topic]
            self.leaving.setdefault(child.post.topic, deque()).append(child)

    def _tell(self, child: Child, delivery: Delivery) -> None:
        assert child.ref is not None
        try:
            child.ref.tell(delivery)
        except pykka.ActorDeadError:
            pass  # stopped from outside: its report is on the way, and what it was sent stands in its post

    def _give_up(self, child: Child, failure: Exception) -> None:
        logger.opt(exception=failure).error("no actor could be started for topic {}", child.post.topic)
        child.post.members = 0
        self.remove(child.post)
        for delivery in child.post.take_waiting():
            self.answer(delivery, "unavailable")
        self.release(child)
        for latch in child.latches:
            latch.set()
        self.start_successor(child)


def _nothing(_state: TopicState) -> None:
    """What a settle asks: only that it is answered in its turn."""
