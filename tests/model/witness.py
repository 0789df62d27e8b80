"""A channel as it is seen from beside: what was accepted, who handled it, what came of it; and what must never be otherwise.

It stands between the actors and their outlet, and is told of their beginnings and ends. The rules that it holds them to:

    accounted_for     every event and order that was accepted is answered, once
    clients           a client is given all that is for it, once, in order; it is where the channel says, and sees who is present
    close             when a channel is closed, none of its actors lives
    dead_incarnation  what a dead incarnation does has no effect
    handle            what returns has taken effect
    inbox             what is put into an inbox comes out in order, but what it says is missing
    life              what is accepted while the channel or the topic is down is refused, and nothing else is refused so
    model             a relay gives out what the rules of a channel say, and its state is what they say
    one_incarnation   a topic has one living incarnation at a time
    order             the events of one client to one topic are accepted as they were sent, and handled as they were accepted
    orders            a crash or a restart gives out what the rules say, to whom they say, and in time
    overload          what a mailbox has no room for is answered `overloaded` or a dead letter, and no more waits than may;
                      that it begins and ends is said in turns
    outbox            what is flushed is all that was given out, in the order of acceptance, once
    presence          who is present is the fold of what was given out of joins, rejoins and leaves
    reads             what is read is what was, with every event that was accepted before
    rejoin            with a ledger, whoever was in a topic when it ended is in it again, and nobody else
    restarts          who was in a topic that failed is told; it comes up, or is given up, as its options say, in time
    sink              a sink is given all that was given out, once, and of each topic in order
    stops             an actor whose topic nobody is in stops, and no other event than a join or a rejoin starts one
    stuck             who does not come back is given up in time, and nobody else is
    supervisor        the supervisor fails of nothing, and a relay neither, but by plan
    waiting           what waits behind a failure is handled or answered as the options say, and no more of it waits
"""

from collections import defaultdict, deque
from collections.abc import Callable, Set
from typing import Any

from model.books import Books, SinkBooks
from model.downs import Downs
from model.healing import ReferenceWindow
from model.held_clients import HeldClients
from model.held_mailboxes import HeldMailboxes
from model.incarnation import Rules
from model.orders import Orders
from model.reads import Census
from model.topic_life import TopicLife

from lightspeed.actors.errors import InvariantBroken, TopicCrash
from lightspeed.actors.failures import text_of
from lightspeed.actors.topics.mail import Delivery, Disconnection, Order, Taken, TopicCell
from lightspeed.actors.topics.rules.events import Crash, Disconnect, Event, Leave, Restart, Send
from lightspeed.actors.topics.rules.outbound import Outbound, System
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.faults import Delay, DelayReply, Drop, Duplicate, FailSupervisor, Fault, Full, Hang, LoseReply, Reorder, Slow
from lightspeed.testing.pool import SimulatedPool

_ON_WAY = frozenset((Delay, Drop, Duplicate, Reorder))
_KEEP_WAITING = frozenset((Delay, DelayReply, Drop, Hang, LoseReply, Reorder, Slow))
_ANSWER_TWICE = frozenset((DelayReply, Full))  # the reply comes by itself
_MANY = 100  # events, of which nobody waits for more at once
_NO_FAULTS: Set[type[Fault]] = frozenset()
# What only a supervisor that lives can be held to.
_OF_A_SUPERVISOR = frozenset(
    ("clients", "handle", "life", "orders", "overload", "reads", "rejoin", "restarts", "stops", "stuck", "waiting")
)
SPOIL_REPLIES: Set[type[Fault]] = frozenset((DelayReply, LoseReply))


class Witness:
    """Of one channel. For the simulation's thread only."""

    def __init__(
        self, pool: SimulatedPool, rules: Rules, kinds: list[type[Fault]], *, has_outbox: bool, has_crowds: bool
    ) -> None:
        self.has_crowds = has_crowds
        """Whether topics are to take few for many."""
        self._pool, self._rules, self.kinds, self.sink_books = pool, rules, kinds, None if has_outbox else SinkBooks()
        self._faulted: dict[int, set[type[Fault]]] = {}  # events that faults have got at, by number
        self.has_failed = False
        """The supervisor, by plan."""
        self.last_seq = 0
        """The number of the event that was accepted last."""
        self.given_up = 0
        self.is_cancelled = False
        """Whether who is abandoned now is a hook that is cancelled."""
        """How many topics' actors were."""
        self.census: Census | None = None
        """Told how many are in each topic, while somebody reads that."""
        self.undelivered = 0
        """How many messages the sink failed on."""
        self.orders = Orders(rules.crash_timeout_s)
        self.handled = 0
        """How many messages topics handled."""
        self.failures = 0
        """How many topics' actors ended otherwise than by a stop or a crash that was ordered, or were given up."""
        self.on_accept: Callable[[Event], object] | None = None
        """Called with each event when the supervisor has given it its number."""
        self.books, self.downs = Books(), Downs()
        self.clients = HeldClients(self.break_rule)
        self.mailboxes = HeldMailboxes(rules.mailboxes, self.break_rule)
        self.open: dict[int, Delivery] = {}
        """Accepted, and not answered yet."""
        self.lives: dict[str, TopicLife] = {}
        self._sent: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._coming: Delivery | Disconnection | Order | None = None
        self._recent: deque[tuple[Event, range]] = deque(maxlen=_MANY)
        self._answered: set[int] = set()
        self._strays: list[int | None] = []  # dead letters about topics that nobody was ever in
        self._changed: dict[str, TopicLife] = {}  # topics that have done something since all was at rest
        intensity = rules.restarts.channel_intensity
        self._all_restarts = None if intensity is None else ReferenceWindow(intensity, rules.restarts.channel_period_s)
        self._must_crash: deque[str] = deque()  # topics by whose failures the channel has had too many

    # What it is told

    def sent(self, event: Any) -> None:
        """A client hands this over."""
        kind = type(event)
        if kind is not Crash and kind is not Restart:
            self._sent[_sender(event)].append(event)

    def accepting(self, mail: Delivery | Disconnection | Order) -> None:
        """The supervisor is about to handle it, and to give it its number."""
        self._coming = mail

    def accepted(self) -> None:
        """It has."""
        mail, self._coming = self._coming, None
        if mail is None or not mail.seq:
            return
        numbers = range(mail.seq, mail.seq + (len(mail.topics) if type(mail) is Disconnection else 1))
        self.last_seq = max(self.last_seq, numbers.stop - 1)
        self._recent.append((mail.request, numbers))
        if self.on_accept is not None:
            self.on_accept(mail.request)
        if type(mail) is Disconnection:
            self._check_sent(mail.request)
        elif type(mail) is Order:
            self.orders.accept(mail.seq, mail.request, self._now_s, is_done=mail.seq in self._answered)
        elif type(mail) is Delivery:
            if mail.seq not in self._answered:
                self.open[mail.seq] = mail
            self._check_sent(mail.request)

    def derived(self, delivery: Delivery) -> None:
        """The supervisor has made this one of a `Disconnect`, and is about to send it on."""
        self.last_seq = delivery.seq
        self.open[delivery.seq] = delivery

    def started(self, cell: TopicCell, actor: Any) -> None:
        """A topic actor."""
        life = self.lives.get(cell.topic)
        if life is None:
            life = self.lives[cell.topic] = TopicLife(cell.topic, self._rules, self.downs, self.break_rule)
        routed = self._coming.request if type(self._coming) is Delivery else None
        life.begin(cell, actor, self._now_s, routed)
        self._changed[cell.topic] = life

    def works(self, cell: TopicCell) -> None:
        """A topic actor has been given something."""
        now = self.lives[cell.topic].now
        if now is not None and now.cell is cell:
            now.at_work_since_s = self._now_s

    def told_to_end(self, cell: TopicCell) -> None:
        """A topic actor was sent an order to crash, or to stop."""
        self.lives[cell.topic].leave(cell, self._now_s)
        if self.census is not None:
            self.census.see_end(cell.topic)

    def ended(self, cell: TopicCell, error: BaseException | None, waiting: Set[int]) -> None:
        """A topic actor, of this; None: it was stopped. `waiting`: the numbers of what it has not handled."""
        life = self.lives[cell.topic]
        if life.now is None or life.now.cell is not cell:
            return  # it had been given up
        if error is not None and not isinstance(error, TopicCrash):
            self.failures += 1
        quiet = {seq for seq, mail in self.open.items() if mail.is_quiet}  # these are never answered, and go on
        life.end(error, cell.in_flight.get(cell), waiting - quiet, self._now_s, self.open_of(cell.topic))
        self.clients.ended(cell.topic, is_told=error is not None and not self.downs.is_closed)
        self._change(life)

    def abandoned(self, topic: str) -> None:
        """The supervisor goes on without the topic's actor."""
        life = self.lives.get(topic)
        self.given_up += not self.is_cancelled
        if life is not None and life.now is not None:  # else it has ended, which the supervisor has yet to hear
            self.failures += 1
            cell = life.now.cell
            life.be_abandoned(cell.in_flight.get(cell), self._now_s, self.open_of(topic))
            self.clients.ended(topic, is_told=not self.downs.is_closed)
            self._change(life)

    def put(self, cell: TopicCell | None, seq: int, topic: str | None, messages: Messages) -> None:
        """These were given out, by the incarnation of this cell or by the supervisor itself."""
        faults = self._faulted.get(seq, _NO_FAULTS)
        coming = self._coming
        is_coming = coming is not None and coming.seq == seq
        if seq in self._answered:
            if faults & _ANSWER_TWICE:
                return
            self.break_rule("accounted_for", f"number {seq} was answered twice, now with {messages}")
        self._answered.add(seq)
        if self.sink_books is None:
            self.books.give(seq, messages)
        else:
            self.sink_books.give(seq, topic, messages)
        delivery = self.open.pop(seq, None)
        if delivery is None and is_coming and type(coming) is Delivery:
            delivery = coming
        if cell is None:
            order = self.orders.carry_out(seq, self._now_s)
            if is_coming and type(coming) is Order:
                order = coming.request
            self._put_by_supervisor(topic, seq, delivery, order, messages)
        else:
            life = self.lives[cell.topic]
            if delivery is None:
                life.gave(cell, messages, lambda: self._leaving(cell.topic), self._now_s)
            else:
                self.handled += 1
                self.orders.move(self._now_s)
                life.handled(cell, delivery, messages, faults, lambda: self._leaving(cell.topic), self._now_s)
            self._change(life)

    def fired(self, index: int, topic: str) -> None:
        """A fault of the plan acts now: what follows of it is no breach."""
        kind = self.kinds[index]
        self.has_failed = self.has_failed or kind is FailSupervisor
        life = self.lives.get(topic)
        mail = None if life is None or life.now is None else life.now.cell.in_flight.get(life.now.cell)
        if mail is not None:
            self._faulted.setdefault(mail.seq, set()).add(kind)

    def delivered(self, message: Outbound) -> None:
        """The sink is about to be given this."""
        wrong = None if self.sink_books is None or self.lost_is_excused else self.sink_books.deliver(message)
        if wrong is not None:
            self.break_rule("sink", wrong)

    def supervisor_failed(self, error: BaseException | None) -> None:
        """The supervisor has raised this, and the channel ends."""
        if not (self.has_failed or isinstance(error, KeyboardInterrupt)):
            self.break_rule("supervisor", f"the supervisor failed of {None if error is None else text_of(error)}")

    # What it holds them to

    @property
    def letters(self) -> int | None:
        """How many dead letters there must be; None: that can't be told."""
        letters = [*(life.letters for life in self.lives.values()), *self._strays]
        known = [count for count in letters if count is not None]
        return None if self.failures or self.has_failed or len(known) < len(letters) else sum(known) + self.undelivered

    @property
    def is_held(self) -> bool:
        """Whether any topic may keep others waiting, though nobody is ready."""
        return any(life.is_held for life in self.lives.values())

    def check(self, *, at_end: bool = False) -> None:
        """Everything has come to rest: hold what is there against what was seen.

        Raises:
            InvariantBroken: it is not so.
        """
        if (self.open or self.orders.open) and not self.has_failed and (at_end or not self.is_held):
            unanswered = [*(mail.request for mail in self.open.values()), *self.orders.open.values()]
            self.break_rule("accounted_for", f"no answer was given to {unanswered}")
        overdue = self.orders.overdue(self._now_s) if self._rules.trusts_clock else None
        if overdue is not None:
            self.break_rule("orders", overdue)
        for life in (self.lives if at_end else self._changed).values():
            life.check(self._now_s, len(self._waiting_of(life.topic)))
            is_leaving = life.now is not None and life.now.is_leaving
            # Behind an order some wait for its count, and who is refused behind what is on its way down waits for its end.
            if not (at_end or self.downs.is_closed or self.orders.open or is_leaving):
                waiting = [mail for mail in self.open.values() if mail.request.topic == life.topic]
                self.mailboxes.check(life.topic, waiting, is_held=life.is_held)
        self._changed = {topic: life for topic, life in self._changed.items() if life.is_awaited}
        if not self.has_failed:
            self.clients.check(self.lives, is_closed=self.downs.is_closed)
        if self._must_crash and not self.is_held:
            self.break_rule("restarts", f"topics failed too often, {self._must_crash[0]} last, and the channel did not crash")
        alive = [life.now.name for life in self.lives.values() if life.now is not None] if at_end else []
        if alive:
            self.break_rule("close", f"{alive} live, and the channel is closed")
        lost = self.lost() if at_end else None
        if lost is not None:
            self.break_rule("outbox" if self.sink_books is None else "sink", lost)
        self._pool.raise_broken()

    @property
    def lost_is_excused(self) -> bool:
        """Whether what was given out may come out of order, or not at all."""
        return DelayReply in self.kinds or self.has_failed

    @property
    def may_keep_waiting(self) -> bool:
        """Whether a call may end at its timeout."""
        return bool(_KEEP_WAITING.intersection(self.kinds)) or self.is_held

    def sink_waits_for(self, event: Event) -> bool:
        """Whether something that the event gave out has not come to the sink."""
        numbers = self.numbers_of(event)
        if (
            isinstance(event, Disconnect)
            or not numbers
            or self.sink_books is None
            or self.lost_is_excused
            or Duplicate in self.kinds
        ):
            return False
        return self.sink_books.has_yet_to_give(numbers.start, event.topic)

    def numbers_of(self, event: Event) -> range:
        """Those under which it was accepted; a `Disconnect` has one for each topic."""
        return next((numbers for recent, numbers in reversed(self._recent) if recent is event), range(0))

    def lost(self) -> str | None:
        """What was given out, and reached nobody."""
        if self.lost_is_excused:
            return None
        return self.books.lost() if self.sink_books is None else self.sink_books.lost()

    def close(self) -> None:
        """The channel is about to be closed."""
        self.downs.is_closed = True
        for life in self.lives.values():
            life.healing.call_off()  # what was put off does not come any more, and nobody comes back

    @property
    def _now_s(self) -> float:
        return self._pool.clock.now_s

    def _change(self, life: TopicLife) -> None:
        self._changed[life.topic] = life
        if self.census is not None:
            self.census.see(life)

    def _put_by_supervisor(
        self, topic: str | None, seq: int, delivery: Delivery | None, order: Crash | Restart | None, messages: Messages
    ) -> None:
        if topic is None:
            self._put_about_all(seq, order, messages)
            return
        life = self.lives.get(topic)
        if life is None:
            life = TopicLife(topic, self._rules, self.downs, self.break_rule)  # nobody has ever been in it: it need not be kept
        open_seqs = self.open_of(topic)
        if delivery is None and order is None and self.mailboxes.take(topic, messages):
            return
        if delivery is not None and self.mailboxes.is_letter(delivery):
            life.shed(delivery, messages)
        elif delivery is not None:
            if [getattr(message, "payload", None) for message in messages] == ["overloaded"]:
                self.mailboxes.refused(delivery)
            life.refused(delivery, messages, waiting=len(self._waiting_of(topic)))
        elif order is not None:
            life.ordered(seq, order, messages, open_seqs)
        else:
            life.arose(seq, messages, self._now_s, open_seqs)
            self._count_restart(life)
        self.downs.enter(seq, messages, by_order=order is not None)
        if isinstance(order, Crash) and life.now is not None and messages[0] == System(f"topic_crashed:{topic}"):
            self.orders.take(order, [life.now])
        if topic in self.lives:
            self._change(life)
        else:
            self._strays.append(life.letters)

    def _put_about_all(self, seq: int, order: Crash | Restart | None, messages: Messages) -> None:
        is_down, by_order = self.downs.channel(seq), order is not None
        if order is None:
            last = self._must_crash.popleft() if self._must_crash else "none"
            order = Crash(f"topics failed too often, {last} last")
        if isinstance(order, Restart):
            due = "restarted" if is_down else "already_running"
        else:
            due = "already_crashed" if is_down else f"crashed:{order.reason}"
        is_known = is_down is not None and (by_order or self._rules.trusts_clock)
        if is_known and messages != (System(due),):
            self.break_rule("orders", f"{order} gave {messages}, where {due} was due")
        self.downs.enter(seq, messages, by_order=by_order)
        if self.downs.is_down and not is_down:
            self.orders.take(order, [life.now for life in self.lives.values() if life.now is not None])  # type: ignore[arg-type]
            for life in self.lives.values():
                life.be_taken_down(self.open_of(life.topic))
        for life in self.lives.values():
            self._change(life)

    def _count_restart(self, life: TopicLife) -> None:
        """Of all topics together."""
        if self._all_restarts is None or not life.healing.was_counted:
            return
        if self._all_restarts.has_room(self._now_s):
            self._all_restarts.count(self._now_s)
        elif self._rules.trusts_clock:
            self._must_crash.append(life.topic)

    def _leaving(self, topic: str) -> set[str]:
        """Who has asked to leave, and has no answer yet."""
        events = [mail.request for mail in self.open.values()]
        return {event.client_id for event in events if isinstance(event, Leave) and event.topic == topic}

    def open_of(self, topic: str) -> list[int]:
        """The numbers of the topic's events that have no answer yet."""
        return [seq for seq, mail in self.open.items() if mail.request.topic == topic]

    def waiting_for(self, one: Any) -> list[Any] | None:
        """What this incarnation was sent, and has not handled; None: it has ended, and nobody can tell."""
        life = self.lives.get(one.cell.topic)
        actor: Any = None if life is None or life.now is None or life.now.cell is not one.cell else life.now._actor
        if actor is None and one.ref is not None:
            return None
        box = () if one.cell.box is None else tuple(one.cell.box._deliveries)
        inbox = () if actor is None else (*actor._pooled_taken, *actor._pooled_inbox)
        hand = one.cell.in_flight.get(one.cell)
        left = [mail for mail in (*one.waiting, *inbox) if type(mail) is not Taken and mail is not hand]
        return [*left, *box, *(() if hand is None else (hand,))]

    def _waiting_of(self, topic: str) -> list[int]:
        """Those of them that count where only so many may wait."""
        return [seq for seq in self.open_of(topic) if not self.open[seq].is_quiet]

    def _check_sent(self, event: Any) -> None:
        sent = self._sent.get(_sender(event))
        if sent and sent[0] is event:
            sent.popleft()
            return
        if not sent or all(event is not other for other in sent):
            return  # it came by another way than a client
        if sent.popleft() is not event and not _ON_WAY.intersection(self.kinds):
            self.break_rule("order", f"{event} was accepted before an earlier one of the same client")

    def break_rule(self, invariant: str, text: str) -> None:
        """Unless it is one that only a supervisor that lives can be held to."""
        if not (self.has_failed and invariant in _OF_A_SUPERVISOR):
            self._pool.break_by(InvariantBroken(invariant, text))


def _sender(event: Any) -> str:
    """Whose event it is: those of one are kept in order."""
    return event.client_id if hasattr(event, "client_id") and not isinstance(event, Send) else ""
