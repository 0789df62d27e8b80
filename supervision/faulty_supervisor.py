"""A supervisor that fails by plan: a mixin, named before its own class."""

from typing import TYPE_CHECKING, Any, ClassVar

from lightspeed.actors.errors import InjectedFault
from lightspeed.actors.post import Delivery, Order
from lightspeed.supervision.faults import FailSupervisor
from lightspeed.supervision.faulty_topic import Strike
from lightspeed.supervision.harm import Harm
from lightspeed.supervision.topic_supervisor import TopicSupervisor

if TYPE_CHECKING:
    _Supervisor = TopicSupervisor
else:
    _Supervisor = object  # the faulty runtime mixes it into the role


class FaultySupervisor(_Supervisor):
    """It fails within its own handling of an event, where any bug of it would show, and once: its end is orderly."""

    harm: ClassVar[Harm]
    _dooms: tuple[Delivery, str] | None = None
    """At which event it fails, and with what text."""

    def on_receive(self, message: Any) -> Any:
        if type(message) is Strike:
            if self._dooms is None and self.harm.injector.fire(message.index, ""):
                raise InjectedFault(message.fault.text)
            return None
        if type(message) is Delivery and self._dooms is None and not self._closing:
            self._judge(message)
        return super().on_receive(message)

    def _judge(self, delivery: Delivery) -> None:
        request = delivery.request
        for fault in self.harm.injector.due("supervisor", request.topic, lambda: request, self.harm.elapsed_s()):
            assert isinstance(fault, FailSupervisor)
            self._dooms, self._is_plain = (delivery, fault.text), False
            return

    def _handle(self, mail: Delivery | Order) -> None:
        if self._dooms is not None and self._dooms[0] is mail:
            raise InjectedFault(self._dooms[1])
        super()._handle(mail)
