"""The supervisor actor: it numbers every event, routes it by topic, watches the topic actors and counts incarnations.

It never waits: what must come later reaches it as a message. Only when it is stopped from outside, as by Pykka's
`ActorRegistry.stop_all()`, it waits in `on_stop`, up to a deadline, for topic actors to end.
"""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import pykka
from msgspec import Struct

from lightspeed.actors.channel_state import ChannelLife
from lightspeed.actors.events import Crash, Join, Rejoin, Restart
from lightspeed.actors.logs import logger
from lightspeed.actors.patterns import Patterns
from lightspeed.actors.post import Delivery, Query, TopicDown, TopicEmpty
from lightspeed.actors.runtime import NOT_HERE, Reply, Runtime, Timer
from lightspeed.supervision.children import Child, Children
from lightspeed.supervision.door import Door
from lightspeed.supervision.latch import Census, Latch
from lightspeed.supervision.messages import (
    AskCensus,
    AskCrashed,
    AskTopic,
    Close,
    Flush,
    Overdue,
    RejoinWindowClosed,
)
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.sink import SinkLanes

if TYPE_CHECKING:
    _Role = pykka.Actor
else:
    _Role = object  # the runtime mixes the kind of actor in


class Options(Struct, frozen=True):
    """How a supervisor treats its topics."""

    rejoin_window_s: float = 30.0
    """How long a restarted topic waits for its first rejoin before its actor is stopped."""
    crash_timeout_s: float = 5.0
    """How long none of the topic actors that crash may come to its end before those left are abandoned."""
    own_thread: Patterns[bool] = Patterns("own_thread", {})
    """The topics whose actors have a thread of their own."""


class TopicSupervisor(_Role):
    """The hooks of a supervisor; a `Runtime` adds the kind of actor they run on."""

    log_fields: ClassVar[dict[str, object]] = {}  # as a topic actor it logs its failure itself; Pykka's record need not repeat it

    outlives_interrupts = True  # it may run in the main thread, and there Ctrl-C ends what a caller waits for, not his channel

    def __init__(self, runtime: Runtime, outlet: Outbox | SinkLanes, door: Door, options: Options, done: Reply) -> None:
        super().__init__()
        self._runtime, self._outlet, self._door, self._options = runtime, outlet, door, options
        self._done = done
        """Told when nothing is left of this supervisor but the end of its own thread."""
        self._seq = 0
        self._life = ChannelLife()
        self._children = Children(runtime, outlet, self._report, options.own_thread)
        self._had_members: dict[str, int] = {}  # topics that a restart starts again, and the incarnations that they were
        self._closing = False
        self._last_down_s = 0.0
        self._timers: list[Timer] = []
        self._crash_timers: list[Timer] = []

    def on_receive(self, message: Any) -> Any:
        handler = _HANDLERS.get(type(message))
        if handler is None:
            return super().on_receive(message)  # logs that it is unexpected
        return handler(self, message)

    def on_stop(self) -> None:
        try:
            self._end()
        finally:
            self._done.set()

    def on_failure(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        logger.opt(exception=error).error("the supervisor failed: {}", error)
        self.on_stop()

    # Events

    def _accept(self, delivery: Delivery) -> object:
        if self._closing:
            return NOT_HERE  # told in a caller's thread, past the door, which is shut
        seq = delivery.seq = self._seq = self._seq + 1
        event = delivery.request
        if type(event) is Crash or type(event) is Restart:
            self._change_life(seq, event, delivery.reply)
        else:
            self._route(delivery, event.topic)
        return None

    def _route(self, delivery: Delivery, topic: str) -> None:
        child = None if self._life.crashed else self._children.live.get(topic)
        if child is None:
            answer = self._life.answer(delivery.request, topic_exists=False)
            if answer is not None:
                self._children.emit(delivery.seq, topic, answer, delivery.reply)
                return
            child = self._children.add(topic)
        if child.awaits_rejoin and type(delivery.request) in _BRING_MEMBERS:
            child.awaits_rejoin = False
        self._children.deliver(child, delivery)

    def _change_life(self, seq: int, event: Crash | Restart, reply: Reply | None) -> None:
        was_crashed = self._life.crashed
        answer = self._life.answer(event, topic_exists=False)
        assert answer is not None
        if self._life.crashed == was_crashed:
            self._children.emit(seq, None, answer, reply)
            return
        latch = Latch(reply) if reply is not None else None
        self._children.emit(seq, None, answer, latch.part() if latch is not None else None)
        if isinstance(event, Crash):
            self._crash(seq, event, latch)
        else:
            self._restart(latch)
        if latch is not None:
            latch.close()

    def _crash(self, seq: int, event: Crash, latch: Latch | None) -> None:
        logger.info("channel crashed: {}; topic actors: {}", event.reason, len(self._children.live))
        self._cancel(self._timers)
        for child in list(self._children.live.values()):
            self._children.crash(child, seq, event)
        if latch is not None:
            self._children.wait_for_leaving(latch)
        crashed = frozenset(self._children.everyone_leaving())
        if crashed:
            self._last_down_s = self._runtime.monotonic_s()
            self._later(self._options.crash_timeout_s, Overdue(crashed), self._crash_timers)

    def _restart(self, latch: Latch | None) -> None:
        logger.info("channel restarted")
        if latch is not None:
            self._children.wait_for_leaving(latch)
        # Whether a topic that is still on its way down has members shows when it is; then its successor starts, or goes.
        still_dying = [topic for topic, leaving in self._children.leaving.items() if leaving.last.crashed]
        topics = dict.fromkeys([*sorted(self._had_members, key=self._had_members.__getitem__), *still_dying])
        started = tuple(self._children.add(topic, awaits_rejoin=True) for topic in topics)
        self._had_members.clear()
        for child in started:
            self._children.start(child)
        if started:
            self._later(self._options.rejoin_window_s, RejoinWindowClosed(started), self._timers)

    # Topic actors

    def _topic_empty(self, message: TopicEmpty) -> None:
        post = message.post
        child = self._children.live.get(post.topic)
        is_idle = child is not None and child.post is post and not child.is_busy
        if child is not None and is_idle and not child.awaits_rejoin and not post.members:
            if message.reply is not None:
                child.latches += (message.reply,)
            self._children.stop(child)
        elif message.reply is not None:
            message.reply.set()

    def _topic_down(self, message: TopicDown) -> None:
        was_live = self._children.live.get(message.post.topic)
        child = self._children.remove(message.post)
        if child is not None:
            self._last_down_s = self._runtime.monotonic_s()
            self._after(child, unexpected=child is was_live)

    def _after(self, child: Child, *, unexpected: bool) -> None:
        """What follows a child's end: nothing that was accepted is lost, and who waited for it goes on."""
        post = child.post
        in_hand = post.in_hand.pop(post, None)
        if in_hand is not None:
            self._children.answer(in_hand, "topic_crashed")
        left = self._children.take_left(child)
        if unexpected:
            logger.bind(topic=post.topic, incarnation=post.incarnation).error("topic {} ended unasked", post.topic)
            for delivery in left:
                self._route_again(post.topic, delivery)
        else:
            for delivery in left:
                self._children.answer(delivery, "crashed")
            is_last = post.topic not in self._children.leaving and post.topic not in self._children.live
            if child.crashed and post.members and is_last:
                self._had_members[post.topic] = post.incarnation
        self._children.release(child)
        self._children.start_successor(child)
        for latch in child.latches:
            latch.set()
        self._after_the_last()

    def _route_again(self, topic: str, delivery: Delivery) -> None:
        request = delivery.request
        if isinstance(request, Query):
            self._question(topic, delivery)
        elif not isinstance(request, Crash):
            self._route(delivery, topic)

    def _after_the_last(self) -> None:
        if not self._children.leaving:
            self._cancel(self._crash_timers)
            if self._closing and not self._children.live and self.actor_ref.is_alive():
                self.stop()

    def _overdue(self, message: Overdue) -> None:
        leaving = self._children.everyone_leaving()
        if message.children is None:
            for child in leaving:
                self._abandon(child)
            return
        late = [child for child in leaving if child in message.children]
        rest_s = self._last_down_s + self._options.crash_timeout_s - self._runtime.monotonic_s()
        if rest_s <= 0:  # else others of them still get there: ten thousand actors take seconds to fail
            stuck, late = [c for c in late if c.ref is not None], [c for c in late if c.ref is None]
            for child in stuck:  # whoever waited for one of them is started by this, and gets its turn
                self._abandon(child)
            self._last_down_s, rest_s = self._runtime.monotonic_s(), self._options.crash_timeout_s
        if late:
            self._later(rest_s, Overdue(frozenset(late)), self._crash_timers)

    def _abandon(self, child: Child) -> None:
        """Go on without a child that does not end: from here on its reports count no more, and its post gives it nothing."""
        post = child.post
        logger.bind(topic=post.topic, incarnation=post.incarnation).error("topic {} is abandoned", post.topic)
        self._children.remove(post)
        self._outlet.abandon(post.topic)
        self._after(child, unexpected=False)
        if child.ref is not None:
            child.ref.stop_soon()  # when it comes back it finds nothing else to do

    def _rejoin_window_closed(self, message: RejoinWindowClosed) -> None:
        for child in message.children:
            if child.awaits_rejoin and self._children.live.get(child.post.topic) is child:
                self._children.stop(child)

    # Questions

    def _flush(self, message: Flush) -> None:
        latch = Latch(message.reply, self._seq)
        self._children.settle(latch)
        self._outlet.settle(latch)
        latch.close()

    def _ask_topic(self, message: AskTopic) -> None:
        self._question(message.topic, Delivery(Query(message.ask), message.reply))

    def _question(self, topic: str, question: Delivery) -> None:
        child = self._children.live.get(topic)
        if child is None:
            self._children.answer(question, "")
        else:
            self._children.deliver(child, question)

    def _ask_crashed(self, message: AskCrashed) -> None:
        message.reply.set(self._life.crashed)

    def _ask_census(self, message: AskCensus) -> None:
        census = Census(message.reply)
        for topic, child in list(self._children.live.items()):
            if child.is_busy:
                self._children.deliver(child, Delivery(Query(len), census.part(topic)))
            else:
                census.add(topic, child.post.members)
        census.close()

    # The end

    def _close(self, message: Close) -> None:
        self._closing = True
        self._cancel(self._timers)
        self._later(message.timeout_s, Overdue(None), self._timers)
        for child in list(self._children.live.values()):
            self._children.stop(child)
        self._after_the_last()

    def _end(self) -> None:
        """The end, whoever brought it: handle what was accepted, then wait for the topic actors."""
        self._door.shut()
        while not self.actor_inbox.empty():
            envelope = self.actor_inbox.get()
            if type(envelope.message) in _HANDLERS:
                self.on_receive(envelope.message)
            elif envelope.reply_to is not None:
                envelope.reply_to.set(None)  # another stop
        for child in list(self._children.live.values()):
            self._children.stop(child)
        deadline_s = self._runtime.monotonic_s() + self._options.crash_timeout_s
        while leaving := self._children.everyone_leaving():
            self._wait_for_end(leaving[0], deadline_s - self._runtime.monotonic_s())
        self._cancel(self._timers)
        self._cancel(self._crash_timers)
        self._outlet.close()
        self._runtime.retire()

    def _wait_for_end(self, child: Child, timeout_s: float) -> None:
        assert child.ref is not None  # the first to leave was started
        try:
            child.ref.stop_within(max(0.0, timeout_s))
        except pykka.Timeout:
            self._abandon(child)
        else:
            self._topic_down(TopicDown(child.post, None))

    # Messages to itself

    def _report(self, what: TopicEmpty | TopicDown) -> None:
        """Called on the topic actors' threads."""
        try:
            self.actor_ref.tell(what)
        except pykka.ActorDeadError:
            if isinstance(what, TopicEmpty) and what.reply is not None:
                what.reply.set()

    def _later(self, delay_s: float, message: Any, timers: list[Timer]) -> None:
        ref = self.actor_ref

        def tell() -> None:
            if ref.is_alive():
                ref.tell(message)

        try:
            timers.append(self._runtime.call_later(delay_s, tell))
        except Exception as failure:  # the world's: no more threads. Without its deadline the rest still works.
            logger.opt(exception=failure).error("no timer could be started for {}", type(message).__name__)

    def _cancel(self, timers: list[Timer]) -> None:
        for timer in timers:
            timer.cancel()
        timers.clear()


_BRING_MEMBERS = frozenset((Join, Rejoin))

_HANDLERS: dict[type, Callable[[TopicSupervisor, Any], object]] = {
    Delivery: TopicSupervisor._accept,
    Flush: TopicSupervisor._flush,
    AskTopic: TopicSupervisor._ask_topic,
    AskCensus: TopicSupervisor._ask_census,
    AskCrashed: TopicSupervisor._ask_crashed,
    Close: TopicSupervisor._close,
    TopicEmpty: TopicSupervisor._topic_empty,
    TopicDown: TopicSupervisor._topic_down,
    Overdue: TopicSupervisor._overdue,
    RejoinWindowClosed: TopicSupervisor._rejoin_window_closed,
}
