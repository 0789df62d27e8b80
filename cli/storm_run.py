"""A storm: one channel, threads that send, and a plan of faults that shows which event each has hit."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from msgspec import Struct

from lightspeed.actors.topics.rules.events import TopicEvent
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.channel import (
    Backoff,
    Broadcast,
    Channel,
    ChannelClosed,
    ChannelTimeout,
    Crash,
    DeadLetter,
    Event,
    FaultPlan,
    Join,
    Leave,
    Mailbox,
    Outbound,
    Push,
    Rejoin,
    Restart,
    Restarts,
)
from lightspeed.cli.storm_account import PUSHED, Account, Accounts, Heals, Pulse
from lightspeed.cli.storm_listeners import Listeners, is_listeners
from lightspeed.faults import Corrupt, Delay, DelayReply, Drop, Duplicate, Full, Hang, Jump, LoseReply, Raise, Reorder, Slow
from lightspeed.faults.fault import Fault

_LOOK_S = 0.05  # between two looks at what came out; in so long a sink has been given a few thousand messages
_WAITS_S = 0.25  # for the answer to a `handle`, which may be lost on purpose
_CLOSES_S = 60.0  # for what was accepted; whoever hangs has been given up long before
_HANDLES = 10  # of so many events one is waited for; of a hundred, a fifth more is sent, and topics heal behind a backlog
_FEW = 3  # messages in a small mailbox
_BURST = 8  # broadcasts at once: more than such a one has room for, where they come before the topic has its turn
_BURSTS = 5  # of so many broadcasts one begins a burst
_OVERFLOWS: tuple[Literal["refuse", "drop_oldest", "drop_newest", "wait"], ...] = ("refuse", "drop_oldest", "drop_newest", "wait")


class Settings(Struct, frozen=True, kw_only=True):
    """What a storm is. Checked by whoever makes it."""

    seconds: float
    topics: tuple[str, ...]
    clients: int
    """So many at once, of all threads together."""
    threads: int
    seed: int
    listeners: int = 0
    """So many clients of the channel besides, with inboxes."""
    rejoin: Literal["client", "supervisor"] = "client"
    mailboxes: Mapping[str, Mailbox] = {}
    """As of a `Channel`."""
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
    heard: int
    """By the listeners, in all."""
    lagged: int
    """Messages that found no room in a listener's inbox, which was told so."""
    events_per_s: float
    faults: dict[str, int]
    """How often those of each kind have fired."""
    crashes: int
    """Of topics."""
    given_up: int
    abandoned: int
    """Actors that did not come back in time."""
    dead_letters: int
    shed: int
    """Events for which a topic's mailbox had no room."""
    time_to_heal_ms: Heals
    least_backoff_ms: float
    """It is in the time to heal."""


def small_mailboxes(topics: Sequence[str]) -> dict[str, Mailbox]:
    """For every third topic, with each way to overflow for two of them in turn: topics of two kinds take turns."""
    return {topic: Mailbox(_FEW, overflow=_OVERFLOWS[place // 2 % 4]) for place, topic in enumerate(topics[::3])}


def own_plan(seed: int, seconds: float) -> FaultPlan:
    """Something of every kind, but no end of the channel; in the middle all relays fail at once, and the clock jumps."""
    return FaultPlan(
        (
            Drop(probability=0.002),
            Duplicate(probability=0.002),
            Delay(0.02, probability=0.002),
            Reorder(3, within_s=0.05, probability=0.002),
            Full(probability=0.002),
            Corrupt("poisoned", probability=0.002),
            LoseReply(probability=0.002),
            DelayReply(0.02, probability=0.002),
            Slow(0.002, probability=0.001),
            Hang(topic="room:*", probability=0.0001),
            Raise(probability=0.005),
            Raise("after", probability=0.002),
            Raise("on_start", probability=0.02),
            Raise("on_stop", probability=0.02),
            Raise("on_failure", probability=0.02),
            Raise(topic="relay:*", text="all at once", at_s=seconds / 2),
            Jump(5.0, at_s=seconds / 2),
        ),
        seed=seed,
    )


class Storm:
    """To be run once.

    Args:
        plan: None: nothing goes wrong but what the behaviours do.
        behaviours: as of a `Channel`.
        streams: what each thread sends, orders to crash and restart among it, which have no account. None, the default: events
            of the clients.
    """

    def __init__(
        self,
        settings: Settings,
        plan: FaultPlan | None,
        *,
        behaviours: Mapping[str, Callable[[], Behaviour]] | None = None,
        streams: Sequence[Iterator[Event]] | None = None,
    ) -> None:
        self.settings, self.accounts, self.pulse = settings, Accounts(), Pulse()
        self._streams = own_streams(settings) if streams is None else streams
        self._struck: deque[tuple[Fault, TopicEvent | None]] = deque()
        self.fired: Counter[str] = Counter()
        """How often faults of each kind have acted."""
        self._sent: list[deque[Event]] = [deque() for _ in self._streams]
        self._refused: deque[Any] = deque()
        self._heard: deque[tuple[float, Outbound]] = deque()
        self._letters: deque[DeadLetter] = deque()
        self._is_over = self._is_interrupted = False
        self._began_s = time.monotonic()
        self._took_s = 0.0
        self.channel = Channel(
            on_outbound=self._hear,
            behaviours=behaviours,
            rejoin=settings.rejoin,
            restarts=settings.restarts,
            mailboxes=settings.mailboxes,
            event_timeout_s=0.5,
            timeout_s=_WAITS_S,
            faults=plan,
        )
        self.channel._dead_letters.watchers += (self._letters.append,)  # the channel keeps a thousand of them
        if self.channel.faults is not None:
            self.channel.faults.on_strike = lambda fault, event: self._struck.append((fault, event))
        self.listeners = Listeners(self.channel, settings.topics, settings.listeners)

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
                time.sleep(_LOOK_S)
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
        heard, letters = taken(self._heard), taken(self._letters)
        struck, refused = taken(self._struck), taken(self._refused)
        for event in (event for sent in self._sent for event in taken(sent)):
            if not isinstance(event, (Crash, Restart)):
                self.accounts.send(event)
        for fault, hit in struck:
            self.fired[str(fault.__struct_config__.tag)] += 1
            if not is_listeners(getattr(hit, "client_id", None)):
                self.accounts.strike(fault, hit)
        for event in refused:
            if not isinstance(event, (Crash, Restart)):
                self.accounts.refuse(event)
        for at_s, message in heard:
            self.pulse.hear(message, at_s)
            self.listeners.due(message)
            if not is_listeners(getattr(message, "client_id", None)):
                self.accounts.hear(message)
        for letter in letters:
            if letter.why == "undelivered":
                self.listeners.due(letter.what)
            if not is_listeners(getattr(letter.what, "client_id", None)):
                self.accounts.bury(letter)
        self.listeners.read()

    def _close(self) -> None:
        try:
            self.channel.close(_CLOSES_S)
        except ChannelTimeout:
            pass  # it gave up whoever hangs, and has answered for them
        self._look()
        self.listeners.close()

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
            account=self.accounts.balance(0 if faults is None else faults.lost, self.listeners.wrong()),
            heard=self.listeners.heard,
            lagged=self.listeners.lost,
            events_per_s=self.accounts.sent / self._took_s,
            faults=dict(sorted(self.fired.items())),
            crashes=self.pulse.crashes,
            given_up=self.pulse.given_up,
            abandoned=self.channel.abandoned_count,
            dead_letters=self.channel.dead_letter_count,
            shed=self.channel.metrics().shed,
            time_to_heal_ms=self.pulse.heals(),
            least_backoff_ms=0.0 if settings.restarts.backoff is None else settings.restarts.backoff.floor_s * 1e3,
        )


def own_streams(settings: Settings) -> list[Iterator[Event]]:
    """One for each thread, which has a share of the clients; no more of them than clients."""
    shares = [settings.clients // settings.threads + (n < settings.clients % settings.threads) for n in range(settings.threads)]
    chances = [random.Random(f"{settings.seed} {thread}") for thread in range(settings.threads)]
    return [
        with_bursts(chances[thread], settings.mailboxes, some_events(chances[thread], settings.topics, share, thread))
        for thread, share in enumerate(shares)
        if share
    ]


def with_bursts(chance: random.Random, topics: Container[str], events: Iterator[TopicEvent]) -> Iterator[TopicEvent]:
    """The events, and now and then a burst of broadcasts to one of these topics."""
    for event in events:
        yield event
        if isinstance(event, Broadcast) and event.topic in topics and chance.randrange(_BURSTS) == 0:
            for number in range(_BURST):
                yield Broadcast(event.client_id, event.topic, f"{event.payload} {number}")


def taken(line: deque[Any]) -> list[Any]:
    """All that is in it now; others may go on appending."""
    return [line.popleft() for _ in range(len(line))]


def some_events(chance: random.Random, topics: Sequence[str], clients: int, thread: int) -> Iterator[TopicEvent]:
    """Without end, and no two of all threads are equal: that is by what they are known.

    Args:
        clients: so many at once; who leaves is followed by another.
    """
    members: list[tuple[str, str] | None] = [None] * clients
    for number in count(1):
        name = f"{thread}.{number}"
        place = chance.randrange(clients)
        member = members[place]
        if member is None:
            member = members[place] = name, chance.choice(topics)
            yield Join(*member, f"user {place}", number)
            continue
        kind = chance.randrange(10)
        if kind == 0:
            members[place] = None
            yield Leave(*member)
        elif kind == 1:
            yield Rejoin(*member, f"user {place}", number)
        elif kind < 6:
            yield Push(*member, PUSHED, name)
        else:
            yield Broadcast(*member, name)
