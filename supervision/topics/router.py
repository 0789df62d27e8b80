"""The lower half of a topics' supervisor: it numbers events, routes them by topic, starts topics' actors, and answers questions.

What becomes of topics that crash, stop, fail or come up again is in `transitions.py`, above it. Neither waits: what must come
later reaches them as a message. Most questions are answered when the topics that are at work have come to them, each in its turn;
that of the tree at once: one looks at it because something does not get on.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.logs import log
from lightspeed.actors.runtime import DECLINED, ReplyTo, Runtime, SupervisedRef
from lightspeed.actors.topics.actor import BehavedTopicActor, TopicActor
from lightspeed.actors.topics.mail import (
    Afar,
    Behaved,
    BoundedCell,
    Delivery,
    DroppingBox,
    Mail,
    Order,
    Question,
    RestoreMembers,
    Taken,
    TimerDue,
    TimerFired,
    TopicCell,
    TopicDown,
    TopicEmpty,
    TopicLate,
    TopicVain,
    collect,
)
from lightspeed.actors.topics.rules.events import Join, Publish, Rejoin, Send, TopicEvent
from lightspeed.actors.topics.rules.life import ChannelLife
from lightspeed.actors.topics.rules.topic import Messages, TopicState, refused
from lightspeed.supervision.latch import Census, Latch
from lightspeed.supervision.topics.counts import Counts
from lightspeed.supervision.topics.dead_letters import DeadLetter, DeadLetters
from lightspeed.supervision.topics.histories import Histories
from lightspeed.supervision.topics.ingress import Ingress
from lightspeed.supervision.topics.messages import AskCensus, AskCrashed, AskTopic, Flush
from lightspeed.supervision.topics.options import DEFAULT_MAILBOX, Mailbox, Options
from lightspeed.supervision.topics.outlet import Follower, Outbox, SinkQueues
from lightspeed.supervision.topics.topic import NONE, Incarnation, Leaving, Phase, Restore, Topic

if TYPE_CHECKING:
    _Role = pykka.Actor
else:
    _Role = object  # the runtime mixes the kind of actor in

_RUNNING = Phase.RUNNING


class TopicRouter(_Role):
    """For the supervisor's thread only."""

    def __init__(
        self,
        runtime: Runtime,
        outlet: Outbox | SinkQueues,
        ingress: Ingress,
        options: Options,
        dead_letters: DeadLetters,
        done: ReplyTo,
        counts: Counts,
    ) -> None:
        super().__init__()
        self._runtime, self._outlet, self._ingress, self._options = runtime, outlet, ingress, options
        self._done, self._dead_letters = done, dead_letters
        """Told when nothing is left of this supervisor but the end of its own thread."""
        self._seq = 0
        self._incarnation = 0
        """The last that was given."""
        self._life = ChannelLife()
        self._histories = Histories(options.restarts, runtime)
        self._brings_back = options.rejoin == "supervisor"
        # With a sink, to let a topic handle something is to run the user's code, and that is no caller's business.
        self._is_ours_alone = isinstance(outlet, Outbox)
        self._handles_inline = self._is_ours_alone and getattr(runtime, "handles_inline", False)
        self._behaviours, self._own_thread = options.behaviours or None, options.own_thread or None
        self._noted = 0  # topics' members, so often
        self._reports_to = self._report  # one for all of them
        self._topics: dict[str, Topic] = {}
        """All of which something is known. Those that live stand in the order of their incarnations."""
        self._leaving: dict[str, Topic] = {}
        """Those of which somebody is on his way down."""
        self._in_flight: dict[TopicCell, Mail] = {}
        self._touched: dict[Incarnation, None] = {}  # sent something since the last settle, in that order
        self._ends_here: tuple[TopicCell, int] | None = None  # whose end is being ordered, and in which thread
        self._counted: dict[str, list[Mail]] = {}
        """Topics that are to crash, and of which it is asked who is in them: what waits for that, the order to crash first."""
        self._behind: list[Any] = []
        """What concerns all topics waits for all that are counted, and whatever comes then, behind it."""
        self._follower: Follower | None = None
        self._ledger: dict[str, Topic] = {}
        """Topics that have, or had, members to take back."""
        self._overloaded: set[str] = set()
        """Topics that shed events, and have not caught up."""
        self._mailboxes = options.mailboxes or None
        boxes = [DEFAULT_MAILBOX, *options.mailboxes.values()]
        self._few, self._small = min(box.max_messages for box in boxes), min(box.max_bytes for box in boxes)
        """A topic for which less waits is within its bounds, whichever these are."""
        self._counts = counts
        counts.topics, counts.overloaded, counts.life = self._topics, self._overloaded, self._life
        counts.last_number = lambda: self._seq
        self._closing = False
        self._is_plain = not options.is_clustered
        """Neither crashed nor closing, nothing waits, and nobody follows or is elsewhere: then an event goes straight to its
        topic."""

    # Events

    def receive_inline(self, delivery: Delivery) -> object:
        """Let an idle topic handle the event in the thread that tells it, whole or not at all; all else comes by the ingress."""
        if not self._is_plain:
            return DECLINED
        topic = self._topics.get(delivery.request.topic)
        if topic is None:
            return self._begin_inline(delivery)
        live = topic.live
        if live is None or live.phase is not _RUNNING or not live.runs_inline or live.ref is None:
            return DECLINED
        delivery.seq = self._seq = self._seq + 1
        if not self._seq & 1023:  # what is handled here passes by its `put`
            self._outlet.trim()
        return None if live.ref.handle_inline(delivery) else self._decline()

    def _begin_inline(self, delivery: Delivery) -> object:
        """Nothing is known of the topic. If it gets an actor, it keeps it only with a member."""
        name, topics = delivery.request.topic, self._topics
        if name in self._life.down or type(delivery.request) not in BRING_MEMBERS:
            return DECLINED
        live = None if self._is_full else self._make_inline(name)
        if live is None:
            return DECLINED
        assert live.ref is not None
        topic = Topic(name, live)
        delivery.seq = self._seq = self._seq + 1
        topics[name] = topic
        try:
            return None if live.ref.handle_inline(delivery) else self._decline()
        finally:
            if not live.cell.members:
                del topics[name]

    def _decline(self) -> object:
        """The event comes again, and has another number then."""
        self._counts.unasked += 1
        return DECLINED

    def _make_inline(self, name: str) -> Incarnation | None:
        """An incarnation, with its actor, in nobody's table yet; None where it is not for a caller's thread.

        Only what runs no code of the user's, and needs no thread, is.
        """
        if not self._handles_inline or (self._own_thread is not None and self._own_thread.find(name)):
            return None
        if self._behaviours is not None and self._behaviours.find(name) is not None:
            return None
        cell = self._make_cell(name)
        return Incarnation(cell, _RUNNING, True, self._runtime.start(TopicActor, cell))

    def _route(self, delivery: Delivery) -> None:
        line = self._counted.get(delivery.request.topic)
        if line is None:
            self._route_now(delivery)
        else:
            line.append(delivery)

    def _route_now(self, delivery: Delivery) -> None:
        """Ahead of all that waits until the topic has been counted."""
        event = delivery.request
        name = event.topic
        topic = self._topics.get(name)
        live = None if topic is None or self._life.crashed else topic.live
        if live is None:
            answer = self._life.answer(event, topic_exists=False)
            if answer is None and topic is None and self._is_full:
                answer = refused(event, "too_many_topics")
            if answer is not None:
                self._strike(delivery, self._incarnation)
                self._refuse_program(event, is_down=self._life.crashed or name in self._life.down)
                self._emit(delivery.seq, name, () if delivery.is_quiet else answer, delivery.reply)
                return
            live = self._add(name, restores=topic is not None and bool(topic.rejoins))  # no actor could be started before
        if live.phase is Phase.AWAITS_REJOIN and type(delivery.request) in BRING_MEMBERS:
            live.phase = _RUNNING
        self._deliver(live, delivery)

    @property
    def _is_full(self) -> bool:
        most = self._options.max_topics
        return most is not None and len(self._topics) >= most

    def _refuse_program(self, event: TopicEvent, *, is_down: bool = True) -> None:
        """The program gets no reply: what it sends in vain is a dead letter, but for a `Publish` where nobody is."""
        if type(event) is Send or (type(event) is Publish and is_down):
            self._dead_letters.add(DeadLetter(event.topic, 0, "refused", event))

    def _strike(self, delivery: Delivery, incarnation: int) -> None:
        """Strike off who wanted to leave a topic that is down, and is refused: it does not come back with the topic."""
        topic = self._topics.get(delivery.request.topic)
        if self._brings_back and topic is not None and topic.trouble is not None:
            topic.trouble.strike(delivery.request, incarnation)

    def _live(self, name: str) -> Incarnation | None:
        """The one that takes what the topic is sent, if there is one."""
        topic = self._topics.get(name)
        return None if topic is None else topic.live

    def _next_number(self) -> int:
        """For what arises by itself: it is numbered when the supervisor learns of it."""
        self._counts.unasked += 1
        self._seq += 1
        return self._seq

    # Topics' actors

    def _add(self, name: str, *, restores: bool = False) -> Incarnation:
        """A new incarnation. It is started by what it is sent first, or by `_start`.

        One that `restores` stands for one that ended: its members come back to it.
        """
        topic = self._topics.pop(name, None) or Topic(name)
        cell = self._make_cell(name, DroppingBox() if self._mailbox(name).overflow == "drop_oldest" else None)
        cell.behaved = self._make_behaved(topic)
        phase = Phase.AWAITS_REJOIN if restores else _RUNNING
        live = topic.live = Incarnation(cell, phase, self._is_ours_alone and cell.behaved is None)
        live.restore = Restore(self._brings_back) if restores else None
        self._topics[name] = topic
        return live

    def _make_cell(self, name: str, box: DroppingBox | None = None) -> TopicCell:
        """The cell of the topic's next incarnation."""
        self._incarnation += 1
        most = self._options.max_members
        kind = TopicCell if most is None and box is None and not self._options.is_clustered else BoundedCell
        cell = kind(name, self._incarnation, self._outlet, self._reports_to, self._in_flight)
        if isinstance(cell, BoundedCell):
            cell.max_members, cell.box = most, box
        return cell

    def _make_behaved(self, topic: Topic) -> Behaved | None:
        make = None if self._behaviours is None else self._behaviours.find(topic.name)
        if make is None:
            return None
        reason = None
        if topic.trouble is not None:
            reason, topic.trouble.died_of = topic.trouble.died_of, None
        return Behaved(make, reason, self._runtime, self._options.event_timeout_s)

    def _note_death(self, name: str, reason: str) -> None:
        """For the behaviour of its next incarnation: the topic has failed of this, or crashes of it by order."""
        if self._behaviours is not None and self._behaviours.find(name) is not None:
            self._topics[name].have_trouble().died_of = reason

    def _deliver(self, one: Incarnation, mail: Mail) -> None:
        """Have it handled in its turn; where the actor can't be started, answer it."""
        cell = one.cell
        if type(mail) is Delivery and mail.size:
            size = one.sent_bytes + mail.size
            if one.sent - cell.settled >= self._few or size - cell.settled_bytes > self._small:
                if self._sheds(one, mail, *self._waiting(one)):
                    return
                size = one.sent_bytes + mail.size
            one.sent_bytes = size
        ref = one.ref
        if ref is None and type(mail) is Delivery and not mail.is_quiet and self._has_enough(one):
            one.sent_bytes -= mail.size
            self._answer(mail, "unavailable")
            return
        if cell.box is not None and type(mail) is Delivery:
            if not cell.box.put(mail):
                return  # in the inbox stands what stood for one that was dropped
            mail = Taken()
        one.sent += 1
        if ref is None:
            one.keep(mail)
            self._touched[one] = None
            self._start(one)
        elif not (one.runs_inline and ref.tell_inline(mail)):
            self._tell(one, ref, mail)

    def _waiting(self, one: Incarnation) -> tuple[int, int]:
        """How many messages wait for it, what it is at work on among them, and what they count in bytes."""
        cell = one.cell
        waiting = one.sent - cell.settled if cell.box is None else len(cell.box) + (cell in cell.in_flight)
        return waiting, one.sent_bytes - cell.settled_bytes

    def _mailbox(self, name: str) -> Mailbox:
        return DEFAULT_MAILBOX if self._mailboxes is None else self._mailboxes.find(name) or DEFAULT_MAILBOX

    def _sheds(self, one: Incarnation, mail: Delivery, waiting: int, size: int) -> bool:
        """Whether its mailbox, in which so much waits, has no room for the event, and it was seen to."""
        raise NotImplementedError

    def _has_enough(self, one: Incarnation) -> bool:
        """Whether so many events wait for one that was put off that another one may not. Questions don't count."""
        most, waiting = self._options.restarts.max_waiting, one.waiting
        if one.phase is not Phase.BACKOFF or len(waiting) < most:
            return False
        events = waiting if one.cell.box is None else one.cell.box.waiting()
        return sum(type(mail) is Delivery and not mail.is_quiet for mail in events) >= most

    def _start(self, one: Incarnation) -> None:
        """Start the actor and send it all that waited, unless one of the topic is still leaving."""
        topic = self._topics[one.cell.topic]
        if one.phase is Phase.BACKOFF:
            return
        if topic.leaving is not None and topic.leaving is not one:
            if one.awaits_members and one.restore is not None and not one.restore.seq:
                one.restore.seq = self._next_number()  # what comes of that stands before all that comes later
                self._touched[one] = None
            return
        self._take_back_members(topic, one)
        start = self._runtime.start_on_thread if self._own_thread and self._own_thread.find(topic.name) else self._runtime.start
        try:
            ref = start(TopicActor if one.cell.behaved is None else BehavedTopicActor, one.cell)
        except Exception as failure:  # the world's: no more threads, or whatever the runtime's kind of actor is short of
            self._give_up_start(one, failure)
            return
        one.ref = ref
        if self._follower is not None and one.restore is not None:
            self._follower.up(topic.name)
        waiting, one.waiting = one.waiting, NONE
        for mail in waiting:
            if not (one.runs_inline and ref.tell_inline(mail)):
                self._tell(one, ref, mail)
        if one.phase is Phase.STOPPING:
            ref.stop_soon()

    def _tell(self, one: Incarnation, ref: SupervisedRef, mail: Mail) -> None:
        self._touched[one] = None
        try:
            ref.tell(mail)
        except pykka.ActorDeadError:
            one.keep(mail)  # stopped from outside: its report is on the way

    def _take_back_members(self, topic: Topic, one: Incarnation) -> None:
        """Before anything that waits, if it was started to take the place of one that ended."""
        rejoins = () if topic.trouble is None else topic.trouble.take(one.cell.incarnation)
        if rejoins and one.restore is not None:
            if one.phase is Phase.AWAITS_REJOIN:
                one.phase = _RUNNING
            one.restore.to_come = len(rejoins)
            one.waiting = [RestoreMembers(rejoins, one.restore.seq or self._next_number()), *one.waiting]
            one.sent += 1
            self._touched[one] = None
        topic.tidy()

    def _put_back(self, name: str, rejoins: tuple[Rejoin, ...]) -> None:
        """Keep the members that a topic's ended actor had, or was to take back."""
        topic = self._topics[name]
        if self._brings_back and (rejoins or topic.rejoins):
            self._noted += 1
            topic.have_trouble().put_back(rejoins, self._noted)
            self._ledger[name] = topic

    def _give_up_start(self, one: Incarnation, failure: Exception) -> None:
        cell = one.cell
        log("error", "no actor could be started for topic {}", cell.topic, error=failure)
        cell.members = 0
        self._take_out(cell)
        if cell.behaved is not None and cell.behaved.restarted_by is not None:
            self._note_death(cell.topic, cell.behaved.restarted_by)
        for mail in self._take_left(one):
            if type(mail) is RestoreMembers:
                self._put_back(cell.topic, mail.rejoins)
            self._answer(mail, "unavailable")
        self._make_way(one)

    def _leave(self, one: Incarnation, phase: Phase, *latches: ReplyTo) -> None:
        topic = self._topics[one.cell.topic]
        one.phase, one.leaving, topic.live = phase, Leaving(latches=latches), None
        trouble = topic.have_trouble()
        if trouble.leaving is None:
            trouble.leaving = one
            self._leaving[topic.name] = topic
        elif (last := trouble.leaving.last.leaving) is not None:
            last.behind = one

    def _take_out(self, cell: TopicCell) -> Incarnation | None:
        """Take out the one that is dead; None if it was already, as an abandoned one is: its report is fenced off."""
        topic = self._topics.get(cell.topic)
        if topic is None:
            return None
        one = topic.leaving
        if one is not None and one.cell is cell:
            topic.have_trouble().leaving = one.behind
            if one.behind is None:
                del self._leaving[cell.topic]
        else:
            one = topic.live
            if one is None or one.cell is not cell:
                return None
            topic.live = None
        self._touched.pop(one, None)
        return one

    def _take_left(self, one: Incarnation) -> list[Mail]:
        """What a dead or abandoned one was sent and has not handled, in order."""
        left: list[Any] = [] if one.ref is None else one.ref.drain()
        left += one.waiting
        one.waiting = NONE
        box = one.cell.box
        opened = (box.take() if box is not None and type(mail) is Taken else mail for mail in left if type(mail) in _MAIL)
        return [mail for mail in opened if mail is not None]

    def _make_way(self, one: Incarnation) -> None:
        """Go on after an end: what waited for it is given out, who comes next in the topic starts, and who waited is told."""
        name, leaving = one.cell.topic, one.leaving
        for seq, messages, reply in () if leaving is None else leaving.held:
            self._put_out(seq, name, messages, reply)
        topic = self._topics.get(name)
        if topic is not None:
            if topic.trouble is not None and topic.trouble.leaving is None:
                topic.trouble.forget_strangers()
            self._start_successor(topic, one)
            self._tidy(name)
        for latch in () if leaving is None else leaving.latches:
            latch.set()

    def _start_successor(self, topic: Topic, of: Incarnation) -> None:
        """Start who comes next in the topic. One that only awaits rejoins is not needed where nobody was a member."""
        one = topic.leaving or topic.live
        if one is None or one.ref is not None or one.phase is Phase.BACKOFF:
            return
        has_work = any(type(mail) is not Question for mail in one.waiting)
        if one.phase is not Phase.AWAITS_REJOIN or of.cell.members or topic.rejoins or has_work:
            self._start(one)
            return
        topic.live = None
        self._touched.pop(one, None)
        for question in self._take_left(one):
            self._answer(question, "")

    def _tidy(self, name: str) -> None:
        """Keep nothing of a topic of which nothing is left to be known."""
        topic = self._topics.get(name)
        if topic is not None and topic.tidy():
            del self._topics[name]

    def _each_live(self) -> Iterator[tuple[Topic, Incarnation]]:
        """Those who live now, one by one; they may go meanwhile, and whoever has gone is kept by nobody."""
        for name in list(self._topics):
            topic = self._topics.get(name)
            if topic is not None and topic.live is not None:
                yield topic, topic.live

    def _everyone_leaving(self) -> list[Incarnation]:
        everyone = []
        for topic in self._leaving.values():
            one = topic.leaving
            while one is not None:
                everyone.append(one)
                one = one.behind
        return everyone

    def _take_missed(self) -> list[str]:
        """Take the topics that a restart of the channel starts again: they are missed no more."""
        troubled = [(topic.name, topic.trouble) for topic in self._topics.values() if topic.trouble is not None]
        lost = sorted((trouble.lost, name) for name, trouble in troubled if trouble.lost)
        noted = sorted((trouble.noted, name) for name, trouble in troubled if trouble.rejoins)
        for _name, trouble in troubled:
            trouble.lost = 0
        # Whether a topic that is still on its way down has members shows when it is; then its successor starts, or goes.
        ends = ((name, topic.leaving) for name, topic in self._leaving.items())
        dying = [name for name, one in ends if one is not None and one.last.phase is Phase.CRASHING]
        return list(dict.fromkeys([*(name for _number, name in lost), *dying, *(name for _number, name in noted)]))

    def _on_timer(self, message: TimerFired) -> None:
        live = self._live(message.cell.topic)
        if live is not None and live.cell is message.cell:
            self._deliver(live, TimerDue(message.name, message.key, self._next_number()))

    def _report(self, what: Any) -> None:
        """Called on the topic actors' threads."""
        if type(what) is TopicLate:
            self._dead_letters.take(what)
            return
        if type(what) is TopicVain:
            self._dead_letters.add(DeadLetter(what.cell.topic, what.cell.incarnation, "refused", what.event))
            return
        if type(what) is TopicDown and self._ends_here == (what.cell, threading.get_ident()):
            self._ends_here = None  # within a call of ours: whoever ordered it looks here
            return
        try:
            self.actor_ref.tell(what)
        except pykka.ActorDeadError:
            if type(what) is TopicEmpty and what.reply is not None:
                what.reply.set()

    # What is given out

    def _answer(self, mail: Mail, why: str) -> None:
        """Answer what no actor will handle: an event is refused, a question is answered as of an empty topic."""
        if type(mail) is Delivery:
            event = mail.request
            self._refuse_program(event)
            self._put_out(mail.seq, event.topic, () if mail.is_quiet else refused(event, why), mail.reply)
        elif type(mail) is Question:
            mail.reply.set(mail.request(TopicState("")))
        # All else is nobody's: a timer, or members to restore, whom the topic's record has back.

    def _emit(self, seq: int, name: str | None, messages: Messages, reply: ReplyTo | None) -> None:
        """Put out what no topic actor emits; behind all that the topic's actors, if any, have yet to emit."""
        topic = self._leaving.get(name) if name is not None else None
        if topic is None or topic.leaving is None or (leaving := topic.leaving.last.leaving) is None:
            self._put_out(seq, name, messages, reply)
        else:
            leaving.hold(seq, messages, reply)

    def _emit_unasked(self, name: str, messages: Messages) -> None:
        """Give out what answers no event."""
        self._emit(self._next_number(), name, messages, None)

    def _put_out(self, seq: int, name: str | None, messages: Messages, reply: ReplyTo | None) -> None:
        collect(reply, messages)
        if self._outlet.put(seq, name, messages, reply):
            self._outlet.ring(name)

    # Questions

    def _flush(self, message: Flush) -> None:
        if message.last_seq is None:
            message.last_seq = self._seq
        if self._counted or self._behind:
            self._behind.append(message)
            return
        latch = Latch(message.reply, message.last_seq)
        self._settle(latch)
        self._outlet.settle(latch)
        latch.close()

    def _settle(self, latch: Latch) -> None:
        """Have the latch wait for all that was sent so far."""
        touched, self._touched = self._touched, {}
        for one in touched:
            if one.leaving is None and not one.is_settled:
                self._deliver(one, Question(nothing, latch.part()))
        self._wait_for_leaving(latch)

    def _wait_for_leaving(self, latch: Latch, name: str | None = None) -> None:
        """Have the latch wait until everyone who is leaving now, or who is in the topic, is down."""
        alone = (latch,)  # one tuple for all of them: there may be a hundred thousand
        for topic in self._leaving.values() if name is None else filter(None, [self._leaving.get(name)]):
            latch.part()
            assert topic.leaving is not None
            last = topic.leaving.last.leaving
            assert last is not None
            last.latches = last.latches + alone if last.latches else alone

    def _ask_topic(self, message: AskTopic) -> None:
        if self._behind:
            self._behind.append(message)
        else:
            self._ask(message.topic, Question(message.ask, message.reply, topic=message.topic))

    def _ask(self, name: str, question: Question) -> None:
        """The topic, or, where nobody is in it, answer as of an empty one."""
        line, live = self._counted.get(name), self._live(name)
        if line is not None:
            line.append(question)
        elif live is None:
            self._answer(question, "")
        else:
            self._deliver(live, question)

    def _ask_crashed(self, message: AskCrashed) -> None:
        message.reply.set(self._life.crashed)

    def _ask_census(self, message: AskCensus) -> None:
        census = Census(message.reply)
        for topic, live in self._each_live():
            if live.is_settled:
                census.add(topic.name, topic.count())
            else:
                self._deliver(live, Question(len, census.part(topic.name)))
        census.close()


BRING_MEMBERS = frozenset((Join, Rejoin))

_MAIL = frozenset((Afar, Delivery, Order, Question, RestoreMembers, Taken, TimerDue))


def nothing(_state: TopicState) -> None:
    """What a settle asks: only that it is answered in its turn."""
