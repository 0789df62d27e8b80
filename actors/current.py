"""Inside which actor a piece of code runs."""

import sys

import pykka

from lightspeed.actors.pool import here

# Private in Pykka 4.5. Every threaded actor of any class runs below this function; there is no public way to ask.
_ACTOR_LOOP = pykka.Actor._actor_loop.__code__


def current_actor() -> pykka.Actor | None:
    """The Pykka actor in whose thread this is called, of whatever class; None outside any."""
    if here.actor is not None:
        pooled: pykka.Actor = here.actor
        return pooled
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _ACTOR_LOOP:
            actor: pykka.Actor = frame.f_locals["self"]
            return actor
        frame = frame.f_back  # type: ignore[assignment]
    return None
