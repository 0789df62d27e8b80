"""The accounts of a storm: what was sent, and what became of it.

Each event is known by its value, which is its own: a broadcast and a push by their payload, which comes out again; all others by
the answers to their client, of which there must be as many, and of the right kinds. What a fault did to an event is noted with
it: that excuses an answer that is missing, and asks for one more where the event was doubled.
"""

from collections import Counter

from msgspec import Struct

from lightspeed.channel import Broadcast, BroadcastMessage, DeadLetter, Join, Leave, Outbound, Push, PushMessage, Rejoin, Reply
from lightspeed.cli.storm_events import PUSHED, TopicEvent
from lightspeed.faults import Delay, DelayReply, Drop, Duplicate, Hang, LoseReply, Poison, Raise, Reorder
from lightspeed.faults.fault import Fault

_ANSWERS: dict[str, type] = {"joined": Join, "already_joined": Join, "rejoined": Rejoin, "left": Leave}
"""Those which tell what they answer; any other may answer anything of the client's."""


class Entry(Struct, eq=False):
    """One event, and what faults did to it."""

    event: TopicEvent
    copies: int = 1
    """So many arrive; each is to be answered."""
    answers: int = 0
    loses: int = 0
    """So many of its replies are lost on purpose."""
    poisoned: int = 0
    """So many of its copies come out with the payload of a fault."""
    is_late: bool = False
    """It, or its reply, may come after the end."""
    was_refused: bool = False
    """The channel was closed, or was just failing."""

    @property
    def left(self) -> int:
        return self.copies - self.answers

    @property
    def doubts(self) -> list[int]:
        """One for each answer that it has not got: the higher, the more speaks for it that none came."""
        rest = 3 if self.was_refused else 1 if self.is_late else 0
        return ([3] * self.loses + [2] * self.poisoned + [rest] * self.left)[: self.left]


class _Client(Struct, eq=False):
    entries: dict[TopicEvent, Entry]
    """Without those payloads that have come out."""
    answers: Counter[type | None]
    """By the kind of event that they tell of."""
    poisoned: Entry | None = None
    """The last whose payload was replaced: what strikes the client's unknown event has struck that."""


class Account(Struct):
    """What came of it."""

    sent: int
    doubled: int
    """So many more arrived than were sent, by `Duplicate`."""
    became: dict[str, int]
    unaccounted: int
    """Events without an answer and answers without an event, which is also what a second answer is."""
    examples: list[str]
    """Some of those that are unaccounted."""


class Accounts:
    """For one thread. An event is sent here before anything else is told of it."""

    def __init__(self) -> None:
        self.sent = 0
        self.became: Counter[str] = Counter()
        self._clients: dict[str, _Client] = {}
        self._by_payload: dict[str, Entry] = {}
        self._poison_heard: Counter[str] = Counter()
        self._dropped: list[Entry] = []
        self._strange: list[str] = []
        self._doubled = 0
        self._late = 0

    def send(self, event: TopicEvent) -> None:
        self.sent += 1
        entry = Entry(event)
        client = self._clients.get(event.client_id)
        if client is None:
            client = self._clients[event.client_id] = _Client({}, Counter())
        client.entries[event] = entry
        if isinstance(event, (Broadcast, Push)):
            self._by_payload[event.payload] = entry

    def refuse(self, event: TopicEvent) -> None:
        """Its sender was told that the channel is closed. It may have been accepted, if the supervisor failed over it."""
        self._clients[event.client_id].entries[event].was_refused = True

    def strike(self, fault: Fault, event: TopicEvent | None) -> None:
        """The fault has acted on it."""
        client = None if event is None else self._clients[event.client_id]
        entry = None if client is None or event is None else client.entries.get(event, client.poisoned)
        if client is None or entry is None:
            return  # in a hook, or of an event that has all its answers
        if isinstance(fault, Drop):
            self._doubled -= entry.copies - 1
            entry.copies = 0
            self.became["lost on purpose: drop"] += 1
        elif isinstance(fault, Duplicate):
            entry.copies += 1
            self._doubled += 1
        elif isinstance(fault, (Delay, Reorder, DelayReply)):
            entry.is_late = True
        elif isinstance(fault, Poison) and entry.event == event:
            entry.poisoned += 1
            client.poisoned = entry
        elif isinstance(fault, LoseReply):
            entry.loses += 1
        elif entry.loses and (isinstance(fault, Hang) or (isinstance(fault, Raise) and fault.hook == "before")):
            entry.loses -= 1  # it never comes to its own reply: the supervisor answers it

    def hear(self, message: Outbound, fate: str | None = None) -> None:
        """It came out of the channel.

        Args:
            fate: what became of its event. None, the default: what the message says.
        """
        if isinstance(message, Reply):
            self.became[fate or f"{'handled' if message.status == 'ok' else 'answered'}: {message.payload}"] += 1
            self._answer(message)
        elif isinstance(message, BroadcastMessage):
            self._come_out(message, fate or "handled: broadcast")
        elif isinstance(message, PushMessage) and message.event == PUSHED:
            self._come_out(message, fate or "handled: push")

    def bury(self, letter: DeadLetter) -> None:
        """It is a dead letter. What came too late or from a stopping topic answers nothing: its event was answered."""
        fate = f"dead letter: {letter.why}"
        if letter.why == "undelivered":
            self.hear(letter.what, fate)
        elif letter.why == "unhandled" and isinstance(letter.what, TopicEvent):
            self.became[fate] += 1
            self._answer(letter.what)

    def balance(self, late: int) -> Account:
        """Everything has come out that ever will.

        Args:
            late: so many events and replies the channel itself counts as delayed beyond its end.
        """
        self._late = late
        wrong = []
        for name, client in self._clients.items():
            for entry in self._settle(name, client):
                wrong += [f"no answer to {entry.event}"] * self._excuse(entry)
        wrong += self._strange
        wrong += [f"what came out in {topic} was sent by nobody, or came twice" for topic in self._poison_heard.elements()]
        became = {fate: count for fate, count in sorted(self.became.items()) if count}
        return Account(self.sent, self._doubled, became, len(wrong), wrong[:10])

    def _answer(self, answer: Reply | TopicEvent) -> None:
        client = self._clients.get(answer.client_id)
        if client is None:
            self._strange.append(f"nobody sent what is answered by {answer}")
            return
        client.answers[_ANSWERS.get(answer.payload) if isinstance(answer, Reply) else None] += 1

    def _come_out(self, message: BroadcastMessage | PushMessage, fate: str) -> None:
        entry = self._by_payload.get(message.payload)
        if entry is None:
            self._poison_heard[message.topic] += 1  # or a payload that has come out before
            return
        self.became[fate] += 1
        entry.answers += 1
        if not entry.left:
            del self._by_payload[message.payload]
            del self._clients[entry.event.client_id].entries[entry.event]

    def _settle(self, name: str, client: _Client) -> list[Entry]:
        """Give each answer to an event that it fits, those first that must have one; who has not got all of his?"""
        missing = [(doubt, entry) for entry in client.entries.values() for doubt in entry.doubts]
        missing.sort(key=lambda pair: pair[0])
        for kind, count in sorted(client.answers.items(), key=lambda item: item[0] is None):
            fitting = [pair for pair in missing if kind is None or isinstance(pair[1].event, kind)][:count]
            for pair in fitting:
                pair[1].answers += 1
                missing.remove(pair)
            self._strange += [f"an answer too many to {name}"] * (count - len(fitting))
        return [entry for entry in client.entries.values() if entry.left > 0]

    def _excuse(self, entry: Entry) -> int:
        """How many of its answers are missing without an excuse."""
        poisoned = min(entry.left, entry.poisoned, self._poison_heard[entry.event.topic])
        self._poison_heard[entry.event.topic] -= poisoned
        self._close(entry, "handled: poisoned", poisoned)
        self._close(entry, "lost on purpose: lose_reply", entry.loses)
        self._late -= self._close(entry, "lost on purpose: late beyond the end", self._late if entry.is_late else 0)
        self._close(entry, "refused: the channel was closed", entry.left if entry.was_refused else 0)
        return entry.left

    def _close(self, entry: Entry, fate: str, most: int) -> int:
        closed = min(entry.left, most)
        entry.answers += closed
        self.became[fate] += closed
        return closed
