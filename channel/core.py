"""What a channel is, whoever waits for it: a thread, or a coroutine.

What is asked of a channel is a *job*: a generator that gives each answer that has to be waited for, and is sent what was
answered. `Channel` has the calling thread wait, `AsyncChannel` the calling coroutine.
"""

import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeVar
from warnings import warn

import pykka

from lightspeed.actors.context import current_actor, here
from lightspeed.actors.errors import (
    ChannelClosed,
    ChannelTimeout,
    ClientExists,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    LightspeedError,
    NodeNameTaken,
    Refused,
)
from lightspeed.actors.loop import Loop
from lightspeed.actors.runtime import Layer, Pool, Runtime, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Collected, Delivery, Disconnection, Order
from lightspeed.actors.topics.rules.events import Event, Join, Patterns, check_event
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.capsules import Capsules
from lightspeed.channel.line import MAILS, Teller
from lightspeed.channel.options import (
    Adapter,
    ClusterReady,
    SingleNode,
    check_adapter,
    check_behaviours,
    check_layers,
    check_mailboxes,
    check_most,
    check_rejoin,
    check_restarts,
    check_seconds,
    check_several,
    check_shorthands,
    check_sink,
    take,
)
from lightspeed.clients import Inbox
from lightspeed.clients.hub import Hub
from lightspeed.clients.session import Session
from lightspeed.cluster import Engine
from lightspeed.cluster.node import Node, NodeRelay, Once, Place
from lightspeed.faults import FaultPlan
from lightspeed.faults.injector import Injector
from lightspeed.faults.runtime import FaultyRuntime
from lightspeed.metrics.snapshot import Readings
from lightspeed.supervision import Tree
from lightspeed.supervision.topics import (
    Ingress,
    Mailbox,
    Options,
    Outbox,
    Restarts,
    Sink,
    SinkActor,
    SinkQueues,
    TopicSupervisor,
)
from lightspeed.supervision.topics.messages import (
    AskCensus,
    AskCrashed,
    AskTopic,
    AskTopicsOf,
    AskTree,
    Close,
    EnterCluster,
    Follow,
)

DEFAULT_RUNTIME: type[Runtime] = Pool

# After its own deadline a supervisor abandons who is left and ends at once; this is for its answer to arrive.
GRACE_S = 1.0


class Wait(NamedTuple):
    """An answer that a job waits for."""

    call: str
    """On whose behalf."""
    reply: pykka.Future[Any]
    timeout_s: float | None = None
    """None: the channel's own."""


Answer = TypeVar("Answer")
Job = Generator[Wait, Any, Answer]


class ChannelCore(Readings):
    """Options as of `Channel`."""

    _awaits = False
    """Whether a coroutine waits, on an event loop."""

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
        mailboxes: Mapping[str, Mailbox] | Mailbox | None = None,
        outbox: bool | None = None,
        max_outbox: int | None = 1_000_000,
        max_topics: int | None = None,
        max_members: int | None = None,
        faults: FaultPlan | None = None,
        capsules: Capsules | None = None,
        layers: Sequence[Layer] = (),
        runtime: Runtime | None = None,
    ) -> None:
        self._adapter = check_adapter(SingleNode() if adapter is None else adapter)
        engine = self._adapter.engine if isinstance(self._adapter, ClusterReady) else None
        self._timeout_s = check_seconds("timeout_s", timeout_s)
        options = Options(
            rejoin_window_s=check_seconds("rejoin_window_s", rejoin_window_s),
            crash_timeout_s=check_seconds("crash_timeout_s", crash_timeout_s),
            behaviours=Patterns("behaviours", check_behaviours({} if behaviours is None else behaviours)),
            event_timeout_s=check_seconds("event_timeout_s", event_timeout_s),
            restarts=check_restarts(restarts),
            rejoin=check_rejoin(rejoin),
            own_thread=Patterns("own_thread", dict.fromkeys(check_several("own_thread", own_thread), True)),
            mailboxes=Patterns("mailboxes", check_mailboxes(mailboxes)),
            max_topics=check_most("max_topics", max_topics),
            max_members=check_most("max_members", max_members),
            is_clustered=engine is not None,
        )
        if not (outbox is None or isinstance(outbox, bool)):
            raise InvalidOption("outbox", outbox, "must be a bool or None")
        self._keeps_outbox, self._is_brought_back = outbox, rejoin == "supervisor"
        check_sink(on_outbound)
        layers = (*check_layers(layers), *check_shorthands(capsules, faults))
        most_outbox = check_most("max_outbox", max_outbox)
        if isinstance(runtime, Loop) and not self._awaits:
            raise InvalidOption("runtime", runtime, "must not be a Loop, which is for an AsyncChannel")
        runtimes = [take("runtime", DEFAULT_RUNTIME() if runtime is None else runtime)]
        if engine is not None:
            take("engine", engine)
        for layer in layers:
            runtimes.append(layer.over(runtimes[-1]))
        self._faults: Injector | None = next((over.injector for over in runtimes if isinstance(over, FaultyRuntime)), None)
        self._runtime = runtimes[-1]
        self._outbox = Outbox(most_outbox)
        if outbox is False:
            self._outbox.keep_nothing()
        self._begin_readings(runtimes)
        outlet: Outbox | SinkQueues = self._outbox
        if on_outbound is not None:
            outlet = SinkQueues(on_outbound, self._runtime, self._dead_letters)
        self._outlet = outlet
        self._ingress = Ingress()
        self._hub: Hub | None = None
        self._hub_lock = threading.RLock()  # a finalizer may disconnect within a call
        self._done = self._runtime.future()
        try:
            self._supervisor = self._runtime.start(
                TopicSupervisor,
                *(self._runtime, outlet, self._ingress, options, self._dead_letters, self._done, self._counts),
            )
        except BaseException:
            outlet.close()
            raise
        self._entered: pykka.Future[Any] | None = None
        self._node: SupervisedRef | None = None
        if engine is not None:
            self._enter_cluster(engine)
        self._finalizer = weakref.finalize(self, _unclosed, self._ingress, self._supervisor, self._adapter.label)
        self._begin()

    def _begin(self) -> None:
        """Everything has started. For who can wait here for what that brings."""

    def _enter_cluster(self, engine: Engine) -> None:
        adapter = self._adapter
        assert isinstance(adapter, ClusterReady)
        boot = "".join(f"{int(self._runtime.random() * 2**32):08x}" for _ in range(3))
        place = Place(adapter.node_id, adapter.cluster, boot, adapter.lease_s, adapter.beat_s, adapter.max_waiting_bytes)
        self._entered = self._runtime.future()
        args = (place, engine, self._runtime, self._supervisor, self._node_counts, Once(self._entered))
        self._node = self._runtime.start(Node, *args)
        self._ingress.tell(self._supervisor, EnterCluster(NodeRelay(self._node)), waits=True)

    def _see_entry(self) -> Job[None]:
        """Wait until it is known whether the node's name is free."""
        if self._entered is None:
            return
        entered = yield Wait("start", self._entered)
        assert isinstance(self._adapter, ClusterReady)
        if entered is False:
            raise NodeNameTaken(self._adapter.node_id, self._adapter.cluster)
        if isinstance(entered, str):
            raise InvalidOption("engine", self._adapter.engine, entered)
        if isinstance(entered, BaseException):
            raise entered

    # Events

    def tell(self, event: Event) -> None:
        """Hand the event over and return; an idle topic may have handled it then, in this thread. Events of one thread to one
        topic are handled in order.

        It may be called anywhere: in actors and sinks, in signal handlers and finalizers, also in the middle of another call.

        Raises:
            InvalidEvent: it is no event or breaks a rule; nothing was changed.
            Overloaded: a million events, or 256 MiB of them, wait already. It was not told.
            RuntimeError: Python's own: no thread can be started. It was not told.
        """
        check_event(event)
        if type(event) in MAILS:  # as long as there are topics: a worker's time, not the caller's
            self._put_in(MAILS[type(event)](event))
        elif not self._supervisor.handle_inline(delivery := Delivery(event)):  # type: ignore[arg-type]
            self._ingress.tell(self._supervisor, delivery)

    def _call(self, event: Event, timeout_s: float | None, *, is_clients: bool) -> Job[Messages]:
        check_event(event)
        self._refuse_inside("call")
        future = self._runtime.future()
        collected = Collected(future, is_clients=is_clients)
        self._put_in(MAILS.get(type(event), Delivery)(event, collected), waits=True)
        yield Wait("call", future, timeout_s)
        if is_clients and collected.is_shed:
            raise Refused("error", "overloaded")
        return (*collected.messages, *(message for part in collected.parts for message in part.messages))

    def _handled(self, event: Event) -> Job[None]:
        """An event that an idle topic could not handle here and now."""
        self._refuse_inside("handle")
        reply = self._runtime.future()
        self._put_in(MAILS.get(type(event), Delivery)(event, reply), waits=True)
        yield Wait("handle", reply)

    def _put_in(self, mail: Delivery | Order | Disconnection, *, waits: bool = False) -> None:
        if type(mail) is Disconnection and self._hub is None:
            self._begin_to_follow()
        self._ingress.tell(self._supervisor, mail, waits=waits)

    # Clients

    def _session(
        self, client_id: str, user_id: str, meta: str, inbox: Inbox | None, *, auto_rejoin: bool, take_over: bool
    ) -> Job[Session]:
        check_event(Join(client_id, "-", user_id, 0, meta))
        if not (inbox is None or isinstance(inbox, Inbox)):
            raise InvalidOption("inbox", inbox, "must be an Inbox or None")
        self._refuse_inside("client")
        hub = self._begin_to_follow()
        after_ms = -1
        while True:
            with self._hub_lock:
                before: Any = hub.clients.get(client_id)
                if before is None:
                    session = hub.clients[client_id] = Session(
                        hub,
                        self._runtime,
                        Teller(self),
                        client_id,
                        user_id,
                        inbox=inbox or Inbox(),
                        auto_rejoin=auto_rejoin,
                        is_brought_back=self._is_brought_back,
                        after_ms=after_ms,
                    )
                    break
            if not take_over:
                raise ClientExists(client_id)
            try:
                if before.begin_end("another client took over"):
                    yield from self._call(before.farewell(), None, is_clients=True)
                    before.has_left = True
            finally:
                after_ms = before.last_ms  # if its farewell is yet to come, it is older than what comes of this one
                before.end()
        try:
            if self._keeps_outbox is None and self._outbox.keeps:
                self._outbox.keep_nothing()
            yield from self._ask("client", lambda reply: Follow(hub, reply, client_id))
        except BaseException:
            session.leave_all("it could not be made")
            raise
        return session

    def _find_topics_of(self, client_id: str) -> Job[tuple[str, ...]]:
        if type(client_id) is not str:
            raise InvalidEvent("client_id", client_id, "must be a str")
        self._refuse_inside("topics_of")
        self._begin_to_follow()
        found: dict[str, bool] = yield from self._ask("topics_of", lambda reply: AskTopicsOf(client_id, reply))
        return tuple(sorted(topic for topic, is_in in found.items() if is_in))

    def _begin_to_follow(self) -> Hub:
        """Have an index kept, if there is none yet; it does not wait for what is in it."""
        with self._hub_lock:
            if self._hub is None:
                hub = Hub()
                self._ingress.tell(self._supervisor, Follow(hub))
                self._hub = hub
            return self._hub

    # Questions

    def _ask(self, call: str, message: Callable[[Any], Any]) -> Job[Any]:
        self._refuse_inside(call)
        reply = self._runtime.future()
        self._ingress.tell(self._supervisor, message(reply), waits=True)
        return (yield Wait(call, reply))

    def _ask_topic(self, call: str, topic: str) -> Job[Any]:
        if type(topic) is not str:
            raise InvalidEvent("topic", topic, "must be a str")
        return (yield from self._ask(call, lambda reply: AskTopic(topic, attrgetter(call), reply)))

    def _is_crashed(self) -> Job[bool]:
        return bool((yield from self._ask("crashed", AskCrashed)))

    def _count_memberships(self) -> Job[int]:
        return sum((yield from self._ask("membership_count", AskCensus)).values())

    def _list_topics(self) -> Job[tuple[str, ...]]:
        census: dict[str, int] = yield from self._ask("topics", AskCensus)
        return tuple(sorted(topic for topic, members in census.items() if members))

    def _draw_tree(self) -> Job[Tree]:
        phase, topics = yield from self._ask("tree", AskTree)
        children = (*self._draw_cluster(), *(topics[topic] for topic in sorted(topics)))
        return Tree(self._adapter.label, "supervisor", phase, children=children)

    def _draw_cluster(self) -> tuple[Tree, ...]:
        if self._node is None:
            return ()
        views = self._node_counts.views()
        nodes = tuple(Tree(view.name, "node", view.state, silent=view.silent, lost=view.lost) for view in views)
        return (Tree("cluster", "cluster", "running", children=nodes),)

    @property
    def adapter_label(self) -> str:
        """`single_node` or `cluster_ready:<cluster>/<node_id>`."""
        self._ingress.check_process()
        if self._ingress.is_shut:
            raise ChannelClosed
        return self._adapter.label

    @property
    def faults(self) -> Injector | None:
        """What of the fault plan has fired; None without a plan. Never waits."""
        self._ingress.check_process()
        return self._faults

    # The end

    def _begin_close(self, timeout_s: float | None) -> float:
        """Have the end begin; how many seconds it may take. 0: the caller is not to wait for it."""
        interrupts = self._interrupts
        if not interrupts:
            self._refuse_inside("close")
        timeout_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        try:
            self._ingress.tell_last(self._supervisor, Close(timeout_s))
        except ChannelClosed:
            pass  # another call, or stop_all(), was first: wait for its end
        if interrupts:
            return 0.0
        self._finalizer.detach()
        return timeout_s

    def _end_close(self, call: str, timeout_s: float, busy: Sequence[str]) -> None:
        """What to say when all that would end has: who has not."""
        if busy:
            self._outlet.give_up()
            raise ChannelTimeout(f"{call}, which abandoned {', '.join(busy)},", timeout_s)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._adapter.label}{' closed' if self._ingress.is_shut else ''}>"

    @property
    def _interrupts(self) -> bool:
        """Whether this is called in the middle of a call of this channel in this thread: by a finalizer, or a signal handler."""
        within = isinstance(here.context.actor, (TopicActor, TopicSupervisor)) and not here.context.is_in_turn
        return within or self._ingress.is_passed_here or self._runtime.holds_here()

    def _refuse_inside(self, call: str) -> None:
        if self._interrupts:
            raise InsideActor(call, "a call of the channel that it interrupted")
        actor = current_actor()
        if isinstance(actor, (TopicActor, TopicSupervisor, SinkActor)):
            raise InsideActor(call, actor)


def _unclosed(ingress: Ingress, supervisor: SupervisedRef, label: str) -> None:
    """A channel was garbage, or the interpreter ends, and nobody closed it. This must not wait."""
    if not ingress.is_shut:
        try:
            warn(f"unclosed channel {label}: close() it, or use it in a with statement", ResourceWarning, stacklevel=2)
        finally:  # a warning may be an error
            try:
                ingress.tell_last(supervisor, Close(GRACE_S))
            except LightspeedError:
                pass  # its event loop has ended before it
