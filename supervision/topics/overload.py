"""The part of a topics' supervisor that keeps their mailboxes within bounds: what finds no room, and who is told."""

from functools import partial

from lightspeed.actors.topics.mail import Collected, Delivery, Question
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.topic import refused
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
            self._answer(mail, "overloaded")
        else:
            self._shed(mail)
        return True

    def _shed(self, delivery: Delivery) -> None:
        self._dead_letters.add(DeadLetter(delivery.request.topic, 0, "overloaded", delivery.request))
        if isinstance(delivery.reply, Collected):
            delivery.reply.is_shed = True
        self._put_out(delivery.seq, delivery.request.topic, (), delivery.reply)

    def _note_overload(self, one: Incarnation, name: str) -> None:
        """Say that the topic sheds events, and again when it has caught up."""
        self._dead_letters.note_shed()
        if name not in self._overloaded:
            self._overloaded.add(name)
            self._emit_unasked(name, (System(f"topic_overloaded:{name}"),))
            self._deliver(one, Question(nothing, Told(self._report, Recovered(name))))
            if one.cell.box is None and getattr(self._runtime, "handles_inline", False):
                self._ingress.full[name] = partial(self._shed_in_passing, drops=self._mailbox(name).overflow == "drop_newest")

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

    def _shed_in_passing(self, delivery: Delivery, *, drops: bool) -> None:
        """Called in a caller's thread, past the supervisor: the event has the number of what was accepted last."""
        event = delivery.request
        self._dead_letters.note_shed()
        if drops and type(event) not in BRING_MEMBERS:
            self._dead_letters.add(DeadLetter(event.topic, 0, "overloaded", event))
            return
        self._refuse_program(event)
        delivery.seq = self._seq
        self._put_out(delivery.seq, event.topic, refused(event, "overloaded"), None)
