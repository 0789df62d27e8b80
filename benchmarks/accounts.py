"""The accounts of a storm: what was accepted, and what became of it.

Each event is looked for by its identity: a broadcast and a push have a number in their payload; all else, and what was refused of
these, is told by the client, whose answers must be as many as its events.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import quantiles

from lightspeed.channel import Broadcast, BroadcastMessage, DeadLetter, Event, Outbound, Push, PushMessage, Reply


class Account:
    """What came of it, in figures. Several can be added up."""

    def __init__(self) -> None:
        self.events = 0
        self.became: Counter[str] = Counter()
        self.failures = 0
        self.given_up = 0
        self.heal_s: list[float] = []
        self.unaccounted = 0

    def add(self, other: "Account") -> None:
        self.events += other.events
        self.became += other.became
        self.failures += other.failures
        self.given_up += other.given_up
        self.heal_s += other.heal_s
        self.unaccounted += other.unaccounted

    def table(self) -> str:
        """As Markdown."""
        centiles = quantiles(self.heal_s, n=100) if len(self.heal_s) > 1 else [0.0] * 99
        rows = [
            ("events accepted", f"{self.events:,}"),
            *((what, f"{count:,}") for what, count in sorted(self.became.items())),
            ("hooks that raised", f"{self.failures:,}"),
            ("topics given up", f"{self.given_up:,}"),
            ("topics healed", f"{len(self.heal_s):,}"),
            ("time to heal, p50", f"{centiles[49] * 1e3:.1f} ms"),
            ("time to heal, p99", f"{centiles[98] * 1e3:.1f} ms"),
            ("events unaccounted", f"{self.unaccounted:,}"),
        ]
        return "\n".join(["| what | how many |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])


class Accounts:
    """Of one channel. Each sending thread has a list of its own."""

    def __init__(self) -> None:
        self._accepted: dict[int, list[Event]] = defaultdict(list)
        self.given_up = 0
        self._account = Account()
        self._failed_s: dict[str, float] = {}

    def accept(self, thread: int, event: Event) -> None:
        self._accepted[thread].append(event)

    def note_failure(self, topic: str) -> None:
        """A hook is about to raise."""
        self._account.failures += 1
        self._failed_s.setdefault(topic, time.monotonic())

    def note_healed(self, topic: str) -> None:
        """The next incarnation that does not raise too is at its first event."""
        failed_s = self._failed_s.pop(topic, None)
        if failed_s is not None:
            self._account.heal_s.append(time.monotonic() - failed_s)

    def balance(self, outbound: Iterable[Outbound], letters: Iterable[DeadLetter]) -> Account:
        """Everything has come out that ever will."""
        account, seen, answers = self._account, Counter[str](), Counter[str]()
        account.given_up = self.given_up
        for message in outbound:
            if isinstance(message, BroadcastMessage) or (isinstance(message, PushMessage) and message.event == "e"):
                seen[message.payload] += 1
                account.became[f"handled: {'broadcast' if isinstance(message, BroadcastMessage) else 'push'}"] += 1
            elif isinstance(message, Reply):
                answers[message.client_id] += 1
                account.became[f"{'handled' if message.status == 'ok' else 'answered'}: {message.payload}"] += 1
        for letter in letters:
            account.became[f"dead letter: {letter.why}"] += 1
            if letter.why == "unhandled":
                answers[letter.what.client_id] += 1
        due: Counter[str] = Counter()
        for event in (event for events in self._accepted.values() for event in events):
            account.events += 1
            if isinstance(event, (Broadcast, Push)) and seen[event.payload]:
                account.unaccounted += seen.pop(event.payload) - 1  # more than once is as wrong as never
            else:
                due[event.client_id] += 1  # type: ignore[union-attr]
        account.unaccounted += sum(abs(due[client] - answers[client]) for client in due | answers) + seen.total()
        return account
