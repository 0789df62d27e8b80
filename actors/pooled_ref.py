"""What others hold of a pooled actor: its reference, and the inbox that Pykka sees."""

from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.pool import here
from lightspeed.actors.pooled_future import PooledFuture
from lightspeed.actors.pykka_inside import Envelope, refuse

if TYPE_CHECKING:
    from lightspeed.actors.pooled_actor import PooledActor

NOT_HERE = object()
"""What an actor returns to decline a message that is told here: then it does not count as told, and nobody answers it."""


class PooledRef(pykka.ActorRef[Any]):
    """A reference to a pooled actor. Two to the same actor are equal."""

    __slots__ = ("_actor",)

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    actor_class = property(lambda self: type(self._actor))
    actor_urn = property(lambda self: self._actor.actor_urn)
    actor_inbox = property(lambda self: self._actor.actor_inbox)
    actor_stopped = property(lambda self: self._actor.actor_stopped)

    @property
    def _actor_weakref(self) -> Any:  # type: ignore[override]
        return lambda: self._actor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PooledRef) and other._actor is self._actor

    def __hash__(self) -> int:
        return hash(id(self._actor))

    def is_alive(self) -> bool:
        return not self._actor._pooled_dead

    def tell(self, message: Any) -> None:
        actor = self._actor
        if actor._pooled_dead:
            raise pykka.ActorDeadError(f"{self} not found")
        actor._pooled_inbox.append(message)
        if id(actor) not in actor._pooled_pool.scheduled:
            actor._pooled_pool.schedule(actor)
        if actor._pooled_dead:
            actor._pooled_refuse_waiting()

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        actor = self._actor
        if block and timeout is None and id(actor) not in actor._pooled_pool.scheduled and not actor._pooled_dead:
            answer = actor._pooled_ask_here(message)
            if answer is not NOT_HERE:
                return answer
        future = PooledFuture(actor)
        if actor._pooled_dead:
            future.set_exception((pykka.ActorDeadError, pykka.ActorDeadError(f"{self} not found"), None))
        else:
            actor._pooled_put(Envelope(message, reply_to=future))
        return future.get(timeout=timeout) if block else future

    def tell_here(self, message: Any) -> bool:
        """Let an idle actor handle this one told message in the calling thread.

        For actors whose code never waits for another one: who tells would wait for that too.

        Returns:
            False, and nothing was done, if it is not idle or declined by returning `NOT_HERE`; else True, also when it failed.
        """
        actor = self._actor
        key, scheduled = id(actor), actor._pooled_pool.scheduled
        if key in scheduled or actor._pooled_dead:
            return False
        spot = here.spot
        outer = spot.actor
        try:  # what follows is the pool's `claim` and `release`, without the calls: this is the hottest path there is
            if scheduled.setdefault(key, spot) is not spot or actor._pooled_inbox or actor._pooled_dead:
                return False
            spot.actor = actor
            return actor.on_receive(message) is not NOT_HERE
        except BaseException as error:  # the actor's edge, as in `_pooled_run`
            actor._pooled_fail(error)
            if not isinstance(error, Exception):
                raise  # a KeyboardInterrupt, say, is the calling thread's as well
            return True
        finally:
            spot.actor = outer
            if actor._pooled_dead:
                actor._pooled_refuse_waiting()
            if scheduled.get(key) is spot:
                del scheduled[key]
                if actor._pooled_inbox:
                    actor._pooled_pool.schedule_rest(actor)

    def left_over(self) -> list[Any]:
        """Take what a dead actor was told and has not handled, in order. One that is given up while it lives loses it too."""
        actor = self._actor
        with actor._pooled_pool.lock:
            waiting = actor._pooled_take_all()
        for envelope in waiting:
            if type(envelope) is Envelope and envelope.reply_to is not None:
                refuse(envelope, self)
        return [message for message in waiting if type(message) is not Envelope]


class PooledInbox:
    """What Pykka calls an inbox, over the actor's list."""

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    def put(self, envelope: Envelope[Any], /) -> None:
        self._actor._pooled_put(envelope)

    def get(self) -> Envelope[Any]:
        if not self._actor._pooled_taken:
            self._actor._pooled_take()
        message = self._actor._pooled_taken.pop()
        return message if type(message) is Envelope else Envelope(message)

    def empty(self) -> bool:
        return not (self._actor._pooled_taken or self._actor._pooled_inbox)
