"""The library's clusters under its own rules; and that each rule finds a bug that breaks it."""

import pytest
from model.cluster import play

from lightspeed.actors.errors import InvariantBroken
from lightspeed.cluster import node, peers, sending
from lightspeed.cluster.frames import Changed, Said
from lightspeed.testing import Simulation

SEEDS = 200  # of three schedulers together; more by `python tests/model/cluster.py --seeds 50000`


class Unobserved(Simulation):
    """What a channel by itself is held to does not know of others."""

    observers = ()


def run(seed, scheduler="random"):
    with Unobserved(seed, scheduler=scheduler) as simulation:
        play(simulation)
    return simulation


def in_parts(count):
    return [range(first, first + 50) for first in range(0, count, 50)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [*in_parts(SEEDS), *(pytest.param(part, marks=pytest.mark.long) for part in in_parts(5 * SEEDS)[4:])], ids=str
)
def test_clusters_of_two_to_five_nodes_keep_their_promises(seeds):
    for seed in seeds:
        run(seed, ("random", "round_robin", "priority")[seed % 3])


def test_the_same_seed_is_the_same_run():
    assert run(3).hash == run(3).hash
    assert run(3).hash != run(4).hash


def nobody_is_buried(monkeypatch):
    monkeypatch.setattr(peers.Peer, "bury", lambda self, most: iter(()))


def silence_is_death(monkeypatch):
    monkeypatch.setitem(node._HANDLERS, node.LeaseRead, lambda self, message: self._bury(self._peers[message.boot]))


def no_loss_is_told(monkeypatch):
    monkeypatch.setattr(node.Node, "_lose", lambda self, peer, shard, lost: None)


def some_are_forgotten(monkeypatch):
    send, count = node.Node._send, iter(range(10**9))
    monkeypatch.setitem(node._HANDLERS, Said, lambda self, item: next(count) % 20 == 7 or send(self, item))


def the_last_is_first(monkeypatch):
    def put(self, shard, item, size):
        (self._out.append if not isinstance(item, Said) else self._out.appendleft)((shard, item, size))

    monkeypatch.setattr(sending.Sending, "_put", put)
    monkeypatch.setattr(node.Node, "_pump", lambda self, pump=node.Node._pump: len(self._sending) % 2 or pump(self))


def twice_is_no_matter(monkeypatch):
    take = peers.Peer.take

    def taken(self, number, first, items, now_s):
        self._streams[number].next = min(self._streams[number].next, first)
        return take(self, number, first, items, now_s)

    monkeypatch.setattr(peers.Peer, "take", taken)


def the_tail_is_no_matter(monkeypatch):
    check = peers.Peer.check

    def checked(self, beat):
        yield from check(self, beat)
        for stream in self._streams:
            stream.due = 0

    monkeypatch.setattr(peers.Peer, "check", checked)


def one_leave_is_overlooked(monkeypatch):
    diff_of = peers.diff_of
    monkeypatch.setattr(peers, "diff_of", lambda item: diff_of(Changed(item.topic, item.joins, item.leaves[1:])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (nobody_is_buried, "presence is the union"),
        (silence_is_death, "no false leave"),
        (no_loss_is_told, "every loss is told"),
        (some_are_forgotten, "every loss is told"),
        (the_last_is_first, "in order and once"),
        (twice_is_no_matter, "in order and once"),
        (the_tail_is_no_matter, "numbers agree"),
        (one_leave_is_overlooked, "digests match"),
    ],
)
def test_a_planted_bug_is_found(plant, rule, monkeypatch):
    plant(monkeypatch)
    found = set()
    for seed in range(150):
        try:
            run(seed)
        except InvariantBroken as broken:
            found.add(broken.invariant)
            if broken.invariant == rule:
                return
    pytest.fail(f"only {found} were found")
