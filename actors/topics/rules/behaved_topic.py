"""The state of a topic with a behaviour: what an event does to it is the behaviour's to say, within the channel's rules.

An event takes effect when its hook has returned, and not if it raised: so the members are always those of the last event handled.
"""

import types
from collections.abc import Callable, Generator, Iterable
from inspect import iscoroutinefunction
from random import Random
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct, field

from lightspeed.actors.checks import is_put_off
from lightspeed.actors.errors import RoomMisused, Shutdown, TopicCrash
from lightspeed.actors.text import class_name, shown
from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Publish, Push, Rejoin, Relayed, Send, TopicEvent
from lightspeed.actors.topics.rules.outbound import Outbound, PresenceDiff, PushMessage, Reply, error, notice
from lightspeed.actors.topics.rules.room import Behaviour, Clock, Room, Turn, end_turn
from lightspeed.actors.topics.rules.topic import BoundedTopic, Messages, not_joined

_Given = tuple[Reply | None, Messages]


class StoppedClock(Struct, frozen=True):
    """Of a topic that no actor runs: time stands still, and chance always says the same."""

    s: float = 0.0
    ms: int = 0
    chance: float = 0.0

    def monotonic_s(self) -> float:
        return self.s

    def now_ms(self) -> int:
        return self.ms

    def random(self) -> float:
        return self.chance


class BehavedTopic(BoundedTopic, eq=False, gc=True):
    """As `TopicState`. The behaviour is made, and started, by the first thing that it handles."""

    make: Callable[[], Behaviour] = Behaviour
    clock: Clock = StoppedClock()
    restarted_by: str | None = None
    """What the incarnation before it died of; None: it is the first, or nothing was to be carried on."""
    kind: type[Behaviour] | None = None
    """The class of its behaviour; None: that is not made yet."""
    _behaviour: Behaviour | None = None
    _random: Random | None = None
    _timers: dict[str, object] = field(default_factory=dict)  # name -> the key of the timer that counts
    # name -> the delay of a timer to start; None: it is cancelled
    _timer_changes: dict[str, float | None] = field(default_factory=dict)

    def handle(self, event: TopicEvent) -> Messages:
        return finish(self.handling(event))

    def replay(self, rejoins: Iterable[Rejoin]) -> Messages:
        return finish(self.replaying(rejoins))

    def handling(self, event: TopicEvent) -> "Steps[Messages]":
        """As `handle`, in steps: after each that it gives, a hook is to be awaited."""
        begun = yield from self._begin()
        if type(event) is Relayed:
            given = super().handle(event)  # the behaviour of the node that it comes from has had its say
        elif isinstance(event, Publish):
            given = (yield from self._call(None, "on_publish", event.payload, event=event.event))[1] if self.users else ()
        elif isinstance(event, Send):
            given = super().handle(event)
        elif event.client_id in self.users:
            given = yield from self._ask_of_member(event)
        elif isinstance(event, (Join, Rejoin)):
            given = yield from self._admit(event)
        else:
            given = not_joined(event)
        return (*begun, *given)

    def replaying(self, rejoins: Iterable[Rejoin]) -> "Steps[Messages]":
        """As `replay`, in steps."""
        told: list[Outbound] = list((yield from self._begin()))
        try:
            for rejoin in rejoins:
                self._take(rejoin)
                answer, more = yield from self._call(rejoin.client_id, "on_rejoin", rejoin.client_id, rejoin.user_id)
                told += (message for message in more if not isinstance(message, PresenceDiff))
                if answer is not None and answer.status == "error":
                    self._take_out(rejoin.client_id)
                    told.append(notice(rejoin.client_id, self.topic, "removed", answer.payload))
        except BaseException:
            for client_id in tuple(self.users):  # it is the first thing that is handled: nobody else is in it
                self._take_out(client_id)
            raise
        return (*told, *self._all_joined())

    def ringing(self, name: str, key: object) -> "Steps[Messages]":
        """A timer is due; one that was cancelled or started anew meanwhile counts no more."""
        if self._timers.get(name) is not key:
            return ()
        del self._timers[name]
        return (yield from self._call(None, "on_timer", name))[1]

    def ending(self) -> "Steps[Messages]":
        """The topic is stopped."""
        return () if self._behaviour is None else (yield from self._call(None, "on_stop"))[1]

    @property
    def ends_later(self) -> bool:
        """Whether its `on_stop` is an `async def`."""
        return self.kind is not None and iscoroutinefunction(self.kind.on_stop)

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

    def _begin(self) -> "Steps[Messages]":
        if self._behaviour is not None:
            return ()
        behaviour = _failing("its making", self.make)
        if not issubclass(type(behaviour), Behaviour):
            raise RoomMisused(f"a behaviour must be a Behaviour, got {shown(behaviour)}")
        self._behaviour, self.kind = behaviour, type(behaviour)
        if self.restarted_by is None:
            return (yield from self._call(None, "on_start"))[1]
        return (yield from self._call(None, "on_restart", self.restarted_by))[1]

    def _admit(self, event: Join | Rejoin) -> "Steps[Messages]":
        reply, *diff = super().handle(event)
        if not diff:
            return (reply,)
        hook = "on_join" if isinstance(event, Join) else "on_rejoin"
        try:
            answer, more = yield from self._call(event.client_id, hook, event.client_id, event.user_id)
        except BaseException:
            self._take_out(event.client_id)
            raise
        if answer is None or answer.status == "ok":
            return (answer or reply, *diff, *more)
        self._take_out(event.client_id)
        return (answer, *more)

    def _take_out(self, client_id: str) -> Outbound:
        """The diff by which a member goes, whom nobody asks."""
        return super().handle(Leave(client_id, self.topic))[1]

    def _ask_of_member(self, event: TopicEvent) -> "Steps[Messages]":
        if isinstance(event, Rejoin):
            return (yield from self._renew(event))
        if isinstance(event, Leave):
            return (yield from self._let_leave(event))
        if isinstance(event, Broadcast):
            sender, payload = event.client_id, event.payload
            answer, more = yield from self._call(sender, "on_broadcast", sender, payload, event=event.event)
        elif isinstance(event, Push):
            answer, more = yield from self._call(event.client_id, "on_push", event.client_id, event.event, event.payload)
        else:
            return super().handle(event)
        return more if answer is None else (answer, *more)

    def _renew(self, event: Rejoin) -> "Steps[Messages]":
        """A member rejoins. Whether with news shows before its hook is asked, and the presence changes behind that."""
        user_id = self.users[event.client_id]
        if event.now_ms <= self.meta(event.client_id, user_id).online_at_ms:
            return super().handle(event)
        answer, more = yield from self._call(event.client_id, "on_rejoin", event.client_id, event.user_id)
        if event.client_id not in self.users:  # its own hook removed it
            return (answer or error(event.client_id, self.topic, "removed"), *more)
        if answer is not None and answer.status == "error":
            told = notice(event.client_id, self.topic, "removed", answer.payload)
            return (answer, *more, told, self._take_out(event.client_id))
        reply, diff = super().handle(event)
        return (reply if answer is None else answer, diff, *more)

    def _let_leave(self, event: Leave) -> "Steps[Messages]":
        if self.is_stale(event):
            return super().handle(event)
        answer, (reply, *more) = yield from self._call(event.client_id, "on_leave", event.client_id, leave=event)
        return (reply if answer is None else answer, *more)

    def _call(self, client_id: str | None, hook: str, *args: Any, event: str = "", leave: Leave | None = None) -> "Steps[_Given]":
        """What the hook said to its client, and what else it gave out, behind what a leave gives out that takes effect by it."""
        turn = Turn(self, client_id, None if leave is None else leave.client_id, event)
        turn.sender = client_id if hook == "on_broadcast" else None
        room = Room(turn)
        try:
            value = _failing(hook, getattr(self._behaviour, hook), room, *args)
            if type(value) is types.CoroutineType:
                turn.thread = None
                try:
                    value = yield Awaited(value, turn)
                except (Shutdown, TopicCrash) as error:
                    raise _not_ours(hook, error) from error
        finally:
            end_turn(room)
        if value is not None:
            raise RoomMisused(_wrong_value(hook, value))
        self._timer_changes |= turn.timers
        given = [] if leave is None else list(super().handle(leave))
        if not turn.removes:
            return turn.answer, (*given, *turn.messages)
        for message in turn.messages:
            given.append(message)
            if isinstance(message, PushMessage) and message.is_notice:
                given.append(self._take_out(message.client_id))
        return turn.answer, tuple(given)

    def snapshot(self) -> Any:
        self._recipients = self._everyone()
        return self._recipients

    def chance(self) -> Random:
        if self._random is None:
            self._random = Random(self.clock.random())
        return self._random

    def let_go(self) -> Behaviour | None:
        """The topic's actor has ended: the behaviour is whoever's who takes it here, and nobody's else."""
        behaviour, self._behaviour = self._behaviour, None
        return behaviour


class Awaited(NamedTuple):
    """A hook's coroutine, for whoever drives the steps: what it returns is sent in, what it raises thrown in. Or they are closed:
    then the event has had no effect."""

    coroutine: Any
    turn: Turn


Given = TypeVar("Given")
Steps = Generator[Awaited, Any, Given]


def finish(steps: Steps[Given], run: Callable[[Awaited], Any] | None = None) -> Given:
    """Go through the steps of an event in the calling thread.

    Args:
        run: runs a coroutine to its end. None, the default: there is no loop for it, and it fails.

    Raises:
        RoomMisused: a hook is an `async def`, and there is none.
    """
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            awaited = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as done:
            given: Given = done.value
            return given
        value = error = None
        try:
            value = _refuse(awaited) if run is None else run(awaited)
        except BaseException as raised:  # the hook's: it goes where the hook stands
            error = raised


def _refuse(awaited: Awaited) -> Any:
    awaited.coroutine.close()
    raise RoomMisused(f"{awaited.coroutine.__qualname__} is an async def, and there is no event loop here")


def _wrong_value(hook: str, value: object) -> str:
    """What is wrong with a hook that returned this."""
    if is_put_off(value):
        return f"{hook} must be a function or an async def, and yields"
    return f"{hook} must return None, got {shown(value)}"


def _failing(what: str, call: Callable[..., Any], *args: Any) -> Any:
    """The user's code. By what would end another actor in good order, a topic fails as by anything else."""
    try:
        return call(*args)
    except (Shutdown, TopicCrash) as error:
        raise _not_ours(what, error) from error


def _not_ours(what: str, error: BaseException) -> RoomMisused:
    return RoomMisused(f"{what} raised {class_name(type(error))}, by which no topic ends")
