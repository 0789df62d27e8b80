"""A few threads that run any number of actors.

An actor is either idle, or scheduled: in the line `_ready`, or being run by one thread. Its `scheduled` flag goes up only under
the pool's lock, so that one thread at a time runs it. Whoever puts something into an inbox looks at the flag afterwards; whoever
has run an actor takes the flag down and looks at the inbox afterwards: one of the two sees what the other did.
"""

import os
import threading
import time
import weakref
from collections import deque
from typing import Any, Protocol

from lightspeed.actors.errors import InvalidOption, PoolClosed


class Runnable(Protocol):
    """What a pool asks of an actor."""

    _pooled_scheduled: bool

    def _pooled_run(self, limit: int) -> None:
        """Handle at most so many messages. Never raises."""

    def _pooled_has_work(self) -> bool: ...


class _Here(threading.local):
    """What the current thread is at work on."""

    pool: "ActorPool | None" = None
    actor: Any = None
    depth: int = 0


here = _Here()


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
        self._lock = threading.Lock()
        self._ready: deque[Runnable] = deque()
        self._parked: list[threading.Lock] = []  # one for each worker that has nothing to do; a release wakes it
        self._threads: set[threading.Thread] = set()
        self._running: dict[threading.Thread, Runnable] = {}
        self._blocked = 0
        self._crowded = False  # more workers than should run
        self._retired = False
        self._closed = False
        self._quiet = threading.Condition(self._lock)  # told when a worker has nothing to do, or ends
        _pools.add(self)

    def schedule(self, actor: Runnable) -> None:
        """Have the actor run, unless it is about to anyway. Call it after something was put into its inbox.

        Raises:
            PoolClosed: the pool was closed, or belongs to the process that this one was forked from.
        """
        with self._lock:
            if actor._pooled_scheduled:
                return
            if self._closed:
                raise PoolClosed
            actor._pooled_scheduled = True
            self._ready.append(actor)
            self._wake()

    def claim(self, actor: Runnable) -> bool:
        """Take an idle actor with an empty inbox, to run it in the calling thread; `release` it afterwards."""
        with self._lock:
            if actor._pooled_scheduled or self._closed or actor._pooled_has_work():
                return False
            actor._pooled_scheduled = True
            return True

    def release(self, actor: Runnable) -> None:
        """The actor is idle again, or goes into the line if something has come."""
        actor._pooled_scheduled = False
        if actor._pooled_has_work() and not self._closed:
            self.schedule(actor)

    def worker_blocks(self) -> None:
        """The calling worker is about to wait for what other actors do."""
        with self._lock:
            self._blocked += 1
            if self._ready:
                self._wake()

    def worker_goes_on(self) -> None:
        """The calling worker has waited."""
        with self._lock:
            self._blocked -= 1
            self._crowded = len(self._threads) - self._blocked > self.workers
            if self._crowded and self._parked:
                self._parked.pop().release()

    def retire(self) -> None:
        """From now on a worker that has nothing to do ends. Never waits; actors may still be told, and get a worker."""
        with self._lock:
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
        with self._lock:
            while self._ready or len(self._parked) < len(self._threads):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or here.pool is self or not self._quiet.wait(left_s):
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
        elif len(self._threads) - self._blocked < self.workers:
            thread = threading.Thread(target=self._work, name="ActorPool worker", daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError:  # no more threads; those that there are will come to it
                self._threads.discard(thread)
                if not self._threads:
                    self._ready.pop()._pooled_scheduled = False
                    raise

    def _work(self) -> None:
        here.pool = self
        me, ready, running, throughput = threading.current_thread(), self._ready, self._running, self.throughput
        while True:
            if self._crowded and self._leave(me):
                return
            try:
                actor = ready.popleft()
            except IndexError:
                if not self._park(me):
                    return
                continue
            running[me] = actor
            actor._pooled_run(throughput)
            del running[me]
            if actor._pooled_has_work():
                ready.append(actor)  # still scheduled, and behind all the others
            else:
                actor._pooled_scheduled = False
                if actor._pooled_has_work() and not self._closed:
                    self.schedule(actor)

    def _park(self, me: threading.Thread) -> bool:
        """Wait for work; False if this worker is to end."""
        signal = threading.Lock()
        signal.acquire()
        with self._lock:
            if self._ready:
                return True
            if self._closed or self._retired:
                self._threads.discard(me)
                self._quiet.notify_all()
                return False
            self._parked.append(signal)
            self._quiet.notify_all()
        signal.acquire()
        return True

    def _leave(self, me: threading.Thread) -> bool:
        """End this worker if there are too many."""
        with self._lock:
            if len(self._threads) - self._blocked <= self.workers:
                self._crowded = False
                return False
            self._threads.discard(me)
            self._crowded = len(self._threads) - self._blocked > self.workers
            self._quiet.notify_all()
            return True

    def _forget_threads(self) -> None:
        """In a forked child: the workers are in the parent. What is left here can only be refused."""
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._closed = True
        self._threads.clear()
        self._parked.clear()
        self._running.clear()
        self._ready.clear()


_pools: "weakref.WeakSet[ActorPool]" = weakref.WeakSet()
_default: ActorPool | None = None
_default_lock = threading.Lock()


def default_pool() -> ActorPool:
    """The pool of actors that were given none. A forked child gets a new one."""
    global _default
    with _default_lock:
        if _default is None:
            _default = ActorPool()
        return _default


def _after_fork() -> None:
    global _default, _default_lock
    _default, _default_lock = None, threading.Lock()
    here.pool = here.actor = None
    for pool in list(_pools):
        pool._forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
