"""Thespian, with its simpleSystemBase: actors within this process, each message handled in the caller's thread.

Its other bases start an operating system's process for each actor, and a thousand of those compare with nothing here.
"""

from stopwatch import Stopwatch, expect, resident_bytes
from thespian.actors import Actor, ActorAddress, ActorSystem


class Echo(Actor):
    def receiveMessage(self, message: object, sender: ActorAddress) -> None:  # noqa: N802 - Thespian's name
        self.send(sender, message)


class Counter(Actor):
    """Counts the messages of all its like."""

    counted = 0

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:  # noqa: N802 - Thespian's name
        if isinstance(message, str):
            Counter.counted += 1


def spawn(count: int) -> dict[str, float]:
    system = _system()
    with Stopwatch() as watch:
        started = [system.createActor(Echo) for _ in range(count)]
    _expect_echoes(system, started)
    return {"spawn": watch.micros_each(count)}


def memory(count: int) -> dict[str, float]:
    system = _system()
    _expect_echoes(system, [system.createActor(Echo)])
    before = resident_bytes()
    started = [system.createActor(Echo) for _ in range(count)]
    _expect_echoes(system, started)
    return {"memory": (resident_bytes() - before) / count}


def tell(count: int) -> dict[str, float]:
    return {"tell": _tell(actors=1, rounds=count)}


def fan_out(actors: int, rounds: int) -> dict[str, float]:
    return {"fan-out": _tell(actors, rounds)}


def ask(count: int) -> dict[str, float]:
    return {"ask": _ask(count, None)}


def ask_with_timeout(count: int) -> dict[str, float]:
    return {"ask": _ask(count, 60)}


def _ask(count: int, timeout_s: int | None) -> float:
    system = _system()
    address, messages = system.createActor(Echo), [f"message {number}" for number in range(count)]
    with Stopwatch() as watch:
        answers = [system.ask(address, message, timeout_s) for message in messages]
    expect(answers == messages, "an answer is wrong")
    return watch.micros_each(count)


def _tell(actors: int, rounds: int) -> float:
    system = _system()
    addresses = [system.createActor(Counter) for _ in range(actors)]
    with Stopwatch() as watch:
        for _ in range(rounds):
            for address in addresses:
                system.tell(address, "message")
    expect(Counter.counted == actors * rounds, "a message is missing")
    return watch.per_second(actors * rounds)


def _system() -> ActorSystem:
    return ActorSystem("simpleSystemBase")


def _expect_echoes(system: ActorSystem, addresses: list[ActorAddress]) -> None:
    for number, address in enumerate(addresses):
        expect(system.ask(address, f"{number}", 60) == f"{number}", "an actor does not answer")
