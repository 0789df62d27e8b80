"""Our simulation: how many steps it makes in a second, and how long a day of virtual time takes."""

from model.random_scenario import random_scenario
from stopwatch import Stopwatch, expect

from lightspeed.testing import Case, Client, Simulation, play

TOPICS = ("room:1", "room:2", "room:3")
ALIVE_EACH_S = 30


def steps(clients: int, events: int) -> dict[str, float]:
    """Clients join, come again, leave, broadcast and push, drawn by lot; every invariant of a relay is looked at."""
    with Simulation(seed=1) as simulation:
        channel = simulation.channel()
        senders = [simulation.client(channel, f"client:{number}") for number in range(clients)]
        for _ in range(events):
            _send(simulation, simulation.random.choice(senders), simulation.random.choice(TOPICS))
        with Stopwatch() as watch:
            made = simulation.run()
    expect(simulation.handled > 0.5 * events, f"topics handled {simulation.handled} of {events} events")
    return {"steps": watch.per_second(made), "events": watch.per_second(events)}


def _send(simulation: Simulation, client: Client, topic: str) -> None:
    drawn = simulation.random.random()
    if drawn < 0.2:
        client.join(topic)
    elif drawn < 0.3:
        client.rejoin(topic)
    elif drawn < 0.4:
        client.leave(topic)
    elif drawn < 0.7:
        client.broadcast(topic, "payload")
    else:
        client.push(topic, "event", "payload")


def random_with(runs: int, events: int) -> dict[str, float]:
    """Random scenarios in which things go wrong, as `lightspeed simulate` plays them: each with its own channel."""
    return _random(runs, events, faults=True)


def random_without(runs: int, events: int) -> dict[str, float]:
    """The same with no faults but crashes and restarts."""
    return _random(runs, events, faults=False)


def _random(runs: int, events: int, *, faults: bool) -> dict[str, float]:
    cases = [Case(random_scenario(seed, events, faults=faults), seed) for seed in range(runs)]
    made = 0
    with Stopwatch() as watch:
        for case in cases:
            outcome = play(case)
            expect(outcome.error is None, f"seed {case.seed}: {outcome.error}")
            made += outcome.steps
    return {"step": watch.micros_each(made)}


def heartbeats(clients: int, hours: int) -> dict[str, float]:
    """Every client says each 30 s that it is there."""
    with Stopwatch() as watch, Simulation(seed=1) as simulation:
        channel = simulation.channel()
        senders = [simulation.client(channel, f"client:{number}") for number in range(clients)]
        for sender in senders:
            sender.join("room")
            simulation.every(ALIVE_EACH_S, lambda sender=sender: sender.push("room", "heartbeat", ""))
        simulation.run_for(hours * 3600)
    beats = hours * 3600 // ALIVE_EACH_S
    expect([len(sender.received) for sender in senders] == [1 + beats] * clients, "a heartbeat is missing")
    return {"seconds": watch.seconds}
