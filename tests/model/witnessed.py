"""A runtime over the simulation's: its topic actors and its supervisor do all that they do before a witness."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import pykka
from model.witness import Witness

from lightspeed.actors.future import PooledFuture
from lightspeed.actors.runtime import RefWrapper, ReplyTo, Runtime, RuntimeWrapper, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import Delivery, Disconnection, Order, Outlet, TopicCell
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.presence import Roster
from lightspeed.actors.topics.rules.topic import BoundedTopic, Messages, TopicState
from lightspeed.supervision.topics import TopicSupervisor

if TYPE_CHECKING:
    _Topic = TopicActor
    _Supervisor = TopicSupervisor
else:
    _Topic = _Supervisor = object  # each is mixed into its role


class WitnessedRuntime(RuntimeWrapper):
    """Every topic actor and supervisor that it starts is seen by the witness, and what they give out."""

    def __init__(self, inner: Runtime, witness: Witness) -> None:
        super().__init__(inner)
        self._witness = witness
        self._roles: dict[type, type] = {}

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        if issubclass(role, TopicSupervisor):
            runtime, outlet, *others = args
            return start(self._seen(role, _SeenSupervisor), runtime, self._outlet(outlet, None), *others)
        if issubclass(role, TopicActor):
            cell = args[0]
            cell.outlet = self._outlet(
                cell.outlet.inner.inner, cell
            )  # before it stands that of the simulation, and the supervisor's
            return _ToldRef(start(self._seen(role, _SeenTopic), *args), self._witness, cell)
        return start(role, *args)

    def future(self) -> pykka.Future[Any]:
        return _Future(self.inner.future().target)  # type: ignore[attr-defined]

    def _outlet(self, inner: Any, cell: TopicCell | None) -> "_SeenOutlet":
        return _SeenOutlet(inner, cell, self._witness)

    def _seen(self, role: type, mixin: type) -> type:
        if role not in self._roles:
            self._roles[role] = type(role.__name__, (mixin, role), {"witness": self._witness})
        return self._roles[role]


class _ToldRef(RefWrapper):
    """The reference to a topic's actor: an order to crash or to stop is seen as it is sent."""

    def __init__(self, inner: SupervisedRef, witness: Witness, cell: TopicCell) -> None:
        super().__init__(inner)
        self._witness, self._cell = witness, cell

    def tell(self, message: Any) -> None:
        if type(message) is Order:
            self._witness.told_to_end(self._cell)
        self.inner.tell(message)

    def request(self, message: Any) -> None:
        if type(message) is Order:
            self._witness.told_to_end(self._cell)
        self.inner.request(message)

    def stop_soon(self) -> None:
        if self.inner.is_alive():
            self._witness.told_to_end(self._cell)
        self.inner.stop_soon()


class _Future(PooledFuture):
    """One whose answer is seen when it comes."""

    __slots__ = ("seen",)

    def __init__(self, target: Any) -> None:
        super().__init__(target)
        self.seen: Callable[[Any], object] | None = None

    def set(self, value: Any = None) -> None:
        seen, self.seen = self.seen, None
        if seen is not None:
            seen(value)
        super().set(value)


class _SmallRoster(Roster):
    __slots__ = ()

    worth_compacting = 1


class _SmallCrowd(BoundedTopic, eq=False, gc=False):
    """A topic in which two are many: what is done otherwise for a crowd is done for few, and a few events can break it."""

    many = 2
    roster = _SmallRoster


class _SeenTopic(_Topic):
    witness: ClassVar[Witness]

    def __init__(self, cell: TopicCell, *others: Any) -> None:
        self.witness.started(cell, self)
        self._at_work_on: Any = None
        super().__init__(cell, *others)

    def make_state(self, cell: TopicCell) -> TopicState:
        state = super().make_state(cell)
        return (
            _SmallCrowd(cell.topic, max_members=cell.max_members)
            if self.witness.has_crowds and not isinstance(state, BehavedTopic) and cell.incarnation % 2
            else state
        )

    def on_receive(self, mail: Any) -> None:
        if mail is not self._at_work_on:  # else it comes once more, to one that was held up
            self._at_work_on = mail
            self.witness.works(self.cell)
        super().on_receive(mail)

    def begin_end(self) -> None:
        self.witness.works(self.cell)
        super().begin_end()

    def on_end(self, error: BaseException | None) -> None:
        me: Any = self  # on a pool, where the simulation starts it
        box = () if self.cell.box is None else self.cell.box._deliveries
        waiting = {mail.seq for mail in (*me._pooled_taken, *me._pooled_inbox, *box) if type(mail) is Delivery}
        self.witness.ended(self.cell, error, waiting)
        self._at_work_on = None
        super().on_end(error)


class _SeenSupervisor(_Supervisor):
    witness: ClassVar[Witness]

    def _shed(self, delivery: Delivery) -> None:
        before = self._dead_letters.count
        self.witness.mailboxes.sheds(delivery)
        super()._shed(delivery)
        count = self._dead_letters.count - before
        self.witness.mailboxes.wrote(delivery, self._dead_letters.read()[-count:] if count else ())

    def _sheds(self, one: Any, mail: Delivery, waiting: int, size: int) -> bool:
        what, before = self.witness.waiting_for(one), self._dead_letters.count
        self.witness.mailboxes.judges = mail.seq
        is_shed = super()._sheds(one, mail, waiting, size)
        self.witness.mailboxes.judges = 0
        if what is not None and (is_shed or self._dead_letters.count > before):
            self.witness.mailboxes.had_room(mail, what)
        return is_shed

    def _abandon(self, one: Any, stuck: Any = None) -> None:
        """A hook that is awaited ends when it is cancelled, at the end of an event's time: then it does not count as given up."""
        behaved = one.cell.behaved
        self.witness.is_cancelled = stuck is not None and behaved is not None and behaved.hook is not None
        super()._abandon(one, stuck)

    def _route(self, delivery: Delivery) -> None:
        if delivery.is_quiet:
            self.witness.derived(delivery)
        super()._route(delivery)

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.witness.supervisor_failed(exception_value)
        super().on_failure(exception_type, exception_value, traceback)

    def on_receive(self, message: Any) -> Any:
        if type(message) not in (Delivery, Disconnection, Order):
            return super().on_receive(message)
        self.witness.accepting(message)
        try:
            return super().on_receive(message)
        finally:
            self.witness.accepted()


class _SeenOutlet:
    """All of the other's, and what is put in is shown to the witness first."""

    def __init__(self, inner: Any, cell: TopicCell | None, witness: Witness) -> None:
        self.inner, self._cell, self._witness = inner, cell, witness
        self.deliver, self.ring, self.settle, self.close = inner.deliver, inner.ring, inner.settle, inner.close
        self.is_awaited = inner.is_awaited
        self.is_at_work, self.follow, self.trim = inner.is_at_work, inner.follow, inner.trim

    def put(
        self,
        seq: int,
        topic: str | None,
        messages: Messages,
        reply: ReplyTo | None,
        value: Any = None,
        state: TopicState | None = None,
    ) -> bool:
        if messages or seq:  # a question gives nothing out, and has no number
            self._witness.put(self._cell, seq, topic, messages)
        due = self._witness.clients.due(messages, reply)
        is_first = self.inner.put(seq, topic, messages, reply, value, state)
        self._witness.clients.given(due)
        return bool(is_first)

    def abandon(self, topic: str) -> None:
        self._witness.abandoned(topic)
        self.inner.abandon(topic)


_: type[Outlet] = _SeenOutlet
