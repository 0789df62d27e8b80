"""A runtime over another by which a channel tells its hooks what happens. Without it no actor knows of any."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from lightspeed.actors.errors import TopicStuck
from lightspeed.actors.runtime import DECLINED, ReplyTo, Runtime, RuntimeWrapper, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Delivery, Disconnection, Mail, Order, TopicCell, TopicFailure
from lightspeed.actors.topics.rules.events import Crash, TopicEvent
from lightspeed.actors.topics.rules.outbound import Reply
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.metrics.hooks import Meter, MetricsHooks
from lightspeed.supervision.topics.messages import Recovered
from lightspeed.supervision.topics.supervisor import TopicSupervisor
from lightspeed.supervision.topics.topic import Incarnation, Phase

_EVENTS = frozenset((Delivery, Order, Disconnection))


class MeteredOutlet:
    """As the channel's outlet, for one actor and its thread: whoever waits for an event goes on behind its hooks."""

    def __init__(self, inner: Any, meter: Meter, clock: Callable[[], float]) -> None:
        self._meter, self.clock, self._put = meter, clock, inner.put
        self.deliver, self.ring, self.is_awaited = inner.deliver, inner.ring, inner.is_awaited
        self.event: TopicEvent | None = None
        """What the actor is at work on, since when."""
        self.began_s = 0.0

    def put(self, seq: int, topic: str | None, messages: Messages, *others: Any, **more: Any) -> bool:
        event, self.event = self.event, None
        if event is not None and self._meter.calls["handled"]:
            self._meter.tell("handled", event, max(0.0, self.clock() - self.began_s))
        tell_replies(self._meter, messages)
        return bool(self._put(seq, topic, messages, *others, **more))


def tell_replies(meter: Meter, messages: Messages) -> None:
    if meter.calls["answered"]:
        for message in messages:
            if type(message) is Reply:
                meter.tell("answered", message)


class MeteredTopic(TopicActor):
    """A mixin for a topic's actor, before its role."""

    meter: ClassVar[Meter]
    runtime: ClassVar[Runtime]

    def __init__(self, cell: TopicCell, *others: Any) -> None:
        # Under what a plan of faults puts there: a reply that is lost was not given out.
        cell.outlet = self._metered = MeteredOutlet(cell.outlet, self.meter, self.runtime.monotonic_s)
        super().__init__(cell, *others)

    def on_receive(self, mail: Any) -> None:
        metered: MeteredOutlet = self._metered
        metered.began_s = metered.clock()
        mail = self.opened(mail)
        is_event = type(mail) is Delivery and not (mail.is_quiet and mail.request.client_id not in self.state.users)  # type: ignore[union-attr]
        metered.event = mail.request if is_event else None
        super().on_receive(mail)


class MeteredSupervisor(TopicSupervisor):
    """A mixin for a channel's supervisor, before its role."""

    meter: ClassVar[Meter]

    def receive_inline(self, delivery: Any) -> object:
        return DECLINED  # hooks are the program's code, and no caller's

    def on_receive(self, message: Any) -> Any:
        if type(message) in _EVENTS and not self._closing:
            self.meter.tell("accepted", message.request)
        answer = super().on_receive(message)
        if type(message) is Recovered and message.topic not in self._overloaded:
            self.meter.tell("recovered", message.topic)
        return answer

    def _deliver(self, one: Incarnation, mail: Mail) -> None:
        if type(mail) is Delivery and self.meter.calls["mailbox"]:
            self.meter.tell("mailbox", one.cell.topic, self._waiting(one)[0])
        super()._deliver(one, mail)

    def _put_out(self, seq: int, name: str | None, messages: Messages, reply: ReplyTo | None) -> None:
        tell_replies(self.meter, messages)
        super()._put_out(seq, name, messages, reply)

    def _note_overload(self, one: Incarnation, name: str) -> None:
        begins = name not in self._overloaded
        super()._note_overload(one, name)
        if begins:
            self.meter.tell("overloaded", name)

    # Ends, and what follows

    def _heal(self, cell: TopicCell, failure: TopicFailure, left: Any) -> None:
        self.meter.tell("crashed", cell.topic, failure.text)
        super()._heal(cell, failure, left)

    def _replace(self, cell: TopicCell, left: Any) -> None:
        self.meter.tell("crashed", cell.topic, "stopped")
        super()._replace(cell, left)

    def _crash_one(self, one: Incarnation, order: Order, event: Crash, latch: Any) -> None:
        self.meter.tell("crashed", one.cell.topic, event.reason)
        super()._crash_one(one, order, event, latch)

    def _crash_all(self, seq: int, event: Crash, latch: Any) -> None:
        self.meter.tell("crashed", None, event.reason)
        super()._crash_all(seq, event, latch)

    def _give_up(self, name: str, left: Any) -> None:
        self.meter.tell("given_up", name)
        super()._give_up(name, left)

    def _abandon(self, one: Incarnation, stuck: TopicStuck | None = None) -> None:
        self.meter.tell("abandoned", one.cell.topic)
        super()._abandon(one, stuck)

    def _restart(self, name: str | None, latch: Any) -> None:
        if name is None:
            self.meter.tell("restarted", None)
        super()._restart(name, latch)

    def _start_again(self, names: Iterable[str]) -> None:
        names = tuple(names)
        for name in names:
            self.meter.tell("restarted", name)
        super()._start_again(names)

    def _come_up(self, one: Incarnation) -> None:
        if self._live(one.cell.topic) is one and one.phase is Phase.BACKOFF:
            self.meter.tell("restarted", one.cell.topic)
        super()._come_up(one)


def over(runtime: Runtime, hooks: tuple[MetricsHooks, ...]) -> Runtime:
    """A metered runtime over this one; where there is one already, that one's meter has the hooks too."""
    below: Any = runtime
    while below is not None:
        if isinstance(below, MeteredRuntime):
            for one in hooks:
                below.meter.add(one)
            return runtime
        below = getattr(below, "inner", None)
    return MeteredRuntime(runtime, Meter(*hooks))


class MeteredRuntime(RuntimeWrapper):
    """The runtime of one channel that has a meter."""

    def __init__(self, inner: Runtime, meter: Meter) -> None:
        super().__init__(inner)
        self.meter = meter

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        if issubclass(role, TopicSupervisor):
            _runtime, _outlet, _ingress, options, dead_letters, *_rest = args
            self.meter.measure(options.behaviours)
            dead_letters.watchers += (lambda letter: self.meter.tell("dead_letter", letter),)
            return start(self.mixed(MeteredSupervisor, role, meter=self.meter), *args)
        if issubclass(role, TopicActor):
            return start(self.mixed(MeteredTopic, role, meter=self.meter, runtime=self.inner), *args)
        return start(role, *args)
