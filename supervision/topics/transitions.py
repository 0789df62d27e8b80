"""What becomes of topics: how they crash, stop, fail, come up again and are given up.

An end is asked for (a crash, a stop) or not (its code raised, it was stopped from outside). The supervisor never waits: what must
come later reaches it as a message, or by a deadline.
"""

import threading
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

from lightspeed.actors.errors import TopicStuck
from lightspeed.actors.logs import log
from lightspeed.actors.pykka_inside import STOP
from lightspeed.actors.runtime import DECLINED, ReplyTo
from lightspeed.actors.topics.mail import (
    AwaitedHook,
    Delivery,
    Disconnection,
    HookOverdue,
    Mail,
    Order,
    Question,
    RestoreMembers,
    TopicCell,
    TopicDown,
    TopicEmpty,
    TopicFailure,
    collect,
    failure_of,
)
from lightspeed.actors.topics.rules.events import Crash, Restart
from lightspeed.actors.topics.rules.outbound import System
from lightspeed.actors.topics.rules.topic import crash_messages
from lightspeed.supervision.deadlines import Alarms, Due
from lightspeed.supervision.latch import Latch, Told
from lightspeed.supervision.topics.clustered import ClusteredRouter
from lightspeed.supervision.topics.ingress import in_turn, kept
from lightspeed.supervision.topics.router import BRING_MEMBERS
from lightspeed.supervision.topics.topic import Incarnation, Phase, Watch

_LEAST_S = 0.001  # no wait for less: what is left may be a rounding error, by which a clock moves no further


class TopicTransitions(ClusteredRouter):
    """For the supervisor's thread only."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._alarms = Alarms(self._runtime, self.actor_ref)
        self._windows: deque[Due] = deque()  # of rejoins, in the order of their ends
        self._at_work: dict[TopicCell, tuple[Mail, float]] = {}  # behaviours: on what, and since when
        if self._behaviours is not None:
            self._alarms.add(self._options.event_timeout_s / 4, self._give_up_the_stuck)

    def _accept(self, mail: Delivery | Order | Disconnection) -> object:
        if self._closing:
            return DECLINED  # told in a caller's thread, past the ingress, which is shut
        if isinstance(mail, Disconnection):
            mail.topics = tuple(sorted(self._topics_of(mail.request.client_id)))
            self._counts.unasked += len(mail.topics) - 1
            mail.seq, self._seq = self._seq + 1, self._seq + len(mail.topics)
        else:
            mail.seq = self._seq = self._seq + 1
        self._expect_change(mail)
        if self._behind:
            self._behind.append(mail)
        else:
            self._handle(mail)
        return None

    def _handle(self, mail: Delivery | Order | Disconnection) -> None:
        if isinstance(mail, Order):
            self._change(mail)
            self._is_plain = self._seems_plain()
        elif isinstance(mail, Disconnection):
            self._disconnect(mail)
        else:
            self._route(mail)

    def _seems_plain(self) -> bool:
        return not (self._closing or self._life.crashed or self._counted or self._follower or self._options.is_clustered)

    # Orders

    def _change(self, order: Order) -> None:
        name = order.request.topic
        live = None if name is None else self._live(name)
        if name is None and (self._counted or self._behind):
            self._behind.append(order)
        elif name in self._counted:
            self._counted[name].append(order)
        elif live is None or live.phase is Phase.BACKOFF or live.is_settled or not isinstance(order.request, Crash):
            self._carry_out(order, order.request)
        else:
            self._count(live, order)

    def _count(self, one: Incarnation, order: Order) -> None:
        """Count a busy topic: it is known who is in it when it has handled what it was sent."""
        self._counted[one.cell.topic] = [order]
        self._wait_for_count(one, order)
        self._deliver(one, Question(len, Told(self._report, Due(partial(self._go_on_after_count, order)))))

    def _wait_for_count(self, one: Incarnation, order: Order) -> None:
        self._alarms.add(self._options.crash_timeout_s, partial(self._count_overdue, order, one.progress))

    def _is_counted_for(self, order: Order) -> bool:
        return self._counted.get(order.request.topic or "", [None])[0] is order

    def _count_overdue(self, order: Order, progress: int) -> None:
        """The topic has had the time of a crash. If it has handled nothing meanwhile, it is taken as it is."""
        live = self._live(order.request.topic or "")
        if live is None or (live.ref is not None and live.progress == progress):
            self._go_on_after_count(order)
        elif self._is_counted_for(order):  # it still gets there; one that waits for those before it to end waits as long as they
            self._wait_for_count(live, order)

    def _go_on_after_count(self, order: Order) -> None:
        """It is known who is in the topic; or the time for that is over, and that has been dealt with when this is known."""
        name = order.request.topic
        if name is None or not self._is_counted_for(order):
            return
        others = self._counted.pop(name)[1:]
        with kept(deque([order, *others]), self._dead_letters) as held:
            self._carry_out(order, order.request)
            held.popleft()
            for mail in in_turn(held):
                if isinstance(mail, Question):
                    self._ask(name, mail)
                else:
                    self._handle(mail)
        if not self._counted:
            behind, self._behind = deque(self._behind), []
            with kept(behind, self._dead_letters):
                for waiting in in_turn(behind):
                    if not isinstance(waiting, (Delivery, Order, Disconnection)):
                        self.on_receive(waiting)
                    elif self._behind:
                        self._behind.append(waiting)
                    else:
                        self._handle(waiting)
        self._is_plain = self._seems_plain()

    def _carry_out(self, order: Order, event: Crash | Restart) -> None:
        name = event.topic
        live = None if name is None else self._live(name)
        exists = live is not None and (live.phase is Phase.BACKOFF or self._topics[live.cell.topic].count() > 0)
        before = self._life.crashed, name in self._life.down
        answer = self._life.answer(event, topic_exists=exists)
        if answer is not None and (self._life.crashed, name in self._life.down) == before:
            self._emit(order.seq, name, answer, order.reply)
            return
        latch = Latch(order.reply) if order.reply is not None else None
        if answer is not None:
            collect(order.reply, answer)
            self._emit(order.seq, name, answer, latch.part() if latch is not None else None)
        if isinstance(event, Restart):
            self._restart(name, latch)
        elif live is not None:
            self._crash_one(live, order, event, latch)
        else:
            self._crash_all(order.seq, event, latch)
        if latch is not None:
            latch.close()

    def _crash_one(self, one: Incarnation, order: Order, event: Crash, latch: Latch | None) -> None:
        name, seq = one.cell.topic, order.seq
        self._counts.crashes += 1
        log("info", "topic {} crashed: {}", name, event.reason, topic=name, incarnation=one.cell.incarnation)
        self._life.down[name] = "crashed"
        self._note_death(name, event.reason)
        messages = crash_messages(name, self._topics[name].members(), event.reason)
        collect(order.reply, messages)
        self._emit(seq, name, messages, latch.part() if latch is not None else None)
        if one.phase is Phase.BACKOFF:
            self._drop(one)
            return
        is_down = self._end_by_crash(one, seq, event)
        if latch is not None:
            self._wait_for_leaving(latch, name)
        if not is_down:
            self._watch([one])

    def _crash_all(self, seq: int, event: Crash, latch: Latch | None) -> None:
        self._counts.crashes += 1
        log("info", "channel crashed: {}; topic actors: {}", event.reason, sum(1 for _one in self._each_live()))
        for window in self._windows:
            self._alarms.call_off(window)
        self._windows.clear()
        for topic, live in self._each_live():
            self._note_death(topic.name, event.reason)
            if live.phase is Phase.BACKOFF:
                self._drop(live)
            else:
                self._end_by_crash(live, seq, event)
        if latch is not None:
            self._wait_for_leaving(latch)
        self._watch(self._everyone_leaving())

    def _restart(self, name: str | None, latch: Latch | None) -> None:
        log("info", "restarted: {}", "the channel" if name is None else name)
        if latch is not None:
            self._wait_for_leaving(latch, name)
        if name is None:
            self._start_again(self._take_missed())
        elif not self._life.crashed:  # else it comes up with the channel
            self._start_again([name])

    # Going down by order

    def _end_by_crash(self, one: Incarnation, seq: int, event: Crash) -> bool:
        """Send the crash to the tail of its inbox: what it was sent before is handled before. Whether it is down already."""
        self._leave(one, Phase.CRASHING)
        assert one.leaving is not None
        one.leaving.reason = event.reason
        self._ends_here = one.cell, threading.get_ident()
        self._deliver(one, Order(event, None, seq))
        return self._bury_here(one)

    def _stop_one(self, one: Incarnation, reply: ReplyTo | None = None) -> bool:
        """Stop it when it has handled all that it was sent. Whether it is down already."""
        self._leave(one, Phase.STOPPING, *(() if reply is None else (reply,)))
        if one.ref is None:
            self._start(one)
            return False
        self._ends_here = one.cell, threading.get_ident()
        if not (one.runs_inline and one.ref.tell_inline(STOP)):
            one.ref.stop_soon()
        return self._bury_here(one)

    def _bury_here(self, one: Incarnation) -> bool:
        """If it has ended within the call that told it to, that is report enough."""
        is_down, self._ends_here = self._ends_here is None, None
        if is_down:
            self._down(TopicDown(one.cell, None))
        return is_down

    def _drop(self, one: Incarnation) -> None:
        """Drop an incarnation that waits for its backoff, and is not wanted any more."""
        name = one.cell.topic
        self._take_out(one.cell)
        for mail in self._take_left(one):
            self._refuse(one.cell, mail)
        topic = self._topics[name]
        if topic.rejoins and name not in self._life.down:
            topic.have_trouble().lost = one.cell.incarnation
        self._tidy(name)

    def _watch(self, ones: Iterable[Incarnation]) -> None:
        """Abandon those of them who are left when none has come to its end for `crash_timeout_s`."""
        watch = Watch({}, self._runtime.monotonic_s())
        for one in ones:
            if one.leaving is not None and one.leaving.watch is None:
                one.leaving.watch = watch
                watch.left[one] = None
        if watch.left:
            self._expect(watch, self._options.crash_timeout_s)

    def _expect(self, watch: Watch, within_s: float) -> None:
        watch.deadline = self._alarms.add(within_s, partial(self._overdue, watch))

    def _note_end(self, one: Incarnation) -> None:
        """Note an end. Whoever stands behind it in its topic's line can start, and has its time from now."""
        for other in (one, one.behind):
            if other is not None and other.leaving is not None and other.leaving.watch is not None:
                other.leaving.watch.last_end_s = self._runtime.monotonic_s()
        if one.leaving is not None and one.leaving.watch is not None:
            watch, one.leaving.watch = one.leaving.watch, None
            del watch.left[one]
            if not watch.left and watch.deadline is not None:
                self._alarms.call_off(watch.deadline)

    def _overdue(self, watch: Watch) -> None:
        """Abandon those whose time is over, unless some of them came to their ends meanwhile: ten thousand take seconds."""
        rest_s = watch.last_end_s + self._options.crash_timeout_s - self._runtime.monotonic_s()
        if rest_s <= _LEAST_S:
            for one in [one for one in watch.left if one.ref is not None]:
                self._abandon(one)  # whoever waited for it is started by this
            rest_s = self._options.crash_timeout_s
        if watch.left:
            self._expect(watch, rest_s)

    def _give_up_the_stuck(self) -> None:
        """Whoever has been at work on one thing for `event_timeout_s`, in a behaviour's code, has failed."""
        now_s, timeout_s = self._runtime.monotonic_s(), self._options.event_timeout_s
        at_work = {}
        for cell, mail in self._in_flight.copy().items():
            if cell.behaved is not None:
                before = self._at_work.get(cell)
                at_work[cell] = before if before is not None and before[0] is mail else (mail, now_s)
        self._at_work = at_work
        for cell, (_mail, since_s) in at_work.items():
            if now_s - since_s >= timeout_s and cell.behaved is not None and cell.behaved.hook is None:
                self._give_up_stuck(cell)
        self._alarms.add(timeout_s / 4, self._give_up_the_stuck)

    def _hook_overdue(self, message: HookOverdue) -> None:
        behaved = message.cell.behaved
        if behaved is not None and behaved.hook is message.hook:
            self._give_up_stuck(message.cell)

    def _give_up_stuck(self, cell: TopicCell) -> None:
        topic = self._topics.get(cell.topic)
        if topic is None:
            return
        if topic.live is not None and topic.live.cell is cell:
            self._abandon(topic.live, TopicStuck(cell.topic, self._options.event_timeout_s))
        elif topic.leaving is not None and topic.leaving.cell is cell:
            self._abandon(topic.leaving)

    def _abandon(self, one: Incarnation, stuck: TopicStuck | None = None) -> None:
        """Go on without one that does not end: from here on its reports count no more, and its cell gives it nothing.

        With an error, it has failed of that, and is replaced. A hook of its that is awaited is cancelled; then it counts as
        abandoned only where that does not end it in `crash_timeout_s`.
        """
        cell = one.cell
        hook = None if cell.behaved is None else cell.behaved.hook
        if hook is not None and not hook.give_up() and stuck is not None:
            return  # it has come back meanwhile
        if cell.behaved is not None:
            cell.behaved.is_given_up = True
        if hook is None or stuck is None:
            self._count_abandoned(cell)
        elif not hook.is_back:
            self._alarms.add(self._options.crash_timeout_s, partial(self._see_if_back, cell, hook))
        self._take_out(cell)
        self._outlet.abandon(cell.topic)
        self._bury(one, None if stuck is None else failure_of(stuck))
        if one.ref is not None:
            one.ref.stop_soon()  # when it comes back it finds nothing else to do

    def _see_if_back(self, cell: TopicCell, hook: AwaitedHook) -> None:
        if not hook.is_back:
            self._count_abandoned(cell)

    def _count_abandoned(self, cell: TopicCell) -> None:
        self._dead_letters.abandoned += 1
        log("error", "topic {} is abandoned", cell.topic, topic=cell.topic, incarnation=cell.incarnation)

    # What follows an end

    def _down(self, message: TopicDown) -> None:
        one = self._take_out(message.cell)
        if one is not None:
            self._bury(one, message.failure)

    def _bury(self, one: Incarnation, failure: TopicFailure | None) -> None:
        """Nothing that was accepted is lost, and who waited for the end goes on."""
        self._note_end(one)
        cell = one.cell
        in_flight = cell.in_flight.pop(cell, None)
        if in_flight is not None:
            self._answer(in_flight, "topic_crashed")
        if self._follower is not None and one.phase is not Phase.STOPPING and cell.state is not None:
            self._follower.gone(cell.topic, tuple(cell.state.users), self._reason_of(one, failure))
        self._clear_afar(one)
        left = deque(self._take_left(one))
        self._remember(one, (in_flight, *left))
        if type(in_flight) is Delivery and in_flight.is_quiet:  # who disconnects is gone, though the topic failed over it
            self._strike(in_flight, cell.incarnation)
        with kept(left, self._dead_letters):
            if one.leaving is not None:
                self._let_go(cell, failure, left)
            elif failure is not None:
                self._heal(cell, failure, left)
            else:
                self._replace(cell, left)
        self._make_way(one)
        self._end_after_the_last()

    def _reason_of(self, one: Incarnation, failure: TopicFailure | None) -> str:
        """Why its members are gone, as they are told."""
        if one.leaving is not None:
            return one.leaving.reason
        if failure is None:
            return "stopped"
        return failure.text if self._options.restarts.tell_reason else "error"

    def _remember(self, one: Incarnation, mails: Iterable[Mail | None]) -> None:
        """Who was in it, for its next incarnation."""
        cell, name = one.cell, one.cell.topic
        if one.phase is Phase.STOPPING:
            return
        topic = self._topics[name]
        is_last = topic.leaving is None and topic.live is None
        is_crashed = one.phase is Phase.CRASHING
        if is_crashed and cell.members and is_last and name not in self._life.down:
            topic.have_trouble().lost = cell.incarnation
        if cell.state is not None and self._brings_back:
            self._put_back(name, cell.state.rejoins)
        for mail in mails:
            if type(mail) is RestoreMembers:
                self._put_back(name, mail.rejoins)
        if is_crashed and is_last and not cell.members and not topic.rejoins and topic.trouble is not None:
            topic.trouble.died_of = None  # nobody was in it: what comes next begins anew

    def _let_go(self, cell: TopicCell, failure: TopicFailure | None, left: deque[Mail]) -> None:
        if failure is not None:
            where: dict[str, Any] = {"topic": cell.topic, "incarnation": cell.incarnation}
            log("error", "topic {} failed on its way down: {}", cell.topic, failure.text, trace=failure.trace, **where)
        for mail in in_turn(left):
            self._refuse(cell, mail)

    def _refuse(self, cell: TopicCell, mail: Mail) -> None:
        """Refuse what was sent to a topic that is down."""
        if type(mail) is Delivery:
            self._strike(mail, cell.incarnation)
        self._answer(mail, "crashed")

    def _replace(self, cell: TopicCell, left: deque[Mail]) -> None:
        """Go on after a topic's actor that was stopped from outside."""
        self._counts.failures += 1
        log("error", "topic {} ended unasked", cell.topic, topic=cell.topic, incarnation=cell.incarnation)
        if self._topics[cell.topic].rejoins:
            self._start_again([cell.topic])
        self._go_on(cell.topic, left)

    def _heal(self, cell: TopicCell, failure: TopicFailure, left: deque[Mail]) -> None:
        """A topic's code raised: its members are told, and it comes up again, unless it did so too often."""
        name = cell.topic
        self._counts.failures += 1
        verdict = self._histories.judge(name, self._runtime.monotonic_s())
        reason = failure.text
        facts: dict[str, Any] = {"topic": name, "incarnation": cell.incarnation, "inbox_length": len(left)}
        log("error", "topic {} failed: {}", name, reason, trace=failure.trace, restarts_left=verdict.restarts_left, **facts)
        self._note_death(name, reason)
        members = () if cell.state is None else cell.state.subscribers
        self._emit_unasked(name, crash_messages(name, members, reason if self._options.restarts.tell_reason else "error"))
        if verdict.delay_s is None or self._options.restarts.waiting == "answer":
            for mail in left:
                if type(mail) is Delivery and mail.is_quiet:  # who has disconnected is told nothing, and must not come back
                    self._strike(mail, cell.incarnation)
        if verdict.delay_s is None:
            self._give_up(name, left)
        elif verdict.delay_s > 0:
            self._put_off(name, verdict.delay_s, left)
        else:
            self._emit_unasked(name, (System(f"topic_restarted:{name}"),))
            self._start_again([name])
            self._go_on(name, left)
        if verdict.channel_fails:
            self._handle(Order(Crash(f"topics failed too often, {name} last"), None, self._next_number()))

    def _give_up(self, name: str, left: deque[Mail]) -> None:
        self._life.down[name] = "given_up"
        self._counts.given_up += 1
        self._emit_unasked(name, (System(f"topic_given_up:{name}"),))
        for mail in in_turn(left):
            self._answer(mail, "topic_crashed")

    def _go_on(self, name: str, left: deque[Mail]) -> None:
        """With what had been accepted and not been handled, under its old number, ahead of all that waits for a count.

        Timers are dropped: nobody waits for them.
        """
        for mail in in_turn(left):
            if type(mail) is Delivery and self._options.restarts.waiting == "redeliver":
                self._route_now(mail)
            elif type(mail) is not Question:
                self._answer(mail, "topic_crashed")
            else:
                live = self._live(name)
                if live is None or (live.phase is Phase.BACKOFF and isinstance(mail.reply, Told)):
                    self._answer(mail, "")  # to count does not wait for a backoff
                else:
                    self._deliver(live, mail)

    def _end_after_the_last(self) -> None:
        """Where it is closing, and nobody is left."""
        is_over = self._closing and not self._leaving and self.actor_ref.is_alive()
        if is_over and not any(topic.live for topic in self._topics.values()):
            self.stop()

    # Coming up

    def _start_again(self, names: Iterable[str]) -> None:
        """A new actor for each. It gets its members back, or stops if nobody rejoins."""
        self._bring_up([self._add(name, restores=True) for name in names])

    def _bring_up(self, ones: list[Incarnation]) -> None:
        self._counts.restarts += len(ones)
        for one in ones:
            self._start(one)
        self._open_window(ones)

    def _put_off(self, name: str, delay_s: float, left: deque[Mail]) -> None:
        one = self._add(name, restores=True)
        one.phase = Phase.BACKOFF
        self._go_on(name, left)
        if not self._alarms.is_pending(self._alarms.add(delay_s, partial(self._come_up, one))):
            self._come_up(one)

    def _come_up(self, one: Incarnation) -> None:
        if self._live(one.cell.topic) is not one or one.phase is not Phase.BACKOFF:
            return
        waiting = one.waiting if one.cell.box is None else one.cell.box.waiting()
        is_awaited = any(type(mail) is Delivery and type(mail.request) in BRING_MEMBERS for mail in waiting)
        one.phase = Phase.RUNNING if is_awaited else Phase.AWAITS_REJOIN
        self._emit_unasked(one.cell.topic, (System(f"topic_restarted:{one.cell.topic}"),))
        self._bring_up([one])

    def _open_window(self, ones: Iterable[Incarnation]) -> None:
        """Have those of them stopped who wait for a rejoin, and to whom nobody comes."""
        cells = [one.cell for one in ones if one.phase is Phase.AWAITS_REJOIN]
        if cells:  # they are named: it comes late, and is to keep nobody who is dead
            close = partial(self._close_window, tuple((cell.topic, cell.incarnation) for cell in cells))
            self._windows.append(self._alarms.add(self._options.rejoin_window_s, close))

    def _close_window(self, names: tuple[tuple[str, int], ...]) -> None:
        if self._windows:  # else it was called off too late
            self._windows.popleft()  # all are open equally long
        lives = [(self._live(name), number) for name, number in names]
        waiting = [one for one, number in lives if one and one.phase is Phase.AWAITS_REJOIN and one.cell.incarnation == number]
        started = [one for one in waiting if one.ref is not None]
        self._watch([one for one in started if not self._stop_one(one)])  # one may be at work on what does not end
        # Where the one before has not ended, whom it had, and would come back, is not known yet.
        self._open_window(one for one in waiting if one.ref is None)

    # What topics report

    def _topic_empty(self, message: TopicEmpty) -> None:
        cell = message.cell
        live = self._live(cell.topic)
        if live is not None and live.cell is cell and not live.is_busy and live.phase is Phase.RUNNING and not cell.members:
            self._stop_one(live, message.reply)
        elif message.reply is not None:
            message.reply.set()
