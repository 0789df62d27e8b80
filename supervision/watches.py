"""Who was told to end, and whether they get there."""

from collections.abc import Iterable

from msgspec import Struct

from lightspeed.actors.runtime import Runtime
from lightspeed.supervision.children import Child

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
