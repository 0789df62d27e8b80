"""A supervisor that fails by plan: a mixin, named before its own class."""

from typing import TYPE_CHECKING, Any, ClassVar

from lightspeed.actors.errors import InjectedFault
from lightspeed.actors.runtime import DECLINED
from lightspeed.actors.topics.mail import Delivery, Order
from lightspeed.faults.fault import FailSupervisor
from lightspeed.faults.harm import Harm
from lightspeed.faults.topic import Strike
from lightspeed.supervision.topics.transitions import TopicSupervisor

if TYPE_CHECKING:
    _Supervisor = TopicSupervisor
else:
    _Supervisor = object  # the faulty runtime mixes it into the role


class FaultySupervisor(_Supervisor):
    """It fails within its own handling of an event, where any bug of it would show, and once: its end is orderly."""

    harm: ClassVar[Harm]
    _doom: tuple[Delivery, Exception] | None = None
    """At which event it fails, and of what."""

    def receive_inline(self, delivery: Any) -> object:
        return DECLINED  # a fault is no caller's

    def on_receive(self, message: Any) -> Any:
        if type(message) is Strike:
            if self._doom is None and self.harm.injector.fire(message.index, ""):
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
            for fault in self.harm.injector.due("supervisor", request.topic, lambda: request, self.harm.elapsed_s()):
                assert isinstance(fault, FailSupervisor)
                return InjectedFault(fault.text)
        except Exception as error:  # what a `when` of the user's raised
            return error
        return None

    def _handle(self, mail: Delivery | Order) -> None:
        if self._doom is not None and self._doom[0] is mail:
            raise self._doom[1]
        super()._handle(mail)
