"""What others hold of a pooled actor: its reference, and the inbox that Pykka sees."""

import math
from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.pooled_future import PooledFuture
from lightspeed.actors.pooled_handle import NOT_HERE, PooledHandle
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.text import named

if TYPE_CHECKING:
    from lightspeed.actors.pooled_actor import PooledActor


class PooledRef(pykka.ActorRef[Any]):
    """A reference to a pooled actor. Two to the same actor are equal."""

    __slots__ = ("_actor",)

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    actor_class = property(lambda self: type(self._actor))
    actor_urn = property(lambda self: self._actor.actor_urn)
    _mortal_place = property(lambda self: self._actor)
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
            raise pykka.ActorDeadError(f"{named(self)} not found")
        try:
            actor._pooled_inbox.append(message)
            if id(actor) not in actor._pooled_pool.scheduled:
                actor._pooled_pool.schedule(actor)
        except BaseException as error:
            actor._pooled_put_failed(message, error, helps=False)
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
            future.set_exception((pykka.ActorDeadError, pykka.ActorDeadError(f"{named(self)} not found"), None))
        else:
            actor._pooled_put(Envelope(message, reply_to=future), helps=block)
        return future.get(timeout=timeout) if block else future

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """As Pykka's; but who waits for it does without a worker, if none can be started."""
        if not block:
            return super().stop(block=False)
        return self._await_stop(type(STOP)(), timeout)

    def _await_stop(self, request: Any, timeout: float | None) -> bool:
        try:
            self.ask(request, timeout=math.inf if timeout is None else timeout)
        except pykka.ActorDeadError:
            return False
        return True


class PooledInbox:
    """What Pykka calls an inbox, over the actor's list."""

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    def put(self, envelope: Envelope[Any], /) -> None:
        self._actor._pooled_put(envelope)

    def get(self) -> Envelope[Any]:
        message = self._actor._pooled_next()
        return message if type(message) is Envelope else Envelope(message)

    def left_over(self) -> list[Any]:
        """As of `PooledHandle`."""
        return PooledHandle(self._actor).left_over()

    def empty(self) -> bool:
        return not (self._actor._pooled_taken or self._actor._pooled_inbox)
