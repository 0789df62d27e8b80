"""What a channel says of itself to any thread, without waiting: how it is, and what reached nobody."""

import threading

from msgspec import Struct

from lightspeed.actors.runtime import Runtime
from lightspeed.clients.hub import Hub
from lightspeed.metrics.hooks import Meter
from lightspeed.metrics.metered import MeteredRuntime
from lightspeed.supervision.topics import Counts, DeadLetter, DeadLetters, Ingress, NodeCounts, Outbox, SinkQueues


class ChannelMetrics(Struct, frozen=True, kw_only=True):
    """How a channel is, as `Channel.metrics()` reads it. What only grows counts from the channel's start on.

    The figures are read one after the other while the channel goes on: each is true by itself, and together they may be some
    events apart.
    """

    accepted: int
    """Events that its supervisor has numbered; a `Disconnect` is one. It only grows."""
    waiting: int
    """Events that wait for the supervisor; leaves and orders are not among them."""
    topics: int
    """Topics of which something is known: with an actor, on their way down, or with members who may come back."""
    topics_down: int
    """Topics that are down by themselves: crashed by order, or given up."""
    topics_overloaded: int
    """Topics that shed events, and have not caught up."""
    crashed: bool
    """Whether the channel is down as a whole, as of the last event that was accepted."""
    clients: int
    """Living clients, as `Channel.client` makes them."""
    outbox_length: int
    """What wait for a flush, an entry for each event that gave something out; with a sink, messages that wait for it."""
    outbox_dropped: int
    """Messages that the outbox had no room for, since nobody flushed. It only grows."""
    inbox_dropped: int
    """Messages that found no room in the inbox of a client, of closed ones too. It only grows."""
    dead_letters: int
    """What was accepted or given out and reached nobody. It only grows."""
    shed: int
    """Events that a mailbox had no room for. It only grows."""
    abandoned: int
    """Topic actors that were given up since they did not come back in time. It only grows."""
    failures: int
    """Ends of topics that nobody ordered: their code raised or hung, or they were stopped from outside. It only grows."""
    crashes: int
    """Crashes by order that took effect, of a topic or of the channel. It only grows."""
    restarts: int
    """How often a topic came up again; a restart of the channel counts each of its topics. It only grows."""
    given_up: int
    """How often a topic failed too often, and stayed down. It only grows."""
    nodes: int
    """Other nodes of the cluster that live, as far as this one knows; without one 0, as all that follow."""
    nodes_buried: int
    """How often a node was taken for dead. It only grows."""
    nodes_lost: int
    """Messages of other nodes that did not come here: each was told. It only grows."""
    nodes_unsent: int
    """Own broadcasts that found no room while the link was down: the others are told. It only grows."""
    bad_frames: int
    """What came from the engine and was no frame of this version. It only grows."""


class Readings:
    """The part of a channel that never waits. Any thread may call it, also in actors, hooks and sinks, and after `close`."""

    _ingress: Ingress
    _outbox: Outbox
    _outlet: Outbox | SinkQueues
    _dead_letters: DeadLetters
    _hub: Hub | None
    _meter: Meter | None

    def _begin_readings(self, runtimes: list[Runtime]) -> None:
        self._dead_letters, self._counts, self._node_counts = DeadLetters(), Counts(), NodeCounts()
        self._meter = next((over.meter for over in runtimes if isinstance(over, MeteredRuntime)), None)
        self._most: dict[str, int] = {}
        self._readings_lock = threading.RLock()  # a finalizer or a signal handler may read within a read

    def metrics(self) -> ChannelMetrics:
        """How the channel is: counters and lengths that are there anyway. Never waits.

        It takes some microseconds, and a little for each client. Nothing is counted for it on an event's way.
        """
        self._ingress.check_process()
        counts, nodes, letters, hub = self._counts, self._node_counts, self._dead_letters, self._hub
        return ChannelMetrics(
            accepted=self._grown("accepted", counts.accepted),
            waiting=self._ingress.length,
            topics=len(counts.topics),
            topics_down=len(counts.life.down),
            topics_overloaded=len(counts.overloaded),
            crashed=counts.life.crashed,
            clients=0 if hub is None else len(hub.clients),
            outbox_length=self._outlet.length,
            outbox_dropped=self._outbox.dropped,
            inbox_dropped=self._grown("inbox_dropped", 0 if hub is None else hub.dropped),
            dead_letters=letters.count,
            shed=letters.shed,
            abandoned=letters.abandoned,
            failures=counts.failures,
            crashes=counts.crashes,
            restarts=counts.restarts,
            given_up=counts.given_up,
            nodes=sum(view.state != "buried" for view in nodes.views()),
            nodes_buried=nodes.buried,
            nodes_lost=nodes.lost,
            nodes_unsent=nodes.unsent,
            bad_frames=nodes.bad_frames,
        )

    def _grown(self, name: str, value: int) -> int:
        """What is read amid a change may be less than before: to a reader it only grows."""
        with self._readings_lock:
            self._most[name] = max(value, self._most.get(name, 0))
            return self._most[name]

    @property
    def meter(self) -> Meter | None:
        """Where hooks are added and taken out while the channel runs; None where it was made without a `MetricsLayer`."""
        self._ingress.check_process()
        return self._meter

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The last 1,000 of what was accepted or given out and reached nobody, the oldest first. Never waits.

        They are fewer where their texts would have more than 16 MiB together.
        """
        self._ingress.check_process()
        return self._dead_letters.read()

    @property
    def dead_letter_count(self) -> int:
        """How many dead letters there were in all. Never waits."""
        self._ingress.check_process()
        return self._dead_letters.count

    @property
    def abandoned_count(self) -> int:
        """How many topic actors were given up since they did not come back in time. Never waits."""
        self._ingress.check_process()
        return self._dead_letters.abandoned
