"""An event loop of asyncio that takes part in a simulation, as an actor does: in virtual time, one call a step.

What is called soon comes in order, as asyncio promises; between two calls the scheduler may let any actor, client or other loop
come in. What is due at the same moment may come in any order.
"""

import asyncio
import math
import sys
from asyncio.log import logger
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVarTuple
from weakref import WeakKeyDictionary

from lightspeed.actors.checks import is_put_off
from lightspeed.actors.context import ThreadContext
from lightspeed.actors.errors import SimulationMisused, SimulationStuck
from lightspeed.actors.failures import text_of
from lightspeed.testing.pool import FOR_EVER_S, MOST_STEPS, Bystander
from lightspeed.testing.tasks import Call, LaterCall, SimulatedFuture, SimulatedTask, called, close_coroutine, task_of, waiting_at
from lightspeed.testing.trace import Act, in_ours, kind_of, note

if TYPE_CHECKING:
    from lightspeed.testing.simulation import Simulation

__tracebackhide__ = in_ours  # asked by pytest

_MOST_SHOWN = 10  # tasks that wait, in one error
_MANY = 1_000  # failed tasks: those that were asked are dropped then


_Ts = TypeVarTuple("_Ts")
_Generator = AsyncGenerator[Any, Any]
_Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class _Calls(deque[Act]):
    """The inbox of a loop: what it is to call soon, in order."""

    name = ""


class SimulatedLoop(Bystander, asyncio.AbstractEventLoop):
    """For the simulation's thread only. Made by `Simulation.loop`, or by `Simulation.new_loop`.

    Tasks and calls may be put in from anywhere in the simulation: an actor's turn, a client's call, the play.
    """

    def __init__(self, simulation: "Simulation", name: str) -> None:
        self._simulation, self._pool = simulation, simulation.pool
        self._entries, self._scheduled = simulation.trace.entries, simulation.pool.scheduled
        self._name = name
        self._calls = _Calls()
        self._calls.name = name
        super().__init__(self._calls)  # type: ignore[arg-type]
        self._tasks: dict[asyncio.Task[Any], str] = {}  # that are not done, with their names
        self._failed: list[tuple[str, asyncio.Task[Any]]] = []  # of which it may be that nobody has asked
        self._untold: list[tuple[str, BaseException]] = []
        self._asyncgens: WeakKeyDictionary[_Generator, None] = WeakKeyDictionary()  # which has an order, and a WeakSet none
        self._numbers = 0
        self._awaited: asyncio.Future[Any] | None = None  # by run_until_complete
        self._is_driven = self._has_gone_on = False
        self._gone_on_s, self._gone_on_number = 0.0, 0
        self._exception_handler: _Handler | None = None
        self._task_factory: Any = None
        self._is_debug = self._is_closed = False
        self._entries.append(("start", name))

    # Calls

    def call_soon(self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None) -> asyncio.Handle:
        self._check()
        call = Call(callback, args, self, context)
        call.task = task = task_of(callback)
        self._line_up(called(callback) if task is None else self._known(task), call)
        return call

    call_soon_threadsafe = call_soon  # another thread is turned away

    def call_later(
        self, delay: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._put_off(LaterCall(self._pool.clock.now_s + delay, callback, args, self, context), callback, delay)

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._put_off(LaterCall(when, callback, args, self, context), callback, when - self._pool.clock.now_s)

    def _put_off(self, call: LaterCall, callback: object, delay_s: float) -> LaterCall:
        self._check()
        what, when_s = called(callback), call.when()
        call.timer = None
        if when_s <= self._pool.clock.now_s:
            call.timer = self._pool.call_now(lambda: self._line_up(what, call))
        elif when_s < math.inf:
            call.timer = self._pool.call_at(when_s, delay_s, lambda: self._line_up(what, call))
        return call

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if handle.timer is not None:
            handle.timer.cancel()

    def _line_up(self, what: str, call: Any) -> None:
        self._entries.append(("put", self._name, what))
        self._calls.append(Act(what, call))
        if id(self) not in self._scheduled and not self._is_closed:
            self._pool.schedule(self)

    def _pooled_run(self, _limit: int, _context: ThreadContext) -> bool:
        """One call. What it raises is this loop's, and of an actor that waits meanwhile no affair."""
        if not self._calls:
            return False  # it was closed
        call: Any = self._calls.popleft().call
        outer, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        try:
            asyncio._set_running_loop(self)
            sys.set_asyncgen_hooks(self._see_asyncgen, self._lose_asyncgen)
            if not call.cancelled():
                call._run()
        except BaseException as error:  # a KeyboardInterrupt or a SystemExit
            self._pool.break_by(error)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
        if call.task is not None:
            if call.task is self._awaited:
                self._has_gone_on = True
            if call.task.done():
                self._see_end(call.task)
        return bool(self._calls)

    # Tasks and futures

    def create_future(self) -> asyncio.Future[Any]:
        return SimulatedFuture(self._next_number(), self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        """A task. Where it has no name, its name is as it stands in the trace."""
        self._check()
        if context is not None:
            options["context"] = context
        task: asyncio.Task[Any]
        if self._task_factory is None:
            what = self._pool.name(called(coro))
            task = SimulatedTask(coro, self._next_number(), what, self, name=what if name is None else name, **options)
        else:
            task = self._task_factory(self, coro, **options)
            if name is not None:
                task.set_name(name)
        if task not in self._tasks:
            self._tasks[task] = task.what if type(task) is SimulatedTask else self._pool.name(called(coro))
        if task.done():  # at once, where it is eager
            self._see_end(task)
        return task

    def set_task_factory(self, factory: Any) -> None:
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _known(self, task: asyncio.Task[Any]) -> str:
        """The task's name in the trace. One that was not made by `create_task` is kept from here on."""
        if type(task) is SimulatedTask:
            return task.what
        if task not in self._tasks:
            self._tasks[task] = self._pool.name(called(task.get_coro()))
        return self._tasks[task]

    def _see_end(self, task: asyncio.Task[Any]) -> None:
        what = self._tasks.pop(task, None)
        if what is None:
            return  # the simulation was abandoned in the middle of it
        error = None if task.cancelled() else task._exception
        self._entries.append(("end", what, "cancelled" if task.cancelled() else "normal" if error is None else kind_of(error)))
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            task.exception()  # it was raised, too
        elif error is not None:
            if len(self._failed) % _MANY == 0:
                self._failed = [failed for failed in self._failed if failed[1]._log_traceback]
            self._failed.append((what, task))

    # Running

    def run_until_complete(self, future: Any) -> Any:
        """Step, and let time pass, until the future or coroutine is done; its result. For the play itself.

        Raises:
            SimulationMisused: it is called within a turn, or within another running loop.
            SimulationStuck: nothing is left that could finish it, or it has not gone on in a day of virtual time.
            InvariantBroken: on the way.
        """
        try:
            self._check()
            self.check_outside("run_until_complete")
        except SimulationMisused:
            is_put_off(future)  # which closes it
            raise
        self._awaited = awaited = asyncio.ensure_future(future, loop=self)
        try:
            self._see_through(awaited)
            return awaited.result()
        finally:
            self._awaited = None

    def _see_through(self, future: asyncio.Future[Any]) -> None:
        self._is_driven = self._has_gone_on = True
        pool, clock = self._pool, self._pool.clock
        moment_s, first = clock.now_s, pool.steps
        try:
            while not future.done():
                if not self._simulation.step():
                    self._simulation.run()  # no step: what must be so at rest is looked at
                    if not pool.ready and not self._pass_time():
                        self._raise_stuck(future)
                if clock.now_s != moment_s:
                    moment_s, first = clock.now_s, pool.steps
                elif pool.steps - first > MOST_STEPS:
                    raise SimulationStuck(f"it is still busy after {MOST_STEPS:,} steps, and {self._waiting()}")
        finally:
            self._is_driven = False

    def _pass_time(self) -> bool:
        """To what is due next. False: nothing is, or the future that is awaited has had its time, and what it put off too."""
        clock = self._pool.clock
        if self._has_gone_on:
            self._has_gone_on, self._gone_on_s, self._gone_on_number = False, clock.now_s, clock.count
        limit_s = self._gone_on_s + FOR_EVER_S
        return self._pool.advance(limit_s if clock.next_s() <= limit_s else clock.last_s(self._gone_on_number))

    def _raise_stuck(self, future: asyncio.Future[Any]) -> None:
        what = self._known(future) if isinstance(future, asyncio.Task) else "a future"
        is_over = self._pool.clock.is_idle
        why = "nothing is left that could finish it" if is_over else f"has not gone on for {FOR_EVER_S:,.0f} s, while others did"
        text = f"{what} is waited for, and {why}: {self._waiting()}"
        self._raise_untold(text)
        raise SimulationStuck(text)

    def _waiting(self) -> str:
        texts = [f"{what} waits at {waiting_at(task)}" for task, what in list(self._tasks.items())[:_MOST_SHOWN]]
        more = len(self._tasks) - len(texts)
        return "; ".join([*texts, *([f"and {more} more"] if more else [])]) or "no task waits"

    def run_forever(self) -> None:
        """Refused: nobody would end it."""
        raise SimulationMisused("run_forever would not end: use run_until_complete, or the simulation's run_for")

    def stop(self) -> None:
        """Refused: there is no `run_forever`."""
        raise SimulationMisused("stop ends a run_forever, which there is not: end what run_until_complete waits for")

    def is_running(self) -> bool:
        return self._is_driven or asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        """Nothing is called any more. Its simulation closes it where nobody has. Harmless where it is closed.

        Raises:
            SimulationMisused: it runs.
        """
        if self.is_running():
            raise SimulationMisused("a loop that runs can't be closed")
        self._is_closed = True
        self._calls.clear()

    def time(self) -> float:
        return self._pool.clock.now_s

    def get_debug(self) -> bool:
        return self._is_debug

    def set_debug(self, enabled: bool) -> None:
        self._is_debug = enabled

    def _check(self) -> None:
        if not self._pool.is_here:
            self._pool.check_thread("an event loop of a simulation was called")
        if self._is_closed:
            raise SimulationMisused("the event loop is closed")

    def check_outside(self, what: str) -> None:
        """Refuse what waits for coroutines, where they could not go on meanwhile."""
        if self._pool.is_running:
            raise SimulationMisused(f"{what} is for the play itself, and was called within a turn: there, await")
        if asyncio._get_running_loop() is not None:
            raise SimulationMisused(f"{what} was called within another running event loop: call it from a plain function")

    # What fails

    def set_exception_handler(self, handler: _Handler | None) -> None:
        self._exception_handler = handler

    def get_exception_handler(self) -> _Handler | None:
        return self._exception_handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """As of asyncio; what the program's handler raises ends the simulation."""
        if self._exception_handler is None:
            self.default_exception_handler(context)
            return
        try:
            self._exception_handler(self, context)
        except BaseException as error:
            self._pool.break_by(error)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """What a call raised ends the simulation at once, and what nobody has asked a future for at the end of the play.

        What comes without an exception, or when the loop is closed, goes to the log of asyncio.
        """
        message, error = context.get("message", ""), context.get("exception")
        if not isinstance(error, BaseException) or self._is_closed:
            logger.error("%s", message, exc_info=error if isinstance(error, BaseException) else None)
        elif "handle" in context:
            note(error, f"in a call of {self._name}")
            self._pool.break_by(error)
        else:
            # A future tells it when it is garbage: when that is hangs on more than the seed.
            self._untold.append((message, error))

    def _raise_untold(self, *more: str) -> None:
        """Raise what a task or a future failed of, and nobody has asked it for; the others are noted, and what is given."""
        untold = self._take_untold()
        if untold:
            (where, first), *others = untold
            for text in (where, *(f"and {where}: {text_of(error)}" for where, error in others), *more):
                note(first, text)
            raise first

    def _take_untold(self) -> list[tuple[str, BaseException]]:
        untold = [
            (f"in task {what}, which nobody awaited", error)
            for what, task in self._failed
            if task._log_traceback and (error := task.exception()) is not None
        ]
        untold += self._untold
        self._failed, self._untold = [], []
        return untold

    # The end

    def end(self) -> None:
        """Cancel the tasks that are left, and wait for them, as `asyncio.run` does at its end; and end asynchronous generators.

        Raises:
            BaseException: what a task or a future failed of, and nobody has asked it for.
        """
        if not self._is_closed:
            left = list(self._tasks)
            for task in left:
                task.cancel()
            for task in left:
                self._see_through(task)
            if left:
                self._simulation.run()  # who is called at their ends may ask what they failed of
            if self._asyncgens:
                self.run_until_complete(self.shutdown_asyncgens())
        self._raise_untold()

    def drop(self) -> list[str]:
        """Nothing of it runs or warns any more, and its tasks end where they stand. What had failed, and was told to nobody."""
        self._is_closed = True
        for task in list(self._tasks):
            close_coroutine(task)
        self._tasks.clear()
        return [f"{where}: {text_of(error)}" for where, error in self._take_untold()]

    def _see_asyncgen(self, generator: _Generator) -> None:
        self._asyncgens[generator] = None

    def _lose_asyncgen(self, generator: _Generator) -> None:
        """It is garbage, and not at its end."""
        if not self._is_closed and self._pool.is_here:
            self.create_task(generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        left = list(self._asyncgens)
        self._asyncgens.clear()
        results = await asyncio.gather(*(generator.aclose() for generator in left), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                message = "an asynchronous generator failed as it was closed"
                self.call_exception_handler({"message": message, "exception": result})

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""


_A_THREAD = "a simulation has one thread: await a coroutine, or ask an actor of the simulation"
_A_NETWORK = "a simulation has no network: use a channel of the simulation, or a fake with queues"
_A_PROCESS = "a simulation has no processes: use an actor of the simulation, or a fake"
_A_SIGNAL = "a simulation hears no signals: call what they would"

_INSTEAD = {
    **dict.fromkeys(("run_in_executor", "set_default_executor"), _A_THREAD),
    **dict.fromkeys(("subprocess_exec", "subprocess_shell", "connect_read_pipe", "connect_write_pipe"), _A_PROCESS),
    **dict.fromkeys(("add_signal_handler", "remove_signal_handler"), _A_SIGNAL),
}


def _refusal(name: str) -> Callable[..., None]:
    def refuse(_loop: SimulatedLoop, *_args: object, **_options: object) -> None:
        raise SimulationMisused(f"{name} leaves the simulation, and {_INSTEAD.get(name, _A_NETWORK)}")

    refuse.__name__ = name
    return refuse


for _name, _what in vars(asyncio.AbstractEventLoop).items():  # all that is not written above
    if callable(_what) and not _name.startswith("_") and _name not in vars(SimulatedLoop):
        setattr(SimulatedLoop, _name, _refusal(_name))
