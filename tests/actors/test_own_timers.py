"""An actor's own timers: what it is told by itself, later, unless it says otherwise or has ended."""

import threading

import pykka
import pytest

from lightspeed.actors import ActorPool, PooledActor, Shutdown, Supervisable, watch
from lightspeed.actors.errors import InvalidOption
from lightspeed.testing import Simulation


class Script:
    """Calls what it is told with itself, and keeps what else it is told."""

    def on_start(self):
        self.heard, self.written = [], threading.Semaphore(0)

    def on_receive(self, message):
        if callable(message):
            return message(self)
        self.heard.append(message)
        self.written.release()
        return None


class Pooled(Script, PooledActor):
    pass


class Threaded(Script, Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True


@pytest.fixture(params=[Pooled, Threaded])
def actor(request):
    pool = ActorPool()
    ref = request.param.start(**({"pool": pool} if request.param is Pooled else {}))
    yield ref
    pykka.ActorRegistry.stop_all(timeout=10)
    assert pool.close(5) == []


def heard(actor, count=1):
    """What it has heard, when that is so much."""
    for _ in range(count):
        assert actor.ask(lambda me: me.written).acquire(timeout=20)
    return actor.ask(lambda me: list(me.heard))


def pending(actor):
    return actor.ask(lambda me: list(me._lifecycle_timers))


def test_a_message_comes_once_after_the_delay(actor):
    actor.tell(lambda me: me.start_timer("t", "ring", 0.01))
    assert heard(actor) == ["ring"]
    assert pending(actor) == []


def test_one_that_is_to_come_every_so_often_comes_again_until_it_is_cancelled(actor):
    actor.tell(lambda me: me.start_timer("t", "ring", 0.005, every=True))
    assert heard(actor, 3)[:3] == ["ring"] * 3
    actor.ask(lambda me: me.cancel_timer("t"))
    before = actor.ask(lambda me: list(me.heard))
    actor.tell(lambda me: me.start_timer("other", "last", 0.03))
    heard(actor, len(before) - 3 + 1)
    assert actor.ask(lambda me: list(me.heard)) == [*before, "last"]


def fired_into_the_inbox(me):
    """Start a timer, and hold the actor until its message waits behind this one."""
    me.start_timer("t", "old", 0.001)
    has_fired = threading.Event()
    me._lifecycle_call_later(0.002, has_fired.set)  # on the same thread, after it
    assert has_fired.wait(20)


def test_one_that_was_cancelled_does_not_come_though_it_was_in_the_inbox(actor):
    actor.ask(lambda me: fired_into_the_inbox(me) or me.cancel_timer("t"))
    assert actor.ask(lambda me: list(me.heard)) == []


def test_one_that_was_started_anew_comes_as_the_new_one_alone(actor):
    actor.ask(lambda me: fired_into_the_inbox(me) or me.start_timer("t", "new", 0.01))
    assert heard(actor) == ["new"]


def test_without_a_cancel_it_comes_out_of_the_inbox(actor):
    actor.ask(fired_into_the_inbox)
    assert heard(actor) == ["old"]


def test_timers_go_by_their_names(actor):
    actor.ask(lambda me: [me.start_timer(name, name, 0.01) for name in ("a", 1, ("b", 2))] and me.cancel_timer(1))
    assert heard(actor, 2) == ["a", ("b", 2)]
    actor.ask(lambda me: me.cancel_timer("never started"))


def test_what_a_timers_message_raises_fails_the_actor(actor):
    downs, told = [], threading.Event()
    watch(actor, lambda down: (downs.append(down), told.set()))
    actor.tell(lambda me: me.start_timer("t", lambda _me: 1 / 0, 0.001))
    assert told.wait(20)
    assert type(downs[0].reason.error) is ZeroDivisionError


def fail(_me):
    raise ValueError("ordered")


def shut_down(_me):
    raise Shutdown


@pytest.mark.parametrize("end", [fail, shut_down, lambda me: me.stop()], ids=["failure", "shutdown", "stop"])
def test_all_end_with_the_actor(actor, end):
    me, ended = actor._actor_weakref(), threading.Event()
    watch(actor, lambda _down: ended.set())
    timers = actor.ask(lambda me: [me.start_timer(name, name, 3600, every=name == "b") for name in "ab"] and me._lifecycle_timers)
    calls = [timer.call for timer in timers.values()]
    actor.tell(end)
    assert ended.wait(20)
    assert me._lifecycle_timers == {}
    assert [call.call for call in calls] == [None, None]


def test_one_that_is_started_in_its_last_hook_ends_too(actor):
    class Late(type(actor._actor_weakref())):
        def on_end(self, _error):
            self.start_timer("t", "too late", 3600)

    late = Late.start(**({"pool": actor._actor._pooled_pool} if issubclass(Late, PooledActor) else {}))
    me, ended = late._actor_weakref(), threading.Event()
    watch(late, lambda _down: ended.set())
    late.stop()
    assert ended.wait(20)
    assert me._lifecycle_timers == {}


@pytest.mark.parametrize("delay_s", [0, -1, float("nan"), float("inf"), 31_536_001, "1", True, None])
def test_a_delay_that_is_none_is_refused_and_the_timer_of_that_name_stays(actor, delay_s):
    actor.ask(lambda me: me.start_timer("t", "stays", 3600))
    with pytest.raises(InvalidOption, match="delay_s must be a number of seconds above 0 and at most a year"):
        actor.ask(lambda me: me.start_timer("t", "ring", delay_s))
    assert pending(actor) == ["t"]


def test_every_is_true_or_false(actor):
    with pytest.raises(InvalidOption, match="every must be True or False, got 1"):
        actor.ask(lambda me: me.start_timer("t", "ring", 1, every=1))


@pytest.mark.parametrize("seed", range(10))
def test_in_a_simulation_they_go_by_its_clock(seed):
    with Simulation(seed) as simulation:
        ref = simulation.start(Pooled)
        ref.ask(lambda me: me.start_timer("often", "tick", 60, every=True))
        ref.ask(lambda me: me.start_timer("once", "noon", 12 * 3600))
        ref.ask(lambda me: me.start_timer("never", "never", 90))
        simulation.run_for(60)
        ref.ask(lambda me: me.cancel_timer("never"))
        simulation.run_for(12 * 3600 - 59)
        told = ref.ask(lambda me: list(me.heard))
        assert (told.count("tick"), told.count("noon"), len(told)) == (720, 1, 721)
