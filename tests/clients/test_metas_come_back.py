"""A client that comes back by itself after its topic's end comes with the text that its presence had."""

import asyncio

import pytest

from lightspeed.channel import Behaviour, Channel, Crash, PresenceDiff, PushMessage, Refused, Restart, TopicDown, TopicUp


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


class Slow(Behaviour):
    async def on_rejoin(self, room, client_id, user_id):
        await asyncio.sleep(5)
        room.push(client_id, "welcome back", "")


async def test_who_is_brought_back_by_a_hook_that_takes_its_time_is_asked_once(lightspeed_simulation):
    options = {"behaviours": {"room:*": Slow}, "rejoin": "supervisor", "event_timeout_s": 60.0}
    channel = lightspeed_simulation.async_channel(**options)
    phone = await channel.client("phone", "ann", meta="red")
    laptop = await channel.client("laptop", "bob")
    await phone.join("room:1")
    await laptop.join("room:1")
    await phone.receive_many(2)
    before = phone.presence("room:1")
    await channel.handle(Crash("power cut", "room:1"))
    await channel.handle(Restart("room:1"))
    await asyncio.sleep(60)
    told = await phone.receive_many(100)
    assert [type(message) for message in told] == [TopicDown, TopicUp, PushMessage, PresenceDiff]
    assert phone.presence("room:1") == before
