"""What a topic actor is given at its birth, and what it is told.

A `TopicCell` is shared by two threads. The actor enters what it is at work on into `in_flight`, and takes it out again before
what it did counts; when the actor is dead or abandoned, the supervisor takes what is there. One `pop` gives it to one of them
only, so each delivery is handled or answered exactly once. `members` and `settled` are written by the actor alone, and read by
the supervisor when the actor has settled all that it was sent, or is dead.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol

from msgspec import Struct

from lightspeed.actors.coroutines import Task, places_of
from lightspeed.actors.failures import text_of, traceback_of
from lightspeed.actors.logs import is_on
from lightspeed.actors.runtime import Nobody, ReplyTo, Runtime
from lightspeed.actors.topics.rules.events import (
    Broadcast,
    Crash,
    Disconnect,
    Publish,
    Push,
    Rejoin,
    Relayed,
    Restart,
    Send,
    TopicEvent,
)
from lightspeed.actors.topics.rules.presence import Diff
from lightspeed.actors.topics.rules.topic import Messages, TopicState
from lightspeed.actors.topics.rules.union import Union


class Collected:
    """Who waits for an event, and wants what was numbered with it: `messages`, there when the future is set."""

    __slots__ = ("future", "is_clients", "is_shed", "messages", "parts")

    def __init__(self, future: ReplyTo, *, is_clients: bool = False) -> None:
        self.future = future
        self.is_clients = is_clients
        """Whether a client waits, who finds its reply here and not in its inbox."""
        self.is_shed = False
        """Whether the event found no room in its topic's mailbox, and was not answered."""
        self.messages: Messages = ()
        self.parts: list[Collected] = []
        """Of a `Disconnect`: one for each topic, in the order of their numbers."""

    def set(self, value: Any = None) -> None:
        self.future.set(value)


def collect(reply: ReplyTo | None, messages: Messages) -> None:
    """Note what was given out under an event's number for who waits for it, if he wants it."""
    if reply is not None and isinstance(reply, Collected):
        reply.messages += messages


_of_a_client = Collected(Nobody(), is_clients=True)


def told_later(reply: ReplyTo | None) -> ReplyTo | None:
    """What stands for a reply that is told later, where an event's messages go: whether a client waits is known there."""
    return _of_a_client if isinstance(reply, Collected) and reply.is_clients else None


class Delivery(Struct, gc=False):
    """A topic's event, for a supervisor to route and a topic to handle."""

    request: TopicEvent
    reply: ReplyTo | None = None
    """Told when it has taken full effect; None where nobody waits."""
    seq: int = 0
    """The number under which the supervisor has accepted it; 0 until then."""
    size: int = 0
    """What it counts in a mailbox, in bytes, as of `size_of`; 0 where it is never shed."""
    is_quiet: bool = False
    """It is one of a `Disconnect`: where its client is no member, it gives nothing out."""


class Order(Struct, gc=False):
    """A crash or a restart, for a supervisor to carry out; a crash for a topic to die of."""

    request: Crash | Restart
    reply: ReplyTo | None = None
    """As of a `Delivery`."""
    seq: int = 0
    """As of a `Delivery`."""


class Disconnection(Struct, gc=False):
    """A `Disconnect`, for a supervisor to make a `Delivery` for each topic of."""

    request: Disconnect
    reply: ReplyTo | None = None
    """As of a `Delivery`."""
    seq: int = 0
    """As of a `Delivery`: that of the first topic; each has one of its own."""
    topics: tuple[str, ...] = ()
    """Those that it may be in, in the order of their numbers; known when it is accepted."""


class Question(Struct, gc=False):
    """What somebody wants to know of a topic's state. It is answered in its turn."""

    request: Callable[[TopicState], Any]
    reply: ReplyTo
    """Told the answer."""
    seq: int = 0
    """A question gives nothing out: it needs no number."""
    topic: str = ""
    """Of which it is asked, where nobody is in it, who is in it elsewhere; else empty."""


class RestoreMembers(Struct, gc=False):
    """The members of the topic's last incarnation, for the next to take back before all else."""

    rejoins: tuple[Rejoin, ...]
    """If the actor ends before it has taken them back, they are not forgotten."""
    seq: int
    """As of a `Delivery`."""
    reply: None = None


class TimerDue(Struct, gc=False):
    """A timer of the topic's behaviour that rings."""

    name: str
    key: object
    """Which start of the timer it was: one that was started anew meanwhile does not ring."""
    seq: int
    """As of a `Delivery`."""
    reply: None = None


class Afar(Struct, gc=False):
    """What other nodes of a cluster show anew in the topic, or no more."""

    diff: Diff
    seq: int
    """As of a `Delivery`."""
    reply: None = None


class Ending(Struct, gc=False):
    """A behaviour's `on_stop`: nobody sends it, but its actor is at work on it."""

    seq: int = 0


class Taken(Struct, gc=False):
    """The next delivery of the topic's `DroppingBox`, which may drop some: this stands in the inbox for whichever it will be."""

    seq: int = 0
    reply: None = None


Mail = Delivery | Order | Question | RestoreMembers | TimerDue | Afar | Ending | Taken
"""What a topic's actor is sent."""

_DROPPABLE = frozenset((Broadcast, Push, Publish, Relayed, Send))


class DroppingBox:
    """What waits for a topic whose mailbox drops the oldest. The supervisor puts, the actor takes, under one lock.

    In the actor's inbox stands a `Taken` for each delivery: of those that were dropped it is left, for one that comes later.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deliveries: deque[Delivery] = deque()
        self._takens = 0

    def __len__(self) -> int:
        return len(self._deliveries)

    def waiting(self) -> tuple[Delivery, ...]:
        """All that is in it now, in order."""
        with self._lock:
            return tuple(self._deliveries)

    def put(self, delivery: Delivery) -> bool:
        """Whether one more `Taken` is needed for it in the inbox."""
        with self._lock:
            self._deliveries.append(delivery)
            needs = len(self._deliveries) > self._takens
            self._takens += needs
            return needs

    def take(self) -> Delivery | None:
        """What a `Taken` stands for; None: it was dropped, and nothing came later."""
        with self._lock:
            self._takens -= 1
            return self._deliveries.popleft() if self._deliveries else None

    def drop_oldest(self) -> Delivery | None:
        """Take out the oldest that may be dropped; None: there is none."""
        with self._lock:
            for place, delivery in enumerate(self._deliveries):
                if type(delivery.request) in _DROPPABLE and not delivery.is_quiet:
                    del self._deliveries[place]
                    return delivery
        return None


class Outlet(Protocol):
    """Where a topic's messages go."""

    @property
    def is_awaited(self) -> bool:
        """Whether `deliver` runs code that is awaited."""
        ...

    def put(
        self,
        seq: int,
        topic: str | None,
        messages: Messages,
        reply: ReplyTo | None,
        value: Any = None,
        state: TopicState | None = None,
    ) -> bool:
        """Take the messages of one event, then give `value` to the reply. Never blocks. Whether `deliver` has to be called.

        `state` is that of the topic whose actor puts it; None: the supervisor does.
        """
        ...

    def deliver(self, topic: str | None, then: Callable[[], None] | None = None) -> None:
        """Run user code on what waits for the topic. May block as long as that code does; or, where it is awaited, calls `then`,
        once, when it is done."""


class Relay(Protocol):
    """The way to the other nodes of a cluster. Any thread may call it; it never blocks and never raises."""

    def said(self, topic: str, payload: str, event: str, sender: str | None) -> None:
        """All members are given this broadcast, here."""
        ...

    def changed(self, diff: Diff) -> None:
        """This node shows these anew, or no more."""
        ...

    def cleared(self, topic: str) -> None:
        """This node shows nobody in the topic any more."""
        ...

    def close(self) -> None:
        """Nothing more is handed over: this node leaves the cluster."""
        ...


class TopicFailure(Struct, frozen=True, gc=False):
    """What a topic failed of, as text: an exception leads to the program's objects, which are no supervisor's business."""

    text: str
    trace: str
    """Where it was raised; empty while nobody would log it."""


def failure_of(error: BaseException) -> TopicFailure:
    """For the thread in which it was raised: the text may take code of the program's."""
    return TopicFailure(text_of(error), traceback_of(error) if is_on() else "")


class TopicEmpty(Struct, frozen=True, gc=False):
    """A topic actor has no members after what it handled last. `reply` has yet to be told."""

    cell: "TopicCell"
    reply: ReplyTo | None


class TopicDown(Struct, frozen=True, gc=False):
    """A topic actor is dead."""

    cell: "TopicCell"
    failure: "TopicFailure | None"
    """What it died of; None where it was stopped or crashed by order."""


class TopicLate(Struct, frozen=True, gc=False):
    """What a topic actor gave out that reaches nobody: a dead letter."""

    cell: "TopicCell"
    messages: Messages
    why: Literal["late", "stopped"]
    """As of a `DeadLetter`."""


class TopicVain(Struct, frozen=True, gc=False):
    """An event of the program's that a topic could not carry out: a dead letter."""

    cell: "TopicCell"
    event: TopicEvent


class TimerFired(Struct, frozen=True):
    """A timer of a behaviour is due."""

    cell: "TopicCell"
    name: str
    key: object


class AwaitedHook:
    """A hook that is awaited. Whoever claims it has the right to go on with its event: the actor, when the hook is back, or the
    supervisor, to give it up. Any thread may."""

    def __init__(self, mail: Mail, steps: Any, coroutine: Any) -> None:
        self.mail, self._coroutine = mail, coroutine
        self.places: list[tuple[str, int, str]] = []
        """Where it waited when it was given up, as of `places_of`."""
        self._steps = [steps]
        self.task: Task | None = None

    def claim(self) -> Any:
        """The steps of its event; None: another has them."""
        try:
            return self._steps.pop()
        except IndexError:
            return None

    def give_up(self) -> bool:
        """Have its event not have happened, and cancel it; False: it has come back meanwhile."""
        steps = self.claim()
        if steps is None:
            return False
        steps.close()
        self.places = places_of(self._coroutine)
        if self.task is not None:
            self.task.cancel()
        return True

    @property
    def is_back(self) -> bool:
        return self.task is None or self.task.is_done


class HookOverdue(Struct, frozen=True):
    """The time of an event has passed, and its hook is still awaited."""

    cell: "TopicCell"
    hook: AwaitedHook


class Behaved(Struct):
    """What the actor of a topic with a behaviour needs besides."""

    make: Callable[[], Any]
    """Makes the behaviour."""
    restarted_by: str | None
    """What the incarnation before it died of."""
    runtime: Runtime
    timeout_s: float
    """How long it may take over one event."""
    hook: AwaitedHook | None = None
    """The one that is awaited."""
    is_given_up: bool = False
    """Another one has its place: when it comes back it must not end as if it still were the topic."""


class TopicCell(Struct, eq=False, gc=False):
    """One incarnation of one topic.

    Out of the collector's sight, as there is one for every topic. It leads back to its supervisor, which lets go of it when the
    actor is down.
    """

    topic: str
    incarnation: int
    outlet: Outlet
    report: Callable[[Any], None]
    """Tells the supervisor that the topic is empty or down. Never raises."""
    in_flight: "dict[TopicCell, Mail]"
    """What each of the supervisor's topic actors is at work on; those that are idle don't stand in it."""
    state: TopicState | None = None
    """The actor's own; None before its start. The supervisor reads it when the actor has settled all it was sent, or is dead."""
    behaved: Behaved | None = None
    """None: it is the plain relay."""
    members: int = 0
    settled: int = 0
    """How many deliveries the actor has handled and handed to the outlet."""
    settled_bytes: int = 0
    """What they counted in the mailbox."""
    max_members: ClassVar[int | None] = None
    """As of a `BoundedCell`, as `box` is."""
    box: ClassVar[DroppingBox | None] = None
    relay: "ClassVar[Relay | None]" = None


class BoundedCell(TopicCell, eq=False, gc=False):
    """As `TopicCell`, with slots for what most topics have not."""

    max_members: int | None = None  # type: ignore[misc]
    """So many members the topic takes; None: any number."""
    box: DroppingBox | None = None  # type: ignore[misc]
    """None: what waits stands in the actor's inbox itself."""
    relay: "Relay | None" = None  # type: ignore[misc]
    """None: there are no other nodes."""
    union: Union | None = None
    """As of a `BoundedTopic`; there where there is a relay."""
