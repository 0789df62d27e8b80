"""The channel as an embedder holds it, and where its messages are carried."""

import sys
from types import TracebackType
from typing import Any, Self, Unpack, cast

import pykka

from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import ChannelClosed, ChannelTimeout, InsideActor, OutboxOff
from lightspeed.actors.logs import settle
from lightspeed.actors.topics.mail import Delivery
from lightspeed.actors.topics.rules.events import Event, TopicEvent, check_event
from lightspeed.actors.topics.rules.outbound import Outbound
from lightspeed.actors.topics.rules.presence import Entry
from lightspeed.actors.topics.rules.topic import Messages
from lightspeed.channel.core import GRACE_S, Answer, ChannelCore, Job
from lightspeed.channel.line import MAILS, ChannelLine
from lightspeed.channel.options import ChannelOptions, ClusterReady, SingleNode, check_seconds
from lightspeed.clients import Client, Inbox
from lightspeed.cluster import Engine
from lightspeed.supervision import Tree
from lightspeed.supervision.asking import wait_here
from lightspeed.supervision.topics.messages import Flush


class Channel(ChannelCore):
    """Topics, pubsub and presence, every topic an actor of its own under one supervisor actor.

    Any thread may call any of it. What waits takes at most `timeout_s` and then raises `ChannelTimeout`; inside an actor or a
    sink of a channel it raises `InsideActor`. Once closed, everything but `flush_outbox`, `close`, `metrics` and
    the dead letters raises `ChannelClosed`.

    Args:
        adapter: what `adapter_label` says; a `ClusterReady` with an engine is one of several nodes. Default: a single node.
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
        NodeNameTaken: a living node of the cluster has the name.
        RuntimeError: Python's own, where each actor has a thread and not even the supervisor's can be started.
    """

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
        self._do(self._handled(event))

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
        return self._do(self._call(event, timeout_s, is_clients=False))

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
        session = self._do(self._session(client_id, user_id, meta, inbox, auto_rejoin=auto_rejoin, take_over=take_over))
        return Client(ChannelLine(self), session, meta)

    def topics_of(self, client_id: str) -> tuple[str, ...]:
        """The topics that the client is in, sorted. It waits, and raises, as `crashed` does; what it costs grows with them.

        From its first use on, or a client's, or a `Disconnect`'s, an index is kept, of at most 120 bytes a membership.
        """
        return self._do(self._find_topics_of(client_id))

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
            last_seq: float = self._do(self._ask("flush_outbox", Flush))
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
        return self._do(self._is_crashed())

    @property
    def membership_count(self) -> int:
        """The number of (client, topic) pairs, topics that are coming back included. It waits, and raises, as `crashed`."""
        return self._do(self._count_memberships())

    def topics(self) -> tuple[str, ...]:
        """The names of topics that have members, sorted. It waits, and raises, as `crashed` does."""
        return self._do(self._list_topics())

    def subscribers(self, topic: str) -> tuple[str, ...]:
        """The topic's client ids in subscription order; empty for an unknown topic. It waits, and raises, as `crashed` does."""
        answer: tuple[str, ...] = self._do(self._ask_topic("subscribers", topic))
        return answer

    def presences(self, topic: str) -> tuple[Entry, ...]:
        """The topic's presence entries, keys in the order in which they appeared; empty for an unknown topic.

        It waits, and raises, as `crashed` does.
        """
        answer: tuple[Entry, ...] = self._do(self._ask_topic("presences", topic))
        return answer

    def tree(self) -> Tree:
        """The supervisor, and below it every topic that has an actor, comes up or is down, sorted by name; `str` of it is a text.

        It waits for no topic: `members` is as of the last event that a topic is done with.
        """
        return self._do(self._draw_tree())

    def close(self, timeout_s: float | None = None) -> None:
        """Take no more events, handle those accepted, then stop every actor and wait for its thread. Again is harmless.

        In a signal handler or a finalizer that has interrupted a call of this channel in this thread, it begins the end and
        returns: that call must come to its own end first. Call it again later to wait.

        Args:
            timeout_s: after this many seconds whoever is still busy is abandoned. None, the default: the channel's own.

        Raises:
            ChannelTimeout: someone was abandoned; it names them. Their daemon threads hold up no exit.
        """
        timeout_s = self._begin_close(timeout_s)
        if timeout_s:
            self._await_end("close", timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        self.close()

    # Waiting

    def _begin(self) -> None:
        try:
            self._do(self._see_entry())
        except BaseException:
            self.close()
            raise

    def _do(self, job: Job[Answer]) -> Answer:
        """Have the calling thread wait for what the job waits for."""
        return wait_here(job, lambda wait: self._await(wait.call, wait.reply, wait.timeout_s))

    def _await(self, call: str, reply: pykka.Future[Any], timeout_s: float | None = None) -> Any:
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            return reply.get(timeout=timeout_s)
        except pykka.Timeout:
            raise ChannelTimeout(call, timeout_s) from None

    def _await_end(self, call: str, timeout_s: float) -> None:
        deadline_s = self._runtime.monotonic_s() + timeout_s + GRACE_S
        try:
            self._done.get(timeout=timeout_s + GRACE_S)
        except pykka.Timeout:
            if sys.is_finalizing():
                return  # a finalizer's, after Python has stopped all threads: there is nobody to wait for
            raise ChannelTimeout(call, timeout_s) from None
        if sys.is_finalizing():
            return
        busy = self._runtime.join(max(0.0, deadline_s - self._runtime.monotonic_s()))
        settle(min(GRACE_S, timeout_s))
        self._end_close(call, timeout_s, busy)


def new_single_node(**options: Unpack[ChannelOptions]) -> Channel:
    """A running, empty channel within this process. Options as of `Channel`."""
    return Channel(SingleNode(), **options)


def new_cluster_ready(node_id: str, cluster: str, engine: Engine | None = None, **options: Unpack[ChannelOptions]) -> Channel:
    """A running, empty channel that knows which node of which cluster it is; with an engine the others' broadcasts and presence
    come here, and its own go there. Options as of `Channel`.

    Raises:
        NodeNameTaken: a living node of the cluster has the name.
    """
    return Channel(ClusterReady(node_id, cluster, engine), **options)
