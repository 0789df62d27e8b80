"""A storm: every topic of a channel fails at random, and each accepted event is accounted for: `python benchmarks/storm.py`."""

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from accounts import Account, Accounts

from lightspeed.channel import (
    Backoff,
    Behaviour,
    Broadcast,
    Channel,
    Crash,
    Event,
    Join,
    Leave,
    Outbound,
    Push,
    Rejoin,
    Restart,
    Restarts,
    Room,
    System,
)

HOOKS = ("on_start", "on_join", "on_leave", "on_broadcast", "on_push", "on_timer", "on_stop", "on_restart")

# So many of a thousand calls of a hook raise; so many of a thousand events are followed by an order to a topic, to the channel.
RAISING, ORDERED, CHANNEL_ORDERED = 50, 40, 1

_LOOK_S = 0.02  # how long after a crash of the channel its restart may come, and a flush after a flush

_EPILOG = """\
Half of the topics have a behaviour that raises in every hook, the others are plain; each of four channels in turn has one of the
modes of rejoin and of waiting. Which events are sent is set by the seed; how threads take turns is not.

Exit status: 0 every accepted event is accounted for, once; 1 some are not; 2 the command line was bad."""


def raising(chance: random.Random, accounts: Accounts) -> type[Behaviour]:
    """The plain relay, which raises in every hook now and then, and ticks."""

    def hooked(hook: str) -> Callable[..., None]:
        def play(self: Behaviour, room: Room, *args: object) -> None:
            if hook == "on_join":
                room.start_timer("tick", 0.01)
            if chance.randrange(1000) < RAISING:
                if hook != "on_stop":  # after which there is nothing to heal
                    accounts.note_failure(room.topic)
                raise ValueError(f"planted in {hook}")
            if hook == "on_restart":
                accounts.note_healed(room.topic)
            elif hook in ("on_broadcast", "on_push"):
                getattr(Behaviour, hook)(self, room, *args)

        return play

    return type("Raising", (Behaviour,), {hook: hooked(hook) for hook in HOOKS})


def some_events(chance: random.Random, topics: int, thread: int) -> Iterator[Event]:
    """Without end. Each client has the number of its first event; what has a payload has its own number in it."""
    number = 0
    clients: list[tuple[str, str]] = []
    while True:
        number += 1
        name = f"{thread}.{number}"
        kind = chance.randrange(6)
        if kind < 2 or not clients:
            clients.append((name, f"{chance.choice(('wild', 'plain'))}:{chance.randrange(topics // 2)}"))
            yield Join(*clients[-1], "u", number)
            continue
        at = chance.randrange(len(clients))
        client_id, topic = clients[at]
        if kind == 2:
            yield Broadcast(client_id, topic, f"{name} {client_id}")
        elif kind == 3:
            yield Push(client_id, topic, "e", f"{name} {client_id}")
        elif kind == 4:
            yield Rejoin(client_id, topic, "u", number)
        else:
            clients[at] = clients[-1]
            clients.pop()
            yield Leave(client_id, topic)


def some_order(chance: random.Random, topics: int) -> Event | None:
    """With the next event, and mostly none."""
    drawn = chance.randrange(1000)
    topic = f"{chance.choice(('wild', 'plain'))}:{chance.randrange(topics // 2)}"
    if drawn < CHANNEL_ORDERED:
        return chance.choice((Crash("storm"), Restart()))
    if drawn < CHANNEL_ORDERED + ORDERED:
        return chance.choice((Crash("storm", topic), Restart(topic)))
    return None


class Storm:
    """On one channel, for so many seconds."""

    def __init__(self, options: argparse.Namespace, turn: int) -> None:
        self.topics, self.threads, self.seconds = options.topics, options.threads, options.seconds / 4
        self.seed = f"{options.seed}.{turn}"
        self.accounts = Accounts()
        self.outbound: list[Outbound] = []
        self.is_over = False
        self.channel = Channel(
            behaviours={"wild:*": raising(random.Random(f"{self.seed} raises"), self.accounts)},
            rejoin=("client", "supervisor")[turn % 2],
            restarts=Restarts(
                intensity=2,
                waiting=("redeliver", "answer")[turn // 2],
                backoff=Backoff(floor_s=0.001, cap_s=0.02),
            ),
        )

    def run(self) -> Account:
        callers = [threading.Thread(target=self._call, args=(number,)) for number in range(self.threads)]
        for caller in callers:
            caller.start()
        ends_s = time.monotonic() + self.seconds
        while time.monotonic() < ends_s:
            self._take(self.channel.flush_outbox())
            self.channel.tell(Restart())
            time.sleep(_LOOK_S)
        self.is_over = True
        for caller in callers:
            caller.join()
        self.channel.close()
        self._take(self.channel.flush_outbox())
        return self.accounts.balance(self.outbound, self.channel.dead_letters())

    def _take(self, outbound: list[Outbound]) -> None:
        self.outbound += outbound
        labels = (message.label for message in outbound if isinstance(message, System))
        self.accounts.given_up += sum(label.startswith("topic_given_up:") for label in labels)

    def _call(self, thread: int) -> None:
        chance = random.Random(f"{self.seed} {thread}")
        for event in some_events(chance, self.topics, thread):
            if self.is_over:
                return
            call = self.channel.handle if chance.randrange(50) == 0 else self.channel.tell
            call(event)
            self.accounts.accept(thread, event)
            order = some_order(chance, self.topics)
            if order is not None:
                self.channel.tell(order)
                if isinstance(order, Crash) and order.topic is not None and chance.randrange(2):
                    self.channel.tell(Restart(order.topic))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the storm that the arguments (None: the process's own) ask for, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/storm.py",
        description="Have every topic fail at random, and see that each accepted event is accounted for.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=_above_0, default=30, help="for how long, in all (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument("--topics", type=_count, default=1000, help="how many, from 2 up (default: 1000)")
    parser.add_argument("--threads", type=_count, default=4, help="how many threads send, from 2 up (default: 4)")
    options = parser.parse_args(arguments)
    account = Account()
    for turn in range(4):
        account.add(Storm(options, turn).run())
    print(f"seed {options.seed}, {options.topics} topics, {options.threads} threads, {options.seconds:g} s\n")
    print(account.table())
    return 0 if account.unaccounted == 0 else 1


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
