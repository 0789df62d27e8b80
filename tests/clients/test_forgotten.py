"""A client that nobody closed warns when it is forgotten, unless its channel was closed."""

import gc
import warnings

import pytest

from lightspeed.channel import Channel


def test_a_client_of_a_closed_channel_is_forgotten_without_a_word():
    with Channel() as channel:
        client = channel.client("phone", "ann")
        client.join("room:1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del client
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def forget_one(channel):
    channel.client("phone", "ann").join("room:1")
    gc.collect()


def test_a_client_of_a_living_channel_warns_and_has_left():
    with Channel() as channel:
        with pytest.warns(ResourceWarning, match="unclosed client phone"):
            forget_one(channel)
        assert channel.topics_of("phone") == ()
