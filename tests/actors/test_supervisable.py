import threading

import pykka
import pytest

from lightspeed.actors import Supervisable
from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import AskRing, NotSupervisable


class Threaded(Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message):
        return message() if callable(message) else message


def fail():
    raise ValueError("planted")


def test_it_tells_asks_stops_and_stands_in_the_registry_as_pykkas_actors_do():
    ref = Threaded.start()
    assert pykka.ActorRegistry.get_all() == [ref]
    assert ref.ask("hello", timeout=5) == "hello"
    assert ref.ask(lambda: current_actor().actor_urn, timeout=5) == ref.actor_urn
    assert ref.proxy().use_daemon_thread.get(timeout=5)
    with pytest.raises(ValueError, match="planted"):
        ref.ask(fail, timeout=5)
    assert ref.stop()
    assert not ref.stop()
    assert pykka.ActorRegistry.get_all() == []


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_base_exception_ends_that_one_actor_where_pykkas_would_end_all(error):
    def planted():
        raise error

    ref, other = Threaded.start(), Threaded.start()
    with pytest.raises(error):
        ref.ask(planted, timeout=5)
    assert ref.actor_stopped.wait(5)
    assert other.ask("alive", timeout=5) == "alive"
    other.stop()


def test_where_there_is_no_thread_for_it_nothing_is_left(monkeypatch):
    def no_more(_self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    with pytest.raises(RuntimeError):
        Threaded.start()
    assert pykka.ActorRegistry.get_all() == []


def test_the_mixin_behind_pykkas_class_is_refused():
    with pytest.raises(NotSupervisable, match="Wrong"):

        class Wrong(pykka.ThreadingActor, Supervisable):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [pytest.param(300, id="some"), pytest.param(1000, id="all", marks=pytest.mark.long)])
def test_asks_and_stops_that_race_with_a_threaded_actors_death_are_all_answered(rounds):
    for _ in range(rounds):
        ref = Threaded.start()
        inside = threading.Barrier(2)
        futures = []

        def hammer(ref=ref, inside=inside, futures=futures):
            inside.wait()
            for ask in range(10):
                futures.append(ref.ask(ask, block=False))
            futures.append(ref.stop(block=False))

        racer = threading.Thread(target=hammer)
        racer.start()
        inside.wait()
        tell(ref, fail)
        racer.join()
        for future in futures:
            try:
                future.get(timeout=10)
            except pykka.ActorDeadError:
                pass


def tell(ref, message):
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        pass  # its end was quicker


@pytest.mark.parametrize("hook", ["on_start", "on_receive", "on_stop"])
def test_one_that_waits_for_itself_is_refused_at_once(hook):
    found = []

    def attempt(actor):
        for wait in (actor.actor_ref.stop, lambda: actor.actor_ref.ask("x"), lambda: actor.actor_ref.ask("x", timeout=5)):
            try:
                wait()
            except (AskRing, pykka.ActorDeadError) as error:
                found.append(type(error))

    class Selfish(Threaded):
        def on_start(self):
            if hook == "on_start":
                attempt(self)

        def on_receive(self, message):
            if message == "go":
                attempt(self)

        def on_stop(self):
            if hook == "on_stop":
                attempt(self)

    ref = Selfish.start()
    if hook == "on_receive":
        ref.tell("go")
    if hook == "on_stop":
        ref.stop()
    assert ref.actor_stopped.wait(5)
    assert found == ([pykka.ActorDeadError] * 2 if hook == "on_stop" else [AskRing] * 3)


def test_its_own_stop_that_it_does_not_wait_for_is_no_ring():
    ref = Threaded.start()
    ref.tell(lambda: ref.stop(block=False))
    assert ref.actor_stopped.wait(5)


def test_an_answer_that_has_come_may_be_got_in_its_own_thread():
    first, second = Threaded.start(), Threaded.start()
    answer = second.ask("x", block=False)
    assert first.ask(lambda: answer.get(timeout=5), timeout=5) == "x"
    assert second.ask(lambda: answer.get(timeout=5), timeout=5) == "x"
    first.stop()
    second.stop()
