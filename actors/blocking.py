"""What a worker's thread says when it blocks, so that others work in its place. In any other thread this does nothing."""

import math
import threading
import time
from types import TracebackType

from lightspeed.actors.spot import here
from lightspeed.actors.workers import Worker

_SLICE_S = 0.5


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


def wait_for(signal: threading.Lock, timeout_s: float | None) -> bool:
    """Wait in the calling thread until the lock is released by what an actor does, None: for ever; False after the timeout.

    In slices: a Ctrl-C that arrives at the brink of a wait is seen only when that wait is over.
    """
    me = here.spot
    if isinstance(me, Worker):
        me.workers.go_away(me)
    try:
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > _SLICE_S:
            if signal.acquire(timeout=_SLICE_S):
                return True
        return signal.acquire(timeout=max(0.0, left_s))
    finally:
        if isinstance(me, Worker):
            me.workers.come_back(me)
