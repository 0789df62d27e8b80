"""A few threads that run any number of actors.

An actor is idle, or stands in `scheduled`: it is in the line `_ready`, or being run by one thread. It comes in by a `setdefault`,
which one thread wins, so that one thread at a time runs it. Whoever puts something into an inbox looks there afterwards; whoever
has run an actor takes it out and looks at the inbox afterwards: one of the two sees what the other did. In the same way whoever
puts an actor into the line then looks for a worker that sleeps, and a worker says that it sleeps and then looks at the line.
"""

import math
import os
import threading
import time
import weakref
from collections import deque
from typing import Any, Protocol

from lightspeed.actors.errors import InvalidOption, PoolClosed

_SLICE_S = 0.5


class Spot:
    """What one thread is at work on."""

    __slots__ = ("actor", "depth", "is_outside", "pool")

    def __init__(self) -> None:
        self.pool: ActorPool | None = None
        """The pool that the thread works for; None where it is no worker."""
        self.actor: Any = None
        """The pooled actor that it runs."""
        self.depth = 0
        """How many actors it runs within one another, beyond the one that its pool gave it."""
        self.is_outside = False
        """Whether it is known to be no threaded actor's."""


class Runnable(Protocol):
    """What a pool asks of an actor."""

    _pooled_inbox: list[Any]

    def _pooled_run(self, limit: int, spot: Spot) -> bool:
        """Handle at most so many messages; whether more wait. Never raises. The spot is the calling thread's."""

    def _pooled_has_work(self) -> bool: ...


class _Here(threading.local):
    def __init__(self) -> None:
        self.spot = Spot()


here = _Here()
"""`here.spot` is the calling thread's own."""


def wait_for(signal: threading.Lock, timeout_s: float | None) -> bool:
    """Wait in the calling thread until the lock is released, None: for ever; False after the timeout.

    In slices: a Ctrl-C that arrives at the brink of a wait is seen only when that wait is over.
    """
    pool = here.spot.pool
    if pool is not None:
        pool.worker_blocks()
    try:
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > _SLICE_S:
            if signal.acquire(timeout=_SLICE_S):
                return True
        return signal.acquire(timeout=max(0.0, left_s))
    finally:
        if pool is not None:
            pool.worker_goes_on()


class ActorPool:
    """Worker threads for `PooledActor`s. Any thread may use it.

    A ready actor handles at most `throughput` messages; then it is the next one's turn (the rule of Akka's dispatchers). While a
    worker waits for a future, another one is started in its place, and ends when it is not needed any more.

    Args:
        workers: how many threads run actors at once; from 1 up. Default 1, under the interpreter's lock the fastest.
        throughput: the messages of one turn; from 1 up. Default 100.

    Raises:
        InvalidOption: one of them is no int of 1 or above.
    """

    def __init__(self, workers: int = 1, throughput: int = 100) -> None:
        for option, value in (("workers", workers), ("throughput", throughput)):
            if type(value) is not int or value < 1:
                raise InvalidOption(option, value, "must be an int of 1 or above")
        self.workers, self.throughput = workers, throughput
        self.lock = threading.Lock()
        """Guards the pool's own, who runs an actor, and whoever takes more than one message out of an inbox at once."""
        self.scheduled: dict[int, object] = {}
        """By `id`, the actors that are not idle."""
        self._ready: deque[Runnable] = deque()
        self._parked: list[threading.Lock] = []  # one for each worker that has nothing to do; a release wakes it
        self._threads: set[threading.Thread] = set()
        self._running: dict[threading.Thread, Runnable] = {}
        self._blocked = 0
        self._short = True  # fewer workers than may run
        self._crowded = False  # more workers than should run
        self._retired = False
        self._closed = False
        self._quiet = threading.Condition(self.lock)  # told when a worker has nothing to do, or ends
        _pools.add(self)

    def schedule(self, actor: Runnable) -> None:
        """Have the actor run, unless it is about to anyway. Call it after something was put into its inbox.

        Raises:
            PoolClosed: the pool was closed, or belongs to the process that this one was forked from.
        """
        key, ticket = id(actor), object()
        if self.scheduled.setdefault(key, ticket) is not ticket:
            return
        if self._closed:
            del self.scheduled[key]
            raise PoolClosed
        self._ready.append(actor)
        if self._parked or self._short:
            with self.lock:
                self._wake()

    def claim(self, actor: Runnable, spot: Spot) -> bool:
        """Take an idle actor with an empty inbox, to run it in the calling thread, whose spot it is.

        Ask only where the actor is not in `scheduled`. Whoever has called this must `release` afterwards, whatever came of it: a
        KeyboardInterrupt may arrive before the caller has seen the answer.
        """
        return self.scheduled.setdefault(id(actor), spot) is spot and not (actor._pooled_has_work() or self._closed)

    def release(self, actor: Runnable, spot: Spot) -> None:
        """If this thread has claimed the actor, it is idle again, or goes into the line if something has come."""
        key = id(actor)
        if self.scheduled.get(key) is spot:
            del self.scheduled[key]
            self.schedule_rest(actor)

    def schedule_rest(self, actor: Runnable) -> None:
        """Whoever has run an actor calls this when it is out of `scheduled`: for what came meanwhile."""
        if actor._pooled_has_work() and not self._closed:
            self.schedule(actor)

    def wait_for(self, signal: threading.Lock, timeout_s: float | None) -> bool:
        """Wait, whoever calls, until the lock is released by what an actor of this pool does; False after the timeout."""
        return wait_for(signal, timeout_s)

    def worker_blocks(self) -> None:
        """The calling worker is about to wait for what other actors do."""
        with self.lock:
            self._blocked += 1
            self._count()
            if self._ready:
                self._wake()

    def worker_goes_on(self) -> None:
        """The calling worker has waited."""
        with self.lock:
            self._blocked -= 1
            self._count()
            if self._crowded and self._parked:
                self._parked.pop().release()

    def retire(self) -> None:
        """From now on a worker that has nothing to do ends. Never waits; actors may still be told, and get a worker."""
        with self.lock:
            self._retired = True
            while self._parked:
                self._parked.pop().release()

    def close(self, timeout_s: float = 5.0) -> list[str]:
        """Let ready actors finish what they have, then end the workers. Again is harmless.

        An idle actor is not stopped: it stays as it is, and telling it raises `PoolClosed`. Stop your actors first.

        Args:
            timeout_s: when to give up, in seconds. Default 5.

        Returns:
            The names of the actors that were still busy then; empty if all was done. Their threads are daemons.
        """
        deadline_s = time.monotonic() + timeout_s
        with self.lock:
            while self._ready or len(self._parked) < len(self._threads):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or here.spot.pool is self or not self._quiet.wait(left_s):
                    break
            self._closed = True
            while self._parked:
                self._parked.pop().release()
            busy = [str(actor) for actor in (*self._running.values(), *self._ready)]
            threads = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return busy

    def _wake(self) -> None:
        """See to it that a worker looks at the line; the lock is held."""
        if self._parked:
            self._parked.pop().release()
        elif self._short:
            thread = threading.Thread(target=self._work, name="ActorPool worker", daemon=True)
            self._threads.add(thread)
            self._count()
            try:
                thread.start()
            except RuntimeError:  # no more threads; those that there are will come to it
                self._threads.discard(thread)
                self._count()
                if not self._threads:
                    del self.scheduled[id(self._ready.pop())]
                    raise

    def _count(self) -> None:
        """Whenever workers came, went, or began or ended a wait; the lock is held."""
        at_work = len(self._threads) - self._blocked
        self._short, self._crowded = at_work < self.workers, at_work > self.workers

    def _work(self) -> None:
        spot = here.spot
        spot.pool = self
        me, signal = threading.current_thread(), threading.Lock()
        signal.acquire()
        ready, running, scheduled, throughput = self._ready, self._running, self.scheduled, self.throughput
        actor: Runnable | None
        while True:
            if self._crowded and self._leave(me):
                return
            try:
                actor = ready.popleft()
            except IndexError:
                actor = None  # a worker that has nothing to do keeps nobody alive
                if not self._park(me, signal):
                    return
                continue
            running[me] = actor
            if actor._pooled_run(throughput, spot):
                ready.append(actor)  # still scheduled, and behind all the others
            else:
                del scheduled[id(actor)]
                if actor._pooled_inbox:
                    self.schedule_rest(actor)

    def _park(self, me: threading.Thread, signal: threading.Lock) -> bool:
        """Wait for work; False if this worker is to end."""
        with self.lock:
            ends = self._closed or self._retired
            if ends:
                self._threads.discard(me)
                self._count()
            else:
                self._parked.append(signal)
            if self._ready:  # it came in between
                if ends:
                    self._threads.add(me)
                    self._count()
                else:
                    self._parked.remove(signal)
                return True
            self._running.pop(me, None)
            self._quiet.notify_all()
        if not ends:
            signal.acquire()
        return not ends

    def _leave(self, me: threading.Thread) -> bool:
        """End this worker if there are too many."""
        with self.lock:
            if not self._crowded:
                return False
            self._threads.discard(me)
            self._running.pop(me, None)
            self._count()
            if self._ready:
                self._wake()
            self._quiet.notify_all()
            return True

    def _forget_threads(self) -> None:
        """In a forked child: the workers are in the parent. What is left here can only be refused."""
        self.lock = threading.Lock()
        self._quiet = threading.Condition(self.lock)
        self._closed = True
        self._threads.clear()
        self._short = True
        self._parked.clear()
        self._running.clear()
        self._ready.clear()
        self.scheduled.clear()


_pools: "weakref.WeakSet[ActorPool]" = weakref.WeakSet()
_defaults: dict[str, ActorPool] = {}
_default_lock = threading.Lock()


def default_pool(of: str = "actors") -> ActorPool:
    """The pool of actors that were given none. A forked child gets a new one.

    Args:
        of: whose pool; each has one of its own. Default: that of all who need none to themselves.
    """
    with _default_lock:
        if of not in _defaults:
            _defaults[of] = ActorPool()
        return _defaults[of]


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    _defaults.clear()
    here.spot = Spot()
    for pool in list(_pools):
        pool._forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
