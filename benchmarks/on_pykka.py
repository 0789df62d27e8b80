"""Pykka's actors: `PooledActor` and `ThreadingActor` do the same."""

import pykka
from stopwatch import Countdown, Stopwatch, expect, resident_bytes

from lightspeed.actors import PooledActor

KINDS = {"pooled": PooledActor, "threading": pykka.ThreadingActor}


class Echo:
    """Answers what it was asked."""

    def on_receive(self, message: object) -> object:
        return message


class Counter:
    """Hits a countdown with each message."""

    def __init__(self, countdown: Countdown) -> None:
        super().__init__()
        self._countdown = countdown

    def on_receive(self, message: object) -> None:
        self._countdown.hit()


class HitsWhatItIsTold:
    """Each message is a countdown."""

    def on_receive(self, message: Countdown) -> None:
        message.hit()


def spawn(kind: str, count: int, alive: int) -> dict[str, float]:
    """Start `count` actors while `alive` others are."""
    actor = _actor(Echo, kind)
    _others = [actor.start() for _ in range(alive)]
    with Stopwatch() as watch:
        started = [actor.start() for _ in range(count)]
    _expect_echoes(started)
    return {"spawn": watch.micros_each(count)}


def memory(kind: str, count: int) -> dict[str, float]:
    """What an actor holds that has answered once and is idle, with the reference to it."""
    actor = _actor(Echo, kind)
    _expect_echoes([actor.start()])  # what the first one brings is not every one's
    before = resident_bytes()
    started = [actor.start() for _ in range(count)]
    _expect_echoes(started)
    return {"memory": (resident_bytes() - before) / count}


def tell(kind: str, count: int) -> dict[str, float]:
    countdown, messages = Countdown(count), list(range(count))
    ref = _actor(Counter, kind).start(countdown)
    with Stopwatch() as watch:
        for message in messages:
            ref.tell(message)
        countdown.wait()
    return {"tell": watch.per_second(count)}


def ask(kind: str, count: int) -> dict[str, float]:
    ref, messages = _actor(Echo, kind).start(), list(range(count))
    expect(ref.ask("hello") == "hello", "no echo")
    with Stopwatch() as watch:
        answers = [ref.ask(message) for message in messages]
    expect(answers == messages, "an answer is wrong")
    return {"ask": watch.micros_each(count)}


def ask_with_timeout(kind: str, count: int) -> dict[str, float]:
    ref, messages = _actor(Echo, kind).start(), list(range(count))
    expect(ref.ask("hello") == "hello", "no echo")
    with Stopwatch() as watch:
        answers = [ref.ask(message, timeout=60) for message in messages]
    expect(answers == messages, "an answer is wrong")
    return {"ask": watch.micros_each(count)}


def fan_out(kind: str, actors: int, rounds: int) -> dict[str, float]:
    """In each round a message to each actor; the next round begins when all have handled theirs."""
    countdowns = [Countdown(actors) for _ in range(rounds)]
    actor = _actor(HitsWhatItIsTold, kind)
    refs = [actor.start() for _ in range(actors)]
    with Stopwatch() as watch:
        for countdown in countdowns:
            for ref in refs:
                ref.tell(countdown)
            countdown.wait()
    return {"fan-out": watch.per_second(actors * rounds)}


def _actor(role: type, kind: str) -> type[pykka.Actor]:
    return type(role.__name__, (role, KINDS[kind]), {})


def _expect_echoes(refs: list[pykka.ActorRef]) -> None:
    for number, ref in enumerate(refs):
        expect(ref.ask(number) == number, "an actor does not answer")
