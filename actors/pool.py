"""Any number of actors on a few threads.

An actor is idle, or stands in `scheduled`: it is in the line `_ready`, or being run by one thread. It comes in by a `setdefault`,
which one thread wins, so that one thread at a time runs it. Whoever puts something into an inbox looks there afterwards; whoever
has run an actor takes it out and looks at the inbox afterwards: one of the two sees what the other did. In the same way whoever
puts an actor into the line then looks whether its `Workers` have to be called.
"""

import os
import threading
import time
import weakref
from collections import deque
from typing import Any, Protocol

from lightspeed.actors.blocking import wait_for
from lightspeed.actors.errors import InvalidOption, PoolClosed
from lightspeed.actors.spot import Spot, here
from lightspeed.actors.workers import Worker, Workers


class Runnable(Protocol):
    """What a pool asks of an actor."""

    _pooled_inbox: list[Any]

    def _pooled_run(self, limit: int, spot: Spot) -> bool:
        """Handle at most so many messages; whether more wait. Never raises. The spot is the calling thread's."""

    def _pooled_has_work(self) -> bool: ...


class ActorPool:
    """Worker threads for `PooledActor`s. Any thread may use it.

    A ready actor handles at most `throughput` messages; then it is the next one's turn (the rule of Akka's dispatchers). While a
    worker waits for a future, another one takes its place; some seconds after the last time that it was needed, that one ends.

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
        self._workers = Workers(workers, self.lock, self._ready, self._work)
        self._closed = False
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
        workers = self._workers
        if workers.short or (workers.inside and workers.watcher is None):
            with self.lock:
                try:
                    workers.fill()
                except RuntimeError:  # then it was not scheduled
                    self._ready.remove(actor)
                    del self.scheduled[key]
                    raise

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

    def retire(self) -> None:
        """From now on a worker that has nothing to do ends. Never waits; actors may still be told, and get a worker."""
        with self.lock:
            self._workers.end()

    def close(self, timeout_s: float = 5.0) -> list[str]:
        """Let ready actors finish what they have, then end the workers. Again is harmless.

        An idle actor is not stopped: it stays as it is, and telling it raises `PoolClosed`. Stop your actors first.

        Args:
            timeout_s: when to give up, in seconds. Default 5.

        Returns:
            The names of the actors that were still busy then; empty if all was done. Their threads are daemons.
        """
        deadline_s, workers = time.monotonic() + timeout_s, self._workers
        with self.lock:
            while self._ready or workers.are_busy:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or here.spot in workers.all or not workers.rest.wait(left_s):
                    break
            self._closed = True
            workers.end()
            busy = [str(actor) for actor in (*workers.turns(), *self._ready)]
            threads = [worker.thread for worker in workers.all if worker is not here.spot]
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return busy

    def _work(self, me: Worker) -> None:
        here.spot = me
        workers, ready, scheduled, throughput = self._workers, self._ready, self.scheduled, self.throughput
        if not workers.begin(me):
            return
        while True:
            if workers.crowded and not self._workers.park(me):  # the pool's: in a forked child it has others
                return
            try:
                me.turn = ready.popleft()
            except IndexError:
                if not self._workers.park(me):
                    return
                continue
            if me.turn._pooled_run(throughput, me):
                ready.append(me.turn)  # still scheduled, and behind all the others
            else:
                del scheduled[id(me.turn)]
                if me.turn._pooled_inbox:
                    self.schedule_rest(me.turn)

    def _forget_threads(self) -> None:
        """In a forked child: the workers are in the parent. What is left here can only be refused."""
        self.lock = threading.Lock()
        self._closed = True
        self._ready.clear()
        self.scheduled.clear()
        self._workers = Workers(self.workers, self.lock, self._ready, self._work)
        self._workers.end()


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
