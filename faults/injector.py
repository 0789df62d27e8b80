"""Which faults of a plan are due, and what has fired."""

import pkgutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from lightspeed.actors.errors import FaultsNotFired, InvalidOption
from lightspeed.actors.topics.rules.events import Patterns, TopicEvent
from lightspeed.faults.fault import Fault, Place, Predicate, check_plain
from lightspeed.faults.plan import FaultPlan


class Injector:
    """One channel's plan at work. Any thread may use it: one lock guards every count, and no code of the user's runs under it.

    Raises:
        InvalidOption: it was given no plan, or a `when` of the plan names no function.
    """

    def __init__(self, plan: FaultPlan) -> None:
        if not isinstance(plan, FaultPlan):
            raise InvalidOption("faults", plan, "must be a FaultPlan or None")
        self.plan = plan
        self.on_fire: Callable[[int, str], object] | None = None
        """Called whenever a fault fires, with its place in the plan and the topic, in the thread in which it does. The topic is
        empty where the time has come for the supervisor or the clock. It must not wait."""
        self.on_strike: Callable[[Fault, TopicEvent | None], object] | None = None
        """As `on_fire`, with the fault and the event on which it acts; None: in a hook, or where its time has come."""
        self.lost = 0
        """How many events and replies were delayed beyond the end of the channel."""
        self._fired = [0] * len(plan.faults)
        self._lock = threading.Lock()
        self._numbers: Counter[tuple[Place, str]] = Counter()
        self._numbers_of_all: Counter[int] = Counter()
        self._incarnations: Counter[str] = Counter()
        self._once: set[tuple[int, str]] = set()  # where `at_s` has had its event
        self._patterns = [Patterns("topic", {fault.topic: True}) for fault in plan.faults]
        self._predicates = [_predicate(fault.when) for fault in plan.faults]

    @property
    def fired(self) -> tuple[int, ...]:
        """How often each fault has fired, in the order of the plan."""
        with self._lock:
            return tuple(self._fired)

    def expect_all(self) -> None:
        """Make sure that the whole plan came about.

        Raises:
            FaultsNotFired: it names the faults that never fired.
        """
        silent: dict[int, object] = {i: self.plan.faults[i] for i, count in enumerate(self.fired) if not count}
        if silent:
            raise FaultsNotFired(silent)

    # For the actors

    def of(self, *kinds: type[Fault]) -> list[tuple[int, Fault]]:
        """The faults of these kinds, with their places in the plan."""
        return [(index, fault) for index, fault in enumerate(self.plan.faults) if isinstance(fault, kinds)]

    def is_for(self, index: int, topic: str) -> bool:
        """Whether the fault is for this topic."""
        return bool(self._patterns[index].find(topic))

    def begin(self, topic: str) -> int:
        """An actor of the topic comes up: how many there were before it."""
        with self._lock:
            self._incarnations[topic] += 1
            return self._incarnations[topic] - 1

    def due(
        self,
        place: Place,
        topic: str,
        event: Callable[[], TopicEvent | None],
        now_s: float,
        *,
        members: int = 0,
        incarnation: int = 0,
    ) -> Iterator[Fault]:
        """Number what has come to this place, and give the faults that act on it, each when the one before has acted.

        Args:
            event: gives the event as the faults before have left it; None in a hook.
            now_s: since the channel began.
        """
        with self._lock:
            self._numbers[place, topic] += 1
            own = self._numbers[place, topic]
            numbers = [
                (i, fault, self._number(i, own)) for i, fault in enumerate(self.plan.faults) if self._concerns(i, place, topic)
            ]
        for index, fault, number in numbers:
            if not (_is_number_due(fault, number) and self._is_drawn(index, topic, own)):
                continue
            if getattr(fault, "restart", None) not in (None, incarnation) or not fault.fits(event()):
                continue
            if fault.at_s is not None and now_s < fault.at_s:
                continue
            holds = self._predicates[index]
            if (holds is None or holds(event(), members)) and self.fire(index, topic, event()):
                yield fault

    def fire(self, index: int, topic: str, event: TopicEvent | None = None) -> bool:
        """Count that the fault acts now; False where it has done so as often as it may."""
        fault = self.plan.faults[index]
        once = (index, topic if fault.per == "topic" else "")
        with self._lock:
            if fault.times is not None and self._fired[index] >= fault.times:
                return False
            if fault.at_s is not None:
                if once in self._once:
                    return False
                self._once.add(once)
            self._fired[index] += 1
        if self.on_fire is not None:
            self.on_fire(index, topic)
        if self.on_strike is not None:
            self.on_strike(fault, event)
        return True

    def lose(self, count: int = 1) -> None:
        """So many were delayed beyond the end."""
        with self._lock:
            self.lost += count

    def _concerns(self, index: int, place: Place, topic: str) -> bool:
        fault = self.plan.faults[index]
        return fault.acts_at == place and self.is_for(index, topic) and (fault.at_s is None or fault.needs_event)

    def _number(self, index: int, own: int) -> int:
        """What the fault's `at` and `every` are held against; the lock is held."""
        fault = self.plan.faults[index]
        if fault.per == "topic" and fault.acts_at != "supervisor":
            return own  # at the supervisor all topics' events come in one line, and are counted so
        self._numbers_of_all[index] += 1
        return self._numbers_of_all[index]

    def _is_drawn(self, index: int, topic: str, own: int) -> bool:
        probability = self.plan.faults[index].probability
        return probability is None or self.plan.chance(index, topic, own) < probability


def _is_number_due(fault: Fault, number: int) -> bool:
    return fault.at in (None, number) and (fault.every is None or number % fault.every == 0)


def _predicate(when: str | Predicate | None) -> Predicate | None:
    if not isinstance(when, str):
        return when
    try:
        found: Any = pkgutil.resolve_name(when)
    except Exception as error:  # what an import runs is the user's code, and may raise anything
        raise InvalidOption("when", when, f"must name a function that can be imported ({error})") from error
    if not callable(found):
        raise InvalidOption("when", when, "must name a function")
    check_plain("when", found)
    return found  # type: ignore[no-any-return]
