"""A channel in a simulation: what is called is counted, and may be skipped; what it gives out is traced, and comes to clients."""

import weakref
from typing import TYPE_CHECKING, Any

from lightspeed.actors.topics.mail import BoundedCell, Outlet, TopicCell
from lightspeed.actors.topics.rules.events import Disconnect
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PushMessage, unread
from lightspeed.actors.topics.rules.outbound import Reply as ReplyMessage
from lightspeed.actors.topics.rules.presence import ids_in
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.channel import AsyncChannel, AsyncClient, Channel, Event
from lightspeed.channel.core import ChannelCore, Job
from lightspeed.channel.options import Adapter
from lightspeed.clients import Client as RealClient
from lightspeed.supervision.topics import Outbox
from lightspeed.testing.trace import Trace, printable

if TYPE_CHECKING:
    from lightspeed.testing.client import Client
    from lightspeed.testing.simulation import Simulation


class SimulatedCore(ChannelCore):
    """What a simulated channel is, whoever waits for it. What is told outside of a `Client` is counted, and may be skipped."""

    simulation: "Simulation"
    gives: "Gives"
    _kept: list[Any]

    def __init__(self, simulation: "Simulation", gives: "Gives", adapter: Adapter | None, **options: Any) -> None:
        self.simulation, self.gives, self._kept = simulation, gives, []
        super().__init__(adapter, **options)

    def tell(self, event: Event) -> None:
        if not self.simulation.skips():
            super().tell(event)

    def _call(self, event: Event, timeout_s: float | None, *, is_clients: bool) -> Job[Messages]:
        """A `call`, or a verb of a client; its end is none of the play's events."""
        is_end = is_clients and type(event) is Disconnect
        if not is_end and self.simulation.skips():
            return ()
        return (yield from super()._call(event, timeout_s, is_clients=is_clients))

    @property
    def keeps_outbox(self) -> bool:
        """Whether there is anything to flush: a channel with clients keeps nothing."""
        return self._outbox.keeps

    def let_go_of_clients(self) -> None:
        """The simulation is over: nobody warns of clients that were not closed."""
        for client in () if self._hub is None else tuple(self._hub.clients.values()):
            client.begin_end("its simulation is over")
        for kept in self._kept:
            kept._finalizer.detach()  # it leads to the whole simulation, and so by tracebacks back to the client
        self._kept.clear()


class SimulatedChannel(SimulatedCore, Channel):
    """Made by `Simulation.channel`."""

    def handle(self, event: Event) -> None:
        if not self.simulation.skips():
            self.carry_out(event)

    def carry_out(self, event: Event) -> None:
        """As `handle`, of what was counted before."""
        Channel.handle(self, event)

    def client(self, client_id: str, user_id: str, **options: Any) -> RealClient:
        """One that is kept to the simulation's end: when it would be garbage hangs on more than the seed."""
        client = super().client(client_id, user_id, **options)
        self._kept.append(client)
        return client


class SimulatedAsyncChannel(SimulatedCore, AsyncChannel):
    """Made by `Simulation.async_channel`."""

    async def handle(self, event: Event) -> None:
        if not self.simulation.skips():
            await super().handle(event)

    async def _open(self, *args: Any, **options: Any) -> AsyncClient:
        client = await super()._open(*args, **options)
        self._kept.append(client)
        return client

    async def _join(self, timeout_s: float) -> list[str]:
        return self._runtime.join(timeout_s)  # there is no thread to wait for


class Gives:
    """All that one channel gives out: it goes into the trace, and to the clients that there are. For the simulation's thread."""

    def __init__(self, trace: Trace, prefix: str) -> None:
        self.clients: dict[str, Client] = {}
        self.handled = 0
        """The number of messages that topics handled."""
        self._entries, self._prefix = trace.entries, prefix
        self._outlets: list[_Traced] = []
        self._actors: list[weakref.ref[Any]] = []

    def outlet(self, inner: Any, cell: TopicCell | None) -> Any:
        """What stands before this outlet, for the supervisor (no cell) or for a topic's actor."""
        name = "TopicSupervisor" if cell is None else f"{cell.topic}#{cell.incarnation}"
        made = _Traced(inner.inner if type(inner) is _Traced else inner, cell, self, printable(f"{self._prefix}{name}"))
        self._outlets.append(made)
        return made

    def started(self, actor: Any) -> None:
        """An actor of the channel's."""
        self._actors.append(weakref.ref(actor))

    def let_go(self) -> None:
        """The simulation is over: what its actors have in hand, and the records of topics, lead back to it past the collector."""
        for outlet in self._outlets:
            outlet.let_go()
        for actor in [actor for ref in self._actors if (actor := ref()) is not None]:
            for name, held in list(vars(actor).items()):
                if isinstance(held, (dict, list)):
                    held.clear()
                if not name.startswith(("_pooled", "_lifecycle")):
                    delattr(actor, name)

    def give(self, name: str, messages: Messages) -> None:
        """An actor of this name gives these out."""
        self._entries.append(("out", name, messages))
        if self.clients:
            for message in messages:
                for client_id in whom(message):
                    if client_id in self.clients:
                        self.clients[client_id].receive(message)


class _Traced:
    """All of the other's, and what is put in is traced first."""

    def __init__(self, inner: Any, cell: TopicCell | None, gives: Gives, name: str) -> None:
        self.inner, self._cell, self._gives, self._name = inner, cell, gives, name
        self.deliver, self.ring, self.settle, self.close = inner.deliver, inner.ring, inner.settle, inner.close
        self.is_awaited = inner.is_awaited
        self.is_at_work, self.abandon, self.follow, self.trim = inner.is_at_work, inner.abandon, inner.follow, inner.trim

    def put(self, seq: int, topic: str | None, messages: Messages, *others: Any, **more: Any) -> bool:
        if messages:
            self._gives.give(self._name, messages)
        if seq and self._cell is not None:  # a question gives nothing out, and has no number
            self._gives.handled += 1
        return bool(self.inner.put(seq, topic, messages, *others, **more))

    def let_go(self) -> None:
        """A cell is out of the collector's sight, and leads back here by more than one way."""
        if self._cell is not None:
            self._cell.outlet, self._cell.report, self._cell.in_flight = _nowhere, _to_nobody, {}
            self._cell.state = self._cell.behaved = None
            if isinstance(self._cell, BoundedCell):
                self._cell.box = None
            self._cell = None


def whom(message: Outbound) -> tuple[str, ...]:
    """The clients that a message is for; a diff is for whom it is about, and comes to no client."""
    if isinstance(message, BroadcastMessage):
        recipients = unread(message)  # it is left as it is: whoever reads it first does so later
        if recipients is None:
            return message.recipients
        return ids_in(recipients._view) if recipients.read is None else recipients.read
    return (message.client_id,) if isinstance(message, (ReplyMessage, PushMessage)) else ()


def _to_nobody(_what: object) -> None:
    """Where a cell of a simulation that is over reports to."""


_nowhere = Outbox()
_nowhere.keep_nothing()


_: type[Outlet] = _Traced
