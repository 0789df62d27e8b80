"""The channel as an embedder holds it, and where its messages are carried."""

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import TracebackType
from typing import Any, Literal, Self, Unpack, cast
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
    OutboxOff,
    Refused,
)
from lightspeed.actors.logs import settle
from lightspeed.actors.runtime import Layer, Pool, Runtime, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Collected, Delivery, Disconnection, Order
from lightspeed.actors.topics.rules.events import Event, Join, Patterns, TopicEvent, check_event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.actors.topics.rules.room import Behaviour
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.actors.workers import Worker
from lightspeed.capsules import Capsules
from lightspeed.channel.line import MAILS, ChannelLine, Teller
from lightspeed.channel.options import (
    Adapter,
    ChannelOptions,
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
    take_runtime,
)
from lightspeed.clients import Client, Inbox
from lightspeed.clients.hub import Hub
from lightspeed.clients.session import Session
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
    Flush,
    Follow,
)

DEFAULT_RUNTIME: type[Runtime] = Pool

# After its own deadline a supervisor abandons who is left and ends at once; this is for its answer to arrive.
_GRACE_S = 1.0


class Channel(Readings):
    """Topics, pubsub and presence, every topic an actor of its own under one supervisor actor.

    Any thread may call any of it. What waits takes at most `timeout_s` and then raises `ChannelTimeout`; inside an actor or a
    sink of a channel it raises `InsideActor`. Once closed, everything but `flush_outbox`, `close`, `metrics` and
    the dead letters raises `ChannelClosed`.

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
        mailboxes: how much may wait for a topic, and what becomes of more: for a name, or a prefix as `room:*`; or one `Mailbox`
            for all. Where nothing fits, and by default, `Mailbox()`.
        outbox: whether what comes out is kept for `flush_outbox`. None, the default: until the first client is made.
        max_outbox: so many messages are kept; beyond, the oldest go, and are counted. Default 1,000,000; None: any number.
        max_topics: so many topics there are; a join to one more is refused `too_many_topics`. None, the default: any number.
        max_members: so many members a topic takes; a join of one more is refused `too_many_members`. None: any number.
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
        )
        if not (outbox is None or isinstance(outbox, bool)):
            raise InvalidOption("outbox", outbox, "must be a bool or None")
        self._keeps_outbox, self._is_brought_back = outbox, rejoin == "supervisor"
        check_sink(on_outbound)
        layers = (*check_layers(layers), *check_shorthands(capsules, faults))
        most_outbox = check_most("max_outbox", max_outbox)
        runtimes = [take_runtime(DEFAULT_RUNTIME() if runtime is None else runtime)]
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
        if type(event) not in MAILS and self._supervisor.handle_inline(Delivery(cast("TopicEvent", event))):
            return
        self._refuse_inside("handle")
        reply = self._runtime.future()
        self._put_in(MAILS.get(type(event), Delivery)(event, reply), waits=True)
        self._await("handle", reply)

    def call(self, event: Event, timeout_s: float | None = None) -> tuple[Outbound, ...]:
        """As `handle`, and returns what was numbered with this event, in order: its reply, and what it gave out to others.

        Never what heals, is brought back or rings later. Of an event that fails its topic it is the reply `topic_crashed` alone.

        Args:
            timeout_s: the longest that it waits. None, the default: the channel's own.
        """
        actor = current_actor()
        if actor is not None:
            raise InsideActor("call", actor)
        if timeout_s is not None:
            check_seconds("timeout_s", timeout_s)
        return self._call(event, timeout_s, is_clients=False)

    def _call(self, event: Event, timeout_s: float | None, *, is_clients: bool) -> Messages:
        check_event(event)
        self._refuse_inside("call")
        future = self._runtime.future()
        collected = Collected(future, is_clients=is_clients)
        self._put_in(MAILS.get(type(event), Delivery)(event, collected), waits=True)
        self._await("call", future, timeout_s)
        if is_clients and collected.is_shed:
            raise Refused("error", "overloaded")
        return (*collected.messages, *(message for part in collected.parts for message in part.messages))

    def _put_in(self, mail: Delivery | Order | Disconnection, *, waits: bool = False) -> None:
        if type(mail) is Disconnection and self._hub is None:
            self._begin_to_follow()
        self._ingress.tell(self._supervisor, mail, waits=waits)

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

    # Clients

    def client(
        self,
        client_id: str,
        user_id: str,
        *,
        meta: str = "",
        inbox: Inbox | None = None,
        auto_rejoin: bool = True,
        take_over: bool = False,
    ) -> Client:
        """A client of this channel, which is in no topic yet, but where its id is already: it follows what is given out.

        Args:
            client_id: one living client has it.
            user_id: the presence key of its joins.
            meta: the text of its presences, where a join gives no other. Default: none.
            inbox: what waits for its reader, and what becomes of more. None, the default: `Inbox()`.
            auto_rejoin: whether it comes back by itself to a topic that ended by a failure or a crash. Default True.
            take_over: whether a living client of this id is closed, and this one takes its place. Default False.

        Raises:
            ClientExists: there is a living client of this id.
            InvalidEvent: an id, the user or the meta breaks the rule of a join's.
        """
        check_event(Join(client_id, "-", user_id, 0, meta))
        if not (inbox is None or isinstance(inbox, Inbox)):
            raise InvalidOption("inbox", inbox, "must be an Inbox or None")
        self._refuse_inside("client")
        hub, line = self._begin_to_follow(), ChannelLine(self)
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
                    self._call(before.farewell(), None, is_clients=True)
                    before.has_left = True
            finally:
                after_ms = before.last_ms  # if its farewell is yet to come, it is older than what comes of this one
                before.end()
        try:
            if self._keeps_outbox is None and self._outbox.keeps:
                self._outbox.keep_nothing()
            self._ask("client", lambda reply: Follow(hub, reply, client_id))
        except BaseException:
            session.leave_all("it could not be made")
            raise
        return Client(line, hub, session, meta)

    def topics_of(self, client_id: str) -> tuple[str, ...]:
        """The topics that the client is in, sorted. It waits, and raises, as `crashed` does; what it costs grows with them.

        From its first use on, or a client's, or a `Disconnect`'s, an index is kept, of at most 120 bytes a membership.
        """
        if type(client_id) is not str:
            raise InvalidEvent("client_id", client_id, "must be a str")
        self._refuse_inside("topics_of")
        self._begin_to_follow()
        found: dict[str, bool] = self._ask("topics_of", lambda reply: AskTopicsOf(client_id, reply))
        return tuple(sorted(topic for topic, is_in in found.items() if is_in))

    def _begin_to_follow(self) -> Hub:
        """Have an index kept, if there is none yet; it does not wait for what is in it."""
        with self._hub_lock:
            if self._hub is None:
                hub = Hub()
                self._ingress.tell(self._supervisor, Follow(hub))
                self._hub = hub
            return self._hub

    def flush_outbox(self) -> list[Outbound]:
        """Take every outbound message of the events accepted before the call, in the order of acceptance.

        With a sink the list is empty, and the sink has been given them. After `close` it is what was left. Where a Ctrl-C or a
        signal handler's exception ends the call, the next one gets them; where it comes between the return and your assignment,
        they are lost.

        Raises:
            OutboxOff: nothing is kept, since the channel has clients, or was made with `outbox=False`.
        """
        self._refuse_inside("flush_outbox")
        if not self._outbox.keeps:
            raise OutboxOff
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
        timeout_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
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

    def _await(self, call: str, reply: pykka.Future[Any], timeout_s: float | None = None) -> Any:
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            return reply.get(timeout=timeout_s)
        except pykka.Timeout:
            raise ChannelTimeout(call, timeout_s) from None

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
