"""A pooled actor as others hold it: its reference, the inbox that Pykka sees, and the handle that a supervisor has."""

import math
from typing import TYPE_CHECKING, Any

import pykka
from msgspec import Struct

from lightspeed.actors.context import here
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pykka_inside import STOP, Envelope, refuse
from lightspeed.actors.text import named

if TYPE_CHECKING:
    from lightspeed.actors.actor import PooledActor

DECLINED = object()
"""The value by which an actor declines a message in its teller's thread: it does not count as told, and is not answered."""


class PooledHandle(Struct, frozen=True, gc=False):
    """A `SupervisedRef` as one small object out of the collector's sight: there is one for each topic."""

    actor: "PooledActor"

    def tell(self, message: Any) -> None:
        """As of Pykka's reference.

        Raises:
            pykka.ActorDeadError: it is dead.
        """
        self._live._pooled_put(message)

    def request(self, message: Any) -> None:
        """Tell the actor a message, for a caller that waits for the outcome: it does without a worker, if none can be started."""
        self._live._pooled_put(message, helps=True)

    @property
    def _live(self) -> "PooledActor":
        if self.actor._pooled_dead:
            raise pykka.ActorDeadError(f"{named(self.actor)} not found")
        return self.actor

    def tell_inline(self, message: Any) -> bool:
        """Let an idle actor handle this one told message in the calling thread, which is an actor's own.

        For actors whose code never waits for another one: who tells would wait for that too.

        Returns:
            False, and nothing was done, if it is not idle; else True, also when it failed.
        """
        return self.handle_inline(message, is_callers=False)

    def handle_inline(self, message: Any, *, is_callers: bool = True) -> bool:
        """Let an idle actor handle the message in the thread of a caller of ours, whole or not at all.

        What hits that thread is the caller's, and harms no actor: `receive_inline` of the actor raises it before anything was
        changed, or after all of it was. It declines by returning `DECLINED`. The claim is given back by statements without a
        call, behind which nothing can come.

        Returns:
            False, and nothing was done, if it is not idle or declined.
        """
        actor = self.actor
        pool = actor._pooled_pool
        key, scheduled = id(actor), pool.scheduled
        if key in scheduled or actor._pooled_dead:
            return False
        context = here.context
        outer = context.actor
        try:
            context.actor = actor  # before the claim: a signal handler that would wait behind it is refused
            if scheduled.setdefault(key, context) is not context or actor._pooled_inbox or actor._pooled_dead:
                return False
            if is_callers:
                return actor.receive_inline(message) is not DECLINED
            actor._pooled_turn(message)
            return True
        finally:
            context.actor = outer
            if key in scheduled and scheduled[key] is context:
                del scheduled[key]
            if actor._pooled_inbox:
                try:
                    actor._pooled_leave()
                except BaseException:
                    pool._workers.short = True
                    pool.stranded += (actor,)
                    raise

    def drain(self) -> list[Any]:
        """Take what a dead actor was told and has not handled, in order. One that is given up while it lives loses it too."""
        actor = self.actor
        with actor._pooled_pool.lock:
            waiting = actor._pooled_take_all()
        for envelope in waiting:
            if type(envelope) is Envelope and envelope.reply_to is not None:
                refuse(envelope, actor)
        return [message for message in waiting if type(message) is not Envelope]

    def stop_soon(self) -> None:
        """Have the actor stop when it has handled what it was told. Harmless where it is dead."""
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


class PooledRef(pykka.ActorRef[Any]):
    """A reference to a pooled actor. Two to the same actor are equal."""

    __slots__ = ("_actor",)

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    actor_class: Any = property(lambda self: type(self._actor))
    actor_urn: Any = property(lambda self: self._actor.actor_urn)
    _lifecycle_place = property(lambda self: self._actor)
    actor_inbox: Any = property(lambda self: self._actor.actor_inbox)
    actor_stopped: Any = property(lambda self: self._actor.actor_stopped)

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
            answer = actor._pooled_ask_inline(message)
            if answer is not DECLINED:
                return answer
        future = PooledFuture(actor)
        if actor._pooled_dead:
            future.set_exception((pykka.ActorDeadError, pykka.ActorDeadError(f"{named(self)} not found"), None))
        else:
            actor._pooled_put(Envelope(message, reply_to=future), helps=block)
        return future.get(timeout=timeout) if block else future

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Stop the actor as Pykka's reference does; who waits for it does without a worker, if none can be started."""
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
    """The mailbox as Pykka sees it (an inbox), over the actor's list."""

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    def put(self, envelope: Envelope[Any], /) -> None:
        self._actor._pooled_put(envelope)

    def get(self) -> Envelope[Any]:
        message = self._actor._pooled_next()
        return message if type(message) is Envelope else Envelope(message)

    def drain(self) -> list[Any]:
        """Take what a dead actor was told and has not handled."""
        return PooledHandle(self._actor).drain()

    def empty(self) -> bool:
        return not (self._actor._pooled_taken or self._actor._pooled_inbox)
