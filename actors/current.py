"""Inside which actor a piece of code runs."""

import sys
from types import FrameType

import pykka

from lightspeed.actors.pykka_inside import ACTOR_LOOPS
from lightspeed.actors.spot import here


def current_actor() -> pykka.Actor | None:
    """The Pykka actor in whose thread this is called, of whatever class; None outside any."""
    spot = here.spot
    if spot.actor is None and not spot.is_outside:
        threaded = _actor_below(sys._getframe(1))
        spot.is_outside = threaded is None  # a thread that runs an actor does so from its first call on
        return threaded
    pooled: pykka.Actor | None = spot.actor
    return pooled


def _actor_below(frame: FrameType | None) -> pykka.Actor | None:
    while frame is not None:
        if frame.f_code in ACTOR_LOOPS:
            actor: pykka.Actor = frame.f_locals["self"]
            return actor
        frame = frame.f_back
    return None
