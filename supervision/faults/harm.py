"""What the actors of one channel need to go wrong by plan."""

from collections.abc import Callable
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.post import Post
from lightspeed.supervision.faults.injector import Injector
from lightspeed.supervision.faults.pauses import Pauses
from lightspeed.supervision.faults.put_off import PutOff
from lightspeed.supervision.outbox import Outbox
from lightspeed.supervision.sink import SinkLanes


class Harm(Struct, frozen=True, eq=False):
    """Shared by all of them."""

    injector: Injector
    pauses: Pauses
    put_off: PutOff
    elapsed_s: Callable[[], float]
    """Since the channel began, by a clock that does not jump."""
    outlet: Outbox | SinkLanes
    alive: dict[Post, pykka.ActorRef[Any]]
    """The topics' actors. Each enters itself at its birth and takes itself out at its end."""
