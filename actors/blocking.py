"""What a worker's thread says when it blocks, so that others work in its place. In any other thread this does nothing."""

import math
import sys
import threading
import time
from collections.abc import Callable
from itertools import chain, repeat
from types import TracebackType

from lightspeed.actors.spot import here
from lightspeed.actors.workers import Worker

# A wait goes on in slices: a Ctrl-C that arrives at the brink of one is seen only when that slice is over; and between two of
# them whoever waits looks whether there is anybody to do what he waits for.
_SLICES_S = (0.02, 0.1, 0.5)

# So long one waits when the interpreter is being taken down: no other thread runs any more.
_LAST_S = 0.5


class _Blocking:
    __slots__ = ()

    def __enter__(self) -> None:
        me = here.spot
        if isinstance(me, Worker):
            me.workers.go_inside(me)

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        me = here.spot  # in a forked child no worker's any more
        if isinstance(me, Worker):
            me.workers.come_out(me)


blocking = _Blocking()
"""To go around code that may block: `with blocking:`. Within one another is harmless."""


def wait_for(signal: threading.Lock, timeout_s: float | None, look: Callable[[], bool] = bool) -> bool:
    """Wait in the calling thread until the lock is released by what an actor does, None: for ever; False after the timeout.

    Args:
        look: called now and then; the wait is over too when it returns True.
    """
    me = here.spot
    if isinstance(me, Worker):
        me.workers.go_away(me)
    try:
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        if sys.is_finalizing():
            deadline_s = min(deadline_s, time.monotonic() + _LAST_S)
        for slice_s in repeat(0.0) if sys.is_finalizing() else chain(_SLICES_S, repeat(_SLICES_S[-1])):
            if signal.acquire(timeout=min(slice_s, max(0.0, deadline_s - time.monotonic()))) or look():
                return True
            if time.monotonic() >= deadline_s:
                break
        return False
    finally:
        if isinstance(me, Worker):
            me.workers.come_back(me)
