import pytest

from lightspeed.actors.process import WeakBag
from lightspeed.actors.threaded import ThreadActor
from lightspeed.channel import ChannelClosed
from lightspeed.supervision.topics import Door


class Listener(ThreadActor):
    heard = None
    threads = WeakBag()

    def on_start(self):
        self.heard = []

    def on_receive(self, message):
        self.heard.append(message)
        return list(self.heard)


def test_the_last_message_goes_in_and_shuts_the_door():
    listener, door = Listener.start(), Door()
    door.tell(listener, "first")
    assert not door.is_shut
    door.tell_last(listener, "last")
    assert door.is_shut
    for tell in (door.tell, door.tell_last):
        with pytest.raises(ChannelClosed):
            tell(listener, "too late")
    assert listener.ask("seen?") == ["first", "last", "seen?"]
    listener.stop()


def test_a_dead_supervisor_is_a_closed_channel():
    listener, door = Listener.start(), Door()
    listener.stop()
    with pytest.raises(ChannelClosed):
        door.tell(listener, "anybody?")
    with pytest.raises(ChannelClosed):
        door.tell_last(listener, "anybody?")
    assert door.is_shut
