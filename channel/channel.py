"""The channel as an embedder holds it, and where its messages are carried."""

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from operator import attrgetter
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack
from warnings import warn

import pykka
from msgspec import Struct

from lightspeed.actors.checks import YEAR_S
from lightspeed.actors.context import current_actor, here
from lightspeed.actors.errors import ChannelClosed, ChannelTimeout, InsideActor, InvalidEvent, InvalidOption
from lightspeed.actors.logs import settle
from lightspeed.actors.process import WeakBag, in_forked_child
from lightspeed.actors.runtime import Layer, Pool, Runtime, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Delivery, Order
from lightspeed.actors.topics.rules.events import Crash, Event, Patterns, Restart, check_event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.actors.workers import Worker
from lightspeed.capsules import Capsules
from lightspeed.faults import FaultPlan
from lightspeed.faults.injector import Injector
from lightspeed.faults.runtime import FaultyRuntime
from lightspeed.supervision import Tree
from lightspeed.supervision.topics import (
    DeadLetter,
    DeadLetters,
    Ingress,
    Options,
    Outbox,
    Restarts,
    Sink,
    SinkActor,
    SinkQueues,
    TopicSupervisor,
)
from lightspeed.supervision.topics.messages import AskCensus, AskCrashed, AskTopic, AskTree, Close, Flush


class SingleNode(Struct, frozen=True):
    """Everybody is in this process."""

    @property
    def label(self) -> str:
        return "single_node"


class ClusterReady(Struct, frozen=True):
    """This node of a cluster. For now it delivers within this process, as `SingleNode` does; its identity is carried along."""

    node_id: str
    """Not empty."""
    cluster: str
    """Not empty."""

    @property
    def label(self) -> str:
        return f"cluster_ready:{self.cluster}/{self.node_id}"


Adapter = SingleNode | ClusterReady


class ChannelOptions(TypedDict, total=False):
    """The keyword arguments of `Channel`, for those who hand them on: editors and type checkers know them there too."""

    on_outbound: Sink | None
    timeout_s: float
    rejoin_window_s: float
    crash_timeout_s: float
    own_thread: Iterable[str]
    behaviours: Mapping[str, Callable[[], Behaviour]] | None
    event_timeout_s: float
    restarts: Restarts | None
    rejoin: Literal["client", "supervisor"]
    faults: FaultPlan | None
    capsules: Capsules | None
    layers: Sequence[Layer]
    runtime: Runtime | None


DEFAULT_RUNTIME: type[Runtime] = Pool

_ORDERS = frozenset((Crash, Restart))

# After its own deadline a supervisor abandons who is left and ends at once; this is for its answer to arrive.
_GRACE_S = 1.0


class Channel:
    """Topics, pubsub and presence, every topic an actor of its own under one supervisor actor.

    Any thread may call any of it. What waits takes at most `timeout_s` and then raises `ChannelTimeout`; inside an actor or a
    sink of a channel it raises `InsideActor`. Once closed, everything but `flush_outbox`, `close` and the
    dead letters raises `ChannelClosed`.

    Args:
        adapter: what `adapter_label` says. Default: a single node.
        on_outbound: a sink that gets every outbound message: a callable, called where the topic's actor runs, or an ActorRef,
            told. Each topic's messages come in order and one at a time. None, the default, collects them for
            `flush_outbox`. What a sink raises is logged and hurts nobody.
        timeout_s: the longest that a call waits. Default 30.
        rejoin_window_s: how long a restarted topic waits for a first rejoin before its actor stops. Default 30.
        crash_timeout_s: after a `Crash`, how long no topic actor may come to its end before those left are abandoned. Default 5.
        own_thread: topics whose actors each have a thread of their own, since what they run (a sink) blocks long or often: names,
            and prefixes as `media:*`. Default: none, all share the runtime's workers.
        behaviours: the user's own code in topics: for a name, or a prefix as `room:*`, what makes the `Behaviour` of a topic,
            such as its class. Where nothing fits it is the plain relay.
        event_timeout_s: how long a behaviour may take over one event before its actor is given up and replaced. Default 5.
        restarts: what becomes of a topic whose code raised: how often and when it comes up again, and what waits for it.
        faults: what is to go wrong in this channel, on purpose. None, the default: nothing.
        rejoin: who brings the members of a topic back after its end: `client`, the default, they do by `Rejoin`; `supervisor`, it
            replays who was in it when it ended, which gives presence diffs and no replies.
        capsules: where a topic that fails leaves a file by which the failure can be repeated. None, the default: nowhere.
        layers: what else changes this channel's runtime, the first innermost; `capsules` and `faults` come over them. A layer
            is what has `over(runtime)`. Default: none.
        runtime: the kind of actor and the clock. Default: `Pool()`, all actors on one worker; `Threads()` gives each a daemon
            thread. It must be the channel's own: it ends with it.

    Raises:
        InvalidOption: an option has a value that it can't have.
        RuntimeError: Python's own, where each actor has a thread and not even the supervisor's can be started.
    """

    def __init__(
        self,
        adapter: Adapter | None = None,
        *,
        on_outbound: Sink | None = None,
        timeout_s: float = 30.0,
        rejoin_window_s: float = 30.0,
        crash_timeout_s: float = 5.0,
        own_thread: Iterable[str] = (),
        behaviours: Mapping[str, Callable[[], Behaviour]] | None = None,
        event_timeout_s: float = 5.0,
        restarts: Restarts | None = None,
        rejoin: Literal["client", "supervisor"] = "client",
        faults: FaultPlan | None = None,
        capsules: Capsules | None = None,
        layers: Sequence[Layer] = (),
        runtime: Runtime | None = None,
    ) -> None:
        self._adapter = _check_adapter(SingleNode() if adapter is None else adapter)
        self._timeout_s = _check_seconds("timeout_s", timeout_s)
        options = Options(
            rejoin_window_s=_check_seconds("rejoin_window_s", rejoin_window_s),
            crash_timeout_s=_check_seconds("crash_timeout_s", crash_timeout_s),
            behaviours=Patterns("behaviours", _check_behaviours({} if behaviours is None else behaviours)),
            event_timeout_s=_check_seconds("event_timeout_s", event_timeout_s),
            restarts=_check_restarts(restarts),
            rejoin=_check_rejoin(rejoin),
            own_thread=Patterns("own_thread", dict.fromkeys(_check_several("own_thread", own_thread), True)),
        )
        _check_sink(on_outbound)
        layers = (*_check_layers(layers), *_check_shorthands(capsules, faults))
        runtimes: list[Runtime] = [DEFAULT_RUNTIME() if runtime is None else _check_untaken(runtime)]
        for layer in layers:
            runtimes.append(layer.over(runtimes[-1]))
        self._faults: Injector | None = next((over.injector for over in runtimes if isinstance(over, FaultyRuntime)), None)
        self._runtime = runtimes[-1]
        _taken.add(runtimes[0])
        self._outbox = Outbox()
        self._dead_letters = DeadLetters()
        outlet: Outbox | SinkQueues = self._outbox
        if on_outbound is not None:
            outlet = SinkQueues(on_outbound, self._runtime, self._dead_letters)
        self._outlet = outlet
        self._ingress = Ingress()
        self._done = self._runtime.future()
        try:
            self._supervisor = self._runtime.start(
                TopicSupervisor, self._runtime, outlet, self._ingress, options, self._dead_letters, self._done
            )
        except BaseException:
            outlet.close()
            raise
        self._finalizer = weakref.finalize(self, _unclosed, self._ingress, self._supervisor, self._adapter.label)

    def handle(self, event: Event) -> None:
        """Return once the event has taken full effect, even when that effect was a failure.

        What a signal handler raises meanwhile is the caller's: the event takes effect whole, now or later, or not at all.

        Raises:
            InvalidEvent: it is no event or breaks a rule; nothing was changed.
            InsideActor: called inside an actor, of any class, or a sink; or in a signal handler or a finalizer, in the middle
                of another call of this channel.
            ChannelTimeout: it did not take effect in `timeout_s`; it still may.
            ChannelClosed: besides after a close, if the channel's own supervisor failed over the event.
            InForkedChild: this process was forked from the channel's; as of every call.
        """
        actor = current_actor()
        if actor is not None:
            raise InsideActor("handle", actor)
        check_event(event)
        is_order = type(event) in _ORDERS
        if not is_order and self._supervisor.handle_inline(Delivery(event)):  # type: ignore[arg-type]
            return
        self._refuse_inside("handle")
        reply = self._runtime.future()
        self._ingress.tell(self._supervisor, (Order if is_order else Delivery)(event, reply), waits=True)  # type: ignore[arg-type]
        self._await("handle", reply)

    def tell(self, event: Event) -> None:
        """Hand the event over and return; an idle topic may have handled it then, in this thread. Events of one thread to one
        topic are handled in order.

        It may be called anywhere: in actors and sinks, in signal handlers and finalizers, also in the middle of another call.

        Raises:
            InvalidEvent: it is no event or breaks a rule; nothing was changed.
            RuntimeError: Python's own: no thread can be started. It was not told.
        """
        check_event(event)
        if type(event) in _ORDERS:  # as long as there are topics: a worker's time, not the caller's
            self._ingress.tell(self._supervisor, Order(event))  # type: ignore[arg-type]
        elif not self._supervisor.handle_inline(delivery := Delivery(event)):  # type: ignore[arg-type]
            self._ingress.tell(self._supervisor, delivery)

    def flush_outbox(self) -> list[Outbound]:
        """Take every outbound message of the events accepted before the call, in the order of acceptance.

        With a sink the list is empty, and the sink has been given them. After `close` it is what was left. Where a Ctrl-C or a
        signal handler's exception ends the call, the next one gets them; where it comes between the return and your assignment,
        they are lost.
        """
        self._refuse_inside("flush_outbox")
        try:
            last_seq: float = self._ask("flush_outbox", Flush)
        except ChannelClosed:
            self._await_end("flush_outbox", self._timeout_s)
            last_seq = float("inf")
        taken: list[tuple[int, Messages]] = []
        try:
            self._outbox.take(last_seq, taken)
            flushed = [message for _seq, messages in taken for message in messages]
        except BaseException:  # the caller's own, as a Ctrl-C is
            self._outbox.give_back(taken)
            raise
        return flushed

    @property
    def crashed(self) -> bool:
        """Whether the channel is down as a whole, between a `Crash` and a `Restart`; a topic that is down by itself is not it.

        It waits for the events accepted before it, as a call would: at most `timeout_s`.

        Raises:
            ChannelTimeout: no answer came in `timeout_s`. InsideActor: called where it could wait for itself.
            ChannelClosed: the channel was closed.
        """
        return bool(self._ask("crashed", AskCrashed))

    @property
    def membership_count(self) -> int:
        """The number of (client, topic) pairs, topics that are coming back included. It waits, and raises, as `crashed`."""
        return sum(self._census("membership_count").values())

    @property
    def adapter_label(self) -> str:
        """`single_node` or `cluster_ready:<cluster>/<node_id>`."""
        self._ingress.check_process()
        if self._ingress.is_shut:
            raise ChannelClosed
        return self._adapter.label

    def topics(self) -> tuple[str, ...]:
        """The names of topics that have members, sorted. It waits, and raises, as `crashed` does."""
        return tuple(sorted(topic for topic, members in self._census("topics").items() if members))

    def subscribers(self, topic: str) -> tuple[str, ...]:
        """The topic's client ids in subscription order; empty for an unknown topic. It waits, and raises, as `crashed` does."""
        answer: tuple[str, ...] = self._ask_topic("subscribers", topic)
        return answer

    def presences(self, topic: str) -> tuple[Entry, ...]:
        """The topic's presence entries, keys in the order in which they appeared; empty for an unknown topic.

        It waits, and raises, as `crashed` does.
        """
        answer: tuple[Entry, ...] = self._ask_topic("presences", topic)
        return answer

    def tree(self) -> Tree:
        """The supervisor, and below it every topic that has an actor, comes up or is down, sorted by name; `str` of it is a text.

        It waits for no topic: `members` is as of the last event that a topic is done with.
        """
        phase, topics = self._ask("tree", AskTree)
        children = tuple(topics[topic] for topic in sorted(topics))
        return Tree(self._adapter.label, "supervisor", phase, children=children)

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The last 1,000 of what was accepted or given out and reached nobody, the oldest first. Never waits.

        They are fewer where their texts would have more than 10 MB together.
        """
        self._ingress.check_process()
        return self._dead_letters.read()

    @property
    def dead_letter_count(self) -> int:
        """How many dead letters there were in all. Never waits."""
        self._ingress.check_process()
        return self._dead_letters.count

    @property
    def abandoned_count(self) -> int:
        """How many topic actors were given up since they did not come back in time. Never waits."""
        self._ingress.check_process()
        return self._dead_letters.abandoned

    @property
    def faults(self) -> Injector | None:
        """What of the fault plan has fired; None without a plan. Never waits."""
        self._ingress.check_process()
        return self._faults

    def close(self, timeout_s: float | None = None) -> None:
        """Take no more events, handle those accepted, then stop every actor and wait for its thread. Again is harmless.

        In a signal handler or a finalizer that has interrupted a call of this channel in this thread, it begins the end and
        returns: that call must come to its own end first. Call it again later to wait.

        Args:
            timeout_s: after this many seconds whoever is still busy is abandoned. None, the default: the channel's own.

        Raises:
            ChannelTimeout: someone was abandoned; it names them. Their daemon threads hold up no exit.
        """
        interrupts = self._interrupts
        if not interrupts:
            self._refuse_inside("close")
        timeout_s = self._timeout_s if timeout_s is None else _check_seconds("timeout_s", timeout_s)
        try:
            self._ingress.tell_last(self._supervisor, Close(timeout_s))
        except ChannelClosed:
            pass  # another call, or stop_all(), was first: wait for its end
        if interrupts:
            return
        self._finalizer.detach()
        self._await_end("close", timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Channel {self._adapter.label}{' closed' if self._ingress.is_shut else ''}>"

    @property
    def _interrupts(self) -> bool:
        """Whether this is called in the middle of a call of this channel in this thread: by a finalizer, or a signal handler."""
        within = isinstance(here.context.actor, (TopicActor, TopicSupervisor)) and not isinstance(here.context, Worker)
        return within or self._ingress.is_passed_here or self._runtime.holds_here()

    def _refuse_inside(self, call: str) -> None:
        if self._interrupts:
            raise InsideActor(call, "a call of the channel that it interrupted")
        actor = current_actor()
        if isinstance(actor, (TopicActor, TopicSupervisor, SinkActor)):
            raise InsideActor(call, actor)

    def _ask(self, call: str, message: Callable[[Any], Any]) -> Any:
        self._refuse_inside(call)
        reply = self._runtime.future()
        self._ingress.tell(self._supervisor, message(reply), waits=True)
        return self._await(call, reply)

    def _await(self, call: str, reply: pykka.Future[Any]) -> Any:
        try:
            return reply.get(timeout=self._timeout_s)
        except pykka.Timeout:
            raise ChannelTimeout(call, self._timeout_s) from None

    def _ask_topic(self, call: str, topic: str) -> Any:
        if type(topic) is not str:
            raise InvalidEvent("topic", topic, "must be a str")
        return self._ask(call, lambda reply: AskTopic(topic, attrgetter(call), reply))

    def _census(self, call: str) -> dict[str, int]:
        census: dict[str, int] = self._ask(call, AskCensus)
        return census

    def _await_end(self, call: str, timeout_s: float) -> None:
        deadline_s = self._runtime.monotonic_s() + timeout_s + _GRACE_S
        try:
            self._done.get(timeout=timeout_s + _GRACE_S)
        except pykka.Timeout:
            if sys.is_finalizing():
                return  # a finalizer's, after Python has stopped all threads: there is nobody to wait for
            raise ChannelTimeout(call, timeout_s) from None
        if sys.is_finalizing():
            return
        busy = self._runtime.join(max(0.0, deadline_s - self._runtime.monotonic_s()))
        settle(min(_GRACE_S, timeout_s))
        if busy:
            self._outlet.give_up()
            raise ChannelTimeout(f"{call}, which abandoned {', '.join(busy)},", timeout_s)


def new_single_node(**options: Unpack[ChannelOptions]) -> Channel:
    """A running, empty channel within this process. Options as of `Channel`."""
    return Channel(SingleNode(), **options)


def new_cluster_ready(node_id: str, cluster: str, **options: Unpack[ChannelOptions]) -> Channel:
    """A running, empty channel that knows which node of which cluster it is. Options as of `Channel`."""
    return Channel(ClusterReady(node_id, cluster), **options)


def _unclosed(ingress: Ingress, supervisor: SupervisedRef, label: str) -> None:
    """A channel was garbage, or the interpreter ends, and nobody closed it. This must not wait."""
    if not ingress.is_shut:
        try:
            warn(f"unclosed channel {label}: close() it, or use it in a with statement", ResourceWarning, stacklevel=2)
        finally:  # a warning may be an error
            ingress.tell_last(supervisor, Close(_GRACE_S))


_taken: WeakBag[Runtime] = WeakBag()
in_forked_child(_taken.renew_lock)


def _check_untaken(runtime: Runtime) -> Runtime:
    """A runtime ends with its channel, and so is that one's alone."""
    if any(runtime is other for other in _taken):
        raise InvalidOption("runtime", runtime, "must be the channel's own: this one was another channel's")
    return runtime


def _check_layers(layers: Sequence[Layer]) -> list[Layer]:
    if not isinstance(layers, (tuple, list)):
        raise InvalidOption("layers", layers, "must be several layers, as a tuple or a list")
    for layer in layers:
        if isinstance(layer, type) or not isinstance(layer, Layer):
            raise InvalidOption("layers", layer, "must be a layer: what has over(runtime)")
    return list(layers)


def _check_shorthands(capsules: Capsules | None, faults: FaultPlan | None) -> list[Layer]:
    for option, layer, kind in (("capsules", capsules, Capsules), ("faults", faults, FaultPlan)):
        if not (layer is None or isinstance(layer, kind)):
            raise InvalidOption(option, layer, f"must be a {kind.__name__} or None")
    return [layer for layer in (capsules, faults) if layer is not None]


def _check_sink(sink: Sink | None) -> None:
    if not (sink is None or callable(sink) or isinstance(sink, pykka.ActorRef)):
        raise InvalidOption("on_outbound", sink, "must be a callable, an ActorRef or None")
    for code in (sink, getattr(type(sink), "__call__", None)):  # noqa: B004 - what a call of the object runs
        if iscoroutinefunction(code) or isgeneratorfunction(code) or isasyncgenfunction(code):
            raise InvalidOption(
                "on_outbound", sink, "must be a plain function: nobody would run the coroutine or generator of this one"
            )


def _check_adapter(adapter: Adapter) -> Adapter:
    if isinstance(adapter, ClusterReady):
        for option, value in (("node_id", adapter.node_id), ("cluster", adapter.cluster)):
            if type(value) is not str or not value:
                raise InvalidOption(option, value, "must be a str that is not empty")
    elif not isinstance(adapter, SingleNode):
        raise InvalidOption("adapter", adapter, "must be a SingleNode or a ClusterReady")
    return adapter


def _check_several(option: str, values: Iterable[str]) -> Iterable[str]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):  # one name would be taken for its letters
        raise InvalidOption(option, values, "must be several names, as a tuple or a list")
    return values


def _check_behaviours(behaviours: Mapping[str, Callable[[], Behaviour]]) -> Mapping[str, Callable[[], Behaviour]]:
    if not isinstance(behaviours, Mapping):
        raise InvalidOption("behaviours", behaviours, "must map patterns to Behaviour classes")
    for make in behaviours.values():
        if not callable(make):
            raise InvalidOption("behaviours", make, "must be a Behaviour class, or a function that makes one")
    return behaviours


def _check_restarts(restarts: Restarts | None) -> Restarts:
    if restarts is None:
        return Restarts()
    if not isinstance(restarts, Restarts):
        raise InvalidOption("restarts", restarts, "must be a Restarts or None")
    return restarts


def _check_rejoin(rejoin: Literal["client", "supervisor"]) -> Literal["client", "supervisor"]:
    if rejoin not in ("client", "supervisor"):
        raise InvalidOption("rejoin", rejoin, "must be client or supervisor")
    return rejoin


def _check_seconds(option: str, value: float) -> float:
    # Not `check_seconds`: here numbers of other kinds, such as numpy's, are taken too. nan compares to nothing.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= YEAR_S:
        raise InvalidOption(option, value, "must be a number of seconds above 0 and at most a year")
    return value
