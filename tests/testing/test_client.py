import sys

import pytest

from lightspeed.actors.errors import InvalidEvent, PoolClosed, SimulationMisused
from lightspeed.channel import Broadcast, BroadcastMessage, Crash, FaultPlan, Join, PushMessage, Reply, Restart
from lightspeed.faults import Drop
from lightspeed.testing import Simulation


@pytest.fixture
def simulation(lightspeed_simulation):
    return lightspeed_simulation


@pytest.mark.parametrize("seed", range(20))
def test_what_it_is_told_to_send_goes_out_in_order_whatever_others_do(seed):
    with Simulation(seed) as simulation:
        channel = simulation.channel()
        for name in ("a", "b"):
            client = simulation.client(channel, name)
            client.join("x")
            for number in range(5):
                client.broadcast("x", f"{name}{number}")
        simulation.run()
        for name in ("a", "b"):
            heard = [message.payload for message in client.received if isinstance(message, BroadcastMessage)]
            assert [payload for payload in heard if payload[0] == name] in ([f"{name}{n}" for n in range(k, 5)] for k in range(6))


def test_it_receives_what_is_for_it_in_the_order_in_which_it_was_given_out(simulation):
    channel = simulation.channel()
    client, other = simulation.client(channel, "a"), simulation.client(channel, "b")
    client.join("x")
    client.push("x", "e", "p")
    client.broadcast("x", "hello")
    client.leave("x")
    simulation.run()
    assert client.received == [
        Reply("a", "x", "ok", "joined"),
        PushMessage("a", "x", "e", "p"),
        BroadcastMessage("x", "hello", ("a",)),
        Reply("a", "x", "ok", "left"),
    ]
    assert other.received == []


def test_its_events_have_the_times_of_the_simulation_and_its_user(simulation):
    channel = simulation.channel()
    simulation.run_for(2.5)
    simulation.client(channel, "a", "ann").join("x")
    simulation.client(channel, "b").rejoin("x")
    simulation.run()
    assert {(entry.key, entry.metas[0].online_at_ms) for entry in channel.presences("x")} == {("ann", 2500), ("b", 2500)}


def test_it_may_crash_and_restart_too(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "operator")
    client.join("x")
    client.send(Crash("ordered"))
    client.send(Restart())
    simulation.run()
    assert channel.topics() == ()


def test_what_is_put_off_goes_out_when_its_time_has_come(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    client.send(Join("a", "x", "u", 1), after_s=5)
    client.send(Join("a", "y", "u", 1))
    simulation.run_for(4.9)
    assert channel.topics() == ("y",)
    simulation.run_for(0.1)
    assert channel.topics() == ("x", "y")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_put_off_to_one_moment_goes_out_in_order(seed):
    with Simulation(seed) as simulation:
        client = simulation.client(simulation.channel(), "a")
        client.join("x")
        for number in range(4):
            client.send(Broadcast("a", "x", str(number)), after_s=3)
            client.send(Broadcast("a", "x", "between"), after_s=2 + number / 10)
        simulation.run_for(10)
        assert [message.payload for message in client.received[-4:]] == list("0123")


@pytest.mark.parametrize("event", [None, "join", Join("", "x", "u", 1), Join("a", "\ud800", "u", 1), Broadcast("a", "x", None)])
def test_what_is_no_event_is_refused_where_it_is_sent(simulation, event):
    client = simulation.client(simulation.channel(), "a")
    for after_s in (0, 1):
        with pytest.raises(InvalidEvent):
            client.send(event, after_s=after_s)
    client.join("x")
    simulation.run_for(2)
    assert (simulation.sent, client.received) == (1, [Reply("a", "x", "ok", "joined")])


def test_what_is_skipped_was_never_sent():
    with Simulation(skip=frozenset([1, 3])) as simulation:
        client = simulation.client(simulation.channel(), "a")
        client.join("x")
        for payload in ("skipped", "kept", "skipped", "kept too"):
            client.broadcast("x", payload)
        simulation.run()
        assert [message.payload for message in client.received] == ["joined", "kept", "kept too"]


def test_a_closed_channel_takes_nothing_any_more_and_the_rest_is_dropped(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    client.join("x")
    simulation.run()
    channel.close()
    for _ in range(3):
        client.broadcast("x", "late")
    client.send(Broadcast("a", "x", "later"), after_s=1)
    simulation.run_for(5)
    assert client.received == [Reply("a", "x", "ok", "joined")]
    assert simulation.sent == 3  # the first that was refused ends the line


def test_one_of_an_id_in_a_channel_is_always_the_same_and_another_one_in_another_channel(simulation):
    channels = [simulation.channel(), simulation.channel()]
    first, second = (simulation.client(channel, "a") for channel in channels)
    assert simulation.client(channels[0], "a") is first
    first.join("x")
    simulation.run()
    assert (len(first.received), second.received) == (1, [])


def test_behind_the_end_of_the_simulation_nothing_is_sent():
    with Simulation() as simulation:
        client = simulation.client(simulation.channel(), "a")
    with pytest.raises(PoolClosed):
        client.join("x")


def test_it_may_wait_until_an_event_has_taken_effect_and_call_whatever_it_likes_in_its_turn(simulation):
    channel, seen = simulation.channel(), []
    client, other = simulation.client(channel, "a"), simulation.client(channel, "b")
    client.handle(Join("a", "x", "u", 1))
    client.do(lambda: seen.append(channel.subscribers("x")))
    for _ in range(5):
        other.join("y")
    simulation.run()
    assert seen == [("a",)]


def test_a_wait_in_vain_ends_at_the_channels_timeout_and_what_it_has_yet_to_send_goes_out(simulation):
    channel = simulation.channel(timeout_s=7, faults=FaultPlan((Drop(at=1),)))
    client = simulation.client(channel, "a")
    client.handle(Join("a", "x", "u", 1))
    client.join("x")
    simulation.run()
    assert simulation.now_s == 7
    assert client.received == [Reply("a", "x", "ok", "joined")]


def test_it_may_react_to_what_it_gets(simulation):
    client = simulation.client(simulation.channel(), "a")
    client.on_received = lambda message: client.push("x", "e", "p") if message == Reply("a", "x", "ok", "joined") else None
    client.join("x")
    simulation.run()
    assert client.received[1:] == [PushMessage("a", "x", "e", "p")]


async def never_awaited(message):
    raise AssertionError


def test_a_reaction_that_nobody_would_await_is_refused():
    with pytest.raises(SimulationMisused, match="must be a plain function"), Simulation(1) as simulation:  # noqa: PT012
        client = simulation.client(simulation.channel(), "a")
        client.on_received = never_awaited
        client.join("x")


def test_one_that_would_end_the_process_hurts_no_topic_either():
    with pytest.raises(SystemExit), Simulation(1) as simulation:  # noqa: PT012
        client = simulation.client(simulation.channel(), "a")
        client.on_received = lambda message: sys.exit()
        client.join("x")


def test_what_its_reaction_raises_ends_the_simulation_and_hurts_no_topic():
    with pytest.raises(ZeroDivisionError), Simulation(1) as simulation:  # noqa: PT012
        channel = simulation.channel()
        client = simulation.client(channel, "a")
        client.on_received = lambda message: 1 / 0
        client.join("x")
        simulation.run()
