"""The worker threads of one pool.

A worker is at work; or parked, since there is nothing for it to do; or away: what it runs is blocked, and another one may work in
its place. Who waits for what other actors do is away at once. Who runs code that only may block goes *inside*, and is at work
still: most such code takes less time than a change of threads. While somebody is inside and an actor stands in the line, one who
is parked keeps watch, and whoever does not come out is away from then on (as Go's monitor does with system calls). Where many
took long lately, the next is away at once. Who waits and has not said so, in a future or a lock that is none of ours, is found by
another who is parked, the *lookout*: that one is *left* to its wait, and is away until its turn is over.

`inside` is changed without the lock: one `pop` decides whether a worker came out, or is away. Whoever goes inside then looks at
the line, and whoever has put an actor into the line then looks who is inside and whether all that may work do: one of the two
sees to the rest, with `fill`. Whoever parks, or ends a watch, does so and then looks at both.

An exception of its own may hit a thread that calls, anywhere within `fill`: so a worker is woken before the tables say for what,
and then looks for itself. A finalizer or a signal handler may call again within a call: so the lock is re-entrant, and `fill`
goes round once more instead of going into itself.

What a worker's thread says when it blocks, so that others work in its place. In any other thread this does nothing.
"""

import concurrent.futures._base
import math
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import chain, repeat
from types import TracebackType
from typing import Any

from lightspeed.actors.context import ThreadContext, current_frames, here

# How often the watch looks: a worker that blocks holds up the others for at most twice as long. At 5 ms, where one call in a
# hundred takes 10 ms, a third as many are handled.
_WATCH_S = 0.001

# How often the lookout looks. One that waits is left when it stood at the same place twice.
_LOOKOUT_S = 0.01

# So often it looks at an empty line before it ends: to begin anew takes a change of threads.
_IDLE_LOOKS = 100

_WAITS = frozenset((threading.__file__, queue.__file__, concurrent.futures._base.__file__))
"""Files of the standard library in whose code one waits for another thread; Pykka's `ThreadingFuture` waits there too."""

# What a Condition says in place of an exception that hit its wait, as when a thread is started.
_LOCK_LOST = ("cannot release un-acquired lock", "release unlocked lock")

# So long one is kept that nobody needs, beyond those that may be at work: to start a thread takes up to 1 ms, to keep it 20 KB.
_SPARE_S = 5.0

# A change of threads there and back takes some 0.05 ms, and more where others compete for the interpreter.
_LONG_S = 0.0002

# Of sixteen calls one may take long, which may be for want of the interpreter only; two are many.
_LATELY = 16
_MANY = 0.1


class Worker(ThreadContext):
    """A worker thread of a pool, and its context."""

    __slots__ = ("counts", "is_left", "nested", "signal", "since_s", "thread", "turn", "workers")

    def __init__(self, workers: "Workers", work: Callable[["Worker"], None]) -> None:
        super().__init__()
        self.is_in_turn = True
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
        """The time at which it went inside."""
        self.counts = False
        """True while the worker is counted as away, by its own word."""
        self.is_left = False
        """True while the worker is counted as away without a word of its own, until its turn is over."""

    def wake(self) -> None:
        """The pool's lock is held: nobody else releases the signal."""
        if self.signal.locked():
            self.signal.release()


class Workers:
    """The worker threads of one pool, started when they are needed.

    Args:
        most: so many are at work at once.
        lock: the pool's.
        line: the actors that are ready.
        work: what each runs in its thread; it calls `begin`, and `park` when there is nothing to do.
    """

    def __init__(self, most: int, lock: Any, line: deque[Any], work: Callable[[Worker], None]) -> None:
        self._most, self._lock, self._line, self._work = most, lock, line, work
        self.all: set[Worker] = set()
        self.inside: dict[Worker, bool] = {}
        """The workers that run code which may block."""
        self.watcher: Worker | None = None
        """The parked worker that looks after those inside."""
        self.lookout: Worker | None = None
        """The parked worker that looks out for those who wait without a word; it may be the watcher too."""
        self.short = True
        """True where fewer workers are at work than may be."""
        self.crowded = False
        """True where more workers are at work than may be."""
        self.rests: list[threading.Lock] = []
        """Released when a worker has nothing to do, or ends: each is somebody's who waits for that. (A Condition's own wait is
        code in Python, which an exception of the waiting thread leaves in disorder.)"""
        self._parked: list[Worker] = []  # who parked last is called first, so that the others come to their end
        self._away = 0
        self._is_filling = self._is_asked = False
        self._places: dict[Worker, tuple[int, int, int]] = {}  # where each stood when the lookout looked last
        self._idle_looks = 0
        self._long_share = 0.0  # of the calls lately that might have blocked
        self._is_ending = False

    # For the pool, with the lock held

    @property
    def are_busy(self) -> bool:
        return len(self._parked) < len(self.all)

    @property
    def are_able(self) -> bool:
        """Whether a worker does, or will do, what there is to do."""
        return len(self.all) - self._away > 0

    def turns(self) -> list[Any]:
        """The actors that are being run."""
        return [worker.turn for worker in self.all if worker.turn is not None]

    def fill(self, *, looks_out: bool = False) -> None:
        """See to it that as many workers are at work as may be, and that those inside are watched, if there is anything to do.

        Args:
            looks_out: whether somebody new stands in the line: then there is to be a lookout, where all are at work.

        Raises:
            RuntimeError: there is no worker, and no thread can be started.
        """
        if self._is_filling:  # a finalizer's or a signal handler's call, within another of this thread
            self._is_asked = True
            return
        self._is_filling = True
        try:
            self._is_asked = True
            while self._is_asked:
                self._is_asked = False
                self._fill(looks_out)
        finally:
            self._is_filling = False

    def _fill(self, looks_out: bool) -> None:
        if not self._line:
            return
        looks_out = self.lookout is not None or (looks_out and not self.short)
        if self.short and (self._parked or self._start()):
            self._call(self._parked[-1])  # it may be the lookout: then another one is
        if looks_out and self.lookout is None and (self._parked or self._start()):
            self._parked[-1].wake()
            self.lookout, self._idle_looks = self._parked[-1], 0
        if self.inside and self.watcher is None and (self._parked or self._start()):
            self._parked[-1].wake()
            self.watcher = self._parked[-1]

    def leave(self, actor: Any) -> None:
        """Leave a worker to the actor that it runs: another takes its place until that turn is over. Harmless where none does."""
        for worker in self.all:
            if worker.turn is actor and worker not in self._parked:
                self._leave_to_its_turn(worker)
        self.fill()

    def _leave_to_its_turn(self, worker: Worker) -> None:
        if not worker.is_left and (self.inside.pop(worker, False) or not worker.nested):
            worker.is_left = True
            self._away += 1
            self._count()

    def take_back(self, me: Worker) -> None:
        """End the time of a worker that was left to its turn: that is over."""
        with self._lock:
            me.is_left = False
            self._away -= 1
            self._count()

    def mend(self, me: Worker) -> None:
        """Something was thrown into its thread, wherever that was: it is at work, and nothing else."""
        with self._lock:
            self.inside.pop(me, None)
            self._away -= me.counts + me.is_left
            me.counts, me.is_left, me.nested, me.depth, me.actor = False, False, 0, 0, None
            if me in self._parked:
                self._parked.remove(me)
            self.watcher = None if self.watcher is me else self.watcher
            self.lookout = None if self.lookout is me else self.lookout
            self.all.add(me)
            self._count()

    def bury(self, me: Worker) -> None:
        """Forget a worker whose thread ends though nobody has told it to."""
        self.mend(me)
        with self._lock:
            self.all.discard(me)
            self._count()
            self.fill()

    @property
    def at_work(self) -> int:
        """The number of workers that are neither parked nor away."""
        return len(self.all) - len(self._parked) - self._away

    def end(self) -> None:
        """From now on a worker that has nothing to do ends."""
        self._is_ending = True
        for worker in self._parked:
            worker.wake()

    # For a worker, of itself

    def begin(self, me: Worker) -> bool:
        """Park a new worker until there is something to do; False: it is to end."""
        with self._lock:
            patience_s = self._patience(me)
        return self._sleep(me, patience_s)

    def park(self, me: Worker) -> bool:
        """Wait until there is something to do; False: it is to end."""
        with self._lock:
            me.turn = None
            self._parked.append(me)
            self._count()
            self._tell_rests()
            patience_s = self._patience(me)
        return self._sleep(me, patience_s)

    def enter_blocking(self, me: Worker) -> None:
        """Say that what the worker does now may block."""
        me.nested += 1
        if me.nested > 1:
            return
        if self._long_share > _MANY:
            self._yield_slot(me)
            me.since_s = time.monotonic()
            return
        me.since_s = time.monotonic()
        self.inside[me] = True
        if self._line and self.watcher is None:
            with self._lock:
                self.fill()

    def exit_blocking(self, me: Worker) -> None:
        """Say that the worker has done what might block."""
        if me.nested == 1:
            self._note(time.monotonic() - me.since_s > _LONG_S)
        self.reclaim_slot(me)

    def yield_slot(self, me: Worker) -> None:
        """Give the worker's place to another: it is about to wait for what other actors do."""
        me.nested += 1
        if me.nested == 1 or self.inside.pop(me, False):
            self._yield_slot(me)

    def reclaim_slot(self, me: Worker) -> None:
        """Take the worker's place again: it has waited."""
        me.nested -= 1
        if not (me.nested or self.inside.pop(me, False)):
            with self._lock:
                self._away -= me.counts
                me.counts = False
                self._count()

    def _yield_slot(self, me: Worker) -> None:
        with self._lock:
            if not (me.is_left or me.counts):
                me.counts = True
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
        """The time that a parked worker sleeps, in seconds; 0: not, since it is to work, or to end; -1: until it is woken."""
        if me is self.watcher:
            self._look()
        if me is self.lookout:
            self._look_out()
        if self._line:
            self.fill()
        if me not in self._parked:
            return 0
        if me is self.watcher:
            return _WATCH_S
        if me is self.lookout and (self._line or not self._is_ending):
            return _LOOKOUT_S
        is_spare = len(self.all) > self._most
        if self._is_ending or (is_spare and was_idle):
            self._leave(me)
            return 0
        return _SPARE_S if is_spare else -1

    def _look(self) -> None:
        """Count those who have been inside for long as away: the watcher does."""
        if self._line:
            before_s = time.monotonic() - _WATCH_S
            for worker in list(self.inside):
                if worker.since_s <= before_s and self.inside.pop(worker, False):
                    worker.counts = True
                    self._away += 1
                    self._note(True)  # now, since it may never come out
            self._count()
        if not (self._line and self.inside):
            self.watcher = None

    def _look_out(self) -> None:
        """Leave those who wait without a word to their wait: the lookout does."""
        self._idle_looks = 0 if self._line else self._idle_looks + 1
        before, self._places = self._places, self._find_places() if self._line else {}
        for worker, place in self._places.items():
            if before.get(worker) == place:
                self._leave_to_its_turn(worker)
        if self._idle_looks > _IDLE_LOOKS:
            self.lookout = None

    def _find_places(self) -> dict["Worker", tuple[int, int, int]]:
        """The places of workers that wait without a word: the frame, and the instruction in it, of one turn."""
        frames, places = current_frames(), {}
        for worker in self.all:
            frame = frames.get(worker.thread.ident or 0)
            if frame is not None and frame.f_code.co_filename in _WAITS and not (worker.nested or worker in self._parked):
                places[worker] = id(frame), frame.f_lasti, id(worker.turn)
        frames.clear()  # this one is among them, and would lead to itself
        return places

    def _count(self) -> None:
        at_work = self.at_work
        self.short, self.crowded = at_work < self._most, at_work > self._most

    def _call(self, worker: Worker) -> None:
        """Call the worker that was parked last."""
        worker.wake()
        if self.watcher is worker:
            self.watcher = None
        if self.lookout is worker:
            self.lookout = None
        self._parked.pop()
        self._count()

    def _start(self) -> bool:
        """Start one more worker, which is parked; False: none can be started."""
        worker = Worker(self, self._work)
        try:
            self.all.add(worker)
            self._parked.append(worker)
            worker.thread.start()
        except BaseException as error:  # also a KeyboardInterrupt, after which the thread may run: it is not taken on, and ends
            self._leave(worker)
            if type(error) is RuntimeError and self.all:
                return False  # no more threads: those that there are will come to it
            if str(error) in _LOCK_LOST and error.__context__ is not None:
                raise error.__context__ from None
            raise
        return True

    def _leave(self, worker: Worker) -> None:
        if worker in self._parked:
            self._parked.remove(worker)
        if self.lookout is worker:
            self.lookout = None
        self.all.discard(worker)
        self._tell_rests()

    def _tell_rests(self) -> None:
        for signal in self.rests:
            if signal.locked():
                signal.release()


# A wait goes on in slices: a Ctrl-C that arrives at the brink of one is seen only when that slice is over; and between two of
# them whoever waits looks whether there is anybody to do what he waits for.
_SLICES_S = (0.02, 0.1, 0.5)

# So long one waits when the interpreter is being taken down: no other thread runs any more.
_LAST_S = 0.5


class _Blocking:
    __slots__ = ()

    def __enter__(self) -> None:
        me = here.context
        if isinstance(me, Worker):
            me.workers.enter_blocking(me)

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        me = here.context  # in a forked child no worker's any more
        if isinstance(me, Worker):
            me.workers.exit_blocking(me)


blocking = _Blocking()
"""The context of code that may block: `with blocking:`. Within one another is harmless."""


def wait_for(signal: threading.Lock, timeout_s: float | None, look: Callable[[], bool] = bool) -> bool:
    """Wait in the calling thread until the lock is released by what an actor does, None: for ever; False after the timeout.

    Args:
        look: called now and then; the wait is over too when it returns True.
    """
    me = here.context
    if isinstance(me, Worker):
        me.workers.yield_slot(me)
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
            me.workers.reclaim_slot(me)
