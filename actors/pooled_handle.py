"""A pooled actor as its supervisor holds it."""

from typing import TYPE_CHECKING, Any

import pykka
from msgspec import Struct

from lightspeed.actors.pykka_inside import STOP, Envelope, refuse
from lightspeed.actors.spot import here
from lightspeed.actors.text import named

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
        self._live._pooled_put(message)

    def request(self, message: Any) -> None:
        """As `tell`, by one who waits for what comes of it: he does without a worker, if none can be started."""
        self._live._pooled_put(message, helps=True)

    @property
    def _live(self) -> "PooledActor":
        if self.actor._pooled_dead:
            raise pykka.ActorDeadError(f"{named(self.actor)} not found")
        return self.actor

    def tell_here(self, message: Any) -> bool:
        """Let an idle actor handle this one told message in the calling thread, which is an actor's own.

        For actors whose code never waits for another one: who tells would wait for that too.

        Returns:
            False, and nothing was done, if it is not idle; else True, also when it failed.
        """
        return self.handle_here(message, is_callers=False)

    def handle_here(self, message: Any, *, is_callers: bool = True) -> bool:
        """Let an idle actor handle the message in the thread of a caller of ours, whole or not at all.

        What hits that thread is the caller's, and harms no actor: `receive_here` of the actor raises it before anything was
        changed, or after all of it was. It declines by returning `NOT_HERE`. The claim is given back by statements without a
        call, behind which nothing can come.

        Returns:
            False, and nothing was done, if it is not idle or declined.
        """
        actor = self.actor
        pool = actor._pooled_pool
        key, scheduled = id(actor), pool.scheduled
        if key in scheduled or actor._pooled_dead:
            return False
        spot = here.spot
        outer = spot.actor
        try:
            spot.actor = actor  # before the claim: a signal handler that would wait behind it is refused
            if scheduled.setdefault(key, spot) is not spot or actor._pooled_inbox or actor._pooled_dead:
                return False
            if is_callers:
                return actor.receive_here(message) is not NOT_HERE
            actor._pooled_turn(message)
            return True
        finally:
            spot.actor = outer
            if key in scheduled and scheduled[key] is spot:
                del scheduled[key]
            if actor._pooled_inbox:
                try:
                    actor._pooled_leave()
                except BaseException:
                    pool._workers.short = True
                    pool.stranded += (actor,)
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
