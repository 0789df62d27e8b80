"""An actor without a thread of its own: Pykka's `Actor` on a pool of workers."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, ParamSpec

import pykka

from lightspeed.actors.context import ThreadContext, here
from lightspeed.actors.errors import ExitReason, PoolClosed, Shutdown
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.logs import log_as_pykka
from lightspeed.actors.pool import ActorPool, default_pool, has_no_thread
from lightspeed.actors.pykka_inside import OWN_MESSAGES, STOP, Envelope, refuse
from lightspeed.actors.ref import DECLINED, PooledInbox, PooledRef
from lightspeed.actors.text import named, said
from lightspeed.actors.watching import Watcher

# A chain of asks of idle actors runs nested on one stack to this depth, about 5 frames each; beyond it workers take over.
_MAX_DEPTH = 16

_NOTHING: list[Any] = []  # shared, and never appended to

# To take the first out of a list moves the rest: up to so many that costs less than the lock.
_FEW = 32

P = ParamSpec("P")

_pykka_logger = logging.getLogger("pykka")


class PooledActor(Lifecycle):
    """Stands wherever a `pykka.ThreadingActor` stands, on the threads of an `ActorPool`.

    Beyond what Pykka promises: every ask and stop is answered, also one that races with the actor's death; a BaseException fails
    the actor that raised it and no other; `on_end` and `watch` learn of every end.

    Args:
        pool: the pool to run on. None, the default: `default_pool()`.
    """

    _pooled_hold: "_Hold | None" = None
    """Where the rest of a message waits for something outside: nothing else is handled meanwhile."""

    registered: bool = True
    """True: actors of the class stand in Pykka's `ActorRegistry`, a list: leaving it costs as much as it is long."""

    __slots__ = (
        *("_lifecycle_exit", "_lifecycle_waits_for", "_pooled_begun", "_pooled_dead", "_pooled_inbox"),
        *("_pooled_pool", "_pooled_stopped", "_pooled_taken", "_pooled_urn"),
    )

    def __init__(self, *_args: Any, pool: ActorPool | None = None, **_kwargs: Any) -> None:
        # Not Pykka's __init__: a UUID, an Event and a queue would cost 5 KB and 12 µs. They are made when they are asked for.
        self._pooled_pool = default_pool() if pool is None else pool
        self._pooled_inbox: list[Any] = []  # what has come, in order
        self._pooled_taken: list[Any] = _NOTHING  # what was taken from it to be handled, the first one last
        self._pooled_dead = False
        self._pooled_begun = type(self).on_start is pykka.Actor.on_start
        self._lifecycle_exit: tuple[Watcher, ...] | ExitReason = ()
        self._lifecycle_waits_for = None
        self._pooled_urn: str | None = None
        self._pooled_stopped: threading.Event | None = None

    @classmethod  # pyright: ignore[reportArgumentType]  # it knows no class as the call that makes its objects
    def start(cls: Callable[P, "PooledActor"], *args: P.args, **kwargs: P.kwargs) -> PooledRef:
        """Start an actor of the class, with the arguments of its `__init__`. Any thread may call it; on_start runs on a worker.

        Raises:
            PoolClosed: its pool was closed. InForkedChild: its pool is a parent process's.
        """
        kind: Any = cls
        return PooledRef(kind._pooled_start(*args, **kwargs))

    @classmethod
    def _pooled_start(cls, *args: Any, **kwargs: Any) -> "PooledActor":
        actor = cls(*args, **kwargs)
        assert hasattr(actor, "_pooled_pool"), f"{cls.__name__}.__init__ must call super().__init__()"
        actor._pooled_pool.check_process()
        if actor.registered:
            pykka.ActorRegistry.register(actor.actor_ref)
        if _pykka_logger.isEnabledFor(logging.DEBUG):
            log_as_pykka(logging.DEBUG, "Starting", actor)
        try:
            actor._start_actor_loop()
        except BaseException:
            actor._lifecycle_take_out()
            raise
        return actor

    # Pykka's hooks for actor types

    @staticmethod
    def _create_actor_inbox() -> Any:
        return []

    @staticmethod
    def _create_future() -> PooledFuture:
        return PooledFuture()

    def _start_actor_loop(self) -> None:
        if not self._pooled_begun:
            self._pooled_pool.schedule(self)

    # What Pykka's __init__ would have set

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        if self._pooled_urn is None:
            # A UUID of version 4, as Pykka's; the uuid module takes three times as long, and to be registered takes a URN.
            bits = os.urandom(16).hex()
            variant = "89ab"[int(bits[16], 16) & 3]
            self._pooled_urn = f"urn:uuid:{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-{variant}{bits[17:20]}-{bits[20:]}"
        return self._pooled_urn

    @property
    def actor_ref(self) -> PooledRef:
        return PooledRef(self)

    @property
    def actor_inbox(self) -> PooledInbox:  # type: ignore[override]
        return PooledInbox(self)

    @property
    def actor_stopped(self) -> threading.Event:  # type: ignore[override]
        if self._pooled_stopped is None:
            self._pooled_stopped = threading.Event()
        if self._pooled_dead:
            self._pooled_stopped.set()
        return self._pooled_stopped

    # For references and the pool

    def _pooled_put(self, message: Any, *, helps: bool = False) -> None:
        """Put a message into the actor's mailbox.

        Args:
            helps: whether the caller is going to wait for the answer: then he does without a worker, if there is none.

        Raises:
            RuntimeError: Python's own: no thread can be started. It was not told.
        """
        pool = self._pooled_pool
        try:
            self._pooled_inbox.append(message)
            if id(self) not in pool.scheduled:
                pool.schedule(self)
        except BaseException as error:
            self._pooled_put_failed(message, error, helps=helps)
        if self._pooled_dead:
            self._pooled_refuse_waiting()

    def _pooled_put_failed(self, message: Any, error: BaseException, *, helps: bool) -> None:
        """Within an except clause, of what came while it was told something."""
        pool = self._pooled_pool
        if has_no_thread(error):
            if helps:
                pool.strand(self)
            elif pool.retract(self, message):
                raise error
            return
        if isinstance(error, PoolClosed):
            self._pooled_refuse_waiting()
        else:  # the caller's own, wherever it came: what was told is seen to
            pool.strand(self)
            pool.look_after()
        raise error

    def _pooled_has_work(self) -> bool:
        if self._pooled_dead:
            # What it was told stays, for `drain`, and is nobody's work; but one that was given up has its end before it.
            return not isinstance(self._lifecycle_exit, ExitReason)
        return bool(self._pooled_inbox or self._pooled_taken) or not self._pooled_begun

    def _pooled_run(self, limit: int, context: ThreadContext) -> bool | None:
        """Run one turn of the actor. The pool sees to it that one thread at a time calls this."""
        context.actor, inbox = self, self._pooled_inbox
        if self._pooled_hold is not None:
            self._pooled_go_on(context)
        if not (self._pooled_begun or self._pooled_dead):
            self._lifecycle_begin()
        for _ in range(limit):
            if self._pooled_dead or self._pooled_hold is not None:
                break
            if self._pooled_taken is _NOTHING and not inbox:
                break
            try:  # Few are taken one by one, which needs no lock; many at once, or each would move all that stand behind it.
                message = inbox.pop(0) if self._pooled_taken is _NOTHING and len(inbox) <= _FEW else self._pooled_next()
            except IndexError:  # it was given up, and what there was has been taken
                break
            kind = type(message)
            try:
                if kind is Envelope:
                    self._lifecycle_answer(message)
                elif kind in OWN_MESSAGES:
                    self._handle_receive(message)
                else:
                    self.on_receive(message)
            except BaseException as error:  # the actor's edge: whatever its code raises fails it and nobody else
                self._lifecycle_fail(error)
                if context.is_lent and not issubclass(type(error), Exception):
                    raise
        if self._pooled_dead:
            self._lifecycle_end_of_given_up(was_up=self._pooled_begun)
            context.actor = None
            self._pooled_refuse_waiting()
            return False
        context.actor = None
        if self._pooled_hold is not None:
            return None if self._pooled_hold.park() else True  # from here on another may run it
        return self._pooled_taken is not _NOTHING or bool(inbox)

    def _pooled_go_on(self, context: ThreadContext) -> None:
        """Handle the rest of the message for which it was held."""
        hold, self._pooled_hold = self._pooled_hold, None
        assert hold is not None
        try:
            hold.then()
        except BaseException as error:  # the actor's edge
            self._lifecycle_fail(error)
            if context.is_lent and not issubclass(type(error), Exception):
                raise

    def _pooled_next(self) -> Any:
        """The next of many messages. Only who runs the actor may call it.

        Raises:
            IndexError: somebody else took them all.
        """
        if not self._pooled_taken:
            with self._pooled_pool.lock:
                self._pooled_taken = self._pooled_inbox[::-1]
                del self._pooled_inbox[: len(self._pooled_taken)]
        message = self._pooled_taken.pop()
        if not self._pooled_taken:
            self._pooled_taken = _NOTHING  # an idle actor keeps no list for this
        return message

    def _pooled_ask_inline(self, message: Any) -> Any:
        """Let an idle actor handle this one message in the calling thread; `DECLINED` if it is not idle.

        Whatever is raised: the claim is given back, by statements without a call, behind which nothing can come.
        """
        context, scheduled, key = here.context, self._pooled_pool.scheduled, id(self)
        caller, depth = context.actor, context.depth
        waits = context.home if caller is None else caller
        if depth >= _MAX_DEPTH or key in scheduled:
            return DECLINED
        answer: Any = DECLINED
        try:
            context.actor, context.depth = self, depth + 1  # before the claim: a handler that would wait for it is refused
            if waits is not None:
                waits._lifecycle_waits_for = self
            is_mine = scheduled.setdefault(key, context) is context
            if is_mine and not (self._pooled_has_work() or self._pooled_dead or self._pooled_pool._closed):
                answer = self._pooled_answer_here(message)
        finally:
            context.actor, context.depth = caller, depth
            if waits is not None:
                waits._lifecycle_waits_for = None
            if key in scheduled and scheduled[key] is context:
                del scheduled[key]
            if self._pooled_inbox:
                try:
                    self._pooled_leave()
                except BaseException:
                    self._pooled_pool._workers.short = True
                    self._pooled_pool.stranded += (self,)
                    raise
        return answer

    def _pooled_answer_here(self, message: Any) -> Any:
        try:
            return self._handle_receive(message)
        except Shutdown as error:
            self._lifecycle_fail(error)
            raise pykka.ActorDeadError(f"{named(self)} stopped before answering: {said(error)}") from error
        except Exception as error:
            log_as_pykka(logging.INFO, "Exception returned to the caller from", self, error)
            raise
        except BaseException as error:  # the caller's too, as a KeyboardInterrupt is
            self._lifecycle_fail(error)
            raise

    def receive_inline(self, _message: Any) -> Any:
        """Handle it in a caller's thread, whole or not at all; `DECLINED` declines, as most do."""
        return DECLINED

    def _pooled_turn(self, message: Any) -> None:
        """Handle one told message, now."""
        try:
            if message is STOP:
                self._stop()
            else:
                self.on_receive(message)
        except BaseException as error:  # the actor's edge
            self._lifecycle_fail(error)
            if here.context.is_lent and not issubclass(type(error), Exception):
                raise

    def _pooled_leave(self) -> None:
        """Go on with the mailbox after a turn in a caller's own thread, in which something has come."""
        if self._pooled_dead:
            self._pooled_refuse_waiting()
        self._pooled_pool.schedule_rest(self)

    def _pooled_refuse_waiting(self) -> None:
        """Answer every ask that a dead actor will not handle. Any thread may call it. What was told stays, for `drain`."""
        left: list[Any] = []
        asks: list[Envelope[Any]] = []
        with self._pooled_pool.lock:
            for message in self._pooled_take_all():
                (asks if type(message) is Envelope and message.reply_to is not None else left).append(message)
            self._pooled_inbox[:0] = left
        for envelope in asks:
            refuse(envelope, self.actor_ref)

    def _pooled_take_all(self) -> list[Any]:
        """Everything that waits, in order; the pool's lock is held."""
        waiting: list[Any] = []
        for queue, end in ((self._pooled_taken, -1), (self._pooled_inbox, 0)):
            while queue and not (queue is self._pooled_inbox and self._pooled_dead):
                try:
                    # One by one: whoever runs a living actor takes single messages without the lock.
                    waiting.append(queue.pop(end))
                except IndexError:  # and was quicker
                    break
        count = len(self._pooled_inbox)
        waiting += self._pooled_inbox[:count]
        del self._pooled_inbox[:count]
        return waiting

    # Its kind's own

    def _lifecycle_call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        return self._pooled_pool.call_later(delay_s, call)

    def _lifecycle_is_dead(self) -> bool:
        return self._pooled_dead

    def _lifecycle_is_up(self) -> bool:
        return self._pooled_begun

    def _lifecycle_come_up(self) -> None:
        self._pooled_begun = True
        super()._lifecycle_come_up()

    def _lifecycle_take_out(self) -> None:
        if not self._pooled_dead:
            self._pooled_dead = True
            if self._pooled_stopped is not None:
                self._pooled_stopped.set()
            if self.registered:
                pykka.ActorRegistry.unregister(self.actor_ref)

    def _lifecycle_place(self) -> "PooledActor":
        return self

    def _lifecycle_hold(self, then: Callable[[], None]) -> Callable[[], None]:
        self._pooled_hold = hold = _Hold(self, then)
        return hold.release


class _Hold:
    """The rest of a message, until it is released. Under the pool's lock it is known who comes last: whoever releases it, or
    the thread that leaves the actor to it."""

    __slots__ = ("_actor", "_is_parked", "_is_released", "then")

    def __init__(self, actor: PooledActor, then: Callable[[], None]) -> None:
        self._actor, self.then = actor, then
        self._is_parked = self._is_released = False

    def park(self) -> bool:
        """Leave the actor to it, still scheduled, and in nobody's line; False: it has been released."""
        with self._actor._pooled_pool.lock:
            self._is_parked = not self._is_released
            return self._is_parked

    def release(self) -> None:
        """Have the rest handled. Any thread may call it, once."""
        with self._actor._pooled_pool.lock:
            self._is_released = True
            if not self._is_parked:
                return
        self._actor._pooled_pool.take_up(self._actor)
