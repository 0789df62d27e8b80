"""The clients of a channel, as they are seen from beside: what is put into their inboxes, what comes out, and where they are.

Whatever a channel gives out is held against what its clients are given at that very moment; who is where is the fold of the
presence diffs that were given out.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lightspeed.actors.runtime import ReplyTo
from lightspeed.actors.topics.mail import Collected
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PresenceDiff, PushMessage, Reply
from lightspeed.clients.inbox import InboxQueue, Lagged, Removed, TopicDown, TopicUp
from lightspeed.testing.simulated_channel import whom

if TYPE_CHECKING:
    from model.topic_life import TopicLife

Breach = Callable[[str, str], None]
_NOTICES = (TopicDown, TopicUp, Removed, Lagged)
_Due = tuple[Any, bool]
"""A message, and whether it must come: else it may."""


class _Line(deque[Any]):
    """What waits in an inbox; what is appended where there is room is seen."""

    sees: Callable[[Any], object] | None = None

    def append(self, item: Any) -> None:
        if self.sees is not None:
            self.sees(item)
        super().append(item)


class SeenInbox(InboxQueue):
    """An inbox that remembers what was put into it while it was open, and what was taken out."""

    __slots__ = ("arrived", "taken")

    def __init__(self, inner: InboxQueue) -> None:
        super().__init__(inner._options, inner._wait, inner._now_s, inner._on_slow)
        self.door = inner.door
        self.arrived: list[Any] = []
        self.taken: list[Any] = []
        self.items = _Line()
        self.items.sees = self.arrived.append

    @property
    def overflow(self) -> str:
        return self._options.overflow

    def put_slowly(self, message: Any) -> None:
        line: Any = self.items
        if self.why_closed is None:
            self.arrived.append(message)
        line.sees = None
        super().put_slowly(message)
        line.sees = self.arrived.append

    def take(self, taken: list[Any], most: int, timeout_s: float | None) -> None:
        super().take(taken, most, timeout_s)
        self.taken += taken

    def take_out(self, message: Any) -> bool:
        """As if it had never come."""
        is_there = super().take_out(message)
        if is_there:
            del self.arrived[next(place for place, other in enumerate(self.arrived) if other is message)]
        return is_there

    def wrong(self) -> str | None:
        """What is wrong with what came out of it, and is in it still, given what was put in; None: nothing."""
        out = [*self.taken, *self.left()]
        told = sum(message.count for message in out if type(message) is Lagged)
        came, dropped = self.arrived, self.dropped
        if self.overflow == "close" and self.why_closed is not None and len(came) == len(out) + 1:
            came, dropped = came[:-1], dropped - 1  # by which it was closed
        if told != dropped:
            return f"it says that {told} are missing, and dropped {dropped}"
        if self.overflow == "latest":
            return self._wrong_of_latest(out, came)
        place = 0
        for message in out:
            if type(message) is Lagged:
                place += message.count
            elif place >= len(came) or came[place] is not message:
                return f"{message} came out of it, where {came[place : place + 1]} was due"
            else:
                place += 1
        return None if place == len(came) else f"{came[place:]} were put in, and nothing is said of them"

    def left(self) -> list[Any]:
        messages, look = self.look()
        look.give_up()
        return messages

    def _wrong_of_latest(self, out: list[Any], came: list[Any]) -> str | None:
        kept = [message for message in out if type(message) is not Lagged]
        line = iter(came)
        if not all(any(message is other for other in line) for message in kept):
            return f"{kept} came out of it, where {came} were put in"
        if len(kept) + self.dropped != len(came):
            return f"{len(came)} were put in, {len(kept)} came out, and {self.dropped} were dropped"
        last = {_kind(message): message for message in came}
        has_room = len(last) <= self._options.max_messages and self._options.max_bytes is None
        if has_room and any(kept.count(message) == 0 for message in last.values()):
            return f"{kept} came out of it, and not the last of each topic and kind: {list(last.values())}"
        return None


def _kind(message: Any) -> tuple[type, str]:
    return type(message), message.topic


class Held:
    """One living client."""

    def __init__(self, session: Any) -> None:
        self.session = session
        session.inbox = self.inbox = SeenInbox(session.inbox)
        self.is_ready = False
        """Whether whoever made it has it: before that it may hear or not of what is given out."""
        self.known: set[str] = set()
        """The topics that it is in, and knows that it is."""
        self.downs: Counter[str] = Counter()
        """How often each of those has ended."""
        self.may_be_downs: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return f"client {self.session.client_id}"

    def count(self, kind: type, topic: str) -> int:
        return sum(type(message) is kind and message.topic == topic for message in self.inbox.arrived)


class HeldClients(dict[str, Any]):
    """In the place of a hub's table of its clients: each is seen as it comes in."""

    def __init__(self, breach: Breach) -> None:
        super().__init__()
        self._breach = breach
        self._all: list[Held] = []
        self._members: defaultdict[str, set[str]] = defaultdict(set)

    def __setitem__(self, client_id: str, session: Any) -> None:
        super().__setitem__(client_id, session)
        self._all.append(Held(session))

    def ready(self, session: Any, lives: "dict[str, TopicLife]") -> None:
        """Whoever made this one has it now: it has heard where it is."""
        for held in self._open:
            if held.session is session:
                held.is_ready = True
                held.known = {life.topic for life in lives.values() if self._tells(life, session.client_id)}

    def _tells(self, life: "TopicLife", client_id: str) -> bool:
        """Whether the topic has told who is in it: one on its way down is not asked."""
        return life.now is not None and not life.now.is_leaving and client_id in self._members[life.topic]

    @property
    def _open(self) -> list[Held]:
        return [held for held in self._all if held.inbox.why_closed is None]

    # What the channel gives out

    def due(self, messages: Iterable[Outbound], reply: ReplyTo | None) -> "Due":
        """What these messages are to bring to whom; they are about to be given out."""
        due = Due(self._open)
        is_verbs = isinstance(reply, Collected) and reply.is_clients
        for message in messages:
            if isinstance(message, PresenceDiff):
                self._fold(message, due)
            elif isinstance(message, BroadcastMessage):
                for held in due.of(whom(message)):
                    due.add(held, message, must=message.topic in held.known)
            elif isinstance(message, Reply):
                for held in () if is_verbs else due.of((message.client_id,)):
                    due.add(held, message)
            elif isinstance(message, PushMessage) and not message.is_notice:
                for held in due.of((message.client_id,)):
                    due.add(held, message)
            elif isinstance(message, PushMessage) and message.event == "removed":
                for held in due.of((message.client_id,)):
                    due.add(held, Removed(message.topic, message.payload))
        return due

    def _fold(self, message: PresenceDiff, due: "Due") -> None:
        topic, members = message.topic, self._members[message.topic]
        came = {meta.client_id for entry in message.diff.joins for meta in entry.metas}
        left = {meta.client_id for entry in message.diff.leaves for meta in entry.metas} - came
        members |= came
        members -= left
        for held in due.of(came):
            held.known.add(topic)
        for held in due.of(left):
            held.known.discard(topic)
        for held in due.of(members):
            due.add(held, message, must=topic in held.known)

    def given(self, due: "Due") -> None:
        """They have been given out."""
        for held, wanted, before in due.each():
            wrong = _compare(held.inbox.arrived[before:], wanted, is_closed=held.inbox.why_closed is not None)
            if wrong is not None:
                self._breach("clients", f"{held.name}: {wrong}")

    def ended(self, topic: str, *, is_told: bool) -> None:
        """The topic's actor has ended, and nobody is in it any more. `is_told`: whether its members hear of it."""
        members = self._members.pop(topic, set())
        for held in self._open:
            if is_told and held.session.client_id in members:
                certain = held.downs if held.is_ready and topic in held.known else held.may_be_downs
                certain[topic] += 1
            held.known.discard(topic)

    # At rest

    def check(self, lives: "dict[str, TopicLife]", *, is_closed: bool) -> None:
        """Nobody is ready: each is where the channel says that it is, and has been told all."""
        for held in self._all:
            wrong = held.inbox.wrong()
            if wrong is not None:
                self._breach("inbox", f"{held.name}: {wrong}")
        for held in () if is_closed else self._open:
            if held.is_ready:
                self._check_place(held, lives)

    def _check_place(self, held: Held, lives: "dict[str, TopicLife]") -> None:
        client_id = held.session.client_id
        for topic, life in lives.items():
            if life.now is not None and life.now.is_held:
                continue  # what is to come of that is not known
            is_in = client_id in life.members
            if (topic in held.session.topics) != is_in:
                self._breach("clients", f"{held.name} is in {held.session.topics}, and {topic} has {life.members}")
            due = {entry.key: entry.metas for entry in life.now.reference.presences} if is_in and life.now is not None else {}
            seen = held.session.hub.presence(topic, held.session)
            if seen != due:
                self._breach("clients", f"{held.name} sees {seen} in {topic}, where {due} are present")
            self._check_notices(held, topic)
        strange = [topic for topic in held.session.topics if topic not in lives]
        if strange:
            self._breach("clients", f"{held.name} is in {strange}, where nobody ever was")

    def _check_notices(self, held: Held, topic: str) -> None:
        downs, ups = held.count(TopicDown, topic), held.count(TopicUp, topic)
        if not held.downs[topic] <= downs <= held.downs[topic] + held.may_be_downs[topic]:
            self._breach(
                "clients", f"{held.name} was told {downs} times that {topic} is down, where it ended {held.downs[topic]} times"
            )
        if ups > downs:
            self._breach("clients", f"{held.name} was told {ups} times that {topic} is up, and {downs} that it is down")


class Due:
    """What is to come to each client by one put."""

    def __init__(self, clients: list[Held]) -> None:
        self._clients = {held.session.client_id: held for held in clients}
        self._before = {client_id: len(held.inbox.arrived) for client_id, held in self._clients.items()}
        self._due: defaultdict[str, list[_Due]] = defaultdict(list)

    def of(self, client_ids: Iterable[str]) -> list[Held]:
        ids = set(client_ids)
        return [held for client_id, held in self._clients.items() if client_id in ids]

    def add(self, held: Held, message: Any, *, must: bool = True) -> None:
        self._due[held.session.client_id].append((message, must and held.is_ready))

    def each(self) -> Iterable[tuple[Held, list[_Due], int]]:
        for client_id, held in self._clients.items():
            yield held, self._due[client_id], self._before[client_id]


def _compare(arrived: list[Any], wanted: list[_Due], *, is_closed: bool) -> str | None:
    """What is wrong with what was put into an inbox; None: nothing."""
    left = list(wanted)
    for message in arrived:
        if isinstance(message, (TopicDown, TopicUp)):
            continue  # they come by themselves
        while left and not _is(message, left[0][0]) and not left[0][1]:
            left.pop(0)
        if not left or not _is(message, left[0][0]):
            return f"it was given {message}, where {[due for due, _must in wanted]} were due"
        left.pop(0)
    missing = [] if is_closed else [message for message, must in left if must]
    return f"it was not given {missing}" if missing else None


def _is(message: Any, due: Any) -> bool:
    return message == due if isinstance(due, Removed) else message is due
