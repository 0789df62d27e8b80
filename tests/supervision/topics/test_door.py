import pykka
import pytest

from lightspeed.actors.process import WeakBag
from lightspeed.actors.threaded import ThreadActor
from lightspeed.actors.topics.mail import Delivery
from lightspeed.channel import Broadcast, ChannelClosed
from lightspeed.supervision.topics import Ingress


class Listener(ThreadActor):
    heard = None
    threads = WeakBag()

    def on_start(self):
        self.heard = []

    def on_receive(self, message):
        self.heard.append(message)
        return list(self.heard)


def test_the_last_message_goes_in_and_shuts_the_door():
    listener, ingress = Listener.start(), Ingress()
    ingress.tell(listener, "first")
    assert not ingress.is_shut
    ingress.tell_last(listener, "last")
    assert ingress.is_shut
    for tell in (ingress.tell, ingress.tell_last):
        with pytest.raises(ChannelClosed):
            tell(listener, "too late")
    assert listener.ask("seen?") == ["first", "last", "seen?"]
    listener.stop()


def test_a_dead_supervisor_is_a_closed_channel():
    listener, ingress = Listener.start(), Ingress()
    listener.stop()
    with pytest.raises(ChannelClosed):
        ingress.tell(listener, "anybody?")
    with pytest.raises(ChannelClosed):
        ingress.tell_last(listener, "anybody?")
    assert ingress.is_shut


class Deaf:
    """A supervisor that can be told nothing."""

    def __init__(self, error):
        self.error = error

    def tell(self, _message):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), pykka.ActorDeadError()])
def test_what_was_not_told_does_not_count_as_waiting(error):
    ingress = Ingress()
    with pytest.raises((RuntimeError, ChannelClosed)):
        ingress.tell(Deaf(error), Delivery(Broadcast("c", "t", "p")))
    assert ingress.length == 0


def test_where_the_callers_own_stack_ended_it_may_have_been_told_and_counts():
    ingress = Ingress()
    with pytest.raises(RecursionError):
        ingress.tell(Deaf(RecursionError()), Delivery(Broadcast("c", "t", "p")))
    assert ingress.length == 1
