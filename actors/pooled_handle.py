"""A pooled actor as its supervisor holds it."""

from typing import TYPE_CHECKING, Any

import pykka
from msgspec import Struct

from lightspeed.actors.pykka_inside import STOP, Envelope, refuse
from lightspeed.actors.spot import here

if TYPE_CHECKING:
    from lightspeed.actors.pooled_actor import PooledActor

NOT_HERE = object()
"""What an actor returns to decline a message that is told here: then it does not count as told, and nobody answers it."""


class PooledHandle(Struct, frozen=True, gc=False):
    """What a `SupervisedRef` can do, in one small object out of the collector's sight: there is one for each topic."""

    actor: "PooledActor"

    def tell(self, message: Any) -> None:
        """As of Pykka's reference.

        Raises:
            pykka.ActorDeadError: it is dead.
        """
        actor = self.actor
        if actor._pooled_dead:
            raise pykka.ActorDeadError(f"{actor} not found")
        actor._pooled_put(message)

    def tell_here(self, message: Any) -> bool:
        """Let an idle actor handle this one told message in the calling thread.

        For actors whose code never waits for another one: who tells would wait for that too.

        Returns:
            False, and nothing was done, if it is not idle or declined by returning `NOT_HERE`; else True, also when it failed.
        """
        actor = self.actor
        key, scheduled = id(actor), actor._pooled_pool.scheduled
        if key in scheduled or actor._pooled_dead:
            return False
        spot = here.spot
        outer = spot.actor
        try:
            try:  # what follows is the pool's `claim` and `release`, without the calls: this is the hottest path there is
                if scheduled.setdefault(key, spot) is not spot or actor._pooled_inbox or actor._pooled_dead:
                    return False
                spot.actor = actor
                if message is STOP:
                    actor._stop()
                    return True
                return actor.on_receive(message) is not NOT_HERE
            except BaseException as error:
                actor._pooled_fail_here(error)
                return True
            finally:
                spot.actor = outer
                if actor._pooled_dead:
                    actor._pooled_refuse_waiting()
                if scheduled.get(key) is spot:
                    del scheduled[key]
                    if actor._pooled_inbox:
                        actor._pooled_pool.schedule_rest(actor)
        except BaseException:  # a KeyboardInterrupt comes when it likes, within the `finally` too
            spot.actor = outer
            actor._pooled_pool.release(actor, spot)
            raise

    def left_over(self) -> list[Any]:
        """Take what a dead actor was told and has not handled, in order. One that is given up while it lives loses it too."""
        actor = self.actor
        with actor._pooled_pool.lock:
            waiting = actor._pooled_take_all()
        for envelope in waiting:
            if type(envelope) is Envelope and envelope.reply_to is not None:
                refuse(envelope, actor)
        return [message for message in waiting if type(message) is not Envelope]

    def stop_soon(self) -> None:
        """Have it stop when it has handled what it was told. Harmless where it is dead."""
        if not self.actor._pooled_dead:
            self.actor._pooled_put(STOP)

    def stop_within(self, timeout_s: float) -> None:
        """As `stop_soon`, and wait for it.

        Raises:
            pykka.Timeout: it has not stopped in so many seconds.
        """
        self.actor.actor_ref.stop(timeout=timeout_s)

    def is_alive(self) -> bool:
        return not self.actor._pooled_dead
