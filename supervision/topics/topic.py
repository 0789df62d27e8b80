"""What a supervisor knows of one topic: its record. Who takes its events, who is on its way down, and who will come back.

A topic has at most one actor at a time. `live` takes what it is sent. An incarnation that was told to stop or to crash goes to
the end of the line of those who leave; its successor is started when the last before it is down, and until then what the
successor is sent waits with it. All but `live` stands in one slot, which a quiet topic has not. Everything here belongs to the
supervisor's thread, and decides nothing: `router.py` and `transitions.py` do.
"""

from enum import Enum
from math import inf
from typing import Any

from msgspec import Struct

from lightspeed.actors.runtime import ReplyTo, SupervisedRef
from lightspeed.actors.topics.mail import Mail, RestoreMembers, TopicCell
from lightspeed.actors.topics.rules.events import Leave, Rejoin, TopicEvent
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.supervision.deadlines import Due

NONE: Any = ()  # stands for an empty list: most incarnations never need theirs


class Phase(Enum):
    """Where an incarnation stands, as its supervisor sees it; drawn in docs/design.md."""

    BACKOFF = "backoff"
    """It comes up after its backoff. Until then it has no actor, and what it is sent waits."""
    AWAITS_REJOIN = "awaits rejoin"
    """It stands for one that ended, and nobody has come back yet: it is stopped when its rejoin window closes."""
    RUNNING = "running"
    """It takes events; it has an actor, unless one of the topic is still on its way down."""
    STOPPING = "stopping"
    CRASHING = "crashing"


class Watch(Struct, eq=False):
    """Those who were told to end at one time, and are not down. A slow one has its time as long as others of them get there."""

    left: "dict[Incarnation, None]"
    last_end_s: float
    deadline: Due | None = None


class Restore(Struct, gc=False):
    """What an incarnation that stands for one that ended takes back."""

    is_ours: bool
    """Whether the supervisor brings the members back; else they come by themselves."""
    to_come: int = 0
    """So many members it takes back first of all."""
    seq: int = 0
    """The number under which it does, where that was given before it could be started; 0: it was not."""


class Leaving(Struct, gc=False):
    """What an incarnation that is on its way down has besides."""

    held: list[tuple[int, Messages, ReplyTo | None]] = NONE
    """Answers about the topic that must come after its own."""
    latches: tuple[ReplyTo, ...] = ()
    """Told when it is down."""
    behind: "Incarnation | None" = None
    """The next in its topic's line."""
    watch: Watch | None = None
    reason: str = ""
    """Of the crash that ends it."""

    def hold(self, seq: int, messages: Messages, reply: ReplyTo | None) -> None:
        """Keep an answer until it is down."""
        if self.held is NONE:
            self.held = []
        self.held.append((seq, messages, reply))


class Incarnation(Struct, eq=False, gc=False):
    """One actor's life in a topic, from before its start to its end. As a `TopicCell`, out of the collector's sight."""

    cell: TopicCell
    phase: Phase
    runs_inline: bool
    """It runs no code of the user's, and so may be run by whoever tells it something."""
    ref: SupervisedRef | None = None
    """None: not started yet."""
    sent: int = 0
    sent_bytes: int = 0
    """What of it could have been shed, counted as in a mailbox."""
    waiting: list[Mail] = NONE
    """Sent to no actor: it is not started yet, or was found dead."""
    restore: Restore | None = None
    leaving: Leaving | None = None
    """None: it is not on its way down by order."""

    @property
    def is_busy(self) -> bool:
        return self.sent != self.cell.settled

    @property
    def awaits_members(self) -> bool:
        """Whether it can't be started yet, since one that may leave it members has not ended."""
        return self.ref is None and self.restore is not None and self.restore.is_ours and self.phase is not Phase.BACKOFF

    @property
    def is_settled(self) -> bool:
        """Whether it is known who is in it: it has handled all that it was sent, and waits for nobody to come back first."""
        return not (self.is_busy or self.awaits_members)

    @property
    def size(self) -> int:
        """The number of members, as of the last message that was handled; before the first, of those that it takes back."""
        cell, restore = self.cell, self.restore
        return cell.members if restore is None or cell.settled or cell.members else restore.to_come

    @property
    def progress(self) -> int:
        """The progress grows with each message that was handled; it is less before the start."""
        return -1 if self.ref is None else self.cell.settled

    @property
    def behind(self) -> "Incarnation | None":
        return None if self.leaving is None else self.leaving.behind

    @property
    def last(self) -> "Incarnation":
        """The end of the line that it stands in."""
        one = self
        while one.behind is not None:
            one = one.behind
        return one

    def keep(self, mail: Mail) -> None:
        """Keep what can be sent to no actor now."""
        if self.waiting is NONE:
            self.waiting = []
        self.waiting.append(mail)


class Trouble(Struct, gc=False):
    """What is known of a topic that has not only been quiet."""

    leaving: Incarnation | None = None
    """The one on its way down; those behind it are not started yet."""
    died_of: str | None = None
    """For the behaviour of its next incarnation: what the last failed of, or crashed of by order."""
    lost: int = 0
    """The incarnation in which the topic had members when the channel crashed: a restart starts it again. 0: it had none."""
    rejoins: tuple[Rejoin, ...] = ()
    """How to take its members back, in subscription order. Without `rejoin="supervisor"` nobody is noted here."""
    noted: int = 0
    """It grows from topic to topic in the order in which these were noted."""
    struck: set[tuple[str, int, float]] | None = None
    """Who wanted to leave while it was down, at which incarnation, and when (`inf`: no time was given): who joined at that time
    or before comes back to no later one."""
    clients: frozenset[str] | None = None
    """Who is in `rejoins`; None: nobody has asked yet."""

    def put_back(self, rejoins: tuple[Rejoin, ...], noted: int) -> None:
        """The topic's actor has ended, and had these members or was to take them back; it had handled nothing else."""
        self.rejoins, self.clients, self.noted = rejoins, None, noted

    def strike(self, event: TopicEvent, incarnation: int) -> None:
        """Whoever asks to leave a topic that is down is refused, and comes back to no incarnation later than this.

        While an actor of the topic is on its way down, it is not known yet whom it leaves. Of others than those who may come back
        nothing is kept: anybody may name anything.
        """
        if isinstance(event, Leave) and (self.leaving is not None or self.has(event.client_id)):
            self.struck = self.struck or set()
            self.struck.add((event.client_id, incarnation, inf if event.now_ms is None else event.now_ms))

    def forget_strangers(self) -> None:
        """No actor of the topic is on its way down any more: of all who were struck off only those count who may come back."""
        self.struck = {one for one in self.struck or () if self.has(one[0])}

    def due(self, incarnation: int) -> tuple[Rejoin, ...]:
        """Whom this incarnation of the topic will have to take back, as far as it is known."""
        gone: dict[str, float] = {}
        for client_id, since, now_ms in self.struck or ():
            if since < incarnation:
                gone[client_id] = max(now_ms, gone.get(client_id, -1))
        return tuple(rejoin for rejoin in self.rejoins if rejoin.now_ms > gone.get(rejoin.client_id, -1))

    def take(self, incarnation: int) -> tuple[Rejoin, ...]:
        """Whom this incarnation of the topic, which is about to start, is to take back; what it needs no more is forgotten."""
        due = self.due(incarnation)
        self.struck = {one for one in self.struck or () if one[1] >= incarnation}
        self.rejoins, self.clients = (), None
        return due

    def has(self, client_id: str) -> bool:
        """Whether the client is one of those to be taken back."""
        if self.clients is None:
            self.clients = frozenset(rejoin.client_id for rejoin in self.rejoins)
        return client_id in self.clients


class Topic(Struct, eq=False, gc=False):
    """One topic's record. A topic that is being restarted has the members that it will have."""

    name: str
    live: Incarnation | None = None
    """The one that takes what it is sent."""
    trouble: Trouble | None = None

    @property
    def leaving(self) -> Incarnation | None:
        return None if self.trouble is None else self.trouble.leaving

    @property
    def rejoins(self) -> tuple[Rejoin, ...]:
        return () if self.trouble is None else self.trouble.rejoins

    @property
    def is_missed(self) -> bool:
        """Whether a restart of the channel starts it again, as far as it is known."""
        return self.trouble is not None and bool(self.trouble.lost or self.trouble.rejoins)

    @property
    def takes_back(self) -> bool:
        """Whether members whom nobody keeps any more are on their way to an actor that has yet to take them back."""
        one = self.leaving or self.live
        return one is not None and one.restore is not None and one.restore.to_come > 0 and not one.cell.settled

    def have_trouble(self) -> Trouble:
        """The slot for it, made where there is none."""
        if self.trouble is None:
            self.trouble = Trouble()
        return self.trouble

    def tidy(self) -> bool:
        """Forget a trouble that is over; True where nothing is left to be known of the topic."""
        trouble = self.trouble
        if trouble is not None and not (
            trouble.leaving or trouble.died_of is not None or trouble.lost or trouble.rejoins or trouble.struck
        ):
            self.trouble = None
        return self.trouble is None and self.live is None

    def count(self) -> int:
        """How many are in it, as of the last that it is done with; where it has yet to come up, how many will be."""
        live = self.live
        assert live is not None
        if live.ref is not None or live.restore is None or live.cell.settled or live.cell.members:
            return live.size
        before = self.leaving if live.restore.is_ours else None
        if before is not None:
            return before.size
        return 0 if self.trouble is None else len(self.trouble.due(live.cell.incarnation))

    def members(self) -> tuple[str, ...]:
        """Those whom `count` counts."""
        assert self.live is not None
        return self._members_of(self.live)

    def _members_of(self, one: Incarnation) -> tuple[str, ...]:
        cell = one.cell
        work = None if cell.settled else cell.in_flight.get(cell)
        if type(work) is RestoreMembers:
            return tuple(rejoin.client_id for rejoin in work.rejoins)
        if one.ref is not None or one.restore is None:
            return () if cell.state is None else cell.state.subscribers
        before = self.leaving if one.restore.is_ours else None
        if before is None or before is one:
            due = () if self.trouble is None else self.trouble.due(cell.incarnation)
            return tuple(rejoin.client_id for rejoin in due)
        return self._members_of(before)
