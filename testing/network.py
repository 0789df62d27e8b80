"""What carries frames between the channels of a simulation, and what of it goes wrong by plan."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from lightspeed.channel import Channel
from lightspeed.cluster.engine import Listener, Parcel
from lightspeed.faults import FaultPlan
from lightspeed.faults.injector import Injector
from lightspeed.faults.network import (
    Cut,
    Deaf,
    DelayFrame,
    DoubleFrame,
    Freeze,
    KillNode,
    LoseAck,
    LoseFrame,
    Mute,
    RestartEngine,
    Stall,
)
from lightspeed.testing.pool import SimulatedPool

_LATENCY_S = 0.002  # a frame takes up to so long; those to one node come in order


class SimulatedNetwork:
    """For the simulation's thread. Made by `Simulation.cluster`."""

    def __init__(self, pool: SimulatedPool, seed: int, plan: FaultPlan) -> None:
        self._pool, self._random = pool, random.Random(f"network {seed}")
        self.injector, self._is_calm = Injector(plan), False
        self.ports: dict[str, SimulatedEngine] = {}
        """Those that are open, by boot."""
        self.leases: dict[str, float] = {}
        """Boot -> until when, in virtual seconds."""
        self.killed: set[str] = set()
        """The names of nodes that were killed."""

    def engine(self) -> "SimulatedEngine":
        """The engine of one channel."""
        return SimulatedEngine(self)

    @property
    def now_s(self) -> float:
        return self._pool.clock.now_s

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        self._pool.call_later(delay_s, call)  # type: ignore[arg-type]

    def in_order(self, line: deque[Callable[[], object]], when_s: float, call: Callable[[], object]) -> None:
        """As `later`, behind those that stand in the line: of two at one moment either may come first."""
        line.append(call)
        self.later(max(0.0, when_s - self.now_s), lambda: line.popleft()())

    def latency_s(self) -> float:
        return self._random.uniform(0.0, _LATENCY_S)

    def is_alive(self, boot: str) -> bool:
        return self.leases.get(boot, -1.0) >= self.now_s

    def spread(self, parcels: Sequence[Parcel]) -> None:
        for port in list(self.ports.values()):
            for _channel, frame in parcels:
                port.come(frame)

    def faults_at(self, name: str) -> list[Any]:
        """What goes wrong with the next frame that comes to the node."""
        return [] if self._is_calm else list(self.injector.due("network", name, lambda: None, self.now_s))

    def calm(self) -> None:
        """From here on nothing more goes wrong; what has goes its way."""
        self._is_calm = True

    def restart(self, seconds: float) -> None:
        self.leases.clear()
        for port in list(self.ports.values()):
            port.cut(seconds)


class SimulatedEngine:
    """An `Engine` in virtual time."""

    has_leases = True
    most_bytes = 1_000_000

    def __init__(self, network: SimulatedNetwork) -> None:
        self._network = network
        self.name = self.boot = ""
        self._listener: Listener | None = None
        self._lease_s = 0.0
        self._is_up = False
        self._links = 0
        """How many times it was linked: what is on its way when a link breaks does not come."""
        self._still_until = self._deaf_until = self._mute_until = self._frozen_until = 0.0
        self._coming: deque[Callable[[], object]] = deque()
        self._answers: deque[Callable[[], object]] = deque()
        self._frozen: deque[Callable[[], object]] = deque()
        self._loses_ack = False
        self.is_dead = False

    # As an Engine

    def open(self, cluster: str, name: str, boot: str, channels: int, listener: Listener, lease_s: float) -> None:
        self.name, self.boot, self._listener, self._lease_s = name, boot, listener, lease_s
        self._claim(self._network.now_s + lease_s + 1.0)

    def publish(self, parcels: Sequence[Parcel]) -> None:
        network, ok = self._network, self._is_up and not self.is_dead
        if ok and network.now_s >= self._mute_until:
            self._when_thawed(lambda: None if self.is_dead else network.spread(parcels))
        ok, self._loses_ack = ok and not self._loses_ack, False
        self._answer(lambda listener: listener.published(ok=ok))

    def renew(self) -> None:
        def renewed(listener: Listener) -> None:
            if self._is_up:
                self._network.leases[self.boot] = self._network.now_s + self._lease_s
            listener.renewed(ok=self._is_up)

        self._answer(renewed)

    def read_lease(self, boot: str) -> None:
        def read(listener: Listener) -> None:
            if self._is_up:
                listener.lease(boot, alive=self._network.is_alive(boot))

        self._answer(read)

    def drop_lease(self) -> None:
        self._network.leases.pop(self.boot, None)

    def reconnect(self, why: str) -> None:
        if self._is_up:
            self.cut(0.01)

    def expect(self, nodes: int) -> None: ...

    def close(self, timeout_s: float) -> None:
        self._network.ports.pop(self.boot, None)

    # What goes wrong

    def come(self, frame: bytes) -> None:
        """A frame is on its way here."""
        if self._is_up and not self.is_dead:
            links, at_s = self._links, max(self._network.now_s + self._network.latency_s(), self._still_until)
            self._network.in_order(self._coming, at_s, lambda: self._arrive(frame, links))

    def cut(self, seconds: float) -> None:
        """The link breaks, and is there again after so long."""
        if self.is_dead or self.boot not in self._network.ports:
            return
        self._is_up, self._links = False, self._links + 1
        links = self._links
        self._answer(lambda listener: listener.link(up=False))
        self._network.later(seconds, lambda: self._link(links))

    def kill(self) -> None:
        self.is_dead = True
        self._network.ports.pop(self.boot, None)
        self._network.killed.add(self.name)

    def _arrive(self, frame: bytes, links: int) -> None:
        if self.is_dead or links != self._links:
            return
        copies, late_s = 1, 0.0
        for fault in self._network.faults_at(self.name):
            if isinstance(fault, (LoseFrame, DoubleFrame)):
                copies = 0 if isinstance(fault, LoseFrame) else copies + 1
            elif isinstance(fault, DelayFrame):
                late_s += fault.seconds
            else:
                self._go_wrong(fault)
        if self._network.now_s < self._deaf_until or not self._is_up or self.is_dead:
            return
        for _ in range(copies):
            if late_s:
                self._network.later(late_s, lambda: self._hand_over(frame, links))
            else:
                self._hand_over(frame, links)

    def _go_wrong(self, fault: Any) -> None:
        until_s = self._network.now_s + getattr(fault, "seconds", 0.0)
        if isinstance(fault, Stall):
            self._still_until = max(self._still_until, until_s)
        elif isinstance(fault, Cut):
            self.cut(fault.seconds)
        elif isinstance(fault, Deaf):
            self._deaf_until = until_s
        elif isinstance(fault, Mute):
            self._mute_until = until_s
        elif isinstance(fault, Freeze):
            self._frozen_until = max(self._frozen_until, until_s)
        elif isinstance(fault, LoseAck):
            self._loses_ack = True
        elif isinstance(fault, RestartEngine):
            self._network.restart(fault.seconds)
        else:
            assert isinstance(fault, KillNode)
            self.kill()

    def _hand_over(self, frame: bytes, links: int) -> None:
        if links == self._links:
            self._when_thawed(lambda: self._tell(lambda listener: listener.frames((frame,))))

    def _claim(self, until_s: float) -> None:
        network = self._network
        if any(port.name == self.name and network.is_alive(boot) for boot, port in network.ports.items()):
            if network.now_s >= until_s:
                self._tell(lambda listener: listener.refused())
            else:
                network.later(0.5, lambda: self._claim(until_s))
            return
        network.ports[self.boot] = self
        network.leases[self.boot] = network.now_s + self._lease_s
        self._link(self._links)

    def _link(self, links: int) -> None:
        if links == self._links and not self.is_dead and self.boot in self._network.ports:
            self._is_up, self._deaf_until = True, 0.0
            self._answer(lambda listener: listener.link(up=True))

    def _answer(self, tell: Callable[[Listener], object]) -> None:
        at_s = self._network.now_s + self._network.latency_s()
        self._network.in_order(self._answers, at_s, lambda: self._when_thawed(lambda: self._tell(tell)))

    def _when_thawed(self, call: Callable[[], object]) -> None:
        """Now, or when it is frozen no more; in order."""
        if self._frozen_until > self._network.now_s or self._frozen:
            self._network.in_order(self._frozen, self._frozen_until, call)
        else:
            call()

    def _tell(self, tell: Callable[[Listener], object]) -> None:
        if self._listener is not None and not self.is_dead:
            tell(self._listener)


class SimulatedCluster:
    """Channels of one simulation that are nodes of one cluster. Made by `Simulation.cluster`."""

    def __init__(self, network: SimulatedNetwork, nodes: dict[str, Channel]) -> None:
        self.network, self.nodes = network, nodes

    def __getitem__(self, name: str) -> Channel:
        return self.nodes[name]

    @property
    def faults(self) -> Injector:
        """What of the network's faults has fired."""
        return self.network.injector

    @property
    def alive(self) -> dict[str, Channel]:
        """The nodes that were not killed."""
        return {name: channel for name, channel in self.nodes.items() if name not in self.network.killed}

    def kill(self, name: str) -> None:
        """The node's process dies, without a word: from here on nothing of its channel counts."""
        for port in list(self.network.ports.values()):
            if port.name == name:
                port.kill()
