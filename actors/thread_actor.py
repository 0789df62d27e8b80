"""Pykka's ThreadingActor as the topics' supervisor needs it: nothing that it was told is lost, and it holds up no exit."""

import threading
from typing import Any, ClassVar

import pykka

from lightspeed.actors.kept_inbox import KeptInbox
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.supervisable import Supervisable
from lightspeed.actors.weak import WeakBag


class KeptRef(pykka.ActorRef[Any]):
    """A reference to an actor with a `KeptInbox`."""

    def request(self, message: Any) -> None:
        """As `tell`: it has its thread."""
        self.tell(message)

    def tell_here(self, _message: Any) -> bool:
        """Never: the actor handles what it is told on its own thread."""
        return False

    handle_here = tell_here

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


class ThreadActor(Supervisable, pykka.ThreadingActor):
    """An actor on a daemon thread that its runtime knows."""

    use_daemon_thread = True
    threads: ClassVar[WeakBag[threading.Thread]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept_ref = KeptRef(self)

    @property
    def actor_ref(self) -> KeptRef:
        return self._kept_ref

    def _start_actor_loop(self) -> None:
        self.threads.add(self._supervised_thread())
