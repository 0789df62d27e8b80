"""Who is above an actor: it is known from those who watch it, among whom is its supervisor as long as it is that one's child."""

from collections.abc import Iterator
from typing import Any

import pykka

from lightspeed.actors.exits import ExitReason
from lightspeed.actors.mortal import Mortal
from lightspeed.actors.pooled_ref import PooledRef


def line_of(actor: pykka.Actor | None) -> Iterator[pykka.Actor]:
    """The actor, its supervisor, the one above that, and so on. Any thread may ask."""
    while actor is not None:
        yield actor
        actor = supervisor_of(actor)


def supervisor_of(actor: pykka.Actor) -> pykka.Actor | None:
    """None: it is nobody's child, or has ended."""
    watchers: Any = actor._mortal_place()._mortal_exit if isinstance(actor, Mortal) else ()
    if isinstance(watchers, ExitReason):
        return None
    for watcher in watchers:
        if issubclass(type(watcher), PooledRef) and hasattr(watcher.actor_class, "_supervised_start"):
            supervisor: Any = watcher._actor
            if supervisor._table.by_ref(actor.actor_ref) is not None:
                return supervisor  # type: ignore[no-any-return]
    return None
