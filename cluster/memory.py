"""An engine that carries frames between channels of one process, and loses nothing: for tests, and for trying a cluster out."""

import threading
from collections.abc import Sequence

from lightspeed.cluster.engine import Listener, Parcel


class MemoryBus:
    """What the engines of the channels in one process are tied to. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._nodes: dict[str, tuple[str, Listener]] = {}
        """Boot -> the name and the listener of those that are open."""

    def engine(self) -> "MemoryEngine":
        """The engine of one channel: `ClusterReady("a", "chat", engine=bus.engine())`."""
        return MemoryEngine(self)

    def enter(self, name: str, boot: str, listener: Listener) -> bool:
        with self._lock:
            if any(name == other for other, _listener in self._nodes.values()):
                return False
            self._nodes[boot] = name, listener
            return True

    def leave(self, boot: str) -> None:
        with self._lock:
            self._nodes.pop(boot, None)

    def publish(self, boot: str, parcels: Sequence[Parcel]) -> None:
        """Under the lock, so that all are told in one order."""
        batch = [frame for _channel, frame in parcels]
        with self._lock:
            if boot in self._nodes:
                for _name, listener in self._nodes.values():
                    listener.frames(batch)

    def is_alive(self, boot: str) -> bool:
        return boot in self._nodes


class MemoryEngine:
    """An `Engine`. `MemoryBus.engine` makes it."""

    has_leases = True
    most_bytes = 1_000_000

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._boot = ""
        self._listener: Listener | None = None

    def open(self, cluster: str, name: str, boot: str, channels: int, listener: Listener, lease_s: float) -> None:
        self._boot, self._listener = boot, listener
        if self._bus.enter(name, boot, listener):
            listener.link(up=True)
        else:
            listener.refused()

    def publish(self, parcels: Sequence[Parcel]) -> None:
        self._bus.publish(self._boot, parcels)
        self._told.published(ok=True)

    def renew(self) -> None:
        self._told.renewed(ok=True)

    def read_lease(self, boot: str) -> None:
        self._told.lease(boot, alive=self._bus.is_alive(boot))

    def drop_lease(self) -> None:
        self._bus.leave(self._boot)

    def reconnect(self, why: str) -> None:
        self._told.link(up=True)

    def expect(self, nodes: int) -> None: ...

    def close(self, timeout_s: float) -> None:
        self._bus.leave(self._boot)

    @property
    def _told(self) -> Listener:
        assert self._listener is not None
        return self._listener
