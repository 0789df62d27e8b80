"""What follows the end of a topic's actor: who was waiting is answered, and the topic comes up again or stays down.

An end is asked for (a crash, a stop) or not (its code raised, it was stopped from outside). The supervisor owns this, and nobody
else calls it.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

import pykka

from lightspeed.actors.errors import TopicStuck
from lightspeed.actors.logs import log
from lightspeed.actors.runtime import Runtime
from lightspeed.actors.topics.mail import Delivery, Errand, Mail, Question, TopicCell, TopicDown, TopicFailure, failure_of
from lightspeed.actors.topics.rules.events import Crash
from lightspeed.actors.topics.rules.life import ChannelLife
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.topic import Messages, crash_messages
from lightspeed.supervision.latch import Latch
from lightspeed.supervision.topics.children import Child, Children
from lightspeed.supervision.topics.dead_letters import DeadLetters
from lightspeed.supervision.topics.histories import Histories
from lightspeed.supervision.topics.ingress import in_turn, kept
from lightspeed.supervision.topics.messages import ComeUp, LookForStuck, Overdue, RejoinWindowClosed
from lightspeed.supervision.topics.options import Options
from lightspeed.supervision.topics.outlet import Outbox, SinkQueues
from lightspeed.supervision.topics.roll import Ledger
from lightspeed.supervision.topics.watches import Reminders, Watch, Watches


class Owner(Protocol):
    """What is asked of the supervisor."""

    def emit_unasked(self, topic: str, messages: Messages) -> None: ...

    def route_again(self, topic: str, mail: Mail) -> None: ...

    def crash_channel(self, reason: str) -> None: ...

    def after_the_last(self) -> None: ...

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]: ...


class Aftermath:
    """For the supervisor's thread only."""

    def __init__(
        self,
        runtime: Runtime,
        options: Options,
        children: Children,
        life: ChannelLife,
        outlet: Outbox | SinkQueues,
        owner: Owner,
        dead_letters: DeadLetters,
        ledger: Ledger,
    ) -> None:
        self._runtime, self._options, self._children, self._life = runtime, options, children, life
        self._outlet, self._owner, self._dead_letters, self._ledger = outlet, owner, dead_letters, ledger
        self.rejoin_windows = Reminders(runtime, owner.actor_ref)
        self._put_off = Reminders(runtime, owner.actor_ref)
        self._deadlines = Reminders(runtime, owner.actor_ref)
        self._watch = Reminders(runtime, owner.actor_ref)
        self._at_work: dict[TopicCell, tuple[Mail, float]] = {}  # behaviours: on what, and since when
        if options.behaviours:
            self._watch.later(options.event_timeout_s / 4, LookForStuck())
        self._watches = Watches(runtime, options.crash_timeout_s)
        self._had_members: dict[str, int] = {}  # topics that a restart starts again, and the incarnations that they were
        self._histories = Histories(options.restarts, runtime)

    # Going down

    def crash(self, child: Child, seq: int, event: Crash) -> bool:
        """Whether it is down already."""
        is_down = self._children.crash(child, seq, event)
        if is_down:
            self.down(TopicDown(child.cell, None))
        return is_down

    def crash_all(self, seq: int, event: Crash, latch: Latch | None) -> None:
        log("info", "channel crashed: {}; topic actors: {}", event.reason, len(self._children.live))
        self.rejoin_windows.cancel()
        for child in self._children.each_live():
            self._children.died_of(child.cell.topic, event.reason)
            if child.is_put_off:
                self.drop(child)
            else:
                self.crash(child, seq, event)
        if latch is not None:
            self._children.wait_for_leaving(latch)
        self.watch_leaving(self._children.everyone_leaving())

    def stop(self, child: Child) -> bool:
        """Whether it is down already."""
        is_down = self._children.stop(child)
        if is_down:
            self.down(TopicDown(child.cell, None))
        return is_down

    def watch_leaving(self, children: Iterable[Child]) -> None:
        """Abandon those of them who are left when none has come to its end for `crash_timeout_s`."""
        watch = self._watches.add(children)
        if watch.left:
            self._deadlines.later(self._options.crash_timeout_s, Overdue(watch))

    def down(self, message: TopicDown) -> None:
        was_live = self._children.live.get(message.cell.topic)
        child = self._children.remove(message.cell)
        if child is not None:
            self._after(child, unasked=child is was_live, failure=message.failure)

    def _after(self, child: Child, *, unasked: bool, failure: TopicFailure | None = None) -> None:
        """Nothing that was accepted is lost, and who waited for the end goes on."""
        self._watches.note_end(child)
        cell = child.cell
        in_flight = cell.in_flight.pop(cell, None)
        if in_flight is not None:
            self._children.answer(in_flight, "topic_crashed")
        left = deque(self._children.take_left(child))
        self._remember(child, (in_flight, *left), unasked=unasked)
        with kept(left, self._dead_letters):
            if unasked:
                self._replace(cell, failure, left)
            else:
                self._let_go(cell, failure, left)
        self._children.release(child)
        if cell.topic not in self._children.leaving:
            self._ledger.forget_strangers(cell.topic)
        self._children.start_successor(child)
        for latch in child.latches:
            latch.set()
        if not self._children.leaving:
            self._deadlines.cancel()
        self._owner.after_the_last()

    def _let_go(self, cell: TopicCell, failure: TopicFailure | None, left: deque[Mail]) -> None:
        if failure is not None:
            log(
                "error",
                "topic {} failed on its way down: {}",
                cell.topic,
                failure.text,
                trace=failure.trace,
                topic=cell.topic,
                incarnation=cell.incarnation,
            )
        for mail in in_turn(left):
            self._refuse(cell, mail)

    def _replace(self, cell: TopicCell, failure: TopicFailure | None, left: deque[Mail]) -> None:
        if failure is not None:
            self._heal(cell, failure, left)
            return
        log("error", "topic {} ended unasked", cell.topic, topic=cell.topic, incarnation=cell.incarnation)
        if cell.topic in self._ledger:
            self.start_again([cell.topic])
        self._go_on(cell.topic, left)

    def give_up_the_stuck(self) -> None:
        """Whoever has been at work on one thing for `event_timeout_s`, in a behaviour's code, has failed."""
        now_s, timeout_s = self._runtime.monotonic_s(), self._options.event_timeout_s
        at_work = {}
        for cell, mail in self._children.in_flight.copy().items():
            if cell.behaved is not None:
                before = self._at_work.get(cell)
                at_work[cell] = before if before is not None and before[0] is mail else (mail, now_s)
        self._at_work = at_work
        for cell, (_mail, since_s) in at_work.items():
            if now_s - since_s >= timeout_s:
                live, leaving = self._children.live.get(cell.topic), self._children.leaving.get(cell.topic)
                if live is not None and live.cell is cell:
                    self.abandon(live, TopicStuck(cell.topic, timeout_s))
                elif leaving is not None and leaving.cell is cell:
                    self.abandon(leaving)
        self._watch.later(timeout_s / 4, LookForStuck())

    def overdue(self, watch: Watch) -> None:
        """Its time is over, unless some of them came to their ends meanwhile: ten thousand take seconds."""
        rest_s = self._watches.rest_s(watch)
        if not rest_s:
            for child in [child for child in watch.left if child.ref is not None]:
                self.abandon(child)  # whoever waited for it is started by this
            rest_s = self._options.crash_timeout_s
        if watch.left:
            self._deadlines.later(rest_s, Overdue(watch))

    def abandon_all(self) -> None:
        for child in self._children.everyone_leaving():
            self.abandon(child)

    def abandon(self, child: Child, stuck: TopicStuck | None = None) -> None:
        """Go on without a child that does not end: from here on its reports count no more, and its cell gives it nothing.

        With an error, it has failed of that, and is replaced.
        """
        cell = child.cell
        if stuck is None:
            log("error", "topic {} is abandoned", cell.topic, topic=cell.topic, incarnation=cell.incarnation)
        if cell.behaved is not None:
            cell.behaved.is_given_up = True
        self._dead_letters.abandoned += 1
        self._children.remove(cell)
        self._outlet.abandon(cell.topic)
        self._after(child, unasked=stuck is not None, failure=None if stuck is None else failure_of(stuck))
        if child.ref is not None:
            child.ref.stop_soon()  # when it comes back it finds nothing else to do

    def wait_for_end(self, child: Child, deadline_s: float) -> None:
        """For a supervisor that is ending itself: nobody can tell it of another's end any more."""
        assert child.ref is not None  # the first to leave was started
        try:
            child.ref.stop_within(max(0.0, deadline_s - self._runtime.monotonic_s()))
        except pykka.Timeout:
            self.abandon(child)
        else:
            self.down(TopicDown(child.cell, None))

    # Coming up

    def start_again(self, topics: Iterable[str]) -> None:
        """A new actor for each. It gets its members back from the ledger, or stops if nobody rejoins."""
        started = tuple(self._children.add(topic, restores=True) for topic in topics)
        for child in started:
            self._children.start(child)
        self._open_window(started)

    def _open_window(self, children: Iterable[Child]) -> None:
        """Have those of them stopped who wait for a rejoin, and to whom nobody comes."""
        cells = [child.cell for child in children if child.awaits_rejoin]
        if cells:
            message = RejoinWindowClosed(tuple(cell.topic for cell in cells), tuple(cell.incarnation for cell in cells))
            self.rejoin_windows.later(self._options.rejoin_window_s, message)

    def come_up(self, message: ComeUp) -> None:
        child = message.child
        if child.is_put_off and self._children.live.get(child.cell.topic) is child:
            child.is_put_off = False
            self._owner.emit_unasked(child.cell.topic, (System(f"topic_restarted:{child.cell.topic}"),))
            self._children.start(child)
            self._open_window((child,))

    def drop(self, child: Child) -> None:
        """It was put off, and is not wanted any more."""
        for mail in self._children.drop(child):
            self._refuse(child.cell, mail)
        if child.cell.topic in self._ledger and child.cell.topic not in self._life.down:
            self._had_members[child.cell.topic] = child.cell.incarnation

    def crashed_topics(self) -> list[str]:
        """The topics that a restart of the channel starts again. They are forgotten here."""
        had_members = sorted(self._had_members, key=self._had_members.__getitem__)
        self._had_members.clear()
        # Whether a topic that is still on its way down has members shows when it is; then its successor starts, or goes.
        still_dying = [topic for topic, leaving in self._children.leaving.items() if leaving.last.crashed]
        return list(dict.fromkeys([*had_members, *still_dying, *self._ledger.topics]))

    @property
    def topics_down(self) -> list[str]:
        """Those that a restart of a crashed channel starts again, as far as it is known."""
        return [*self._had_members, *self._ledger.topics]

    def restarts_of(self, topic: str) -> int:
        return self._histories.restarts(topic)

    def rejoin_window_closed(self, message: RejoinWindowClosed) -> None:
        live = zip(map(self._children.live.get, message.topics), message.incarnations, strict=True)
        waiting = [child for child, number in live if child and child.awaits_rejoin and child.cell.incarnation == number]
        stopped = [child for child in waiting if child.ref is not None]
        self.watch_leaving([child for child in stopped if not self.stop(child)])  # one may be at work on what does not end
        # Where the one before has not ended, whom it had, and would come back, is not known yet.
        self._open_window(child for child in waiting if child.ref is None)

    def cancel(self) -> None:
        """The end: nothing more is to come of this."""
        for reminders in (self.rejoin_windows, self._put_off, self._deadlines, self._watch):
            reminders.cancel()

    def _remember(self, child: Child, mails: Iterable[Mail | None], *, unasked: bool) -> None:
        cell, topic = child.cell, child.cell.topic
        is_last = topic not in self._children.leaving and topic not in self._children.live
        if child.crashed and cell.members and is_last and topic not in self._life.down:
            self._had_members[topic] = cell.incarnation
        if child.crashed or unasked:
            self._ledger.note(cell.state)
            for mail in mails:
                if type(mail) is Errand and mail.rejoins:
                    self._ledger.put_back(topic, mail.rejoins)
        if child.crashed and is_last and not cell.members and topic not in self._ledger:
            self._children.was_empty(topic)

    def _heal(self, cell: TopicCell, failure: TopicFailure, left: deque[Mail]) -> None:
        """A topic's code raised: its members are told, and it comes up again, unless it did so too often."""
        topic, now_s = cell.topic, self._runtime.monotonic_s()
        verdict = self._histories.judge(topic, now_s)
        reason = failure.text
        log(
            "error",
            "topic {} failed: {}",
            topic,
            reason,
            trace=failure.trace,
            topic=topic,
            incarnation=cell.incarnation,
            restarts_left=verdict.restarts_left,
            inbox_length=len(left),
        )
        members = () if cell.state is None else cell.state.subscribers
        self._children.died_of(topic, reason)
        self._owner.emit_unasked(topic, crash_messages(topic, members, reason))
        if verdict.delay_s is None:
            self._give_up(topic, left)
        elif verdict.delay_s > 0:
            child = self._children.add(topic, restores=True)
            child.is_put_off = True
            self._go_on(topic, left)
            if not self._put_off.later(verdict.delay_s, ComeUp(child)):
                self.come_up(ComeUp(child))
        else:
            self._owner.emit_unasked(topic, (System(f"topic_restarted:{topic}"),))
            self.start_again([topic])
            self._go_on(topic, left)
        if verdict.channel_fails:
            self._owner.crash_channel(f"topics failed too often, {topic} last")

    def _refuse(self, cell: TopicCell, mail: Mail) -> None:
        """The topic is down; whoever wanted to leave it does not come back with it."""
        if type(mail) is Delivery:
            self._ledger.strike(mail.request, cell.incarnation, more_end=cell.topic in self._children.leaving)
        self._children.answer(mail, "crashed")

    def _give_up(self, topic: str, left: deque[Mail]) -> None:
        self._life.down[topic] = "given_up"
        self._owner.emit_unasked(topic, (System(f"topic_given_up:{topic}"),))
        for mail in in_turn(left):
            self._children.answer(mail, "topic_crashed")

    def _go_on(self, topic: str, left: deque[Mail]) -> None:
        """With what had been accepted and not been handled. Of errands, timers are dropped: nobody waits for them."""
        for mail in in_turn(left):
            if self._options.restarts.waiting == "redeliver" or isinstance(mail, Question):
                self._owner.route_again(topic, mail)
            else:
                self._children.answer(mail, "topic_crashed")
