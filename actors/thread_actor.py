"""Pykka's ThreadingActor as a supervisor needs it: nothing that it was told is lost with it, and it holds up no exit."""

import queue
import threading
import weakref
from typing import Any, ClassVar

import pykka

from lightspeed.actors.pykka_inside import STOP, Envelope, refuse


class KeptInbox:
    """An inbox in which what a dead actor has not handled stays, where Pykka would drop it; asks are answered.

    The actor's thread and whoever calls `left_over` may both empty it: one at a time, under a lock.
    """

    def __init__(self) -> None:
        self.stopped: threading.Event | None = None
        """The actor's own; set when it handles nothing any more."""
        self._queue: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left: list[Any] = []

    def put(self, envelope: Envelope[Any], /) -> None:
        self._queue.put(envelope)

    def get(self) -> Envelope[Any]:
        return self._queue.get()

    def empty(self) -> bool:
        if self.stopped is None or not self.stopped.is_set():
            return self._queue.empty()
        self._empty_out()
        return True

    def left_over(self) -> list[Any]:
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
                    return
                if envelope.reply_to is None:
                    self._left.append(envelope.message)
                else:
                    refuse(envelope, "an actor")


class KeptRef(pykka.ActorRef[Any]):
    """A reference to an actor with a `KeptInbox`."""

    def tell_here(self, _message: Any) -> bool:
        """Never: the actor handles what it is told on its own thread."""
        return False

    def stop_soon(self) -> None:
        """As `stop(block=False)`, without the future. Harmless where it is dead."""
        if self.is_alive():
            self.actor_inbox.put(Envelope(STOP))

    def stop_within(self, timeout_s: float) -> None:
        """As `stop(timeout=timeout_s)`."""
        self.stop(timeout=timeout_s)

    def left_over(self) -> list[Any]:
        """Take what a dead actor was told and has not handled, in order. One that is given up while it lives loses it too."""
        inbox = self.actor_inbox
        assert isinstance(inbox, KeptInbox)
        return inbox.left_over()


class ThreadActor(pykka.ThreadingActor):
    """An actor on a daemon thread that its runtime knows."""

    use_daemon_thread = True
    threads: ClassVar["weakref.WeakSet[threading.Thread]"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert isinstance(self.actor_inbox, KeptInbox)
        self.actor_inbox.stopped = self.actor_stopped
        self._kept_ref = KeptRef(self)

    @property
    def actor_ref(self) -> KeptRef:
        return self._kept_ref

    # Pykka's hooks for actor types

    @staticmethod
    def _create_actor_inbox() -> Any:
        return KeptInbox()

    def _start_actor_loop(self) -> None:
        thread = threading.Thread(target=self._actor_loop, name=str(self), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads; Pykka has registered the actor already, and stop_all() would wait for it
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()
            raise
        self.threads.add(thread)
