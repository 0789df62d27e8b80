"""What a behaviour may do, and for how long: a room is good in its own hook's call, and nowhere else.

The state keeps a `Turn` for each call of a hook, in which it finds what the hook wanted. The hook gets a `Room` over it, which is
dead when the call is over. So whoever keeps one, or hands it to a thread, can't act in the name of whoever's hook runs next.

A `Behaviour` is what a kind of topic does: the user's own code in a topic.
"""

import threading
from collections.abc import Container, Coroutine
from random import Random
from typing import Any, Literal, Protocol

from lightspeed.actors.checks import are_seconds
from lightspeed.actors.errors import RoomMisused
from lightspeed.actors.text import shown
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, Outbound, PushMessage, Reply, notice, set_aside
from lightspeed.actors.topics.rules.presence import Entry

_LONGEST_NAME = 1_000  # of a timer, in characters: a name is kept as long as its timer runs


class Clock(Protocol):
    """What time it is, and what chance says, where the topic is: as of a `Runtime`."""

    def monotonic_s(self) -> float: ...

    def now_ms(self) -> int: ...

    def random(self) -> float: ...


class Host(Protocol):
    """The topic's state, as far as a hook's call needs it."""

    topic: str
    users: dict[str, str]
    clock: Clock

    def entries_without(self, gone: Container[str]) -> tuple[Entry, ...]: ...

    def snapshot(self) -> Any:
        """What stands for all members in a broadcast."""
        ...

    def chance(self) -> Random: ...


class Turn:
    """One call of a hook, as the topic's state sees it. For the thread that makes it."""

    __slots__ = (
        *("answer", "client_id", "event", "gone", "host", "messages", "removes", "sender"),
        *("thread", "timers", "topic", "users"),
    )

    def __init__(self, host: Host, client_id: str | None, gone: str | None, event: str) -> None:
        self.host, self.topic, self.users = host, host.topic, host.users
        self.client_id = client_id
        """Whose event it is; None: nobody's."""
        self.gone: tuple[str, ...] = () if gone is None else (gone,)
        """Who is leaving or was removed: present no more, though the state does not know yet."""
        self.removes = False
        """Whether it has removed anybody."""
        self.event = event
        """The name of the broadcast that is being handled."""
        self.sender: str | None = None
        """Whom its broadcasts are from; None: the program."""
        self.answer: Reply | None = None
        """What it said to that client, if anything."""
        self.messages: list[Outbound] = []
        """What else it gave out."""
        self.timers: dict[str, float | None] = {}
        """What is to become of timers: when each is due, in seconds; None: it is cancelled."""
        self.thread: int | None = threading.get_ident()
        """The thread that is in the hook; None: it is in none of its steps, since it is an `async def` that waits."""

    @property
    def members(self) -> tuple[str, ...]:
        if not self.gone:
            return tuple(self.users)
        return tuple(client_id for client_id in self.users if client_id not in self.gone)

    def member(self, client_id: object) -> str:
        """The client id, which must be a member's.

        Raises:
            RoomMisused: it is no member.
        """
        text = _text("a client_id", client_id)
        if text not in self.users or text in self.gone:
            raise RoomMisused(f"{shown(text)} is no member of {shown(self.topic)}")
        return text


class Room:
    """One topic, as its behaviour sees it while a hook runs, and not afterwards: each call of a hook has a room of its own.

    Raises:
        RoomMisused: every method and property, where it can't be done: the hook has returned, it is called on another thread than
            the hook's, or as the text says.
    """

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn | None) -> None:
        self._turn = turn

    def __reduce_ex__(self, _protocol: Any) -> tuple[type, tuple[None]]:
        """Copied, and pickled, as one that is of no use."""
        return Room, (None,)

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._in_turn("topic").topic

    @property
    def members(self) -> tuple[str, ...]:
        """The client ids of those who are in it, in subscription order: who is joining too, who is leaving not."""
        return self._in_turn("members").members

    @property
    def presences(self) -> tuple[Entry, ...]:
        """Who is present: the same clients as `members`, by their users."""
        turn = self._in_turn("presences")
        return turn.host.entries_without(turn.gone)

    @property
    def event(self) -> str:
        """The name of the broadcast or publish that is being handled; empty where it has none, and in other hooks."""
        return self._in_turn("event").event

    @property
    def now_s(self) -> float:
        """The channel's monotonic clock, in seconds: for measuring how long something takes. A simulation decides it."""
        return self._in_turn("now_s").host.clock.monotonic_s()

    @property
    def now_ms(self) -> int:
        """The channel's time, in milliseconds since the Unix epoch. A simulation decides it."""
        return self._in_turn("now_ms").host.clock.now_ms()

    @property
    def random(self) -> Random:
        """The topic's own source of chance. A simulation's seed decides it."""
        return self._in_turn("random").host.chance()

    def user_of(self, client_id: str) -> str:
        """The user of a member."""
        turn = self._in_turn("user_of")
        return turn.users[turn.member(client_id)]

    def reply(self, payload: str) -> None:
        """Answer the client whose event it is: the payload of a join's or a leave's reply, or a reply of its own. Once."""
        self._answer("reply", payload, "ok")

    def refuse(self, reason: str) -> None:
        """Answer the client whose event it is by an error. One who would join does not. Once, and in place of `reply`."""
        self._answer("refuse", reason, "error")

    def push(self, client_id: str, event: str, payload: str) -> None:
        """Send something to one member."""
        turn = self._in_turn("push")
        event, payload = _text("a push's event", event), _text("a push's payload", payload)
        turn.messages.append(PushMessage(turn.member(client_id), turn.topic, event, payload))

    def remove(self, client_id: str, reason: str) -> None:
        """Put a member out. It is told `removed` with the reason, and the others that it left; `on_leave` is not called."""
        turn = self._in_turn("remove")
        member, reason = turn.member(client_id), _text("a reason", reason)
        turn.messages.append(notice(member, turn.topic, "removed", reason))
        turn.gone, turn.removes = (*turn.gone, member), True

    def broadcast(self, payload: str, *, but: str | None = None, event: str = "") -> None:
        """Send something to all members, or to all but one, with a name if it has one."""
        turn = self._in_turn("broadcast")
        payload, event = _text("a broadcast's payload", payload), _text("a broadcast's event", event)
        recipients: Any
        if but is not None:
            but = _text("but", but)
            recipients = tuple(client_id for client_id in turn.members if client_id != but)
        else:
            recipients = turn.members if turn.gone else turn.host.snapshot()
        message = BroadcastMessage(turn.topic, payload, recipients, event)
        set_aside(message, turn.sender)
        turn.messages.append(message)

    def start_timer(self, name: str, delay_s: float) -> None:
        """Have `on_timer` called after so many seconds. A timer of the same name is started anew.

        Args:
            name: of at most 1,000 characters.
            delay_s: from 0 to a year.
        """
        turn = self._in_turn("start_timer")
        if not are_seconds(delay_s):
            raise RoomMisused(f"delay_s must be a number of seconds from 0 to a year, got {shown(delay_s)}")
        turn.timers[_timer_name(name)] = delay_s

    def cancel_timer(self, name: str) -> None:
        """Have it not called. Harmless where there is none."""
        self._in_turn("cancel_timer").timers[_timer_name(name)] = None

    def _answer(self, what: str, payload: str, status: Literal["ok", "error"]) -> None:
        turn = self._in_turn(what)
        if turn.client_id is None:
            raise RoomMisused("there is no client to reply to: no event of a client is being handled")
        if turn.answer is not None:
            raise RoomMisused(f"{shown(turn.client_id)} has its reply already: {shown(turn.answer.payload)}")
        turn.answer = Reply(turn.client_id, turn.topic, status, _text("a reply's payload", payload))

    def _in_turn(self, what: str) -> Turn:
        turn = self._turn
        if turn is None:
            raise RoomMisused(f"{what} was called outside of a hook: a room is of no use when its hook has returned")
        if turn.thread != threading.get_ident():
            where = "on another thread than the one that runs the hook"
            raise RoomMisused(f"{what} was called {where if turn.thread else 'by a task that the hook has started'}")
        return turn


def end_turn(room: Room) -> None:
    """Make the room of a hook that has returned useless, on any thread."""
    room._turn = None


def _text(what: str, text: object) -> str:
    """Exactly a `str`: what else has a hash or an equality of its own could be one thing here and another later."""
    if type(text) is not str:
        raise RoomMisused(f"{what} must be a str, got {shown(text)}")
    return text


def _timer_name(name: object) -> str:
    text = _text("a timer's name", name)
    if len(text) > _LONGEST_NAME:
        raise RoomMisused(f"a timer's name must have at most {_LONGEST_NAME:,} characters, got {len(text):,}")
    return text


Hooked = Coroutine[Any, Any, None] | None
"""What a hook returns: None, or it is an `async def`."""


class Behaviour:
    """The hooks of a topic of one kind; as it stands it is the plain relay. Subclass it, and override what differs.

    Each topic has an instance of its own, and so has each incarnation: what it keeps in `self` is the actor's, and dies with it.
    One event at a time is handled. A hook is a function, or an `async def`: it says what is to happen through `room`, which is
    good in its own call only, and returns None. Whatever it raises, and anything else that it returns, fails the topic; then the
    event has had no effect, and its client is told `topic_crashed`.

    Hooks run on a worker that is replaced when one blocks: the next may run on another thread. What is tied to the thread that
    made it, such as a connection of `sqlite3`, needs a topic with a thread of its own: the channel's `own_thread`. A hook that
    takes longer than the channel's `event_timeout_s` is given up, and the topic comes up again without it.

    An `async def` runs on the loop of an `AsyncChannel` whose runtime is `Loop`, else on one that the channel owns; while it
    waits it keeps no worker. At `event_timeout_s` it is cancelled, once. A task that it starts is outside: it can't use the room.
    """

    def on_start(self, room: Room) -> Hooked:
        """Before the first event of the first incarnation."""

    def on_restart(self, room: Room, reason: str) -> Hooked:
        """Before the first event of an incarnation after one that failed or was crashed, in place of `on_start`.

        Not after one that ended since nobody was in it, or nobody rejoined in time.

        It is for loading what must survive. By default it calls `on_start`.

        Args:
            reason: what the incarnation before failed of, as `<class>: <text>`; or the reason of the `Crash` that was ordered.
        """
        return self.on_start(room)

    def on_join(self, room: Room, client_id: str, user_id: str) -> Hooked:
        """A client comes; it stands in `room.members`. `room.refuse` keeps it out."""

    def on_rejoin(self, room: Room, client_id: str, user_id: str) -> Hooked:
        """A client comes back, by a rejoin of its own or, under `rejoin="supervisor"`, by the supervisor's. By default it calls
        `on_join`.

        It stands in `room.members`. `room.refuse` keeps it out: a member, who rejoined with news, and one whom the supervisor
        brings back are told `removed`.
        """
        return self.on_join(room, client_id, user_id)

    def on_leave(self, room: Room, client_id: str) -> Hooked:
        """A client goes; it stands in `room.members` no more. It can't be kept."""

    def on_broadcast(self, room: Room, client_id: str, payload: str) -> Hooked:
        """A member sends something to all. By default they get it."""
        room.broadcast(payload, event=room.event)
        return None

    def on_publish(self, room: Room, payload: str) -> Hooked:
        """The program sends something to all, by `Publish`. By default they get it. Not called where nobody is in it."""
        room.broadcast(payload, event=room.event)
        return None

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> Hooked:
        """A member sends something to the topic. By default it gets it back, as a `PushMessage`."""
        room.push(client_id, event, payload)
        return None

    def on_timer(self, room: Room, name: str) -> Hooked:
        """A timer that was started with `room.start_timer` is due."""

    def on_stop(self, room: Room) -> Hooked:
        """The topic is stopped, since nobody is in it or the channel is closed. Not called where it fails or is crashed.

        What is given out here reaches nobody, and is a dead letter.
        """
