"""The seam to what carries frames between nodes: `Engine`, and whom it tells of what comes, a `Listener`.

An engine only carries frames, and knows who holds a lease. It may lose, double and reorder frames, and say so or not.
"""

from collections.abc import Sequence
from typing import Protocol

Parcel = tuple[int, bytes]
"""A channel, one of the shards or the control channel, and a frame."""


class Listener(Protocol):
    """Whom an engine tells. Any thread may call it; it never blocks and never raises."""

    def link(self, *, up: bool) -> None:
        """All channels are subscribed to, or the link is broken. What was published meanwhile did not come here."""
        ...

    def frames(self, batch: Sequence[bytes]) -> None:
        """These came, in the order of their senders. What this node publishes comes too."""
        ...

    def published(self, *, ok: bool) -> None:
        """The last batch is published; False: that is not known. It is published once more."""
        ...

    def renewed(self, *, ok: bool) -> None:
        """The lease was renewed, or could not be."""
        ...

    def lease(self, boot: str, *, alive: bool) -> None:
        """Whether the node of this boot holds a lease."""
        ...

    def refused(self, why: str = "") -> None:
        """A living node has the name; or, with a text, why the engine carries nothing: what it must be."""
        ...


class Engine(Protocol):
    """What carries one node's frames. No call blocks; each answer comes by the listener, in order."""

    has_leases: bool
    """False: silence alone decides who is dead, after twice the time."""
    most_bytes: int
    """A frame has so many at most."""

    def open(self, cluster: str, name: str, boot: str, channels: int, listener: Listener, lease_s: float) -> None:
        """Connect, claim the name, subscribe to that many channels once and for good, then `link(up=True)`. It reconnects by
        itself whenever the link breaks; where a first attempt fails, it says `link(up=False)`."""
        ...

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """Publish these in order. The next batch comes only after `published`."""
        ...

    def renew(self) -> None:
        """Hold the lease for its time from now on."""
        ...

    def read_lease(self, boot: str) -> None: ...

    def drop_lease(self) -> None:
        """This node ends: others need not wait for the end of its lease."""
        ...

    def reconnect(self, why: str) -> None:
        """Cut the link and subscribe anew: it is deaf, and does not know."""
        ...

    def expect(self, nodes: int) -> None:
        """The link is up: publish when so many are subscribed, or after 2 s. Called before anything is published over it."""
        ...

    def close(self, timeout_s: float) -> None:
        """Publish what was handed over, and let go of everything."""
        ...
