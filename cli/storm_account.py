"""The account of a storm: what was sent, what became of it, and how its topics healed. For one thread; times are in seconds.

A broadcast and a push are known by their payload, which comes out again, at most as often as it arrived; all else by its client,
who is to have as many answers as events. What a fault did to an event changes how many are due, or excuses one that is missing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from msgspec import Struct

from lightspeed.actors.topics.rules.events import ClientEvent
from lightspeed.channel import Broadcast, BroadcastMessage, DeadLetter, Outbound, Push, PushMessage, Reply, System
from lightspeed.faults import Corrupt, Delay, DelayReply, Drop, Duplicate, LoseReply, Reorder
from lightspeed.faults.fault import Fault

PUSHED = "storm"  # the name of every push, so that a topic's own are not taken for one

_LATE = "lost on purpose: late beyond the end"


class Account(Struct):
    """What came of it."""

    sent: int
    doubled: int
    """So many more arrived than were sent, by `Duplicate`."""
    became: dict[str, int]
    unaccounted: int
    """Events without an answer and answers without an event, which is also what a second answer is; and listeners who had more or
    less than they should."""
    examples: list[str]
    """Some of those that are unaccounted."""


class Accounts:
    """Which events have their answers. An event is sent here before anything else is told of it."""

    def __init__(self) -> None:
        self.sent = 0
        self.became: Counter[str] = Counter()
        self._due: Counter[str] = Counter()  # answers of each client that are still to come; below 0: too many came
        self._payloads: defaultdict[tuple[str, str], list[str]] = defaultdict(list)  # by topic: whose each copy is
        self._doubled: Counter[ClientEvent] = Counter()
        self._excuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._strange: list[str] = []
        self._doublings = 0

    def send(self, event: ClientEvent) -> None:
        self.sent += 1
        self._arrive(event)

    def refuse(self, event: ClientEvent) -> None:
        """The event's sender was told that the channel is closed. It may have been accepted, if the supervisor failed over it."""
        self._excuses[event.client_id]["refused: the channel was closed"] += 1 + self._doubled[event]

    def strike(self, fault: Fault, event: ClientEvent | None) -> None:
        """The fault has acted on the event, or in a hook, where there is none."""
        if event is None:
            return
        if isinstance(fault, Drop):
            copies = self._doubled.pop(event, 0)
            self._doublings -= copies
            self._due[event.client_id] -= 1 + copies
            self.became["lost on purpose: drop"] += 1
        elif isinstance(fault, Duplicate):
            self._doubled[event] += 1
            self._doublings += 1
            self._arrive(event)
        elif isinstance(fault, Corrupt):
            self._payloads[event.topic, fault.payload].append(event.client_id)
        elif isinstance(fault, (Delay, Reorder, DelayReply)):
            self._excuses[event.client_id][_LATE] += 1 + self._doubled[event]
        elif isinstance(fault, LoseReply):
            self._excuses[event.client_id]["lost on purpose: lose_reply"] += 1

    def hear(self, message: Outbound, fate: str | None = None) -> None:
        """The message came out of the channel.

        Args:
            fate: what became of its event. None, the default: what the message says.
        """
        if isinstance(message, Reply):
            self._answer(message.client_id, fate or f"{'handled' if message.status == 'ok' else 'answered'}: {message.payload}")
        elif isinstance(message, BroadcastMessage):
            self._come_out(message, fate or "handled: broadcast")
        elif isinstance(message, PushMessage) and message.event == PUSHED:
            self._come_out(message, fate or "handled: push")

    def bury(self, letter: DeadLetter) -> None:
        """Count a dead letter. What came too late or from a stopping topic answers nothing: its event was answered."""
        fate = f"dead letter: {letter.why}"
        if letter.why == "undelivered":
            self.hear(letter.what, fate)
        elif letter.why in ("unhandled", "overloaded") and isinstance(letter.what, ClientEvent):
            self._answer(letter.what.client_id, fate)

    def balance(self, late: int, others: Sequence[str] = ()) -> Account:
        """Settle the accounts: everything has come out that ever will.

        Args:
            late: so many events and replies the channel itself counts as delayed beyond its end.
            others: what is wrong by another account.
        """
        wrong, became = [*others, *self._strange], self.became.copy()
        for client_id, due in self._due.items():
            for fate, excused in self._excuses[client_id].items():
                closed = max(0, min(due, excused, late if fate == _LATE else due))
                became[fate] += closed
                due -= closed
                late -= closed if fate == _LATE else 0
            wrong += [f"no answer to {client_id}" if due > 0 else f"an answer too many to {client_id}"] * abs(due)
        fates = {fate: count for fate, count in sorted(became.items()) if count}
        return Account(self.sent, self._doublings, fates, len(wrong), wrong[:10])

    def _arrive(self, event: ClientEvent) -> None:
        self._due[event.client_id] += 1
        if isinstance(event, (Broadcast, Push)):
            self._payloads[event.topic, event.payload].append(event.client_id)

    def _answer(self, client_id: str, fate: str) -> None:
        self.became[fate] += 1
        self._due[client_id] -= 1

    def _come_out(self, message: BroadcastMessage | PushMessage, fate: str) -> None:
        """A broadcast does not always tell whose it is: of equal payloads in a topic, any may be the one that came out."""
        clients = self._payloads.get((message.topic, message.payload))
        whose = message.sender if isinstance(message, BroadcastMessage) else message.client_id
        if not clients or (whose is not None and whose not in clients):
            self._strange.append(f"what came out in {message.topic} was sent by nobody, or came twice")
            return
        if whose is None:
            whose = clients.pop()
        else:
            clients.remove(whose)
        self._answer(whose, fate)


class Heals(Struct, frozen=True):
    """The time to heal, in ms: from a topic's `topic_crashed` to its next `topic_restarted`, as the sink is given them. So the
    backoff is in it, and the time in which the topic was given up."""

    count: int
    p50: float
    p99: float
    longest: float


class Pulse:
    """Which topics are up, and how long each took to heal."""

    def __init__(self) -> None:
        self.crashes = 0
        self.heal_s: list[float] = []
        self.given_up = 0
        self.is_channel_down = False
        self.down: set[str] = set()
        """Topics that were given up."""
        self._failed_s: dict[str, float] = {}

    @property
    def restarting(self) -> int:
        """How many topics are to come up by themselves."""
        return len(self._failed_s.keys() - self.down)

    def hear(self, message: Outbound, at_s: float) -> None:
        """Only a System message says anything of this."""
        if not isinstance(message, System):
            return
        label, _, topic = message.label.partition(":")
        if label == "topic_crashed":
            self.crashes += 1
            self._failed_s.setdefault(topic, at_s)
        elif label == "topic_given_up":
            self.given_up += 1
            self.down.add(topic)
        elif label == "topic_restarted":
            self.down.discard(topic)
            if topic in self._failed_s:
                self.heal_s.append(at_s - self._failed_s.pop(topic))
        elif label == "crashed":
            self.is_channel_down = True
        elif label == "restarted":  # it took all topics up with it, and says nothing of each
            self.is_channel_down = False
            self.down.clear()
            self._failed_s.clear()

    def heals(self) -> Heals:
        """Of all so far."""
        heal_ms = sorted(heal_s * 1e3 for heal_s in self.heal_s)
        if not heal_ms:
            return Heals(0, 0.0, 0.0, 0.0)
        p50, p99 = (heal_ms[math.ceil(share * len(heal_ms)) - 1] for share in (0.5, 0.99))
        return Heals(len(heal_ms), p50, p99, heal_ms[-1])
