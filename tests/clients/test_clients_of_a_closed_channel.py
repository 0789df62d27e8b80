"""What a channel's end does to its clients."""

import pytest

from lightspeed.actors import Pool, Threads
from lightspeed.actors.errors import ChannelClosed, ClientClosed
from lightspeed.channel import Channel, Crash


@pytest.mark.parametrize("kind", [Pool, Threads])
def test_one_that_was_about_to_come_back_to_a_topic_does_not_hold_up_the_close(kind):
    channel = Channel(runtime=kind())
    with channel.client("a", "ann") as client:
        client.join("room:1")
        channel.handle(Crash("ordered", "room:1"))
        channel.close(5)  # which names the timers' thread where the client goes on to try, again and again
        with pytest.raises(ChannelClosed):
            client.join("room:2")
        assert [type(message).__name__ for message in client] == ["PresenceDiff", "TopicDown"]
        with pytest.raises(ClientClosed):
            client.receive(0)
