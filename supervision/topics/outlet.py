"""Where what the topics emitted goes: the outbox, until it is flushed; or a sink, the user's code that gets each message.

Before either, what is in this process and wants to know gets it: a `Follower`, such as the channel's clients.

With a sink each topic has a queue, and so have the messages of the channel itself. Whoever puts into a queue that nobody empties
empties it: each topic's messages come in order and one at a time, and a sink that is slow with what a topic actor gave out holds
up that topic only. The supervisor never runs a sink: for what it answers itself (refusals, `System`) it rings the one
`SinkActor`, where a sink that is slow with one such answer holds up the others.
"""

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, Self

import pykka

from lightspeed.actors.coroutines import ActorCoroutine, Task
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import ReplyTo, Runtime
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.actors.topics.rules.topic import Messages, TopicState
from lightspeed.supervision.latch import Latch
from lightspeed.supervision.topics.dead_letters import DeadLetter, DeadLetters

_seq = itemgetter(0)


class Follower(Protocol):
    """Who learns of all that a channel gives out, in each topic's order, and of what has no message."""

    is_complete: bool
    """Whether it knows who is in the topics that there were before it."""

    def put(self, seq: int, topic: str | None, messages: Messages, reply: ReplyTo | None, state: TopicState | None) -> None:
        """Take what one event gave out; `state` is the topic's, where its actor calls. On the thread of whoever gives it out."""
        ...

    def adopt(self, topic: str, state: TopicState) -> None:
        """Take over who is in a topic that there was before. In the topic's turn."""
        ...

    def expect(self, client_id: str, topic: str, seq: int) -> None:
        """The supervisor has accepted a join under this number, and is about to send it to the topic."""
        ...

    def expect_leave(self, client_id: str, topic: str | None, now_ms: int | None) -> None:
        """The supervisor has accepted a leave of the topic, or of all."""
        ...

    def gone(self, topic: str, members: Iterable[str], reason: str) -> None:
        """These members are gone with an incarnation of the topic: all that it gave out was given out before."""
        ...

    def up(self, topic: str) -> None:
        """The topic came up again after such an end."""
        ...

    def missed(self, node: str, count: int, concerns: Callable[[str], bool]) -> None:
        """So many messages of another node, of the topics that these concern, did not come."""
        ...

    def find_topics(self, client_id: str) -> set[str]:
        """The topics that the client is in, or that it is about to join."""
        ...

    def close(self) -> None:
        """Nothing more will be given out."""
        ...


class _Followed:
    """The part of an outlet that lets a follower learn of what is put."""

    follower: Follower | None = None

    def follow(self, follower: Follower) -> None:
        """Have it learn of all that is put from here on."""
        self.follower = follower

    def close(self) -> None:
        """Nothing more will be put."""
        if self.follower is not None:
            self.follower.close()


class _Nowhere(list[tuple[int, Messages]]):
    """What is put here is gone."""

    def __iadd__(self, _more: Any) -> Self:  # type: ignore[misc,override]
        return self


class Outbox(_Followed):
    """Every actor puts, on its own thread; flushers take, one at a time.

    A put only appends, and a flusher takes what it has copied from the front: neither needs the other's lock. What a flush took
    and may not give out yet, since it was accepted later than the flush was called, is kept in `_held`, under the flushers' lock.

    Args:
        most: so many messages are kept; beyond, the oldest go. None: any number.
    """

    def __init__(self, most: int | None = None) -> None:
        self.emitted: list[tuple[int, Messages]] = []
        self.keeps = True
        """Whether anything is kept: not where the program reads by clients."""
        self.dropped = 0
        """How many messages went since nobody flushed."""
        self._most = inf if most is None else most
        self._trim_at = self._most
        self._is_full = False  # in an episode of dropping, of which one line is logged
        self._lock = threading.RLock()
        self._held: list[tuple[int, Messages]] = []

    def put(
        self,
        seq: int,
        topic: str | None,
        messages: Messages,
        reply: ReplyTo | None,
        value: Any = None,
        state: TopicState | None = None,
    ) -> bool:
        if self.follower is not None:
            self.follower.put(seq, topic, messages, reply, state)
        if messages and self.keeps:
            self.emitted += ((seq, messages),)
            if len(self.emitted) > self._trim_at:
                self.trim()
        if reply is not None:
            reply.set(value)
        return False

    def trim(self) -> None:
        """Drop the oldest messages beyond the most, and some more, since it looks at each entry."""
        with self._lock:
            if len(self.emitted) <= self._trim_at:
                return
            entries = self._held + self.emitted
            over = sum(len(messages) for _seq, messages in entries) - self._most
            if over <= 0:
                self._trim_at = len(self.emitted) + max(1, -over // 4)
                return
            if not self._is_full:
                log("warning", "the outbox holds {} messages that nobody flushes: the oldest are dropped", self._most)
            self._is_full = True
            over += self._most // 10
            count = 0
            while over > 0:
                over -= len(entries[count][1])
                self.dropped += len(entries[count][1])
                count += 1
            from_held = min(count, len(self._held))
            del self._held[:from_held]
            del self.emitted[: count - from_held]
            self._trim_at = len(self.emitted) + self._most // 20

    def keep_nothing(self) -> None:
        """From here on, and of what is there."""
        with self._lock:
            self.keeps, self.emitted = False, _Nowhere()
            self._held.clear()

    def take(self, last_seq: float, taken: list[tuple[int, Messages]]) -> None:
        """Move all messages of events up to the number (`inf`: all) from here to the list, in the order of acceptance.

        They are there or here, whatever hits the calling thread; where it is hit later, `give_back` them.
        """
        with self._lock:
            emitted, count = self.emitted, len(self.emitted)
            entries = self._held + emitted[:count]
            entries.sort(key=_seq)
            end = bisect_right(entries, last_seq, key=_seq)
            given, kept = entries[:end], entries[end:]
            del emitted[:count]  # from here on nothing is called
            self._held = kept
            self._is_full, self._trim_at = False, self._most
            taken += given

    def give_back(self, taken: list[tuple[int, Messages]]) -> None:
        """What was taken, and could not be handed over, is taken again by the next flush."""
        self.emitted += taken

    @property
    def length(self) -> int:
        """So many entries wait for a flush, each what one event gave out."""
        return len(self.emitted) + len(self._held)

    # An outbox runs no user code: there is nothing to deliver, to wait for, to give up or to stop.

    is_awaited = False

    def deliver(self, topic: str | None, then: Callable[[], None] | None = None) -> None: ...

    def ring(self, topic: str | None) -> None: ...

    def settle(self, latch: Latch) -> None: ...

    def abandon(self, topic: str) -> None: ...

    def is_at_work(self, topic: str) -> bool:
        return False

    def give_up(self) -> None: ...


if TYPE_CHECKING:
    _Role = Lifecycle
else:
    _Role = object  # the runtime mixes the kind of actor in


class _Speaker:
    """A sink has no room."""

    thread: int | None = None


Sink = Callable[[Outbound], object] | pykka.ActorRef[Any]
"""A callable, which may be an `async def`, or an actor."""


def is_async(sink: Sink) -> bool:
    """Whether what the sink returns is to be awaited."""
    return iscoroutinefunction(sink) or bool(iscoroutinefunction(getattr(type(sink), "__call__", None)))  # noqa: B004


_Call = tuple[Outbound, None, None] | tuple[None, ReplyTo, Any]
"""A message for the sink, or a reply that is given the value when it comes to it."""


class _Queue:
    __slots__ = ("busy", "calls", "is_in_sink", "task", "then")

    def __init__(self) -> None:
        self.calls: deque[_Call] = deque()
        self.busy = False
        self.is_in_sink = False
        self.task: Task | None = None
        """The call that is awaited."""
        self.then: Callable[[], None] | None = None
        """Whom it is told when all is delivered."""


class SinkQueues(_Followed):
    """One lock guards the table of queues and what is in them; no user code runs under it."""

    def __init__(self, sink: Sink, runtime: Runtime, dead_letters: DeadLetters) -> None:
        self._sink = sink.tell if isinstance(sink, pykka.ActorRef) else sink
        self.is_awaited = is_async(sink)
        self._runtime, self._dead_letters = runtime, dead_letters
        self._lock = threading.Lock()
        self._queues: dict[str | None, _Queue] = {}
        self.actor: Any = None
        """In whose name the sink runs where it is awaited."""
        self._actor = runtime.start(SinkActor, self)

    def put(
        self,
        seq: int,
        topic: str | None,
        messages: Messages,
        reply: ReplyTo | None,
        value: Any = None,
        state: TopicState | None = None,
    ) -> bool:
        if self.follower is not None:
            self.follower.put(seq, topic, messages, reply, state)
        with self._lock:
            queue = self._queues.setdefault(topic, _Queue())
            for message in messages:
                queue.calls.append((message, None, None))
            if reply is not None:
                queue.calls.append((None, reply, value))
            return not queue.busy

    def deliver(self, topic: str | None, then: Callable[[], None] | None = None) -> None:
        with self._lock:
            queue = self._queues.get(topic)
            if queue is not None and not queue.busy:
                queue.busy, queue.then, then = True, then, None
            else:
                queue = None
        if queue is not None:
            self._go_on(topic, queue)
        elif then is not None:
            then()

    def _go_on(self, topic: str | None, queue: _Queue) -> None:
        """Deliver until the queue is empty, or was abandoned while the sink was at work, or the sink is to be awaited."""
        while True:
            with self._lock:
                if self._queues.get(topic) is not queue:
                    break
                if not queue.calls:
                    del self._queues[topic]
                    break
                message, reply, value = queue.calls.popleft()
            if message is not None:
                queue.is_in_sink = True
                if self.is_awaited and self._await(topic, queue, message):
                    return
                if not self.is_awaited:
                    self._hand_over(topic, message)
                queue.is_in_sink = False
            elif reply is not None:
                reply.set(value)
        if queue.then is not None:
            queue.then()

    def _await(self, topic: str | None, queue: _Queue, message: Outbound) -> bool:
        """Whether the delivery goes on when the sink is back."""

        def back(_value: Any, error: BaseException | None) -> None:
            queue.is_in_sink, queue.task = False, None
            if error is not None:
                self._failed(topic, message, error)
            self._go_on(topic, queue)

        try:
            coroutine: Any = self._sink(message)
            queue.task = self._runtime.start_task(ActorCoroutine(coroutine, self.actor, _Speaker()), back)
        except BaseException as error:  # there is no loop for it any more
            self._failed(topic, message, error)
            return False
        return True

    def trim(self) -> None: ...

    def is_at_work(self, topic: str) -> bool:
        """Whether the sink has been given something of the topic's and has not returned."""
        queue = self._queues.get(topic)
        return queue is not None and queue.is_in_sink

    def ring(self, topic: str | None) -> None:
        """Have the sink actor deliver: this does not block. Only where that actor was stopped from outside, deliver here."""
        try:
            self._actor.tell(topic)
        except pykka.ActorDeadError:
            self.deliver(topic)

    def settle(self, latch: Latch) -> None:
        """Have the latch wait for all that is in the queues now."""
        with self._lock:
            for queue in self._queues.values():
                queue.calls.append((None, latch.part(), None))

    def abandon(self, topic: str) -> None:
        """Leave the call that does not return to itself; what waited behind it goes on in a queue of its own."""
        with self._lock:
            stuck = self._queues.pop(topic, None)
            if stuck is None:
                return
            queue = self._queues[topic] = _Queue()
            queue.calls = stuck.calls
        if stuck.task is not None:
            stuck.task.cancel()
        self.ring(topic)

    def close(self) -> None:
        """Stop the sink actor when it has delivered what it was rung for."""
        self._actor.stop_soon()
        super().close()

    @property
    def length(self) -> int:
        """So many messages wait for the sink."""
        with self._lock:
            return sum(len(queue.calls) for queue in self._queues.values())

    def give_up(self) -> None:
        """The channel is closed, and somebody has not come back from the sink: what waits behind that goes nowhere."""
        with self._lock:
            queues, self._queues = self._queues, {}
        for topic, queue in queues.items():
            if queue.task is not None:
                queue.task.cancel()
            for message, reply, value in queue.calls:
                if message is not None:
                    self._dead_letters.add(DeadLetter(topic, 0, "undelivered", message))
                elif reply is not None:
                    reply.set(value)

    def _hand_over(self, topic: str | None, message: Outbound) -> None:
        try:
            with self._runtime.blocking():
                self._sink(message)
        # User code. A BaseException would have Pykka stop every actor of the process.
        except BaseException as error:
            self._failed(topic, message, error)

    def _failed(self, topic: str | None, message: Outbound, error: BaseException) -> None:
        log("error", "the sink failed on {}", message, error=error)
        self._dead_letters.add(DeadLetter(topic, 0, "undelivered", message))


class SinkActor(_Role):
    """Runs the sink for what the supervisor answers itself."""

    def __init__(self, queues: SinkQueues) -> None:
        super().__init__()
        self._queues = queues
        queues.actor = self

    def on_receive(self, message: Any) -> None:
        if self._queues.is_awaited:
            self._queues.deliver(message, self._lifecycle_hold(_nothing))
        else:
            self._queues.deliver(message)


def _nothing() -> None:
    """The rest of a delivery."""
