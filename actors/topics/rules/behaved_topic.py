"""The state of a topic with a behaviour: what an event does to it is the behaviour's to say, within the channel's rules.

An event takes effect when its hook has returned, and not if it raised: so the members are always those of the last event handled.
"""

import types
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import field

from lightspeed.actors.checks import is_put_off
from lightspeed.actors.errors import RoomMisused, Shutdown, TopicCrash
from lightspeed.actors.text import class_name, shown
from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Rejoin, TopicEvent
from lightspeed.actors.topics.rules.outbound import Outbound, Reply
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.actors.topics.rules.room import Behaviour, Room, Turn, end_turn
from lightspeed.actors.topics.rules.topic import Messages, TopicState, not_joined

_Given = tuple[Reply | None, tuple[Outbound, ...]]


class BehavedTopic(TopicState, eq=False, gc=True):
    """As `TopicState`. The behaviour is made, and started, by the first thing that it handles."""

    make: Callable[[], Behaviour] = Behaviour
    restarted_by: str | None = None
    """What the incarnation before it died of; None: it is the first, or nothing was to be carried on."""
    kind: type[Behaviour] | None = None
    """The class of its behaviour; None: that is not made yet."""
    _behaviour: Behaviour | None = None
    _timers: dict[str, object] = field(default_factory=dict)  # name -> the key of the timer that counts
    # name -> the delay of a timer to start; None: it is cancelled
    _timer_changes: dict[str, float | None] = field(default_factory=dict)

    def handle(self, event: TopicEvent) -> Messages:
        begun = self._begin()
        if event.client_id in self.users:
            given = super().handle(event) if isinstance(event, (Join, Rejoin)) else self._ask_of_member(event)
        elif isinstance(event, (Join, Rejoin)):
            given = self._admit(event)
        else:
            given = not_joined(event)
        return (*begun, *given)

    def replay(self, rejoins: Iterable[Rejoin]) -> Messages:
        try:
            return super().replay(rejoins)
        except BaseException:
            for client_id in tuple(self.users):  # it is the first thing that is handled: nobody else is in it
                super().handle(Leave(client_id, self.topic))
            raise

    def ring(self, name: str, key: object) -> Messages:
        """A timer is due; one that was cancelled or started anew meanwhile counts no more."""
        if self._timers.get(name) is not key:
            return ()
        del self._timers[name]
        return self._call(None, "on_timer", name)[1]

    def end(self) -> Messages:
        """The topic is stopped."""
        return () if self._behaviour is None else self._call(None, "on_stop")[1]

    def take_timers(self) -> list[tuple[str, object, float | None]]:
        """What is to become of timers: name, the key to ring with, and the delay; None: it is cancelled."""
        changes: list[tuple[str, object, float | None]] = []
        taken, self._timer_changes = self._timer_changes, {}
        for name, delay_s in taken.items():
            self._timers.pop(name, None)
            if delay_s is not None:
                self._timers[name] = object()
            changes.append((name, self._timers.get(name), delay_s))
        return changes

    def _begin(self) -> Messages:
        if self._behaviour is not None:
            return ()
        behaviour = _failing("its making", self.make)
        if not issubclass(type(behaviour), Behaviour):
            raise RoomMisused(f"a behaviour must be a Behaviour, got {shown(behaviour)}")
        self._behaviour, self.kind = behaviour, type(behaviour)
        if self.restarted_by is None:
            return self._call(None, "on_start")[1]
        return self._call(None, "on_restart", self.restarted_by)[1]

    def _admit(self, event: Join | Rejoin) -> Messages:
        reply, diff = super().handle(event)
        try:
            answer, more = self._call(event.client_id, "on_join", event.client_id, event.user_id)
        except BaseException:
            self._undo(event)
            raise
        if answer is None:
            return (reply, diff, *more)
        if answer.status == "ok":
            return (answer, diff, *more)
        self._undo(event)
        return (answer, *more)

    def _undo(self, event: Join | Rejoin) -> None:
        super().handle(Leave(event.client_id, event.topic))

    def _ask_of_member(self, event: TopicEvent) -> Messages:
        client_id = event.client_id
        if isinstance(event, Leave):
            answer, more = self._call(client_id, "on_leave", client_id, gone=client_id)
            reply, diff = super().handle(event)
            return (reply if answer is None else answer, diff, *more)
        if isinstance(event, Broadcast):
            answer, more = self._call(client_id, "on_broadcast", client_id, event.payload)
        else:
            answer, more = self._call(client_id, "on_push", client_id, event.event, event.payload)  # type: ignore[union-attr]
        return more if answer is None else (answer, *more)

    def _call(self, client_id: str | None, hook: str, *args: Any, gone: str | None = None) -> _Given:
        turn = Turn(self.topic, self.users, self._entries_without, self._snapshot, client_id=client_id, gone=gone)
        turn.sender = client_id if hook == "on_broadcast" else None
        room = Room(turn)
        try:
            value = _failing(hook, lambda: getattr(self._behaviour, hook)(room, *args))
        finally:
            end_turn(room)
        if value is not None:
            raise RoomMisused(_wrong_value(hook, value))
        self._timer_changes |= turn.timers
        return turn.answer, tuple(turn.messages)

    def _snapshot(self) -> Any:
        self._recipients = self._everyone()
        return self._recipients

    def _entries_without(self, gone: str | None) -> tuple[Entry, ...]:
        return self._presence.entries() if gone is None else self._presence.entries_without(gone, self.users[gone])

    def let_go(self) -> Behaviour | None:
        """The topic's actor has ended: the behaviour is whoever's who takes it here, and nobody's else."""
        behaviour, self._behaviour = self._behaviour, None
        return behaviour


def _wrong_value(hook: str, value: object) -> str:
    """What is wrong with a hook that returned this."""
    if is_put_off(value):
        what = "is an async def" if type(value) is types.CoroutineType else "yields"
        return f"{hook} must be a plain function, and {what}"
    return f"{hook} must return None, got {shown(value)}"


def _failing(what: str, call: Callable[..., Any], *args: Any) -> Any:
    """The user's code. By what would end another actor in good order, a topic fails as by anything else."""
    try:
        return call(*args)
    except (Shutdown, TopicCrash) as error:
        raise RoomMisused(f"{what} raised {class_name(type(error))}, by which no topic ends") from error
