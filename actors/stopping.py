"""Having an actor stop without waiting for it."""

from typing import Any

import pykka

from lightspeed.actors.errors import PoolClosed
from lightspeed.actors.mortal import Mortal
from lightspeed.actors.pooled_actor import PooledActor
from lightspeed.actors.pooled_handle import PooledHandle
from lightspeed.actors.pooled_ref import PooledRef
from lightspeed.actors.pykka_inside import STOP


def stop_soon(ref: pykka.ActorRef[Any]) -> None:
    """Have it stop when it has handled what it was told; never waits. Harmless where it is dead.

    An idle pooled actor whose stop runs no code of its own stops in the calling thread: two changes of thread would cost 50
    times as much.
    """
    if isinstance(ref, PooledRef) and _stops_quietly(type(ref._actor)) and PooledHandle(ref._actor).tell_here(STOP):
        return
    try:
        ref.tell(STOP)
    except (pykka.ActorDeadError, PoolClosed):
        pass  # it will never handle anything


def _stops_quietly(kind: type[PooledActor]) -> bool:
    return kind.on_stop is pykka.Actor.on_stop and kind.on_end is Mortal.on_end and kind._stop is Mortal._stop
