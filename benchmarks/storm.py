"""A storm: every topic of a channel fails at random, and each event sent is accounted for: `python benchmarks/storm.py`."""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import quantiles

from lightspeed.channel import Backoff, Behaviour, Crash, Event, Restart, Restarts, Room
from lightspeed.cli.storm_run import Settings, Storm, some_events

HOOKS = ("on_start", "on_join", "on_leave", "on_broadcast", "on_push", "on_timer", "on_stop", "on_restart")

# So many of a thousand calls of a hook raise; so many of a thousand events are followed by an order to a topic, to the channel.
RAISING, ORDERED, CHANNEL_ORDERED = 50, 40, 1

_EPILOG = """\
Half of the topics have a behaviour that raises in every hook, the others are plain; each of four channels in turn has one of the
modes of rejoin and of waiting. Which events are sent is set by the seed; how threads take turns is not.

Exit status: 0 every event is accounted for, once; 1 some are not; 2 the command line was bad."""


def raising(chance: random.Random, failures: Counter[str]) -> type[Behaviour]:
    """The plain relay, which raises in every hook now and then, and ticks."""

    def hooked(hook: str) -> Callable[..., None]:
        def play(self: Behaviour, room: Room, *args: object) -> None:
            if hook == "on_join":
                room.start_timer("tick", 0.01)
            if chance.randrange(1000) < RAISING:
                failures["hooks that raised"] += 1
                raise ValueError(f"planted in {hook}")
            if hook in ("on_broadcast", "on_push"):
                getattr(Behaviour, hook)(self, room, *args)

        return play

    return type("Raising", (Behaviour,), {hook: hooked(hook) for hook in HOOKS})


def with_orders(chance: random.Random, topics: Sequence[str], events: Iterator[Event]) -> Iterator[Event]:
    """The events, with orders to crash and to restart among them."""
    for event in events:
        yield event
        drawn, topic = chance.randrange(1000), chance.choice(topics)
        if drawn < CHANNEL_ORDERED:
            yield chance.choice((Crash("storm"), Restart()))
        elif drawn < CHANNEL_ORDERED + ORDERED:
            yield chance.choice((Crash("storm", topic), Restart(topic)))


def storm_of(options: argparse.Namespace, turn: int, failures: Counter[str]) -> Storm:
    """On one channel, for a quarter of the time."""
    seed = f"{options.seed}.{turn}"
    topics = tuple(f"{('wild', 'plain')[number % 2]}:{number}" for number in range(options.topics))
    settings = Settings(
        seconds=options.seconds / 4,
        topics=topics,
        clients=options.topics * 2,
        threads=options.threads,
        seed=options.seed,
        rejoin=("client", "supervisor")[turn % 2],
        restarts=Restarts(intensity=2, waiting=("redeliver", "answer")[turn // 2], backoff=Backoff(floor_s=0.001, cap_s=0.02)),
    )
    chances = [random.Random(f"{seed} {thread}") for thread in range(options.threads)]
    share = max(1, settings.clients // options.threads)
    return Storm(
        settings,
        None,
        behaviours={"wild:*": raising(random.Random(f"{seed} raises"), failures)},
        streams=[
            with_orders(chance, topics, some_events(chance, topics, share, thread)) for thread, chance in enumerate(chances)
        ],
    )


def table(sums: Counter[str], became: Counter[str], heal_s: list[float]) -> str:
    """As Markdown."""
    centiles = quantiles(heal_s, n=100) if len(heal_s) > 1 else [0.0] * 99
    rows = [
        ("events sent", f"{sums['sent']:,}"),
        *((fate, f"{count:,}") for fate, count in sorted(became.items())),
        ("hooks that raised", f"{sums['hooks that raised']:,}"),
        ("topics given up", f"{sums['given up']:,}"),
        ("topics healed", f"{len(heal_s):,}"),
        ("time to heal, p50", f"{centiles[49] * 1e3:.1f} ms"),
        ("time to heal, p99", f"{centiles[98] * 1e3:.1f} ms"),
        ("events unaccounted", f"{sums['unaccounted']:,}"),
    ]
    return "\n".join(["| what | how many |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the storm that the arguments (None: the process's own) ask for, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/storm.py",
        description="Have every topic fail at random, and see that each event is accounted for.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=_above_0, default=30, help="for how long, in all (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument("--topics", type=_count, default=1000, help="how many, from 2 up (default: 1000)")
    parser.add_argument("--threads", type=_count, default=4, help="how many threads send, from 2 up (default: 4)")
    options = parser.parse_args(arguments)
    sums, became, heal_s = Counter[str](), Counter[str](), list[float]()
    for turn in range(4):
        storm = storm_of(options, turn, sums)
        report = storm.run(lambda _storm: None)
        account = report.account
        sums.update({"sent": account.sent, "unaccounted": account.unaccounted, "given up": report.given_up})
        became.update(account.became)
        heal_s += storm.pulse.heal_s
    print(f"seed {options.seed}, {options.topics} topics, {options.threads} threads, {options.seconds:g} s\n")
    print(table(sums, became, heal_s))
    return 1 if sums["unaccounted"] else 0


def _above_0(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0 and below a day, got {text!r}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be a whole number from 2 up, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
