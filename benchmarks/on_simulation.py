"""Our simulation: how many steps it makes in a second, and how long a day of virtual time takes."""

from collections.abc import Callable

from stopwatch import Stopwatch, expect

from lightspeed.channel import Crash, FaultPlan, Restart
from lightspeed.faults import Hang, LoseReply, Raise, Slow
from lightspeed.testing import Case, Client, Simulation, play

TOPICS = ("room:1", "room:2", "room:3")
ALIVE_EACH_S = 30


def steps(clients: int, events: int) -> dict[str, float]:
    """Clients join, come again, leave, broadcast and push, drawn by lot."""
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
    """Random runs in which things go wrong, each with its own channel."""
    return _random(runs, _play_of(events, FaultPlan((Raise(every=7), Slow(0.5, every=11), LoseReply(every=13), Hang(at=20)))))


def random_without(runs: int, events: int) -> dict[str, float]:
    """The same with no faults but crashes and restarts."""
    return _random(runs, _play_of(events, None))


def _play_of(events: int, faults: FaultPlan | None) -> Callable[[Simulation], None]:
    def drawn(simulation: Simulation) -> None:
        channel = simulation.channel(faults=faults, rejoin="supervisor")
        clients = [simulation.client(channel, f"client:{number}") for number in range(4)]
        for number in range(events):
            _send(simulation, simulation.random.choice(clients), simulation.random.choice(TOPICS))
            if number % 10 == 9:
                topic = simulation.random.choice((None, *TOPICS))
                clients[0].send(Crash("drawn", topic))
                clients[0].send(Restart(topic))
        simulation.run_for(60)

    return drawn


def _random(runs: int, drawn: Callable[[Simulation], None]) -> dict[str, float]:
    made = 0
    with Stopwatch() as watch:
        for seed in range(runs):
            outcome = play(Case(drawn, seed))
            expect(outcome.error is None, f"seed {seed}: {outcome.error}")
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
