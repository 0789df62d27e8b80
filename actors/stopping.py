"""Having an actor stop, or giving it up, without waiting for it."""

from typing import Any

import pykka

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.errors import PoolClosed
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.pykka_inside import STOP
from lightspeed.actors.ref import PooledHandle, PooledRef
from lightspeed.actors.threaded import DrainableMailbox


def stop_soon(ref: pykka.ActorRef[Any]) -> None:
    """Have an actor stop when it has handled what it was told; never waits. Harmless where it is dead.

    An idle pooled actor whose stop runs no code of its own stops in the calling thread: two changes of thread would cost 50
    times as much.
    """
    if isinstance(ref, PooledRef) and _stops_quietly(type(ref._actor)) and PooledHandle(ref._actor).tell_inline(STOP):
        return
    try:
        ref.tell(STOP)
    except (pykka.ActorDeadError, PoolClosed):
        pass  # it will never handle anything


def give_up(ref: pykka.ActorRef[Any]) -> None:
    """Have an actor be dead to everybody from here on; never waits. Harmless where it is dead.

    It handles nothing more. The message that it has in hand can't be ended, but what waits is dropped, and asks are answered as
    of a dead actor. When that message is done with, its on_stop and its on_end are run, and those who watch it are told. The
    worker that it keeps meanwhile is left to it: its pool goes on with another one.
    """
    if not isinstance(ref, PooledRef):
        _give_up_threaded(ref)
        return
    actor = ref._actor
    if actor._lifecycle_is_dead():
        _leave_worker(actor)
        return
    actor._lifecycle_take_out()
    PooledHandle(actor).drain()
    try:
        actor._pooled_put(STOP)  # whoever runs it next, if nobody does now, finds it dead, and sees to its end
    except RuntimeError:
        pass  # nobody will: the pool is closed, or no thread can be started
    _leave_worker(actor)


def _give_up_threaded(ref: pykka.ActorRef[Any]) -> None:
    actor, inbox = ref._actor_weakref(), ref.actor_inbox
    if not (isinstance(actor, Lifecycle) and isinstance(inbox, DrainableMailbox)):
        stop_soon(ref)  # Pykka's own: there is no more to be done
        return
    actor._lifecycle_take_out()
    inbox.drain()


def _leave_worker(actor: PooledActor) -> None:
    if hasattr(actor._pooled_pool, "give_up"):
        actor._pooled_pool.give_up(actor)


def _stops_quietly(kind: type[PooledActor]) -> bool:
    return kind.on_stop is pykka.Actor.on_stop and kind.on_end is Lifecycle.on_end and kind._stop is Lifecycle._stop
