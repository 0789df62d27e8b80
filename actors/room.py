"""What a behaviour may do."""

from collections.abc import Callable

from lightspeed.actors.errors import RoomMisused
from lightspeed.actors.outbound import BroadcastMessage, Outbound, PushMessage, Reply
from lightspeed.actors.presence import Entry


class Room:
    """One topic, as its behaviour sees it while a hook runs, and not afterwards.

    Raises:
        RoomMisused: every method, where it can't be done: the text says why.
    """

    def __init__(self, topic: str, users: dict[str, str], presences: Callable[[], tuple[Entry, ...]]) -> None:
        self.topic = topic
        self._users, self._presences = users, presences
        self._is_open = False
        self._client_id: str | None = None  # whose event it is
        self._gone: str | None = None  # who is leaving: no member any more, though the state does not know yet
        self._answer: Reply | None = None
        self._messages: list[Outbound] = []
        self._timers: dict[str, float | None] = {}  # what is to be started, or with None cancelled

    @property
    def members(self) -> tuple[str, ...]:
        """The client ids of those who are in it, in subscription order."""
        return tuple(client_id for client_id in self._users if client_id != self._gone)

    @property
    def presences(self) -> tuple[Entry, ...]:
        """Who is present, as of the last event that took effect."""
        return self._presences()

    def user_of(self, client_id: str) -> str:
        """The user of a member."""
        return self._users[self._member(client_id)]

    def reply(self, payload: str) -> None:
        """Answer the client whose event it is: the payload of a join's or a leave's reply, or a reply of its own. Once."""
        self._reply(payload, "ok")

    def refuse(self, reason: str) -> None:
        """Answer the client whose event it is by an error. One who would join does not. Once, and in place of `reply`."""
        self._reply(reason, "error")

    def push(self, client_id: str, event: str, payload: str) -> None:
        """Send something to one member."""
        self._check_open("push")
        _check_text("a push's event", event)
        _check_text("a push's payload", payload)
        self._messages.append(PushMessage(self._member(client_id), self.topic, event, payload))

    def broadcast(self, payload: str, *, but: str | None = None) -> None:
        """Send something to all members, or to all but one."""
        self._check_open("broadcast")
        _check_text("a broadcast's payload", payload)
        recipients = tuple(client_id for client_id in self.members if client_id != but)
        self._messages.append(BroadcastMessage(self.topic, payload, recipients))

    def start_timer(self, name: str, delay_s: float) -> None:
        """Have `on_timer` called after so many seconds. A timer of the same name is started anew."""
        self._check_open("start_timer")
        if isinstance(delay_s, bool) or not isinstance(delay_s, (int, float)) or not 0 <= delay_s <= 31_536_000:
            raise RoomMisused(f"delay_s must be a number of seconds from 0 to a year, got {delay_s!r}")
        self._timers[name] = delay_s

    def cancel_timer(self, name: str) -> None:
        """Have it not called. Harmless where there is none."""
        self._check_open("cancel_timer")
        self._timers[name] = None

    def _reply(self, payload: str, status: str) -> None:
        self._check_open("reply")
        if self._client_id is None:
            raise RoomMisused("there is no client to reply to: no event of a client is being handled")
        if self._answer is not None:
            raise RoomMisused(f"{self._client_id} has its reply already: {self._answer.payload!r}")
        _check_text("a reply's payload", payload)
        self._answer = Reply(self._client_id, self.topic, status, payload)

    def _member(self, client_id: str) -> str:
        if client_id not in self._users or client_id == self._gone:
            raise RoomMisused(f"{client_id!r} is no member of {self.topic}")
        return client_id

    def _check_open(self, what: str) -> None:
        if not self._is_open:
            raise RoomMisused(f"{what} was called outside of a hook")

    # For the topic's state

    def open_for(self, client_id: str | None, *, gone: str | None = None) -> None:
        """A hook is about to run."""
        self._is_open, self._client_id, self._gone, self._answer, self._messages = True, client_id, gone, None, []

    def close(self) -> tuple[Reply | None, tuple[Outbound, ...]]:
        """It has returned: the answer that it gave, if any, and what else it gave out."""
        self._is_open, self._gone = False, None
        return self._answer, tuple(self._messages)

    def take_timers(self) -> dict[str, float | None]:
        """What is to become of timers: when each is due, in seconds; None: it is cancelled."""
        timers, self._timers = self._timers, {}
        return timers


def _check_text(what: str, text: object) -> None:
    if type(text) is not str:
        raise RoomMisused(f"{what} must be a str, got {text!r}")
