"""Two and three channels on one engine: what each of them gives out, and what it says of the others."""

import asyncio
import queue

import pytest

from lightspeed.channel import (
    AsyncChannel,
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ClusterReady,
    Crash,
    InboxEmpty,
    InvalidOption,
    Join,
    Leave,
    NodeNameTaken,
    PresenceDiff,
    Publish,
    Push,
    Rejoin,
    Restart,
    System,
    new_cluster_ready,
)
from lightspeed.clients import Gap
from lightspeed.cluster import MemoryBus
from lightspeed.cluster.node import Took
from lightspeed.testing import Simulation


class Unobserved(Simulation):
    """What a channel by itself is held to does not know of others."""

    observers = ()


@pytest.fixture
def simulation():
    with Unobserved(1) as simulation:
        yield simulation


@pytest.fixture
def cluster(simulation):
    cluster = simulation.cluster(("a", "b", "c"))
    simulation.run_for(5)
    return cluster


def given(simulation, *channels):
    """What each gave out since, when all have come to rest."""
    simulation.run_for(1)
    return [channel.flush_outbox() for channel in channels]


def refs(presences):
    return [meta.ref for entry in presences for meta in entry.metas]


def diffs(messages):
    return [(refs(one.diff.joins), refs(one.diff.leaves)) for one in messages if isinstance(one, PresenceDiff)]


def said(messages):
    return [(one.payload, one.sender) for one in messages if isinstance(one, BroadcastMessage)]


def test_presence_is_that_of_all_nodes_and_members_are_those_of_one(simulation, cluster):
    a, b, c = cluster.nodes.values()
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 2))
    simulation.run_for(1)
    assert [sorted(refs(one.presences("t"))) for one in (a, b, c)] == [["x:1", "y:2"]] * 3
    assert [one.subscribers("t") for one in (a, b, c)] == [("x",), ("y",), ()]
    assert [one.topics() for one in (a, b, c)] == [("t",), ("t",), ()]
    assert [one.membership_count for one in (a, b, c)] == [1, 1, 0]


def test_a_broadcast_comes_to_the_members_of_each_node_once_in_order_and_from_its_sender(simulation, cluster):
    a, b, c = cluster.nodes.values()
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 2))
    given(simulation, a, b, c)
    for number in range(5):
        a.tell(Broadcast("x", "t", str(number), "named"))
    outs = given(simulation, a, b, c)
    assert [said(out) for out in outs] == [[(str(number), "x") for number in range(5)]] * 2 + [[]]
    assert outs[1][0] == BroadcastMessage("t", "0", ("y",), "named")


def test_what_the_program_says_comes_to_all_nodes_also_where_nobody_is(simulation, cluster):
    a, b, c = cluster.nodes.values()
    b.handle(Join("y", "t", "v", 2))
    given(simulation, a, b, c)
    c.tell(Publish("t", "news"))
    a.tell(Join("x", "t", "u", 3))
    a.tell(Publish("t", "more"))
    outs = given(simulation, a, b, c)
    assert sorted(said(outs[1])) == [("more", None), ("news", None)]
    assert said(outs[2]) == []


def test_a_ref_that_two_nodes_show_joins_once_and_leaves_with_the_last(simulation, cluster):
    a, b, c = cluster.nodes.values()
    c.handle(Join("z", "t", "w", 1))
    given(simulation, a, b, c)
    a.handle(Join("x", "t", "u", 2))
    simulation.run_for(1)
    b.handle(Rejoin("x", "t", "u", 2))  # the client roams: the other node does not know yet
    assert diffs(given(simulation, c)[0]) == [(["x:2"], [])]
    a.handle(Leave("x", "t"))
    assert diffs(given(simulation, c)[0]) == []
    b.handle(Leave("x", "t"))
    assert diffs(given(simulation, c)[0]) == [([], ["x:2"])]


def test_who_leaves_here_while_another_node_shows_the_same_is_a_member_no_more(simulation, cluster):
    a, b, _c = cluster.nodes.values()
    client = a.client("x", "u", auto_rejoin=False)
    client.join("t")
    (ref,) = refs(a.presences("t"))
    b.handle(Rejoin("x", "t", "u", int(ref.partition(":")[2])))
    simulation.run_for(1)
    client.leave("t")
    assert (client.topics, client.presence("t"), a.topics_of("x")) == ((), {}, ())
    assert refs(a.presences("t")) == [ref]


def test_members_of_other_nodes_are_in_no_index_of_this_one(simulation, cluster):
    a, b, _c = cluster.nodes.values()
    watcher = a.client("x", "u")
    watcher.join("t")
    b.handle(Join("y", "t", "v", 1))
    b.handle(Join("x", "t", "v", 1))
    simulation.run_for(1)
    assert (a.topics_of("y"), a.topics_of("x")) == ((), ("t",))
    b.handle(Leave("x", "t"))
    simulation.run_for(1)
    assert (a.topics_of("x"), watcher.topics) == (("t",), ("t",))


def test_a_client_sees_those_of_other_nodes_come_and_go(simulation, cluster):
    a, b, _c = cluster.nodes.values()
    b.handle(Join("y", "t", "v", 1))
    simulation.run_for(1)
    client = a.client("x", "u")
    client.join("t")
    assert sorted(client.presence("t")) == ["u", "v"]
    b.handle(Leave("y", "t"))
    simulation.run_for(1)
    assert sorted(client.presence("t")) == ["u"]


@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_a_crash_takes_the_members_of_one_node_from_all_in_one_diff(simulation, rejoin):
    cluster = simulation.cluster(2, rejoin=rejoin)
    a, b = cluster.nodes.values()
    b.handle(Join("y", "t", "v", 1))
    for client in ("x1", "x2"):
        a.handle(Join(client, "t", client, 2))
    given(simulation, a, b)
    a.handle(Crash("planned", "t"))
    assert diffs(given(simulation, b)[0]) == [([], ["x1:2", "x2:2"])]
    assert refs(a.presences("t")) == ["y:1"]
    a.handle(Restart("t"))
    a.handle(Rejoin("x1", "t", "x1", 2))
    come = diffs(given(simulation, b)[0])
    assert come == ([(["x1:2", "x2:2"], [])] if rejoin == "supervisor" else [(["x1:2"], [])])
    assert sorted(refs(a.presences("t"))) == sorted(refs(b.presences("t")))


def test_a_crash_of_a_channel_is_that_of_its_node(simulation, cluster):
    a, b, _c = cluster.nodes.values()
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, a, b)
    a.handle(Crash("planned"))
    assert (a.crashed, b.crashed) == (True, False)
    assert diffs(given(simulation, b)[0]) == [([], ["x:1"])]
    a.tell(Publish("t", "of one that is down"))
    assert said(given(simulation, b)[0]) == [("of one that is down", None)]


class Shouting(Behaviour):
    """Changes what is said."""

    def on_broadcast(self, room, client_id, payload):
        room.broadcast(payload.upper())

    def on_publish(self, room, payload):
        room.broadcast(payload.upper())


def test_what_a_behaviour_gives_out_goes_to_other_nodes_past_their_behaviours(simulation):
    a, b = simulation.cluster(2, behaviours={"t": Shouting}).nodes.values()
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, a, b)
    a.tell(Broadcast("x", "t", "straße"))
    a.tell(Publish("t", "news"))
    assert said(given(simulation, b)[0]) == [("STRASSE", "x"), ("NEWS", None)]


def test_a_node_that_ends_leaves_at_once_and_one_that_is_killed_within_its_lease_and_some_beats(simulation, cluster):
    a, b, c = cluster.nodes.values()
    for number, channel in enumerate((a, b, c)):
        channel.handle(Join(f"x{number}", "t", f"u{number}", 1))
    given(simulation, c)
    a.close()
    assert diffs(given(simulation, c)[0]) == [([], ["x0:1"])]
    cluster.kill("b")
    assert diffs(given(simulation, c)[0]) == []
    simulation.run_for(6 + 1.5 * 2)
    assert diffs(given(simulation, c)[0]) == [([], ["x1:1"])]
    assert refs(c.presences("t")) == ["x2:1"]


def test_a_name_is_one_living_nodes_and_free_again_after_its_end(simulation, cluster):
    network = cluster.network
    with pytest.raises(NodeNameTaken, match="node a of cluster cluster is alive already"):
        simulation.channel(ClusterReady("a", "cluster", network.engine()))
    cluster["a"].close()
    with simulation.channel(ClusterReady("a", "cluster", network.engine())) as again:
        again.handle(Join("x", "t", "u", 1))
        simulation.run_for(1)
        assert refs(cluster["b"].presences("t")) == ["x:1"]


def test_a_killed_nodes_name_is_free_when_its_lease_is_over(simulation, cluster):
    cluster["a"].handle(Join("x", "t", "u", 1))
    cluster.kill("a")
    simulation.channel(ClusterReady("a", "cluster", cluster.network.engine()))
    simulation.run_for(10)
    assert refs(cluster["b"].presences("t")) == []


def test_what_is_lost_is_told_to_the_program_and_to_clients_of_those_topics(simulation, cluster):
    a, b, _c = cluster.nodes.values()
    client, a_port = b.client("y", "v"), next(port for port in cluster.network.ports.values() if port.name == "b")
    told = []
    client.join("t")
    other = b.client("z", "w")
    other.join("in another shard")
    a.handle(Join("x", "t", "u", 1))
    simulation.run_for(1)
    client.receive_many(100)
    arrive = a_port._arrive
    a_port._arrive = lambda frame, links: None
    a.handle(Broadcast("x", "t", "lost"))
    a.handle(Broadcast("x", "t", "lost too"))
    simulation.run_for(0.1)
    a_port._arrive = arrive
    a._node.actor._sending._ring.clear()  # else it would come once more
    a.handle(Broadcast("x", "t", "heard"))
    simulation.run_for(1)
    with pytest.raises(InboxEmpty):  # it waits for what is missing
        client.receive(0)
    simulation.run_for(3)
    told = [one for one in client.receive_many(100) if not isinstance(one, PresenceDiff)]
    assert told == [Gap("a", 2), BroadcastMessage("t", "heard", ("y",))]
    assert Gap("a", 2) not in other.receive_many(100)


def test_what_did_not_come_is_had_once_more_and_what_is_behind_it_waits_for_that(simulation, cluster):
    a, b, _c = cluster.nodes.values()
    port = next(port for port in cluster.network.ports.values() if port.name == "b")
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, b)
    arrive = port._arrive
    port._arrive = lambda frame, links: None
    a.handle(Broadcast("x", "t", "missed"))
    a.handle(Broadcast("x", "t", "missed too"))
    simulation.run_for(0.1)
    port._arrive = arrive
    a.handle(Broadcast("x", "t", "heard"))
    (out,) = given(simulation, b)
    assert said(out) == [("missed", "x"), ("missed too", "x"), ("heard", "x")]
    port._arrive = lambda frame, links: None
    a.handle(Broadcast("x", "t", "the last"))
    simulation.run_for(0.1)
    port._arrive = arrive
    simulation.run_for(2)  # a beat tells of it
    assert said(b.flush_outbox()) == [("the last", "x")]
    assert b.metrics().nodes_lost == 0


def test_a_node_without_a_link_says_so_goes_on_by_itself_and_says_when_it_is_back(simulation):
    cluster = simulation.cluster(2)
    a, b = cluster.nodes.values()
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, a, b)
    next(port for port in cluster.network.ports.values() if port.name == "n1").cut(20)
    a.handle(Broadcast("x", "t", "by itself"))
    simulation.run_for(15)
    out = a.flush_outbox()
    assert [one.label for one in out if isinstance(one, System)] == ["isolated"]
    assert said(out) == [("by itself", "x")]
    assert sorted(refs(a.presences("t"))) == ["x:1", "y:1"]  # who is alone judges nobody
    assert refs(b.presences("t")) == ["y:1"]
    simulation.run_for(20)
    assert [one.label for one in a.flush_outbox() if isinstance(one, System)] == ["joined"]
    assert sorted(refs(b.presences("t"))) == ["x:1", "y:1"]
    assert said(b.flush_outbox()) == [("by itself", "x")]


def test_what_waits_for_the_link_is_bounded_and_what_is_dropped_of_it_is_told(simulation):
    network = simulation.cluster(["b"]).network
    a = simulation.channel(ClusterReady("a", "cluster", network.engine(), max_waiting_bytes=2_000))
    b = simulation._channels[0]
    simulation.run_for(5)
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, a, b)
    next(port for port in network.ports.values() if port.name == "a").cut(1)
    for number in range(100):
        a.tell(Broadcast("x", "t", str(number)))
    a.tell(Join("z", "t", "w", 2))
    simulation.run_for(5)
    out = b.flush_outbox()
    heard = [int(payload) for payload, _sender in said(out)]
    (gap,) = [one.label for one in out if isinstance(one, System)]
    assert heard == [0, *range(101 - len(heard), 100)]  # the first was on its way, the oldest of the others are dropped
    assert gap == f"gap:a:{100 - len(heard)}"
    assert a.metrics().nodes_unsent == 100 - len(heard) > 70
    assert "z:2" in refs(b.presences("t"))


def test_a_tree_and_metrics_say_how_the_other_nodes_are(simulation, cluster):
    a = cluster["a"]
    a.handle(Join("x", "t", "u", 1))
    assert str(a.tree()).splitlines()[:4] == [
        "cluster_ready:cluster/a [running] supervisor",
        "|- cluster [running] cluster",
        "|  |- b [up] node",
        "|  `- c [up] node",
    ]
    next(port for port in cluster.network.ports.values() if port.name == "c")._mute_until = simulation.now_s + 7
    simulation.run_for(7)
    assert "`- c [mute] node, not heard for 4 beats" in str(a.tree())
    assert a.metrics().nodes == 2
    simulation.run_for(5)
    assert "`- c [up] node" in str(a.tree())
    cluster.kill("c")
    simulation.run_for(9)
    assert "`- c [buried] node" in str(a.tree())
    metrics = a.metrics()
    assert (metrics.nodes, metrics.nodes_buried, metrics.nodes_lost, metrics.bad_frames) == (1, 1, 0, 0)


def test_what_is_no_frame_is_counted_and_nothing_else_comes_of_it(simulation, cluster):
    port = next(iter(cluster.network.ports.values()))
    for raw in (b"", b"nonsense", b"\x95\x02"):
        port._hand_over(raw, port._links)
    simulation.run_for(10)
    assert cluster[port.name].metrics().bad_frames == 3
    assert cluster[port.name].metrics().nodes == 2


class Odd(Behaviour):
    """Says what is no text for others, and what is too much."""

    def on_push(self, room, client_id, event, payload):
        room.broadcast({"odd": "a \ud800", "much": "x" * 2_000_000}.get(payload, payload))


def test_what_no_frame_can_hold_is_told_as_lost_and_harms_nothing_else(simulation):
    a, b = simulation.cluster(2, behaviours={"t": Odd}).nodes.values()
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, a, b)
    for payload in ("one", "odd", "two", "much", "three"):
        a.tell(Push("x", "t", "say", payload))
    out = given(simulation, b)[0]
    assert said(out) == [("one", None), ("two", None), ("three", None)]
    assert [one.label for one in out if isinstance(one, System)] == ["gap:n1:1", "gap:n1:1"]
    assert a.metrics().nodes_unsent == 2


def test_a_node_that_fails_says_so_and_the_channel_goes_on_by_itself(simulation):
    a, b = simulation.cluster(2).nodes.values()
    a.handle(Join("x", "t", "u", 1))
    given(simulation, a, b)
    a._node.actor._peers = None  # a bug
    a.handle(Broadcast("x", "t", "alone"))
    (out,) = given(simulation, a)
    a.handle(Broadcast("x", "t", "still"))
    simulation.run_for(20)
    out += a.flush_outbox()
    assert [one.label for one in out if isinstance(one, System)] == ["isolated"]
    assert said(out) == [("alone", "x"), ("still", "x")]
    assert refs(b.presences("t")) == []


def test_a_supervisor_that_does_not_keep_up_is_handed_no_more_than_it_can_hold_and_the_rest_is_told(simulation):
    network = simulation.cluster(["a"]).network
    a = simulation._channels[0]
    b = simulation.channel(ClusterReady("b", "cluster", network.engine(), max_waiting_bytes=2_000))
    simulation.run_for(5)
    a.handle(Join("x", "t", "u", 1))
    b.handle(Join("y", "t", "v", 1))
    given(simulation, a, b)
    node = b._node.actor
    node._is_handing = True  # the supervisor has not passed on the last yet
    for number in range(100):
        a.tell(Broadcast("x", "t", str(number)))
    simulation.run_for(1)
    node._is_handing = False
    node.actor_ref.tell(Took())
    out = given(simulation, b)[0]
    heard = [int(payload) for payload, _sender in said(out)]
    assert heard == list(range(len(heard)))
    assert [one.label for one in out if isinstance(one, System)] == [f"gap:a:{100 - len(heard)}"]
    assert len(heard) < 30


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65, "a/b"])
def test_names_are_plain_where_there_is_an_engine(name):
    with pytest.raises(InvalidOption, match="node_id"):
        new_cluster_ready(name, "c", MemoryBus().engine())
    with pytest.raises(InvalidOption, match="cluster"):
        new_cluster_ready("a", name, MemoryBus().engine())


@pytest.mark.parametrize(
    ("options", "name"), [({"lease_s": 0}, "lease_s"), ({"beat_s": 3}, "beat_s"), ({"max_waiting_bytes": 0}, "max_waiting_bytes")]
)
def test_a_cluster_is_refused_a_time_that_can_not_be(options, name):
    with pytest.raises(InvalidOption, match=name):
        Channel(ClusterReady("a", "c", MemoryBus().engine(), **options))


def test_a_channel_of_threads_and_one_on_a_loop_are_nodes_of_one_cluster():
    bus, out = MemoryBus(), queue.Queue()

    def wait_for(is_it):
        while not is_it(out.get(timeout=10)):
            pass

    async def main():
        with new_cluster_ready("a", "c", bus.engine(), on_outbound=out.put) as a:
            async with AsyncChannel(ClusterReady("b", "c", bus.engine())) as b:
                await asyncio.to_thread(a.handle, Join("x", "t", "u", 1))
                client = await b.client("y", "v")
                await client.join("t")
                while len(client.presence("t")) < 2:
                    await client.receive(10)
                a.tell(Broadcast("x", "t", "from a thread"))
                while not isinstance(message := await client.receive(10), BroadcastMessage):
                    pass
                assert message.payload == "from a thread"
                await client.broadcast("t", "from the loop")
                await asyncio.to_thread(wait_for, lambda one: getattr(one, "payload", "") == "from the loop")
                with pytest.raises(NodeNameTaken):
                    async with AsyncChannel(ClusterReady("a", "c", bus.engine())):
                        pass
            await asyncio.to_thread(wait_for, lambda one: isinstance(one, PresenceDiff) and one.diff.leaves)
            assert refs(await asyncio.to_thread(a.presences, "t")) == ["x:1"]

    asyncio.run(main())
