import threading

import pykka
import pytest

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.actors.context import current_actor, here
from lightspeed.actors.pykka_inside import STOP
from lightspeed.actors.ref import PooledHandle


class Scribe(PooledActor):
    registered = False

    def __init__(self, pool):
        super().__init__(pool=pool)
        self.seen, self.ended = [], []

    def on_receive(self, message):
        if callable(message):
            return message(self)
        self.seen.append((message, threading.current_thread(), current_actor() is self))
        return None

    def on_end(self, error):
        self.ended.append(error)


@pytest.fixture
def pool():
    pool = ActorPool()
    yield pool
    assert pool.close(5) == []


@pytest.fixture
def scribe(pool):
    return Scribe._pooled_start(pool)


def hold(actor, handle):
    """Have the actor at work until what is returned is set."""
    inside, go_on = threading.Event(), threading.Event()
    handle.tell(lambda _actor: (inside.set(), go_on.wait(10)))
    assert inside.wait(5)
    return go_on


def test_an_idle_actor_handles_it_in_the_callers_thread(scribe):
    assert PooledHandle(scribe).tell_inline("m")
    assert scribe.seen == [("m", threading.current_thread(), True)]
    assert current_actor() is None


def test_a_busy_actor_is_told_nothing(scribe, pool):
    handle = PooledHandle(scribe)
    go_on = hold(scribe, handle)
    assert not handle.tell_inline("m")
    go_on.set()
    assert scribe.actor_ref.ask(lambda actor: actor.seen, timeout=5) == []


def test_an_actor_that_declines_did_not_handle_it(scribe):
    assert not PooledHandle(scribe).handle_inline("m")  # as all do that don't say otherwise
    assert PooledHandle(scribe).tell_inline("m")


def test_an_actor_does_not_meet_itself(scribe):
    handle = PooledHandle(scribe)
    answers = []
    assert handle.tell_inline(lambda _actor: answers.append(handle.tell_inline("inner")))
    assert answers == [False]
    assert handle.tell_inline("outer")
    assert [message for message, _, _ in scribe.seen] == ["outer"]


def test_what_an_actor_is_told_by_itself_comes_afterwards_on_a_worker(scribe):
    handle = PooledHandle(scribe)
    assert handle.tell_inline(lambda _actor: handle.tell("later"))
    assert scribe.actor_ref.ask(lambda actor: [message for message, _, _ in actor.seen], timeout=5) == ["later"]
    assert scribe.seen[0][1] is not threading.current_thread()


def test_an_exception_fails_the_actor_and_not_the_caller(scribe):
    handle, error = PooledHandle(scribe), ValueError("planted")

    def fail(_actor):
        raise error

    assert handle.tell_inline(fail)
    assert scribe.ended == [error]
    assert not handle.is_alive()
    assert not handle.tell_inline("too late")
    with pytest.raises(pykka.ActorDeadError):
        handle.tell("too late")
    handle.stop_soon()


def test_a_keyboard_interrupt_fails_the_actor_and_reaches_who_lent_his_thread(scribe, monkeypatch):
    handle = PooledHandle(scribe)
    monkeypatch.setattr(here.context, "is_lent", True)

    def interrupt(_actor):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        handle.tell_inline(interrupt)
    assert [type(error) for error in scribe.ended] == [KeyboardInterrupt]
    assert current_actor() is None


def test_a_stop_can_be_told_here_too(scribe):
    handle = PooledHandle(scribe)
    assert handle.tell_inline(STOP)
    assert scribe.ended == [None]
    assert not handle.is_alive()


def test_what_a_dead_actor_has_not_handled_can_be_taken_once_and_asks_are_answered(scribe):
    handle = PooledHandle(scribe)
    go_on = hold(scribe, handle)
    handle.tell("first")
    handle.stop_soon()
    handle.tell("second")
    asked = scribe.actor_ref.ask("?", block=False)
    handle.tell("third")
    go_on.set()
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=5)
    assert [message for message, _, _ in scribe.seen] == ["first"]
    assert handle.drain() == ["second", "third"]
    assert handle.drain() == []


def test_an_actor_that_is_given_up_loses_what_waits_and_nothing_comes_twice(scribe):
    handle = PooledHandle(scribe)
    go_on = hold(scribe, handle)
    for number in range(5):
        handle.tell(number)
    assert handle.drain() == [0, 1, 2, 3, 4]
    handle.stop_soon()
    go_on.set()
    handle.stop_within(5)
    assert scribe.seen == []


def test_stop_within_gives_up_at_its_timeout(scribe):
    handle = PooledHandle(scribe)
    go_on = hold(scribe, handle)
    with pytest.raises(pykka.Timeout):
        handle.stop_within(0.01)
    go_on.set()


@pytest.mark.slow
def test_tells_here_and_tells_from_many_threads_are_each_handled_once():
    pool = ActorPool(workers=2)
    scribes = [Scribe._pooled_start(pool) for _ in range(3)]
    inside = dict.fromkeys(scribes, 0)
    overlaps = []

    def work(actor):
        inside[actor] += 1
        overlaps.extend([actor] * (inside[actor] != 1))
        actor.seen.append(1)
        inside[actor] -= 1

    def hammer():
        for number in range(6000):
            handle = PooledHandle(scribes[number % 3])
            if not handle.tell_inline(work):
                handle.tell(work)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [scribe.actor_ref.ask(lambda actor: len(actor.seen), timeout=10) for scribe in scribes] == [8000] * 3
    assert overlaps == []
    assert pool.close() == []
