"""The same seed is the same run, whatever Python hashes strings by; and what of a play that it can't help."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from lightspeed.testing import Simulation

TESTS = Path(__file__).parents[1]
PROGRAM = '''
import asyncio
import hashlib

from lightspeed.actors import PooledActor
from lightspeed.channel import Backoff, Behaviour, FaultPlan, Restarts
from lightspeed.faults import Raise
from lightspeed.supervision import ChildSpec, Supervisor
from lightspeed.testing import Case, play, pytest_file, shrink, sweep_crashes
from model.random_scenario import random_scenario

NAMES = [f"client {number}" for number in range(12)]


def drawn(seed, scheduler):
    return play(Case(random_scenario(seed), seed, scheduler))


class Keeper(Behaviour):
    """What it keeps in a set and a dict goes out in an order of its own."""

    def __init__(self):
        self.seen, self.counts = set(), {}

    def on_join(self, room, client_id, user_id):
        self.seen.add(client_id)
        room.start_timer(client_id, len(self.seen) / 10)

    def on_push(self, room, client_id, event, payload):
        self.counts[payload] = self.counts.get(payload, 0) + 1
        room.broadcast(f"{sorted(self.seen)} {self.counts}")
        if self.counts[payload] > 2:
            raise ValueError(payload)

    def on_timer(self, room, name):
        room.push(name, "tick", str(len(self.seen)))


def rooms(simulation):
    restarts = Restarts(intensity=5, backoff=Backoff(floor_s=0.1, cap_s=1.0))
    channel = simulation.channel(behaviours={"room:*": Keeper}, rejoin="supervisor", restarts=restarts)
    for name in simulation.random.sample(NAMES, 8):
        client = simulation.client(channel, name)
        topics = ["room:1", "room:2", "relay"]
        simulation.random.shuffle(topics)
        for topic in topics:
            client.join(topic)
            client.push(topic, "e", simulation.random.choice("ab"))
            client.broadcast(topic, str(simulation.random.random()))
    simulation.every(1, lambda: simulation.client(channel, NAMES[0]).push("relay", "heartbeat", ""))
    simulation.run_for(10)


class Worker(PooledActor):
    def on_receive(self, message):
        if message == "fail":
            raise ValueError(message)
        return message


def workers(simulation):
    def children(*names):
        return [ChildSpec(name, (Worker, (), {"pool": simulation.pool})) for name in names]

    inner = ChildSpec("inner", (Supervisor, (children("d", "e", "f"),), {"strategy": "one_for_all"}))
    options = {"strategy": "rest_for_one", "intensity": 5, "backoff": Backoff(floor_s=0.1, cap_s=1.0)}
    top = simulation.supervisor([*children("a", "b", "c"), inner], **options)
    for name in ("b", "a"):
        top.which_child(name).ref.tell("fail")
        simulation.run_for(2)
    assert top.is_alive()


async def tasks(simulation):
    """A group keeps its tasks in a set, and cancels them in the order of it; so does a program."""
    refs = [simulation.start(Worker) for _ in range(3)]

    async def ask(number):
        try:
            for ref in refs:
                await asyncio.sleep(simulation.random.random())
                ref.ask(number)
            await asyncio.Event().wait()
        finally:
            refs[number % 3].tell(number)

    async def fail():
        await asyncio.wait({asyncio.ensure_future(asyncio.sleep(number)) for number in range(5)})
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(ask(number))
            group.create_task(fail())
    except* ValueError:
        simulation.left = {asyncio.create_task(ask(number)) for number in range(20)}


def fails(simulation):
    """It takes a fault and an order to fail."""
    channel = simulation.channel(faults=FaultPlan((Raise(every=3), Raise("after", every=5))))
    for name in "abcd":
        client = simulation.client(channel, name)
        client.join("x")
        client.push("x", "e", "p")
    simulation.run()
    if "topic_crashed" in [getattr(message, "payload", "") for message in client.received]:
        raise AssertionError(client.received)


def unsorted(simulation):
    """It hangs on more than its seed: on the order of a set."""
    for name in set(NAMES):
        simulation.client(simulation.channel(), name).join("x")


def digest(*texts):
    return hashlib.sha256("\\n".join(texts).encode()).hexdigest()


def digests():
    drawn_ones = [drawn(seed, scheduler) for seed in range(12) for scheduler in ("random", "priority", "round_robin")]
    assert sum(outcome.fired for outcome in drawn_ones) > 30
    yield digest(*(outcome.trace.hash for outcome in drawn_ones))
    for scenario in (rooms, workers, tasks):
        outcomes = [play(Case(scenario, seed)) for seed in range(3)]
        assert [outcome.error for outcome in outcomes] == [None] * 3
        yield digest(*(outcome.trace.hash for outcome in outcomes))
    found = sweep_crashes(fails)
    small = shrink(found)
    yield digest(found.trace.hash, str(found.error), small.trace.hash, pytest_file(small, "plays.py:fails"))
    yield play(Case(unsorted)).trace.hash
'''


def ours():
    module = {"__name__": "plays"}
    exec(PROGRAM, module)
    with patch.object(Simulation, "observers", ()):
        return list(module["digests"]())


def under(hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", f"{PROGRAM}\nprint(*digests(), sep='\\n')"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_the_same_seed_is_the_same_run_under_any_hash_seed_of_python_but_not_where_a_play_hangs_on_one():
    here, *others = [ours(), *map(under, ("0", "1"))]
    for other in others:
        assert other[:-1] == here[:-1]
    assert len({other[-1] for other in others}) == 2
