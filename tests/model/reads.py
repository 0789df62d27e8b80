"""Calls that wait: what is read of a channel, held against what was seen of it; and whether what was handled had taken effect."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lightspeed.actors.topics.rules.events import Crash, Disconnect, Leave
from lightspeed.faults import Duplicate

if TYPE_CHECKING:
    from model.witness import Witness


class Census:
    """How many were in each topic, at whatever moment since somebody began to count."""

    def __init__(self, members: dict[str, int], outer: "Census | None") -> None:
        self._seen: defaultdict[str, set[int]] = defaultdict(lambda: {0}, {topic: {count} for topic, count in members.items()})
        self.outer = outer
        """Of somebody who began before, and waits for this one."""

    def see(self, topic: str, members: int) -> None:
        """It has so many now."""
        self._seen[topic].add(members)
        if self.outer is not None:
            self.outer.see(topic, members)

    def wrong(self, members: dict[str, int]) -> str | None:
        """What is wrong with this count; None: nothing."""
        for topic in {**self._seen, **members}:
            if members.get(topic, 0) not in self._seen[topic]:
                return f"{members.get(topic, 0)} in {topic}, where there were {sorted(self._seen[topic])}"
        return None


class Reading:
    """One read."""

    def __init__(self, witness: "Witness", what: str, topic: str | None) -> None:
        self._witness, self._what, self._topic = witness, what, topic
        self._asked_seq = witness.last_seq
        lives = witness.lives.values() if what in _OF_ALL else ()
        members = {life.topic: life.count for life in lives}
        self.census = Census(members, witness.census)

    def answer(self, value: Any) -> None:
        """It is being answered: now, and not when whoever waits comes to it, it is what it was."""
        open_events = [(seq, mail.request) for seq, mail in self._witness.open.items()]
        accepted = [event for seq, event in (*open_events, *self._witness.orders.open.items()) if seq <= self._asked_seq]
        unseen = [event for event in accepted if self._concerns(event.topic)]
        self.judge(f"it did not wait for {unseen}" if unseen else self._wrong(value))

    def judge(self, wrong: str | None, rule: str = "reads") -> None:
        """What is wrong with it; None: nothing."""
        if wrong is not None:
            name = self._what if self._topic is None else f"{self._what} of {self._topic}"
            self._witness.break_rule(rule, f"{name}: {wrong}")

    def flush(self, messages: Any) -> None:
        """These were flushed."""
        witness = self._witness
        if witness.sink_books is not None:
            self.judge(f"{messages}, where a sink was to be given it" if messages else None, "outbox")
        elif not witness.lost_is_excused:
            self.judge(witness.books.flush(messages, self._asked_seq), "outbox")

    def _concerns(self, topic: str | None) -> bool:
        """What has no answer yet, of this topic or of all."""
        if self._what in _OF_SOME or (self._what == "crashed" and topic is not None):
            return False
        if self._topic not in (None, topic) and topic is not None:
            return False
        life = None if topic is None else self._witness.lives.get(topic)
        is_up = topic is None or (life is not None and life.now is not None and not life.now.is_leaving)
        return is_up or self._what == "flush_outbox"  # what is refused may be answered later, and changes nothing

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
def reading(witness: "Witness", what: str, topic: str | None = None) -> Iterator[Reading]:
    """A read, from its call to its return."""
    read = Reading(witness, what, topic)
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


_OF_ALL = frozenset(("topics", "membership_count"))
_OF_SOME = frozenset(("client", "topics_of", "tree"))  # they wait for no topic, or for those that a client is in
