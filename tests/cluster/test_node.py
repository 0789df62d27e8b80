"""A node between its channel and its engine, in virtual time."""

import threading

import pytest

from lightspeed.channel import Channel, ClusterReady, InvalidOption, Join
from lightspeed.cluster import MemoryBus, MemoryEngine, RedisEngine
from lightspeed.testing import Simulation


@pytest.fixture(autouse=True)
def without_the_model(monkeypatch):
    """It knows of no other nodes."""
    monkeypatch.setattr(Simulation, "observers", ())


class Held(MemoryEngine):
    """What is published waits for `let_go`; then it comes all at once, twice: it was not known whether it had."""

    is_held = False
    waiting = ()

    def publish(self, parcels):
        if self.is_held:
            self.waiting = parcels
        else:
            super().publish(parcels)

    def let_go(self):
        self.is_held = False
        self._bus.publish(self._boot, self.waiting)
        super().publish(self.waiting)

    def expect(self, nodes):
        self.expected = nodes


def test_own_beats_that_come_all_at_once_are_no_silence_of_the_others():
    bus = MemoryBus()
    engine = Held(bus)
    with Simulation(seed=1) as simulation:
        a, b = (simulation.channel(ClusterReady(name, "chat", of)) for name, of in (("a", engine), ("b", bus.engine())))
        simulation.run_for(5.0)
        b.tell(Join("of bob", "t", "bob", 1))
        simulation.run_for(1.0)
        bus.is_alive = lambda _boot: False  # all leases are lost, as with the engine's data
        engine.is_held = True
        simulation.run_for(9.0)
        engine.let_go()
        simulation.run_for(0.1)
        assert [entry.key for entry in a.presences("t")] == ["bob"]
        assert a._node_counts.buried == 0


def test_whenever_the_link_is_up_the_engine_is_told_whom_to_expect_before_anything_is_published():
    bus = MemoryBus()
    engine = Held(bus)
    with Simulation(seed=1) as simulation:
        simulation.channel(ClusterReady("a", "chat", engine))
        simulation.run_for(0.1)
        assert engine.expected == 1
        simulation.channel(ClusterReady("b", "chat", bus.engine()))
        simulation.run_for(5.0)
        engine.reconnect("a test")
        simulation.run_for(0.1)
        assert engine.expected == 2


class Refusing(MemoryEngine):
    """It carries nothing, and says why."""

    def open(self, cluster, name, boot, channels, listener, lease_s):
        self._boot, self._listener = boot, listener
        listener.refused(f"must know {cluster}")


def test_an_engine_that_carries_nothing_is_refused_with_its_own_words():
    with pytest.raises(InvalidOption, match="engine must know chat"):
        Channel(ClusterReady("a", "chat", Refusing(MemoryBus())))


class Broken(MemoryEngine):
    def open(self, cluster, name, boot, channels, listener, lease_s):
        raise RuntimeError("can't start new thread")


def test_what_an_engines_open_raises_comes_to_who_makes_the_channel():
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Channel(ClusterReady("a", "chat", Broken(MemoryBus())))


def test_an_engine_over_redis_that_gets_no_thread_leaves_none(monkeypatch):
    """The second of three can't be started."""
    start, started = threading.Thread.start, []

    def second_fails(thread):
        if thread.name.startswith("lightspeed redis"):
            started.append(thread)
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", second_fails)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Channel(ClusterReady("a", "chat", RedisEngine("redis://127.0.0.1:1")))
    started[0].join(5)
    assert not started[0].is_alive()
