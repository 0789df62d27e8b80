"""The supervisor's topic actors: who lives, who is leaving, and what each was sent.

A topic has at most one actor at a time. `live` holds the child that takes deliveries. A child that was told to stop or to
crash goes to the end of its topic's line in `leaving`; its successor is started when the last before it is down, and until
then what the successor is sent waits with it.
"""

import threading
from collections.abc import Callable, Iterator
from operator import methodcaller
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.logs import log
from lightspeed.actors.pykka_inside import STOP
from lightspeed.actors.runtime import ReplyTo, Runtime, SupervisedRef
from lightspeed.actors.topics.actor import BehavedTopicActor, TopicActor
from lightspeed.actors.topics.mail import Behaved, Delivery, Errand, Mail, Order, Question, TopicCell, TopicDown
from lightspeed.actors.topics.rules.events import Crash
from lightspeed.actors.topics.rules.outbound import error
from lightspeed.actors.topics.rules.topic import Messages, TopicState
from lightspeed.supervision.latch import Latch
from lightspeed.supervision.topics.options import Options
from lightspeed.supervision.topics.outlet import Outbox, SinkQueues
from lightspeed.supervision.topics.roll import Ledger, Roll

_NONE: Any = ()  # stands for an empty list: most children never need theirs


class Child(Struct, eq=False, gc=False):
    """One incarnation of a topic, as its supervisor sees it. As a `TopicCell`, out of the collector's sight."""

    cell: TopicCell
    restores: bool
    """It stands for one that ended, and takes its members back."""
    awaits_rejoin: bool
    """It does, and nobody has come back yet: it is stopped when its rejoin window closes."""
    runs_here: bool
    """It runs no code of the user's, and so may be run by whoever tells it something."""
    ref: SupervisedRef | None = None
    """None: not started yet."""
    sent: int = 0
    crashed: bool = False
    stops: bool = False
    is_put_off: bool = False
    """It is to come up later: until then it is not started, and what it is sent waits."""
    waiting: list[Mail] = _NONE
    """Sent to no actor: it is not started yet, or was found dead."""
    held: list[tuple[int, Messages, ReplyTo | None]] = _NONE
    """Answers about the topic that must come after its own."""
    latches: tuple[ReplyTo, ...] = ()
    """Told when it is down."""
    to_come: int = 0
    """So many members it takes back first of all."""
    replay_seq: int = 0
    """The number under which it does, where that was given before it could be started; 0: it was not."""
    behind: "Child | None" = None
    """The next in its topic's line of those who leave."""

    @property
    def is_busy(self) -> bool:
        return self.sent != self.cell.settled

    @property
    def progress(self) -> int:
        """It grows with each that it has handled; it is less before the start."""
        return -1 if self.ref is None else self.cell.settled

    @property
    def last(self) -> "Child":
        """The end of the line that it stands in."""
        child = self
        while child.behind is not None:
            child = child.behind
        return child

    def keep(self, mail: Mail) -> None:
        """Keep what can be sent to no actor now."""
        if self.waiting is _NONE:
            self.waiting = []
        self.waiting.append(mail)

    def hold(self, seq: int, messages: Messages, reply: ReplyTo | None) -> None:
        """Keep an answer until it is down."""
        if self.held is _NONE:
            self.held = []
        self.held.append((seq, messages, reply))


class Children:
    """For the supervisor's thread only."""

    def __init__(
        self,
        runtime: Runtime,
        outlet: Outbox | SinkQueues,
        report: Callable[[Any], None],
        options: Options,
        ledger: Ledger,
        next_number: Callable[[], int],
    ) -> None:
        self._runtime, self._outlet, self._report, self._own_thread = runtime, outlet, report, options.own_thread or None
        self._max_waiting = options.restarts.max_waiting
        self._ledger, self._next_number = ledger, next_number
        # With a sink, to let a topic handle something is to run the user's code, and that is no caller's business.
        self._is_ours_alone = isinstance(outlet, Outbox)
        self._handles_here = self._is_ours_alone and getattr(runtime, "handles_inline", False)
        self.in_flight: dict[TopicCell, Mail] = {}
        self._behaviours = options.behaviours if options.behaviours else None
        self._died_of: dict[str, str] = {}
        self.incarnation = 0
        """The last that was given."""
        self._touched: dict[Child, None] = {}  # sent something since the last settle, in that order
        self._ends_here: tuple[TopicCell, int] | None = None  # whose end is being ordered, and in which thread
        self.live: dict[str, Child] = {}
        self.leaving: dict[str, Child] = {}
        """The one of a topic that is on its way down; those behind it are not started yet."""
        self.roll = Roll(self.leaving, self.in_flight, ledger)

    def add(self, topic: str, *, restores: bool = False) -> Child:
        """A new child, with the next incarnation. It is started by its first delivery, or by `start`.

        One that `restores` stands for one that ended: its members come back to it.
        """
        self.incarnation += 1
        cell = TopicCell(topic, self.incarnation, self._outlet, self._report, self.in_flight, behaved=self._behaved(topic))
        child = self.live[topic] = Child(cell, restores, restores, self._is_ours_alone and cell.behaved is None)
        return child

    def make_here(self, topic: str) -> Child | None:
        """A child, with its actor, for a topic that has none, in nobody's table yet; None where it is not for a caller's thread.

        Only what runs no code of the user's, and needs no thread, is.
        """
        if not self._handles_here or topic in self.leaving or (self._own_thread and self._own_thread.find(topic)):
            return None
        if self._behaviours is not None and self._behaviours.find(topic) is not None:
            return None
        self.incarnation += 1
        cell = TopicCell(topic, self.incarnation, self._outlet, self._report, self.in_flight)
        return Child(cell, False, False, True, self._runtime.start(TopicActor, cell))

    def _behaved(self, topic: str) -> Behaved | None:
        if self._behaviours is None:
            return None
        make = self._behaviours.find(topic)
        reason = self._died_of.pop(topic, None)
        return None if make is None else Behaved(make, reason, self._runtime.call_later, self._runtime.blocking)

    def died_of(self, topic: str, reason: str) -> None:
        """For the behaviour of its next incarnation: the topic has failed of this, or crashes of it by order."""
        if self._behaviours is not None and self._behaviours.find(topic) is not None:
            self._died_of[topic] = reason

    def was_empty(self, topic: str) -> None:
        """It was to crash by order, and nobody was in it: what comes next begins anew."""
        self._died_of.pop(topic, None)

    def deliver(self, child: Child, mail: Mail) -> None:
        """Have it handled in its turn; where the child can't be started, answer it."""
        child.sent += 1
        ref = child.ref
        if ref is None:
            if type(mail) is Delivery and self._has_enough(child):
                child.sent -= 1
                self.answer(mail, "unavailable")
                return
            child.keep(mail)
            self._touched[child] = None
            self.start(child)
        elif not (child.runs_here and ref.tell_inline(mail)):
            self._tell(child, ref, mail)

    def _has_enough(self, child: Child) -> bool:
        """Whether so many events wait for one that was put off that another one may not. Questions don't count."""
        if not child.is_put_off or len(child.waiting) < self._max_waiting:
            return False
        return sum(type(mail) is Delivery for mail in child.waiting) >= self._max_waiting

    def start(self, child: Child) -> None:
        """Start the actor and send it all that waited, unless one of the topic is still leaving."""
        topic = child.cell.topic
        if child.is_put_off:
            return
        if self.leaving.get(topic, child) is not child:
            if self.roll.awaits_members(child) and not child.replay_seq:  # what comes of that stands before all that comes later
                child.replay_seq = self._next_number()
                self._touched[child] = None
            return
        self._take_back_members(child)
        start = self._runtime.start_on_thread if self._own_thread and self._own_thread.find(topic) else self._runtime.start
        try:
            ref = start(TopicActor if child.cell.behaved is None else BehavedTopicActor, child.cell)
        except Exception as failure:  # the world's: no more threads, or whatever the runtime's kind of actor is short of
            self._give_up(child, failure)
            return
        child.ref = ref
        waiting, child.waiting = child.waiting, _NONE
        for mail in waiting:
            if not (child.runs_here and ref.tell_inline(mail)):
                self._tell(child, ref, mail)
        if child.stops:
            ref.stop_soon()

    def _take_back_members(self, child: Child) -> None:
        """Before anything that waits, if it was started to take the place of one that ended."""
        rejoins = self._ledger.take(child.cell.topic, child.cell.incarnation)
        if rejoins and child.restores:
            child.awaits_rejoin, child.to_come = False, len(rejoins)
            replay = Errand(methodcaller("replay", rejoins), None, child.replay_seq or self._next_number(), rejoins)
            child.waiting = [replay, *child.waiting]
            child.sent += 1
            self._touched[child] = None

    def crash(self, child: Child, seq: int, event: Crash) -> bool:
        """Send the crash to the tail of its inbox: what it was sent before is handled before. Whether it is down already."""
        child.crashed = True
        self._leave(child)
        self._ends_here = child.cell, threading.get_ident()
        self.deliver(child, Order(event, None, seq))
        return self._has_ended_here()

    def stop(self, child: Child) -> bool:
        """Stop it when it has handled all that it was sent. Whether it is down already."""
        child.stops = True
        self._leave(child)
        if child.ref is None:
            self.start(child)
            return False
        self._ends_here = child.cell, threading.get_ident()
        if not (child.runs_here and child.ref.tell_inline(STOP)):
            child.ref.stop_soon()
        return self._has_ended_here()

    def is_expected(self, end: TopicDown) -> bool:
        """Whether it ends within a call of ours, in this thread: then nobody need be told. For whoever reports it."""
        if self._ends_here != (end.cell, threading.get_ident()):
            return False
        self._ends_here = None
        return True

    def _has_ended_here(self) -> bool:
        ended, self._ends_here = self._ends_here is None, None
        return ended

    def drop(self, child: Child) -> list[Mail]:
        """Take out one that has been put off; what waited for it is the caller's."""
        del self.live[child.cell.topic]
        self._touched.pop(child, None)
        return self.take_left(child)

    def take_left(self, child: Child) -> list[Mail]:
        """What a dead or abandoned child was sent and has not handled, in order."""
        left: list[Any] = [] if child.ref is None else child.ref.drain()
        left += child.waiting
        child.waiting = _NONE
        return [mail for mail in left if type(mail) in _MAIL]

    def remove(self, cell: TopicCell) -> Child | None:
        """Take out the child that is dead; None if it was already, as an abandoned one is: its report is fenced off."""
        topic = cell.topic
        child = self.leaving.get(topic)
        if child is not None and child.cell is cell:
            if child.behind is None:
                del self.leaving[topic]
            else:
                self.leaving[topic] = child.behind
        else:
            child = self.live.get(topic)
            if child is None or child.cell is not cell:
                return None
            del self.live[topic]
        self._touched.pop(child, None)
        return child

    def start_successor(self, of: Child) -> None:
        """Start who comes next in the topic. One that only awaits rejoins is not needed where nobody was a member."""
        topic = of.cell.topic
        child = self.leaving.get(topic) or self.live.get(topic)
        if child is None or child.ref is not None or child.is_put_off:
            return
        has_work = any(type(mail) is not Question for mail in child.waiting)
        is_wanted = of.cell.members or topic in self._ledger or has_work or child.stops
        if child.awaits_rejoin and not is_wanted:
            del self.live[topic]
            self._touched.pop(child, None)
            for question in self.take_left(child):
                self.answer(question, "")
        else:
            self.start(child)

    def answer(self, mail: Mail, why: str) -> None:
        """Answer what no actor will handle: an event is refused, a question is answered as of an empty topic."""
        if type(mail) is Delivery:
            event = mail.request
            self._put_out(mail.seq, event.topic, (error(event.client_id, event.topic, why),), mail.reply)
        elif type(mail) is Question:
            mail.reply.set(mail.request(TopicState("")))
        # An errand is nobody's: a timer, or a replay of members, whom the ledger has back.

    def emit(self, seq: int, topic: str | None, messages: Messages, reply: ReplyTo | None) -> None:
        """Put out what no topic actor emits; behind all that the topic's actors, if any, have yet to emit."""
        leaving = self.leaving.get(topic) if topic is not None else None
        if leaving is None:
            self._put_out(seq, topic, messages, reply)
        else:
            leaving.last.hold(seq, messages, reply)

    def release(self, child: Child) -> None:
        """Emit what was held until this child is down."""
        for seq, messages, reply in child.held:
            self._put_out(seq, child.cell.topic, messages, reply)

    def settle(self, latch: Latch) -> None:
        """Have the latch wait for all that was sent so far."""
        touched, self._touched = self._touched, {}
        for child in touched:
            if not self.roll.is_settled(child) and self.live.get(child.cell.topic) is child:
                self.deliver(child, Question(_nothing, latch.part()))
        self.wait_for_leaving(latch)

    def wait_for_leaving(self, latch: Latch, topic: str | None = None) -> None:
        """Have the latch wait until everyone who is leaving now, or who is in the topic, is down."""
        alone = (latch,)  # one tuple for all of them: there may be a hundred thousand
        for leaving in self.leaving.values() if topic is None else filter(None, [self.leaving.get(topic)]):
            latch.part()
            last = leaving.last
            last.latches = last.latches + alone if last.latches else alone

    def each_live(self) -> Iterator[Child]:
        """Those who live now, one by one; they may go meanwhile, and whoever has gone is kept by nobody."""
        for topic in list(self.live):
            child = self.live.get(topic)
            if child is not None:
                yield child

    def everyone_leaving(self) -> list[Child]:
        everyone = []
        for leaving in self.leaving.values():
            child: Child | None = leaving
            while child is not None:
                everyone.append(child)
                child = child.behind
        return everyone

    def _put_out(self, seq: int, topic: str | None, messages: Messages, reply: ReplyTo | None) -> None:
        if self._outlet.put(seq, topic, messages, reply):
            self._outlet.ring(topic)

    def _leave(self, child: Child) -> None:
        topic = child.cell.topic
        if self.live.get(topic) is child:
            del self.live[topic]
            leaving = self.leaving.setdefault(topic, child)
            if leaving is not child:
                leaving.last.behind = child

    def _tell(self, child: Child, ref: SupervisedRef, mail: Mail) -> None:
        self._touched[child] = None
        try:
            ref.tell(mail)
        except pykka.ActorDeadError:
            child.keep(mail)  # stopped from outside: its report is on the way

    def _give_up(self, child: Child, failure: Exception) -> None:
        log("error", "no actor could be started for topic {}", child.cell.topic, error=failure)
        child.cell.members = 0
        self.remove(child.cell)
        if child.cell.behaved is not None and child.cell.behaved.restarted_by is not None:
            self.died_of(child.cell.topic, child.cell.behaved.restarted_by)
        for mail in self.take_left(child):
            if type(mail) is Errand and mail.rejoins:
                self._ledger.put_back(child.cell.topic, mail.rejoins)
            self.answer(mail, "unavailable")
        self.release(child)
        for latch in child.latches:
            latch.set()
        if child.cell.topic not in self.leaving:
            self._ledger.forget_strangers(child.cell.topic)
        self.start_successor(child)


_MAIL = frozenset((Delivery, Errand, Order, Question))


def _nothing(_state: TopicState) -> None:
    """What a settle asks: only that it is answered in its turn."""
