"""What makes a threaded Pykka actor fit for supervision: `class Worker(Supervisable, pykka.ThreadingActor)`."""

import threading
import weakref
from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import NotSupervisable
from lightspeed.actors.kept_inbox import KeptInbox
from lightspeed.actors.mortal import Mortal
from lightspeed.actors.pooled_future import PooledFuture
from lightspeed.actors.pykka_inside import ACTOR_LOOPS
from lightspeed.actors.spot import here
from lightspeed.actors.text import named

if TYPE_CHECKING:
    _Threaded = pykka.ThreadingActor
else:
    _Threaded = object


class Supervisable(Mortal, _Threaded):
    """A mixin for a `pykka.ThreadingActor`, named before it. Beyond what Pykka promises:

    - A BaseException fails the actor that raised it, and no other.
    - Every end can be learnt, by `on_end` and by `watch`: in a tell, an ask, on_start, on_stop, by a stop from outside.
    - Every ask and stop is answered, also one that races with the actor's death. Who waits for his own gets `AskRing`.
    """

    _mortal_waits_for: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        order = cls.__mro__
        if pykka.ThreadingActor in order and order.index(pykka.ThreadingActor) < order.index(Supervisable):
            raise NotSupervisable(cls)

    # Pykka's hooks for actor types

    @staticmethod
    def _create_actor_inbox() -> Any:
        return KeptInbox()

    @staticmethod
    def _create_future() -> Any:
        return PooledFuture()

    def _start_actor_loop(self) -> None:
        self._supervised_thread()

    def _supervised_thread(self) -> threading.Thread:
        inbox = self.actor_inbox
        assert isinstance(inbox, KeptInbox)
        inbox.stopped, inbox.owner = self.actor_stopped, weakref.ref(self)
        thread = threading.Thread(target=self._supervised_loop, name=named(self), daemon=self.use_daemon_thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads; Pykka has registered the actor already, and stop_all() would wait for it
            self._mortal_take_out()
            raise
        return thread

    def _supervised_loop(self) -> None:
        inbox, here.spot.home = self.actor_inbox, self
        assert isinstance(inbox, KeptInbox)
        begins = not self.actor_stopped.is_set()
        if begins:
            self._mortal_begin()
        while not self.actor_stopped.is_set():
            envelope = inbox.get()
            if self.actor_stopped.is_set():  # it was given up, and this came too late
                inbox.put(envelope)
                break
            try:
                self._mortal_answer(envelope)
            except BaseException as error:  # the actor's edge
                self._mortal_fail(error)
        self._mortal_end_of_given_up(was_up=begins)
        inbox.empty()  # answers those who wait

    # Its kind's way to be dead

    def _mortal_is_dead(self) -> bool:
        return self.actor_stopped.is_set()

    def _mortal_take_out(self) -> None:
        if not self.actor_stopped.is_set():
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()

    def _mortal_place(self) -> Any:
        return self.actor_inbox


ACTOR_LOOPS.add(Supervisable._supervised_loop.__code__)
