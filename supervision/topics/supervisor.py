"""The supervisor of a channel's topics, as an actor: what it is told, and how all of it ends."""

from collections.abc import Callable
from typing import Any, ClassVar

import pykka

import lightspeed.supervision.topics.messages as messages
from lightspeed.actors.logs import log
from lightspeed.actors.topics.mail import Delivery, Disconnection, HookOverdue, Order, TimerFired, TopicDown, TopicEmpty
from lightspeed.supervision.deadlines import Due
from lightspeed.supervision.topics.ingress import lose, tried
from lightspeed.supervision.topics.topic import Incarnation, Phase
from lightspeed.supervision.topics.transitions import TopicTransitions
from lightspeed.supervision.tree import Tree, TreePhase


class TopicSupervisor(TopicTransitions):
    """The hooks of a supervisor; a `Runtime` adds the kind of actor they run on.

    When it is stopped from outside, as by Pykka's `ActorRegistry.stop_all()`, it waits in `on_stop`, up to a deadline, for topic
    actors to end.
    """

    log_fields: ClassVar[dict[str, object]] = {}  # as a topic actor it logs its failure itself; Pykka's record need not repeat it

    def on_receive(self, message: Any) -> Any:
        try:
            if type(message) is Delivery:
                if message.size:
                    ingress = self._ingress
                    ingress.taken += 1
                    ingress.taken_bytes += message.size
                if self._is_plain:  # nearly always: the shortest way
                    message.seq = self._seq = self._seq + 1
                    topic = self._topics.get(message.request.topic)
                    if topic is None or topic.live is None or topic.live.phase is Phase.AWAITS_REJOIN:
                        self._route_now(message)
                    else:
                        self._deliver(topic.live, message)
                    return None
            handler = _HANDLERS.get(type(message))
            if handler is None:
                return super().on_receive(message)  # logs that it is unexpected
            if type(message) in _OF_ALL_TOPICS and (self._counted or self._behind):
                self._behind.append(message)
                return None
            return handler(self, message)
        except Exception:  # a bug, or a runtime's failure, and the end of the channel
            self._ingress.shut()  # who is told that the channel is closed finds it so
            lose(message, self._dead_letters)
            raise

    def on_stop(self) -> None:
        try:
            self._end()
        finally:
            self._done.set()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        log("error", "the supervisor failed", error=exception_value)
        self.on_stop()

    def _ask_tree(self, message: messages.AskTree) -> None:
        """A topic stands as what it is furthest on its way to: what takes its events hides what is ending or has ended."""
        crashed = self._life.crashed
        trees = {name: self._tree(name, "down") for name, topic in self._topics.items() if crashed and topic.is_missed}
        trees |= {name: self._tree(name, why) for name, why in self._life.down.items()}
        trees |= {name: self._tree(name, "stopping", topic.leaving) for name, topic in self._leaving.items()}
        for topic, live in self._each_live():
            phase: TreePhase = "restarting" if live.phase is Phase.BACKOFF else "starting" if live.ref is None else "running"
            trees[topic.name] = self._tree(topic.name, phase, live, topic.count())
        message.reply.set(("crashed" if crashed else "running", trees))

    def _tree(self, name: str, phase: TreePhase, of: Incarnation | None = None, members: int = 0) -> Tree:
        is_at_work = (of is not None and of.cell in self._in_flight) or self._outlet.is_at_work(name)
        incarnation = None if of is None else of.cell.incarnation
        return Tree(name, "topic", phase, incarnation, members, is_at_work, self._histories.restarts(name))

    # The end

    def _close(self, message: messages.Close) -> None:
        self._ingress.shut()  # whoever told it may have been interrupted before he could
        self._alarms.add(message.timeout_s, self._close_overdue)
        self.actor_ref.tell(messages.StopAll())  # behind all that was accepted

    def _stop_all(self, _message: messages.StopAll) -> None:
        self._closing, self._is_plain = True, False
        for _topic, live in self._each_live():
            self._stop_one(live)  # also one that was put off: what waits for it was accepted, and is handled
        self._end_after_the_last()

    def _close_overdue(self) -> None:
        self._end_counts()
        for one in self._everyone_leaving():
            self._abandon(one)

    def _end_counts(self) -> None:
        """Who is in the topics that are being counted is not waited for any more."""
        while self._counted:
            tried(self._go_on_after_count, next(iter(self._counted.values()))[0])

    def _end(self) -> None:
        """The end, whoever brought it: handle what was accepted, then wait for the topic actors."""
        self._ingress.shut()
        inbox: Any = self.actor_inbox  # of either kind
        while left := inbox.drain():
            for message in left:
                if type(message) in _HANDLERS:
                    tried(self.on_receive, message)
        self._end_counts()
        for _topic, live in self._each_live():
            tried(self._stop_one, live)
        deadline_s = self._runtime.monotonic_s() + self._options.crash_timeout_s
        while leaving := self._everyone_leaving():
            tried(self._wait_for_end, leaving[0], deadline_s)
            self._take_out(leaving[0].cell)
        for end in (self._alarms.clear, self._leave_cluster, self._outlet.close, self._runtime.retire):
            tried(end)

    def _wait_for_end(self, one: Incarnation, deadline_s: float) -> None:
        """Nobody can tell a supervisor that is ending itself of another's end any more."""
        assert one.ref is not None  # the first to leave was started
        try:
            one.ref.stop_within(max(0.0, deadline_s - self._runtime.monotonic_s()))
        except pykka.Timeout:
            self._abandon(one)
        else:
            self._down(TopicDown(one.cell, None))


_OF_ALL_TOPICS = frozenset((messages.AskCensus, messages.AskCrashed, messages.AskTopicsOf, messages.StopAll))


_HANDLERS: dict[type, Callable[[TopicSupervisor, Any], object]] = {
    Delivery: TopicSupervisor._accept,
    Order: TopicSupervisor._accept,
    Disconnection: TopicSupervisor._accept,
    messages.Follow: TopicSupervisor._follow,
    messages.AskTopicsOf: TopicSupervisor._ask_topics_of,
    messages.Recovered: TopicSupervisor._on_recovered,
    messages.Flush: TopicSupervisor._flush,
    messages.AskTopic: TopicSupervisor._ask_topic,
    messages.AskCensus: TopicSupervisor._ask_census,
    messages.AskCrashed: TopicSupervisor._ask_crashed,
    messages.AskTree: TopicSupervisor._ask_tree,
    messages.Close: TopicSupervisor._close,
    messages.EnterCluster: TopicSupervisor._enter_cluster,
    messages.Arrived: TopicSupervisor._arrive,
    TopicEmpty: TopicSupervisor._topic_empty,
    TimerFired: TopicSupervisor._on_timer,
    HookOverdue: TopicSupervisor._hook_overdue,
    TopicDown: TopicSupervisor._down,
    messages.StopAll: TopicSupervisor._stop_all,
    Due: lambda _supervisor, due: due.pass_by(),
}
