"""One node of a cluster: an actor between its channel and the engine.

What the channel gives out comes by the `NodeRelay`, is numbered, and goes out in batches, one at a time. What comes from others
is held against their numbers, and goes to the channel's supervisor, so much at a time as it takes. It runs on the channel's
runtime and knows no clock but that; it waits for nobody.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pykka
from msgspec import Struct

from lightspeed.actors.errors import BadFrame, PoolClosed
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import SupervisedRef
from lightspeed.actors.topics.rules.events import Relayed
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.presence import Diff
from lightspeed.cluster.engine import Engine, Parcel
from lightspeed.cluster.frames import (
    CONTROL,
    SHARDS,
    Ask,
    Beat,
    Changed,
    Cleared,
    Frame,
    Item,
    Nack,
    Said,
    changed,
    decode_frame,
    shard_of,
)
from lightspeed.cluster.peers import Peer, sliced
from lightspeed.cluster.sending import SLICE, Sending
from lightspeed.supervision.latch import Told
from lightspeed.supervision.topics.counts import NodeCounts, NodeView
from lightspeed.supervision.topics.messages import Arrived, Missed

if TYPE_CHECKING:
    _Role = Lifecycle
else:
    _Role = object  # the runtime mixes the kind of actor in

_PATIENCE = 3  # own beats that come back while another is silent, before it is asked whether it lives
_KNOWN = 1_000  # peers that are dead, and still known
_KEPT_LEASES = 2  # so many leases long what was published can be had once more, as far as there is room
_ROUNDING_S = 0.001  # what is left of a wait may be a rounding error


class Place(Struct, frozen=True):
    """Where a node stands, and how it keeps time."""

    name: str
    cluster: str
    boot: str
    lease_s: float
    beat_s: float
    most_waiting: int
    """So many bytes wait while the link is down; beyond, broadcasts are dropped, and told as lost."""


class Once:
    """A future that is given its first value only."""

    def __init__(self, future: pykka.Future[Any]) -> None:
        self._futures = [future]

    def set(self, value: Any = None) -> None:
        if self._futures:
            self._futures.pop().set(value)


# What it is told


class Link(Struct, frozen=True):
    up: bool


class Frames(Struct, frozen=True):
    batch: Sequence[bytes]


class Published(Struct, frozen=True):
    ok: bool


class Renewed(Struct, frozen=True):
    ok: bool


class LeaseRead(Struct, frozen=True):
    boot: str
    alive: bool


class NotLetIn(Struct, frozen=True):
    """A living node has the name, or the engine carries nothing."""

    why: str


class Took(Struct, frozen=True):
    """The supervisor has passed on what it was handed."""


class _Due(Struct, frozen=True):
    """A timer's: a beat, or the lease."""

    what: str


class NodeListener:
    """Has the node told what its engine says; a `Listener`."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell

    def link(self, *, up: bool) -> None:
        self._tell(Link(up))

    def frames(self, batch: Sequence[bytes]) -> None:
        self._tell(Frames(batch))

    def published(self, *, ok: bool) -> None:
        self._tell(Published(ok))

    def renewed(self, *, ok: bool) -> None:
        self._tell(Renewed(ok))

    def lease(self, boot: str, *, alive: bool) -> None:
        self._tell(LeaseRead(boot, alive))

    def refused(self, why: str = "") -> None:
        self._tell(NotLetIn(why))


class NodeRelay:
    """A `Relay`."""

    def __init__(self, ref: SupervisedRef) -> None:
        self._ref = ref

    def said(self, topic: str, payload: str, event: str, sender: str | None) -> None:
        self.tell(Said(topic, payload, event, sender))

    def changed(self, diff: Diff) -> None:
        self.tell(changed(diff))

    def cleared(self, topic: str) -> None:
        self.tell(Cleared(topic))

    def close(self) -> None:
        """Nothing more is handed over."""
        self._ref.stop_soon()

    def tell(self, message: Any) -> None:
        try:
            self._ref.tell(message)
        except pykka.ActorDeadError:
            pass  # it goes nowhere any more


class Node(_Role):
    """The hooks of a node; a `Runtime` adds the kind of actor they run on.

    Args:
        supervisor: that of the channel's topics.
        entered: told when it is known whether the name is free: True or False; that there is no link yet: None; what the engine
            must be; or what its `open` raised.
    """

    def __init__(
        self, place: Place, engine: Engine, runtime: Any, supervisor: SupervisedRef, counts: NodeCounts, entered: Any
    ) -> None:
        super().__init__()
        self._place, self._engine, self._runtime, self._supervisor = place, engine, runtime, supervisor
        self._counts, self._entered = counts, entered
        self._is_let_in = self._is_up = False
        """Whether the link was up once, and so the name is claimed; whether it is now."""
        self._renewed_s: float | None = None
        """When the lease was renewed last; None: never yet."""
        self._is_isolated = False
        # Out
        kept_s = _KEPT_LEASES * place.lease_s
        self._sending = Sending(place.name, place.boot, engine.most_bytes, place.most_waiting, kept_s)
        self._batch: list[Parcel] = []
        """What is being published, or is to be once more."""
        self._is_publishing = False
        # In
        self._peers: dict[str, Peer] = {}
        self._in: deque[tuple[Any, int]] = deque()
        """What the supervisor has yet to be handed, each with what it counts of a slice."""
        self._in_bytes = 0
        """What of it is said."""
        self._untaken: dict[tuple[str, int], int] = {}
        """Of whom, and in which shard, so much was said that there was no room for: told when there is."""
        self._is_handing = False
        self._is_repairing = False
        """Whether a timer runs by which what is missing must have come."""
        self._unechoed = 0
        self._echoed_s = float("-inf")
        """When an echo was last counted."""
        counts.views = self._views

    def on_start(self) -> None:
        self._tell = _teller(self.actor_ref, is_on_loop=self._runtime.is_one_thread)
        listener = NodeListener(self._tell)
        place = self._place
        try:
            self._engine.open(place.cluster, place.name, place.boot, SHARDS + 1, listener, place.lease_s)
        except BaseException as error:  # whatever it is, it is for who makes the channel
            self._entered.set(error)
            raise
        self.start_timer("beat", _Due("beat"), self._place.beat_s, every=True)
        self.start_timer("lease", _Due("lease"), self._place.lease_s / 3, every=True)

    def on_receive(self, message: Any) -> None:
        _HANDLERS[type(message)](self, message)
        self._pump()
        self._hand_on()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """A bug of the node's, or its engine's: the channel goes on by itself, and says so."""
        log("error", "cluster {}: the node failed", self._place.cluster, error=exception_value)
        self._is_handing = False
        self._in.append((System("isolated"), 1))
        self._hand_on()
        self._engine.close(0.0)
        self._entered.set(None)

    def on_stop(self) -> None:
        """A clean end: others need not wait for it."""
        if self._is_up:
            self._sending.put_end()
            parcels = self._batch
            while self._sending:
                parcels = [*parcels, *self._sending.packed(self._runtime.monotonic_s())]
            self._engine.publish(parcels)
        self._engine.drop_lease()
        with self._runtime.blocking():
            self._engine.close(1.0)
        self._entered.set(None)

    # Out

    def _send(self, item: Item) -> None:
        self._sending.put(item)

    def _pump(self) -> None:
        """Publish the next batch, if the last is out."""
        if self._is_up and not self._is_publishing:
            self._batch = self._batch or self._sending.packed(self._runtime.monotonic_s())
            if self._batch:
                self._is_publishing = True
                self._engine.publish(self._batch)
        self._counts.unsent = self._sending.unsent

    def _on_published(self, message: Published) -> None:
        self._is_publishing = False
        if message.ok:
            self._batch = []

    # The link and the lease

    def _on_link(self, message: Link) -> None:
        if not message.up:
            self._is_up = False
            self._entered.set(None)
        else:
            self._is_let_in = True
            self._engine.expect(1 + sum(peer.state != "buried" for peer in self._peers.values()))
            self._engine.renew()
            if self._renewed_s is not None:  # else the lease comes before the first beat
                self._come_up()

    def _come_up(self) -> None:
        self._is_up, self._unechoed = True, 0
        for peer in self._peers.values():
            peer.silent = 0  # nobody could be heard
        self._sending.put_beat()

    def _on_renewed(self, message: Renewed) -> None:
        if not message.ok:
            self._entered.set(None)
            return
        is_first, self._renewed_s = self._renewed_s is None, self._runtime.monotonic_s()
        if is_first:
            self._entered.set(True)
            self._come_up()
        if self._is_isolated:
            self._is_isolated = False
            self._hand_over(System("joined"))

    def _on_not_let_in(self, message: NotLetIn) -> None:
        """Where the channel is not made yet, it is not; else the node stays alone, as long as it is so."""
        log("error", "cluster {}: node {} is not let in: {}", self._place.cluster, self._place.name, message.why or "name taken")
        self._entered.set(message.why or False)

    def _on_due(self, message: _Due) -> None:
        if message.what == "repair":
            self._give_up()
            return
        if message.what == "lease":
            if self._is_let_in:
                self._engine.renew()
            if not self._is_isolated and self._seems_isolated():
                self._is_isolated = True
                self._hand_over(System("isolated"))
            return
        if not self._is_up:
            return
        if self._unechoed >= 2:
            self._unechoed = 0
            self._engine.reconnect("its own beats do not come back")
            return
        self._unechoed += 1
        self._sending.put_beat()
        self._ask()

    def _seems_isolated(self) -> bool:
        return self._renewed_s is None or self._runtime.monotonic_s() - self._renewed_s > self._place.lease_s

    # In

    def _on_frames(self, message: Frames) -> None:
        for raw in message.batch:
            try:
                frame = decode_frame(raw)
            except BadFrame as error:
                self._counts.bad_frames += 1
                log("warning", "cluster {}: {}", self._place.cluster, error)
                continue
            if frame.boot != self._place.boot:
                self._take(frame)
            elif frame.shard == CONTROL and isinstance(frame.items[0], Beat):
                self._on_echo()

    def _take(self, frame: Frame) -> None:
        peer = self._peers.get(frame.boot)
        is_new = peer is None
        if peer is None:
            peer = self._peers[frame.boot] = Peer(frame.boot)
            self._forget_the_dead()
            self._sending.put_beat()  # it is to know of this one at once
        was_buried = peer.state == "buried"
        peer.hear()
        if frame.shard != CONTROL:
            missing = peer.missing()
            items: Any = frame.items
            self._take_items(peer, frame.shard, peer.take(frame.shard, frame.first, items, self._runtime.monotonic_s()))
            if peer.missing() != missing:
                self._ask_again(peer)
            return
        for item in frame.items:
            if isinstance(item, Ask):
                if item.boot == self._place.boot:
                    self._sending.put_snapshots(item.shards)
            elif isinstance(item, Nack):
                if item.boot == self._place.boot:
                    self._sending.repeat(item)
            else:
                assert isinstance(item, Beat)
                before = peer.mismatches
                for shard, lost in peer.check(item):
                    self._lose(peer, shard, lost)
                self._counts.mismatches += peer.mismatches - before
                self._ask_again(peer)
                if is_new or was_buried:
                    self._ask_one(peer)

    def _take_items(self, peer: Peer, shard: int, given: Iterable[Said | Diff | int]) -> None:
        for what in given:
            if isinstance(what, int):
                self._lose(peer, shard, what)
            elif isinstance(what, Said):
                self._hand_over_said(peer, shard, what)
            elif what.joins or what.leaves:
                self._hand_over(what)

    def _ask_again(self, peer: Peer) -> None:
        """Ask for what is missing. If that does not come in time, it is lost."""
        for shard, first, last in peer.missing():
            self._sending.put_control(Nack(peer.boot, shard, first, last))
            if not self._is_repairing:
                self._is_repairing = True
                self.start_timer("repair", _Due("repair"), self._place.beat_s)

    def _give_up(self) -> None:
        self._is_repairing = False
        since_s = self._runtime.monotonic_s() - self._place.beat_s
        for peer in self._peers.values():
            for shard in peer.overdue(since_s + _ROUNDING_S):
                self._take_items(peer, shard, peer.give_up(shard))
            if peer.missing():
                self._ask_again(peer)

    def _lose(self, peer: Peer, shard: int, lost: int) -> None:
        self._counts.lost += lost
        self._miss(peer.name or peer.boot, shard, lost)
        self._ask_one(peer)

    def _miss(self, node: str, shard: int, count: int) -> None:
        last = self._in[-1][0] if self._in else None
        if isinstance(last, Missed) and (last.node, last.concerns.args) == (node, (shard,)):  # type: ignore[attr-defined]
            count += last.count
            self._in.pop()
        self._in.append((Missed(node, count, partial(_is_of, shard)), 1))

    def _ask(self) -> None:
        """Ask again for what was asked for and has not come."""
        for peer in self._peers.values():
            if peer.state == "up":
                self._ask_one(peer)

    def _ask_one(self, peer: Peer) -> None:
        if peer.wanted:
            self._sending.put_control(Ask(peer.boot, peer.wanted))

    def _on_echo(self) -> None:
        """A beat of this node's came back: whoever is silent meanwhile is not to be heard, and not this node is deaf."""
        self._unechoed = 0
        if self._runtime.monotonic_s() - self._echoed_s < self._place.beat_s / 2:
            return  # some that waited come together, or one twice: others had no time to be heard
        self._echoed_s = self._runtime.monotonic_s()
        for peer in self._peers.values():
            if peer.state == "buried":
                continue
            peer.silent += 1
            if peer.silent < _PATIENCE or self._seems_isolated():
                continue
            peer.state = "mute"
            if self._engine.has_leases:
                self._engine.read_lease(peer.boot)
            elif peer.silent >= 2 * _PATIENCE:
                self._bury(peer)

    def _on_lease(self, message: LeaseRead) -> None:
        peer = self._peers.get(message.boot)
        if peer is not None and peer.state == "mute" and not message.alive and not self._seems_isolated():
            self._bury(peer)

    def _bury(self, peer: Peer) -> None:
        self._counts.buried += 1
        log("info", "cluster {}: node {} is dead", self._place.cluster, peer.name or peer.boot)
        for diff in peer.bury(SLICE):
            self._hand_over(diff)

    def _forget_the_dead(self) -> None:
        if len(self._peers) > _KNOWN:
            dead = [boot for boot, peer in self._peers.items() if peer.state == "buried"]
            for boot in dead[: len(self._peers) - _KNOWN]:
                del self._peers[boot]

    def _hand_over_said(self, peer: Peer, shard: int, said: Said) -> None:
        if self._in_bytes > self._place.most_waiting:  # the supervisor does not keep up
            who = peer.name or peer.boot, shard
            self._untaken[who] = self._untaken.get(who, 0) + 1
            self._counts.lost += 1
            return
        self._in_bytes += 100 + len(said.payload)
        self._hand_over(Relayed(said.topic, said.payload, said.event, said.sender))

    def _views(self) -> list[NodeView]:
        """Any thread may ask."""
        peers = list(self._peers.values())
        return [NodeView(peer.name or peer.boot, peer.state, peer.silent, peer.gaps) for peer in peers]

    def _hand_over(self, what: Any) -> None:
        if isinstance(what, Diff):
            for part in sliced(what, SLICE):
                self._in.append((part, sum(len(entry.metas) for entry in (*part.joins, *part.leaves))))
        else:
            self._in.append((what, 1))

    def _hand_on(self) -> None:
        """Have the supervisor told the next slice, when it has passed on the last: nobody there waits for all of a burial."""
        if self._is_handing or not self._in:
            return
        items: list[Any] = []
        size = 0
        while self._in and (not items or size + self._in[0][1] <= SLICE):
            what, counts = self._in.popleft()
            items.append(what)
            size += counts
            if isinstance(what, Relayed):
                self._in_bytes -= 100 + len(what.payload)
        if self._in_bytes <= self._place.most_waiting and self._untaken:
            untaken, self._untaken = self._untaken, {}
            for (name, shard), lost in untaken.items():
                self._miss(name, shard, lost)
        self._is_handing = True
        try:
            self._supervisor.tell(Arrived(tuple(items), Told(self._tell, Took())))
        except pykka.ActorDeadError:
            pass  # the channel has ended

    def _on_took(self, _message: Took) -> None:
        self._is_handing = False
        self._hand_on()


def _is_of(shard: int, topic: str) -> bool:
    return shard_of(topic) == shard


def _teller(ref: pykka.ActorRef[Any], *, is_on_loop: bool) -> Callable[[Any], None]:
    """How any thread tells the node something, that of an event loop's actors too. To be made on the actor's own thread."""
    loop, thread = asyncio.get_running_loop() if is_on_loop else None, threading.get_ident()

    def tell(message: Any) -> None:
        try:
            if loop is None or threading.get_ident() == thread:
                ref.tell(message)
            else:
                loop.call_soon_threadsafe(tell, message)
        except (pykka.ActorDeadError, PoolClosed, RuntimeError):
            pass  # the node has ended, or its loop is closed

    return tell


_HANDLERS: dict[type, Any] = {
    Said: Node._send,
    Changed: Node._send,
    Cleared: Node._send,
    Frames: Node._on_frames,
    Published: Node._on_published,
    Link: Node._on_link,
    Renewed: Node._on_renewed,
    LeaseRead: Node._on_lease,
    NotLetIn: Node._on_not_let_in,
    Took: Node._on_took,
    _Due: Node._on_due,
}
