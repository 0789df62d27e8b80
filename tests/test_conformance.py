"""The scenarios of the channel's specification, as data: they hold without actors and with them."""

import json
from pathlib import Path

import pytest

from lightspeed.actors.topics import ChannelState
from lightspeed.channel import Channel, decode_event, encode, new_cluster_ready
from lightspeed.cluster import MemoryBus

SCENARIOS = [
    json.loads(line)
    for name in ("scenarios", "random", "embedding")
    for line in (Path(__file__).parent / "conformance" / f"{name}.jsonl").read_bytes().splitlines()
]


def events_of(scenario):
    return [decode_event(json.dumps(event)) for event in scenario["events"]]


def as_json(values):
    return [json.loads(encode(value)) for value in values]


def state_of(channel):
    return {
        "crashed": channel.crashed,
        "membership_count": channel.membership_count,
        "subscribers": {topic: list(channel.subscribers(topic)) for topic in channel.topics()},
        "presences": {topic: as_json(channel.presences(topic)) for topic in channel.topics()},
    }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_the_pure_channel_keeps(scenario):
    channel = ChannelState()
    outbound = [message for event in events_of(scenario) for message in channel.handle(event)]
    assert as_json(outbound) == scenario["outbound"]
    assert state_of(channel) == scenario["state"]


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("way", ["handle", "tell"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_the_actors_keep(scenario, way):
    with Channel() as channel:
        for event in events_of(scenario):
            getattr(channel, way)(event)
        assert as_json(channel.flush_outbox()) == scenario["outbound"]
        assert state_of(channel) == scenario["state"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_a_node_of_a_cluster_keeps(scenario):
    bus = MemoryBus()
    with new_cluster_ready("a", "c", bus.engine()) as channel, new_cluster_ready("b", "c", bus.engine()):
        for event in events_of(scenario):
            channel.handle(event)
        assert as_json(channel.flush_outbox()) == scenario["outbound"]
        assert state_of(channel) == scenario["state"]
