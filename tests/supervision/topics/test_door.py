import pytest

from lightspeed.actors.process import WeakBag
from lightspeed.actors.threaded import ThreadActor
from lightspeed.channel import ChannelClosed
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
