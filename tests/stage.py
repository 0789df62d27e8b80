"""A stage for supervisors: children that do as a script says, a book of what happened, and a clock that is moved by hand."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pykka
import pytest

from lightspeed.actors import PooledActor, Shutdown, Supervisable, watch
from lightspeed.actors.context import here
from lightspeed.actors.pool import ActorPool
from lightspeed.actors.tasks import TaskActor
from lightspeed.supervision import AsyncSupervisor, ChildSpec, Supervisor, starting

TRANSITIONAL = {"starting", "stopping", "ended", "restarting"}


class Book:
    """What happened, in order. Any thread writes, and any may wait for a line."""

    def __init__(self):
        self.lines = []
        self._written = threading.Condition()

    def write(self, *line):
        with self._written:
            self.lines.append(line)
            self._written.notify_all()

    def wait_for(self, *line, count=1):
        with self._written:
            assert self._written.wait_for(lambda: self.lines.count(line) >= count, timeout=20), (line, self.lines)

    def of(self, hook):
        return [name for what, name in self.lines if what == hook]


class Ear:
    """A watcher that keeps what it is told."""

    def __init__(self):
        self.downs, self._told = [], threading.Semaphore(0)

    def __call__(self, down):
        self.downs.append(down)
        self._told.release()

    def next(self):
        assert self._told.acquire(timeout=20)
        return self.downs[-1]


class Actor:
    """Writes each hook into the stage's book, and does what the script has for it: `script[name, hook]`, called."""

    def __init__(self, stage, name):
        super().__init__(**({"pool": stage.pool} if isinstance(self, PooledActor) else {}))
        self.stage, self.name = stage, name

    def on_start(self):
        self.play("on_start")

    def on_stop(self):
        self.play("on_stop")

    def on_failure(self, *_exc_info):
        self.play("on_failure")

    def on_receive(self, message):
        return message() if callable(message) else message

    def play(self, hook):
        self.stage.book.write(hook, self.name)
        todo = self.stage.script.get((self.name, hook))
        if todo is not None:
            todo()


class Pooled(Actor, PooledActor):
    pass


class Threaded(Actor, Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True


class ToldTask(TaskActor):
    """A task that can be told something, in the place of those of the library, which can't."""

    mailbox = None

    def on_receive(self, message):
        self.mailbox.put_nowait(message)


async def task(stage, name):
    """As an `Actor` does. Hooks may be awaitable; what holds one up outlasts a cancellation, as a hook of an actor would."""
    mailbox = here.context.task.mailbox = asyncio.Queue()
    with starting():
        is_cancelled = await stage.play(name, "on_start")
    try:
        if is_cancelled:
            raise asyncio.CancelledError
        while True:
            message = await mailbox.get()
            if callable(message):
                message()
    except (asyncio.CancelledError, Shutdown):
        await stage.play(name, "on_stop")
        raise
    except BaseException:
        await stage.play(name, "on_failure")
        raise


class LoopEvent:
    """As a `threading.Event`, and awaited on the loop: whether it outlasted a cancellation."""

    def __init__(self, loop):
        self._loop, self._event = loop, asyncio.Event()

    def set(self):
        self._loop.call_soon_threadsafe(self._event.set)

    async def outlast(self):
        is_cancelled = False
        while not self._event.is_set():
            try:
                await self._event.wait()
            except asyncio.CancelledError:
                is_cancelled = True
        return is_cancelled


class HandClock:
    """A clock for deadlines that stands still until it is moved."""

    def __init__(self):
        self._now_s, self._timers, self._lock = 0.0, [], threading.Lock()

    def monotonic_s(self):
        return self._now_s

    def call_later(self, delay_s, call):
        timer = _HandTimer(self._now_s + delay_s, call)
        with self._lock:
            self._timers.append(timer)
        return timer

    def advance(self, seconds):
        with self._lock:
            self._now_s += seconds
            due = [timer for timer in self._timers if timer.due_s <= self._now_s]
            self._timers = [timer for timer in self._timers if timer.due_s > self._now_s]
        for timer in due:
            timer.call()


class _HandTimer:
    def __init__(self, due_s, call):
        self.due_s, self.call = due_s, call

    def cancel(self):
        self.call = lambda: None


class Stage:
    """Supervisors and their children, on pools of its own. `close` is called after the test."""

    loop = None

    def __init__(self, kind=Pooled):
        self.kind = kind
        self.pool, self.supervisors = ActorPool(workers=8), ActorPool()  # children that block hold up no others
        self.book, self.script, self.clock = Book(), {}, HandClock()
        self._callers = ThreadPoolExecutor(8)
        self._held = []

    def spec(self, name, **options):
        return ChildSpec(name, (options.pop("cls", self.kind), (self, name), {}), **options)

    def options(self, *names, children=(), **options):
        """What a Supervisor is started with: children of these names, or these specs."""
        specs = [self.spec(name) if isinstance(name, str) else name for name in (*names, *children)]
        return {"children": specs, "clock": self.clock, "pool": self.supervisors, **options}

    def start(self, *names, **options):
        return Supervisor.start(**self.options(*names, **options))

    def begin(self, *names, **options):
        """As `start`, but without waiting; the supervisor's reference, and a future of its start."""
        ref = Supervisor._supervised_start(**self.options(*names, **options))
        return ref, ref._actor._first_start

    def spec_of_supervisor(self, name, *names, kind="permanent", significant=False, **options):
        return ChildSpec(name, (Supervisor, (), self.options(*names, **options)), kind=kind, significant=significant)

    def soon(self, call, *args, **options):
        """Have another thread call; a future of its answer."""
        return self._callers.submit(call, *args, **options)

    def hold(self, name, hook, error=None):
        """Have the hook last until what is returned is set, or the test is over; and then fail."""
        go_on = threading.Event()
        self._held.append(go_on)

        def last():
            go_on.wait(60)
            if error is not None:
                raise error

        self.script[name, hook] = last
        return go_on

    def fail(self, name, hook, error=None):
        """Have the hook fail."""

        def raise_it():
            raise ValueError(f"planted in {hook}") if error is None else error

        self.script[name, hook] = raise_it

    def close(self):
        for go_on in self._held:
            go_on.set()
        self.script.clear()
        pykka.ActorRegistry.stop_all(timeout=20)
        self._callers.shutdown()
        assert self.supervisors.close(20) == []
        assert self.pool.close(20) == []


class TaskStage(Stage):
    """Children are tasks, on a loop of another thread; the supervisors, too, if they are to be."""

    def __init__(self, *, is_on_loop):
        super().__init__(task)
        self.loop, self._is_on_loop, self._on_loop = asyncio.new_event_loop(), is_on_loop, []
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def options(self, *names, **options):
        options = super().options(*names, **options)
        del options["pool"]
        return options if self._is_on_loop else {**options, "pool": self.supervisors, "loop": self.loop}

    def start(self, *names, **options):
        if not self._is_on_loop:
            return super().start(*names, **options)
        ref, started = self.begin(*names, **options)
        started.get(timeout=20)
        return ref

    def begin(self, *names, **options):
        if not self._is_on_loop:
            return super().begin(*names, **options)
        supervisor = AsyncSupervisor(**self.options(*names, **options))
        self._on_loop.append(supervisor)
        self.run(self._enter(supervisor))
        return supervisor._ref, supervisor._actor._first_start

    async def _enter(self, supervisor):
        supervisor._enter()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def hold(self, name, hook, error=None):
        go_on = LoopEvent(self.loop)
        self._held.append(go_on)

        async def last():
            is_cancelled = await go_on.outlast()
            if error is not None:
                raise error
            return is_cancelled

        self.script[name, hook] = last
        return go_on

    async def play(self, name, hook):
        self.book.write(hook, name)
        todo = self.script.get((name, hook))
        done = None if todo is None else todo()
        return (await done) if inspect.isawaitable(done) else False

    def close(self):
        for go_on in self._held:
            go_on.set()
        self.script.clear()
        for supervisor in self._on_loop:
            self.run(supervisor.stop(timeout_s=20))
        super().close()
        self.run(self._see_off())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()

    async def _see_off(self):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=20)
        assert not [task for task in left if not task.done()]


KINDS = {
    "pooled": lambda: Stage(Pooled),
    "threaded": lambda: Stage(Threaded),
    "task": lambda: TaskStage(is_on_loop=False),
    "task_on_loop": lambda: TaskStage(is_on_loop=True),
}
only_actors = pytest.mark.parametrize("stage", ["pooled", "threaded"], indirect=True)
"""For what only actors do: they can be asked, have an inbox, are of a class."""


def end(ref, how=None):
    """End an actor by a stop, or by what it is to raise; its supervisor was told when this returns."""
    ear = Ear()
    watch(ref, ear)
    try:
        ref.stop(block=False) if how is None else ref.tell(raiser(how))
    except pykka.ActorDeadError:
        pass
    return ear.next().reason


def raiser(error):
    def raise_it():
        raise error.with_traceback(None)  # one error may serve many

    return raise_it


def views(sup):
    return {view.id: view for view in sup.which_children()}


def ref_of(sup, child_id):
    return views(sup)[child_id].ref


def until(sup, fits):
    """Ask the supervisor, again and again, until what it says of its children fits."""
    for _ in range(200_000):
        seen = views(sup)
        if fits(seen):
            return seen
    raise AssertionError(seen)


def settled(sup):
    """Its children when none is on its way anywhere."""
    return until(sup, lambda seen: not {view.phase for view in seen.values()} & TRANSITIONAL)


def in_phase(sup, child_id, phase):
    return until(sup, lambda seen: child_id in seen and seen[child_id].phase == phase)[child_id]


def counts(sup):
    """As OTP's suite writes them: specs, active, supervisors, workers."""
    count = sup.count_children()
    return [count.specs, count.active, count.supervisors, count.workers]


def waiting(sup, count=1):
    """Return when so many wait for children."""
    lanes = sup._actor._lanes
    while sum(len(beside) for beside in lanes._beside.values()) != count:
        sup.count_children()
