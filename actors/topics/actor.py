"""A topic's life as an actor, whole; with a behaviour it runs the user's code.

It lets the state handle each delivery, and hands over what came out. A `Crash` is raised, so that it dies of it as of any failure
of its own: Pykka's failure path, its state gone with it. It knows no supervisor, only the cell.
"""

from collections.abc import Callable
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import lightspeed.actors.topics.mail as mails
from lightspeed.actors.coroutines import ActorCoroutine
from lightspeed.actors.errors import TopicCrash, TopicStuck
from lightspeed.actors.failures import let_go_of_calls
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.runtime import DECLINED, ReplyTo, Timer
from lightspeed.actors.topics.rules.behaved_topic import Awaited, BehavedTopic, finish
from lightspeed.actors.topics.rules.events import Crash, Leave, Send, TopicEvent
from lightspeed.actors.topics.rules.topic import BoundedTopic, Messages, TopicState

if TYPE_CHECKING:
    _Role = Lifecycle
else:
    _Role = object  # the runtime mixes the kind of actor in


class TopicActor(_Role):
    """The hooks of a topic actor; a `Runtime` adds the kind of actor they run on."""

    registered = False  # on a pool: Pykka's registry is a list, which a hundred thousand topics would make slow
    ordered_failures = (TopicCrash,)

    def __init__(self, cell: mails.TopicCell) -> None:
        super().__init__()
        self.cell = cell
        self.state = cell.state = self.make_state(cell)

    def make_state(self, cell: mails.TopicCell) -> TopicState:
        return TopicState(cell.topic) if cell.max_members is None else BoundedTopic(cell.topic, max_members=cell.max_members)

    @property
    def log_fields(self) -> dict[str, object]:
        return {"topic": self.cell.topic, "incarnation": self.cell.incarnation}

    def on_receive(self, mail: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # by position only
        cell, state = self.cell, self.state
        work: Any = ()
        value: Any = None
        if type(mail) is mails.Taken:
            mail = self.opened(mail)
        if type(mail) is mails.Delivery:
            cell.in_flight[cell] = mail
            cell.settled_bytes += mail.size
            work = self._carry_out(mail)
        elif type(mail) is mails.Question:
            cell.in_flight[cell] = mail
            value = mail.request(state)
        elif type(mail) is mails.RestoreMembers:
            cell.in_flight[cell] = mail
            work = self._restore(mail)
        elif type(mail) is mails.TimerDue:
            cell.in_flight[cell] = mail
            work = self._ring(mail)
        elif type(mail) is mails.Order:
            assert isinstance(mail.request, Crash)
            raise TopicCrash(cell.topic, mail.request.reason)
        elif mail is None:  # it was dropped
            cell.settled += 1
            self.done(mail)
            return
        else:
            super().on_receive(mail)  # logs that it is unexpected
            self.done(mail)
            return
        self._go_on(mail, work, value)

    def _go_on(self, mail: Any, work: Any, value: Any) -> None:
        """The event has taken effect, and `work` is what it gives out."""
        messages: Messages = work
        cell, state = self.cell, self.state
        if type(mail) is mails.Delivery:
            if mail.reply is not None:
                mails.collect(mail.reply, messages)
            if type(mail.request) is Send and mail.request.client_id not in state.users:
                cell.report(mails.TopicVain(cell, mail.request))
        if cell.in_flight.pop(cell, None) is None:
            if messages:  # abandoned meanwhile, and answered by the supervisor
                cell.report(mails.TopicLate(cell, messages, "late"))
            self.done(mail)
            return
        members = cell.members = len(state.users)
        # Of an event that leaves the topic empty the supervisor tells the reply, when the actor is down.
        held = mail.reply if not members and type(mail) is mails.Delivery else None
        reply = mail.reply if held is None else mails.told_later(held)
        must_deliver = cell.outlet.put(mail.seq, cell.topic, messages, reply, value, state)
        cell.settled += 1
        if must_deliver and cell.outlet.is_awaited:
            cell.outlet.deliver(cell.topic, self._lifecycle_hold(lambda: self._end_event(mail, members, held)))
            return
        if must_deliver:
            cell.outlet.deliver(cell.topic)
        self._end_event(mail, members, held)

    def _end_event(self, mail: Any, members: int, held: ReplyTo | None) -> None:
        if not members:
            self.cell.report(mails.TopicEmpty(self.cell, held))
        self.done(mail)

    def done(self, mail: Any) -> None:
        """It has been dealt with. For whoever stands over this."""

    def begin_end(self) -> None:
        """The behaviour is about to be told that its topic stops."""

    def opened(self, mail: object) -> object:
        """What is to be handled: of a mailbox that drops the oldest, the next that it still has."""
        return self.cell.box.take() if type(mail) is mails.Taken and self.cell.box is not None else mail

    def _carry_out(self, delivery: mails.Delivery) -> Any:
        """What comes of it."""
        if delivery.is_quiet and delivery.request.client_id not in self.state.users:  # type: ignore[union-attr]
            return ()
        return self._apply(delivery.request)

    def _apply(self, event: TopicEvent) -> Any:
        return self.state.handle(event)

    def _restore(self, mail: mails.RestoreMembers) -> Any:
        return self.state.replay(mail.rejoins)

    def _ring(self, _mail: mails.TimerDue) -> Any:
        raise AssertionError("the plain relay has no timers")

    def receive_inline(self, delivery: mails.Delivery) -> object:
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
        failure = None if error is None or issubclass(type(error), TopicCrash) else mails.failure_of(error)
        self.cell.report(mails.TopicDown(self.cell, failure))


class BehavedTopicActor(TopicActor):
    """As `TopicActor`. Its code may block: others take over the worker meanwhile. It keeps its behaviour's timers."""

    has_ended = False
    """Whether its `on_stop` was called."""

    is_recorded = False
    """Whether somebody is still to write down what it held when it failed, and lets it go behind that."""

    def __init__(self, cell: mails.TopicCell) -> None:
        assert cell.behaved is not None
        self._behaved = cell.behaved
        super().__init__(cell)
        self.timers: dict[str, Timer] = {}
        self._began_s = 0.0

    def make_state(self, cell: mails.TopicCell) -> TopicState:
        behaved = self._behaved
        self._topic = BehavedTopic(
            cell.topic, max_members=cell.max_members, make=behaved.make, clock=behaved.runtime, restarted_by=behaved.restarted_by
        )
        return self._topic

    def on_receive(self, mail: Any) -> None:
        self._began_s = self._behaved.runtime.monotonic_s()
        with self._behaved.runtime.blocking():
            super().on_receive(mail)

    def _apply(self, event: TopicEvent) -> Any:
        return self._topic.handling(event)

    def _restore(self, mail: mails.RestoreMembers) -> Any:
        return self._topic.replaying(mail.rejoins)

    def _ring(self, mail: mails.TimerDue) -> Any:
        return self._topic.ringing(mail.name, mail.key)

    def _go_on(self, mail: Any, work: Any, value: Any) -> None:
        if type(work) is GeneratorType:
            self._step(mail, work, value, partial(next, work))
        else:
            super()._go_on(mail, work, value)

    def _step(self, mail: Any, steps: Any, value: Any, step: Callable[[], Any]) -> None:
        """Go on with an event, up to the next hook that is to be awaited, or to its end."""
        behaved = self._behaved
        awaited: Awaited | None = None
        messages: Messages = ()
        try:
            awaited = step()
        except StopIteration as done:
            messages = done.value
        if behaved.runtime.is_one_thread and behaved.runtime.monotonic_s() - self._began_s >= behaved.timeout_s:
            if awaited is not None:
                awaited.coroutine.close()
            raise TopicStuck(self.cell.topic, behaved.timeout_s)
        if awaited is not None:
            self._await(mail, steps, value, awaited)
        elif type(mail) is mails.Ending:
            self._finish_end(messages)
        else:
            super()._go_on(mail, messages, value)

    def _await(self, mail: Any, steps: Any, value: Any, awaited: Awaited) -> None:
        """Run a hook's coroutine: the event goes on when it is back, and meanwhile no other is handled."""
        behaved = self._behaved
        outcome: list[Any] = []
        hook = behaved.hook = mails.AwaitedHook(mail, steps, awaited.coroutine)
        timers: list[Timer] = []

        def go_on() -> None:
            if hook.claim() is None:
                return  # it was given up, and stays known as where it waited
            behaved.hook = None
            answer, error = outcome
            step = partial(steps.send, answer) if error is None else partial(steps.throw, error)
            with behaved.runtime.blocking():
                self._step(mail, steps, value, step)

        release = self._lifecycle_hold(go_on)

        def back(answer: Any, error: BaseException | None) -> None:
            for timer in timers:
                timer.cancel()
            outcome.extend((answer, error))
            release()

        left_s = max(0.0, self._began_s + behaved.timeout_s - behaved.runtime.monotonic_s())
        try:
            timers.append(behaved.runtime.call_later(left_s, lambda: self.cell.report(mails.HookOverdue(self.cell, hook))))
            hook.task = behaved.runtime.start_task(ActorCoroutine(awaited.coroutine, self, awaited.turn), back)
        except BaseException as error:  # no thread can be started, or the loop is closed
            awaited.coroutine.close()
            back(None, error)

    def done(self, mail: Any) -> None:
        self._set_timers()
        super().done(mail)

    def _stop(self) -> None:
        if self._topic.ends_later and not (self._behaved.is_given_up or self.has_ended):
            self._began_s = self._behaved.runtime.monotonic_s()
            self.begin_end()
            self._go_on(mails.Ending(), self._topic.ending(), None)
        else:
            super()._stop()

    def on_stop(self) -> None:
        if not (self._behaved.is_given_up or self.has_ended):
            with self._behaved.runtime.blocking():
                self.begin_end()
                self._finish_end(finish(self._topic.ending()))

    def begin_end(self) -> None:
        super().begin_end()
        self.has_ended = True
        self.cell.in_flight[self.cell] = mails.Ending()  # so that it is seen if it does not come back

    def _finish_end(self, messages: Messages) -> None:
        self.cell.in_flight.pop(self.cell, None)
        if messages:
            self.cell.report(mails.TopicLate(self.cell, messages, "stopped"))
        if not self._lifecycle_is_dead():
            super()._stop()

    def on_end(self, error: BaseException | None) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()
        if self.is_recorded and error is not None:
            super().on_end(error)
            return
        # What the program's objects do as they go, in a `__del__` say, they do here, and not in the supervisor's turn.
        behaviour = self._topic.let_go()
        super().on_end(error)
        with self._behaved.runtime.blocking():
            let_go_of_calls(error)
            del behaviour

    def _set_timers(self) -> None:
        for name, key, delay_s in self._topic.take_timers():
            if name in self.timers:
                self.timers.pop(name).cancel()
            if delay_s is not None:
                fired = mails.TimerFired(self.cell, name, key)
                self.timers[name] = self._behaved.runtime.call_later(delay_s, lambda fired=fired: self.cell.report(fired))  # type: ignore[misc]
