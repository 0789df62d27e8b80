"""A channel as it is seen from beside: what was accepted, who handled it, what came of it; and what must never be otherwise.

It stands between the actors and their outlet, and is told of their beginnings and ends. The rules that it holds them to:

    accounted_for     every event that was accepted is answered, once
    dead_incarnation  what a dead incarnation does has no effect
    life              what is accepted while the channel or the topic is down is refused, and nothing else is refused so
    model             a relay gives out what the rules of a channel say, and its state is what they say
    one_incarnation   a topic has one living incarnation at a time
    order             the events of one client to one topic are accepted as they were sent, and handled as they were accepted
    orders            a crash or a restart gives out what the rules say, and to whom they say
    outbox            what is flushed is all that was given out, in the order of acceptance, once
    presence          who is present is the fold of what was given out of joins, rejoins and leaves
    rejoin            with a ledger, whoever was in a topic when it ended is in it again, and nobody else
    restarts          who was in a topic that failed is told; it comes up, or is given up, as its options say, in time
    stops             an actor whose topic nobody is in stops
    waiting           what waits behind a failure is handled or answered as the options say, and no more of it waits
"""

from collections import defaultdict, deque
from collections.abc import Callable, Set
from typing import Any

from lightspeed.actors.errors import InvariantBroken, TopicCrash
from lightspeed.actors.events import Crash, Event, Leave, Restart
from lightspeed.actors.exits import text_of
from lightspeed.actors.outbound import BroadcastMessage, PushMessage, Reply, System
from lightspeed.actors.post import Delivery, Order, Post
from lightspeed.actors.topic import Messages
from lightspeed.supervision import (
    Delay,
    DelayReply,
    Drop,
    Duplicate,
    FailSupervisor,
    Fault,
    Full,
    LoseReply,
    Reorder,
)
from lightspeed.testing.books import Books
from lightspeed.testing.client import Client
from lightspeed.testing.downs import Downs
from lightspeed.testing.healing import ReferenceWindow
from lightspeed.testing.pool import SimulatedPool
from lightspeed.testing.topic_life import Rules, TopicLife

_ON_WAY = frozenset((Delay, Drop, Duplicate, Reorder))
_ANSWER_TWICE = frozenset((DelayReply, Full))  # the reply comes by itself
_NO_FAULTS: Set[type[Fault]] = frozenset()
_OF_A_SUPERVISOR = frozenset(("life", "orders", "restarts", "stops", "waiting"))  # that lives
SPOIL_REPLIES: Set[type[Fault]] = frozenset((DelayReply, LoseReply))


class Witness:
    """Of one channel. For the simulation's thread only."""

    def __init__(self, pool: SimulatedPool, rules: Rules, kinds: list[type[Fault]], *, has_outbox: bool) -> None:
        self._pool, self._rules, self._kinds, self._has_outbox = pool, rules, kinds, has_outbox
        self._faulted: dict[int, set[type[Fault]]] = {}  # events that faults have got at, by number
        self._has_failed = False  # the supervisor, by plan
        self.handled = 0
        """How many messages topics handled."""
        self.failures = 0
        """How many topics' actors ended otherwise than by a stop or a crash that was ordered, or were given up."""
        self.on_accept: Callable[[Event], object] | None = None
        """Called with each event when the supervisor has given it its number."""
        self.clients: dict[str, Client] = {}
        self.books, self.downs = Books(), Downs()
        self.open: dict[int, Delivery] = {}
        """Accepted, and not answered yet."""
        self.lives: dict[str, TopicLife] = {}
        self._sent: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._coming: Delivery | Order | None = None
        self._ordered: dict[int, Crash | Restart] = {}
        self._answered: set[int] = set()
        self._changed: dict[str, TopicLife] = {}  # topics that have done something since all was at rest
        intensity = rules.restarts.channel_intensity
        self._all_restarts = None if intensity is None else ReferenceWindow(intensity, rules.restarts.channel_period_s)
        self._must_crash = ""  # the topic by whose failure the channel has had too many

    # What it is told

    def sent(self, event: Any) -> None:
        """A client hands this over."""
        kind = type(event)
        if kind is not Crash and kind is not Restart:
            self._sent[event.client_id].append(event)

    def accepting(self, mail: Delivery | Order) -> None:
        """The supervisor is about to handle it, and to give it its number."""
        self._coming = mail

    def accepted(self) -> None:
        """It has."""
        mail, self._coming = self._coming, None
        if mail is not None and mail.seq and self.on_accept is not None:
            self.on_accept(mail.request)
        if type(mail) is Order:
            self._ordered[mail.seq] = mail.request
        elif type(mail) is Delivery and mail.seq:
            if mail.seq not in self._answered:
                self.open[mail.seq] = mail
            self._check_sent(mail.request)

    def started(self, post: Post) -> None:
        """A topic actor."""
        life = self.lives.get(post.topic)
        if life is None:
            life = self.lives[post.topic] = TopicLife(post.topic, self._rules, self.downs, self._break)
        life.begin(post, self._pool.clock.now_s)
        self._changed[post.topic] = life

    def told_to_end(self, post: Post) -> None:
        """A topic actor was sent an order to crash, or to stop."""
        self.lives[post.topic].leave(post)

    def ended(self, post: Post, error: BaseException | None, waiting: Set[int]) -> None:
        """A topic actor, of this; None: it was stopped. `waiting`: the numbers of what it has not handled."""
        life = self.lives[post.topic]
        if life.post is not post:
            return  # it had been given up
        in_hand = post.in_hand.get(post)
        failed = None
        if error is None or isinstance(error, TopicCrash):
            life.check_state(post)
        else:
            self.failures += 1
            failed = text_of(error)
        life.end(failed, None if in_hand is None else in_hand.seq, waiting)
        self._changed[post.topic] = life

    def abandoned(self, topic: str) -> None:
        """The supervisor goes on without the topic's actor."""
        life = self.lives.get(topic)
        if life is not None and life.post is not None:
            self.failures += 1
            in_hand = life.post.in_hand.get(life.post)
            life.be_abandoned(None if in_hand is None else in_hand.seq)

    def put(self, post: Post | None, seq: int, topic: str | None, messages: Messages) -> None:
        """These were given out, by the incarnation of this post or by the supervisor itself."""
        faults = self._faulted.get(seq, _NO_FAULTS)
        coming = self._coming
        is_coming = coming is not None and coming.seq == seq
        if seq in self._answered:
            if faults & _ANSWER_TWICE:
                return
            self._break("accounted_for", f"number {seq} was answered twice, now with {messages}")
        self._answered.add(seq)
        self.books.give(seq, messages)
        delivery = self.open.pop(seq, None)
        if delivery is None and is_coming and type(coming) is Delivery:
            delivery = coming
        if post is None:
            order = coming.request if is_coming and type(coming) is Order else self._ordered.get(seq)
            self._put_by_supervisor(topic, seq, delivery, order, messages)
        else:
            life = self._changed[post.topic] = self.lives[post.topic]
            if delivery is None:
                life.gave(post, messages, lambda: self._leaving(post.topic))
            else:
                self.handled += 1
                life.handled(post, delivery, messages, faults, lambda: self._leaving(post.topic))
        if self.clients:
            for message in messages:
                self._hand_out(message)

    def fired(self, index: int, topic: str) -> None:
        """A fault of the plan acts now: what follows of it is no breach."""
        kind = self._kinds[index]
        self._has_failed = self._has_failed or kind is FailSupervisor
        life = self.lives.get(topic)
        mail = None if life is None or life.post is None else life.post.in_hand.get(life.post)
        if mail is not None:
            self._faulted.setdefault(mail.seq, set()).add(kind)

    # What it holds them to

    def check(self, *, at_end: bool = False) -> None:
        """Everything has come to rest: hold what is there against what was seen.

        Raises:
            InvariantBroken: it is not so.
        """
        now_s = self._pool.clock.now_s
        if self.open and not self._has_failed and (at_end or not any(life.is_held for life in self.lives.values())):
            self._break("accounted_for", f"no answer was given to {[mail.request for mail in self.open.values()]}")
        for life in (self.lives if at_end else self._changed).values():
            life.check(now_s, len(self._open_of(life.topic)) if self.open else 0)
        self._changed = {topic: life for topic, life in self._changed.items() if life.is_awaited}
        if self._must_crash and not self._has_failed:
            self._break("restarts", f"topics failed too often, {self._must_crash} last, and the channel did not crash")
        lost = self.books.lost() if at_end and self._has_outbox and DelayReply not in self._kinds else None
        if lost is not None:
            self._break("outbox", lost)
        if self._pool.broken is not None:
            broken, self._pool.broken = self._pool.broken, None
            raise broken

    def close(self) -> None:
        """The channel is about to be closed: what was put off does not come any more."""
        for life in self.lives.values():
            life.healing.call_off()

    def _put_by_supervisor(
        self, topic: str | None, seq: int, delivery: Delivery | None, order: Crash | Restart | None, messages: Messages
    ) -> None:
        if topic is None:
            self._put_about_all(seq, order, messages)
            return
        life = self.lives.get(topic)
        if life is None:
            life = TopicLife(topic, self._rules, self.downs, self._break)  # nobody has ever been in it: it need not be kept
        if delivery is not None:
            life.refused(delivery, messages, waiting=len(self._open_of(topic)), has_failures=self.failures > 0)
        elif order is not None:
            life.ordered(seq, order, messages)
        else:
            life.arose(seq, messages, self._pool.clock.now_s, self._open_of(topic))
            self._count_restart(life)
        self.downs.enter(seq, messages, by_order=order is not None)
        if topic in self.lives:
            self._changed[topic] = life

    def _put_about_all(self, seq: int, order: Crash | Restart | None, messages: Messages) -> None:
        is_down, by_order = self.downs.channel(seq), order is not None
        if order is None:
            order = Crash(f"topics failed too often, {self._must_crash} last")
            self._must_crash = ""
        if isinstance(order, Restart):
            due = "restarted" if is_down else "already_running"
        else:
            due = "already_crashed" if is_down else f"crashed:{order.reason}"
        if is_down is not None and messages != (System(due),):
            self._break("orders", f"{order} gave {messages}, where {due} was due")
        self.downs.enter(seq, messages, by_order=by_order)
        if messages[0] == System(f"crashed:{getattr(order, 'reason', '')}"):
            for life in self.lives.values():
                life.healing.call_off()
            self._changed.update(self.lives)

    def _count_restart(self, life: TopicLife) -> None:
        """Of all topics together."""
        if self._all_restarts is None or not life.healing.was_counted:
            return
        now_s = self._pool.clock.now_s
        if self._all_restarts.has_room(now_s):
            self._all_restarts.count(now_s)
        elif self._rules.trusts_clock:
            self._must_crash = life.topic

    def _leaving(self, topic: str) -> set[str]:
        """Who has asked to leave, and has no answer yet."""
        events = [mail.request for mail in self.open.values()]
        return {event.client_id for event in events if isinstance(event, Leave) and event.topic == topic}

    def _open_of(self, topic: str) -> list[int]:
        return [seq for seq, mail in self.open.items() if mail.request.topic == topic]

    def _check_sent(self, event: Any) -> None:
        sent = self._sent.get(event.client_id)
        if sent and sent[0] is event:
            sent.popleft()
            return
        if not sent or all(event is not other for other in sent):
            return  # it came by another way than a client
        if sent.popleft() is not event and not _ON_WAY.intersection(self._kinds):
            self._break("order", f"{event} was accepted before an earlier one of the same client")

    def _hand_out(self, message: Any) -> None:
        kind = type(message)
        if kind is BroadcastMessage:
            for client_id in message.recipients:
                if client_id in self.clients:
                    self.clients[client_id].received.append(message)
        elif (kind is Reply or kind is PushMessage) and message.client_id in self.clients:
            self.clients[message.client_id].received.append(message)

    def _break(self, invariant: str, text: str) -> None:
        if self._pool.broken is None and not (self._has_failed and invariant in _OF_A_SUPERVISOR):
            self._pool.broken = InvariantBroken(invariant, text)
