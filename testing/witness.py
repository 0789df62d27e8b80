"""A channel as it is seen from beside: what was accepted, who handled it, what came of it; and what must never be otherwise.

It stands between the actors and their outlet, and is told of their beginnings and ends. The rules that it holds them to:

    accounted_for     every event that was accepted is answered, once
    dead_incarnation  what a dead incarnation does has no effect
    life              what is accepted while the channel or the topic is down is refused
    model             a relay gives out what the rules of a channel say, and its state is what they say
    one_incarnation   a topic has one living incarnation at a time
    order             the events of one client to one topic are accepted as they were sent, and handled as they were accepted
    outbox            what is flushed is all that was given out, in the order of acceptance, once
    presence          who is present is the fold of what was given out of joins, rejoins and leaves
    rejoin            with a ledger, whoever was in a topic when it ended is in it again, and nobody else
    restarts          a topic is not restarted more often than its options allow
"""

from collections import defaultdict, deque
from collections.abc import Callable, Set
from typing import Any

from msgspec import Struct, field

from lightspeed.actors.behaved_topic import BehavedTopic
from lightspeed.actors.errors import InvariantBroken, TopicCrash
from lightspeed.actors.events import Crash, Event, Leave, Restart
from lightspeed.actors.outbound import BroadcastMessage, PresenceDiff, PushMessage, Reply, System
from lightspeed.actors.post import Delivery, Order, Post
from lightspeed.actors.topic import Messages
from lightspeed.supervision import (
    Delay,
    DelayReply,
    Drop,
    Duplicate,
    FailSupervisor,
    Fault,
    FaultPlan,
    Full,
    Jump,
    LoseReply,
    Reorder,
)
from lightspeed.supervision.options import Restarts
from lightspeed.supervision.restart_window import RestartWindow
from lightspeed.testing.books import Books
from lightspeed.testing.client import Client
from lightspeed.testing.pool import SimulatedPool
from lightspeed.testing.reference import ReferenceTopic

_ON_WAY = frozenset((Delay, Drop, Duplicate, Reorder))
_SPOIL_REPLIES = frozenset((DelayReply, LoseReply))
_ANSWER_TWICE = frozenset((DelayReply, Full))  # the reply comes by itself

_NO_FAULTS: Set[type[Fault]] = frozenset()

_Members = dict[str, tuple[str, int]]


class _Seen(Struct, eq=False):
    """What is known of one topic."""

    reference: ReferenceTopic
    restarts: RestartWindow
    post: Post | None = None
    """Of the incarnation that lives, or has not been seen to end."""
    to_come_back: _Members = {}
    """With a ledger: who was in it when the last incarnation ended."""
    last_seq: dict[str, int] = field(default_factory=dict)
    """By client: the event of its that was handled last."""


class Witness:
    """Of one channel. For the simulation's thread only."""

    def __init__(
        self, pool: SimulatedPool, restarts: Restarts, plan: FaultPlan | None, *, has_ledger: bool, has_outbox: bool
    ) -> None:
        self._pool, self._restarts, self._has_ledger, self._has_outbox = pool, restarts, has_ledger, has_outbox
        self._kinds = [] if plan is None else [type(fault) for fault in plan.faults]
        self._faulted: dict[int, set[type[Fault]]] = {}  # events that faults have got at, by number
        self._has_failed = False  # the supervisor, by plan
        self.handled = 0
        """How many messages topics handled."""
        self.failures = 0
        """How many topics' actors ended otherwise than by a stop or a crash that was ordered, or were given up."""
        self.on_accept: Callable[[Event], object] | None = None
        """Called with each event when the supervisor has given it its number."""
        self.clients: dict[str, Client] = {}
        self.books = Books()
        self.open: dict[int, Delivery] = {}
        """Accepted, and not answered yet."""
        self._sent: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._coming: Delivery | Order | None = None
        self._ordered: set[int] = set()
        self._answered: set[int] = set()
        self._topics: dict[str, _Seen] = {}
        self._changed: dict[str, _Seen] = {}  # topics that have done something since all was at rest

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
            self._ordered.add(mail.seq)
        elif type(mail) is Delivery and mail.seq:
            if mail.seq not in self._answered:
                self.open[mail.seq] = mail
            self._check_sent(mail.request)

    def started(self, post: Post) -> None:
        """A topic actor."""
        seen = self._topics.get(post.topic)
        if seen is None:
            window = RestartWindow(self._restarts.intensity, self._restarts.period_s)
            seen = self._topics[post.topic] = _Seen(ReferenceTopic(post.topic), window)
        if seen.post is not None:
            self._break(
                "one_incarnation",
                f"{post.topic}#{post.incarnation} was started while #{seen.post.incarnation} lived",
            )
        seen.post, seen.reference = post, ReferenceTopic(post.topic)

    def ended(self, post: Post, error: BaseException | None) -> None:
        """A topic actor, of this; None: it was stopped."""
        seen = self._topics[post.topic]
        if seen.post is not post:
            return  # it had been given up
        if error is None or isinstance(error, TopicCrash):
            self._check_state(seen, post)
        else:
            self.failures += 1
        self._end(seen)

    def abandoned(self, topic: str) -> None:
        """The supervisor goes on without the topic's actor."""
        seen = self._topics.get(topic)
        if seen is not None and seen.post is not None:
            self.failures += 1
            self._end(seen)

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
        by_order = seq in self._ordered or (is_coming and type(coming) is Order)
        self.books.give(seq, messages, by_order=by_order)
        delivery = self.open.pop(seq, None)
        if delivery is None and is_coming and type(coming) is Delivery:
            delivery = coming
        if post is not None:
            self._put_by_topic(self._topics[post.topic], post, delivery, messages, faults)
        else:
            self._put_by_supervisor(topic, delivery, messages, by_order=by_order)
        if self.clients:
            for message in messages:
                self._hand_out(message)

    def fired(self, index: int, topic: str) -> None:
        """A fault of the plan acts now: what follows of it is no breach."""
        kind = self._kinds[index]
        self._has_failed = self._has_failed or kind is FailSupervisor
        seen = self._topics.get(topic)
        mail = None if seen is None or seen.post is None else seen.post.in_hand.get(seen.post)
        if mail is not None:
            self._faulted.setdefault(mail.seq, set()).add(kind)

    # What it holds them to

    def check(self, *, at_end: bool = False) -> None:
        """Everything has come to rest: hold what is there against what was seen.

        Raises:
            InvariantBroken: it is not so.
        """
        for seen in (self._topics if at_end else self._changed).values():
            if seen.post is not None and seen.post.settled:
                self._check_state(seen, seen.post)
        self._changed.clear()
        if at_end and self.open and not self._has_failed:
            self._break("accounted_for", f"no answer was given to {[mail.request for mail in self.open.values()]}")
        if at_end:
            self._check_books()
        if self._pool.broken is not None:
            broken, self._pool.broken = self._pool.broken, None
            raise broken

    def _check_books(self) -> None:
        wrong = self.books.handled_while_down()
        if wrong is not None:
            self._break("life", wrong)
        lost = self.books.lost() if DelayReply not in self._kinds else None
        if lost is not None and self._has_outbox:
            self._break("outbox", lost)

    def _put_by_topic(
        self, seen: _Seen, post: Post, delivery: Delivery | None, messages: Messages, faults: Set[type[Fault]]
    ) -> None:
        self._changed[post.topic] = seen
        if seen.post is not post:
            self._break("dead_incarnation", f"{post.topic}#{post.incarnation} gave out {messages} after its end")
            return
        if delivery is None:
            self._check_comeback(seen, messages)
            self._fold(seen, messages)
            return
        if seen.to_come_back:
            missing = seen.to_come_back.keys() - self._leaving(post.topic)
            if missing:
                self._break("rejoin", f"{sorted(missing)} did not come back to {post.topic}#{post.incarnation}")
            seen.to_come_back = {}
        event = delivery.request
        if delivery.seq < seen.last_seq.get(event.client_id, 0):
            self._break("order", f"{event} was handled after a later one of the same client")
        seen.last_seq[event.client_id] = delivery.seq
        self.books.handle(delivery.seq, event.topic)
        self.handled += 1
        if Full in faults:
            return
        if post.behaved is None:
            expected = seen.reference.handle(event)
            if faults & _SPOIL_REPLIES:
                expected = tuple(message for message in expected if not isinstance(message, Reply))
            if expected != messages:
                self._break("model", f"{event} gave {messages}, where {expected} was due")
        else:
            replies = [message for message in messages if isinstance(message, Reply)]
            if len(replies) > 1:
                self._break("accounted_for", f"{event} was answered twice: {replies}")
            self._fold(seen, messages)

    def _end(self, seen: _Seen) -> None:
        seen.post = None
        if self._has_ledger:
            seen.to_come_back = {**seen.to_come_back, **seen.reference.members}

    def _fold(self, seen: _Seen, messages: Messages) -> None:
        for message in messages:
            if isinstance(message, PresenceDiff):
                try:
                    seen.reference.fold(message.diff)
                except (KeyError, ValueError):
                    self._break("presence", f"{message} does not fit {seen.reference.presences}")

    def _check_comeback(self, seen: _Seen, messages: Messages) -> None:
        if not seen.to_come_back:
            return
        diffs = [message.diff for message in messages if isinstance(message, PresenceDiff)]
        comers = [meta.ref.rpartition(":")[0] for diff in diffs for entry in diff.joins for meta in entry.metas]
        unsure = self._leaving(seen.reference.topic)  # whether they were refused, and stay away, shows when they are answered
        sure = [client for client in seen.to_come_back if client not in unsure]
        if [client for client in comers if client not in unsure] != sure or not seen.to_come_back.keys() >= set(comers):
            self._break("rejoin", f"{comers} came back to {seen.reference.topic}, where {list(seen.to_come_back)} were due")
        seen.to_come_back = {}

    def _leaving(self, topic: str) -> set[str]:
        """Who has asked to leave, and has no answer yet."""
        events = [mail.request for mail in self.open.values()]
        return {event.client_id for event in events if isinstance(event, Leave) and event.topic == topic}

    def _put_by_supervisor(self, topic: str | None, delivery: Delivery | None, messages: Messages, *, by_order: bool) -> None:
        if delivery is not None:
            event = delivery.request
            if [type(message) for message in messages] != [Reply] or messages[0].status != "error":  # type: ignore[union-attr]
                self._break("accounted_for", f"the supervisor answered {event} by {messages}")
            elif isinstance(event, Leave) and event.topic in self._topics and messages[0].payload == "crashed":  # type: ignore[union-attr]
                self._topics[event.topic].to_come_back.pop(event.client_id, None)
        elif topic in self._topics:
            self._see_restarts(self._topics[topic], messages, by_order=by_order)

    def _see_restarts(self, seen: _Seen, messages: Messages, *, by_order: bool) -> None:
        topic = seen.reference.topic
        if System(f"topic_given_up:{topic}") in messages:  # its failures are forgotten with that
            seen.restarts = RestartWindow(self._restarts.intensity, self._restarts.period_s)
            return
        if System(f"topic_restarted:{topic}") not in messages or by_order:
            return
        if not seen.restarts.allow(self._pool.clock.now_s) and Jump not in self._kinds:
            self._break("restarts", f"{topic} was restarted more often than {self._restarts} allows")

    def _check_sent(self, event: Any) -> None:
        sent = self._sent.get(event.client_id)
        if sent and sent[0] is event:
            sent.popleft()
            return
        if not sent or all(event is not other for other in sent):
            return  # it came by another way than a client
        if sent.popleft() is not event and not _ON_WAY.intersection(self._kinds):
            self._break("order", f"{event} was accepted before an earlier one of the same client")

    def _check_state(self, seen: _Seen, post: Post) -> None:
        state = post.state
        if state is None or (isinstance(state, BehavedTopic) and not state.presences and not seen.reference.members):
            return
        if state.subscribers != tuple(seen.reference.members):
            self._break("model", f"{post.topic} has {state.subscribers}, where {tuple(seen.reference.members)} were due")
        if state.presences != seen.reference.presences:
            self._break("presence", f"{post.topic} has {state.presences}, where {seen.reference.presences} was due")

    def _hand_out(self, message: Any) -> None:
        kind = type(message)
        if kind is BroadcastMessage:
            for client_id in message.recipients:
                if client_id in self.clients:
                    self.clients[client_id].received.append(message)
        elif (kind is Reply or kind is PushMessage) and message.client_id in self.clients:
            self.clients[message.client_id].received.append(message)

    def _break(self, invariant: str, text: str) -> None:
        if self._pool.broken is None:
            self._pool.broken = InvariantBroken(invariant, text)
