"""The one way in to a supervisor, which can be shut."""

import threading
from typing import Any

import pykka

from lightspeed.actors.errors import ChannelClosed
from lightspeed.actors.runtime import SupervisedRef


class Door:
    """Shared by all callers and the supervisor.

    A message is told under the same lock that the door is shut under. So each either stands in the supervisor's inbox
    before the door is shut, and is handled, or is refused in its caller. (What an idle supervisor is told in the caller's own
    thread passes by the door: once it has been told of its end it declines, and the caller comes here.)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shut = False

    @property
    def is_shut(self) -> bool:
        return self._shut

    def shut(self) -> None:
        with self._lock:
            self._shut = True

    def tell(self, supervisor: SupervisedRef, message: Any) -> None:
        """Put the message into the supervisor's inbox.

        Raises:
            ChannelClosed: the door is shut, or the supervisor is dead.
        """
        with self._lock:
            self._tell(supervisor, message)

    def tell_last(self, supervisor: SupervisedRef, message: Any) -> None:
        """As `tell`, and shut the door behind it."""
        with self._lock:
            try:
                self._tell(supervisor, message)
            finally:
                self._shut = True

    def _tell(self, supervisor: SupervisedRef, message: Any) -> None:
        if self._shut:
            raise ChannelClosed
        try:
            supervisor.tell(message)
        except pykka.ActorDeadError:
            raise ChannelClosed from None
