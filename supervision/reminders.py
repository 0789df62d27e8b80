"""What an actor is told later."""

from typing import Any

import pykka

from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Runtime, Timer


class Reminders:
    """Messages that an actor puts off for itself; they can be cancelled together. For the actor's thread only."""

    def __init__(self, runtime: Runtime, ref: pykka.ActorRef[Any]) -> None:
        self._runtime, self._ref = runtime, ref
        self._pending: dict[object, Timer] = {}  # whichever have not come yet; the clock's thread takes out its own

    def later(self, delay_s: float, message: Any) -> bool:
        """Tell the message after the delay, if the actor is alive then. False: no timer could be started, and it never comes."""
        key = object()

        def tell() -> None:
            self._pending.pop(key, None)
            if self._ref.is_alive():
                self._ref.tell(message)

        try:
            self._pending[key] = self._runtime.call_later(delay_s, tell)
        except Exception as failure:  # the world's: no more threads. Without its deadline the rest still works.
            log("error", "no timer could be started for {}", type(message).__name__, error=failure)
            return False
        return True

    def cancel(self) -> None:
        """None of those that are pending will come."""
        for timer in list(self._pending.values()):
            timer.cancel()
        self._pending.clear()
