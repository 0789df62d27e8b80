"""A runtime over the simulation's: its topic actors and its supervisor do all that they do before a witness."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from lightspeed.actors.post import Delivery, Order, Outlet, Post
from lightspeed.actors.runtime import Reply, Runtime, SupervisedRef
from lightspeed.actors.runtime_over import RuntimeOver
from lightspeed.actors.topic import Messages
from lightspeed.actors.topic_actor import TopicActor
from lightspeed.supervision import TopicSupervisor
from lightspeed.testing.trace import Trace
from lightspeed.testing.witness import Witness

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
        return _SeenOutlet(inner, post, self._witness, self._trace, f"{self._prefix}{name}")

    def _seen(self, role: type, mixin: type) -> type:
        if role not in self._roles:
            self._roles[role] = type(role.__name__, (mixin, role), {"witness": self._witness})
        return self._roles[role]


class _SeenTopic(_Topic):
    witness: ClassVar[Witness]

    def __init__(self, post: Post, *others: Any) -> None:
        self.witness.started(post)
        super().__init__(post, *others)

    def told_to_end(self) -> None:
        """For its inbox: it was sent an order to crash or to stop."""
        self.witness.told_to_end(self.post)

    def on_end(self, error: BaseException | None) -> None:
        me: Any = self  # on a pool, where the simulation starts it
        waiting = {mail.seq for mail in (*me._pooled_taken, *me._pooled_inbox) if type(mail) is Delivery}
        self.witness.ended(self.post, error, waiting)
        super().on_end(error)


class _SeenSupervisor(_Supervisor):
    witness: ClassVar[Witness]

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

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> bool:
        if messages or seq:  # a question gives nothing out, and has no number
            if messages:
                self._entries.append(("out", self._name, messages))
            self._witness.put(self._post, seq, topic, messages)
        return bool(self.inner.put(seq, topic, messages, reply, value))

    def abandon(self, topic: str) -> None:
        self._witness.abandoned(topic)
        self.inner.abandon(topic)


_: type[Outlet] = _SeenOutlet
