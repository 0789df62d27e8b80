"""Somebody who sends events to a channel in a simulation, each when the scheduler lets him."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightspeed.actors.checks import check_call, is_put_off
from lightspeed.actors.context import ThreadContext
from lightspeed.actors.errors import ChannelClosed, ChannelTimeout, InvalidOption, SimulationMisused
from lightspeed.actors.text import escaped
from lightspeed.actors.topics.rules.events import Broadcast, Event, Join, Leave, Push, Rejoin, check_event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.channel import Channel, encode
from lightspeed.testing.pool import Bystander
from lightspeed.testing.trace import Act

if TYPE_CHECKING:
    from lightspeed.testing.simulation import Simulation


class Client(Bystander):
    """One client of one channel. What it is told to send goes out in order, one event at a time, among what all others do.

    What is put off goes out when its time has come, and what is put off to the same moment in order too. Times in its events are
    the simulation's. Made by `Simulation.client`.
    """

    def __init__(self, simulation: "Simulation", channel: Any, client_id: str, user_id: str) -> None:
        super().__init__([])
        self.client_id, self.user_id = client_id, user_id
        self.received: list[Outbound] = []
        """Replies, pushes and broadcasts for it, in the order in which they were given out."""
        self.on_received: Callable[[Outbound], object] | None = None
        """Called with each of them when it comes: for a client that reacts. It may send, and must not wait. Default: none."""
        self._simulation, self._channel = simulation, channel
        self._later: dict[float, list[Event | Act]] = {}  # by the moment at which they are to be sent
        simulation.pool.adopt(self, simulation.pool.name(f"client {client_id}"))

    def join(self, topic: str) -> None:
        self.send(Join(self.client_id, topic, self.user_id, self._simulation.now_ms))

    def rejoin(self, topic: str) -> None:
        self.send(Rejoin(self.client_id, topic, self.user_id, self._simulation.now_ms))

    def leave(self, topic: str) -> None:
        self.send(Leave(self.client_id, topic))

    def broadcast(self, topic: str, payload: str) -> None:
        self.send(Broadcast(self.client_id, topic, payload))

    def push(self, topic: str, event: str, payload: str) -> None:
        self.send(Push(self.client_id, topic, event, payload))

    def send(self, event: Event, *, after_s: float = 0.0) -> None:
        """Any event, a crash or a restart too; `after_s` of virtual time.

        Raises:
            InvalidEvent: it is no event or breaks a rule.
        """
        check_event(event)
        self._line_up_later(event, after_s)

    def handle(self, event: Event, *, after_s: float = 0.0) -> None:
        """As `send`, and it waits until the event has taken effect, or its channel's timeout, before it does anything else.

        Raises:
            InvalidEvent: it is no event or breaks a rule.
        """
        check_event(event)
        self._line_up_later(Act(f"handle {encode(event).decode()}", lambda: self._handle(event)), after_s)

    def do(self, call: Callable[[], object], *, name: str = "call", after_s: float = 0.0) -> None:
        """Have this called in its turn. It may wait: a read of the channel, say, runs others until its answer is there.

        Args:
            name: what stands in the trace. Default `call`.
        """
        check_call("call", call)
        if not isinstance(name, str):
            raise InvalidOption("name", name, "must be a str")
        self._line_up_later(Act(name, call), after_s)

    def _line_up_later(self, what: Event | Act, after_s: float) -> None:
        if after_s <= 0:
            self._line_up(what)
            return
        moment_s = self._simulation.now_s + after_s
        if moment_s not in self._later:  # two timers of one moment could come in either order
            self._later[moment_s] = []
            self._simulation.pool.call_later(after_s, lambda: self._line_up(*self._later.pop(moment_s)))
        self._later[moment_s].append(what)

    def receive(self, message: Outbound) -> None:
        """Receive what was given out for the client. What `on_received` raises ends the simulation, and hurts no actor."""
        self.received.append(message)
        if self.on_received is not None:
            try:
                if is_put_off(self.on_received(message)):
                    raise SimulationMisused(f"on_received of client {escaped(self.client_id)} must be a plain function")
            except BaseException as error:  # the user's code, in the turn of the actor that gave the message out
                self._simulation.pool.break_by(error)

    def _line_up(self, *whats: Event | Act) -> None:
        for what in whats:
            self._pooled_inbox.append(what)
        self._simulation.pool.schedule(self)

    def _pooled_run(self, _limit: int, _context: ThreadContext) -> bool:
        what = self._pooled_inbox.pop(0)
        if not self._simulation.skips():  # what is skipped was never sent
            try:
                if type(what) is Act:
                    what.call()
                else:
                    self._simulation.sends(self._channel, what)
                    Channel.tell(self._channel, what)  # the simulated channel's own would count it once more
            except ChannelClosed:
                self._pooled_inbox.clear()  # nobody takes anything any more
        return bool(self._pooled_inbox)

    def _handle(self, event: Event) -> None:
        self._simulation.sends(self._channel, event)
        try:
            self._channel.carry_out(event)
        except ChannelTimeout:
            pass  # where that is a breach, the channel has said so
