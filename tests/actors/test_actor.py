import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pykka
import pytest
from pykka import messages

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.actors.errors import AskRing, PoolClosed
from lightspeed.actors.pykka_inside import PRIVATE_NAMES


@pytest.fixture
def pool():
    pool = ActorPool()
    yield pool
    pykka.ActorRegistry.stop_all(timeout=10)
    assert pool.close(5) == []


class Echo(PooledActor):
    """Does what it is told, in its own context."""

    def __init__(self, pool=None):
        super().__init__(pool=pool)
        self.ended = []

    def on_receive(self, message):
        return message(self) if callable(message) else message

    def on_end(self, error):
        self.ended.append(error)


def test_it_tells_asks_and_stops_as_pykkas_actors_do(pool):
    ref = Echo.start(pool=pool)
    assert ref.ask("hello") == ref.ask("hello", timeout=5) == ref.ask("hello", block=False).get() == "hello"
    assert pykka.ActorRegistry.get_all() == [ref]
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) == ref
    assert ref.stop()
    assert not ref.stop()
    assert not ref.is_alive()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("too late")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("too late")
    assert pykka.ActorRegistry.get_all() == []


def test_messages_of_one_sender_are_handled_in_order(pool):
    seen = []
    ref = Echo.start(pool=pool)
    for number in range(1000):
        ref.tell(lambda _actor, number=number: seen.append(number))
    assert ref.ask("all?") == "all?"
    assert seen == list(range(1000))


def compute_until(go_on):
    """One who waited would be left to it, and another take his place."""
    while not go_on:
        pass


def test_a_ready_actor_waits_for_one_batch_of_each_other():
    pool = ActorPool(workers=1, throughput=10)
    order, start = [], []
    gate = Echo.start(pool=pool)
    gate.tell(lambda _actor: compute_until(start))
    busy = [Echo.start(pool=pool) for _ in range(100)]
    for ref in busy:
        for _ in range(30):
            ref.tell(lambda _actor: order.append("busy"))
    idle = Echo.start(pool=pool)
    idle.tell(lambda _actor: order.append("idle"))
    start.append(1)
    assert idle.ask("done", timeout=10)
    for ref in busy:
        ref.ask("done", timeout=10)
    assert order.index("idle") == 100 * 10
    assert len(order) == 100 * 30 + 1
    pykka.ActorRegistry.stop_all()
    assert pool.close() == []


def test_a_chain_of_asks_ends_on_a_pool_of_one_worker(pool):
    """From a worker, so that nothing is idle twice; and with a timeout, so that nothing runs in place."""

    class Link(PooledActor):
        def __init__(self, following, pool, timeout):
            super().__init__(pool=pool)
            self.following, self.timeout = following, timeout

        def on_receive(self, message):
            return message if self.following is None else self.following.ask(message + 1, timeout=self.timeout)

    for timeout in (None, 20):
        ref = None
        for _ in range(200):
            ref = Link.start(ref, pool, timeout)
        assert ref.ask(0, block=False).get(timeout=20) == 199
        assert ref.ask(0) == 199


def test_the_pool_shrinks_again_after_it_has_grown(pool):
    first, second, third = (Echo.start(pool=pool) for _ in range(3))
    assert first.ask(lambda _a: second.ask(lambda _b: third.ask("x", timeout=5), timeout=5), timeout=5) == "x"
    for ref in (first, second, third):
        ref.stop()
    assert pool.close() == []
    assert not [thread for thread in threading.enumerate() if thread.name == "ActorPool worker"]


@pytest.mark.parametrize("timeout", [None, 5])
def test_a_ring_of_asks_raises_an_error_that_names_it(pool, timeout):
    a, b, c = (Echo.start(pool=pool) for _ in range(3))

    def round_trip(_actor):
        return b.ask(lambda _b: c.ask(lambda _c: a.ask("back", timeout=timeout), timeout=timeout), timeout=timeout)

    with pytest.raises(AskRing) as caught:
        a.ask(round_trip, timeout=timeout)
    assert [name.split()[1].strip("()") for name in caught.value.ring] == [ref.actor_urn for ref in (c, a, b, c)]
    assert a.ask("alive") == "alive"


def test_an_actor_that_asks_itself_is_the_smallest_ring(pool):
    ref = Echo.start(pool=pool)
    with pytest.raises(AskRing):
        ref.ask(lambda actor: actor.actor_ref.ask("me?"))


def test_an_ask_of_an_idle_actor_runs_in_the_callers_thread_and_only_its_own_message(pool):
    ref = Echo.start(pool=pool)
    assert ref.ask(lambda _actor: threading.current_thread()) is threading.current_thread()
    assert ref.ask(lambda _actor: threading.current_thread(), timeout=5) is not threading.current_thread()
    later = []
    ref.ask(lambda actor: actor.actor_ref.tell(lambda _actor: later.append(threading.current_thread())))
    ref.ask("after it", timeout=5)
    assert later
    assert later[0] is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_an_actor_raises_in_a_tell_fails_it_and_nobody_else(pool, error):
    def fail(_actor):
        raise error("planted")

    ref, other = Echo.start(pool=pool), Echo.start(pool=pool)
    actor = ref.proxy()._actor
    ref.tell(fail)
    assert ref.actor_stopped.wait(5)
    assert other.ask("alive", timeout=5) == "alive"
    other.stop()
    pool.close()
    assert [type(ended) for ended in actor.ended] == [error]


def test_a_base_exception_in_an_ask_is_answered_and_ends_the_actor(pool):
    def fail(_actor):
        raise SystemExit("planted")

    for timeout in (None, 5):
        ref = Echo.start(pool=pool)
        with pytest.raises(SystemExit):
            ref.ask(fail, timeout=timeout)
        assert ref.actor_stopped.wait(5)


def test_an_exception_in_an_ask_is_the_callers_and_the_actor_lives(pool):
    ref = Echo.start(pool=pool)
    for timeout in (None, 5):
        with pytest.raises(ZeroDivisionError):
            ref.ask(lambda _actor: 1 / 0, timeout=timeout)
    assert ref.is_alive()


@pytest.mark.parametrize("hook", ["on_start", "on_stop", "on_failure", "on_end"])
def test_a_failure_in_a_hook_ends_the_actor_and_is_learnt_by_on_end(pool, hook):
    learnt, ended = [], threading.Event()

    def fail(self, *_arguments):
        if hook == "on_end":
            ended.set()
        raise ValueError(hook)

    def on_end(self, error):
        learnt.append(error)
        ended.set()

    failing = type("Failing", (Echo,), {"on_end": on_end, hook: fail})
    ref = failing.start(pool=pool)
    if hook == "on_stop":
        ref.stop(block=False)
    elif hook != "on_start":
        ref.tell(lambda _actor: 1 / 0)
    assert ended.wait(5)
    assert not ref.is_alive()
    assert len(learnt) == (0 if hook == "on_end" else 1)
    assert all(isinstance(error, (ValueError, ZeroDivisionError)) for error in learnt)


@pytest.mark.slow
@pytest.mark.parametrize("actors", [300, pytest.param(1000, marks=pytest.mark.long)])
def test_many_asks_and_stops_that_race_with_deaths_are_all_answered(actors):
    """Four threads ask the same actors, which are stopped and crashed meanwhile, by turns from each of them."""
    asks = 49
    pool = ActorPool(workers=2)
    refs = [Echo.start(pool=pool) for _ in range(actors)]

    def fail(_actor):
        raise ValueError("planted")

    def hammer(mine):
        futures = []
        for number, ref in enumerate(refs):
            futures += [ref.ask(ask, block=False) for ask in range(asks // 2)]
            if number % 8 == mine:
                try:
                    ref.tell(fail)
                except pykka.ActorDeadError:
                    pass
            futures.append(ref.stop(block=False) if number % 8 == mine + 4 else ref.ask("more", block=False))
            futures += [ref.ask(ask, block=False) for ask in range(asks - asks // 2)]
        return [future for future in futures if not answered(future)], len(futures)

    def answered(future):
        try:
            future.get(timeout=20)
        except pykka.ActorDeadError:
            pass
        except pykka.Timeout:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        unanswered, counts = zip(*threads.map(hammer, range(4)), strict=True)
    assert sum(counts) == 4 * actors * (asks + 1)
    assert [future for some in unanswered for future in some] == []
    assert not any(ref.is_alive() for ref in refs)
    assert pool.close() == []


def test_what_a_dead_actor_was_told_keeps_no_worker_busy(pool):
    inside, go_on = threading.Event(), threading.Event()
    ref, other = Echo.start(pool=pool), Echo.start(pool=pool)
    ref.tell(lambda _actor: (inside.set(), go_on.wait(10)))
    assert inside.wait(5)
    ref.stop(block=False)
    ref.tell("never handled")
    go_on.set()
    assert ref.actor_stopped.wait(5)
    assert other.ask("alive", timeout=5) == "alive"
    other.stop()
    assert pool.close(5) == []


def test_actors_that_stand_in_no_registry_die_without_a_search_of_it(pool):
    class Unlisted(Echo):
        registered = False

    ref = Unlisted.start(pool=pool)
    assert pykka.ActorRegistry.get_all() == []
    assert ref.ask("hello") == "hello"
    ref.stop()
    assert not ref.is_alive()


def test_close_says_who_is_busy_and_then_nobody_can_be_told():
    pool, hold, inside = ActorPool(), threading.Event(), threading.Event()
    ref = Echo.start(pool=pool)
    idle = Echo.start(pool=pool)
    ref.tell(lambda _actor: (inside.set(), hold.wait(10)))
    assert inside.wait(5)
    assert pool.close(0.01) == [str(ref)]
    with pytest.raises(PoolClosed):
        idle.tell("hello?")
    with pytest.raises(PoolClosed):
        idle.ask("hello?")
    with pytest.raises(PoolClosed):
        idle.ask("hello?", timeout=1)
    hold.set()
    pool.close(5)
    for left in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(left)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_the_parents_pool_refuses_and_the_default_one_starts_afresh():
    pool = ActorPool()
    ref = Echo.start(pool=pool)
    ref.ask("start a worker", timeout=5)
    child = os.fork()
    if child == 0:
        try:
            ref.ask("hello?", timeout=5)
        except PoolClosed:
            fresh = Echo.start()
            os._exit(0 if fresh.ask("hello", timeout=5) == "hello" else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ref.ask("still here", timeout=5) == "still here"
    ref.stop()
    pool.close()


def test_every_private_name_of_pykka_that_it_touches_is_still_there():
    from pykka import _envelope

    places = {
        "Actor": pykka.Actor,
        "ActorRef": pykka.ActorRef,
        "ActorRegistry": pykka.ActorRegistry,
        "Future": pykka.Future,
        "messages": messages,
        "_envelope": _envelope,
    }
    for name in PRIVATE_NAMES:
        place, attribute = name.split(".")
        held = vars(places[place])
        found = attribute in held or attribute in {**vars(pykka.ActorRef(Echo())), **vars(pykka.ThreadingFuture())}
        assert found, f"Pykka no longer has {name}, which actors/pooled_actor.py needs: {PRIVATE_NAMES[name]}"
