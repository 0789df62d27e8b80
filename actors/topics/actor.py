"""A topic's life as an actor, whole; with a behaviour it runs the user's code.

It lets the state handle each delivery, and hands over what came out. A `Crash` is raised, so that it dies of it as of any failure
of its own: Pykka's failure path, its state gone with it. It knows no supervisor, only the cell.
"""

from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import TopicCrash
from lightspeed.actors.failures import let_go_of_calls
from lightspeed.actors.runtime import DECLINED, Timer
from lightspeed.actors.topics.mail import (
    Delivery,
    Ending,
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
    failure_of,
    told_later,
)
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.events import Crash, Leave, Send
from lightspeed.actors.topics.rules.topic import BoundedTopic, Messages, TopicState

if TYPE_CHECKING:
    _Role = pykka.Actor
else:
    _Role = object  # the runtime mixes the kind of actor in


class TopicActor(_Role):
    """The hooks of a topic actor; a `Runtime` adds the kind of actor they run on."""

    registered = False  # on a pool: Pykka's registry is a list, which a hundred thousand topics would make slow
    ordered_failures = (TopicCrash,)

    def __init__(self, cell: TopicCell) -> None:
        super().__init__()
        self.cell = cell
        self.state = cell.state = self.make_state(cell)

    def make_state(self, cell: TopicCell) -> TopicState:
        return TopicState(cell.topic) if cell.max_members is None else BoundedTopic(cell.topic, max_members=cell.max_members)

    @property
    def log_fields(self) -> dict[str, object]:
        return {"topic": self.cell.topic, "incarnation": self.cell.incarnation}

    def on_receive(self, mail: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # by position only
        cell, state = self.cell, self.state
        messages: Messages = ()
        if type(mail) is Taken:
            mail = self.opened(mail)
        if type(mail) is Delivery:
            cell.in_flight[cell] = mail
            cell.settled_bytes += mail.size
            messages, value = self._carry_out(mail), None
        elif type(mail) is Question:
            cell.in_flight[cell] = mail
            value = mail.request(state)
        elif type(mail) is RestoreMembers:
            cell.in_flight[cell] = mail
            messages, value = state.replay(mail.rejoins), None
        elif type(mail) is TimerDue:
            assert isinstance(state, BehavedTopic)
            cell.in_flight[cell] = mail
            messages, value = state.ring(mail.name, mail.key), None
        elif type(mail) is Order:
            assert isinstance(mail.request, Crash)
            raise TopicCrash(cell.topic, mail.request.reason)
        elif mail is None:  # it was dropped
            cell.settled += 1
            return
        else:
            super().on_receive(mail)  # logs that it is unexpected
            return
        if cell.in_flight.pop(cell, None) is None:
            if messages:  # abandoned meanwhile, and answered by the supervisor
                cell.report(TopicLate(cell, messages, "late"))
            return
        members = cell.members = len(state.users)
        # Of an event that leaves the topic empty the supervisor tells the reply, when the actor is down.
        held = mail.reply if not members and type(mail) is Delivery else None
        reply = mail.reply if held is None else told_later(held)
        must_deliver = cell.outlet.put(mail.seq, cell.topic, messages, reply, value, state)
        cell.settled += 1
        if must_deliver:
            cell.outlet.deliver(cell.topic)
        if not members:
            cell.report(TopicEmpty(cell, held))

    def opened(self, mail: object) -> object:
        """What is to be handled: of a mailbox that drops the oldest, the next that it still has."""
        return self.cell.box.take() if type(mail) is Taken and self.cell.box is not None else mail

    def _carry_out(self, delivery: Delivery) -> Messages:
        event, state = delivery.request, self.state
        if delivery.is_quiet and event.client_id not in state.users:  # type: ignore[union-attr]
            return ()
        messages = state.handle(event)
        if delivery.reply is not None:
            collect(delivery.reply, messages)
        if type(event) is Send and event.client_id not in state.users:
            self.cell.report(TopicVain(self.cell, event))
        return messages

    def receive_inline(self, delivery: Delivery) -> object:
        """Handle it in the thread that tells it, whole or not at all. It declines where its own end would follow."""
        cell, state, event = self.cell, self.state, delivery.request
        if (type(event) is Leave and cell.members < 2) or (type(event) is Send and event.client_id not in state.users):
            return DECLINED
        outbox: Any = cell.outlet  # with a sink nobody comes here
        try:
            state.handle_into(event, delivery.seq, outbox.emitted)
        finally:
            cell.members = state.size
        return None

    def on_end(self, error: BaseException | None) -> None:
        # A crash was ordered: the supervisor needs no traceback of each.
        failure = None if error is None or issubclass(type(error), TopicCrash) else failure_of(error)
        self.cell.report(TopicDown(self.cell, failure))


class BehavedTopicActor(TopicActor):
    """As `TopicActor`. Its code may block: others take over the worker meanwhile. It keeps its behaviour's timers."""

    is_recorded = False
    """Whether somebody is still to write down what it held when it failed, and lets it go behind that."""

    def __init__(self, cell: TopicCell) -> None:
        super().__init__(cell)
        self.timers: dict[str, Timer] = {}

    def make_state(self, cell: TopicCell) -> TopicState:
        assert cell.behaved is not None
        behaved = cell.behaved
        return BehavedTopic(
            cell.topic,
            max_members=cell.max_members,
            make=behaved.make,
            clock=behaved.runtime,
            restarted_by=behaved.restarted_by,
        )

    def on_receive(self, mail: Any) -> None:
        assert self.cell.behaved is not None
        with self.cell.behaved.runtime.blocking():
            super().on_receive(mail)
        self._set_timers()

    def on_stop(self) -> None:
        assert self.cell.behaved is not None
        if not self.cell.behaved.is_given_up:
            with self.cell.behaved.runtime.blocking():
                self._end()

    def on_end(self, error: BaseException | None) -> None:
        assert isinstance(self.state, BehavedTopic)
        assert self.cell.behaved is not None
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()
        if self.is_recorded and error is not None:
            super().on_end(error)
            return
        # What the program's objects do as they go, in a `__del__` say, they do here, and not in the supervisor's turn.
        behaviour = self.state.let_go()
        super().on_end(error)
        with self.cell.behaved.runtime.blocking():
            let_go_of_calls(error)
            del behaviour

    def _end(self) -> None:
        cell, state = self.cell, self.state
        assert isinstance(state, BehavedTopic)
        cell.in_flight[cell] = Ending()  # so that it is seen if it does not come back
        messages = state.end()
        cell.in_flight.pop(cell, None)
        if messages:
            cell.report(TopicLate(cell, messages, "stopped"))

    def _set_timers(self) -> None:
        assert isinstance(self.state, BehavedTopic)
        assert self.cell.behaved is not None
        for name, key, delay_s in self.state.take_timers():
            if name in self.timers:
                self.timers.pop(name).cancel()
            if delay_s is not None:
                fired = TimerFired(self.cell, name, key)
                self.timers[name] = self.cell.behaved.runtime.call_later(delay_s, lambda fired=fired: self.cell.report(fired))  # type: ignore[misc]
