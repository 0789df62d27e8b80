"""Any number of actors on a few threads.

An actor is idle, or stands in `scheduled`: it is in the line `_ready`, or being run by one thread. It comes in by a `setdefault`,
which one thread wins, so that one thread at a time runs it. Whoever puts something into an inbox looks there afterwards; whoever
has run an actor takes it out and looks at the inbox afterwards: one of the two sees what the other did. In the same way whoever
puts an actor into the line then looks whether its `Workers` have to be called.

An exception of its own may hit a thread that tells or asks anywhere: a signal handler's, a KeyboardInterrupt, a RecursionError.
CPython lets it in at the entry of a function, behind a call and where a loop turns back, and nowhere else; so what belongs
together stands in statements without a call. What could not be put into the line for such an exception is *stranded*: whoever
waits, or calls the workers next, sees to it.
"""

import atexit
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from lightspeed.actors.context import ThreadContext, here
from lightspeed.actors.errors import InForkedChild, InvalidOption, PoolClosed
from lightspeed.actors.logs import log
from lightspeed.actors.process import WeakBag, in_forked_child
from lightspeed.actors.text import named
from lightspeed.actors.timers import call_later
from lightspeed.actors.workers import Worker, Workers, wait_for

if TYPE_CHECKING:
    from lightspeed.actors.runtime import Timer

_END_S = 5.0  # so long the interpreter's end waits for what pooled actors were told


class Runnable(Protocol):
    """An actor as a pool sees it."""

    _pooled_inbox: list[Any]
    _pooled_taken: list[Any]
    _pooled_hold: Any

    def _pooled_run(self, limit: int, context: ThreadContext) -> bool | None:
        """Handle at most so many messages; whether more wait. None: it is held, and taken up by somebody else.

        Raises only what was thrown into the thread.
        """
        ...

    def _pooled_has_work(self) -> bool: ...

    def _lifecycle_interrupted(self, error: BaseException) -> None:
        """Fail the actor: this was thrown into its thread outside of its own code."""


class ActorPool:
    """Worker threads for `PooledActor`s. Any thread may use it.

    A ready actor handles at most `throughput` messages; then it is the next one's turn (the rule of Akka's dispatchers). While a
    worker waits for a future, of whatever kind, or for anything else of `threading`, `queue` or `concurrent.futures`, another one
    takes its place; some seconds after the last time that it was needed, that one ends. Where no thread can be started, whoever
    waits for an answer runs the actors meanwhile.

    At the end of the interpreter what actors were told is handled, for up to 5 s.

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
        self.lock = threading.RLock()
        """Guards the pool's own, who runs an actor, and whoever takes more than one message out of an inbox at once."""
        self.scheduled: dict[int, object] = {}
        """The actors that are not idle, by `id`: each with the `ThreadContext` of its thread, or its place in the line."""
        self.stranded: list[Runnable] = []
        """The actors that should stand in the line, and may not."""
        self._ready: deque[Runnable] = deque()
        self._workers = Workers(workers, self.lock, self._ready, self._work)
        self._closed = False
        _pools.add(self)

    def schedule(self, actor: Runnable) -> None:
        """Have the actor run, unless it is about to anyway. Call it after something was put into its inbox.

        Raises:
            PoolClosed: the pool was closed.
            InForkedChild: it belongs to the process that this one was forked from.
            RuntimeError: Python's own: there is no worker, and no thread can be started. Not where somebody comes to it all the
                same: who lends his thread to an actor that tells others, or the interpreter's end, where Python 3.12 starts none.
        """
        key, place, has_place = id(actor), (actor,), False
        try:
            if self.scheduled.setdefault(key, place) is not place:
                return
            if self._closed:
                raise PoolClosed
            self._ready += place  # no call: once it is in the line, that is known
            has_place = True
            workers = self._workers
            if workers.short or workers.lookout is None or (workers.inside and workers.watcher is None):
                with self.lock:
                    self._see_to_stranded()
                    workers.fill(looks_out=True)
        except BaseException as error:
            if not has_place and key in self.scheduled and self.scheduled[key] is place:
                del self.scheduled[key]
            if has_no_thread(error):
                if here.context.is_lent or _is_drained_later(error):
                    return
                self._take_from_line(actor)
            elif not isinstance(error, PoolClosed):
                self._workers.short = True
                self.stranded += place
            raise

    def schedule_rest(self, actor: Runnable) -> None:
        """Schedule an actor that was run, and is out of `scheduled`, for what came meanwhile; a thread or no thread."""
        try:
            if actor._pooled_has_work() and not self._closed:
                self.schedule(actor)
        except BaseException as error:
            self.strand(actor)
            if not has_no_thread(error):
                self.look_after()
                raise

    def take_up(self, actor: Runnable) -> None:
        """Have an actor run that was held: it is scheduled still, and in nobody's line. Any thread may call it."""
        with self.lock:
            if self._closed:
                return
            self._ready.append(actor)
            try:
                self._workers.fill(looks_out=True)
            except RuntimeError as error:
                if not has_no_thread(error):  # else whoever waits runs it
                    raise

    def strand(self, actor: Runnable) -> None:
        """Note an actor that should stand in the line, and does not: whoever waits, or comes next, puts it there."""
        self._workers.short = True
        self.stranded += (actor,)

    def look_after(self) -> None:
        """See to it that somebody does what there is to do: call a worker, or where there is none run an actor here and now.

        For whoever waits, and after an exception that may have kept a worker from being called.
        """
        if self._closed or not (self._ready or self.stranded):
            return
        with self.lock:
            try:
                self._see_to_stranded()
                self._workers.fill(looks_out=True)
            except RuntimeError as error:
                if not has_no_thread(error):
                    raise
            must_help = sys.is_finalizing() or not self._workers.are_able
        if must_help:
            self._help()

    def retract(self, actor: Runnable, message: Any) -> bool:
        """Take back what was told, since no thread could be started. False: it will be handled all the same."""
        with self.lock:
            if id(actor) in self.scheduled:
                return False
            for index, waiting in enumerate(actor._pooled_inbox):  # nobody runs it, and who tells it only appends
                if waiting is message:
                    del actor._pooled_inbox[index]
                    return True
        return False

    def give_up(self, actor: Runnable) -> None:
        """Leave the actor to whoever runs it, and start another worker in his place, until he comes back."""
        with self.lock:
            try:
                self._workers.leave(actor)
            except RuntimeError as error:
                if not has_no_thread(error):  # else whoever waits runs the others
                    raise

    def wait_for(self, signal: threading.Lock, timeout_s: float | None) -> bool:
        """Wait, whoever calls, until the lock is released by what an actor of this pool does; False after the timeout."""
        return wait_for(signal, timeout_s, look_after_all)

    @property
    def is_held_here(self) -> bool:
        """Whether the calling thread holds the pool's lock: then a finalizer or a signal handler asks, and must not wait."""
        return self.lock._is_owned()  # type: ignore[attr-defined,no-any-return]

    def call_later(self, delay_s: float, call: Callable[[], None]) -> "Timer":
        """Call once, after the delay, on a thread that must not be blocked.

        Raises:
            RuntimeError: Python's own, where no thread can be started.
        """
        return call_later(delay_s, call)

    def monotonic_s(self) -> float:
        """The clock by which `wait_for` and `call_later` go, in seconds."""
        return time.monotonic()

    def retire(self) -> None:
        """From now on a worker that has nothing to do ends. Never waits; actors may still be told, and get a worker."""
        self.check_process()
        with self.lock:
            self._workers.end()

    def check_process(self) -> None:
        """
        Raises:
            InForkedChild: it belongs to the process that this one was forked from.
        """
        if isinstance(self.scheduled, _OfParent):
            raise InForkedChild

    def close(self, timeout_s: float = 5.0) -> list[str]:
        """Let ready actors finish what they have, then end the workers. Again is harmless.

        An idle actor is not stopped: it stays as it is, and telling it raises `PoolClosed`. Stop your actors first.

        Args:
            timeout_s: when to give up, in seconds. Default 5.

        Returns:
            The names of the actors that were still busy then; empty if all was done. Their threads are daemons.
        """
        self.check_process()
        deadline_s, workers = time.monotonic() + timeout_s, self._workers
        self._wait_until_idle(deadline_s)
        with self.lock:
            self._closed = True
            workers.end()
            busy = [*workers.turns(), *self._ready]
            threads = [worker.thread for worker in workers.all if worker is not here.context]
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return [named(actor) for actor in busy]

    def _wait_until_idle(self, deadline_s: float) -> None:
        signal, workers = threading.Lock(), self._workers
        signal.acquire()
        workers.rests += (signal,)
        try:
            while not self._is_idle and here.context not in workers.all and (left_s := deadline_s - time.monotonic()) > 0:
                self.look_after()
                signal.acquire(timeout=min(left_s, 0.5))
        finally:
            workers.rests.remove(signal)

    @property
    def _is_idle(self) -> bool:
        with self.lock:
            return not (self._ready or self.stranded or self._workers.are_busy)

    def _count_left(self) -> int:
        """The number of messages that nobody will handle any more, at the end of the interpreter."""
        return sum(len(actor._pooled_inbox) for actor in list(self._ready))

    def _work(self, me: Worker) -> None:
        begins, ends = True, False
        try:
            while not ends:
                try:
                    here.context = me
                    if not begins or self._workers.begin(me):
                        self._work_on(me)
                    ends = True
                except BaseException as error:  # thrown into the thread where no code of an actor's ran
                    begins = False
                    self._recover(me, error)
        finally:
            if not ends:  # and once more, before that was dealt with: another takes its place
                self._workers.bury(me)

    def _work_on(self, me: Worker) -> None:
        workers, ready, scheduled, throughput = self._workers, self._ready, self.scheduled, self.throughput
        while True:
            if workers.crowded and not self._workers.park(me):  # the pool's: in a forked child it has others
                return
            try:
                me.turn = ready.popleft()
            except IndexError:
                if not self._workers.park(me):
                    return
                continue
            more = me.turn._pooled_run(throughput, me)
            if more:
                ready.append(me.turn)  # still scheduled, and behind all the others
            elif more is not None:
                del scheduled[id(me.turn)]
                if me.turn._pooled_inbox:
                    self.schedule_rest(me.turn)
            if me.is_left:
                workers.take_back(me)

    def _help(self) -> None:
        """Work for one turn, in the thread of a caller that waits."""
        context = here.context
        outer, depth, is_lent = context.actor, context.depth, context.is_lent
        try:
            actor = self._ready.popleft()
        except IndexError:
            return
        context.is_lent = True
        more: bool | None = False
        try:
            more = actor._pooled_run(self.throughput, context)
        except BaseException as error:  # the caller's own: it came while he lent his thread
            actor._lifecycle_interrupted(error)
            raise
        finally:
            context.actor, context.depth, context.is_lent = outer, depth, is_lent
            if more is not None:
                del self.scheduled[id(actor)]
                self.schedule_rest(actor)

    def _recover(self, me: Worker, error: BaseException) -> None:
        """The worker goes on as a new one would. The actor that it ran has failed; one that it only had taken goes back."""
        log("error", "something was thrown into a worker of a pool, which goes on", error=error)
        turn, me.turn = me.turn, None
        self._workers.mend(me)
        if turn is not None:
            if not (self._stands_in_line(turn) or any(other is turn for other in self._workers.turns())):
                turn._lifecycle_interrupted(error)
                self.scheduled.pop(id(turn), None)
            self.schedule_rest(turn)
        with self.lock:
            if self._workers.at_work > 1:
                return  # what seems lost may be in another's hand
            for place in list(self.scheduled.values()):
                if isinstance(place, tuple) and place[0]._pooled_hold is None and not self._stands_in_line(place[0]):
                    self._ready.append(place[0])

    def _take_from_line(self, actor: Runnable) -> None:
        """There is nobody who would come to it."""
        with self.lock:
            others = [other for other in self._ready if other is not actor]
            if len(others) < len(self._ready):
                self._ready.clear()
                self._ready.extend(others)
                del self.scheduled[id(actor)]

    def _stands_in_line(self, actor: Runnable) -> bool:
        return any(other is actor for other in list(self._ready))

    def _see_to_stranded(self) -> None:
        """Put the stranded into the line. The lock is held."""
        while self.stranded:
            actor = self.stranded.pop()
            if actor._pooled_has_work() and not self._closed:
                place = (actor,)
                if self.scheduled.setdefault(id(actor), place) is place:
                    self._ready += place

    def _forget_threads(self) -> None:
        """Forget the workers, in a forked child: they are in the parent. What is left here can only be refused."""
        self.lock = threading.RLock()
        self._closed = True
        self._ready.clear()
        self.stranded.clear()
        self.scheduled = _OfParent()
        self._workers = Workers(self.workers, self.lock, self._ready, self._work)
        self._workers.end()


class _OfParent(dict[int, object]):
    """The `scheduled` of a pool that was left behind by a fork: no actor can be claimed, and to schedule one is refused."""

    def __contains__(self, _key: object) -> bool:
        return False

    def setdefault(self, _key: int, _value: object = None) -> object:
        raise InForkedChild


_pools: WeakBag[ActorPool] = WeakBag()
_defaults: dict[str, ActorPool] = {}
_default_lock = threading.Lock()
_has_drained = False


def default_pool(of: str = "actors") -> ActorPool:
    """The pool of actors that were given none. A forked child gets a new one.

    Args:
        of: whose pool; each has one of its own. Default: that of all who need none to themselves.
    """
    with _default_lock:
        if of not in _defaults:
            _defaults[of] = ActorPool()
        return _defaults[of]


def has_no_thread(error: BaseException) -> bool:
    """Whether an error is Python's word that no thread can be started."""
    return type(error) is RuntimeError or type(error).__name__ == "PythonFinalizationError"  # from 3.13 on, at the end


def look_after_all() -> bool:
    """See to it that all pools get on, for a thread that waits: its actor may wait for one of another pool. Always False."""
    for pool in _pools:
        pool.look_after()
    return False


def _is_drained_later(error: BaseException) -> bool:
    """Whether the interpreter is ending, so that no thread can be started, and `_drain` is yet to come."""
    return not _has_drained and "interpreter shutdown" in str(error)


def _drain() -> None:
    """The interpreter ends: what was told to pooled actors is handled, for up to 5 s; what is left then is dropped, and said."""
    global _has_drained
    deadline_s = time.monotonic() + _END_S
    while not _are_idle(pools := [pool for pool in _pools if not pool._closed]) and time.monotonic() < deadline_s:
        for pool in pools:
            pool._wait_until_idle(deadline_s)
    _has_drained = True
    left = sum(pool._count_left() for pool in pools)
    busy = [named(actor) for pool in pools for actor in pool._workers.turns()]
    if left or busy:
        print(
            f"lightspeed: at the end {left} messages to pooled actors were dropped; busy: {', '.join(busy) or 'none'}",
            file=sys.stderr,
        )


def _are_idle(pools: list[ActorPool]) -> bool:
    """Whether all pools are idle at once: actors of one may tell those of another."""
    with ExitStack() as held:
        for pool in pools:
            if not pool.lock.acquire(timeout=0.1):  # not for ever: a finalizer may hold one and want another
                return False
            held.callback(pool.lock.release)
        is_anyone_busy = any(pool._workers.are_busy for pool in pools)  # first: who is busy may tell others
        return not is_anyone_busy and all(pool._is_idle for pool in pools)


@in_forked_child
def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    _pools.renew_lock()
    _defaults.clear()
    here.context = ThreadContext()
    for pool in _pools:
        pool._forget_threads()


atexit.register(_drain)
