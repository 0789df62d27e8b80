"""The way of an event to the supervisor, as a network would be: it drops, delays, doubles and reorders."""

from functools import partial
from typing import Any

from msgspec import Struct

from lightspeed.actors.errors import ChannelClosed
from lightspeed.actors.runtime import RefWrapper, SupervisedRef
from lightspeed.actors.topics.mail import Delivery
from lightspeed.faults.context import FaultContext
from lightspeed.faults.fault import Delay, Drop, Duplicate, Reorder
from lightspeed.supervision.topics.ingress import Ingress


class _Held(Struct, eq=False):
    """An event that others are to pass."""

    delivery: Delivery
    left: int
    """So many have yet to."""


class _Arrival(Struct, eq=False):
    """A delayed event is there."""

    delivery: Delivery
    window: int
    within_s: float


class UnreliableRef(RefWrapper):
    """The reference to the supervisor, which stands at its end.

    All that is told goes through the ingress, and what comes later too: its lock guards what is held back. Nothing is handled in
    the caller's thread: what is declined there comes to `tell` as well, and would be counted twice.
    """

    def __init__(self, ref: SupervisedRef, ingress: Ingress, faults: FaultContext) -> None:
        super().__init__(ref)
        self._ingress, self._faults = ingress, faults
        self._held: dict[str, list[_Held]] = {}

    def request(self, message: Any) -> None:
        if type(message) in (Delivery, _Arrival, _Held):
            self.tell(message)
        else:
            super().request(message)

    def tell(self, message: Any) -> None:
        if type(message) is Delivery:
            self._set_out(message)
        elif type(message) is _Arrival:
            self._arrive(message)
        elif type(message) is _Held:
            self._let_go(message)
        else:
            super().tell(message)

    def end(self) -> None:
        """The ingress is shut: what is held is lost."""
        self._faults.injector.lose(sum(map(len, self._held.values())))
        self._held.clear()

    def _set_out(self, delivery: Delivery) -> None:
        request, copies, delay_s, window, within_s = delivery.request, [delivery], 0.0, 0, 0.0
        for fault in self._faults.injector.due("way", request.topic, lambda: request, self._faults.elapsed_s()):
            if isinstance(fault, Drop):
                self._ingress.count(delivery, -len(copies))
                return
            if isinstance(fault, Duplicate):
                copies.append(Delivery(request, size=delivery.size))
                self._ingress.count(delivery)
            elif isinstance(fault, Delay):
                delay_s += fault.seconds
            elif isinstance(fault, Reorder):
                window, within_s = max(window, fault.window), max(within_s, fault.within_s)
        for copy in copies:
            arrival = _Arrival(copy, window, within_s)
            if delay_s:
                self._faults.delayed.later(delay_s, partial(self._come_in, arrival))
            else:
                self._arrive(arrival)

    def _come_in(self, message: _Arrival | _Held) -> None:
        """On the clock's thread."""
        try:
            self._ingress.tell(self, message)
        except ChannelClosed:
            if type(message) is _Arrival:
                self._faults.injector.lose()

    def _arrive(self, arrival: _Arrival) -> None:
        topic = arrival.delivery.request.topic
        if arrival.window:
            held = _Held(arrival.delivery, arrival.window)
            self._held.setdefault(topic, []).append(held)
            self._faults.delayed.later(arrival.within_s, partial(self._come_in, held), counts=False)
        else:
            self.inner.tell(arrival.delivery)
            self._pass(topic)

    def _pass(self, topic: str) -> None:
        """One has gone by those that are held."""
        for held in self._held.get(topic, ()):
            held.left -= 1
        for held in [held for held in self._held.get(topic, ()) if held.left <= 0]:
            self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        topic = held.delivery.request.topic
        line = self._held.get(topic, [])
        if held in line:  # else others have passed it, or its time was over
            line.remove(held)
            if not line:
                del self._held[topic]
            self.inner.tell(held.delivery)
