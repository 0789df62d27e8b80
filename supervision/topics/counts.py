"""What a topics' supervisor counts: it alone writes, and any thread reads without asking it."""

from collections.abc import Callable, Sized
from typing import Literal

from msgspec import Struct

from lightspeed.actors.topics.rules.life import ChannelLife


class Counts:
    """Of one channel. What is counted anyway, the supervisor's numbers and tables, is read where it stands."""

    def __init__(self) -> None:
        self.last_number: Callable[[], int] = int
        """The supervisor's own. Each event has a number, and so has what arises by itself."""
        self.unasked = 0
        """So many numbers were no event's. It grows before they are given, so that what is left is never too much."""
        self.topics: Sized = ()
        self.overloaded: Sized = ()
        self.life = ChannelLife()
        self.failures = self.crashes = self.restarts = self.given_up = 0

    @property
    def accepted(self) -> int:
        """How many events were accepted; read amid a change it may be some less."""
        number = self.last_number()
        return number - self.unasked


class NodeView(Struct, frozen=True):
    """Another node of a cluster, as this one sees it."""

    name: str
    """Its boot id, as long as none of its beats has come."""
    state: Literal["up", "mute", "buried"]
    """`mute`: it is not heard, and holds its lease. `buried`: it is dead, or is taken for it."""
    silent: int
    """So many beats of this node came back since it was heard."""
    lost: int
    """How many of its messages did not come here."""


class NodeCounts:
    """What a node of a cluster counts: it alone writes, and any thread reads."""

    def __init__(self) -> None:
        self.bad_frames = 0
        self.lost = 0
        """Messages of others that did not come."""
        self.unsent = 0
        """Own broadcasts that found no room while they waited for the link."""
        self.mismatches = 0
        """How often another showed something else than it said."""
        self.buried = 0
        self.views: Callable[[], list[NodeView]] = list
        """Those that are known, the dead ones too."""
