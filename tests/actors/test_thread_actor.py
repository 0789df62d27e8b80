import threading

import pykka
import pytest

from lightspeed.actors import Threads


class Slow:
    def __init__(self, inside, go_on):
        super().__init__()
        self.inside, self.go_on, self.seen = inside, go_on, []

    def on_receive(self, message):
        if message == "hold":
            self.inside.set()
            assert self.go_on.wait(10)
        elif message == "fail":
            raise ValueError("planted")
        else:
            self.seen.append(message)
        return self.seen


@pytest.fixture
def held():
    """A reference to an actor that is at work until the event is set."""
    threads, inside, go_on = Threads(), threading.Event(), threading.Event()
    ref = threads.start(Slow, inside, go_on)
    ref.tell("hold")
    assert inside.wait(5)
    yield ref, go_on
    go_on.set()
    ref.stop_soon()
    assert threads.join(5) == []


@pytest.mark.parametrize("end", ["stop", "fail"])
def test_what_a_dead_actor_has_not_handled_can_be_taken_once_and_asks_are_answered(held, end):
    ref, go_on = held
    ref.tell("handled")
    ref.stop_soon() if end == "stop" else ref.tell("fail")
    ref.tell("second")
    asked, stopped = ref.ask("?", block=False), ref.ask(pykka.messages._ActorStop(), block=False)
    ref.tell("third")
    go_on.set()
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=5)
    assert stopped.get(timeout=5) is None
    assert ref.drain() == ["second", "third"]
    assert ref.drain() == []
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("too late")


def test_an_actor_that_is_given_up_finds_only_its_stop(held):
    ref, go_on = held
    for number in range(5):
        ref.tell(number)
    assert ref.drain() == [0, 1, 2, 3, 4]
    ref.tell("seen after all")
    seen = ref.ask("?", block=False)
    ref.stop_soon()
    go_on.set()
    assert seen.get(timeout=5) == ["seen after all", "?"]
    ref.actor_stopped.wait(5)


def test_nothing_is_ever_handled_in_the_callers_thread():
    threads = Threads()
    ref = threads.start(Slow, None, None)
    assert not ref.tell_inline("m")
    ref.stop_within(5)
    ref.stop_soon()
    assert threads.join(5) == []
