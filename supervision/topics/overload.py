"""The part of a topics' supervisor that keeps their mailboxes within bounds: what finds no room, and who is told."""

import threading
from collections.abc import Callable
from functools import partial

import pykka

from lightspeed.actors.runtime import DECLINED
from lightspeed.actors.topics.mail import Collected, Delivery, DroppingBox, Question
from lightspeed.actors.topics.rules.events import size_of
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.supervision.deadlines import Due
from lightspeed.supervision.latch import Told
from lightspeed.supervision.topics.dead_letters import DeadLetter
from lightspeed.supervision.topics.messages import Recovered
from lightspeed.supervision.topics.router import BRING_MEMBERS, TopicRouter, nothing
from lightspeed.supervision.topics.topic import Incarnation


class SheddingRouter(TopicRouter):
    """For the supervisor's thread only."""

    def _sheds(self, one: Incarnation, mail: Delivery, waiting: int, size: int) -> bool:
        """Whether the mailbox has no room for the event, and it was answered, or is a dead letter."""
        name, event = one.cell.topic, mail.request
        mailbox = self._mailbox(name)

        def has_room() -> bool:
            return waiting < mailbox.max_messages and size + mail.size <= mailbox.max_bytes

        if has_room() or (mailbox.overflow == "wait" and mail.reply is not None):
            return False
        self._note_overload(one, name)
        while one.cell.box is not None and (oldest := one.cell.box.drop_oldest()) is not None:
            self._shed(oldest)
            waiting, size = waiting - 1, size - oldest.size
            one.sent_bytes -= oldest.size
            if has_room():
                return False
        if type(event) in BRING_MEMBERS or mailbox.overflow not in ("drop_oldest", "drop_newest"):
            self._dead_letters.note_shed()
            self._answer(mail, "overloaded")
        else:
            self._shed(mail)
        return True

    def _shed(self, delivery: Delivery) -> None:
        self._dead_letters.note_shed()
        self._dead_letters.add(DeadLetter(delivery.request.topic, 0, "overloaded", delivery.request))
        if isinstance(delivery.reply, Collected):
            delivery.reply.is_shed = True
        self._put_out(delivery.seq, delivery.request.topic, (), delivery.reply)

    def _note_overload(self, one: Incarnation, name: str) -> None:
        """Say that the topic sheds events, and again when it has caught up."""
        if name not in self._overloaded:
            self._overloaded.add(name)
            self._emit_unasked(name, (System(f"topic_overloaded:{name}"),))
            self._deliver(one, Question(nothing, Told(self._report, Recovered(name))))
            if getattr(self._runtime, "handles_inline", False):
                drops = self._mailbox(name).overflow in ("drop_newest", "drop_oldest")
                in_passing = partial(self._shed_in_passing, drops=drops)
                self._ingress.full[name] = in_passing if one.cell.box is None else _Passing(self._announce, in_passing)

    def _on_recovered(self, message: Recovered) -> None:
        """The topic has handled what it was sent when somebody asked. If half of its mailbox is full again, it still sheds."""
        live, mailbox = self._live(message.topic), self._mailbox(message.topic)
        if live is not None and not self._closing:
            waiting, size = self._waiting(live)
            if waiting > mailbox.max_messages // 2 or size > mailbox.max_bytes // 2:
                self._deliver(live, Question(nothing, Told(self._report, message)))
                return
        self._overloaded.discard(message.topic)
        self._ingress.full.pop(message.topic, None)
        self._emit_unasked(message.topic, (System(f"topic_recovered:{message.topic}"),))

    def _take_passed(self, passing: "_Passing") -> None:
        for delivery in passing.take():
            delivery.size = size_of(delivery.request)
            if self._accept(delivery) is DECLINED:  # it was told before the end, and comes behind it
                self._shed(delivery)

    def _announce(self, passing: "_Passing") -> None:
        """Called in a caller's thread: something waits past the inbox."""
        try:
            self.actor_ref.tell(Due(partial(self._take_passed, passing)))
        except pykka.ActorDeadError:
            for delivery in passing.take():
                self._shed(delivery)

    def _accept(self, mail: Delivery) -> object:
        """Number it, and see that it is carried out."""
        raise NotImplementedError

    def _shed_in_passing(self, delivery: Delivery, *, drops: bool) -> None:
        """Called in a caller's thread, past the supervisor: the event has the number of what was accepted last."""
        event = delivery.request
        self._dead_letters.note_shed()
        if drops and type(event) not in BRING_MEMBERS:
            self._dead_letters.add(DeadLetter(event.topic, 0, "overloaded", event))
            return
        delivery.seq = self._seq
        self._answer(delivery, "overloaded")


class _Passing:
    """What is told a topic whose mailbox is full, and drops the oldest, while many events wait for the supervisor.

    So few wait here that most are dropped here too, in their callers' threads. Under one lock.
    """

    def __init__(self, announce: Callable[["_Passing"], None], refuse: Callable[[Delivery], None]) -> None:
        self._announce, self._refuse = announce, refuse
        self._lock = threading.RLock()  # a finalizer may tell something within a call
        self._box = DroppingBox()
        self._is_announced = False

    def __call__(self, delivery: Delivery) -> None:
        with self._lock:
            oldest = self._box.drop_oldest() if len(self._box) >= _FEW else None
            has_room, is_news = oldest is not None or len(self._box) < _FEW, False
            if has_room:
                self._box.put(delivery)
                is_news, self._is_announced = not self._is_announced, True
        if oldest is not None or not has_room:
            self._refuse(delivery if oldest is None else oldest)
        if is_news:
            self._announce(self)

    def take(self) -> list[Delivery]:
        """All that waits, in order. For the supervisor."""
        with self._lock:
            self._is_announced = False
            return [delivery for delivery in (self._box.take() for _ in range(len(self._box))) if delivery is not None]


_FEW = 16  # for each, the supervisor drops one of the mailbox: others wait for that
