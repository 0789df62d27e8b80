"""What is known of one topic of a channel, told in the order in which it gave things out; and what it is held to.

What its actor gives out and what the supervisor says about it come in one line, and that is how its life went: what it gives next
must follow from what it gave before.
"""

from collections.abc import Callable, Collection, Set
from typing import Any

from msgspec import Struct

from lightspeed.actors.behaved_topic import BehavedTopic
from lightspeed.actors.errors import TopicStuck
from lightspeed.actors.events import Crash, Leave, Restart
from lightspeed.actors.exits import text_of
from lightspeed.actors.outbound import Outbound, PresenceDiff, PushMessage, Reply, System
from lightspeed.actors.post import Delivery, Post
from lightspeed.supervision import Fault, Full
from lightspeed.supervision.options import Restarts
from lightspeed.testing.downs import Downs
from lightspeed.testing.healing import Healing
from lightspeed.testing.reference import ReferenceTopic

Messages = tuple[Outbound, ...]

_EPSILON_S = 1e-9
_NOW = 1 << 62  # a number above all that were given


class Rules(Struct, frozen=True):
    """What of its channel's options a topic is held to."""

    restarts: Restarts
    rejoin_window_s: float
    event_timeout_s: float
    has_ledger: bool
    trusts_clock: bool
    """Whether the channel's clock does not jump."""
    spoils_replies: Set[type[Fault]]
    """Faults that take replies away."""


class TopicLife:
    """For the witness. Each method says by `breach` what is wrong."""

    def __init__(self, topic: str, rules: Rules, downs: Downs, breach: Callable[[str, str], None]) -> None:
        self.topic, self._rules, self._downs, self._breach = topic, rules, downs, breach
        self.reference = ReferenceTopic(topic)
        self.healing = Healing(topic, rules.restarts, trusts_clock=rules.trusts_clock)
        self.post: Post | None = None
        """Of the incarnation that lives, or has not been seen to end."""
        self._is_leaving = False  # it was told to stop or to crash
        self._began_s = 0.0
        self._had_members = False  # this incarnation
        self._to_come_back: dict[str, tuple[str, int]] = {}
        self._last_seqs: dict[str, int] = {}
        self._failed_on: set[int] = set()  # what may be answered `topic_crashed`
        self._must_not_handle: set[int] = set()

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it now."""
        return tuple(self.reference.members) if self.post is not None else ()

    @property
    def is_awaited(self) -> bool:
        """Whether something must follow yet, so that it is to be looked at again though nothing happens to it."""
        return self.healing.is_awaited or (self.post is not None and not self.reference.members)

    @property
    def is_held(self) -> bool:
        """Whether what was accepted for it may have to wait, though nobody is ready."""
        return self.healing.is_put_off or (self.post is not None and self.post in self.post.in_hand)

    # Its actors

    def begin(self, post: Post, now_s: float) -> None:
        if self.post is not None:
            self._breach("one_incarnation", f"{self.topic}#{post.incarnation} was started while #{self.post.incarnation} lived")
        if post.members or post.settled:
            self._breach("one_incarnation", f"{self.topic}#{post.incarnation} was started twice")
        self.post = post
        self.reference, self._is_leaving, self._began_s = ReferenceTopic(self.topic), False, now_s
        self._had_members = False

    def leave(self, post: Post) -> None:
        """Its actor was told to stop or to crash."""
        if self.post is post:
            self._is_leaving = True

    def end(self, failed: str | None, in_hand: int | None, waiting: Set[int]) -> None:
        """The actor that lived has ended, or was given up.

        Args:
            failed: the reason that its members are to be told; None: it was told to end, or nobody is told.
            in_hand: the number of what it was at work on.
            waiting: the numbers of what it had yet to handle.
        """
        if in_hand is not None:
            self._failed_on.add(in_hand)
        if failed is not None and not self._is_leaving:
            self.healing.fail(tuple(self.reference.members), failed)
            if self._rules.restarts.waiting == "answer":
                self._must_not_handle |= waiting
        if self._rules.has_ledger:
            self._to_come_back = {**self._to_come_back, **self.reference.members}
        self.post = None

    def be_abandoned(self, in_hand: int | None) -> None:
        """The supervisor goes on without its actor, which is told to stop when it comes back."""
        self.end(text_of(TopicStuck(self.topic, self._rules.event_timeout_s)), in_hand, frozenset())

    # What was given out

    def handled(
        self, post: Post, delivery: Delivery, messages: Messages, faults: Set[type[Fault]], leaving: Callable[[], Set[str]]
    ) -> None:
        """By its actor, for an event. `leaving`: who has asked to leave, and has no answer yet."""
        if self._is_dead(post, messages):
            return
        event, seq = delivery.request, delivery.seq
        if self._to_come_back:
            missing = self._to_come_back.keys() - leaving()
            if missing:
                self._breach("rejoin", f"{sorted(missing)} did not come back to {self.topic}#{post.incarnation}")
            self._to_come_back = {}
        if seq < self._last_seqs.get(event.client_id, 0):
            self._breach("order", f"{event} was handled after a later one of the same client")
        self._last_seqs[event.client_id] = seq
        if self._downs.channel(seq) or self._downs.topic(self.topic, seq):
            self._breach("life", f"{event}, number {seq}, was accepted while {self.topic} was down, and handled by it")
        if seq in self._must_not_handle:
            self._breach("waiting", f"{event} stood behind the one that failed, and was not answered but handled")
        if Full in faults:
            return
        if post.behaved is None:
            due = self.reference.handle(event)
            if faults & self._rules.spoils_replies:
                due = tuple(message for message in due if not isinstance(message, Reply))
            self._had_members = self._had_members or bool(self.reference.members)
            if due != messages:
                self._breach("model", f"{event} gave {messages}, where {due} was due")
        else:
            replies = [message for message in messages if isinstance(message, Reply)]
            if len(replies) > 1:
                self._breach("accounted_for", f"{event} was answered twice: {replies}")
            self._fold(messages)

    def gave(self, post: Post, messages: Messages, leaving: Callable[[], Set[str]]) -> None:
        """By its actor, unasked: members who come back, or what a timer brought."""
        if not self._is_dead(post, messages):
            if self._to_come_back:
                self._check_comeback(messages, leaving())
            self._fold(messages)

    def refused(self, delivery: Delivery, messages: Messages, *, waiting: int, has_failures: bool) -> None:
        """By the supervisor, for an event.

        Args:
            waiting: how many of the topic's events have no answer yet.
            has_failures: whether an actor of the channel has failed or was given up.
        """
        event, seq = delivery.request, delivery.seq
        if [type(message) for message in messages] != [Reply] or messages[0].status != "error":  # type: ignore[union-attr]
            self._breach("accounted_for", f"the supervisor answered {event} by {messages}")
            return
        why = messages[0].payload  # type: ignore[union-attr]
        if why == "crashed":
            if isinstance(event, Leave):
                self._to_come_back.pop(event.client_id, None)
            is_down = self._downs.channel(seq), self._downs.topic(self.topic, seq)
            if is_down == (False, False) and not has_failures:
                self._breach("life", f"{event}, number {seq}, was answered crashed, and {self.topic} was not down")
        elif why == "not_joined":
            if self.post is not None:
                self._breach("model", f"{event} was answered not_joined by the supervisor, and {self.topic} lives")
        elif why == "topic_crashed":
            if seq not in self._failed_on:
                self._breach("waiting", f"{event} was answered topic_crashed, and {self.topic} did not fail on it")
        elif why == "unavailable":
            if not self.healing.is_put_off or waiting < self._rules.restarts.max_waiting:
                self._breach("waiting", f"{event} was answered unavailable, and {waiting} waited for {self.topic}")
        else:
            self._breach("accounted_for", f"the supervisor answered {event} by {messages}")

    def ordered(self, seq: int, order: Crash | Restart, messages: Messages) -> None:
        """By the supervisor, for an order about this topic."""
        is_crashed, is_down = self._downs.channel(seq), self._downs.topic(self.topic, seq)
        if is_crashed is None or is_down is None:
            return
        if isinstance(order, Restart):
            due: Messages = (System(f"topic_restarted:{self.topic}" if is_down else "already_running"),)
        elif is_crashed or is_down:
            due = (System("already_crashed"),)
        elif self.healing.is_put_off or (members := self.members or self.healing.untold):
            members = () if self.healing.is_put_off else members
            pushes = (PushMessage(member, self.topic, "topic_crashed", order.reason) for member in members)
            due = (System(f"topic_crashed:{self.topic}"), *pushes)
            self.healing.call_off()
        else:
            due = (System(f"unknown_topic:{self.topic}"),)
        if messages != due:
            self._breach("orders", f"{order} gave {messages}, where {due} was due")

    def arose(self, seq: int, messages: Messages, now_s: float, open_seqs: Collection[int]) -> None:
        """By the supervisor, unasked: what follows a failure. `open_seqs`: events of the topic that have no answer yet."""
        if self._downs.channel(seq):
            self._breach("life", f"{messages} came while the channel was down")
        wrong = self.healing.give(messages, now_s)
        if wrong is not None:
            self._breach("restarts", f"{self.topic}: {wrong}")
        if messages[0] == System(f"topic_given_up:{self.topic}") or self._rules.restarts.waiting == "answer":
            self._failed_on.update(open_seqs)

    def _is_dead(self, post: Post, messages: Messages) -> bool:
        if self.post is post:
            return False
        self._breach("dead_incarnation", f"{post.topic}#{post.incarnation} gave out {messages} after its end")
        return True

    def _fold(self, messages: Messages) -> None:
        for message in messages:
            if isinstance(message, PresenceDiff):
                try:
                    self.reference.fold(message.diff)
                except (KeyError, ValueError):
                    self._breach("presence", f"{message} does not fit {self.reference.presences}")
        self._had_members = self._had_members or bool(self.reference.members)

    def _check_comeback(self, messages: Messages, leaving: Set[str]) -> None:
        diffs = [message.diff for message in messages if isinstance(message, PresenceDiff)]
        comers = [meta.ref.rpartition(":")[0] for diff in diffs for entry in diff.joins for meta in entry.metas]
        sure = [client for client in self._to_come_back if client not in leaving]  # of others it shows when they are answered
        if [client for client in comers if client not in leaving] != sure or not self._to_come_back.keys() >= set(comers):
            self._breach("rejoin", f"{comers} came back to {self.topic}, where {list(self._to_come_back)} were due")
        self._to_come_back = {}

    # At rest

    def check(self, now_s: float, waiting: int) -> None:
        """Nobody is ready: hold what is there against what was seen. `waiting`: how many of its events have no answer yet."""
        post = self.post
        wrong = self.healing.wrong_at_rest(now_s)
        if wrong is not None:
            self._breach("restarts", f"{self.topic}: {wrong}")
        if self.healing.is_put_off and waiting > self._rules.restarts.max_waiting:
            self._breach("waiting", f"{waiting} events wait for {self.topic}")
        if post is None or post in post.in_hand:
            return
        if post.settled:
            self.check_state(post)
        if self._downs.channel(_NOW) or self._downs.topic(self.topic, _NOW):
            self._breach("life", f"{self.topic}#{post.incarnation} lives, and is to be down")
        if not self.reference.members and (self._had_members or now_s - self._began_s > self._rules.rejoin_window_s + _EPSILON_S):
            self._breach("stops", f"nobody is in {self.topic}#{post.incarnation}, and it has not stopped")

    def check_state(self, post: Post) -> None:
        """It is at rest, or was told to end: it holds what it was seen to have become."""
        state: Any = post.state
        if state is None or (isinstance(state, BehavedTopic) and not state.presences and not self.reference.members):
            return
        if state.subscribers != tuple(self.reference.members):
            self._breach("model", f"{post.topic} has {state.subscribers}, where {tuple(self.reference.members)} were due")
        if state.presences != self.reference.presences:
            self._breach("presence", f"{post.topic} has {state.presences}, where {self.reference.presences} was due")
