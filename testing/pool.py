"""A pool without threads: the simulation runs its actors, one message at a time, in an order that a scheduler chooses."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lightspeed.actors.context import ThreadContext, here
from lightspeed.actors.errors import ExitReason, InvariantBroken, PoolClosed, SimulationMisused, SimulationStuck
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import ActorPool, Runnable
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.text import shown
from lightspeed.actors.topics.mail import Delivery
from lightspeed.supervision import Supervisor
from lightspeed.testing.clock import VirtualClock, VirtualTimer
from lightspeed.testing.schedulers import Scheduler
from lightspeed.testing.trace import Trace, described, in_ours, is_event, kind_of, printable

FOR_EVER_S = 86_400.0
"""What has not come in so much virtual time will not come, though timers go on and on."""

# Answered ones are dropped when so many stand there: often enough for the memory, and seldom enough for the time.
_MANY = 1_000

MOST_STEPS = 1_000_000
"""In one moment of virtual time: some seconds of real time. What takes more does not end."""


__tracebackhide__ = in_ours  # asked by pytest
_append = list.append


class Asks:
    """The asks of one simulation that have no answer yet: who has handled all that it was sent has answered all."""

    def __init__(self) -> None:
        self._open: list[tuple[Any, str, Envelope[Any]]] = []

    def __bool__(self) -> bool:
        """Whether any is kept; it may be answered."""
        return bool(self._open)

    def put(self, actor: Any, name: str, envelope: Envelope[Any]) -> None:
        """An actor of this name was asked this."""
        if not isinstance(envelope.reply_to, PooledFuture):
            return  # a part of a tree, of which whoever gathers it knows
        self._open.append((actor, name, envelope))
        if len(self._open) % _MANY == 0:
            self._drop_answered()

    def check(self, paused: set[int], *, more_comes: bool) -> None:
        """All have come to rest.

        Args:
            paused: the ids of the actors that a fault holds up.
            more_comes: whether anything is put off. A supervisor may answer then; others answer as they handle.

        Raises:
            InvariantBroken: one should have answered.
        """
        self._drop_answered()
        for actor, name, envelope in self._open:
            waits = id(actor) in paused or (more_comes and isinstance(actor, Supervisor))
            if not waits:
                raise InvariantBroken("answered", f"{name} was asked {shown(envelope.message)} and is at rest without an answer")

    def _drop_answered(self) -> None:
        self._open = [ask for ask in self._open if ask[2].reply_to._outcome is None]  # type: ignore[union-attr]


class Inbox(list[Any]):
    """An actor's inbox, in the trace."""

    __slots__ = ("_actor", "_asks", "_entries", "name")

    def __init__(self, name: str, actor: Any, trace: Trace, asks: Asks) -> None:
        self.name, self._actor, self._entries, self._asks = printable(name), actor, trace.entries, asks

    def append(self, message: Any) -> None:
        kind = type(message)
        if kind is Delivery:  # nearly everything is, or an event
            self._entries.append(("put", self.name, message.request))
        else:
            self._entries.append(("put", self.name, message if is_event(kind) else described(message)))
            if kind is Envelope and message.reply_to is not None:
                self._asks.put(self._actor, self.name, message)
        _append(self, message)


class _Tickets(dict[int, Any]):
    """Nobody claims an actor in passing, to run it within another: each runs when it is chosen."""

    def setdefault(self, key: int, value: Any = None) -> Any:
        return None if isinstance(value, ThreadContext) else super().setdefault(key, value)


class SimulatedPool(ActorPool):
    """For one thread, the simulation's own."""

    tells_of_actors = True
    """In the trace: Pykka's log need not, which would repeat it for every run of a search."""

    def __init__(self, scheduler: Scheduler, trace: Trace) -> None:
        super().__init__()
        self.scheduled: dict[int, Any] = _Tickets()
        self.ready: list[Any] = []
        self.clock = VirtualClock()
        self.steps = self._steps_before = 0  # before this moment
        self.broken: BaseException | None = None
        """What ends the simulation: raised by the step in which it came up."""
        self._is_running = False  # an actor, so that whoever runs others now waits within it
        self.may_wait = True
        """Whether others may be run within whoever waits."""
        self._choose, self._trace = scheduler.choose, trace
        self._entries, self._choices, self._widths = trace.entries, trace.choices, trace.widths
        self._resumed: dict[int, Any] = {}  # what they get once more; till then it is in nobody's inbox, since it is in hand
        self._paused: dict[int, tuple[Any, Any]] = {}
        self._names: dict[str, int] = {}
        self._asks = Asks()
        self.at_rest: list[Callable[[], None]] = []
        """What looks at what must be so when nobody is ready."""
        self._context = here.context

    def name(self, kind: str) -> str:
        """A name of its own for one of this kind: the first is called as the kind."""
        number = self._names[kind] = self._names.get(kind, 0) + 1
        return kind if number == 1 else f"{kind}:{number}"

    def call_later(self, delay_s: float, call: Callable[[], None]) -> VirtualTimer:
        """As of the clock, in the trace."""
        return self.call_at(self.clock.now_s + delay_s, delay_s, call)

    def call_at(self, when_s: float, delay_s: float, call: Callable[[], None]) -> VirtualTimer:
        """As `call_later`, at a moment; the delay is as it stands in the trace."""
        timer = self.clock.call_at(when_s, call)
        self._entries.append(("later", timer.name, repr(delay_s)))
        return timer

    def call_now(self, call: Callable[[], None]) -> VirtualTimer:
        """As `call_later`, of what is due: it comes in its turn, though others are ready."""
        timer = self.clock.timer(call)
        self._entries.append(("later", timer.name, "0"))
        self._schedule_due(timer)
        return timer

    def monotonic_s(self) -> float:
        return self.clock.now_s

    # For actors

    def schedule(self, actor: Any) -> None:
        self.check_thread("an actor of a simulation was told something")
        if id(actor) in self.scheduled:
            return
        if self._closed:
            raise PoolClosed
        if type(actor._pooled_inbox) is list:
            self.adopt(actor, self.name(kind_of(actor)))
        self.scheduled[id(actor)] = actor
        self.ready.append(actor)

    def check_thread(self, what: str) -> None:
        """Refuse what was done in another thread."""
        if not self.is_here:
            raise SimulationMisused(f"{what} in another thread than the simulation's")

    def take_up(self, actor: Any) -> None:
        """Have an actor run that was held until a coroutine was back."""
        if not self._closed:
            self.ready.append(actor)

    def strand(self, actor: Runnable) -> None:
        pass  # no exception of a worker's, or for want of one

    def look_after(self) -> None:
        pass

    def adopt(self, actor: Any, name: str) -> None:
        """From here on what it is told stands in the trace, under this name."""
        inbox = Inbox(name, actor, self._trace, self._asks)
        self._entries.append(("start", inbox.name))
        for message in actor._pooled_inbox:
            inbox.append(message)
        actor._pooled_inbox = inbox

    def wait_for(self, signal: threading.Lock, timeout_s: float | None) -> bool:
        """Run others, within whoever waits, until one of them releases it.

        Raises:
            SimulationMisused: a rule waits.
            SimulationStuck: nobody is left who could release it, and there is no timeout.
        """
        if not self.may_wait:
            raise SimulationMisused("a rule must not wait: it may look at state of yours, and ask no channel and no actor")
        limit_s = self.clock.now_s + (FOR_EVER_S if timeout_s is None else timeout_s)
        while not signal.acquire(blocking=False):
            if not self.step() and not self.advance(limit_s):
                if timeout_s is None:
                    raise SimulationStuck("an answer is waited for without a timeout, and nobody is left who could give it")
                return False
        return True

    # For the simulation

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the simulation's."""
        return here.context is self._context

    @property
    def is_running(self) -> bool:
        """Whether one of its actors, or of who takes turns as they do, is at work: whoever asks does so within it."""
        return self._is_running

    def step(self) -> bool:
        """Let one of those who are ready handle one message; False where nobody is."""
        return self.run(1) > 0

    def run(self, most_steps: int) -> int:
        """Step until nobody is ready, or so often. How many steps it took, those within others counted.

        Raises:
            BaseException: what `broken` came to be, by the step in which it did, or within which it did.
        """
        if self._is_running and (loop := asyncio._get_running_loop()) is not None:
            with _outside(loop):
                return self.run(most_steps)
        # All that a simulation does is done in this loop: it is one function, since calls would be a third of its time.
        ready, choices, widths, entries = self.ready, self._choices, self._widths, self._entries
        choose, resumed, paused, context, first = self._choose, self._resumed, self._paused, self._context, self.steps
        outer, is_inner = self._context.actor, self._is_running
        while ready and self.steps - first < most_steps:
            count = len(ready)
            if count > 1:
                index = choose(ready)
                choices.append(index)
                widths.append(count)
                actor = ready.pop(index)
            else:
                actor = ready.pop()
            self.steps += 1
            key, inbox, exit_before, limit, what = id(actor), actor._pooled_inbox, actor._lifecycle_exit, 1, "end"
            if resumed and key in resumed:
                actor._pooled_taken = [*actor._pooled_taken, resumed.pop(key)]
            if not (actor._pooled_begun or actor._pooled_dead):
                limit, what = 0, "start"
            elif actor._pooled_hold is not None:
                limit, what = 0, "go on"
            elif waiting := actor._pooled_taken[-1:] or inbox:
                what = described(waiting[0])
            entries.append(("run", inbox.name, what))
            context.actor, self._is_running = None, True
            try:
                more = actor._pooled_run(limit, context)
            except BaseException:  # a client's or a timer's, which is for whoever runs the simulation, and may be gone on after
                self._let_go(actor)
                raise
            finally:
                context.actor, self._is_running = outer, is_inner
            if not (paused and key in paused):
                if more:
                    ready.append(actor)
                elif more is not None:
                    self._let_go(actor)
                    if actor._lifecycle_exit is not exit_before and type(actor._lifecycle_exit) is ExitReason:
                        self._see_end(inbox.name, actor._lifecycle_exit)
            if self.broken is not None and not is_inner:  # else it would be raised in the code of an actor that waits
                self.raise_broken()
        return self.steps - first

    def break_by(self, error: BaseException) -> None:
        """The first one ends the simulation, with the step in which it came up."""
        if self.broken is None:
            self.broken = error

    def raise_broken(self) -> None:
        """Once; nothing where it is not broken."""
        broken, self.broken = self.broken, None
        if broken is not None:
            raise broken

    def _let_go(self, actor: Any) -> None:
        """Take an actor that has been run out of the scheduled; it is idle, or lines up again."""
        del self.scheduled[id(actor)]
        if actor._pooled_inbox:
            self.schedule_rest(actor)

    def _see_end(self, name: str, reason: ExitReason) -> None:
        self._entries.append(("end", name, reason.kind if reason.error is None else kind_of(reason.error)))
        if isinstance(reason.error, KeyboardInterrupt):
            self.broken = reason.error  # that is for whoever runs the simulation

    def advance(self, limit_s: float) -> bool:
        """Move the clock on to what is due next, up to the limit; False, and it stands at the limit, where nothing is.

        Raises:
            SimulationStuck: time does not pass, since calls are put off by no time again and again.
        """
        before_s, due = self.clock.now_s, self.clock.advance(limit_s)
        if self.clock.now_s > before_s:
            self._steps_before = self.steps
        elif self.steps - self._steps_before > MOST_STEPS:
            raise SimulationStuck(f"after {MOST_STEPS:,} steps it is still {before_s:g} s, and more is put off by no time")
        self._entries.append(("time", repr(self.clock.now_s)))
        for timer in due:
            self._schedule_due(timer)
        return bool(due)

    def _schedule_due(self, timer: VirtualTimer) -> None:
        self.schedule(_Due(timer, Inbox(timer.name, None, self._trace, self._asks)))

    def asked(self, actor: Any, what: str, reply: PooledFuture) -> None:
        """An actor is to answer this too, though it was not told so."""
        self._asks.put(actor, kind_of(actor), Envelope(what, reply_to=reply))

    def check_at_rest(self) -> None:
        """Nobody is ready.

        Raises:
            InvariantBroken: an ask should have been answered.
        """
        if self._asks:
            self._asks.check(set(self._paused), more_comes=not self.clock.is_idle)
        for check in list(self.at_rest):  # one may take itself out
            check()
        self.raise_broken()

    def pause(self, actor: Any, message: Any, seconds: float | None = None) -> None:
        """From here on it is not run, until `resume`; then it gets the message once more, before all others. None: no message.

        Args:
            seconds: so much later it is resumed. None, the default: only by `resume`.
        """
        self._paused[id(actor)] = actor, message
        if seconds is not None:
            self.call_later(seconds, lambda: self.resume(actor))

    def resume(self, actor: Any) -> None:
        """Harmless where it is not paused."""
        if id(actor) not in self._paused:
            return
        _actor, message = self._paused.pop(id(actor))
        if message is not None:
            self._resumed[id(actor)] = message
        self.ready.append(actor)

    def paused_of(self, classes: Iterable[type]) -> list[Any]:
        """Those of these classes that are paused."""
        return [actor for actor, _message in self._paused.values() if isinstance(actor, tuple(classes))]

    def retire(self) -> None:
        pass  # it keeps nothing ready

    def close(self, timeout_s: float = 0.0) -> list[str]:
        """Nobody runs any more. The names of those who would have."""
        self._closed = True
        return [actor._pooled_inbox.name for actor in self.ready]


@contextmanager
def _outside(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """A coroutine waits as a plain call does, and so does its loop: who runs meanwhile is not on it."""
    task = asyncio.current_task(loop)
    try:
        if task is not None:
            asyncio._leave_task(loop, task)
        asyncio._set_running_loop(None)
        yield
    finally:
        asyncio._set_running_loop(loop)
        if task is not None:
            asyncio._enter_task(loop, task)


class Bystander:
    """What takes turns as an actor does, and is none."""

    _pooled_begun = True
    _pooled_hold = None
    _pooled_taken = ()
    _lifecycle_exit = ()

    def __init__(self, inbox: list[Any]) -> None:
        self._pooled_inbox = inbox

    def _pooled_has_work(self) -> bool:
        return bool(self._pooled_inbox)


class _Due(Bystander):
    """A timer that is due, in the line of those who are ready."""

    def __init__(self, timer: VirtualTimer, inbox: Inbox) -> None:
        super().__init__(inbox)
        self._timer = timer
        list.append(inbox, "due")  # past the trace: there it stands when it runs

    def _pooled_run(self, _limit: int, _context: ThreadContext) -> bool:
        self._pooled_inbox.clear()
        call, self._timer.call = self._timer.call, None
        if call is not None:
            call()
        return False
