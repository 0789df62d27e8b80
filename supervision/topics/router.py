"""The supervisor actor: it numbers every event, routes it by topic, watches the topic actors and counts incarnations.

It never waits: what must come later reaches it as a message. Only when it is stopped from outside, as by Pykka's
`ActorRegistry.stop_all()`, it waits in `on_stop`, up to a deadline, for topic actors to end.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import pykka

from lightspeed.actors.logs import log
from lightspeed.actors.runtime import DECLINED, ReplyTo, Runtime
from lightspeed.actors.topics.mail import Delivery, Errand, Mail, Order, Question, TimerFired, TopicDown, TopicEmpty, TopicLate
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.events import Crash, Join, Rejoin, Restart
from lightspeed.actors.topics.rules.life import ChannelLife
from lightspeed.actors.topics.rules.topic import Messages, crash_messages
from lightspeed.supervision.latch import Latch, Told
from lightspeed.supervision.topics.aftermath import Aftermath
from lightspeed.supervision.topics.children import Child, Children
from lightspeed.supervision.topics.counts import Counts
from lightspeed.supervision.topics.dead_letters import DeadLetters
from lightspeed.supervision.topics.ingress import Ingress, in_turn, kept, lose, tried
from lightspeed.supervision.topics.messages import (
    AskCensus,
    AskCrashed,
    AskTopic,
    AskTree,
    Close,
    CloseOverdue,
    ComeUp,
    Counted,
    CountOverdue,
    Flush,
    LookForStuck,
    Overdue,
    RejoinWindowClosed,
    StopAll,
)
from lightspeed.supervision.topics.options import Options
from lightspeed.supervision.topics.outlet import Outbox, SinkQueues
from lightspeed.supervision.topics.questions import Questions
from lightspeed.supervision.topics.roll import Ledger
from lightspeed.supervision.topics.watches import Reminders

if TYPE_CHECKING:
    _Role = pykka.Actor
else:
    _Role = object  # the runtime mixes the kind of actor in


class TopicSupervisor(_Role):
    """The hooks of a supervisor; a `Runtime` adds the kind of actor they run on."""

    log_fields: ClassVar[dict[str, object]] = {}  # as a topic actor it logs its failure itself; Pykka's record need not repeat it

    def __init__(
        self,
        runtime: Runtime,
        outlet: Outbox | SinkQueues,
        ingress: Ingress,
        options: Options,
        dead_letters: DeadLetters,
        done: ReplyTo,
    ) -> None:
        super().__init__()
        self._runtime, self._outlet, self._ingress, self._options = runtime, outlet, ingress, options
        self._done, self._dead_letters = done, dead_letters
        """Told when nothing is left of this supervisor but the end of its own thread."""
        self._seq = 0
        self._life = ChannelLife()
        self._ledger = Ledger(is_kept=options.rejoin == "supervisor")
        self._children = Children(runtime, outlet, self._report, options, self._ledger, self.next_number)
        self._counts = Counts()
        self._closing = False
        self._is_plain = True
        """Neither crashed nor closing, and nothing waits: then an event goes straight to its topic."""
        self._reminders = Reminders(runtime, self.actor_ref)
        self._aftermath = Aftermath(runtime, options, self._children, self._life, outlet, self, dead_letters, self._ledger)
        self._questions = Questions(self._children, self._counts, self._life, outlet, self._aftermath)

    def on_receive(self, message: Any) -> Any:
        try:
            if type(message) is Delivery and self._is_plain:  # nearly everything is: the shortest way
                message.seq = self._seq = self._seq + 1
                child = self._children.live.get(message.request.topic)
                if child is None or child.awaits_rejoin:
                    self._route(message)
                else:
                    self._children.deliver(child, message)
                return None
            handler = _HANDLERS.get(type(message))
            if handler is None:
                return super().on_receive(message)  # logs that it is unexpected
            if type(message) in _OF_ALL_TOPICS and self._counts.hold_all(message):
                return None
            return handler(self, message)
        except Exception:  # a bug, or a runtime's failure, and the end of the channel
            self._ingress.shut()  # who is told that the channel is closed finds it so
            lose(message, self._dead_letters)
            raise

    def receive_inline(self, delivery: Delivery) -> object:
        """Let an idle topic handle the event in the thread that tells it, whole or not at all; all else comes by the ingress."""
        if not self._is_plain:
            return DECLINED
        child = self._children.live.get(delivery.request.topic)
        if child is None:
            return self._begin_here(delivery)
        if child.awaits_rejoin or not child.runs_here or child.ref is None:
            return DECLINED
        delivery.seq = self._seq = self._seq + 1
        return None if child.ref.handle_inline(delivery) else DECLINED

    def _begin_here(self, delivery: Delivery) -> object:
        """The topic has no actor. If it gets one, it keeps it only with a member."""
        topic, live = delivery.request.topic, self._children.live
        if topic in self._life.down or topic in self._ledger or type(delivery.request) not in _BRING_MEMBERS:
            return DECLINED
        child = self._children.make_here(topic)
        if child is None:
            return DECLINED
        assert child.ref is not None
        delivery.seq = self._seq = self._seq + 1
        live[topic] = child
        try:
            return None if child.ref.handle_inline(delivery) else DECLINED
        finally:
            if not child.cell.members:
                del live[topic]

    def on_stop(self) -> None:
        try:
            self._end()
        finally:
            self._done.set()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        log("error", "the supervisor failed", error=exception_value)
        self.on_stop()

    # Events

    def _accept(self, mail: Delivery | Order) -> object:
        if self._closing:
            return DECLINED  # told in a caller's thread, past the ingress, which is shut
        mail.seq = self._seq = self._seq + 1
        if not (self._counts.are_waited_for and self._counts.hold_all(mail)):
            self._handle(mail)
        return None

    def _handle(self, mail: Delivery | Order) -> None:
        if isinstance(mail, Order):
            self._change(mail, mail.request)
            self._is_plain = self._seems_plain()
        else:
            self._route(mail)

    def _route(self, delivery: Delivery, *, again: bool = False) -> None:
        topic = delivery.request.topic
        if not again and self._counts.holds(topic, delivery):
            return
        child = None if self._life.crashed else self._children.live.get(topic)
        if child is None:
            answer = self._life.answer(delivery.request, topic_exists=False)
            if answer is not None:
                more_end = topic in self._children.leaving
                self._ledger.strike(delivery.request, self._children.incarnation, more_end=more_end)
                self._children.emit(delivery.seq, topic, answer, delivery.reply)
                return
            child = self._children.add(topic, restores=topic in self._ledger)  # no actor could be started before
        if child.awaits_rejoin and type(delivery.request) in _BRING_MEMBERS:
            child.awaits_rejoin = False
        self._children.deliver(child, delivery)

    def _change(self, order: Order, event: Crash | Restart, *, counted: bool = False) -> None:
        topic = event.topic
        if not counted and self._must_count_first(order, topic):
            return
        child = self._children.live.get(topic) if topic is not None else None
        exists = child is not None and (child.is_put_off or self._children.roll.count(child) > 0)
        was_crashed, was_down = self._life.crashed, topic in self._life.down
        answer = self._life.answer(event, topic_exists=exists)
        if answer is not None and (self._life.crashed, topic in self._life.down) == (was_crashed, was_down):
            self._children.emit(order.seq, topic, answer, order.reply)
            return
        latch = Latch(order.reply) if order.reply is not None else None
        if answer is not None:
            self._children.emit(order.seq, topic, answer, latch.part() if latch is not None else None)
        if isinstance(event, Restart):
            self._restart(topic, latch)
        elif child is not None:
            self._crash_one(child, order, event, latch)
        else:
            self._aftermath.crash_all(order.seq, event, latch)
        if latch is not None:
            latch.close()

    def _flush(self, message: Flush) -> None:
        if message.last_seq is None:
            message.last_seq = self._seq
        if not self._counts.hold_all(message):
            self._questions.flush(message)

    def _must_count_first(self, order: Order, topic: str | None) -> bool:
        """Whether it has to wait until the topic, or all of those that are being counted, have handled what they were sent."""
        if topic is None:
            return self._counts.hold_all(order)
        if self._counts.holds(topic, order):
            return True
        child = self._children.live.get(topic)
        if child is None or child.is_put_off or not isinstance(order.request, Crash) or self._children.roll.is_settled(child):
            return False
        self._counts.start(topic, order)
        self._reminders.later(self._options.crash_timeout_s, CountOverdue(topic, order.seq, child.progress))
        self._children.deliver(child, Question(len, Told(self._report, Counted(topic, order.seq))))
        return True

    def _on_counted(self, message: Counted) -> None:
        if self._counts.is_for(message.topic, message.seq):  # else its time was over before
            self._go_on_after_count(message.topic)

    def _on_count_overdue(self, message: CountOverdue) -> None:
        topic, seq = message.topic, message.seq
        child = self._children.live.get(topic)
        if not self._counts.is_for(topic, seq):
            return
        if child is None or (child.ref is not None and child.progress == message.progress):
            self._go_on_after_count(topic)
        else:  # it still gets there; one that waits for those before it to end does not wait longer than they are waited for
            self._reminders.later(self._options.crash_timeout_s, CountOverdue(topic, seq, child.progress))

    def _go_on_after_count(self, topic: str) -> None:
        order, *others = self._counts.finish(topic)
        assert isinstance(order, Order)
        with kept(deque([order, *others]), self._dead_letters) as held:
            self._change(held.popleft(), order.request, counted=True)
            for mail in in_turn(held):
                if isinstance(mail, Question):
                    self._questions.put(topic, mail)
                else:
                    self._handle(mail)
        with kept(deque(self._counts.release()), self._dead_letters) as behind:
            for waiting in in_turn(behind):
                if not isinstance(waiting, (Delivery, Order)):
                    self.on_receive(waiting)
                elif not (self._counts.are_waited_for and self._counts.hold_all(waiting)):
                    self._handle(waiting)
        self._is_plain = self._seems_plain()

    def _seems_plain(self) -> bool:
        return not (self._closing or self._life.crashed or self._counts)

    def _crash_one(self, child: Child, order: Order, event: Crash, latch: Latch | None) -> None:
        topic = child.cell.topic
        log("info", "topic {} crashed: {}", topic, event.reason, topic=topic, incarnation=child.cell.incarnation)
        self._life.down[topic] = "crashed"
        self._children.died_of(topic, event.reason)
        messages = crash_messages(topic, self._children.roll.members_of(child), event.reason)
        self._children.emit(order.seq, topic, messages, latch.part() if latch is not None else None)
        if child.is_put_off:
            self._aftermath.drop(child)
            return
        is_down = self._aftermath.crash(child, order.seq, event)
        if latch is not None:
            self._children.wait_for_leaving(latch, topic)
        if not is_down:
            self._aftermath.watch_leaving([child])

    def _restart(self, topic: str | None, latch: Latch | None) -> None:
        log("info", "restarted: {}", "the channel" if topic is None else topic)
        if latch is not None:
            self._children.wait_for_leaving(latch, topic)
        if topic is None:
            self._aftermath.start_again(self._aftermath.crashed_topics())
        elif not self._life.crashed:  # else it comes up with the channel
            self._aftermath.start_again([topic])

    # Topic actors

    def _topic_empty(self, message: TopicEmpty) -> None:
        cell = message.cell
        child = self._children.live.get(cell.topic)
        is_idle = child is not None and child.cell is cell and not child.is_busy
        if child is not None and is_idle and not child.awaits_rejoin and not cell.members:
            if message.reply is not None:
                child.latches += (message.reply,)
            self._aftermath.stop(child)
        elif message.reply is not None:
            message.reply.set()

    def _on_timer(self, message: TimerFired) -> None:
        child = self._children.live.get(message.cell.topic)
        if child is not None and child.cell is message.cell:
            ring: Any = partial(BehavedTopic.ring, name=message.name, key=message.key)
            self._children.deliver(child, Errand(ring, None, self.next_number()))

    # For what follows an end

    def next_number(self) -> int:
        """For what arises by itself: it is numbered when the supervisor learns of it."""
        self._seq += 1
        return self._seq

    def emit_unasked(self, topic: str, messages: Messages) -> None:
        """Give out what answers no event."""
        self._children.emit(self.next_number(), topic, messages, None)

    def route_again(self, topic: str, mail: Mail) -> None:
        """Under its old number, to the topic's next actor, ahead of all that waits until the topic has been counted."""
        if type(mail) is Delivery:
            self._route(mail, again=True)
        elif type(mail) is Question:
            child = self._children.live.get(topic)
            if child is None or (child.is_put_off and isinstance(mail.reply, Told)):  # to count does not wait for a backoff
                self._children.answer(mail, "")
            else:
                self._children.deliver(child, mail)

    def crash_channel(self, reason: str) -> None:
        """As by `Crash`: too many topics failed."""
        self._handle(Order(Crash(reason), None, self.next_number()))

    def after_the_last(self) -> None:
        """Nobody is on his way down any more."""
        if self._closing and not (self._children.leaving or self._children.live) and self.actor_ref.is_alive():
            self.stop()

    # The end

    def _close(self, message: Close) -> None:
        self._ingress.shut()  # whoever told it may have been interrupted before he could
        self._reminders.later(message.timeout_s, CloseOverdue())
        self.actor_ref.tell(StopAll())  # behind all that was accepted

    def _stop_all(self, _message: StopAll) -> None:
        self._closing, self._is_plain = True, False
        self._aftermath.rejoin_windows.cancel()
        for child in self._children.each_live():
            child.is_put_off = False  # what waits for it was accepted, and is handled
            self._aftermath.stop(child)
        self.after_the_last()

    def _close_overdue(self, _message: CloseOverdue) -> None:
        self._end_counts()
        self._aftermath.abandon_all()

    def _end_counts(self) -> None:
        """Who is in the topics that are being counted is not waited for any more."""
        while self._counts:
            tried(self._go_on_after_count, self._counts.topics[0])

    def _end(self) -> None:
        """The end, whoever brought it: handle what was accepted, then wait for the topic actors."""
        self._ingress.shut()
        inbox: Any = self.actor_inbox  # of either kind
        while left := inbox.drain():
            for message in left:
                if type(message) in _HANDLERS:
                    tried(self.on_receive, message)
        self._end_counts()
        for child in self._children.each_live():
            child.is_put_off = False
            tried(self._aftermath.stop, child)
        deadline_s = self._runtime.monotonic_s() + self._options.crash_timeout_s
        while leaving := self._children.everyone_leaving():
            tried(self._aftermath.wait_for_end, leaving[0], deadline_s)
            self._children.remove(leaving[0].cell)
        for end in (self._reminders.cancel, self._aftermath.cancel, self._outlet.close, self._runtime.retire):
            tried(end)

    # Messages to itself

    def _report(self, what: TopicEmpty | TopicDown | TopicLate) -> None:
        """Called on the topic actors' threads."""
        if type(what) is TopicLate:
            self._dead_letters.take(what)
            return
        if type(what) is TopicDown and self._children.is_expected(what):
            return
        try:
            self.actor_ref.tell(what)
        except pykka.ActorDeadError:
            if isinstance(what, TopicEmpty) and what.reply is not None:
                what.reply.set()


_BRING_MEMBERS = frozenset((Join, Rejoin))

_OF_ALL_TOPICS = frozenset((AskCensus, AskCrashed, StopAll))

_HANDLERS: dict[type, Callable[[TopicSupervisor, Any], object]] = {
    Delivery: TopicSupervisor._accept,
    Order: TopicSupervisor._accept,
    Flush: TopicSupervisor._flush,
    AskTopic: lambda supervisor, message: supervisor._questions.ask_topic(message),
    AskCensus: lambda supervisor, message: supervisor._questions.ask_census(message),
    AskCrashed: lambda supervisor, message: supervisor._questions.ask_crashed(message),
    AskTree: lambda supervisor, message: supervisor._questions.ask_tree(message),
    Close: TopicSupervisor._close,
    Counted: TopicSupervisor._on_counted,
    CountOverdue: TopicSupervisor._on_count_overdue,
    TopicEmpty: TopicSupervisor._topic_empty,
    TimerFired: TopicSupervisor._on_timer,
    LookForStuck: lambda supervisor, message: supervisor._aftermath.give_up_the_stuck(),
    ComeUp: lambda supervisor, message: supervisor._aftermath.come_up(message),
    TopicDown: lambda supervisor, message: supervisor._aftermath.down(message),
    Overdue: lambda supervisor, message: supervisor._aftermath.overdue(message.watch),
    StopAll: TopicSupervisor._stop_all,
    CloseOverdue: TopicSupervisor._close_overdue,
    RejoinWindowClosed: lambda supervisor, message: supervisor._aftermath.rejoin_window_closed(message),
}
