"""The one way in to a supervisor, which can be shut."""

import threading
from typing import Any

import pykka

from lightspeed.actors.errors import ChannelClosed, InForkedChild
from lightspeed.actors.forks import in_forked_child
from lightspeed.actors.runtime import SupervisedRef
from lightspeed.actors.weak import WeakBag


class Door:
    """Shared by all callers and the supervisor.

    A message is told under the same lock that the door is shut under. So each either stands in the supervisor's inbox
    before the door is shut, and is handled, or is refused in its caller. (What an idle supervisor handles in the caller's own
    thread passes by the door: once it has been told of its end it declines, and the caller comes here.) The lock is re-entrant,
    since a finalizer or a signal handler may tell something within a `tell`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shut = False
        self._is_of_parent = False
        _doors.add(self)

    @property
    def is_shut(self) -> bool:
        return self._shut

    def check_process(self) -> None:
        """
        Raises:
            InForkedChild: this process was forked from the supervisor's.
        """
        if self._is_of_parent:
            raise InForkedChild

    def shut(self) -> None:
        with self._lock:
            self._shut = True

    def tell(self, supervisor: SupervisedRef, message: Any, *, waits: bool = False) -> None:
        """Put the message into the supervisor's inbox.

        Args:
            waits: whether the caller is going to wait for what comes of it.

        Raises:
            ChannelClosed: the door is shut, or the supervisor is dead.
            InForkedChild: this process was forked from the supervisor's.
            RuntimeError: Python's own: no thread can be started. It was not told.
        """
        with self._lock:
            self._tell(supervisor, message, waits=waits)

    def tell_last(self, supervisor: SupervisedRef, message: Any) -> None:
        """As `tell`, of what is going to be waited for, and shut the door behind it."""
        with self._lock:
            self._tell(supervisor, message, waits=True)  # where this is interrupted, the supervisor shuts it
            self._shut = True

    @property
    def is_passed_here(self) -> bool:
        """Whether the calling thread is within a `tell`: then it is a finalizer, or a signal handler, that asks."""
        return self._lock._is_owned()  # type: ignore[attr-defined,no-any-return]

    def _tell(self, supervisor: SupervisedRef, message: Any, *, waits: bool) -> None:
        self.check_process()
        if self._shut:
            raise ChannelClosed
        try:
            (supervisor.request if waits else supervisor.tell)(message)
        except pykka.ActorDeadError:
            self._shut = True
            raise ChannelClosed from None


_doors: WeakBag[Door] = WeakBag()


@in_forked_child
def _after_fork() -> None:
    _doors.renew_lock()
    for door in _doors:
        door._lock, door._shut, door._is_of_parent = threading.RLock(), True, True
