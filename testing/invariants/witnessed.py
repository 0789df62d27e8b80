"""A runtime over the simulation's: its topic actors and its supervisor do all that they do before a witness."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from lightspeed.actors.runtime import Reply, Runtime, RuntimeOver, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Delivery, Order, Outlet, Post
from lightspeed.actors.topics.rules.presence import Roster
from lightspeed.actors.topics.rules.topic import Messages, TopicState
from lightspeed.supervision.topics import TopicSupervisor
from lightspeed.testing.invariants.witness import Witness
from lightspeed.testing.trace import Trace, printable

if TYPE_CHECKING:
    _Topic = TopicActor
    _Supervisor = TopicSupervisor
else:
    _Topic = _Supervisor = object  # each is mixed into its role


class WitnessedRuntime(RuntimeOver):
    """Every topic actor and supervisor that it starts is seen by the witness, and what they give out stands in the trace.

    Args:
        prefix: of their names in the trace.
    """

    def __init__(self, under: Runtime, witness: Witness, trace: Trace, prefix: str) -> None:
        super().__init__(under)
        self._witness, self._trace, self._prefix = witness, trace, prefix
        self._roles: dict[type, type] = {}

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        if issubclass(role, TopicSupervisor):
            runtime, outlet, *others = args
            return start(self._seen(role, _SeenSupervisor), runtime, self._outlet(outlet, None), *others)
        if issubclass(role, TopicActor):
            post = args[0]
            post.outlet = self._outlet(post.outlet.inner, post)
            return start(self._seen(role, _SeenTopic), *args)
        return start(role, *args)

    def _outlet(self, inner: Any, post: Post | None) -> "_SeenOutlet":
        name = "TopicSupervisor" if post is None else f"{post.topic}#{post.incarnation}"
        outlet = _SeenOutlet(inner, post, self._witness, self._trace, printable(f"{self._prefix}{name}"))
        self._witness.at_end.append(outlet.let_go)
        return outlet

    def _seen(self, role: type, mixin: type) -> type:
        if role not in self._roles:
            self._roles[role] = type(role.__name__, (mixin, role), {"witness": self._witness})
        return self._roles[role]


class _SmallRoster(Roster):
    __slots__ = ()

    worth_compacting = 1


class _SmallCrowd(TopicState, eq=False, gc=False):
    """A topic in which two are many: what is done otherwise for a crowd is done for few, and a few events can break it."""

    many = 2
    roster = _SmallRoster


class _SeenTopic(_Topic):
    witness: ClassVar[Witness]

    def __init__(self, post: Post, *others: Any) -> None:
        self.witness.started(post, self)
        self._at_work_on: Any = None
        super().__init__(post, *others)

    def make_state(self, post: Post) -> TopicState:
        state = super().make_state(post)
        return (
            _SmallCrowd(post.topic) if self.witness.has_crowds and type(state) is TopicState and post.incarnation % 2 else state
        )

    def on_receive(self, mail: Any) -> None:
        if mail is not self._at_work_on:  # else it comes once more, to one that was held up
            self._at_work_on = mail
            self.witness.works(self.post)
        super().on_receive(mail)

    def told_to_end(self) -> None:
        """For its inbox: it was sent an order to crash, or to stop."""
        self.witness.told_to_end(self.post)

    def on_end(self, error: BaseException | None) -> None:
        me: Any = self  # on a pool, where the simulation starts it
        waiting = {mail.seq for mail in (*me._pooled_taken, *me._pooled_inbox) if type(mail) is Delivery}
        self.witness.ended(self.post, error, waiting)
        self._at_work_on = None
        super().on_end(error)


class _SeenSupervisor(_Supervisor):
    witness: ClassVar[Witness]

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.witness.supervisor_failed(exception_value)
        super().on_failure(exception_type, exception_value, traceback)

    def on_receive(self, message: Any) -> Any:
        if type(message) is not Delivery and type(message) is not Order:
            return super().on_receive(message)
        self.witness.accepting(message)
        try:
            return super().on_receive(message)
        finally:
            self.witness.accepted()


class _SeenOutlet:
    """All of the other's, and what is put in is shown to the witness first."""

    def __init__(self, inner: Any, post: Post | None, witness: Witness, trace: Trace, name: str) -> None:
        self.inner, self._post, self._witness, self._entries, self._name = inner, post, witness, trace.entries, name
        self.deliver, self.ring, self.settle, self.close = inner.deliver, inner.ring, inner.settle, inner.close
        self.is_at_work = inner.is_at_work

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> bool:
        if messages or seq:  # a question gives nothing out, and has no number
            if messages:
                self._entries.append(("out", self._name, messages))
            self._witness.put(self._post, seq, topic, messages)
        return bool(self.inner.put(seq, topic, messages, reply, value))

    def let_go(self) -> None:
        """The simulation is over. A post is out of the collector's sight, and leads back here by more than one way."""
        if self._post is not None:
            self._post.outlet, self._post.report, self._post.in_hand = self.inner, _to_nobody, {}
            self._post.state = self._post.behaved = None
            self._post = None

    def abandon(self, topic: str) -> None:
        self._witness.abandoned(topic)
        self.inner.abandon(topic)


def _to_nobody(_what: object) -> None:
    """Where a post of a simulation that is over reports to."""


_: type[Outlet] = _SeenOutlet
