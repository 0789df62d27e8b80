"""A client that comes back by itself after its topic's end comes with the text that its presence had."""

import pytest

from lightspeed.channel import Channel, Crash, PresenceDiff, Refused, Restart, TopicDown


def come_back(channel, client):
    """The text of its presence once it is in again."""
    client.receive_many(100, timeout_s=5)
    channel.handle(Crash("power cut", "room:1"))
    assert client.receive(timeout_s=5) == TopicDown("room:1", "power cut")
    channel.handle(Restart("room:1"))
    while not isinstance(client.receive(timeout_s=5), PresenceDiff):
        pass
    (meta,) = client.presence("room:1")["ann"]
    return meta.meta


@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_the_text_of_the_join_and_that_of_an_update_come_back(rejoin):
    with Channel(rejoin=rejoin) as channel, channel.client("phone", "ann", meta="red") as client:
        client.join("room:1")
        assert come_back(channel, client) == "red"
        client.update("room:1", "green")
        assert come_back(channel, client) == "green"
        client.update("room:1", "")
        assert come_back(channel, client) == ""


def test_who_gave_up_a_topic_that_is_down_and_joins_anew_has_the_text_of_that_join():
    with Channel() as channel, channel.client("phone", "ann", meta="red") as client:
        client.join("room:1", meta="blue")
        channel.handle(Crash("power cut", "room:1"))
        with pytest.raises(Refused, match="crashed"):
            client.leave("room:1")
        channel.handle(Restart("room:1"))
        client.join("room:1")
        (meta,) = client.presence("room:1")["ann"]
        assert meta.meta == "red"
