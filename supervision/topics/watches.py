"""Who was told to end, and whether they get there; and what an actor is told later."""

from collections.abc import Iterable
from typing import Any

import pykka
from msgspec import Struct

from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Runtime, Timer
from lightspeed.supervision.topics.children import Child

_LEAST_S = 0.001  # no wait for less: what is left may be a rounding error, by which a clock moves no further


class Watch(Struct, eq=False):
    """Those who were told at one time, and are not down. A slow one has its time as long as others of them get there."""

    left: dict[Child, None]
    last_end_s: float


class Watches:
    """For the supervisor's thread only."""

    def __init__(self, runtime: Runtime, timeout_s: float) -> None:
        self._runtime, self._timeout_s = runtime, timeout_s
        self._of: dict[Child, Watch] = {}

    def add(self, children: Iterable[Child]) -> Watch:
        """Of those that are not watched yet."""
        watch = Watch({child: None for child in children if child not in self._of}, self._runtime.monotonic_s())
        self._of.update(dict.fromkeys(watch.left, watch))
        return watch

    def note_end(self, child: Child) -> None:
        """It is down. Whoever stands behind it in its topic's line can start, and has its time from now."""
        if not self._of:
            return  # most ends come when nobody is watched
        now_s = self._runtime.monotonic_s()
        for one in filter(None, (child, child.behind)):
            if one in self._of:
                self._of[one].last_end_s = now_s
        watch = self._of.pop(child, None)
        if watch is not None:
            del watch.left[child]

    def rest_s(self, watch: Watch) -> float:
        """How long they have yet. With 0 nothing can be expected any more of those that were started."""
        rest_s = watch.last_end_s + self._timeout_s - self._runtime.monotonic_s()
        return rest_s if rest_s > _LEAST_S else 0.0


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
