"""The seam at which a fault plan comes in: a runtime over another one. Without a plan there is none of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pykka

from lightspeed.actors.errors import PoolClosed
from lightspeed.actors.runtime import RefWrapper, Runtime, RuntimeWrapper, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.mail import TopicCell
from lightspeed.faults.context import DelayedCalls, FaultContext, pauses_of
from lightspeed.faults.fault import Delay, Drop, Duplicate, FailSupervisor, Fault, Hang, Jump, Raise, Reorder, Slow
from lightspeed.faults.injector import Injector
from lightspeed.faults.plan import FaultPlan
from lightspeed.faults.topic import FaultySupervisor, FaultyTopic, TimedFault
from lightspeed.faults.way import UnreliableRef
from lightspeed.supervision.topics.supervisor import TopicSupervisor


class FaultyRuntime(RuntimeWrapper):
    """The runtime of one channel on which a plan acts."""

    def __init__(self, inner: Runtime, plan: FaultPlan) -> None:
        super().__init__(inner)
        self.injector = injector = Injector(plan)
        self._delayed = DelayedCalls(inner, injector.lose)
        self._context = FaultContext(injector, pauses_of(inner), self._delayed, self._elapsed_s, {})
        self._began_s, self._jumped_s = inner.monotonic_s(), 0.0
        self._way: UnreliableRef | None = None
        self._pausing = [index for index, _fault in injector.of(Slow, Hang)]

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        if issubclass(role, TopicSupervisor):
            _runtime, _outlet, ingress, *_rest = args
            ref = start(self.mixed(FaultySupervisor, role, faults=self._context), *args)
            self._set_times(ref)
            if not self.injector.of(Drop, Delay, Duplicate, Reorder):
                return ref
            self._way = UnreliableRef(ref, ingress, self._context)
            return self._way
        if issubclass(role, TopicActor):
            return self._begin_topic(start, role, args[0])
        return start(role, *args)

    def monotonic_s(self) -> float:
        return self.inner.monotonic_s() + self._jumped_s

    def now_ms(self) -> int:
        return max(0, self.inner.now_ms() + int(self._jumped_s * 1000))

    def retire(self) -> None:
        """The end: whoever is held up goes on, and what is put off is lost."""
        if self._way is not None:
            self._way.end()
        self._delayed.end()
        self._context.pauses.end_pauses()
        super().retire()

    def _begin_topic(self, start: Callable[..., SupervisedRef], role: type, cell: TopicCell) -> SupervisedRef:
        try:
            ref = start(self.mixed(FaultyTopic, role, faults=self._context), cell)
        except BaseException:
            self._context.alive.pop(cell, None)
            raise
        waits = any(self.injector.is_for(index, cell.topic) for index in self._pausing)
        return RefWrapper(ref) if waits else ref  # one that is held up must not hold up whoever tells it something

    def _elapsed_s(self) -> float:
        return self.inner.monotonic_s() - self._began_s

    # What comes at a time

    def _set_times(self, supervisor: SupervisedRef) -> None:
        acts: dict[type[Fault], Callable[[int, Fault], None]] = {
            Raise: self._tell_topics,
            Jump: self._jump,
            FailSupervisor: partial(_tell_due, supervisor),
        }
        for index, fault in self.injector.of(*acts):
            if fault.at_s is not None and not fault.needs_event:
                self._delayed.later(fault.at_s, partial(acts[type(fault)], index, fault), counts=False)

    def _tell_topics(self, index: int, fault: Fault) -> None:
        for cell, ref in self._context.alive.copy().items():
            if self.injector.is_for(index, cell.topic):
                _tell_due(ref, index, fault)

    def _jump(self, index: int, fault: Fault) -> None:
        assert isinstance(fault, Jump)
        if self.injector.fire(index, ""):
            self._jumped_s += fault.by_s


def _tell_due(ref: Any, index: int, fault: Fault) -> None:
    try:
        ref.tell(TimedFault(index, fault))
    except (pykka.ActorDeadError, PoolClosed):
        pass  # it is past that
