"""Threaded Pykka actors fit for supervision: nothing that one was told is lost, and no ask stays without an answer.

A program's own take the mixin: `class Worker(Supervisable, pykka.ThreadingActor)`. The runtime `Threads` makes a `ThreadActor`.
"""

import queue
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import pykka

from lightspeed.actors.context import here
from lightspeed.actors.errors import ExitReason, InForkedChild, NotSupervisable
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.process import WeakBag, in_forked_child
from lightspeed.actors.pykka_inside import ACTOR_LOOPS, STOP, Envelope, refuse
from lightspeed.actors.text import named
from lightspeed.actors.timers import call_later
from lightspeed.actors.watching import Watcher

_NOTHING: Envelope[Any] = Envelope(STOP)
"""The envelope that the thread of a dead actor gets, so that it does not wait for ever."""


_forks = 0
"""The number of forks between this process and the first one: an inbox of another number has its thread in a parent."""


class DrainableMailbox:
    """An inbox in which what a dead actor has not handled stays, where Pykka would drop it; asks are answered.

    The actor's thread and whoever calls `drain` may both empty it: one at a time, under a lock. Who puts something in
    looks afterwards whether the actor is dead, and who stops the actor empties it afterwards: one of the two answers.
    """

    def __init__(self) -> None:
        self.stopped: threading.Event | None = None
        """The actor's own; set when it handles nothing any more."""
        self.owner: Callable[[], Any] = _nobody
        """Gives the actor, as long as it is there."""
        self.is_up = False
        """Whether the actor's on_start has returned."""
        self._lifecycle_exit: tuple[Watcher, ...] | ExitReason = ()
        self._queue: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left: list[Any] = []
        self._forks = _forks

    def _lifecycle_is_up(self) -> bool:
        return self.is_up

    def put(self, envelope: Envelope[Any], /) -> None:
        if self._forks != _forks:
            raise InForkedChild
        reply: Any = envelope.reply_to
        if reply is not None and hasattr(reply, "target"):
            reply.target = self.owner()  # who waits for it is known to wait for this actor
        self._queue.put(envelope)
        if self.stopped is not None and self.stopped.is_set():
            self._empty_out()

    def get(self) -> Envelope[Any]:
        return self._queue.get()

    def empty(self) -> bool:
        if self.stopped is None or not self.stopped.is_set():
            return self._queue.empty()
        self._empty_out()
        return True

    def drain(self) -> list[Any]:
        """Take what was told and will not be handled."""
        self._empty_out()
        with self._lock:
            left, self._left = self._left, []
        return left

    def _empty_out(self) -> None:
        with self._lock:
            while not self._queue.empty():  # under the lock nobody else takes, but for an actor that was given up and goes on
                try:
                    envelope = self._queue.get_nowait()
                except queue.Empty:
                    break
                if envelope is _NOTHING:
                    continue
                if envelope.reply_to is None:
                    self._left.append(envelope.message)
                else:
                    refuse(envelope, "an actor")
            if self.stopped is not None and self.stopped.is_set():
                self._queue.put(_NOTHING)


def _nobody() -> None:
    """The owner of an inbox whose actor has not begun."""


@in_forked_child
def _after_fork() -> None:
    global _forks
    _forks += 1


if TYPE_CHECKING:
    _Threaded = pykka.ThreadingActor
else:
    _Threaded = object


class Supervisable(Lifecycle, _Threaded):
    """A mixin for a `pykka.ThreadingActor`, named before it. Beyond what Pykka promises:

    - A BaseException fails the actor that raised it, and no other.
    - Every end can be learnt, by `on_end` and by `watch`: in a tell, an ask, on_start, on_stop, by a stop from outside.
    - Every ask and stop is answered, also one that races with the actor's death. Who waits for his own gets `AskRing`.
    """

    _lifecycle_waits_for: Any = None
    _threaded_hold: tuple[threading.Lock, Callable[[], None]] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        order = cls.__mro__
        if pykka.ThreadingActor in order and order.index(pykka.ThreadingActor) < order.index(Supervisable):
            raise NotSupervisable(cls)

    # Pykka's hooks for actor types

    @staticmethod
    def _create_actor_inbox() -> Any:
        return DrainableMailbox()

    @staticmethod
    def _create_future() -> Any:
        return PooledFuture()

    def _start_actor_loop(self) -> None:
        self._supervised_thread()

    def _supervised_thread(self) -> threading.Thread:
        inbox = self.actor_inbox
        assert isinstance(inbox, DrainableMailbox)
        inbox.stopped, inbox.owner = self.actor_stopped, weakref.ref(self)
        thread = threading.Thread(target=self._supervised_loop, name=named(self), daemon=self.use_daemon_thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads; Pykka has registered the actor already, and stop_all() would wait for it
            self._lifecycle_take_out()
            raise
        return thread

    def _supervised_loop(self) -> None:
        inbox, here.context.home = self.actor_inbox, self
        assert isinstance(inbox, DrainableMailbox)
        begins = not self.actor_stopped.is_set()
        if begins:
            self._lifecycle_begin()
        while not self.actor_stopped.is_set():
            envelope = inbox.get()
            if self.actor_stopped.is_set():  # it was given up, and this came too late
                inbox.put(envelope)
                break
            try:
                self._lifecycle_answer(envelope)
                while self._threaded_hold is not None:
                    self._threaded_go_on()
            except BaseException as error:  # the actor's edge
                self._lifecycle_fail(error)
        self._lifecycle_end_of_given_up(was_up=begins)
        inbox.empty()  # answers those who wait

    def _threaded_go_on(self) -> None:
        """Handle the rest of the message for which it is held, when that is released."""
        assert self._threaded_hold is not None
        (lock, then), self._threaded_hold = self._threaded_hold, None
        lock.acquire()
        then()

    # Its kind's own

    def _lifecycle_hold(self, then: Callable[[], None]) -> Callable[[], None]:
        lock = threading.Lock()
        lock.acquire()
        self._threaded_hold = lock, then
        return lock.release

    def _lifecycle_call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        return call_later(delay_s, call)

    def _lifecycle_is_dead(self) -> bool:
        return self.actor_stopped.is_set()

    def _lifecycle_take_out(self) -> None:
        if not self.actor_stopped.is_set():
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()

    def _lifecycle_place(self) -> Any:
        return self.actor_inbox

    def _lifecycle_come_up(self) -> None:
        self._lifecycle_place().is_up = True
        super()._lifecycle_come_up()


ACTOR_LOOPS.add(Supervisable._supervised_loop.__code__)


class DrainableRef(pykka.ActorRef[Any]):
    """A reference to an actor with a `DrainableMailbox`."""

    def request(self, message: Any) -> None:
        """Tell the actor a message: it has its own thread for it."""
        self.tell(message)

    def tell_inline(self, _message: Any) -> bool:
        """Never: the actor handles what it is told on its own thread."""
        return False

    handle_inline = tell_inline

    def stop_soon(self) -> None:
        """Have the actor stop, as `stop(block=False)` does, without a future. Harmless where it is dead."""
        if self.is_alive():
            self.actor_inbox.put(Envelope(STOP))

    def stop_within(self, timeout_s: float) -> None:
        """Stop the actor and wait for its end, as `stop(timeout=timeout_s)` does."""
        self.stop(timeout=timeout_s)

    def drain(self) -> list[Any]:
        """Take what a dead actor was told and has not handled, in order. One that is given up while it lives loses it too."""
        inbox = self.actor_inbox
        assert isinstance(inbox, DrainableMailbox)
        return inbox.drain()


class ThreadActor(Supervisable, pykka.ThreadingActor):
    """An actor on a daemon thread that its runtime knows."""

    use_daemon_thread = True
    threads: ClassVar[WeakBag[threading.Thread]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept_ref = DrainableRef(self)

    @property
    def actor_ref(self) -> DrainableRef:
        return self._kept_ref

    def _start_actor_loop(self) -> None:
        self.threads.add(self._supervised_thread())
