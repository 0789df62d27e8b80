"""A storm: one channel, threads that send, a plan of faults, and the accounts of it all."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.channel import (
    Backoff,
    Channel,
    ChannelClosed,
    ChannelTimeout,
    Crash,
    Event,
    FaultPlan,
    Outbound,
    Restart,
    Restarts,
)
from lightspeed.cli.storm_accounts import Account, Accounts
from lightspeed.cli.storm_events import some_events
from lightspeed.cli.storm_plan import Strikes
from lightspeed.cli.storm_pulse import Heals, Pulse

LOOK_S = 0.05  # between two looks at what came out; in so long a sink has been given a few thousand messages
_WAITS_S = 0.25  # for the answer to a `handle`, which may be lost on purpose
_CLOSES_S = 60.0  # for what was accepted; whoever hangs has been given up long before
_HANDLES = 10  # of so many events one is waited for; of a hundred, a fifth more is sent, and topics heal behind a backlog


class Settings(Struct, frozen=True, kw_only=True):
    """What a storm is. Checked by whoever makes it."""

    seconds: float
    topics: tuple[str, ...]
    clients: int
    """So many at once, of all threads together."""
    threads: int
    seed: int
    rejoin: Literal["client", "supervisor"] = "client"
    restarts: Restarts = Restarts(backoff=Backoff(floor_s=0.01, cap_s=0.2, quiet_s=1.0))
    """A topic fails every few seconds: without so short a quiet time each would come to the cap, and time to heal be that."""


class Report(Struct, frozen=True, kw_only=True):
    """What it came to."""

    seed: int
    topics: int
    clients: int
    threads: int
    rejoin: str
    ended: Literal["in time", "interrupted", "channel closed"]
    seconds: float
    """From the first event to the last."""
    account: Account
    events_per_s: float
    faults: dict[str, int]
    """How often those of each kind have fired."""
    crashes: int
    """Of topics."""
    given_up: int
    abandoned: int
    """Actors that did not come back in time."""
    dead_letters: int
    time_to_heal_ms: Heals
    least_backoff_ms: float
    """It is in the time to heal."""


class Storm:
    """To be run once.

    Args:
        plan: None: nothing goes wrong but what the behaviours do.
        behaviours: as of a `Channel`.
        streams: what each thread sends, orders to crash and restart among it, which have no account. None, the default: events
            of the clients.
        collects: whether the outbox is flushed at each look, in place of a sink. Default False.
    """

    def __init__(
        self,
        settings: Settings,
        plan: FaultPlan | None,
        *,
        behaviours: Mapping[str, Callable[[], Behaviour]] | None = None,
        streams: Sequence[Iterator[Event]] | None = None,
        collects: bool = False,
    ) -> None:
        self.settings, self.accounts, self.pulse = settings, Accounts(), Pulse()
        self._streams = own_streams(settings) if streams is None else streams
        self._collects = collects
        self._strikes = Strikes(FaultPlan() if plan is None else plan)
        self.fired: Counter[str] = Counter()
        """How often faults of each kind have acted."""
        self._sent: list[deque[Event]] = [deque() for _ in self._streams]
        self._refused: deque[Any] = deque()
        self._heard: deque[tuple[float, Outbound]] = deque()
        self._letters = 0
        self._is_over = self._is_interrupted = False
        self._began_s = time.monotonic()
        self._took_s = 0.0
        self.channel = Channel(
            on_outbound=None if collects else self._hear,
            behaviours=behaviours,
            rejoin=settings.rejoin,
            restarts=settings.restarts,
            event_timeout_s=0.5,
            timeout_s=30.0 if collects else _WAITS_S,
            faults=None if plan is None else self._strikes.plan,
        )
        if self.channel.faults is not None:
            self.channel.faults.on_fire = self._strikes.on_fire

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began_s

    def end(self) -> None:
        """End it early. A signal's handler may call this."""
        self._is_interrupted = True

    def run(self, show: Callable[["Storm"], object]) -> Report:
        """Rage, and settle the accounts.

        Args:
            show: called after each look, some times a second.
        """
        senders = [
            threading.Thread(target=self._send, args=pair, daemon=True) for pair in zip(self._streams, self._sent, strict=True)
        ]
        self._began_s = time.monotonic()
        for sender in senders:
            sender.start()
        try:
            while self._goes_on(senders):
                time.sleep(LOOK_S)
                self._revive()
                self._look()
                show(self)
        finally:
            self._is_over = True
            was_closed = not any(sender.is_alive() for sender in senders)
            for sender in senders:
                sender.join()
            self._took_s = self.elapsed_s
            self._close()
        return self._report(was_closed)

    def _goes_on(self, senders: list[threading.Thread]) -> bool:
        is_time = self.elapsed_s < self.settings.seconds
        return is_time and not self._is_interrupted and any(sender.is_alive() for sender in senders)

    def _send(self, stream: Iterator[Event], sent: deque[Event]) -> None:
        for number, event in enumerate(stream, 1):
            if self._is_over or self._is_interrupted:
                return
            sent.append(event)  # ahead of anything that could be heard of it
            try:
                (self.channel.tell if number % _HANDLES else self.channel.handle)(event)
            except ChannelTimeout:
                pass  # what became of it is looked for all the same
            except ChannelClosed:
                self._refused.append(event)
                return

    def _hear(self, message: Outbound) -> None:
        self._heard.append((time.monotonic() - self._began_s, message))

    def _revive(self) -> None:
        try:
            for topic in self.pulse.down:
                self.channel.tell(Restart(topic))
            if self.pulse.is_channel_down:
                self.channel.tell(Restart())
        except ChannelClosed:
            pass  # by a fault: the senders end too

    def _look(self) -> None:
        """What is taken first was sent last: nothing is heard here of an event before it was sent."""
        if self._collects:
            for message in self.channel.flush_outbox():
                self._hear(message)
        heard, struck, refused = taken(self._heard), taken(self._strikes.struck), taken(self._refused)
        for event in (event for sent in self._sent for event in taken(sent)):
            if not isinstance(event, (Crash, Restart)):
                self.accounts.send(event)
        for at_s, fault, hit in struck:
            self.fired[str(fault.__struct_config__.tag)] += 1
            self.pulse.beat("faults", at_s - self._began_s)
            self.accounts.strike(fault, hit)
        for event in refused:
            if not isinstance(event, (Crash, Restart)):
                self.accounts.refuse(event)
        for at_s, message in heard:
            self.pulse.hear(message, at_s)
            self.accounts.hear(message)
        self._bury()

    def _bury(self) -> None:
        new = self.channel.dead_letter_count - self._letters
        self._letters += new
        letters = self.channel.dead_letters()
        for letter in letters[max(0, len(letters) - new) :]:
            self.accounts.bury(letter)

    def _close(self) -> None:
        try:
            self.channel.close(_CLOSES_S)
        except ChannelTimeout:
            pass  # it gave up whoever hangs, and has answered for them
        self._look()

    def _report(self, was_closed: bool) -> Report:
        settings, faults = self.settings, self.channel.faults
        return Report(
            seed=settings.seed,
            topics=len(settings.topics),
            clients=settings.clients,
            threads=len(self._streams),
            rejoin=settings.rejoin,
            ended="interrupted" if self._is_interrupted else "channel closed" if was_closed else "in time",
            seconds=self._took_s,
            account=self.accounts.balance(0 if faults is None else faults.lost),
            events_per_s=self.accounts.sent / self._took_s,
            faults=dict(sorted(self.fired.items())),
            crashes=self.pulse.beats["crashes"].total(),
            given_up=self.pulse.given_up,
            abandoned=self.channel.abandoned_count,
            dead_letters=self.channel.dead_letter_count,
            time_to_heal_ms=self.pulse.heals(),
            least_backoff_ms=0.0 if settings.restarts.backoff is None else settings.restarts.backoff.floor_s * 1e3,
        )


def own_streams(settings: Settings) -> list[Iterator[Event]]:
    """One for each thread, which has a share of the clients; no more of them than clients."""
    shares = [settings.clients // settings.threads + (n < settings.clients % settings.threads) for n in range(settings.threads)]
    return [
        some_events(random.Random(f"{settings.seed} {thread}"), settings.topics, share, thread)
        for thread, share in enumerate(shares)
        if share
    ]


def taken(line: deque[Any]) -> list[Any]:
    """All that is in it now; others may go on appending."""
    return [line.popleft() for _ in range(len(line))]
