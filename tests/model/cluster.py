"""Clusters that are drawn by lot, and what the library promises of them whatever goes wrong between their nodes.

`python tests/model/cluster.py --seeds 50000 --jobs 2`; options as of `lightspeed simulate`, which plays it.

What each node shows and says is noted where it hands that to its relay; what comes of it is seen in what the channels give out.
"""

import random
import sys
from collections import Counter, defaultdict
from typing import Any

from lightspeed.actors.errors import InvariantBroken
from lightspeed.actors.topics.rules.union import seen_in
from lightspeed.channel import (
    Broadcast,
    BroadcastMessage,
    Crash,
    FaultPlan,
    Join,
    Leave,
    PresenceDiff,
    Publish,
    Rejoin,
    Restart,
    System,
)
from lightspeed.cli.main import main
from lightspeed.cluster.node import NodeRelay
from lightspeed.faults import Raise
from lightspeed.faults.network import (
    Cut,
    Deaf,
    DelayFrame,
    DoubleFrame,
    Freeze,
    KillNode,
    LoseAck,
    LoseFrame,
    Mute,
    RestartEngine,
    Stall,
)
from lightspeed.testing import Simulation
from lightspeed.testing.network import SimulatedNetwork

WITNESSED = "w"  # a topic in which every node has a member, who never leaves
TOPICS = ("x", "y", "room:1", WITNESSED)
REST_S = 40.0
LEASE_S, BEAT_S = 6.0, 2.0


class ClusterModel:
    """What is promised of a cluster, held against one run."""

    def __init__(self, simulation: Simulation, cluster: Any) -> None:
        self.simulation, self.cluster = simulation, cluster
        self.shown: dict[str, dict[str, set[Any]]] = {name: defaultdict(set) for name in cluster.nodes}
        """Node -> topic -> (key, meta)."""
        self.let_go: dict[str, set[Any]] = {name: set() for name in cluster.nodes}
        """Node -> (topic, (key, meta)) that it ever showed no more."""
        self.said: dict[str, list[tuple[str, str]]] = {name: [] for name in cluster.nodes}
        self.heard: dict[str, list[tuple[str, str]]] = {name: [] for name in cluster.nodes}
        self.lost: Counter[tuple[str, str]] = Counter()
        """(who lost, of whom) -> how many it was told."""
        self.false_leaves: list[str] = []
        """Noted, since what a sink raises harms nobody."""
        self.lapsed_s: dict[str, float] = {}
        """Boot -> when its lease was last found to be none."""
        self.boots = {port.name: port.boot for port in cluster.network.ports.values()}

    # What is seen

    def gives_out(self, node: str, message: Any) -> None:
        if isinstance(message, BroadcastMessage):
            self.heard[node].append((message.topic, message.payload))
        elif isinstance(message, PresenceDiff):
            self._no_false_leave(node, message)
        elif isinstance(message, System) and message.label.startswith("gap:"):
            _gap, of, count = message.label.rsplit(":", 2)
            self.lost[node, of] += int(count)

    def _no_false_leave(self, node: str, message: PresenceDiff) -> None:
        """A living node's member leaves nowhere while its lease lives."""
        for seen in seen_in(message.diff.leaves):
            for owner in self.cluster.alive:
                has_let_go = (message.topic, seen) in self.let_go[owner]  # and took it back by a replay, which keeps the ref
                if seen in self.shown[owner][message.topic] and not has_let_go and node in self.cluster.alive:
                    found_s = self.lapsed_s.get(self.boots[owner], -100.0)
                    if owner == node or self.simulation.now_s - found_s > 2.0:
                        self.false_leaves.append(f"at {node} {seen} of {owner} left {message.topic}")

    # What is held at rest

    def at_rest(self) -> None:
        alive = self.cluster.alive
        if self.false_leaves:
            raise InvariantBroken("no false leave", self.false_leaves[0])
        for node, channel in alive.items():
            for topic in TOPICS:
                union = set().union(*(self.shown[owner][topic] for owner in alive))
                present = set(seen_in(channel.presences(topic)))
                if present != union:
                    raise InvariantBroken("presence is the union", f"{node} {topic}: {present ^ union}")
            mine = channel._node.actor
            if mine._counts.mismatches:
                raise InvariantBroken("digests match", node)
            for owner, other in alive.items():
                if owner != node:
                    self._numbers_agree(node, mine._peers[self.boots[owner]], other._node.actor)
                    self._nothing_untold(node, owner)

    def _numbers_agree(self, node: str, peer: Any, other: Any) -> None:
        for stream, last in zip(peer._streams, other._sending.numbers, strict=True):
            if stream.next != last + 1:
                raise InvariantBroken("numbers agree", f"{node} of {peer.name}: {stream.next} {last}")

    def _nothing_untold(self, node: str, owner: str) -> None:
        """Of what is said in the witnessed topic all is heard, in order and once, or told as lost."""
        said = [payload for topic, payload in self.said[owner] if topic == WITNESSED]
        heard = [payload for topic, payload in self.heard[node] if topic == WITNESSED and payload.startswith(f"{owner} ")]
        places = {payload: place for place, payload in enumerate(said)}
        order = [places[payload] for payload in heard]
        if order != sorted(set(order)):
            raise InvariantBroken("in order and once", f"{node} of {owner}: {heard}")
        missing = len(said) - len(heard)
        told = self.lost[node, owner] + self.lost[node, self.boots[owner]]
        if missing > told or (missing and not any(self.cluster.faults.fired)):
            raise InvariantBroken("every loss is told", f"{node} of {owner}: {missing} missing, {told} told")


def play(simulation: Simulation) -> None:
    """A cluster that its seed draws, through half a minute of trouble, then at rest."""
    rng = random.Random(f"cluster {simulation.seed}")
    models: list[ClusterModel] = []
    names = [f"n{number}" for number in range(1, rng.randrange(2, 6) + 1)]

    def sink_of(name: str) -> Any:
        def sink(message: Any) -> None:
            if models:
                models[0].gives_out(name, message)

        return sink

    network_kinds = tuple(_network_fault(rng, names) for _ in range(rng.choice((0, 0, 1, 2, 3, 4))))
    topic_faults = tuple(Raise(topic=topic, probability=0.1, times=2) for topic in rng.sample(("x", "y"), rng.choice((0, 0, 1))))
    plan = FaultPlan((*network_kinds, *topic_faults), rng.randrange(2**32))
    cluster = simulation.cluster(
        {name: {"on_outbound": sink_of(name)} for name in names},
        faults=plan,
        lease_s=LEASE_S,
        beat_s=BEAT_S,
        rejoin=rng.choice(("client", "supervisor")),
    )
    model = ClusterModel(simulation, cluster)
    _tap(simulation, model)
    models.append(model)
    simulation.run_for(5.0)
    for name, channel in cluster.nodes.items():
        channel.tell(Join(f"witness {name}", WITNESSED, f"witness {name}", 1))
    simulation.run_for(1.0)
    _trouble(simulation, rng, cluster)
    cluster.network.calm()
    simulation.run_for(REST_S)
    model.at_rest()


def _trouble(simulation: Simulation, rng: random.Random, cluster: Any) -> None:
    number = 10
    for _ in range(rng.choice((10, 40, 80))):
        number += 1
        name = rng.choice(list(cluster.nodes))
        channel, client = cluster.nodes[name], rng.choice(("a", "b", f"only {name}"))
        topic = rng.choice(TOPICS[:3])
        event = rng.choices(
            (
                Join(client, topic, client[0], number),
                Rejoin(client, topic, client[0], number),
                Leave(client, topic),
                Broadcast(f"witness {name}", WITNESSED, f"{name} {number}"),
                Broadcast(client, topic, f"{name} {number}"),
                Publish(rng.choice(TOPICS), f"{name} {number}"),
                Crash("planned", topic),
                Restart(topic),
            ),
            weights=(6, 4, 3, 8, 2, 3, 1, 1),
        )[0]
        channel.tell(event)
        if rng.random() < 0.5:
            simulation.run_for(rng.choice((0.0, 0.001, 0.1, 1.0, 1.0)))


def _tap(simulation: Simulation, model: ClusterModel) -> None:
    """Note what each node hands to its relay, and whose lease was found to be none."""
    network: SimulatedNetwork = model.cluster.network
    for name, channel in model.cluster.nodes.items():
        relay: NodeRelay = channel._supervisor.actor._relay
        shown, said, let_go = model.shown[name], model.said[name], model.let_go[name]

        def note_said(topic: str, payload: str, event: str, sender: Any, *, relay: Any = relay, said: Any = said) -> None:
            said.append((topic, payload))
            NodeRelay.said(relay, topic, payload, event, sender)

        def note_changed(diff: Any, *, relay: Any = relay, shown: Any = shown, let_go: Any = let_go) -> None:
            let_go.update((diff.topic, seen) for seen in seen_in(diff.leaves))
            shown[diff.topic] = (shown[diff.topic] | set(seen_in(diff.joins))) - set(seen_in(diff.leaves))
            NodeRelay.changed(relay, diff)

        def note_cleared(topic: str, *, relay: Any = relay, shown: Any = shown, let_go: Any = let_go) -> None:
            let_go.update((topic, seen) for seen in shown[topic])
            shown[topic].clear()
            NodeRelay.cleared(relay, topic)

        relay.said, relay.changed, relay.cleared = note_said, note_changed, note_cleared  # type: ignore[method-assign]
    is_alive = network.is_alive

    def noted(boot: str) -> bool:
        alive = is_alive(boot)
        if not alive:
            model.lapsed_s[boot] = simulation.now_s
        return alive

    network.is_alive = noted  # type: ignore[method-assign]


def _network_fault(rng: random.Random, names: list[str]) -> Any:
    trigger: dict[str, Any] = {"topic": rng.choice((*names, "*")), "times": rng.choice((1, 2, 5))}
    trigger |= rng.choice(({"at": rng.randrange(40, 200)}, {"every": rng.randrange(20, 60)}, {"at_s": rng.uniform(5, 30)}))
    kind: Any = rng.choice(
        (LoseFrame, LoseFrame, DoubleFrame, DelayFrame, Stall, Cut, Deaf, Mute, Freeze, LoseAck, RestartEngine, KillNode)
    )
    if kind is KillNode:
        trigger["times"], trigger["topic"] = 1, rng.choice(names)
    if kind in (LoseFrame, DoubleFrame, LoseAck, KillNode):
        return kind(**trigger)
    return kind(rng.choice((0.05, 1.0, 7.0, 15.0)), **trigger)


if __name__ == "__main__":
    sys.exit(main(["simulate", f"{__file__}:play", *sys.argv[1:]]))
