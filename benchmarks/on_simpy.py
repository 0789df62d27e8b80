"""SimPy: clients, topics and inboxes as processes and stores, in its own virtual time."""

import random
from collections.abc import Generator, Sequence
from typing import Any

import simpy
from stopwatch import Stopwatch, expect

Steps = Generator[Any, Any, None]

TOPICS = 3
ALIVE_EACH_S = 30


def steps(clients: int, events: int) -> dict[str, float]:
    """As many clients send as many events to as many topics, which answer each."""
    env, drawn = simpy.Environment(), random.Random(1)
    topics, inboxes = [simpy.Store(env) for _ in range(TOPICS)], [simpy.Store(env) for _ in range(clients)]
    for topic in topics:
        env.process(_answer(topic, inboxes))
    sent: list[list[int]] = [[] for _ in range(clients)]
    for _ in range(events):
        sent[drawn.randrange(clients)].append(drawn.randrange(TOPICS))
    for client, chosen in enumerate(sent):
        env.process(_send(client, [topics[number] for number in chosen]))
    made = 0
    with Stopwatch() as watch:
        while env.peek() < simpy.core.Infinity:
            env.step()
            made += 1
    expect(sum(len(inbox.items) for inbox in inboxes) == events, "an answer is missing")
    return {"steps": watch.per_second(made), "events": watch.per_second(events)}


def _send(client: int, topics: Sequence[simpy.Store]) -> Steps:
    for topic in topics:
        yield topic.put(client)


def _answer(topic: simpy.Store, inboxes: Sequence[simpy.Store]) -> Steps:
    while True:
        client = yield topic.get()
        yield inboxes[client].put("answer")


def heartbeats(clients: int, hours: int) -> dict[str, float]:
    with Stopwatch() as watch:
        env = simpy.Environment()
        topic, inboxes = simpy.Store(env), [simpy.Store(env) for _ in range(clients)]
        env.process(_answer(topic, inboxes))
        for client in range(clients):
            env.process(_beat(env, client, topic))
        env.run(until=hours * 3600 + 1)
    beats = hours * 3600 // ALIVE_EACH_S
    expect([len(inbox.items) for inbox in inboxes] == [beats] * clients, "a heartbeat is missing")
    return {"seconds": watch.seconds}


def _beat(env: simpy.Environment, client: int, topic: simpy.Store) -> Steps:
    while True:
        yield env.timeout(ALIVE_EACH_S)
        yield topic.put(client)
