"""A stage for supervisors: actors that do as a script says, a book of what happened, and a clock that is moved by hand."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pykka

from lightspeed.actors import PooledActor, Supervisable, watch
from lightspeed.actors.pool import ActorPool
from lightspeed.supervision import ChildSpec, Supervisor

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

    def hold(self, name, hook):
        """Have the hook last until what is returned is set, or the test is over."""
        go_on = threading.Event()
        self._held.append(go_on)
        self.script[name, hook] = lambda: go_on.wait(60)
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
