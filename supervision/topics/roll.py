"""Who is in each topic, as far as its supervisor knows without asking: also in one that is still coming up."""

from typing import TYPE_CHECKING

from lightspeed.actors.topics.mail import Errand, Mail, TopicCell
from lightspeed.actors.topics.rules.events import Leave, Rejoin, TopicEvent
from lightspeed.actors.topics.rules.topic import TopicState


class Ledger:
    """For the supervisor's thread only. One that is not kept stays empty: then members come back by themselves."""

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._rejoins: dict[str, tuple[Rejoin, ...]] = {}  # topic -> how to take its members back, in subscription order
        self._struck: dict[str, set[tuple[str, int]]] = {}  # topic -> who wanted to leave while it was down, at which incarnation
        self._clients: dict[str, frozenset[str]] = {}  # topic -> who is in `_rejoins`, where it was asked

    @property
    def is_kept(self) -> bool:
        """Whether the supervisor brings members back."""
        return self._is_kept

    def __contains__(self, topic: str) -> bool:
        return bool(self._rejoins.get(topic))

    @property
    def topics(self) -> list[str]:
        """Those that have members to take back."""
        return [topic for topic, rejoins in self._rejoins.items() if rejoins]

    def note(self, state: TopicState | None) -> None:
        """The topic's actor has ended, with this state; None: it had not started."""
        if state is not None:
            self.put_back(state.topic, state.rejoins)

    def put_back(self, topic: str, rejoins: tuple[Rejoin, ...]) -> None:
        """The actor that was to take them back ended before it had; it had handled nothing else."""
        self._clients.pop(topic, None)
        self._rejoins.pop(topic, None)
        if self._is_kept and rejoins:
            self._rejoins[topic] = rejoins

    def strike(self, event: TopicEvent, incarnation: int, *, more_end: bool) -> None:
        """Whoever asks to leave a topic that is down is refused, and comes back to no incarnation later than this.

        Args:
            more_end: an actor of the topic is on its way down, and it is not known yet whom it leaves. Of others than those who
                may come back nothing is kept: anybody may name anything.
        """
        if self._is_kept and isinstance(event, Leave) and (more_end or self._has(event.topic, event.client_id)):
            self._struck.setdefault(event.topic, set()).add((event.client_id, incarnation))

    def forget_strangers(self, topic: str) -> None:
        """No actor of the topic is on its way down any more: of all who were struck off only those count who may come back."""
        struck = self._struck.pop(topic, None)
        known = {one for one in struck or () if self._has(topic, one[0])}
        if known:
            self._struck[topic] = known

    def due(self, topic: str, incarnation: int) -> tuple[Rejoin, ...]:
        """Whom this incarnation of the topic will have to take back, as far as it is known."""
        gone = {client_id for client_id, since in self._struck.get(topic, ()) if since < incarnation}
        return tuple(rejoin for rejoin in self._rejoins.get(topic, ()) if rejoin.client_id not in gone)

    def take(self, topic: str, incarnation: int) -> tuple[Rejoin, ...]:
        """Whom this incarnation of the topic, which is about to start, is to take back; what it needs no more is forgotten."""
        due = self.due(topic, incarnation)
        self._rejoins.pop(topic, None)
        self._clients.pop(topic, None)
        later = {(client_id, since) for client_id, since in self._struck.pop(topic, ()) if since >= incarnation}
        if later:
            self._struck[topic] = later
        return due

    def _has(self, topic: str, client_id: str) -> bool:
        if topic not in self._rejoins:
            return False
        if topic not in self._clients:
            self._clients[topic] = frozenset(rejoin.client_id for rejoin in self._rejoins[topic])
        return client_id in self._clients[topic]


if TYPE_CHECKING:
    from lightspeed.supervision.topics.children import Child


class Roll:
    """For the supervisor's thread only. A topic that is being restarted has the members it will have.

    Args:
        leaving: of each topic the one that is on its way down.
    """

    def __init__(self, leaving: "dict[str, Child]", in_flight: dict[TopicCell, Mail], ledger: Ledger) -> None:
        self._leaving, self._in_flight, self._ledger = leaving, in_flight, ledger

    def is_settled(self, child: "Child") -> bool:
        """Whether it is known who is in it: it has handled all that it was sent, and waits for nobody to come back first."""
        return not (child.is_busy or self.awaits_members(child))

    def awaits_members(self, child: "Child") -> bool:
        """Whether it can't be started yet, since one that may leave it members has not ended."""
        return child.ref is None and child.restores and not child.is_put_off and self._ledger.is_kept

    def count(self, child: "Child") -> int:
        """How many members it has, as of the last that it is done with; where it has yet to come up, how many it will have."""
        cell = child.cell
        if cell.settled or cell.members or not child.restores:
            return cell.members
        if child.ref is not None:
            return child.to_come
        before = self._before(child)
        if before is None:
            return len(self._ledger.due(cell.topic, cell.incarnation))
        return before.cell.members if before.cell.settled or before.cell.members else before.to_come

    def members_of(self, child: "Child") -> tuple[str, ...]:
        """Those whom `count` counts."""
        cell = child.cell
        work = None if cell.settled else self._in_flight.get(cell)
        if type(work) is Errand and work.rejoins:
            return tuple(rejoin.client_id for rejoin in work.rejoins)
        if child.ref is not None or not child.restores:
            return () if cell.state is None else cell.state.subscribers
        before = self._before(child)
        if before is None:
            return tuple(rejoin.client_id for rejoin in self._ledger.due(cell.topic, cell.incarnation))
        return self.members_of(before)

    def _before(self, child: "Child") -> "Child | None":
        """Who leaves it members when it ends."""
        before = self._leaving.get(child.cell.topic) if self._ledger.is_kept else None
        return None if before is child else before
