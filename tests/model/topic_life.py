"""What is known of one topic of a channel, told in the order in which it gave things out; and what it is held to.

What its actors give out and what the supervisor says about it come in one line, and that is how its life went: what it gives next
must follow from what it gave before.
"""

from collections.abc import Callable, Collection, Set
from typing import Any

from model.downs import Downs
from model.healing import Healing
from model.incarnation import Breach, Incarnation, Rules

from lightspeed.actors.errors import InjectedFault, TopicCrash, TopicStuck
from lightspeed.actors.failures import text_of
from lightspeed.actors.topics.mail import Delivery, TopicCell
from lightspeed.actors.topics.rules.events import Crash, Join, Leave, Publish, Rejoin, Restart, Send, TopicEvent
from lightspeed.actors.topics.rules.outbound import Outbound, PushMessage, Reply, System
from lightspeed.faults import Fault, Full
from lightspeed.testing.clock import EPSILON_S

Messages = tuple[Outbound, ...]

_NOW = 1 << 62  # a number above all that were given


class TopicLife:
    """For the witness. Each method says by `breach` what is wrong."""

    def __init__(self, topic: str, rules: Rules, downs: Downs, breach: Breach) -> None:
        self.topic, self._rules, self._downs, self._breach = topic, rules, downs, breach
        self.healing = Healing(topic, rules.restarts, trusts_clock=rules.trusts_clock)
        self.now: Incarnation | None = None
        """The incarnation that lives, or has not been seen to end."""
        self.letters: int | None = 0
        """How many messages it gave out that reach nobody; None: that can't be told."""
        self._is_taken = False  # with its members, by a crash of all: a restart starts it again
        self._to_come_back: dict[str, tuple[str, int, str]] = {}
        self._reason: str | None = None  # why the last one ended; None: it was stopped, or there was none
        self._knows_reason = True
        self._last_seqs: dict[str, int] = {}
        self._failed_on: set[int] = set()  # what may be answered `topic_crashed`
        self._left: Set[int] = frozenset()  # what the last one had not handled when it ended
        self._given_up_with: set[int] = set()  # what stood behind the failure that was one too many
        self._may_be_refused: set[int] = set()  # as `crashed`, though it was accepted before
        self._must_not_handle: set[int] = set()

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it now."""
        return () if self.now is None else self.now.members

    @property
    def expected(self) -> Collection[str]:
        """Who is in it; or will be, while it is being restarted."""
        if self.now is not None and not self._to_come_back:
            return () if self.now.is_leaving else self.now.members
        is_down = self._downs.channel(_NOW) or self._downs.topic(self.topic, _NOW)
        return () if is_down else self._to_come_back

    @property
    def is_awaited(self) -> bool:
        """Whether something must follow yet, so that it is to be looked at again though nothing happens to it."""
        alive = self.now is not None and (not self.now.members or self.now.cell.behaved is not None or self.now.is_held)
        return self.healing.is_awaited or alive

    @property
    def is_held(self) -> bool:
        """Whether what was accepted for it may have to wait, though nobody is ready."""
        return self.healing.is_put_off or (self.now is not None and self.now.is_held)

    # Its actors

    def begin(self, cell: TopicCell, actor: Any, now_s: float, by: TopicEvent | None) -> None:
        """An actor of it was started. `by`: the event that the supervisor is routing, if any."""
        if self.now is not None:
            self._breach("one_incarnation", f"{self.topic}#{cell.incarnation} was started while {self.now.name} lived")
        if cell.members or cell.settled:
            self._breach("one_incarnation", f"{self.topic}#{cell.incarnation} was started twice")
        if by is not None and by.topic == self.topic and not isinstance(by, (Join, Rejoin)) and not self._to_come_back:
            self._breach("stops", f"{by} started an actor, and nobody is in {self.topic}")
        self.now, self._is_taken = Incarnation(cell, actor, self._rules, self._breach, now_s), False
        told = None if cell.behaved is None else cell.behaved.restarted_by
        if cell.behaved is not None and self._knows_reason and told != self._reason:
            self._breach("model", f"{self.topic} ended by {self._reason}, and {self.now.name} is told that it did by {told}")
        self._reason, self._knows_reason = None, True

    def leave(self, cell: TopicCell, now_s: float) -> None:
        """Its actor was told to crash, or to stop."""
        if self.now is not None and self.now.cell is cell and not self.now.is_leaving:
            self.now.leaves_since_s = now_s

    def end(
        self, error: BaseException | None, in_flight: Any, waiting: Set[int], now_s: float, open_seqs: Collection[int]
    ) -> None:
        """The actor that lived has ended, or was given up.

        Args:
            error: what it died of; None: it was stopped.
            in_flight: what it was at work on.
            waiting: the numbers of what it had yet to handle.
            open_seqs: those of all the topic's events that have no answer yet.
        """
        now, self.now = self.now, None
        assert now is not None
        now.is_alive = False
        has_failed = error is not None and not isinstance(error, TopicCrash)
        if not has_failed:
            now.check_state()
            letters = now.stop(now_s) if error is None else 0
            self._bury(letters)
        elif error is not None:
            if now.cell.behaved is None and not isinstance(error, (InjectedFault, TopicStuck, KeyboardInterrupt)):
                self._breach("supervisor", f"{now.name}, a relay, failed of {text_of(error)}")
            now.fail(error, in_flight, bool(self._to_come_back), now_s)
        self._note_reason(now, error)
        self._is_taken = isinstance(error, TopicCrash) and bool(now.members) and not self._downs.topic(self.topic, _NOW)
        if in_flight is not None:
            self._failed_on.add(in_flight.seq)
            self._must_not_handle.add(in_flight.seq)
        self._left = waiting
        if error is not None and has_failed and now.is_leaving:  # it did not get there: what it left is refused
            self._may_be_refused.update(open_seqs)
        elif error is not None and has_failed:
            self.healing.fail(now.members, text_of(error))
            if self._rules.restarts.waiting == "answer":
                self._must_not_handle |= waiting
        if self._rules.has_ledger:
            self._to_come_back = {**self._to_come_back, **now.reference.members}

    def _note_reason(self, now: Incarnation, error: BaseException | None) -> None:
        """Why it ended is what its successor is told. Of a failure it is known when its members are told: else it was to end."""
        self._knows_reason = error is None or (isinstance(error, TopicCrash) and bool(now.members))
        self._reason = error.reason if isinstance(error, TopicCrash) else None if error is None else text_of(error)

    def be_abandoned(self, in_flight: Any, now_s: float, open_seqs: Collection[int]) -> None:
        """The supervisor goes on without its actor, which is told to stop when it comes back."""
        assert self.now is not None
        now, rules = self.now, self._rules
        is_stuck = now.cell.behaved is not None and now_s - now.at_work_since_s >= rules.event_timeout_s - EPSILON_S
        since_s = now.at_work_since_s if now.leaves_since_s is None else min(now.at_work_since_s, now.leaves_since_s)
        is_overdue = now.is_leaving and now_s - since_s >= rules.crash_timeout_s - EPSILON_S
        if not (is_stuck or is_overdue or self._downs.is_closed) and rules.trusts_clock:
            self._breach("stuck", f"{now.name} was given up, and had its time")
        self._downs.given_up_s = now_s
        self.end(TopicStuck(self.topic, self._rules.event_timeout_s), in_flight, frozenset(), now_s, open_seqs)

    # What was given out

    def handled(
        self,
        cell: TopicCell,
        delivery: Delivery,
        messages: Messages,
        faults: Set[type[Fault]],
        leaving: Callable[[], Set[str]],
        now_s: float,
    ) -> None:
        """By its actor, for an event. `leaving`: who has asked to leave, and has no answer yet."""
        now = self._living(cell, messages)
        if now is None:
            return
        event, seq = delivery.request, delivery.seq
        if self._to_come_back:
            missing = self._to_come_back.keys() - leaving()
            if missing:
                self._breach("rejoin", f"{sorted(missing)} did not come back to {now.name}")
            self._to_come_back = {}
        sender = "" if isinstance(event, (Publish, Send)) else event.client_id
        if seq < self._last_seqs.get(sender, 0):
            self._breach("order", f"{event} was handled after a later one of the same client")
        self._last_seqs[sender] = seq
        if self._downs.channel(seq) or self._downs.topic(self.topic, seq):
            self._breach("life", f"{event}, number {seq}, was accepted while {self.topic} was down, and handled by it")
        if seq in self._must_not_handle:
            self._breach("waiting", f"{event} is one that failed, or stood behind it, and was not answered but handled")
        if isinstance(event, Send) and event.client_id not in now.members:
            self._bury(None if Full in faults else 1)
        if Full in faults and isinstance(event, Publish):
            self._bury(None)
        if Full not in faults:
            now.handle(delivery, messages, faults, now_s)

    def gave(self, cell: TopicCell, messages: Messages, leaving: Callable[[], Set[str]], now_s: float) -> None:
        """By its actor, unasked: members who come back, or what a timer brought."""
        now = self._living(cell, messages)
        if now is None:
            return
        if self._to_come_back:
            now.take_back(self._to_come_back, leaving(), messages, now_s)
            self._to_come_back = {}
            return
        if cell.behaved is None and messages:
            self._breach("rejoin", f"{now.name} gave {messages}, and nobody was to come back")
        now.ring(messages, now_s)

    def refused(self, delivery: Delivery, messages: Messages, *, waiting: int) -> None:
        """By the supervisor, for an event. `waiting`: how many of the topic's events have no answer yet."""
        event, seq = delivery.request, delivery.seq
        if delivery.is_quiet or isinstance(event, (Publish, Send)):
            if messages:
                self._breach("accounted_for", f"the supervisor answered {event} by {messages}")
            if isinstance(event, Leave):  # one of a disconnect, which leaves in any case
                self._strike(event)
            elif isinstance(event, Send):
                self._bury(1)
            elif isinstance(event, Publish):
                is_down = self._downs.channel(seq) or self._downs.topic(self.topic, seq)
                is_nobodys = self.now is None and not (self.healing.is_awaited or self._to_come_back or seq in self._failed_on)
                self._bury(1 if is_down else 0 if is_nobodys else None)
            return
        if [type(message) for message in messages] != [Reply]:
            self._breach("accounted_for", f"the supervisor answered {event} by {messages}")
            return
        (reply,) = messages
        assert isinstance(reply, Reply)
        if reply != Reply(event.client_id, self.topic, "error", reply.payload) or reply.payload not in _REFUSALS:
            self._breach("accounted_for", f"the supervisor answered {event} by {reply}")
        elif reply.payload == "crashed":
            if isinstance(event, Leave):
                self._strike(event)
            is_up = (self._downs.channel(seq), self._downs.topic(self.topic, seq)) == (False, False)
            # While a close waits for a count, what was put off is put off no more, and a crash behind the count still takes it.
            if is_up and seq not in self._may_be_refused and not self._downs.is_closed:
                self._breach("life", f"{event}, number {seq}, was answered crashed, and {self.topic} was not down")
            if seq in self._given_up_with:
                self._breach("waiting", f"{event} stood behind what {self.topic} failed on, and was answered crashed")
        elif reply.payload == "not_joined":
            if self.now is not None:
                self._breach("model", f"{event} was answered not_joined by the supervisor, and {self.now.name} lives")
            if self._downs.channel(seq) or self._downs.topic(self.topic, seq):
                self._breach("life", f"{event} was answered not_joined, and {self.topic} was down")
        elif reply.payload == "topic_crashed" and seq not in self._failed_on:
            self._breach("waiting", f"{event} was answered topic_crashed, and {self.topic} did not fail on it")
        elif (
            reply.payload == "unavailable"
            and not (self.healing.is_put_off and waiting >= self._rules.restarts.max_waiting)
            and not self._downs.is_closed  # then what comes up is put off no more, and what stood behind a count comes late
        ):
            self._breach("waiting", f"{event} was answered unavailable, and {waiting} waited for {self.topic}")

    def shed(self, delivery: Delivery, messages: Messages) -> None:
        """Its mailbox dropped the event."""
        if messages:
            self._breach("accounted_for", f"{delivery.request}, which was dropped, was answered by {messages}")
        self._bury(1)

    def _bury(self, letters: int | None) -> None:
        """So many more are dead letters; None: that can't be told."""
        self.letters = None if self.letters is None or letters is None else self.letters + letters

    def _strike(self, event: Leave) -> None:
        """Who wants to leave, and joined no later, does not come back."""
        member = self._to_come_back.get(event.client_id)
        if member is not None and (event.now_ms is None or event.now_ms >= member[1]):
            del self._to_come_back[event.client_id]

    def ordered(self, seq: int, order: Crash | Restart, messages: Messages, open_seqs: Collection[int]) -> None:
        """By the supervisor, for an order about this topic. `open_seqs`: its events that have no answer yet."""
        is_crashed, is_down = self._downs.channel(seq), self._downs.topic(self.topic, seq)
        if is_crashed is None or is_down is None:
            return
        if isinstance(order, Restart):
            due: Messages = (System(f"topic_restarted:{self.topic}" if is_down else "already_running"),)
        elif is_crashed or is_down:
            due = (System("already_crashed"),)
        elif self.healing.is_put_off or self.members or self.healing.untold or self._to_come_back:
            members = self.members or self.healing.untold or tuple(self._to_come_back)
            members = tuple(self._to_come_back) if self.healing.is_put_off else members  # who will be in it, is
            pushes = (PushMessage(member, self.topic, "topic_crashed", order.reason) for member in members)
            due = (System(f"topic_crashed:{self.topic}"), *pushes)
            self.be_taken_down(open_seqs)
        else:
            due = (System(f"unknown_topic:{self.topic}"),)
        before = [number for number in open_seqs if number < seq] if isinstance(order, Crash) else []
        waits = self.healing.is_awaited or is_crashed or is_down or self._rules.may_hang
        if before and self.now is not None and not waits:
            self._breach("orders", f"{order}, number {seq}, did not wait for {before} of {self.topic}")
        as_it_was = self._rules.may_hang and self.now is not None and bool(self._to_come_back)  # nothing was handled for so long
        if messages != due and not (as_it_was and messages[:1] == due[:1]):
            self._breach("orders", f"{order} gave {messages}, where {due} was due")

    def be_taken_down(self, open_seqs: Collection[int]) -> None:
        """By an order, of the topic or of all: what waits for it may be refused."""
        self._knows_reason = self._knows_reason and not self.healing.is_awaited
        if self.healing.is_awaited:
            self._may_be_refused.update(open_seqs)
        self.healing.call_off()

    def arose(self, seq: int, messages: Messages, now_s: float, open_seqs: Collection[int]) -> None:
        """By the supervisor, unasked: what follows a failure. `open_seqs`: events of the topic that have no answer yet."""
        if self._downs.channel(seq):
            self._breach("life", f"{messages} came while the channel was down")
        self._knows_reason = self._knows_reason or messages[0] == System(f"topic_crashed:{self.topic}")
        wrong = self.healing.give(messages, now_s)
        may_come_up = self._downs.is_closed and self._rules.may_hang  # while a close waits for the count of another topic
        if wrong is not None and not may_come_up:
            self._breach("restarts", f"{self.topic}: {wrong}")
        is_given_up = messages[0] == System(f"topic_given_up:{self.topic}")
        if is_given_up:
            self._given_up_with |= self._left
        if is_given_up or self._rules.restarts.waiting == "answer":
            self._failed_on.update(open_seqs)

    def _living(self, cell: TopicCell, messages: Messages) -> Incarnation | None:
        if self.now is not None and self.now.cell is cell:
            return self.now
        self._breach("dead_incarnation", f"{cell.topic}#{cell.incarnation} gave out {messages} after its end")
        return None

    # At rest

    def check(self, now_s: float, waiting: int) -> None:
        """Nobody is ready: hold what is there against what was seen. `waiting`: how many of its events have no answer yet."""
        now = self.now
        wrong = None if self._downs.is_closed else self.healing.wrong_at_rest(now_s)  # else who fails may be stopped at once
        if wrong is not None:
            self._breach("restarts", f"{self.topic}: {wrong}")
        is_full = waiting > self._rules.restarts.max_waiting
        if self.healing.is_put_off and is_full and not self._rules.may_hang:  # else some may wait for another topic's count
            self._breach("waiting", f"{waiting} events wait for {self.topic}")
        is_down = bool(self._downs.channel(_NOW) or self._downs.topic(self.topic, _NOW))
        if now is None and not (is_down or self._downs.is_closed or self.healing.is_put_off):
            if self._to_come_back:
                self._breach("rejoin", f"{list(self._to_come_back)} have not come back to {self.topic}")
            if self._is_taken:
                self._breach("restarts", f"{self.topic} had members when all crashed, and was not started again")
        elif now is not None and now.is_held:
            self._check_held(now, now_s)
        elif now is not None:
            self._check_living(now, now_s, is_down=is_down)

    def _check_living(self, now: Incarnation, now_s: float, *, is_down: bool) -> None:
        now.check(now_s)
        if is_down:
            self._breach("life", f"{now.name} lives, and is to be down")
        window_s = 0.0 if now.had_members else self._rules.rejoin_window_s
        if not now.members and (now.had_members or now_s - now.began_s > window_s + EPSILON_S):
            self._breach("stops", f"nobody is in {now.name}, and it has not stopped")

    def _check_held(self, now: Incarnation, now_s: float) -> None:
        """It does not come back from something: it is given up in time, where it can be."""
        if not self._rules.trusts_clock:
            return
        if now.cell.behaved is not None and now_s - now.at_work_since_s > 1.25 * self._rules.event_timeout_s + EPSILON_S:
            self._breach("stuck", f"{now.name} has been at work since {now.at_work_since_s:g} s, and is not given up")
        since_s = None if self._downs.is_closed else now.leaves_since_s
        if since_s is not None and now_s - max(since_s, self._downs.given_up_s) > 2 * self._rules.crash_timeout_s + EPSILON_S:
            self._breach("stuck", f"{now.name} was told to end at {since_s:g} s, and is not given up")


_REFUSALS = frozenset(("crashed", "not_joined", "overloaded", "topic_crashed", "unavailable"))
