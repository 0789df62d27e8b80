"""A topic's actor, and a supervisor, in which things go wrong by plan, and answers that are lost or late: mixins."""

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from lightspeed.actors.errors import InjectedFault
from lightspeed.actors.runtime import DECLINED, ReplyTo
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Collected, Delivery, Disconnection, Order, TopicCell, TopicEmpty
from lightspeed.actors.topics.rules.events import Broadcast, Push
from lightspeed.actors.topics.rules.outbound import Reply as ReplyMessage
from lightspeed.actors.topics.rules.topic import Messages, refused
from lightspeed.faults.context import DelayedCalls, FaultContext
from lightspeed.faults.fault import Corrupt, DelayReply, FailSupervisor, Fault, Full, Hang, LoseReply, Place, Raise, Slow
from lightspeed.supervision.topics.supervisor import TopicSupervisor


class FaultyOutlet:
    """As the channel's outlet, for one actor and its thread; of the event in hand the replies can be lost or late."""

    def __init__(self, outlet: Any, delayed: DelayedCalls) -> None:
        self._outlet, self._delayed = outlet, delayed
        self.deliver, self.is_awaited = outlet.deliver, outlet.is_awaited
        self._loses, self._delay_s = False, 0.0

    def affect_replies(self, mail: Delivery, fault: LoseReply | DelayReply) -> None:
        """Lose or delay what answers this mail, the next that is handled."""
        if isinstance(fault, LoseReply):
            self._loses = True
            mail.reply = None
        else:
            self._delay_s += fault.seconds
            mail.reply = None if mail.reply is None else _LateReply(mail.reply, fault.seconds, self._delayed)

    def reset(self) -> None:
        """The event was handled: lose and delay no more."""
        self._loses, self._delay_s = False, 0.0

    def put(self, seq: int, topic: str | None, messages: Messages, *others: Any, **more: Any) -> bool:
        if self._loses or self._delay_s:
            replies = tuple(message for message in messages if isinstance(message, ReplyMessage))
            messages = tuple(message for message in messages if not isinstance(message, ReplyMessage))
            if replies and not self._loses:
                self._delayed.later(self._delay_s, lambda: self._put_late(seq, topic, replies))
        return bool(self._outlet.put(seq, topic, messages, *others, **more))

    def _put_late(self, seq: int, topic: str | None, replies: Messages) -> None:
        if self._outlet.put(seq, topic, replies, None):
            self._outlet.ring(topic)  # this is the clock's thread: the user's code must not run here


class _LateReply(Collected):
    """Comes so much later than it is told."""

    def __init__(self, reply: ReplyTo, delay_s: float, delayed: DelayedCalls) -> None:
        super().__init__(reply, is_clients=isinstance(reply, Collected) and reply.is_clients)
        self._delay_s, self._delayed = delay_s, delayed

    def set(self, value: Any = None) -> None:
        if isinstance(self.future, Collected):
            self.future.messages = self.messages
        self._delayed.later(self._delay_s, lambda: self.future.set(value), counts=False)


class TimedFault(Struct, frozen=True):
    """The time of a fault has come: for an actor to raise."""

    index: int
    fault: Any


class _Injection(Struct, eq=False):
    """One event, and what has yet to be done to it."""

    mail: Delivery
    faults: Iterator[Fault]
    raises: Raise | None = None
    """After it has been handled."""
    is_refused: bool = False


class FaultyTopic(TopicActor):
    """A mixin for a topic's actor, each of whose hooks may fail. The faulty runtime puts it before the role.

    An event is entered into `in_flight` before anything is done to it, so that the supervisor can give the actor up meanwhile.
    """

    faults: ClassVar[FaultContext]

    def __init__(self, cell: TopicCell) -> None:
        super().__init__(cell)
        self._incarnation = self.faults.injector.begin(cell.topic)
        self._injection: _Injection | None = None
        self._handled: _Injection | None = None
        self._outlet = cell.outlet = FaultyOutlet(cell.outlet, self.faults.delayed)
        self.faults.alive[cell] = self.actor_ref

    def on_start(self) -> None:
        self._fail_in("on_start")
        super().on_start()

    def on_stop(self) -> None:
        super().on_stop()
        self._fail_in("on_stop")

    def on_failure(self, *failure: Any, **more: Any) -> None:
        super().on_failure(*failure, **more)
        self._fail_in("on_failure")

    def on_end(self, error: BaseException | None) -> None:
        self.faults.alive.pop(self.cell, None)
        super().on_end(error)

    def on_receive(self, mail: Any) -> None:
        mail = self.opened(mail)
        if type(mail) is Delivery:
            self._try(mail)
        elif type(mail) is TimedFault:
            if mail.fault.restart in (None, self._incarnation) and self.faults.injector.fire(mail.index, self.cell.topic):
                raise InjectedFault(mail.fault.text)
        else:
            super().on_receive(mail)

    def _try(self, mail: Delivery) -> None:
        cell, injection = self.cell, self._injection
        if injection is None or injection.mail is not mail:
            cell.in_flight[cell] = mail
            injection = self._injection = _Injection(mail, self._due("topic", mail))
        for fault in injection.faults if self._is_in_hand(mail) else ():
            if not self._act(fault, injection):
                return  # it comes again
            if not self._is_in_hand(mail):
                break
        self._injection = None
        if cell.in_flight.pop(cell, None) is mail:  # else it was given up meanwhile, and is answered
            self._handle(injection)

    def _handle(self, injection: _Injection) -> None:
        mail, cell = injection.mail, self.cell
        self._handled = injection
        if injection.is_refused:
            must_deliver = cell.outlet.put(mail.seq, cell.topic, refused(mail.request, "unavailable"), mail.reply)
            cell.settled, cell.settled_bytes = cell.settled + 1, cell.settled_bytes + mail.size
            if must_deliver:
                cell.outlet.deliver(cell.topic)
            if not cell.members:
                cell.report(TopicEmpty(cell, None))
            self.done(mail)
        else:
            super().on_receive(mail)

    def done(self, mail: Any) -> None:
        super().done(mail)
        injection, self._handled = self._handled, None
        if injection is not None:
            self._outlet.reset()
            if injection.raises is not None:
                raise InjectedFault(injection.raises.text)

    def _is_in_hand(self, mail: Delivery) -> bool:
        return self.cell.in_flight.get(self.cell) is mail

    def _fail_in(self, place: Place) -> None:
        for fault in self._due(place, None):
            assert isinstance(fault, Raise)
            raise InjectedFault(fault.text)

    def _due(self, place: Place, mail: Delivery | None) -> Iterator[Fault]:
        return self.faults.injector.due(
            place,
            self.cell.topic,
            lambda: None if mail is None else mail.request,
            self.faults.elapsed_s(),
            members=self.cell.members,
            incarnation=self._incarnation,
        )

    def _act(self, fault: Fault, injection: _Injection) -> bool:
        """Do what the fault does to the event. False: the actor is to return, and the event comes again."""
        mail = injection.mail
        match fault:
            case Raise(hook="before"):
                raise InjectedFault(fault.text)
            case Raise():
                injection.raises = fault
            case Slow():
                return self.faults.pauses.pause(self, mail, fault.seconds)
            case Hang():
                return self.faults.pauses.pause(self, mail, None)
            case Full():
                injection.is_refused = True
            case Corrupt():
                assert isinstance(mail.request, (Broadcast, Push))
                mail.request = replace(mail.request, payload=fault.payload)
            case LoseReply() | DelayReply():
                self._outlet.affect_replies(mail, fault)
        return True


class FaultySupervisor(TopicSupervisor):
    """A mixin for a supervisor. It fails by plan within its handling of an event, where any bug would show, and once: its end is
    orderly."""

    faults: ClassVar[FaultContext]
    _doom: tuple[Delivery, Exception] | None = None
    """At which event it fails, and of what."""

    def receive_inline(self, delivery: Any) -> object:
        return DECLINED  # a fault is no caller's

    def on_receive(self, message: Any) -> Any:
        if type(message) is TimedFault:
            if self._doom is None and self.faults.injector.fire(message.index, ""):
                raise InjectedFault(message.fault.text)
            return None
        if type(message) is Delivery and self._doom is None and not self._closing:
            failure = self._judge(message)
            if failure is not None:
                self._doom, self._is_plain = (message, failure), False
        return super().on_receive(message)

    def _judge(self, delivery: Delivery) -> Exception | None:
        request = delivery.request
        try:
            for fault in self.faults.injector.due("supervisor", request.topic, lambda: request, self.faults.elapsed_s()):
                assert isinstance(fault, FailSupervisor)
                return InjectedFault(fault.text)
        except Exception as error:  # what a `when` of the user's raised
            return error
        return None

    def _handle(self, mail: Delivery | Order | Disconnection) -> None:
        if self._doom is not None and self._doom[0] is mail:
            raise self._doom[1]
        super()._handle(mail)
