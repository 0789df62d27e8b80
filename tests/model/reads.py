"""Calls that wait: what is read of a channel, held against what was seen of it; and whether what was handled had taken effect."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lightspeed.actors.topics.rules.events import Crash, Disconnect, Join, Leave, Rejoin
from lightspeed.faults import Duplicate

if TYPE_CHECKING:
    from model.topic_life import TopicLife
    from model.witness import Witness


class Census:
    """How many were in each topic, at whatever moment since somebody began to count; or whether one client was: 1, and else 0."""

    def __init__(self, lives: Iterable["TopicLife"], client_id: str | None, outer: "Census | None") -> None:
        self._client_id = client_id
        self._seen: defaultdict[str, set[int]] = defaultdict(lambda: {0})
        for life in lives:
            self._seen[life.topic] = {self._number(life.expected)}
        self.outer = outer
        """Of somebody who began before, and waits for this one."""

    def _number(self, members: Collection[str]) -> int:
        return len(members) if self._client_id is None else int(self._client_id in members)

    def see(self, life: "TopicLife") -> None:
        """It has others now."""
        self._seen[life.topic] |= {self._number(life.members), self._number(life.expected)}
        if self.outer is not None:
            self.outer.see(life)

    def see_end(self, topic: str) -> None:
        """It was told to end: to the supervisor it is gone."""
        self._seen[topic].add(0)
        if self.outer is not None:
            self.outer.see_end(topic)

    def wrong(self, members: dict[str, int]) -> str | None:
        """What is wrong with this count; None: nothing."""
        for topic in {**self._seen, **members}:
            if members.get(topic, 0) not in self._seen[topic]:
                return f"{members.get(topic, 0):d} in {topic}, where there were {sorted(self._seen[topic])}"
        return None


class Reading:
    """One read."""

    def __init__(self, witness: "Witness", what: str, topic: str | None, client_id: str | None) -> None:
        self._witness, self._what, self._topic, self._client_id = witness, what, topic, client_id
        self._asked_seq = witness.last_seq
        self.census = Census(witness.lives.values() if what in _OF_ALL else (), client_id, witness.census)

    def answer(self, value: Any) -> None:
        """It is being answered: now, and not when whoever waits comes to it, it is what it was."""
        open_events = [(seq, mail.request) for seq, mail in self._witness.open.items()]
        accepted = [event for seq, event in (*open_events, *self._witness.orders.open.items()) if seq <= self._asked_seq]
        unseen = [event for event in accepted if self._concerns(event)]
        self.judge(f"it did not wait for {unseen}" if unseen else self._wrong(value))

    def judge(self, wrong: str | None, rule: str = "reads") -> None:
        """What is wrong with it; None: nothing."""
        if wrong is not None:
            of = self._topic or self._client_id
            name = self._what if of is None else f"{self._what} of {of}"
            self._witness.break_rule(rule, f"{name}: {wrong}")

    def flush(self, messages: Any) -> None:
        """These were flushed."""
        witness = self._witness
        if witness.sink_books is not None:
            self.judge(f"{messages}, where a sink was to be given it" if messages else None, "outbox")
        elif not witness.lost_is_excused:
            self.judge(witness.books.flush(messages, self._asked_seq), "outbox")

    def _concerns(self, event: Any) -> bool:
        """What has no answer yet, of a topic, or of all."""
        topic = event.topic
        if self._client_id is not None and not self._may_move(event):
            return False
        if self._what in _OF_SOME or (self._what == "crashed" and topic is not None):
            return False
        if self._topic not in (None, topic) and topic is not None:
            return False
        life = None if topic is None else self._witness.lives.get(topic)
        is_up = topic is None or (life is not None and life.now is not None and not life.now.is_leaving)
        return is_up or self._what == "flush_outbox"  # what is refused may be answered later, and changes nothing

    def _may_move(self, event: Any) -> bool:
        """Whether it may bring the client in, or the topic that the client is in is asked behind it."""
        if isinstance(event, (Join, Rejoin)) and event.client_id == self._client_id:
            return True
        life = self._witness.lives.get(event.topic)
        return life is not None and self._client_id in life.members

    def _wrong(self, value: Any) -> str | None:
        witness, topic = self._witness, self._topic
        if self._what == "flush_outbox" or self._what in _OF_SOME:
            return None  # that it is answered is all
        if self._what in _OF_ALL:
            return self.census.wrong(value)
        if self._what == "crashed":
            return None if value == witness.downs.is_down else f"{value}, where it is {witness.downs.is_down}"
        assert topic is not None
        life = witness.lives.get(topic)
        now = None if life is None else life.now
        if now is None or (now.is_leaving and value == ()):  # it is gone already
            due: Any = ()
        else:
            due = now.members if self._what == "subscribers" else now.reference.presences
        return None if value == due else f"{value}, where {due} was due"


@contextmanager
def reading(witness: "Witness", what: str, topic: str | None = None, client_id: str | None = None) -> Iterator[Reading]:
    """A read, from its call to its return."""
    read = Reading(witness, what, topic, client_id)
    witness.census = read.census
    try:
        yield read
    finally:
        witness.census = read.census.outer


def check_effect(witness: "Witness", event: Any) -> None:
    """A `handle` of this event has returned."""
    if witness.sink_waits_for(event):
        witness.break_rule("handle", f"{event} returned, and the sink had not been given all that came of it")
    if isinstance(event, Crash):
        alive = [incarnation.name for incarnation in witness.orders.taken_by(event) if incarnation.is_alive]
        if alive:
            witness.break_rule("handle", f"{event} returned, and {alive} had not ended")
    elif any(mail.request is event for mail in witness.open.values()) and Duplicate not in witness.kinds:
        witness.break_rule("handle", f"{event} returned before it had taken effect")
    elif isinstance(event, Disconnect):
        left = [witness.open[number].request for number in witness.numbers_of(event) if number in witness.open]
        if left and Duplicate not in witness.kinds and not witness.is_held:
            witness.break_rule("handle", f"{event} returned, and {left} had not taken effect")
    elif isinstance(event, Leave):
        life = witness.lives.get(event.topic)
        now = None if life is None else life.now
        is_left = now is not None and now.emptied_by is event and not now.members and not now.is_leaving
        if now is not None and is_left and not now.has_more:
            witness.break_rule("handle", f"{event} returned, and {now.name}, which it had left empty, had not stopped")


_OF_ALL = frozenset(("topics", "membership_count", "topics_of"))
_OF_SOME = frozenset(("client", "tree"))  # they wait for no topic, or for those that a client is in
