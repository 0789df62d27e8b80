"""The worker threads of one pool.

A worker is at work; or parked, since there is nothing for it to do; or away: what it runs is blocked, and another one may work in
its place. Who waits for what other actors do is away at once. Who runs code that only may block goes *inside*, and is at work
still: most such code takes less time than a change of threads. While somebody is inside and an actor stands in the line, one who
is parked keeps watch, and whoever does not come out is away from then on (as Go's monitor does with system calls). Where many
took long lately, the next is away at once.

`inside` is changed without the lock: one `pop` decides whether a worker came out, or is away. Whoever goes inside then looks at
the line, and whoever has put an actor into the line then looks who is inside and whether all that may work do: one of the two
sees to the rest, with `fill`. Whoever parks, or ends a watch, does so and then looks at both.

A KeyboardInterrupt may come in the main thread, anywhere within `fill`: so a worker is woken before the tables say for what, and
then looks for itself.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from lightspeed.actors.spot import Spot

# How often the watch looks: a worker that blocks holds up the others for at most twice as long. At 5 ms, where one call in a
# hundred takes 10 ms, a third as many are handled.
_WATCH_S = 0.001

# So long one is kept that nobody needs, beyond those that may be at work: to start a thread takes up to 1 ms, to keep it 20 KB.
_SPARE_S = 5.0

# A change of threads there and back takes some 0.05 ms, and more where others compete for the interpreter.
_LONG_S = 0.0002

# Of sixteen calls one may take long, which may be for want of the interpreter only; two are many.
_LATELY = 16
_MANY = 0.1


class Worker(Spot):
    """The spot of a worker."""

    __slots__ = ("nested", "signal", "since_s", "thread", "turn", "workers")

    def __init__(self, workers: "Workers", work: Callable[["Worker"], None]) -> None:
        super().__init__()
        self.workers = workers
        self.thread = threading.Thread(target=work, args=(self,), name="ActorPool worker", daemon=True)
        self.turn: Any = None
        """The actor whose turn it is, or was last; None while it is parked, so that it keeps nobody alive."""
        self.signal = threading.Lock()
        """Released to have it look for itself, while it is parked."""
        self.signal.acquire()
        self.nested = 0
        """Within how many calls it is that block or may block."""
        self.since_s = 0.0
        """When it went inside."""

    def wake(self) -> None:
        """The pool's lock is held: nobody else releases the signal."""
        if self.signal.locked():
            self.signal.release()


class Workers:
    """They are started when they are needed.

    Args:
        most: so many are at work at once.
        lock: the pool's.
        line: the actors that are ready.
        work: what each runs in its thread; it calls `begin`, and `park` when there is nothing to do.
    """

    def __init__(self, most: int, lock: threading.Lock, line: deque[Any], work: Callable[[Worker], None]) -> None:
        self._most, self._lock, self._line, self._work = most, lock, line, work
        self.all: set[Worker] = set()
        self.inside: dict[Worker, bool] = {}
        """Who runs code that may block."""
        self.watcher: Worker | None = None
        """One of those who are parked."""
        self.short = True
        """Fewer are at work than may be."""
        self.crowded = False
        """More are at work than may be."""
        self.rest = threading.Condition(lock)
        """Told when a worker has nothing to do, or ends."""
        self._parked: list[Worker] = []  # who parked last is called first, so that the others come to their end
        self._away = 0
        self._long_share = 0.0  # of the calls lately that might have blocked
        self._is_ending = False

    # For the pool, with the lock held

    @property
    def are_busy(self) -> bool:
        return len(self._parked) < len(self.all)

    def turns(self) -> list[Any]:
        """The actors that are being run."""
        return [worker.turn for worker in self.all if worker.turn is not None]

    def fill(self) -> None:
        """See to it that as many are at work as may, and that whoever is inside is watched, if there is anything to do.

        Raises:
            RuntimeError: there is no worker, and no thread can be started.
        """
        if not self._line:
            return
        if self.short and (self._parked or self._start()):
            self._call(self._parked[-1])
        if self.inside and self.watcher is None and (self._parked or self._start()):
            self._parked[-1].wake()
            self.watcher = self._parked[-1]

    def end(self) -> None:
        """From now on a worker that has nothing to do ends."""
        self._is_ending = True
        for worker in self._parked:
            worker.wake()

    # For a worker, of itself

    def begin(self, me: Worker) -> bool:
        """As `park`, for a new one."""
        with self._lock:
            patience_s = self._patience(me)
        return self._sleep(me, patience_s)

    def park(self, me: Worker) -> bool:
        """Wait until there is something to do; False: it is to end."""
        with self._lock:
            me.turn = None
            self._parked.append(me)
            self._count()
            self.rest.notify_all()
            patience_s = self._patience(me)
        return self._sleep(me, patience_s)

    def go_inside(self, me: Worker) -> None:
        """What it does now may block."""
        me.nested += 1
        if me.nested > 1:
            return
        if self._long_share > _MANY:
            self._go_away()
            me.since_s = time.monotonic()
            return
        me.since_s = time.monotonic()
        self.inside[me] = True
        if self._line and self.watcher is None:
            with self._lock:
                self.fill()

    def come_out(self, me: Worker) -> None:
        """It has done it."""
        if me.nested == 1:
            self._note(time.monotonic() - me.since_s > _LONG_S)
        self.come_back(me)

    def go_away(self, me: Worker) -> None:
        """It is about to wait for what other actors do."""
        me.nested += 1
        if me.nested == 1 or self.inside.pop(me, False):
            self._go_away()

    def come_back(self, me: Worker) -> None:
        """It has waited."""
        me.nested -= 1
        if not (me.nested or self.inside.pop(me, False)):
            with self._lock:
                self._away -= 1
                self._count()

    def _go_away(self) -> None:
        with self._lock:
            self._away += 1
            self._count()
            self.fill()

    def _sleep(self, me: Worker, patience_s: float) -> bool:
        while patience_s:
            was_woken = me.signal.acquire(True, patience_s)
            if was_woken and me not in self._parked:
                return True
            with self._lock:
                patience_s = self._patience(me, was_idle=not was_woken and patience_s == _SPARE_S)
        return me in self.all

    def _note(self, was_long: bool) -> None:
        # Also without the lock: of a measure one more or less may be lost
        self._long_share += (was_long - self._long_share) / _LATELY

    # With the lock held

    def _patience(self, me: Worker, *, was_idle: bool = False) -> float:
        """How long one who is parked sleeps, in seconds; 0: not, since it is to work, or to end; -1: until it is woken."""
        if me is self.watcher:
            self._look()
        if self._line:
            self.fill()
        if me not in self._parked:
            return 0
        if me is self.watcher:
            return _WATCH_S
        is_spare = len(self.all) > self._most
        if self._is_ending or (is_spare and was_idle):
            self._leave(me)
            return 0
        return _SPARE_S if is_spare else -1

    def _look(self) -> None:
        """The watcher does."""
        if self._line:
            before_s = time.monotonic() - _WATCH_S
            for worker in list(self.inside):
                if worker.since_s <= before_s and self.inside.pop(worker, False):
                    self._away += 1
                    self._note(True)  # now, since it may never come out
            self._count()
        if not (self._line and self.inside):
            self.watcher = None

    def _count(self) -> None:
        at_work = len(self.all) - len(self._parked) - self._away
        self.short, self.crowded = at_work < self._most, at_work > self._most

    def _call(self, worker: Worker) -> None:
        """The last of those parked is to work."""
        worker.wake()
        if self.watcher is worker:
            self.watcher = None
        self._parked.pop()
        self._count()

    def _start(self) -> bool:
        """One more, who is parked; False: there is none."""
        worker = Worker(self, self._work)
        try:
            self.all.add(worker)
            self._parked.append(worker)
            worker.thread.start()
        except BaseException as error:  # also a KeyboardInterrupt, after which the thread may run: it is not taken on, and ends
            self._leave(worker)
            if isinstance(error, RuntimeError) and self.all:
                return False  # no more threads: those that there are will come to it
            raise
        return True

    def _leave(self, worker: Worker) -> None:
        if worker in self._parked:
            self._parked.remove(worker)
        self.all.discard(worker)
        self.rest.notify_all()
