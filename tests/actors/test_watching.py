import threading

import pykka
import pytest

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.actors.errors import NORMAL, Ignore, NotSupervisable, Shutdown
from lightspeed.actors.threaded import Supervisable
from lightspeed.actors.watching import Down, Up, tell_when_up, unwatch, watch


class Life:
    """Ends as it is told to."""

    def __init__(self, in_hook=None, hook=None):
        super().__init__()
        self.in_hook, self.hook = in_hook, hook

    def on_start(self):
        self.run("on_start")

    def on_stop(self):
        self.run("on_stop")

    def on_failure(self, *_exc_info):
        self.run("on_failure")

    def on_end(self, _error):
        self.run("on_end")

    def on_receive(self, message):
        return message() if callable(message) else message

    def run(self, hook):
        if hook == self.hook:
            self.in_hook()


class Threaded(Life, Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True


@pytest.fixture
def pool():
    pool = ActorPool()
    yield pool
    pykka.ActorRegistry.stop_all(timeout=10)
    assert pool.close(5) == []


@pytest.fixture(params=["pooled", "threaded"])
def life(request, pool):
    """A class of actors of each kind in turn."""

    class Pooled(Life, PooledActor):
        def __init__(self, *args):
            PooledActor.__init__(self, pool=pool)
            self.in_hook, self.hook = args or (None, None)

    return Pooled if request.param == "pooled" else Threaded


class Ear:
    """A watcher that keeps what it is told."""

    def __init__(self):
        self.downs, self._told = [], threading.Semaphore(0)

    def __call__(self, down):
        self.downs.append(down)
        self._told.release()

    def next(self):
        assert self._told.acquire(timeout=10)
        return self.downs[-1]


def planted(error):
    def fail():
        raise error

    return fail


def tell(ref, message):
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        pass  # its end was quicker


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (lambda ref: ref.stop(), "normal"),
        (lambda ref: tell(ref, planted(Shutdown("done"))), "shutdown"),
        (lambda ref: tell(ref, planted(ValueError("planted"))), "abnormal"),
        (lambda ref: tell(ref, planted(SystemExit())), "abnormal"),
        (lambda ref: tell(ref, planted(KeyboardInterrupt())), "abnormal"),
        (lambda ref: tell(ref, planted(Ignore())), "abnormal"),
        (lambda ref: ref.ask(planted(SystemExit()), block=False), "abnormal"),
        (lambda ref: ref.ask(planted(Shutdown()), block=False), "shutdown"),
    ],
    ids=["stop", "shutdown", "error", "exit", "interrupt", "ignore_too_late", "exit_in_ask", "shutdown_in_ask"],
)
def test_every_end_is_told_once_with_its_reason(life, end, kind):
    ref, ear, other = life.start(), Ear(), Ear()
    bystander = life.start()
    watch(ref, ear)
    watch(ref, ear)
    watch(ref, other)
    end(ref)
    down = ear.next()
    assert (down.ref, down.reason.kind) == (ref, kind)
    assert not ref.is_alive()
    assert other.next() == down
    assert bystander.ask("alive", timeout=5) == "alive"
    assert len(ear.downs) == 1


@pytest.mark.parametrize("hook", ["on_start", "on_stop", "on_failure", "on_end"])
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_failure_in_any_hook_is_learnt(life, hook, error):
    ear = Ear()
    ref = life.start(planted(error("in a hook")), hook)
    watch(ref, ear)
    if hook in ("on_stop", "on_end"):
        ref.stop(block=False)
    elif hook == "on_failure":
        ref.tell(planted(ValueError("first")))
    reason = ear.next().reason
    expected = {"on_failure": "first", "on_end": None}.get(hook, "in a hook")
    assert (reason.error and str(reason.error)) == expected
    assert reason.kind == ("normal" if hook == "on_end" else "abnormal")


@pytest.mark.parametrize(("error", "kind"), [(Ignore(), "normal"), (Shutdown(), "shutdown")])
def test_ignore_and_shutdown_in_on_start(life, error, kind):
    ear = Ear()
    watch(life.start(planted(error), "on_start"), ear)
    reason = ear.next().reason
    assert (reason.kind, reason.error, reason.is_ignored) == (kind, error, kind == "normal")


def test_a_shutdown_runs_on_stop_and_answers_an_ask_as_a_death(life):
    for timeout in (None, 5):
        stopped = threading.Event()
        ref = life.start(stopped.set, "on_stop")
        with pytest.raises(pykka.ActorDeadError):
            ref.ask(planted(Shutdown("done")), timeout=timeout)
        assert stopped.wait(5)


def test_an_exception_in_an_ask_is_the_callers_and_ends_nothing(life):
    ref, ear = life.start(), Ear()
    watch(ref, ear)
    with pytest.raises(ZeroDivisionError):
        ref.ask(planted(ZeroDivisionError()), timeout=5)
    assert ref.ask("alive", timeout=5) == "alive"
    assert ear.downs == []


def test_who_is_dead_already_is_told_of_at_once_even_when_the_actor_itself_is_gone(life):
    ref = life.start()
    first = Ear()
    watch(ref, first)
    ref.tell(planted(ValueError("planted")))
    down = first.next()
    late = Ear()
    watch(ref, late)
    assert late.downs == [down]
    assert not unwatch(ref, late)


def test_who_does_not_watch_any_more_is_not_told(life):
    ref, ear, other = life.start(), Ear(), Ear()
    watch(ref, ear)
    watch(ref, other)
    assert unwatch(ref, ear)
    assert not unwatch(ref, ear)
    ref.stop()
    other.next()
    assert ear.downs == []


def test_an_actor_that_watches_is_told_down(life):
    ear = Ear()
    downs = life.start()
    ref = life.start()

    class Listener(type(downs._actor_weakref())):
        def on_receive(self, message):
            ear(message)

    listener = Listener.start()
    watch(ref, listener)
    ref.stop()
    assert ear.next() == Down(ref, NORMAL)


def test_a_watcher_that_fails_or_is_dead_keeps_nobody_else_from_being_told(life):
    ref, dead, ear = life.start(), life.start(), Ear()
    dead.stop()
    watch(ref, dead)
    watch(ref, planted(ValueError("planted")))
    watch(ref, ear)
    ref.stop()
    assert ear.next().reason is NORMAL


def test_an_actor_says_when_its_on_start_has_returned(life):
    go_on, ear = threading.Event(), Ear()

    class Listener(life):
        def on_receive(self, message):
            ear(message)

    listener = Listener.start()
    ref = Threaded.start(lambda: go_on.wait(10), "on_start")
    assert not tell_when_up(ref, listener)
    assert ear.downs == []
    go_on.set()
    assert ear.next() == Up(ref)


def test_it_is_up_before_it_comes_to_what_it_was_told_first(life):
    told, go_on, ear = [], threading.Event(), Ear()

    class Listener(life):
        def on_receive(self, message):
            told.append(type(message))
            if type(message) is Down:
                ear(message)

    listener, ref = Listener.start(), life.start(lambda: go_on.wait(10), "on_start")
    ref.tell(planted(ValueError("planted")))
    watch(ref, listener)
    assert not tell_when_up(ref, listener)
    go_on.set()
    assert ear.next().reason.kind == "abnormal"
    assert told == [Up, Down]
    assert tell_when_up(ref, listener)  # it was up, whatever has become of it since
    assert told == [Up, Down]


@pytest.mark.parametrize("error", [ValueError("planted"), SystemExit(), Shutdown("planted"), Ignore()])
def test_an_actor_that_ends_in_its_on_start_was_never_up(life, error):
    told, go_on, ear = [], threading.Event(), Ear()

    class Listener(life):
        def on_receive(self, message):
            told.append(message)

    def end():
        go_on.wait(10)
        raise error

    listener, ref = Listener.start(), life.start(end, "on_start")
    assert not tell_when_up(ref, listener)
    watch(ref, ear)
    go_on.set()
    assert ear.next().reason.error is error
    assert not tell_when_up(ref, listener)
    assert listener.ask("told nothing") is None
    assert told == ["told nothing"]


def test_whoever_watches_no_more_is_not_told_of_the_start_either(life):
    told, go_on = [], threading.Event()

    class Listener(life):
        def on_receive(self, message):
            told.append(message)

    listener, ref = Listener.start(), life.start(lambda: go_on.wait(10), "on_start")
    assert not tell_when_up(ref, listener)
    assert unwatch(ref, listener)
    go_on.set()
    assert ref.ask("hello") == "hello"
    assert tell_when_up(ref, listener)
    listener.ask("the last")
    assert told == ["the last"]


def test_a_pooled_actor_without_on_start_is_up_at_once(pool):
    class Plain(PooledActor):
        pass

    ref = Plain.start(pool=pool)
    assert tell_when_up(ref, ref)


@pytest.mark.parametrize("call", [watch, unwatch])
def test_an_actor_of_whose_end_nobody_can_learn_is_refused_by_name(call):
    class Stock(pykka.ThreadingActor):
        use_daemon_thread = True

    ref = Stock.start()
    with pytest.raises(NotSupervisable, match=r"Stock can't be watched .* PooledActor, or .*Supervisable"):
        call(ref, print)
    with pytest.raises(NotSupervisable, match="'nobody'"):
        call("nobody", print)
    ref.stop()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("many", [1000, pytest.param(4000, marks=pytest.mark.long)])
def test_a_thousand_watches_race_with_ends_and_each_is_told_once(life, many):
    ears = []
    for number in range(many):
        ref = life.start()
        mine = [Ear() for _ in range(3)]
        watch(ref, mine[0])
        end = [lambda ref=ref: ref.stop(block=False), lambda ref=ref: tell(ref, planted(ValueError("planted")))][number % 2]
        racer = threading.Thread(target=end) if number % 100 == 0 else None
        racer.start() if racer else end()
        watch(ref, mine[1])
        gone = unwatch(ref, mine[1])
        watch(ref, mine[2])
        ears.append((mine[0], mine[2]))
        if racer:
            racer.join()
        assert len(mine[1].downs) == (0 if gone else 1) or not gone
    for pair in ears:
        for ear in pair:
            ear.next()
    assert {len(ear.downs) for pair in ears for ear in pair} == {1}
